//! Descriptors from a service manager: socket activation and the FD store.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::harness::{Server, gone, within};
use crate::notify::Manager;

/// Passes the two sockets that come as its standard streams under the numbers and the words of `sd_listen_fds(3)`, as
/// systemd does.
const LAUNCH: &str = r#"
exec 3<&0 4<&1 </dev/null >>"$SAID"
LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=main:admin exec "$@""#;

/// Starts a server with two sockets of the service manager.
fn activate(server: &mut Server, sockets: [OwnedFd; 2], variables: &[(&str, &str)]) -> u32 {
    let said = server.home().join("said").display().to_string();
    let mut command = Command::new("sh");
    command.args(["-c", LAUNCH, "sh"]).arg(server.program());
    command.args(server.arguments());
    let mut all = vec![("SAID", said.as_str())];
    all.extend(variables);
    let [first, second] = sockets.map(Stdio::from);
    server.launch_with(command, &all, first, second)
}

async fn greeting(address: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut said = String::new();
    within("a greeting", stream.read_to_string(&mut said))
        .await
        .unwrap();
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_taken_by_name_and_moved_on() {
    // The program asks for any port, and gets the one that it is given.
    let mut server = Server::example("sockets")
        .option("listen", "127.0.0.1:0")
        .option("tcp", "admin=127.0.0.1:0")
        .prepare();
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [main, admin] = [0, 1].map(|at: usize| sockets[at].local_addr().unwrap());
    activate(&mut server, sockets.map(OwnedFd::from), &[]);
    for generation in 1..=3 {
        let said = server.said(generation).await;
        server.serves(said.pid).await;
        assert_eq!(said.address, main);
        assert_eq!(greeting(main).await, format!("main {generation}\n"));
        assert_eq!(greeting(admin).await, format!("admin {generation}\n"));
        let environment = std::fs::read(format!("/proc/{}/environ", said.pid)).unwrap();
        let speaks = String::from_utf8_lossy(&environment).contains("LISTEN_FDS");
        assert_eq!(speaks, generation == 1, "they are the first one's words");
        if generation < 3 {
            server.upgrade().await.unwrap();
            gone(said.pid).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_listeners_over_a_crash() {
    let manager = Manager::new();
    let mut server = Server::example("sockets")
        .option("tcp", "admin=127.0.0.1:0")
        .option("fd-store", "yes")
        .variable("NOTIFY_SOCKET", manager.address())
        .start()
        .await;
    let first = server.said(1).await;
    let mut stored = Vec::new();
    while stored.len() < 2 {
        let (text, mut descriptors) = manager.next().await;
        let Some(name) = text.lines().find_map(|line| line.strip_prefix("FDNAME=")) else {
            continue;
        };
        assert!(text.contains("FDSTORE=1"), "{text}");
        assert!(text.contains("FDPOLL=0"), "{text}");
        stored.push((name.to_owned(), descriptors.pop().unwrap()));
    }
    stored.sort_by(|one, other| other.0.cmp(&one.0));
    let names: Vec<&str> = stored.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["main", "admin"]);

    crate::harness::kill(first.pid);
    server.exit_status(first.pid).await;
    // Nobody serves, and nobody is refused: who comes now waits.
    let waiting = TcpStream::connect(first.address).await.unwrap();
    let [main, admin] = stored
        .try_into()
        .map(|pair: [_; 2]| pair.map(|(_, fd)| fd))
        .unwrap();
    let again = activate(
        &mut server,
        [main, admin],
        &[("NOTIFY_SOCKET", manager.address())],
    );
    server.serves(again).await;
    let mut said = String::new();
    let mut waiting = waiting;
    within(
        "the greeting of who waited",
        waiting.read_to_string(&mut said),
    )
    .await
    .unwrap();
    assert!(said.starts_with("main "), "{said}");
    assert_eq!(server.all_said().last().unwrap().address, first.address);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_program_does_not_serve_is_taken_from_the_store() {
    let manager = Manager::new();
    let mut server = Server::example("sockets")
        .option("listen", "127.0.0.1:0")
        .option("fd-store", "yes")
        .prepare();
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let admin = sockets[1].local_addr().unwrap();
    let variables = [("NOTIFY_SOCKET", manager.address())];
    activate(&mut server, sockets.map(OwnedFd::from), &variables);
    server.said(1).await;
    loop {
        let (text, _) = manager.next().await;
        if text.contains("FDSTOREREMOVE=1") {
            assert!(text.contains("FDNAME=admin"), "{text}");
            break;
        }
        assert!(!text.contains("FDNAME=admin"), "{text}");
    }
    let refused = TcpStream::connect(admin).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    server.logged(&["did not ask for", "name=\"admin\""]).await;
}
