//! Process 1 of a pid namespace, whose end is the end of everything in it.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::server::example;
use crate::harness::{Http, Server, signal};

const UNSHARE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

/// Whether this user may make a pid namespace; says so if not.
fn may_unshare() -> bool {
    let mut command = Command::new(UNSHARE[0]);
    command.args(&UNSHARE[1..]).arg("true");
    let may = command
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: no right to make a pid namespace");
    }
    may
}

/// The children of a process, as seen from here.
fn children(pid: u32) -> Vec<u32> {
    // The kernel lists them by the thread that started them.
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let lists = tasks.into_iter().flatten().filter_map(|task| {
        let list = std::fs::read_to_string(task.ok()?.path().join("children")).ok()?;
        let pids = list.split_whitespace().map(|pid| pid.parse().unwrap());
        Some(pids.collect::<Vec<u32>>())
    });
    lists.flatten().collect()
}

/// The process that `unshare`, the server's first child, has made process 1.
async fn process_one(server: &Server) -> u32 {
    let unshare = server.launched();
    server
        .wait("process 1", || children(unshare).first().copied())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_is_process_1_stays_for_those_after_it() {
    if !may_unshare() {
        return;
    }
    let mut server = Server::example("web").under(&UNSHARE).start().await;
    let unshare = server.launched();
    let one = process_one(&server).await;
    assert_eq!(server.said(1).await.pid, 1);
    let mut client = Http::connect(server.address()).await.unwrap();
    for generation in 2..=4 {
        // Signals always go to process 1: `docker kill` knows no other.
        signal(one, Signal::USR2);
        server.said(generation).await;
        let answer = client.get("/").await.unwrap();
        assert!(
            answer.body.contains(&format!("generation {generation}")),
            "{answer:?}"
        );
        assert!(!answer.last);
        // Until it is a shell, process 1 answers a signal itself: a handover runs.
        server.logged(&["this process stays"]).await;
    }
    // Whoever has handed over is reaped.
    server
        .wait("one child of process 1", || {
            (children(one).len() == 1).then_some(())
        })
        .await;
    drop(client);
    signal(one, Signal::TERM);
    let status = server.exit_status(unshare).await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn process_1_ends_as_the_last_generation_does() {
    if !may_unshare() {
        return;
    }
    let mut server = Server::example("web").under(&UNSHARE).start().await;
    let unshare = server.launched();
    let one = process_one(&server).await;
    signal(one, Signal::USR2);
    server.said(2).await;
    server
        .logged(&["this process stays as long as its successor"])
        .await;
    let [successor] = children(one)[..] else {
        panic!("one child");
    };
    signal(successor, Signal::KILL);
    // As a shell has it; and `unshare` hands it on.
    assert_eq!(server.exit_status(unshare).await.code(), Some(137));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_process_1_stays_the_same() {
    if !may_unshare() {
        return;
    }
    let holder = example("holder").display().to_string();
    let mut words = UNSHARE.to_vec();
    words.extend([&holder, "--control-dir", "HOME/control", "--"]);
    let mut server = Server::example("web").under(&words).start().await;
    let unshare = server.launched();
    let one = process_one(&server).await;
    let mut client = Http::connect(server.address()).await.unwrap();
    for generation in 2..=3 {
        signal(one, Signal::HUP);
        server.said(generation).await;
        let answer = client.get("/").await.unwrap();
        assert!(
            answer.body.contains(&format!("generation {generation}")),
            "{answer:?}"
        );
        server
            .wait("one child of process 1", || {
                (children(one).len() == 1).then_some(())
            })
            .await;
    }
    // By itself, without the holder: the next generation is nobody's child but process 1's in the end.
    signal(children(one)[0], Signal::USR2);
    server.said(4).await;
    server.logged(&["following it"]).await;
    assert!(client.get("/").await.unwrap().body.contains("generation 4"));
    drop(client);
    signal(one, Signal::TERM);
    let status = server.exit_status(unshare).await;
    assert!(status.success(), "{status}");
}
