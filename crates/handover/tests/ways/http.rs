//! HTTP: keep-alive connections move between two requests, the rest is told to go and finished.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Http, Server, gone, within};

#[tokio::test(flavor = "multi_thread")]
async fn keep_alive_connections_move_over_ten_handovers() {
    let server = Server::example("web").start().await;
    let address = server.address();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    // Busy ones, and one that is silent in between.
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stopped = stopped.clone();
            tokio::spawn(async move {
                let mut client = Http::connect(address).await?;
                let mut seen = std::collections::BTreeSet::new();
                let mut requests = 0;
                while !*stopped.borrow() {
                    let answer = client.get("/").await?;
                    assert_eq!(answer.status, 200);
                    assert!(!answer.last, "it was told to leave: {answer:?}");
                    seen.insert(answer.body);
                    requests += 1;
                }
                Ok::<_, std::io::Error>((seen.len(), requests))
            })
        })
        .collect();
    let mut silent = Http::connect(address).await.unwrap();
    silent.get("/").await.unwrap();
    let first = server.said(1).await;
    for _ in 0..10 {
        let report = server.upgrade().await.unwrap();
        let moved = report.moved_in_all() + report.moved_late + report.left_to_drain;
        assert_eq!(moved, 5, "{report}");
    }
    let answer = within("an answer", silent.get("/")).await.unwrap();
    assert!(answer.body.contains("generation 11"), "{answer:?}");
    stop.send(true).unwrap();
    for client in clients {
        let (seen, requests) = client.await.unwrap().expect("not one request fails");
        assert!(seen > 5, "{seen} generations were seen");
        assert!(requests > 20, "{requests} requests");
    }
    gone(first.pid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_finished_and_its_connection_goes_on() {
    let server = Server::example("web").start().await;
    let mut client = Http::connect(server.address()).await.unwrap();
    client.send("/slow").await.unwrap();
    let first = server.said(1).await;
    crate::moves::taken_in(client.local_addr(), first.address).await;
    server.upgrade().await.unwrap();
    let answer = within("the answer", client.answer()).await.unwrap();
    assert!(answer.body.contains("generation 1"), "{answer:?}");
    assert!(!answer.last, "{answer:?}");
    let answer = within("the next answer", client.get("/")).await.unwrap();
    assert!(answer.body.contains("generation 2"), "{answer:?}");
    gone(first.pid).await;
}

/// One frame of HTTP/2.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

async fn send(stream: &mut TcpStream, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    stream.write_all(&frame).await.unwrap();
}

async fn receive(stream: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    let read = within("a frame", stream.read_exact(&mut head)).await;
    read.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    Some(Frame {
        kind: head[3],
        flags: head[4],
        payload,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_connection_is_told_to_go_and_its_streams_are_finished() {
    // Who has to leave is told so at some time in the first half of the drain.
    let server = Server::example("web")
        .option("drain-ms", 3000)
        .start()
        .await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    send(&mut stream, SETTINGS, 0, 0, &[]).await;
    // GET http, path "/slow", authority "t" (RFC 7541: static names, plain literals).
    let head = [&[0x82, 0x86, 0x04, 5][..], b"/slow", &[0x41, 1], b"t"].concat();
    send(&mut stream, HEADERS, END_STREAM | END_HEADERS, 1, &head).await;
    let settings = receive(&mut stream).await.unwrap();
    assert_eq!(settings.kind, SETTINGS, "the server speaks HTTP/2");
    send(&mut stream, SETTINGS, ACK, 0, &[]).await;
    // It answers the settings in their turn, so the request is under way then.
    while receive(&mut stream).await.unwrap().kind != SETTINGS {}

    let first = server.said(1).await;
    server.upgrade().await.unwrap();
    let (mut told, mut status, mut body) = (false, None, Vec::new());
    while let Some(frame) = receive(&mut stream).await {
        match frame.kind {
            GOAWAY => {
                told = true;
                assert_eq!(frame.payload[4..8], [0; 4], "no error");
            }
            PING if frame.flags & ACK == 0 => {
                send(&mut stream, PING, ACK, 0, &frame.payload).await;
            }
            HEADERS => status = frame.payload.first().copied(),
            DATA => body.extend(frame.payload),
            _ => {}
        }
    }
    assert!(told, "a GOAWAY before the end");
    assert_eq!(status, Some(0x88), "status 200 (RFC 7541, static table 8)");
    assert!(body.starts_with(b"generation 1 "), "{body:?}");
    gone(first.pid).await;
}
