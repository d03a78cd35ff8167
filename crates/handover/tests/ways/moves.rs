//! Raw connections move whatever they are in the middle of.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{Server, gone, until, within};

/// Waits until the server has read what the client has sent: nothing is queued on either side.
pub(crate) async fn taken_in(client: SocketAddr, server: SocketAddr) {
    let hex = |address: SocketAddr| {
        let SocketAddr::V4(address) = address else {
            panic!("an IPv4 address");
        };
        let ip = u32::from_ne_bytes(address.ip().octets());
        format!("{ip:08X}:{:04X}", address.port())
    };
    let (client, server) = (hex(client), hex(server));
    until("the server has read everything", || {
        let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
        let queued = |from: &str, to: &str| {
            table.lines().find_map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                (fields.get(1) == Some(&from) && fields.get(2) == Some(&to))
                    .then(|| fields[4].to_owned())
            })
        };
        let sent = queued(&client, &server)?.starts_with("00000000:");
        let read = queued(&server, &client)?.ends_with(":00000000");
        (sent && read).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_move() {
    let server = Server::example("echo").start().await;
    let first = server.said(1).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        // Known to the server: otherwise it might wait in the listener's queue, which moves as well.
        stream.write_all(b"a").await.unwrap();
        within("an echo", stream.read_exact(&mut [0]))
            .await
            .unwrap();
        silent.push(stream);
    }
    let never_a_word = TcpStream::connect(server.address()).await.unwrap();
    for _ in 0..3 {
        let report = server.upgrade().await.unwrap();
        assert!(report.moved["echo"] >= 50, "{report}");
    }
    gone(first.pid).await;
    silent.push(never_a_word);
    for stream in &mut silent {
        stream.write_all(b"after").await.unwrap();
        let mut echo = [0; 5];
        within("an echo", stream.read_exact(&mut echo))
            .await
            .unwrap();
        assert_eq!(&echo, b"after");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_and_unsent_bytes_move() {
    let server = Server::example("echo").start().await;
    let first = server.said(1).await;
    let socket = TcpSocket::new_v4().unwrap();
    // Small, so that little is enough to fill everything between the two.
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.address()).await.unwrap();
    let (mut read, mut write) = stream.into_split();

    // The client sends and does not read: first the echo stands still in the middle of sending, then unread bytes pile up.
    let byte = |at: usize| u8::try_from(at % 251).unwrap();
    let block: Vec<u8> = (0..251 * 256).map(byte).collect();
    let mut sent = 0;
    loop {
        let at = sent % block.len();
        let writing = write.write(&block[at..]);
        // As long as the peer takes something it does so at once.
        match tokio::time::timeout(Duration::from_millis(300), writing).await {
            Ok(written) => sent += written.unwrap(),
            Err(_) => break,
        }
    }
    for _ in 0..3 {
        let report = server.upgrade().await.unwrap();
        assert_eq!(report.moved_in_all(), 1, "{report}");
    }
    gone(first.pid).await;

    write.shutdown().await.unwrap();
    let mut echoed = Vec::with_capacity(sent);
    within("everything", read.read_to_end(&mut echoed))
        .await
        .unwrap();
    assert_eq!(echoed.len(), sent);
    let wrong = echoed
        .iter()
        .enumerate()
        .find(|(at, got)| **got != byte(at % block.len()));
    assert_eq!(wrong, None);
}
