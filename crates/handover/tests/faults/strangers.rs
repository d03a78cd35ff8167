//! What comes in through the control socket from those who have no business there, or speak nonsense.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_handover::control::{self, ControlError, Introduction};
use baton_handover::report::Outcome;
use rustix::fs::Mode;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, recv, send, sendmsg, socket_with, socketpair, sockopt,
};

use crate::harness::{Rules, Server, Traffic, gone};

/// A client that sends whatever bytes it likes.
struct Stranger(OwnedFd);

impl Stranger {
    fn connect(path: &Path) -> rustix::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self::over(socket))
    }

    fn over(socket: OwnedFd) -> Self {
        // Nothing is waited for longer than this.
        let limit = Some(Duration::from_secs(20));
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, limit).unwrap();
        Self(socket)
    }

    fn bytes(&self, bytes: &[u8]) {
        send(&self.0, bytes, SendFlags::NOSIGNAL).unwrap();
    }

    /// A packet as the protocol has it, with this head.
    fn head(&self, head: &str) {
        let length = u32::try_from(head.len()).unwrap().to_le_bytes();
        self.bytes(&[b"BH\x01\x00", &length[..], head.as_bytes()].concat());
    }

    /// What is answered, up to the end of the connection, as far as it is text.
    fn answers(&self) -> String {
        let mut text = String::new();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok((length @ 1.., _)) = recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        text
    }

    /// What is answered next.
    fn answer(&self) -> String {
        let mut buffer = vec![0; 64 * 1024];
        let (length, _) = recv(&self.0, &mut buffer[..], RecvFlags::empty()).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

fn current(server: &Server) -> PathBuf {
    server.control_dir().join("current")
}

fn hello(nonce: &str) -> String {
    format!(
        r#"{{"frame":"hello","versions":{{"oldest":1,"newest":1}},"nonce":"{nonce}","name":"echo","pid":{},"headroom":1000}}"#,
        std::process::id()
    )
}

/// The server was not impressed.
async fn serves_as_before(server: &Server, traffic: Traffic) {
    let first = server.said(1).await.pid;
    server.serves(first).await;
    traffic.goes_on().await;
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    gone(first).await;
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);
}

