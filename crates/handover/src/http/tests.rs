//! Requests meet a handover at every byte. Two registries of one process stand for predecessor and successor; each request must
//! be answered exactly once, in order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{any, get, post};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{HttpSettings, serve, serve_connection};
use crate::connections::{Connection, Kind, Registry};

const PATIENCE: Duration = Duration::from_secs(30);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// The number of a request and its body.
type Served = (u32, Vec<u8>);

/// What the services of all generations did, in order.
#[derive(Clone)]
struct Journal {
    served: Arc<Mutex<Vec<Served>>>,
    /// One permit lets one `/held` request be answered.
    gate: Arc<Semaphore>,
}

impl Journal {
    fn new() -> Self {
        Self {
            served: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    fn note(&self, number: u32, body: &[u8]) {
        self.served.lock().unwrap().push((number, body.to_vec()));
    }

    fn numbers(&self) -> Vec<u32> {
        self.served
            .lock()
            .unwrap()
            .iter()
            .map(|(number, _)| *number)
            .collect()
    }
}

struct Generation {
    registry: Registry,
    kind: Kind,
    app: Router,
}

impl Generation {
    fn new(name: &'static str, journal: &Journal) -> Self {
        let echo = move |Path(number): Path<u32>, State(journal): State<Journal>, body: Bytes| async move {
            journal.note(number, &body);
            (
                [("generation", name)],
                format!("{number}:{}", String::from_utf8_lossy(&body)),
            )
        };
        let app = Router::new()
            .route("/echo/{number}", any(echo))
            .route("/held/{number}", get(held))
            .route("/streamed/{number}", get(streamed))
            .route("/unread/{number}", post(unread))
            .route("/other", get(other_protocol))
            .with_state(journal.clone());
        let registry = Registry::new();
        let kind = registry.kind("http");
        let (serving, service) = (kind.clone(), app.clone());
        tokio::spawn(async move {
            let (_, nothing) = tokio::sync::mpsc::channel::<Connection>(1);
            serve(&serving, nothing, service, &HttpSettings::default()).await;
        });
        Self {
            registry,
            kind,
            app,
        }
    }

    fn connect(&self) -> (Client, UnixStream) {
        let (client, server) = UnixStream::pair().unwrap();
        let server = server.into_std().unwrap();
        let twin = UnixStream::from_std(server.try_clone().unwrap()).unwrap();
        let server = UnixStream::from_std(server).unwrap();
        let connection = Connection::new(server, self.kind.seat());
        tokio::spawn(serve_connection(
            connection,
            self.app.clone(),
            HttpSettings::default(),
        ));
        (Client::new(client), twin)
    }

    /// Moves all that can move at once; how many that were.
    async fn hand_over(&self, to: &Generation) -> usize {
        self.registry.freeze(&["http"]);
        let parcels = within(self.registry.gather(Instant::now() + PATIENCE)).await;
        let count = parcels.len();
        to.registry.admit(parcels);
        count
    }

    /// Moves those that come late, as the drain does.
    fn drain_into(&self, to: &Generation) {
        let (from, to) = (self.registry.clone(), to.registry.clone());
        tokio::spawn(async move {
            while let Some(parcel) = from.late().await {
                to.admit(vec![parcel]);
            }
        });
    }
}

async fn held(Path(number): Path<u32>, State(journal): State<Journal>) -> String {
    journal.note(number, b"");
    journal.gate.acquire().await.unwrap().forget();
    format!("{number}:")
}

async fn streamed(Path(number): Path<u32>, State(journal): State<Journal>) -> axum::body::Body {
    journal.note(number, b"");
    let (mut sender, body) = tokio::io::duplex(16);
    tokio::spawn(async move {
        for _ in 0..10 {
            sender.write_all(b"streamed ").await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    axum::body::Body::new(Chunks(body))
}

/// A body of unknown length.
struct Chunks(tokio::io::DuplexStream);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<hyper::body::Frame<Bytes>>>> {
        let mut room = [0; 8];
        let mut buffer = tokio::io::ReadBuf::new(&mut room);
        let read =
            tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.0), cx, &mut buffer);
        read.map_ok(|()| Bytes::copy_from_slice(buffer.filled()))
            .map(|read| match read {
                Ok(bytes) if bytes.is_empty() => None,
                read => Some(read.map(hyper::body::Frame::data)),
            })
    }
}

async fn unread(Path(number): Path<u32>, State(journal): State<Journal>, _: HeaderMap) -> String {
    journal.note(number, b"");
    format!("{number}:")
}

/// Becomes another protocol, which says hello and echoes.
async fn other_protocol(mut request: axum::extract::Request) -> axum::response::Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
        stream.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 16];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            stream.write_all(&buffer[..count]).await.unwrap();
        }
    });
    let response = axum::response::Response::builder()
        .status(101)
        .header("upgrade", "other");
    response
        .header("connection", "upgrade")
        .body(axum::body::Body::empty())
        .unwrap()
}

