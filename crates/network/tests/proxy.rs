//! Dialling through a SOCKS5 proxy.

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use baton_network::{DialError, Event, Proxy, Topic};
use bytes::Bytes;
use common::start;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that knows one name and one login (RFC 1928, RFC 1929), and notes what it was asked for.
async fn proxy(behind: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (
        listener.local_addr().unwrap(),
        Arc::new(Mutex::new(Vec::new())),
    );
    let notes = asked.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, behind, notes.clone()));
        }
    });
    (address, asked)
}

async fn serve(
    mut client: TcpStream,
    behind: SocketAddr,
    notes: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    async fn text(client: &mut TcpStream) -> std::io::Result<String> {
        let mut bytes = vec![0; usize::from(client.read_u8().await?)];
        client.read_exact(&mut bytes).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
    assert_eq!(client.read_u8().await?, 5);
    text(&mut client).await?;
    client.write_all(&[5, 2]).await?;
    assert_eq!(client.read_u8().await?, 1);
    let login = (text(&mut client).await?, text(&mut client).await?);
    let wrong = u8::from(login != ("user".to_owned(), "secret".to_owned()));
    client.write_all(&[1, wrong]).await?;
    if wrong != 0 {
        return Ok(());
    }
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => {
            let mut ip = [0; 4];
            client.read_exact(&mut ip).await?;
            std::net::Ipv4Addr::from(ip).to_string()
        }
        _ => text(&mut client).await?,
    };
    let port = client.read_u16().await?;
    notes.lock().unwrap().push(format!("{host}:{port}"));
    let mut server = TcpStream::connect(behind).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[tokio::test]
async fn peers_are_dialled_through_the_proxy_which_resolves_their_names() {
    let mut server = start(1, |_| {}).await;
    let target = SocketAddr::from((server.address().ip().unwrap(), server.address().port()));
    let (address, asked) = proxy(target).await;
    let client = start(2, |settings| {
        settings.listen = None;
        settings.proxy = Some(Proxy {
            address: address.into(),
            login: Some(("user".to_owned(), "secret".to_owned().into())),
        });
    })
    .await;
    let info = client
        .network
        .dial("peer.invalid:46657".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(
        (info.peer, info.address.to_string()),
        (server.id(), "peer.invalid:46657".to_owned())
    );
    assert_eq!(*asked.lock().unwrap(), ["peer.invalid:46657"]);
    server.subscribed(client.id(), Topic::Consensus).await;
    server
        .network
        .publish(Topic::Consensus, Bytes::from_static(b"hello"))
        .await
        .unwrap();
    let mut client = client;
    client
        .until("a message", |event| {
            matches!(event, Event::Message(_)).then_some(())
        })
        .await;
    client.network.disconnect(server.id()).await.unwrap();
    client.disconnected(server.id()).await;
    client.network.dial(server.address()).await.unwrap();
    assert_eq!(asked.lock().unwrap()[1], target.to_string());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let (address, _) = proxy(([127, 0, 0, 1], 1).into()).await;
    let client = start(2, |settings| {
        settings.proxy = Some(Proxy {
            address: address.into(),
            login: Some(("user".to_owned(), "wrong".to_owned().into())),
        });
    })
    .await;
    let error = client
        .network
        .dial("127.0.0.1:9".parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, DialError::Unreachable { reason, .. } if reason.contains(&format!("p2p.proxy_address {address}"))),
        "{error}"
    );
}
