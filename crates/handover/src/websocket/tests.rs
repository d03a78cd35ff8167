//! WebSockets meet a handover at every byte, from the upgrade request to the goodbye. Each counts its messages; the count moves
//! along as the label.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{CloseCode, Event, Message, Upgrade, WebSocket, WebSocketError};
use crate::connections::{Asked, Connection, Kind, Registry};
use crate::http::{HttpSettings, serve, serve_connection};

const PATIENCE: Duration = Duration::from_secs(30);
const KINDS: [&str; 2] = ["http", "chat"];

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// Answers each message with its number on this WebSocket.
async fn count(mut socket: WebSocket) {
    let mut number = u32::from_be_bytes(socket.label().try_into().unwrap_or_default());
    loop {
        match socket.next().await {
            Ok(Event::Message(message)) => {
                number += 1;
                let text = match message {
                    Message::Binary(bytes) => format!("{number} bytes {}", bytes.len()),
                    message => format!("{number} {}", message.into_text().unwrap()),
                };
                if socket.send(text).await.is_err() {
                    return;
                }
            }
            Ok(Event::Asked(Asked::Move)) => return socket.give(number.to_be_bytes()).unwrap(),
            Ok(Event::Asked(Asked::Leave)) => return socket.leave().await,
            Ok(Event::Asked(Asked::Stay)) => {}
            Ok(Event::Closed(_)) | Err(_) => return,
        }
    }
}

struct Generation {
    registry: Registry,
    http: Kind,
    app: Router,
}

impl Generation {
    fn new() -> Self {
        let registry = Registry::new();
        let (http, chat) = (registry.kind("http"), registry.kind("chat"));
        let kind = chat.clone();
        let join = async move |upgrade: Upgrade| upgrade.protocol("count").serve(&kind, count);
        let app = Router::new().route("/chat", get(join));
        tokio::spawn(async move {
            while let Some(parcel) = chat.next().await {
                tokio::spawn(count(WebSocket::resume(parcel, chat.seat()).unwrap()));
            }
        });
        let (serving, service) = (http.clone(), app.clone());
        tokio::spawn(async move {
            let (_, nothing) = tokio::sync::mpsc::channel::<Connection>(1);
            serve(&serving, nothing, service, &HttpSettings::default()).await;
        });
        Self {
            registry,
            http,
            app,
        }
    }

    fn connect(&self) -> (UnixStream, UnixStream) {
        let (client, server) = UnixStream::pair().unwrap();
        let server = server.into_std().unwrap();
        let twin = UnixStream::from_std(server.try_clone().unwrap()).unwrap();
        let server = UnixStream::from_std(server).unwrap();
        let connection = Connection::new(server, self.http.seat());
        tokio::spawn(serve_connection(
            connection,
            self.app.clone(),
            HttpSettings::default(),
        ));
        (client, twin)
    }

    /// A WebSocket past its upgrade.
    async fn join(&self) -> UnixStream {
        let (mut client, _) = self.connect();
        client.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut reply = Reply::default();
        let head = reply.head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        client
    }

    async fn hand_over(&self, to: &Generation) -> usize {
        to.registry.restore(Vec::new());
        self.registry.freeze(&KINDS);
        let parcels = within(self.registry.gather(Instant::now() + PATIENCE)).await;
        let moved = parcels.len();
        to.registry.admit(parcels);
        let (from, to) = (self.registry.clone(), to.registry.clone());
        tokio::spawn(async move {
            while let Some(parcel) = from.late().await {
                to.admit(vec![parcel]);
            }
        });
        moved
    }
}

const REQUEST: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: other, count\r\n\r\n";