struct Client {
    stream: UnixStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn says(&self, header: &str) -> bool {
        self.head.to_ascii_lowercase().contains(header)
    }
}

impl Client {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next final answer; none at the end of the stream.
    async fn answer(&mut self, to_head: bool) -> Option<Answer> {
        loop {
            let head = self.until(b"\r\n\r\n").await?;
            let status = head[9..12].parse().unwrap();
            if status == 100 {
                continue;
            }
            let mut answer = Answer {
                status,
                body: String::new(),
                head,
            };
            if to_head {
            } else if answer.says("transfer-encoding: chunked") {
                loop {
                    let size = self.until(b"\r\n").await?;
                    let size = usize::from_str_radix(size.trim(), 16).unwrap();
                    let chunk = self.take(size + 2).await?;
                    if size == 0 {
                        break;
                    }
                    answer.body += &chunk[..size];
                }
            } else {
                let lower = answer.head.to_ascii_lowercase();
                let length = lower.split("content-length: ").nth(1).expect("a length");
                let length = length.split("\r\n").next().unwrap().parse().unwrap();
                answer.body = self.take(length).await?;
            }
            return Some(answer);
        }
    }

    async fn until(&mut self, mark: &[u8]) -> Option<String> {
        loop {
            if let Some(found) = self
                .buffer
                .windows(mark.len())
                .position(|part| part == mark)
            {
                return self.take(found + mark.len()).await;
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, count: usize) -> Option<String> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        let rest = self.buffer.split_off(count);
        Some(String::from_utf8(std::mem::replace(&mut self.buffer, rest)).unwrap())
    }

    async fn more(&mut self) -> Option<()> {
        let read = within(self.stream.read_buf(&mut self.buffer))
            .await
            .unwrap_or(0);
        (read > 0).then_some(())
    }
}

/// Waits until all that was sent has been read and looked at.
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

/// Requests of every sort, the last of which ends the connection, and the answers' bodies.
fn requests() -> (Vec<u8>, Vec<(bool, &'static str)>) {
    let text = [
        "GET /echo/1 HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /echo/2 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
        "POST /echo/3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "HEAD /echo/4 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /streamed/5 HTTP/1.1\r\nhost: a\r\n\r\n",
        "PUT /echo/6 HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nxyz",
        "GET /echo/7 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
        "POST /unread/8 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        "\r\nGET /echo/9 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ];
    let answers = vec![
        (false, "1:"),
        (false, "2:hello"),
        (false, "3:abcde"),
        (true, ""),
        (
            false,
            "streamed streamed streamed streamed streamed streamed streamed streamed streamed streamed ",
        ),
        (false, "6:xyz"),
        (false, "7:"),
        (false, "8:"),
        (false, "9:"),
    ];
    (text.concat().into_bytes(), answers)
}

/// Sends the requests in pieces and hands over after each of them, to and fro; each piece is read before, if it is to settle.
async fn meet(cuts: &[(usize, bool)]) {
    let journal = Journal::new();
    let generations = [
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    ];
    let (mut client, twin) = generations[0].connect();
    let (bytes, answers) = requests();
    let mut sent = 0;
    let mut side = 0;
    for &(cut, settled) in cuts {
        let cut = cut.max(sent);
        client.send(&bytes[sent..cut]).await;
        sent = cut;
        if settled {
            settle(&twin).await;
        }
        let (from, to) = (&generations[side], &generations[1 - side]);
        to.registry.restore(Vec::new());
        from.hand_over(to).await;
        from.drain_into(to);
        side = 1 - side;
    }
    drop(twin);
    client.send(&bytes[sent..]).await;
    for (place, (to_head, body)) in answers.iter().enumerate() {
        let answer = client.answer(*to_head).await;
        let answer =
            answer.unwrap_or_else(|| panic!("answer {} is missing, cut at {cuts:?}", place + 1));
        assert_eq!(
            (answer.status, &*answer.body),
            (200, *body),
            "cut at {cuts:?}"
        );
        let last = place + 1 == answers.len();
        assert_eq!(
            answer.says("connection: close"),
            last,
            "cut at {cuts:?}: {answer:?}"
        );
    }
    assert!(
        client.answer(false).await.is_none(),
        "closed after the last"
    );
    assert_eq!(
        journal.numbers(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
        "cut at {cuts:?}"
    );
    assert_eq!(journal.served.lock().unwrap()[2].1, b"abcde");
    for generation in &generations {
        within(generation.registry.empty()).await;
    }
}

#[tokio::test]
async fn a_handover_at_every_byte_of_many_requests() {
    for cut in 0..=requests().0.len() {
        meet(&[(cut, true)]).await;
        meet(&[(cut, false)]).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn several_handovers_at_any_bytes(mut cuts in prop::collection::vec((0..=requests().0.len(), prop::bool::ANY), 1..8)) {
        cuts.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(meet(&cuts));
    }
}

#[tokio::test]
async fn an_idle_connection_moves_at_once_and_a_busy_one_after_its_answer() {
    let journal = Journal::new();
    let (old, new) = (
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    );
    let ((mut idle, idle_twin), (mut busy, busy_twin)) = (old.connect(), old.connect());
    idle.send(b"GET /echo/1 HTTP/1.1\r\n\r\n").await;
    assert!(idle.answer(false).await.unwrap().says("generation: old"));
    busy.send(b"GET /held/2 HTTP/1.1\r\n\r\nGET /echo/3 HTTP/1.1\r\n\r\n")
        .await;
    settle(&idle_twin).await;
    settle(&busy_twin).await;
    assert_eq!(
        old.hand_over(&new).await,
        1,
        "nobody waits for the busy one"
    );
    idle.send(b"GET /echo/4 HTTP/1.1\r\n\r\n").await;
    assert!(idle.answer(false).await.unwrap().says("generation: new"));
    old.drain_into(&new);
    journal.gate.add_permits(1);
    let answer = busy.answer(false).await.unwrap();
    assert!(answer.body == "2:" && !answer.says("connection: close"));
    assert_eq!(busy.answer(false).await.unwrap().body, "3:");
    busy.send(b"GET /echo/5 HTTP/1.1\r\n\r\n").await;
    assert!(busy.answer(false).await.unwrap().says("generation: new"));
    within(old.registry.empty()).await;
    assert_eq!(new.registry.counts()["http"].live, 2);
}

#[tokio::test]
async fn a_roll_back_is_not_noticed() {
    let journal = Journal::new();
    let old = Generation::new("old", &journal);
    let ((mut idle, idle_twin), (mut busy, busy_twin)) = (old.connect(), old.connect());
    idle.send(b"GET /echo/1 HTT").await;
    busy.send(b"GET /held/2 HTTP/1.1\r\n\r\n").await;
    settle(&idle_twin).await;
    settle(&busy_twin).await;
    drop(idle_twin);
    for _ in 0..3 {
        old.registry.freeze(&["http"]);
        let parcels = within(old.registry.gather(Instant::now() + PATIENCE)).await;
        assert_eq!(parcels.len(), 1);
        assert_eq!(parcels[0].unread, b"GET /echo/1 HTT");
        old.registry.restore(parcels);
    }
    idle.send(b"P/1.1\r\n\r\n").await;
    assert_eq!(idle.answer(false).await.unwrap().body, "1:");
    journal.gate.add_permits(1);
    assert!(!busy.answer(false).await.unwrap().says("connection: close"));
    busy.send(b"GET /echo/3 HTTP/1.1\r\n\r\n").await;
    assert_eq!(busy.answer(false).await.unwrap().body, "3:");
}

#[tokio::test]
async fn an_answer_the_peer_does_not_read_moves_along() {
    let journal = Journal::new();
    let (old, new) = (
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    );
    let (mut client, twin) = old.connect();
    // answers that fill the kernel's buffer, but not ours
    let mut asked = 0;
    let body = "x".repeat(40_000);
    let request = format!("POST /echo/1 HTTP/1.1\r\ncontent-length: 40000\r\n\r\n{body}");
    while asked < 100 && rustix::io::ioctl_fionread(&client.stream).unwrap() >= 40_000 * asked {
        client.send(request.as_bytes()).await;
        asked += 1;
        settle(&twin).await;
    }
    drop(twin);
    old.registry.freeze(&["http"]);
    let parcels = within(old.registry.gather(Instant::now() + PATIENCE)).await;
    assert_eq!(parcels.len(), 1, "after {asked} requests");
    assert!(asked < 100 && !parcels[0].unsent.is_empty());
    new.registry.admit(parcels);
    for _ in 0..asked {
        assert_eq!(client.answer(false).await.unwrap().body.len(), 40_002);
    }
    client.send(b"GET /echo/2 HTTP/1.1\r\n\r\n").await;
    assert!(client.answer(false).await.unwrap().says("generation: new"));
}

#[tokio::test]
async fn a_body_nobody_reads_is_skipped_or_ends_the_connection() {
    let journal = Journal::new();
    let (old, new) = (
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    );
    let ((mut whole, whole_twin), (mut partial, partial_twin)) = (old.connect(), old.connect());
    whole
        .send(b"POST /unread/1 HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody")
        .await;
    partial
        .send(b"POST /unread/2 HTTP/1.1\r\ncontent-length: 40\r\n\r\nGET /echo/3")
        .await;
    settle(&whole_twin).await;
    settle(&partial_twin).await;
    drop(partial_twin);
    assert_eq!(old.hand_over(&new).await, 1);
    assert_eq!(whole.answer(false).await.unwrap().body, "1:");
    whole.send(b"GET /echo/4 HTTP/1.1\r\n\r\n").await;
    assert!(whole.answer(false).await.unwrap().says("generation: new"));
    assert_eq!(partial.answer(false).await.unwrap().body, "2:");
    assert!(partial.answer(false).await.is_none());
    assert_eq!(journal.numbers(), [1, 2, 4]);
}

#[tokio::test]
async fn those_told_to_leave_meet_a_close_at_their_next_answer() {
    let journal = Journal::new();
    let old = Generation::new("old", &journal);
    let ((mut idle, idle_twin), (mut busy, busy_twin)) = (old.connect(), old.connect());
    idle.send(b"GET /echo/1 HTTP/1.1\r\n\r\n").await;
    idle.answer(false).await.unwrap();
    busy.send(b"GET /held/2 HTTP/1.1\r\n\r\n").await;
    settle(&idle_twin).await;
    settle(&busy_twin).await;
    drop((idle_twin, busy_twin));
    old.registry.leave_all(Duration::ZERO);
    tokio::task::yield_now().await;
    idle.send(b"GET /echo/3 HTTP/1.1\r\n\r\n").await;
    assert!(idle.answer(false).await.unwrap().says("connection: close"));
    assert!(idle.answer(false).await.is_none());
    journal.gate.add_permits(1);
    assert!(busy.answer(false).await.unwrap().says("connection: close"));
    within(old.registry.empty()).await;
}

#[tokio::test(start_paused = true)]
async fn silent_and_slow_peers_meet_their_limits() {
    let journal = Journal::new();
    let old = Generation::new("old", &journal);
    let limits = HttpSettings::default();
    let (mut fresh, _) = old.connect();
    let begin = Instant::now();
    assert!(fresh.until_closed().await >= limits.header_read);
    let (mut slow, _) = old.connect();
    slow.send(b"GET /echo/1 HTTP/1.1\r\nslow: ").await;
    let closed = slow.until_closed().await;
    assert!(closed >= limits.header_read && closed < limits.header_read + Duration::from_secs(5));
    let (mut kept, _) = old.connect();
    kept.send(b"GET /echo/1 HTTP/1.1\r\n\r\n").await;
    assert!(kept.answer(false).await.is_some());
    let closed = kept.until_closed().await;
    assert!(closed >= limits.keep_alive && closed < limits.keep_alive + Duration::from_secs(5));
    let (mut leaving, _) = old.connect();
    leaving.send(b"GET /echo/1 HTTP/1.1\r\n\r\n").await;
    assert!(leaving.answer(false).await.is_some());
    old.registry.leave_all(Duration::ZERO);
    let closed = leaving.until_closed().await;
    assert!(closed >= limits.linger && closed < limits.linger * 2);
    assert!(begin.elapsed() < Duration::from_mins(5));
}

impl Client {
    async fn until_closed(&mut self) -> Duration {
        let begin = Instant::now();
        while self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) > 0 {}
        begin.elapsed()
    }
}

#[tokio::test]
async fn a_head_too_long_is_refused() {
    let journal = Journal::new();
    let old = Generation::new("old", &journal);
    let (mut client, twin) = old.connect();
    drop(twin);
    client.send(b"GET /echo/1 HTTP/1.1\r\nlong: ").await;
    let _ = client.stream.write_all(&vec![b'x'; 70_000]).await;
    let head = client.until(b"\r\n\r\n").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 431"), "{head}");
    assert!(journal.numbers().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alive_clients_under_load_lose_nothing() {
    let journal = Journal::new();
    let generations = [
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    ];
    let mut clients = JoinSet::new();
    for number in 0..16_u32 {
        let (mut client, _) = generations[0].connect();
        let journal = journal.clone();
        clients.spawn(async move {
            for turn in 0..400 {
                let request = number * 1_000 + turn;
                let (path, rest) = match (request % 7, request % 3) {
                    (0, _) => ("held", String::new()),
                    (_, 0) => ("echo", "content-length: 3\r\n\r\nabc".to_owned()),
                    _ => ("echo", String::new()),
                };
                let head = format!("GET /{path}/{request} HTTP/1.1\r\n{rest}");
                let text = if rest.is_empty() { head + "\r\n" } else { head };
                client.send(text.as_bytes()).await;
                if path == "held" {
                    journal.gate.add_permits(1);
                }
                let answer = client.answer(false).await.expect("answered");
                assert!(
                    answer.body.starts_with(&format!("{request}:")),
                    "{answer:?}"
                );
                assert!(!answer.says("connection: close"));
            }
        });
    }
    let (mut round, mut moved) = (0, 0);
    while !clients.is_empty() {
        let (from, to) = (&generations[round % 2], &generations[(round + 1) % 2]);
        to.registry.restore(Vec::new());
        moved += from.hand_over(to).await;
        from.drain_into(to);
        round += 1;
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        while let Some(done) = clients.try_join_next() {
            done.unwrap();
        }
    }
    assert!(moved > 100, "{moved} moves in {round} handovers");
    let mut served = journal.numbers();
    served.sort_unstable();
    let expected: Vec<u32> = (0..16)
        .flat_map(|number| (0..400).map(move |turn| number * 1_000 + turn))
        .collect();
    assert!(served == expected, "each request is served once");
}

#[tokio::test]
async fn http2_peers_are_sent_away_once_the_others_have_moved() {
    let journal = Journal::new();
    let old = Generation::new("old", &journal);
    let (client, twin) = old.connect();
    drop(twin);
    let io = hyper_util::rt::TokioIo::new(client.stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut requests, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = |path: &str| {
        let request = hyper::Request::get(format!("http://a{path}"));
        request.body(http_body_util::Empty::<Bytes>::new()).unwrap()
    };
    let answer = within(requests.send_request(request("/echo/1")))
        .await
        .unwrap();
    assert_eq!(answer.headers()["generation"], "old");
    let answering = tokio::spawn(requests.send_request(request("/held/2")));
    within(async {
        while journal.numbers().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    old.registry.freeze(&["http"]);
    assert!(
        within(old.registry.gather(Instant::now() + PATIENCE))
            .await
            .is_empty()
    );
    // a roll-back would find it in service
    assert!(
        within(requests.send_request(request("/echo/3")))
            .await
            .is_ok()
    );
    old.registry.part(Duration::ZERO);
    within(async { while requests.send_request(request("/echo/4")).await.is_ok() {} }).await;
    journal.gate.add_permits(1);
    assert!(
        within(answering).await.unwrap().is_ok(),
        "what was under way is finished"
    );
    within(connection).await.unwrap().unwrap();
    within(old.registry.empty()).await;
}

#[tokio::test]
async fn many_pipelined_requests_are_served_in_order_on_both_sides() {
    let journal = Journal::new();
    let generations = [
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    ];
    let (mut client, twin) = generations[0].connect();
    drop(twin);
    let requests: Vec<u8> = (0..3_000)
        .flat_map(|number| format!("GET /echo/{number} HTTP/1.1\r\n\r\n").into_bytes())
        .collect();
    let (reader, mut writer) =
        std::mem::replace(&mut client.stream, UnixStream::pair().unwrap().0).into_split();
    let writing = tokio::spawn(async move {
        for piece in requests.chunks(1_777) {
            writer.write_all(piece).await.unwrap();
        }
        writer
    });
    let (mut side, mut moved, mut seen, mut from_new) = (0, 0, Vec::new(), 0);
    let mut reader = reader;
    for number in 0..3_000 {
        while !client.buffer.windows(4).any(|part| part == b"\r\n\r\n") {
            within(reader.read_buf(&mut client.buffer)).await.unwrap();
            generations[1 - side].registry.restore(Vec::new());
            moved += generations[side].hand_over(&generations[1 - side]).await;
            generations[side].drain_into(&generations[1 - side]);
            side = 1 - side;
        }
        let head = client.until(b"\r\n\r\n").await.unwrap();
        from_new += usize::from(head.contains("generation: new"));
        let body = format!("{number}:");
        while client.buffer.len() < body.len() {
            within(reader.read_buf(&mut client.buffer)).await.unwrap();
        }
        seen.push(client.take(body.len()).await.unwrap() == body);
    }
    assert!(seen.iter().all(|right| *right));
    assert!(
        moved > 0 && from_new > 0 && from_new < 3_000,
        "{moved} moves, {from_new} from the successor"
    );
    assert_eq!(journal.numbers(), (0..3_000).collect::<Vec<u32>>());
    within(writing).await.unwrap();
}

#[tokio::test]
async fn a_foreign_protocol_is_left_alone_and_holds_no_freeze_up() {
    let journal = Journal::new();
    let (old, new) = (
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    );
    let (mut client, _) = old.connect();
    let request = "GET /other HTTP/1.1\r\nconnection: upgrade\r\nupgrade: other\r\n\r\nearly ";
    client.send(request.as_bytes()).await;
    assert!(
        client
            .until(b"\r\n\r\n")
            .await
            .unwrap()
            .starts_with("HTTP/1.1 101")
    );
    assert_eq!(client.take(11).await.unwrap(), "helloearly ");
    assert_eq!(old.hand_over(&new).await, 0);
    client.send(b"late").await;
    assert_eq!(client.take(4).await.unwrap(), "late");
    drop(client);
    within(old.registry.empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_cut_off() {
    let journal = Journal::new();
    let old = Generation::new("old", &journal);
    let (mut client, twin) = old.connect();
    drop(twin);
    let body = "x".repeat(1_500_000);
    let begin = Instant::now();
    client
        .send(format!("POST /echo/1 HTTP/1.1\r\ncontent-length: 1500000\r\n\r\n{body}").as_bytes())
        .await;
    old.registry.empty().await;
    assert!(begin.elapsed() >= HttpSettings::default().write_stall);
}

#[tokio::test]
async fn one_that_has_said_nothing_moves_and_leaves() {
    let journal = Journal::new();
    let (old, new) = (
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    );
    let ((mut silent, twin), (mut begun, begun_twin)) = (old.connect(), old.connect());
    begun.send(b"PRI * HTTP/2.0\r\n").await;
    settle(&begun_twin).await;
    drop((twin, begun_twin));
    assert_eq!(old.hand_over(&new).await, 2);
    new.registry.leave_all(Duration::ZERO);
    silent.send(b"GET /echo/1 HTTP/1.1\r\n\r\n").await;
    let answer = silent.answer(false).await.unwrap();
    assert!(
        answer.says("generation: new") && answer.says("connection: close"),
        "{answer:?}"
    );
    begun.send(b"\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    // an HTTP/2 server: its first frame is its settings
    while begun.buffer.len() < 9 {
        begun.more().await.expect("served as HTTP/2");
    }
    assert_eq!(begun.buffer[3], 4);
}
