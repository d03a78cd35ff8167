//! The whole of it, through real sockets.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;

use super::testing::{PATIENCE, eventually, is_alive, script, supervisor, warning};
use super::*;

struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("cosmovisor")).unwrap();
        Self { dir }
    }

    fn baton(&self) -> PathBuf {
        self.dir.path().join("cosmovisor/.baton")
    }

    fn options(&self) -> Options {
        Options::new(self.baton(), supervisor())
    }

    fn socket(&self) -> PathBuf {
        self.baton().join(SOCKET)
    }

    /// Starts to tell, and waits until it can be asked.
    async fn start(&self, options: Options) -> (Telling, Client, mpsc::Receiver<Ask>) {
        let telling = Telling::open(options);
        let (to, requests) = mpsc::channel(1);
        telling.serve(&to);
        eventually("the socket", || self.socket().exists().then_some(())).await;
        let client = Client::connect(self.dir.path()).await.unwrap();
        (telling, client, requests)
    }

    fn history(&self) -> String {
        fs::read_to_string(self.baton().join(history::FILE)).unwrap()
    }
}

async fn next(events: &mut Events) -> Option<Record> {
    timeout(PATIENCE, events.next()).await.unwrap().unwrap()
}

async fn seqs_to_the_end(events: &mut Events) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(record) = next(events).await {
        seqs.push(record.seq);
    }
    seqs
}

/// Sends this to the socket and reads to the end.
async fn raw(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    answer
}

async fn raw_get(socket: &Path, path: &str) -> String {
    raw(
        socket,
        &format!("GET {path} HTTP/1.1\r\nhost: baton\r\n\r\n"),
    )
    .await
}

async fn get(address: &str, path: &str) -> String {
    send(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: baton\r\n\r\n"),
    )
    .await
}

async fn send(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    answer
}

fn started() -> Event {
    Event::NodeStarted {
        pid: 4242,
        generation: 1,
        release: "genesis".into(),
        binary: "/b".into(),
    }
}

fn confirmed() -> Event {
    Event::UpgradeConfirmed {
        name: "v2".into(),
        height: 50,
        pause: Duration::from_millis(500),
        total: Duration::from_secs(2),
    }
}

#[tokio::test]
async fn status_is_what_was_told() {
    let home = Home::new();
    let (telling, client, _requests) = home.start(home.options()).await;
    telling.tell(started());
    telling.see_height(41, "rpc");
    telling.update(|s| s.supervisor.config = [("A".to_owned(), "b".to_owned())].into());
    let status = client.status().await.unwrap();
    assert_eq!(status, telling.status());
    assert_eq!(status.node.height, Some(41));
    assert_eq!(status.node.pid, Some(4242));
    let metrics = client.metrics().await.unwrap();
    assert!(metrics.contains("baton_node_height 41\n"), "{metrics}");
    assert!(
        raw_get(&home.socket(), "/readyz")
            .await
            .starts_with("HTTP/1.1 200")
    );
    telling.shutdown(PATIENCE).await;
    assert!(!home.socket().exists());
}

