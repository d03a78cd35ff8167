use super::*;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::channel::Channel;
use crate::directory::{ControlDirectory, DirectoryError};
use crate::report::Outcome;
use crate::report::tests::full;

const SOON: Duration = Duration::from_secs(20);

struct Running {
    temp: tempfile::TempDir,
    directory: ControlDirectory,
    server: Server,
    asked: Arc<AtomicU64>,
}

impl Running {
    fn start() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let directory = ControlDirectory::prepare(&temp.path().join("control")).unwrap();
        let (generation, listener) = directory.listen().unwrap();
        directory.make_current(generation).unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        let server = Server::start(listener, move || {
            count.fetch_add(1, Ordering::Relaxed);
            generation_status(generation)
        });
        Self {
            temp,
            directory,
            server: server.unwrap(),
            asked,
        }
    }

    fn path(&self) -> PathBuf {
        self.temp.path().join("control")
    }

    async fn next(&mut self) -> Incoming {
        let next = timeout(SOON, self.server.next()).await;
        next.expect("it is asked").expect("the server runs")
    }

    fn raw(&self) -> Channel {
        Channel::new(self.directory.connect().unwrap().unwrap()).unwrap()
    }
}

fn generation_status(generation: u64) -> Generation {
    Generation {
        name: "web".to_owned(),
        generation,
        pid: std::process::id(),
        program: "/usr/bin/web".to_owned(),
        phase: "serving".to_owned(),
        since: UnixMillis::now(),
        // More than one packet has room for.
        shareables: (0..2_000)
            .map(|n| ShareableStatus {
                name: format!("listener-{n}"),
                address: format!("tcp 127.0.0.1:{n}"),
            })
            .collect(),
        exclusives: vec![ExclusiveStatus {
            name: "db".to_owned(),
            held: true,
        }],
        states: vec![StateStatus {
            name: "cache".to_owned(),
            version: 3,
        }],
        connections: [("http".to_owned(), 12)].into(),
        taken_up: TakenUp::default(),
        drains_until: None,
        last: Some(full()),
    }
}

fn asks(
    path: &Path,
    request: UpgradeRequest,
) -> JoinHandle<(Result<Report, ControlError>, Vec<String>)> {
    let path = path.to_owned();
    tokio::spawn(async move {
        let mut steps = Vec::new();
        let end = upgrade(&path, request, |step| steps.push(step.phase)).await;
        (end, steps)
    })
}

