//! Connections that do not move: told to leave, over a limit, or of another protocol.

use super::*;

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