#[tokio::test]
async fn readiness_says_why_not() {
    let home = Home::new();
    let (telling, _client, _requests) = home.start(home.options()).await;
    let answer = raw_get(&home.socket(), "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.ends_with("the node was not started yet\n"),
        "{answer}"
    );
    assert!(raw_get(&home.socket(), "/healthz").await.ends_with("ok\n"));
    telling.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn two_followers_see_everything_over_rotations_and_then_the_end() {
    let home = Home::new();
    let mut options = home.options();
    options.limits.history_bytes = 3_000;
    options.limits.queue = 10_000;
    let (telling, client, _requests) = home.start(options).await;
    telling.tell(warning("before"));
    let mut early = client.events(0, true).await.unwrap();
    assert_eq!(next(&mut early).await.unwrap().seq, 1);
    let mut late = client.events(1, true).await.unwrap();
    // In pieces, since who is slower than two whole files loses what was rotated away.
    let mut of_early = vec![1];
    let mut of_late = Vec::new();
    for _ in 0..20 {
        for i in 0..10 {
            telling.tell(warning(&format!("event {i}")));
        }
        for (events, seqs) in [(&mut early, &mut of_early), (&mut late, &mut of_late)] {
            for _ in 0..10 {
                seqs.push(next(events).await.unwrap().seq);
            }
        }
    }
    assert!(home.baton().join(history::OLD_FILE).exists());
    telling.tell(Event::SupervisorStopped { exit_code: 0 });
    telling.shutdown(PATIENCE).await;
    of_early.extend(seqs_to_the_end(&mut early).await);
    of_late.extend(seqs_to_the_end(&mut late).await);
    assert_eq!(of_early, (1..=202).collect::<Vec<_>>());
    assert_eq!(of_late, (2..=202).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_follow_there_is_an_end() {
    let home = Home::new();
    let (telling, client, _requests) = home.start(home.options()).await;
    for i in 0..3 {
        telling.tell(warning(&i.to_string()));
    }
    eventually("the history", || {
        (home.history().lines().count() == 3).then_some(())
    })
    .await;
    let mut events = client.events(1, false).await.unwrap();
    assert_eq!(seqs_to_the_end(&mut events).await, [2, 3]);
    telling.shutdown(PATIENCE).await;
}

/// Where this process has read to in the files at `path`, by who reads.
fn read_positions(path: &Path) -> Vec<u64> {
    let file = fs::metadata(path).unwrap().ino();
    let mut positions = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        if !fs::metadata(entry.path()).is_ok_and(|m| m.ino() == file) {
            continue;
        }
        let info = Path::new("/proc/self/fdinfo").join(entry.file_name());
        let Ok(info) = fs::read_to_string(info) else {
            continue;
        };
        let field = |name| {
            info.lines()
                .find_map(|l| l.strip_prefix(name))
                .unwrap()
                .trim()
        };
        let is_reader = u32::from_str_radix(field("flags:"), 8).unwrap() % 4 == 0;
        if is_reader {
            positions.push(field("pos:").parse().unwrap());
        }
    }
    positions
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_one_batch_and_is_let_go() {
    let home = Home::new();
    let mut options = home.options();
    options.limits.queue = 10_000;
    options.limits.followers = 2;
    options.limits.stall = Duration::from_secs(2);
    let (telling, client, _requests) = home.start(options).await;
    for _ in 0..2_000 {
        telling.tell(warning(&"x".repeat(1_000)));
    }
    eventually("the history", || {
        (*telling.0.written.borrow() == 2_000).then_some(())
    })
    .await;
    let size = fs::metadata(home.baton().join(history::FILE))
        .unwrap()
        .len();
    assert!(size > 2_000_000);

    let mut slow = UnixStream::connect(home.socket()).await.unwrap();
    slow.write_all(b"GET /events?follow=1 HTTP/1.1\r\nhost: baton\r\n\r\n")
        .await
        .unwrap();
    slow.readable().await.unwrap();
    let mut fast = client.events(0, true).await.unwrap();
    for seq in 1..=2_000 {
        assert_eq!(next(&mut fast).await.unwrap().seq, seq);
    }
    // What was read for the slow one is in the kernel's buffers, but for a batch or two.
    let positions = read_positions(&home.baton().join(history::FILE));
    assert_eq!(positions.len(), 2, "{positions:?}");
    assert!(positions.contains(&size), "{positions:?} of {size}");
    let slowest = *positions.iter().min().unwrap();
    assert!(slowest < 1_000_000, "{positions:?} of {size}");

    // It takes up a place until its time is over.
    let refused = client.events(0, true).await.unwrap_err().to_string();
    assert!(
        refused.contains("2 clients follow the events already"),
        "{refused}"
    );
    eventually("its end", || {
        (read_positions(&home.baton().join(history::FILE)).len() == 1).then_some(())
    })
    .await;
    let mut third = client.events(1_999, true).await.unwrap();
    assert_eq!(next(&mut third).await.unwrap().seq, 2_000);
    drop((slow, third));
    telling.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_follower_that_goes_leaves_its_place() {
    let home = Home::new();
    let mut options = home.options();
    options.limits.followers = 1;
    let (telling, client, _requests) = home.start(options).await;
    telling.tell(warning("one"));
    let mut first = client.events(0, true).await.unwrap();
    next(&mut first).await.unwrap();
    client.events(0, true).await.unwrap_err();
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    while client.events(0, true).await.is_err() {
        assert!(Instant::now() < deadline, "its place was not freed");
    }
    telling.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn too_many_connections_are_turned_away_and_silent_ones_are_closed() {
    let home = Home::new();
    let mut options = home.options();
    options.limits.connections = 2;
    options.limits.head = Duration::from_secs(1);
    let (telling, client, _requests) = home.start(options).await;
    let silent = || async { UnixStream::connect(home.socket()).await.unwrap() };
    let mut first = silent().await;
    let _second = silent().await;
    let error = client.status().await.unwrap_err().to_string();
    assert!(
        error.contains("too many connections") && error.contains("try again"),
        "{error}"
    );
    // Whoever says nothing is not waited for.
    let mut rest = Vec::new();
    timeout(PATIENCE, first.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while client.status().await.is_err() {
        assert!(Instant::now() < deadline, "no connection was freed");
    }
    telling.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn nonsense_is_answered_with_what_to_ask_for() {
    let home = Home::new();
    let (telling, _client, _requests) = home.start(home.options()).await;
    let socket = home.socket();
    for (path, code, text) in [
        (
            "/events?since=yesterday",
            "400",
            "/events?since=0&last=100&follow=1",
        ),
        ("/events?sinze=1", "400", "unknown field `sinze`"),
        ("/nothing", "404", "/status"),
        ("/backup", "405", ""),
    ] {
        let answer = raw_get(&socket, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
        assert!(answer.contains(text), "{answer}");
    }
    assert!(
        raw(&socket, "rubbish\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400")
    );
    let long = format!("GET /status HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    telling.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn requests_reach_the_supervisor_and_its_answer_comes_back() {
    let home = Home::new();
    let mut options = home.options();
    options.limits.answer = Duration::from_millis(100);
    let (telling, client, mut requests) = home.start(options).await;
    let answers = [
        Answer::Accepted {
            text: "the backup begins".into(),
        },
        Answer::Refused {
            why: "the node runs".into(),
            what_to_do: "stop it first".into(),
        },
    ];
    for answer in answers {
        let supervisor = async {
            let ask = requests.recv().await.unwrap();
            assert_eq!(ask.request, Request::Backup);
            ask.answer.send(answer.clone()).unwrap();
        };
        let (got, ()) = tokio::join!(client.ask(&Request::Backup), supervisor);
        assert_eq!(got.unwrap(), answer);
    }
    // Nobody takes it up: the queue of one is full after the first.
    let first = client.ask(&Request::Backup).await.unwrap_err().to_string();
    assert!(first.contains("no answer within 100ms"), "{first}");
    let second = client.ask(&Request::Backup).await.unwrap_err().to_string();
    assert!(second.contains("takes no requests now"), "{second}");
    drop(requests);
    client.ask(&Request::Backup).await.unwrap_err();
    telling.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn no_supervisor_is_said_in_so_many_words() {
    let home = Home::new();
    let expected = format!("no supervisor is running on {}", home.dir.path().display());
    let error = Client::connect(home.dir.path())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&expected) && error.contains("No such file"),
        "{error}"
    );
    // The same after one was killed.
    fs::create_dir(home.baton()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(home.socket()).unwrap());
    let error = Client::connect(home.dir.path())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&expected) && error.contains("refused"),
        "{error}"
    );
}

#[tokio::test]
async fn one_that_says_nothing_or_rubbish_is_an_error() {
    let home = Home::new();
    fs::create_dir(home.baton()).unwrap();
    let listener = tokio::net::UnixListener::bind(home.socket()).unwrap();
    let client = Client::connect(home.dir.path()).await.unwrap();
    listener.accept().await.unwrap();
    let supervisor = async {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    let asking = async {
        let broken = client.status().await.unwrap_err();
        assert!(matches!(broken, ClientError::Broken { .. }), "{broken}");
        let malformed = client.status().await.unwrap_err();
        assert!(
            malformed.to_string().contains("missing field `supervisor`"),
            "{malformed}"
        );
        let endless = client.status().await.unwrap_err();
        assert!(matches!(endless, ClientError::Broken { .. }), "{endless}");
    };
    tokio::join!(supervisor, asking);
}

#[tokio::test]
async fn a_home_with_a_long_path_is_served_too() {
    let outer = tempfile::tempdir().unwrap();
    let deep = outer.path().join("d".repeat(150));
    fs::create_dir(&deep).unwrap();
    let dir = tempfile::Builder::new()
        .prefix("h")
        .tempdir_in(&deep)
        .unwrap();
    fs::create_dir(dir.path().join("cosmovisor")).unwrap();
    let home = Home { dir };
    let (telling, client, _requests) = home.start(home.options()).await;
    telling.tell(warning("far away"));
    assert_eq!(client.status().await.unwrap(), telling.status());
    telling.shutdown(PATIENCE).await;
    assert!(!home.socket().exists());
}

#[tokio::test]
async fn the_admin_address_tells_and_takes_no_orders() {
    let home = Home::new();
    let mut options = home.options();
    options.admin_address = Some("127.0.0.1:0".into());
    let (telling, _client, _requests) = home.start(options).await;
    let address = eventually("the address", || telling.status().supervisor.admin_address).await;
    telling.tell(started());
    let metrics = get(&address, "/metrics").await;
    assert!(metrics.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(
        metrics.contains("\nbaton_node_up 1\n") && metrics.ends_with("# EOF\n"),
        "{metrics}"
    );
    assert!(get(&address, "/status").await.contains(r#""pid":4242"#));
    assert!(get(&address, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/healthz").await.starts_with("HTTP/1.1 200"));
    eventually("the history", || (history_of(&home) == 1).then_some(())).await;
    assert!(get(&address, "/events").await.contains("node-started"));
    for path in ["/backup", "/reload", "/retry"] {
        assert!(
            get(&address, path).await.starts_with("HTTP/1.1 404"),
            "{path}"
        );
        let post = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        let answer = send(&address, &post).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    telling.shutdown(PATIENCE).await;
    TcpStream::connect(&address).await.unwrap_err();
}

#[tokio::test]
async fn the_page_is_whole_and_asks_nobody_else() {
    let home = Home::new();
    let mut options = home.options();
    options.admin_address = Some("127.0.0.1:0".into());
    let (telling, _client, _requests) = home.start(options).await;
    let address = eventually("the address", || telling.status().supervisor.admin_address).await;
    let mut wanted = vec!["/".to_owned()];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(path) = wanted.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = get(&address, &path).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'; script-src 'self'"));
        assert!(!answer.contains("https://"), "{path}");
        for part in answer.split('"') {
            if part.starts_with("page/") {
                wanted.push(format!("/{part}"));
            } else if let Some(module) = part.strip_prefix("./") {
                wanted.push(format!("/page/{module}"));
            }
        }
    }
    assert!(
        seen.contains("/page/words.js") && seen.contains("/page/page.css"),
        "{seen:?}"
    );
    let missing = get(&address, "/page/../status").await;
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    telling.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_page_is_told_how_things_stand_and_what_happens() {
    let home = Home::new();
    let mut options = home.options();
    options.admin_address = Some("127.0.0.1:0".into());
    let (telling, _client, _requests) = home.start(options).await;
    let address = eventually("the address", || telling.status().supervisor.admin_address).await;
    telling.tell(started());
    telling.tell(warning("<b>first</b>"));
    eventually("the history", || (history_of(&home) == 2).then_some(())).await;
    let asked = |query: &str, more: &str| {
        format!(
            "GET /events?{query} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n{more}\r\n"
        )
    };
    // Without `follow` it ends by itself.
    let whole = send(&address, &asked("last=1", "")).await;
    assert!(whole.contains("content-type: text/event-stream"), "{whole}");
    assert!(whole.contains("event: status\n"), "{whole}");
    assert!(
        whole.contains("\"headline\":\"running genesis\""),
        "{whole}"
    );
    assert!(
        whole.contains("id: 2\n") && !whole.contains("id: 1\n"),
        "{whole}"
    );
    assert!(
        whole.contains("\"text\":\"<b>first</b>\",\"what_to_do\":\"nothing\""),
        "{whole}"
    );
    let again = send(&address, &asked("last=5", "last-event-id: 1\r\n")).await;
    assert!(
        again.contains("id: 2\n") && !again.contains("id: 1\n"),
        "{again}"
    );

    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = asked("since=2&follow=1", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let mut hear = async |what: &str| {
        while !heard.contains(what) {
            let mut buffer = [0; 4096];
            let n = timeout(PATIENCE, stream.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert!(n > 0, "it ended before {what:?}: {heard}");
            heard.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    };
    hear("event: status").await;
    telling.tell(confirmed());
    hear("id: 3\n").await;
    hear("\"result\":\"confirmed\"").await;
    // It does not keep the supervisor from ending.
    telling.shutdown(PATIENCE).await;
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
}

/// How many records there are.
fn history_of(home: &Home) -> usize {
    fs::read_to_string(home.baton().join(history::FILE)).map_or(0, |text| text.lines().count())
}

#[tokio::test]
async fn an_admin_address_that_is_taken_is_told_and_tried_again() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut options = home.options();
    options.admin_address = Some(address.clone());
    let (telling, _client, _requests) = home.start(options).await;
    let error = eventually("the warning", || telling.status().last_error).await;
    assert!(
        error.text.contains(&address) && error.text.contains("in use"),
        "{error:?}"
    );
    drop(taken);
    eventually("the address", || telling.status().supervisor.admin_address).await;
    assert!(get(&address, "/healthz").await.ends_with("ok\n"));
    telling.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn history_hook_and_webhook_are_told_the_same() {
    let home = Home::new();
    let hook_dir = tempfile::tempdir().unwrap();
    let told = hook_dir.path().join("told");
    let (posted, mut posts) = mpsc::unbounded_channel();
    let router = axum::Router::new().route(
        "/",
        axum::routing::post(move |body: String| async move { posted.send(body).unwrap() }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut options = home.options();
    options.hook = Some(script(
        hook_dir.path(),
        &format!("cat >>{}", told.display()),
    ));
    options.webhook = Some(format!("http://{address}/").parse().unwrap());
    let (telling, _client, _requests) = home.start(options).await;
    telling.tell(started());
    telling.tell(Event::BackupProgress {
        bytes_done: 1,
        bytes_total: 2,
        files_done: 1,
        files_total: 2,
    });
    telling.tell(confirmed());
    telling.tell(Event::SupervisorStopped { exit_code: 0 });
    telling.shutdown(PATIENCE).await;

    let history = home.history();
    assert_eq!(
        history.lines().count(),
        3,
        "progress is not kept: {history}"
    );
    assert_eq!(fs::read_to_string(told).unwrap(), history);
    let mut posted = String::new();
    while let Ok(body) = posts.try_recv() {
        posted += &(body + "\n");
    }
    assert_eq!(posted, history);
}

#[tokio::test]
async fn a_hook_that_hangs_holds_up_nothing_and_is_gone_in_the_end() {
    let home = Home::new();
    let hook_dir = tempfile::tempdir().unwrap();
    let own = hook_dir.path().join("own");
    let mut options = home.options();
    let body = format!(
        "echo $$ >{0}.new; mv {0}.new {0}; exec sleep 1000",
        own.display()
    );
    options.hook = Some(script(hook_dir.path(), &body));
    options.limits.queue = 4;
    let (telling, client, _requests) = home.start(options).await;
    telling.tell(warning("the one that hangs"));
    let pid = eventually("the hook", || fs::read_to_string(&own).ok()).await;
    for _ in 0..10 {
        telling.tell(warning("another"));
        // The history is not behind: its queue is as short.
        let seen = telling.0.out.lock().unwrap().seq;
        eventually("the history", || {
            (*telling.0.written.borrow() == seen).then_some(())
        })
        .await;
    }
    assert_eq!(home.history().lines().count(), 11);
    let metrics = client.metrics().await.unwrap();
    for line in [
        r#"baton_events_dropped_total{outlet="hook"} 6"#,
        r#"baton_events_dropped_total{outlet="history"} 0"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    telling.shutdown(Duration::from_millis(100)).await;
    eventually("its end", || (!is_alive(&pid)).then_some(())).await;
}

#[tokio::test]
async fn a_new_supervisor_goes_on_where_the_last_one_was() {
    let home = Home::new();
    let (first, _client, _requests) = home.start(home.options()).await;
    let backup = home.dir.path().join("data-backup-2026-11-21");
    fs::create_dir(&backup).unwrap();
    for path in [backup.clone(), home.dir.path().join("removed since")] {
        first.tell(Event::BackupMade {
            path,
            mode: "copy".into(),
            bytes: 1,
            files: 1,
            took: Duration::ZERO,
        });
    }
    first.tell(confirmed());
    first.shutdown(PATIENCE).await;

    let (second, client, _requests) = home.start(home.options()).await;
    second.tell(started());
    let last = eventually("the past", || second.status().last_upgrade).await;
    assert_eq!((last.name.as_str(), last.pause_ms), ("v2", Some(500)));
    let status = client.status().await.unwrap();
    let backups: Vec<_> = status.backups.iter().map(|b| &b.path).collect();
    assert_eq!(backups, [&backup]);
    let metrics = client.metrics().await.unwrap();
    assert!(
        metrics.contains("baton_last_upgrade_pause_seconds 0.5\n"),
        "{metrics}"
    );
    second.shutdown(PATIENCE).await;
    let seqs: Vec<u64> = home
        .history()
        .lines()
        .map(|l| serde_json::from_str::<Record>(l).unwrap().seq)
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
}

#[tokio::test]
async fn without_a_place_for_its_files_it_still_tells() {
    let home = Home::new();
    fs::write(home.baton(), "in the way").unwrap();
    let mut options = home.options();
    options.admin_address = Some("127.0.0.1:0".into());
    let telling = Telling::open(options);
    let (to, _requests) = mpsc::channel(1);
    telling.serve(&to);
    let address = eventually("the address", || telling.status().supervisor.admin_address).await;
    let error = eventually("the warning", || {
        telling
            .status()
            .last_error
            .filter(|e| e.text.contains("no control socket"))
    })
    .await;
    assert!(error.text.contains(".baton"), "{error:?}");
    telling.tell(started());
    assert!(get(&address, "/status").await.contains(r#""pid":4242"#));
    telling.shutdown(PATIENCE).await;
    assert_eq!(fs::read(home.baton()).unwrap(), b"in the way");
}

#[tokio::test]
async fn a_silent_one_keeps_the_status_only() {
    let telling = Telling::silent(supervisor());
    telling.tell(started());
    assert_eq!(telling.status().node.pid, Some(4242));
    telling.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn systemd_and_the_observer_are_told_as_it_happens() {
    let home = Home::new();
    let path = home.dir.path().join("notify");
    let manager = tokio::net::UnixDatagram::bind(&path).unwrap();
    let mut options = home.options();
    options.notifier = Notifier::to(path.as_os_str(), Some(Duration::from_millis(20))).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observed = seen.clone();
    options.observer = Some(Arc::new(move |event| {
        observed.lock().unwrap().push(event.kind().to_owned());
    }));
    let telling = Telling::open(options);
    let hear = async || {
        let mut buffer = [0; 1024];
        let n = timeout(PATIENCE, manager.recv(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    };
    telling.tell(started());
    assert_eq!(hear().await, "STATUS=running genesis");
    telling.notifier().ready();
    assert_eq!(hear().await, "READY=1");
    // What changes nothing in the headline is not repeated.
    telling.tell(warning("by the way"));
    telling.tell(Event::BackupProgress {
        bytes_done: 1,
        bytes_total: 2,
        files_done: 1,
        files_total: 2,
    });
    let (to, _requests) = mpsc::channel(1);
    telling.serve(&to);
    assert_eq!(hear().await, "WATCHDOG=1");
    assert_eq!(hear().await, "WATCHDOG=1");
    let kinds = seen.lock().unwrap().clone();
    assert_eq!(kinds, ["node-started", "warning", "backup-progress"]);
    telling.shutdown(PATIENCE).await;
}

#[test]
fn telling_from_many_threads_keeps_one_order() {
    let home = Home::new();
    let mut options = home.options();
    options.limits.queue = 10_000;
    let telling = Telling::open(options);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|i| telling.tell(warning(&i.to_string()))));
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(telling.shutdown(PATIENCE));
    let seqs: Vec<u64> = home
        .history()
        .lines()
        .map(|l| serde_json::from_str::<Record>(l).unwrap().seq)
        .collect();
    assert_eq!(seqs, (1..=400).collect::<Vec<_>>());
}