async fn start() -> (Server, Traffic) {
    let server = Server::example("echo")
        .option("boundary-ms", 2000)
        .start()
        .await;
    let traffic = Traffic::echo(server.address(), 2).await;
    (server, traffic)
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_in_words() {
    let (server, traffic) = start().await;
    for (bytes, words) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "refused"),
        (&b"BH"[..], "refused"),
        (&b"BH\x01\x00\xff\xff\xff\xff{}"[..], "refused"),
        (&b"BH\x07\x00\x02\x00\x00\x00{}"[..], "refused"),
        (&b"BH\x01\x05\x02\x00\x00\x00{}"[..], "refused"),
        (&b"BH\x01\x00\x02\x00\x00\x00{}"[..], "refused"),
        (&b"BH\x01\x00\x02\x00\x00\x00\xff\xfe"[..], "refused"),
    ] {
        let stranger = Stranger::connect(&current(&server)).unwrap();
        stranger.bytes(bytes);
        let answers = tokio::task::spawn_blocking(move || stranger.answers());
        let answers = answers.await.unwrap();
        assert!(answers.contains(words), "{bytes:?}: {answers:?}");
    }
    for (head, words) in [
        (r#"{"version":1,"request":"sing"}"#, "sing"),
        (r#"{"version":99,"request":"status"}"#, "version 99"),
        (
            r#"{"version":1,"request":"introduce","pid":1,"nonce":""}"#,
            "0 descriptors instead of 1",
        ),
    ] {
        let stranger = Stranger::connect(&current(&server)).unwrap();
        stranger.head(head);
        let answers = tokio::task::spawn_blocking(move || stranger.answers());
        let answers = answers.await.unwrap();
        assert!(answers.contains(words), "{head}: {answers:?}");
    }
    serves_as_before(&server, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_that_nobody_asked_for_are_closed() {
    let (server, traffic) = start().await;
    let first = server.said(1).await.pid;
    let before = crate::harness::descriptors(first)
        .iter()
        .filter(|target| target.contains("pipe"))
        .count();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let stranger = Stranger::connect(&current(&server)).unwrap();
    let head = r#"{"version":1,"request":"status"}"#;
    let length = u32::try_from(head.len()).unwrap().to_le_bytes();
    let packet = [b"BH\x01\x01", &length[..], head.as_bytes()].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [std::os::fd::AsFd::as_fd(&writer)];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let slices = [IoSlice::new(&packet)];
    sendmsg(&stranger.0, &slices, &mut control, SendFlags::NOSIGNAL).unwrap();
    drop(writer);
    let answers = tokio::task::spawn_blocking(move || stranger.answers());
    let answers = answers.await.unwrap();
    assert!(
        answers.contains("1 descriptors instead of 0"),
        "{answers:?}"
    );
    // The pipe has no writer left: the server closed what came.
    let end = tokio::task::spawn_blocking(move || {
        let mut buffer = [0; 1];
        rustix::io::read(&reader, &mut buffer)
    });
    let end = crate::harness::within("the end of the pipe", end).await;
    assert_eq!(end.unwrap(), Ok(0));
    let after = crate::harness::descriptors(first)
        .iter()
        .filter(|target| target.contains("pipe"))
        .count();
    assert_eq!(before, after);
    serves_as_before(&server, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_joins_and_speaks_nonsense_ends_nothing() {
    let (server, traffic) = start().await;
    for (number, (words, reason)) in [
        (r#"{"frame":"sing"}"#.to_owned(), "sing"),
        (r#"{"frame":"ready"}"#.to_owned(), "said ready during hello"),
        (
            hello("").replace("\"echo\"", "\"other\""),
            "is named \"other\"",
        ),
        (
            hello("").replace("\"oldest\":1,\"newest\":1", "\"oldest\":7,\"newest\":9"),
            "no common protocol version",
        ),
        (
            hello("").replace("1000", "0"),
            "can hold 0 more descriptors",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let stranger = Stranger::connect(&current(&server)).unwrap();
        stranger.head(r#"{"version":1,"request":"join"}"#);
        stranger.head(&words);
        server
            .logged_times(number + 1, &["failed in phase hello"])
            .await;
        server.logged(&["failed in phase hello", reason]).await;
        let answers = tokio::task::spawn_blocking(move || stranger.answers());
        // It is told, unless what it said was not understood at all.
        answers.await.unwrap();
    }
    // Too early, after a proper hello.
    let stranger = Stranger::connect(&current(&server)).unwrap();
    stranger.head(r#"{"version":1,"request":"join"}"#);
    stranger.head(&hello(""));
    let stranger = tokio::task::spawn_blocking(move || {
        assert!(stranger.answer().contains("\"offer\""));
        stranger.head(
            r#"{"frame":"serving","accepting_since":{"nanoseconds":1},"longest_freeze_us":0}"#,
        );
        stranger
    });
    let stranger = stranger.await.unwrap();
    server.logged(&["failed in phase offer"]).await;
    drop(stranger);
    serves_as_before(&server, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_does_not_know_the_nonce_gets_nothing() {
    let (server, traffic) = start().await;
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let introduction = Introduction {
        pid: std::process::id(),
        nonce: "00112233445566778899aabbccddeeff".to_owned(),
        timeout: Some(Duration::from_secs(5)),
        dry_run: false,
    };
    let stranger = Stranger::over(ours);
    stranger.head(&hello("ffeeddccbbaa99887766554433221100"));
    let end = std::os::fd::AsFd::as_fd(&theirs);
    let report = control::introduce(&server.control_dir(), introduction, end, |_| {}).await;
    let report = report.unwrap();
    let Outcome::RolledBack { phase, reason } = &report.outcome else {
        panic!("{}", report.outcome);
    };
    assert_eq!(phase, "hello");
    assert!(reason.contains("nonce"), "{reason}");
    drop(theirs);
    let answers = tokio::task::spawn_blocking(move || stranger.answers());
    let answers = answers.await.unwrap();
    assert!(
        answers.contains("refuse") && !answers.contains("offer"),
        "{answers:?}"
    );
    serves_as_before(&server, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_do_not_keep_others_out() {
    let (server, traffic) = start().await;
    let silent: Vec<_> = (0..20)
        .map(|_| Stranger::connect(&current(&server)).unwrap())
        .collect();
    serves_as_before(&server, traffic).await;
    drop(silent);
}

/// Needs root, to become somebody else; in another's hands it shows nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (server, traffic) = start().await;
    let first = server.said(1).await.pid;
    let socket = server.control_dir().join("generation-1.sock");
    // The directory keeps it out.
    let path = socket.clone();
    let error = as_nobody(move || Stranger::connect(&path).map(|_| ())).unwrap_err();
    assert_eq!(error, rustix::io::Errno::ACCESS);
    // And if it did not, the server would.
    for (path, mode) in [
        (server.home().to_owned(), 0o755),
        (server.control_dir(), 0o755),
        (socket.clone(), 0o777),
    ] {
        rustix::fs::chmod(&path, Mode::from_raw_mode(mode)).unwrap();
    }
    for request in ["status", "upgrade", "join"] {
        let path = socket.clone();
        let answers = as_nobody(move || {
            let stranger = Stranger::connect(&path)?;
            stranger.head(&format!(r#"{{"version":1,"request":"{request}"}}"#));
            Ok(stranger.answers())
        });
        let answers = answers.unwrap();
        assert!(answers.contains("user 65534 may not ask"), "{answers:?}");
        assert!(!answers.contains(&first.to_string()), "{answers:?}");
    }
    server
        .logged(&["a foreign user on the control socket", "65534"])
        .await;
    // A generation that starts there refuses the directory.
    let mut server = server;
    let joining = server.launch(&[]);
    assert!(!server.exit_status(joining).await.success());
    rustix::fs::chmod(server.control_dir(), Mode::RWXU).unwrap();
    serves_as_before(&server, traffic).await;
}

/// On a thread of its own, which is nobody's from then on.
fn as_nobody<T: Send + 'static>(
    work: impl FnOnce() -> rustix::io::Result<T> + Send + 'static,
) -> rustix::io::Result<T> {
    let thread = std::thread::spawn(move || {
        let nobody = rustix::process::Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody)?;
        work()
    });
    thread.join().expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_is_told_who_is_first() {
    let server = Server::example("echo")
        .variable("LOG", "debug")
        .option("boundary-ms", 2000)
        .start()
        .await;
    let traffic = Traffic::echo(server.address(), 2).await;
    let first = server.said(1).await.pid;
    let request = server.request("handover::successor::warm=sleep(400)", &[]);
    let upgrading = server.upgrading(request);
    server.logged(&["taking: now phase=\"warm\""]).await;
    let second = server.upgrade().await;
    let Err(ControlError::Busy { busy, .. }) = second else {
        panic!("{second:?}");
    };
    assert_eq!(busy.to, 2);
    assert_eq!(busy.phase, "warm");
    assert!(
        busy.asked_by.contains(&std::process::id().to_string()),
        "{busy}"
    );
    assert!(busy.since.ago() < Duration::from_secs(20), "{busy}");
    // A signal, too, and one who joins.
    crate::harness::signal(first, rustix::process::Signal::USR2);
    server
        .logged(&["asked for a handover while one runs", "USR2"])
        .await;
    let report = upgrading.await.unwrap().unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    assert_eq!(server.said(2).await.pid, report.to.pid);
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);
    assert_eq!(server.all_said().len(), 2, "one handover");
}