const LAST: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// A client's frame, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [7, 77, 177, 17];
    let mut frame = vec![first];
    if let Ok(length @ ..126) = u8::try_from(payload.len()) {
        frame.push(0x80 | length);
    } else {
        frame.push(0x80 | LENGTH_16);
        frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    }
    frame.extend(mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// The upgrade and frames of every sort, and the frames expected back.
fn conversation() -> (Vec<u8>, Vec<(u8, Vec<u8>)>) {
    let sent = [
        REQUEST.as_bytes().to_vec(),
        frame(LAST | TEXT, b"one"),
        frame(TEXT, b"tw"),
        frame(LAST | PING, b"are you there"),
        frame(0, b""),
        frame(0, &"\u{f6}".as_bytes()[..1]),
        frame(LAST, &"\u{f6}".as_bytes()[1..]),
        frame(LAST | BINARY, &[9; 130]),
        frame(LAST | PING, b""),
        frame(LAST | TEXT, b""),
        frame(LAST | CLOSE, b"\x03\xe8bye"),
    ];
    let expected = [
        (LAST | TEXT, "1 one".as_bytes()),
        (LAST | PONG, b"are you there"),
        (LAST | TEXT, "2 tw\u{f6}".as_bytes()),
        (LAST | TEXT, b"3 bytes 130"),
        (LAST | PONG, b""),
        (LAST | TEXT, b"4 "),
        (LAST | CLOSE, b"\x03\xe8bye"),
    ];
    let expected = expected.map(|(first, payload)| (first, payload.to_vec()));
    (sent.concat(), expected.to_vec())
}

/// What a server sent, taken apart.
#[derive(Default)]
struct Reply(Vec<u8>);

impl Reply {
    async fn head(&mut self, client: &mut UnixStream) -> String {
        loop {
            if let Some(end) = self.0.windows(4).position(|part| part == b"\r\n\r\n") {
                let rest = self.0.split_off(end + 4);
                return String::from_utf8(std::mem::replace(&mut self.0, rest)).unwrap();
            }
            assert!(
                within(client.read_buf(&mut self.0)).await.unwrap() > 0,
                "ended in the head"
            );
        }
    }

    /// The next frame; none at the end.
    async fn frame(&mut self, client: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
        loop {
            if let [first, length @ ..126, rest @ ..] = &self.0[..]
                && rest.len() >= usize::from(*length)
            {
                let (first, end) = (*first, 2 + usize::from(*length));
                let rest = self.0.split_off(end);
                return Some((first, std::mem::replace(&mut self.0, rest).split_off(2)));
            }
            if within(client.read_buf(&mut self.0)).await.unwrap_or(0) == 0 {
                assert!(self.0.is_empty());
                return None;
            }
        }
    }
}

async fn settle(twin: &UnixStream) {
    within(async {
        while rustix::io::ioctl_fionread(twin).unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn meet(cuts: &[(usize, bool)]) {
    let generations = [Generation::new(), Generation::new()];
    let (mut client, twin) = generations[0].connect();
    let (bytes, expected) = conversation();
    let (mut sent, mut side, mut moved) = (0, 0, 0);
    for &(cut, settled) in cuts {
        let cut = cut.max(sent);
        within(client.write_all(&bytes[sent..cut])).await.unwrap();
        sent = cut;
        if settled {
            settle(&twin).await;
        }
        moved += generations[side].hand_over(&generations[1 - side]).await;
        side = 1 - side;
    }
    drop(twin);
    // the server may have said goodbye before the last bytes
    let _ = client.write_all(&bytes[sent..]).await;
    let mut reply = Reply::default();
    let head = reply.head(&mut client).await;
    assert!(
        head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "cut at {cuts:?}: {head}"
    );
    assert!(head.contains("sec-websocket-protocol: count"), "{head}");
    for expected in &expected {
        let frame = reply.frame(&mut client).await;
        assert_eq!(frame.as_ref(), Some(expected), "cut at {cuts:?}");
    }
    assert_eq!(reply.frame(&mut client).await, None);
    if let [(cut, true)] = cuts
        && *cut < bytes.len()
    {
        assert_eq!(moved, 1, "cut at {cut}");
    }
    for generation in &generations {
        within(generation.registry.empty()).await;
    }
}

#[tokio::test]
async fn a_handover_at_every_byte_of_a_conversation() {
    for cut in 0..=conversation().0.len() {
        meet(&[(cut, true)]).await;
        meet(&[(cut, false)]).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn several_handovers_at_any_bytes(
        mut cuts in prop::collection::vec((0..=conversation().0.len(), prop::bool::ANY), 1..8)
    ) {
        cuts.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(meet(&cuts));
    }
}

#[tokio::test]
async fn a_roll_back_is_not_noticed() {
    let old = Generation::new();
    let mut client = old.join().await;
    let message = frame(LAST | TEXT, b"hello");
    let mut reply = Reply::default();
    for number in 1..=3 {
        client.write_all(&message[..5]).await.unwrap();
        old.registry.freeze(&KINDS);
        let parcels = within(old.registry.gather(Instant::now() + PATIENCE)).await;
        assert_eq!(parcels.len(), 1);
        old.registry.restore(parcels);
        client.write_all(&message[5..]).await.unwrap();
        let expected = format!("{number} hello").into_bytes();
        assert_eq!(
            reply.frame(&mut client).await,
            Some((LAST | TEXT, expected))
        );
    }
}

#[tokio::test]
async fn those_told_to_leave_hear_that_the_service_restarts() {
    let old = Generation::new();
    let mut client = old.join().await;
    old.registry.leave_all(Duration::ZERO);
    let mut reply = Reply::default();
    let (first, payload) = reply.frame(&mut client).await.unwrap();
    assert_eq!(
        (first, &payload[..2]),
        (LAST | CLOSE, &1012_u16.to_be_bytes()[..])
    );
    client
        .write_all(&frame(LAST | CLOSE, &1012_u16.to_be_bytes()))
        .await
        .unwrap();
    drop(client);
    within(old.registry.empty()).await;
}

#[tokio::test]
async fn too_long_and_malformed_messages_end_it_with_a_reason() {
    let unmasked = vec![LAST | TEXT, 1, b'a'];
    let too_long = [
        vec![LAST | TEXT, 0x80 | LENGTH_64],
        2_000_000_u64.to_be_bytes().to_vec(),
        vec![0; 4],
    ]
    .concat();
    let reserved = frame(LAST | 0x40 | TEXT, b"compressed");
    for (bytes, code) in [(unmasked, 1002_u16), (too_long, 1009), (reserved, 1002)] {
        let old = Generation::new();
        let mut client = old.join().await;
        client.write_all(&bytes).await.unwrap();
        let (first, payload) = Reply::default().frame(&mut client).await.unwrap();
        assert_eq!(
            (first, &payload[..2]),
            (LAST | CLOSE, &code.to_be_bytes()[..])
        );
        within(old.registry.empty()).await;
    }
}

#[tokio::test]
async fn messages_the_peer_does_not_read_move_along() {
    let registry = Registry::new();
    let kind = registry.kind("chat");
    let (mut client, server) = UnixStream::pair().unwrap();
    let mut socket = WebSocket::new(Connection::new(server, kind.seat()));
    // until the peer's buffer and ours are full
    let mut sent = 0_u32;
    while socket.connection_has_room() {
        within(socket.send(format!("{sent:0100}"))).await.unwrap();
        sent += 1;
    }
    client
        .write_all(&frame(LAST | TEXT, b"a question"))
        .await
        .unwrap();
    registry.freeze(&["chat"]);
    assert_eq!(
        within(socket.next()).await.unwrap(),
        Event::Asked(Asked::Move)
    );
    socket.give("state").unwrap();
    let parcel = registry
        .gather(Instant::now() + PATIENCE)
        .await
        .pop()
        .unwrap();
    assert!(
        parcel.unsent.len() > 60_000,
        "{} {sent}",
        parcel.unsent.len()
    );
    registry.restore(Vec::new());
    let mut socket = WebSocket::resume(parcel, kind.seat()).unwrap();
    assert_eq!(socket.label(), b"state");
    let answering = tokio::spawn(async move {
        assert_eq!(
            socket.next().await.unwrap(),
            Event::Message("a question".into())
        );
        socket.send("an answer").await.unwrap();
        socket.close(CloseCode::Normal, "done").await;
    });
    let mut reply = Reply::default();
    for number in 0..sent {
        let expected = format!("{number:0100}").into_bytes();
        assert_eq!(
            reply.frame(&mut client).await,
            Some((LAST | TEXT, expected))
        );
    }
    assert_eq!(
        reply.frame(&mut client).await,
        Some((LAST | TEXT, b"an answer".to_vec()))
    );
    assert_eq!(reply.frame(&mut client).await.unwrap().0, LAST | CLOSE);
    drop(client);
    within(answering).await.unwrap();
}

#[tokio::test]
async fn other_requests_are_told_what_is_served_here() {
    let old = Generation::new();
    for (request, status) in [
        ("GET /chat HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "426"),
        (REQUEST.replace("version: 13", "version: 8"), "426"),
        (REQUEST.replace("sec-websocket-key", "other"), "400"),
        (REQUEST.replace("HTTP/1.1", "HTTP/1.0"), "426"),
    ] {
        let (mut client, _) = old.connect();
        client.write_all(request.as_bytes()).await.unwrap();
        let head = Reply::default().head(&mut client).await;
        assert!(head[9..].starts_with(status), "{head}");
    }
}

#[tokio::test]
async fn a_message_limit_can_be_chosen() {
    let registry = Registry::new();
    let kind = registry.kind("chat");
    let (mut client, server) = UnixStream::pair().unwrap();
    let mut socket = WebSocket::new(Connection::new(server, kind.seat())).message_limit(20);
    client
        .write_all(&frame(LAST | TEXT, b"0123456789"))
        .await
        .unwrap();
    client
        .write_all(&frame(LAST | TEXT, b"01234567890123456789"))
        .await
        .unwrap();
    assert!(matches!(within(socket.next()).await, Ok(Event::Message(_))));
    let refused = within(socket.next()).await.unwrap_err();
    assert!(
        matches!(refused, WebSocketError::TooLong { limit: 20 }),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chatting_goes_on_under_many_handovers() {
    let generations = [Generation::new(), Generation::new()];
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let mut client = generations[0].join().await;
        clients.spawn(async move {
            let mut reply = Reply::default();
            for number in 1..=200_u32 {
                let text = "x".repeat(number as usize % 60);
                let message = frame(LAST | TEXT, text.as_bytes());
                let (begin, end) = message.split_at(number as usize % message.len());
                client.write_all(begin).await.unwrap();
                tokio::task::yield_now().await;
                client.write_all(end).await.unwrap();
                let expected = format!("{number} {text}").into_bytes();
                assert_eq!(
                    reply.frame(&mut client).await,
                    Some((LAST | TEXT, expected))
                );
            }
        });
    }
    let (mut round, mut moved) = (0, 0);
    while !clients.is_empty() {
        moved += generations[round % 2]
            .hand_over(&generations[(round + 1) % 2])
            .await;
        round += 1;
        while let Some(done) = clients.try_join_next() {
            done.unwrap();
        }
    }
    assert!(moved > 500, "{moved} moves in {round} handovers");
}
