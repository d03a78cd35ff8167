//! The load generator against servers that behave, and against servers that do not: it has to see
//! nothing there, and exactly what happened here.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_bench::load::{Group, Kind, Load, Report, Tally};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const LIMIT: Duration = Duration::from_mins(2);

/// Serves each connection with `serve`, which is told the connection's number from 0.
async fn server<F, S>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream, u64) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, number));
            number += 1;
        }
    });
    address
}

/// Lets clients that have a number of requests to make come to their end.
async fn finished(groups: impl IntoIterator<Item = Group>) -> Report {
    let mut load = Load::start(groups);
    tokio::time::timeout(LIMIT, load.ended())
        .await
        .expect("the clients end");
    load.stop().await
}

async fn finished_one(group: Group) -> Tally {
    let report = finished([group.think(Duration::from_micros(100))]).await;
    report.groups[0].1.clone()
}

async fn echo(mut stream: TcpStream, _: u64) {
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

async fn web() -> SocketAddr {
    let app = axum::Router::new().route(
        "/",
        axum::routing::get(|| async { "pid 1, generation 7\n" }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn websocket_echo(stream: TcpStream, _: u64) {
    let mut socket = tokio_tungstenite::accept_async(stream)
        .await
        .expect("a handshake");
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Answers each datagram with what `answers` makes of its number from 0 on.
async fn datagrams(answers: impl Fn(u64, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        let mut number = 0;
        while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            for answer in answers(number, &buffer[..count]) {
                let _ = socket.send_to(&answer, from).await;
            }
            number += 1;
        }
    });
    address
}

#[tokio::test]
async fn sees_nothing_wrong_with_servers_that_behave() {
    let web = web().await;
    let echo = server(echo).await;
    let websocket = server(websocket_echo).await;
    let datagram = datagrams(|_, datagram| vec![datagram.to_vec()]).await;
    let load = Load::start([
        Group::new(Kind::Fresh, web, 4),
        Group::new(Kind::KeepAlive, web, 4),
        Group::new(Kind::Blind, web, 4),
        Group::new(Kind::Echo, echo, 40)
            .silent(5)
            .silence(Duration::from_millis(50))
            .stalled(3),
        Group::new(Kind::WebSocket, websocket, 10),
        Group::new(Kind::Datagram, datagram, 4),
    ]);
    load.ready(LIMIT)
        .await
        .expect("every client gets an answer");
    // Stalled clients wait for full buffers, so they are what takes longest.
    wait_for(&load, |report| {
        report
            .groups
            .iter()
            .all(|(_, tally)| tally.requests >= 50 && tally.longest().is_some())
            && report
                .of(Kind::Echo)
                .is_some_and(|tally| tally.bytes > 4 << 20)
    })
    .await;
    let report = load.stop().await;
    assert!(report.is_clean(), "{}", report.json());
    for (kind, tally) in &report.groups {
        let connections = match kind {
            Kind::Fresh => tally.requests,
            _ => tally.clients as u64,
        };
        assert_eq!(tally.connections, connections, "{kind:?}");
        assert_eq!(tally.missing, 0, "{kind:?}");
        let longest = tally.longest().expect("there were requests").took();
        assert!(longest >= tally.quantile(0.5).mul_f64(0.99), "{kind:?}");
    }
    for kind in [Kind::Fresh, Kind::KeepAlive, Kind::Blind] {
        let tally = report.of(kind).expect("the group");
        assert_eq!(tally.generations.get(&7), Some(&tally.requests));
    }
    assert_eq!(
        report.longest().map(|(_, span)| span.took()),
        report
            .groups
            .iter()
            .filter_map(|(_, tally)| Some(tally.longest()?.took()))
            .max()
    );
}

async fn wait_for(load: &Load, seen: impl Fn(&Report) -> bool) {
    let mut every = tokio::time::interval(Duration::from_millis(5));
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !seen(&load.snapshot()) {
        every.tick().await;
        assert!(
            tokio::time::Instant::now() < deadline,
            "not seen: {}",
            load.snapshot().json()
        );
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

/// Reads one request; false at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    true
}

/// Answers four requests on a connection with these, one after the other, and closes it.
async fn four(mut stream: TcpStream, answers: [&str; 4]) {
    for answer in answers {
        if !read_request(&mut stream).await || stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn counts_requests_that_are_lost_with_their_connection() {
    // Three of four requests on each connection are answered, and the fourth is read and dropped.
    let server = server(|stream, _| four(stream, [OK, OK, OK, ""])).await;
    for kind in [Kind::KeepAlive, Kind::Blind] {
        let tally = finished_one(Group::new(kind, server, 1).requests(12)).await;
        assert_eq!((tally.requests, tally.lost, tally.failed), (9, 3, 3));
        assert_eq!(
            (tally.reconnections, tally.announced, tally.short),
            (3, 0, 0)
        );
        assert_eq!(
            tally.stories()[0].what,
            "the connection was closed before the answer"
        );
    }
}

#[tokio::test]
async fn a_client_that_looks_sees_an_idle_close_before_it_asks() {
    let server = server(|stream, _| four(stream, [OK, OK, OK, OK])).await;
    let group = Group::new(Kind::KeepAlive, server, 1)
        .requests(12)
        .think(Duration::from_millis(20));
    let mut load = Load::start([group]);
    load.ended().await;
    let report = load.stop().await;
    let tally = &report.groups[0].1;
    // Between the answer and the next request there is time to see it, unless the draw was near zero.
    assert_eq!(tally.requests + tally.lost, 12);
    assert_eq!(tally.failed, tally.lost);
    assert!(tally.reconnections >= 2, "{}", report.json());
    assert!(tally.lost < tally.reconnections, "{}", report.json());
}

#[tokio::test]
async fn counts_an_announced_close_apart() {
    let close = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
    let server = server(move |stream, _| four(stream, [OK, OK, OK, close])).await;
    let tally = finished_one(Group::new(Kind::KeepAlive, server, 1).requests(12)).await;
    assert_eq!((tally.requests, tally.failed), (12, 0));
    assert_eq!((tally.reconnections, tally.announced), (3, 3));
}

#[tokio::test]
async fn counts_answers_that_are_short_or_wrong() {
    let server = server(|stream, number| {
        let last = match number % 3 {
            0 => "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc",
            1 => "HTTP/1.1 500 Broken\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
        };
        four(stream, [OK, OK, OK, last])
    })
    .await;
    let tally = finished_one(Group::new(Kind::KeepAlive, server, 1).requests(12)).await;
    assert_eq!((tally.requests, tally.failed), (9, 3));
    assert_eq!((tally.lost, tally.short, tally.wrong), (1, 1, 2));
    assert_eq!((tally.reconnections, tally.announced), (3, 1));
}

#[tokio::test]
async fn counts_a_reset_as_lost() {
    let server = server(|mut stream, _| async move {
        // Closed with the request unread, the kernel resets.
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let tally = finished_one(Group::new(Kind::Fresh, server, 1).requests(5)).await;
    assert_eq!((tally.requests, tally.failed, tally.lost), (0, 5, 5));
    assert!(
        tally.stories()[0].what.contains("reset"),
        "{:?}",
        tally.stories()
    );
}

#[tokio::test]
async fn counts_who_is_refused_and_who_waits_for_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = listener.local_addr().expect("its address");
    let silent = Group::new(Kind::KeepAlive, nobody, 1)
        .requests(1)
        .patience(Duration::from_millis(50));
    let tally = finished_one(silent).await;
    assert_eq!((tally.requests, tally.failed, tally.late), (0, 1, 1));
    drop(listener);
    let tally = finished_one(Group::new(Kind::Fresh, nobody, 1).requests(3)).await;
    assert_eq!((tally.connections, tally.failed, tally.refused), (0, 3, 3));
    let load = Load::start([Group::new(Kind::Echo, nobody, 2)]);
    let error = load
        .ready(Duration::from_millis(100))
        .await
        .expect_err("nobody answers");
    assert_eq!((error.ready, error.clients), (0, 2));
    assert!(error.first.contains("refused"), "{error}");
    let report = load.stop().await;
    assert!(report.sum(|tally| tally.refused) > 0 && report.abandoned == 0);
}

/// What a bad echo server does to the bytes that come from position 10 000 on.
#[derive(Clone, Copy)]
enum Harm {
    Change,
    Lose,
    Double,
    Invent,
    Close,
    Hang,
}

/// Only who waits for nothing should be done with it soon.
const fn patience(harm: Harm) -> Duration {
    match harm {
        Harm::Hang => Duration::from_millis(500),
        _ => LIMIT,
    }
}

async fn bad_echo(mut stream: TcpStream, number: u64, harm: Harm) {
    const AT: usize = 10_000;
    let mut seen = 0;
    let mut buffer = vec![0; 4096];
    loop {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        let mut bytes = buffer[..count].to_vec();
        // Only the first connection is harmed, so that the client comes to an end.
        if number == 0 && (seen..seen + count).contains(&AT) {
            let at = AT - seen;
            match harm {
                Harm::Change => bytes[at] ^= 0x20,
                Harm::Lose => drop(bytes.remove(at)),
                Harm::Double => bytes.insert(at, bytes[at]),
                Harm::Invent => bytes.resize(bytes.len() + 100_000, 0),
                Harm::Close => return,
                Harm::Hang => std::future::pending().await,
            }
        }
        seen += count;
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn harmed(harm: Harm, stalled: usize) -> Tally {
    let server = server(move |stream, number| bad_echo(stream, number, harm)).await;
    let group = Group::new(Kind::Echo, server, 1)
        .stalled(stalled)
        .silence(Duration::from_millis(5))
        .requests(100)
        .patience(patience(harm));
    finished_one(group).await
}

#[tokio::test]
async fn counts_every_wrong_byte() {
    // A stalled client makes all its requests before it reads, so it has no use for a second connection.
    for (stalled, connections) in [(0, 2), (1, 1)] {
        let tally = harmed(Harm::Change, stalled).await;
        assert_eq!(tally.wrong_bytes, 1);
        assert!(tally.wrong >= 1 && tally.failed == tally.wrong);
        assert_eq!((tally.reconnections, tally.connections), (1, connections));
        for harm in [Harm::Lose, Harm::Double, Harm::Invent] {
            let tally = harmed(harm, stalled).await;
            assert!(
                tally.wrong_bytes >= 1 && tally.wrong >= 1,
                "{}",
                tally.json()
            );
            assert_eq!(tally.reconnections, 1);
        }
    }
}

#[tokio::test]
async fn counts_frames_that_are_lost_with_their_connection() {
    for stalled in [0, 1] {
        let tally = harmed(Harm::Close, stalled).await;
        assert!(
            tally.lost >= 1 && tally.failed == tally.lost,
            "{}",
            tally.json()
        );
        assert_eq!((tally.requests + tally.lost, tally.wrong_bytes), (100, 0));
        assert_eq!(tally.reconnections, 1);
        let tally = harmed(Harm::Hang, stalled).await;
        assert!(
            tally.late >= 1 && tally.failed == tally.late,
            "{}",
            tally.json()
        );
        assert_eq!(tally.requests + tally.late, 100);
    }
}

/// Echoes, and harms the message number 10 of the first connection.
async fn bad_websocket(stream: TcpStream, number: u64, harm: Harm, restart: bool) {
    let mut socket = tokio_tungstenite::accept_async(stream)
        .await
        .expect("a handshake");
    let mut count = 0;
    let mut held = None;
    while let Some(Ok(message)) = socket.next().await {
        if !message.is_text() {
            continue;
        }
        count += 1;
        let mut answers = vec![message];
        if number == 0 && count == 10 {
            match harm {
                Harm::Change => {
                    let text = answers[0].to_text().expect("a text").replace('>', ">!");
                    answers[0] = Message::text(text);
                }
                Harm::Lose => answers.clear(),
                Harm::Double => answers.push(answers[0].clone()),
                // The next message overtakes it.
                Harm::Invent => held = answers.pop(),
                Harm::Close if restart => {
                    let frame = CloseFrame {
                        code: CloseCode::Restart,
                        reason: "".into(),
                    };
                    let _ = socket.close(Some(frame)).await;
                    return;
                }
                Harm::Close => return,
                Harm::Hang => std::future::pending().await,
            }
        } else if number == 0 && count > 10 {
            answers.extend(held.take());
        }
        for answer in answers {
            if socket.send(answer).await.is_err() {
                return;
            }
        }
    }
}

async fn websocket_harmed(harm: Harm, restart: bool) -> Tally {
    let server = server(move |stream, number| bad_websocket(stream, number, harm, restart)).await;
    let group = Group::new(Kind::WebSocket, server, 1)
        .requests(50)
        .patience(patience(harm));
    finished_one(group).await
}

#[tokio::test]
async fn counts_what_happens_to_websocket_messages() {
    let tally = websocket_harmed(Harm::Change, false).await;
    assert_eq!((tally.wrong, tally.failed, tally.reconnections), (1, 1, 0));
    assert!(tally.wrong_bytes > 0);
    let tally = websocket_harmed(Harm::Lose, false).await;
    assert_eq!(
        (tally.missing, tally.lost, tally.failed, tally.repeated),
        (1, 1, 1, 0)
    );
    let tally = websocket_harmed(Harm::Double, false).await;
    assert_eq!((tally.repeated, tally.failed), (1, 0));
    assert!(!tally.is_clean());
    // Out of order: one is passed over and then comes after all.
    let tally = websocket_harmed(Harm::Invent, false).await;
    assert_eq!((tally.missing, tally.repeated), (1, 1));
    for restart in [false, true] {
        let tally = websocket_harmed(Harm::Close, restart).await;
        assert!(
            tally.lost >= 1 && tally.lost == tally.failed,
            "{}",
            tally.json()
        );
        assert_eq!(
            (tally.reconnections, tally.announced),
            (1, u64::from(restart))
        );
    }
    let tally = websocket_harmed(Harm::Hang, false).await;
    assert!(
        tally.late >= 1 && tally.failed == tally.late,
        "{}",
        tally.json()
    );
    assert!(tally.reconnections >= 1);
}

#[tokio::test]
async fn keeps_the_order_of_the_others_in_a_room() {
    // Everything goes to every connection; the third message of the first client not to the second.
    let (room, _) = tokio::sync::broadcast::channel::<(u64, u64, Message)>(1024);
    let counts = Arc::new([const { AtomicU64::new(0) }; 2]);
    let server = server(move |stream, number| {
        let (room, counts) = (room.clone(), counts.clone());
        async move {
            let mut everything = room.subscribe();
            let mut socket = tokio_tungstenite::accept_async(stream)
                .await
                .expect("a handshake");
            loop {
                tokio::select! {
                    came = socket.next() => match came {
                        Some(Ok(message)) if message.is_text() => {
                            let own = usize::try_from(number).expect("two connections");
                            let count = counts[own].fetch_add(1, Ordering::Relaxed);
                            let _ = room.send((number, count, message));
                        }
                        Some(Ok(_)) => {}
                        _ => return,
                    },
                    Ok((from, count, message)) = everything.recv() => {
                        let is_kept_back = (from, count, number) == (0, 15, 1);
                        if !is_kept_back && socket.send(message).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    })
    .await;
    let load = Load::start([Group::new(Kind::WebSocket, server, 2)]);
    wait_for(&load, |report| report.sum(|tally| tally.requests) > 200).await;
    let report = load.stop().await;
    let tally = &report.groups[0].1;
    assert_eq!(
        (tally.missing, tally.failed, tally.repeated),
        (1, 1, 0),
        "{}",
        report.json()
    );
    assert!(
        tally.stories()[0].what.contains("after number 14"),
        "{:?}",
        tally.stories()
    );
}

#[tokio::test]
async fn counts_what_happens_to_datagrams() {
    let server = datagrams(|number, datagram| match number {
        10 => vec![],
        20 => vec![datagram.to_vec(), datagram.to_vec()],
        30 => vec![
            [
                &datagram[..datagram.len() - 1],
                &[!datagram[datagram.len() - 1]],
            ]
            .concat(),
        ],
        // The generation in front of it is no fault.
        _ => vec![[b"7 ", datagram].concat()],
    })
    .await;
    let group = Group::new(Kind::Datagram, server, 1)
        .requests(50)
        .patience(Duration::from_secs(2));
    let tally = finished_one(group).await;
    assert_eq!((tally.missing, tally.repeated), (1, 1), "{}", tally.json());
    assert_eq!((tally.wrong, tally.failed, tally.wrong_bytes), (1, 1, 1));
    assert_eq!(tally.requests, 48);
    assert_eq!(tally.generations.get(&7), Some(&47));
}