#[tokio::test]
async fn status_is_answered_whoever_is_busy_and_however_long_it_is() {
    let running = Running::start();
    let told = status(&running.path()).await.unwrap();
    assert_eq!(told.shareables.len(), 2_000);
    assert_eq!(told.last, Some(full()));
    assert_eq!(running.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_upgrade_is_handed_on_and_its_end_comes_back() {
    let mut running = Running::start();
    let request = UpgradeRequest {
        exec: Some("/opt/web-2".into()),
        arguments: Some(vec!["--port".to_owned(), "80".to_owned()]),
        dry_run: true,
        timeout: Some(Duration::from_secs(30)),
        staged: true,
    };
    let asking = asks(&running.path(), request.clone());
    let Incoming::Upgrade(peer, heard, requester) = running.next().await else {
        panic!("an upgrade was asked for");
    };
    assert_eq!(heard, request);
    assert_eq!(peer.pid, std::process::id());
    for phase in ["hello", "warm"] {
        requester.progress(Progress {
            phase: phase.to_owned(),
            detail: String::new(),
        });
    }
    requester.report(full()).await;
    let (end, steps) = asking.await.unwrap();
    assert_eq!(end.unwrap().outcome, Outcome::HandedOver);
    assert_eq!(steps, ["hello", "warm"]);
}

#[tokio::test]
async fn busy_and_refused_are_told_as_such() {
    let mut running = Running::start();
    let asking = asks(&running.path(), UpgradeRequest::default());
    let Incoming::Upgrade(_, _, requester) = running.next().await else {
        panic!("an upgrade was asked for");
    };
    let busy = Busy {
        asked_by: "SIGUSR2".to_owned(),
        since: UnixMillis::now(),
        to: 2,
        phase: "warm".to_owned(),
    };
    requester.busy(busy).await;
    let error = asking.await.unwrap().0.unwrap_err();
    assert!(matches!(error, ControlError::Busy { .. }));
    assert!(
        error.to_string().contains("asked by SIGUSR2; phase warm"),
        "{error}"
    );

    let path = running.path();
    let asking = tokio::spawn(async move { roll_back(&path, 1).await });
    let Incoming::RollBack(_, requester) = running.next().await else {
        panic!("a roll-back was asked for");
    };
    requester.refuse("nothing was handed over".to_owned()).await;
    let error = asking.await.unwrap().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("refuses: nothing was handed over"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_dies_meanwhile_is_told_from_one_that_refuses() {
    let mut running = Running::start();
    let asking = asks(&running.path(), UpgradeRequest::default());
    drop(running.next().await);
    let error = asking.await.unwrap().0.unwrap_err();
    assert!(matches!(error, ControlError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn a_client_that_leaves_does_not_hold_anything_up() {
    let mut running = Running::start();
    let asking = asks(&running.path(), UpgradeRequest::default());
    let Incoming::Upgrade(_, _, requester) = running.next().await else {
        panic!("an upgrade was asked for");
    };
    asking.abort();
    for _ in 0..1_000 {
        requester.progress(Progress {
            phase: "warm".to_owned(),
            detail: "x".repeat(1_000),
        });
    }
    timeout(SOON, requester.report(full())).await.unwrap();
    status(&running.path()).await.unwrap();
}

#[tokio::test]
async fn join_becomes_the_channel_and_introduce_brings_it() {
    let mut running = Running::start();
    let joined = join(&running.directory).await.unwrap().unwrap();
    let Incoming::Join(_, channel) = running.next().await else {
        panic!("somebody joins");
    };
    joined.send_now(&"hello").unwrap();
    let packet = timeout(SOON, channel.receive()).await.unwrap().unwrap();
    assert_eq!(packet.open::<String>().unwrap().0, "hello");

    let (given, kept) = Channel::pair().unwrap();
    let introduction = Introduction {
        pid: 4242,
        nonce: "abc".to_owned(),
        timeout: None,
        dry_run: false,
    };
    let path = running.path();
    let wanted = introduction.clone();
    let asking =
        tokio::spawn(async move { introduce(&path, introduction, given.as_fd(), |_| {}).await });
    let Incoming::Introduce(_, heard, channel, requester) = running.next().await else {
        panic!("somebody introduces");
    };
    assert_eq!(heard, wanted);
    let kept = Channel::new(kept).unwrap();
    channel.send_now(&"hello").unwrap();
    let packet = timeout(SOON, kept.receive()).await.unwrap().unwrap();
    assert_eq!(packet.open::<String>().unwrap().0, "hello");
    requester.report(full()).await;
    asking.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_not_understood_is_refused_in_words() {
    let running = Running::start();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let file: OwnedFd = tempfile::tempfile().unwrap().into();
    let cases: [(&str, &[&OwnedFd], &str); 6] = [
        (r#"{"version":2,"request":"status"}"#, &[], "version 2"),
        (r#"{"version":1,"request":"sing"}"#, &[], "sing"),
        (r#"{"hello":1}"#, &[], "not understood"),
        (
            r#"{"version":1,"request":"status"}"#,
            &[&file],
            "1 descriptors instead of 0",
        ),
        (
            r#"{"version":1,"request":"introduce","pid":1,"nonce":""}"#,
            &[],
            "0 descriptors instead of 1",
        ),
        (
            r#"{"version":1,"request":"introduce","pid":1,"nonce":""}"#,
            &[&file],
            "no Unix socket",
        ),
    ];
    for (request, descriptors, reason) in cases {
        let channel = running.raw();
        let descriptors: Vec<_> = descriptors.iter().map(|fd| fd.as_fd()).collect();
        channel
            .send(&json(request), &[], &descriptors)
            .await
            .unwrap();
        let reply = timeout(SOON, wire::receive::<Reply>(&channel))
            .await
            .unwrap();
        match reply.unwrap() {
            Reply::Refused { reason: said } => assert!(said.contains(reason), "{said}"),
            other => panic!("{request}: {other:?}"),
        }
    }
    // Unknown keys are for newer servers; garbage is refused as well.
    let channel = running.raw();
    let newer = json(r#"{"version":1,"request":"status","mood":"good"}"#);
    channel.send(&newer, &[], &[]).await.unwrap();
    let reply = timeout(SOON, wire::receive::<Reply>(&channel))
        .await
        .unwrap();
    assert!(matches!(reply.unwrap(), Reply::Status(_)));
    let channel = running.raw();
    rustix::net::send(
        channel.as_fd(),
        b"GET / HTTP/1.1",
        rustix::net::SendFlags::empty(),
    )
    .unwrap();
    let reply = timeout(SOON, wire::receive::<Reply>(&channel))
        .await
        .unwrap();
    assert!(matches!(reply.unwrap(), Reply::Refused { .. }));
}

#[tokio::test]
async fn more_clients_than_places_wait_and_all_are_answered() {
    let running = Running::start();
    // They only look whether somebody lives, and give their places back.
    for _ in 0..30 {
        drop(running.raw());
    }
    let silent: Vec<_> = (0..30).map(|_| running.raw()).collect();
    let path = running.path();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..80 {
        let path = path.clone();
        asking.spawn(async move { status(&path).await });
    }
    while let Some(told) = asking.join_next().await {
        told.unwrap().unwrap();
    }
    drop(silent);
}

#[tokio::test]
async fn generations_are_listed_the_dead_too() {
    let running = Running::start();
    let (second, listener) = running.directory.listen().unwrap();
    drop(listener);
    let found = generations(&running.path()).await.unwrap();
    assert_eq!(found.len(), 2);
    let (first, dead) = (&found[0], &found[1]);
    assert!(first.current);
    let told = first.status.as_ref().unwrap().as_ref().unwrap();
    assert_eq!(told.generation, 1);
    assert_eq!((dead.generation, dead.current), (second, false));
    assert!(dead.status.is_none());
}

#[tokio::test]
async fn nobody_there_and_no_directory_are_told_apart() {
    let temp = tempfile::tempdir().unwrap();
    let error = status(&temp.path().join("none")).await.unwrap_err();
    assert!(
        error.to_string().contains("there is no control directory"),
        "{error}"
    );
    let empty = temp.path().join("control");
    ControlDirectory::prepare(&empty).unwrap();
    let error = status(&empty).await.unwrap_err();
    assert!(matches!(
        error,
        ControlError::Directory(DirectoryError::Nobody { .. })
    ));
    let opened = ControlDirectory::open(&empty).unwrap();
    assert!(join(&opened).await.unwrap().is_none());
}
