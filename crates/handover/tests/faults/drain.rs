//! While an older generation still drains: it takes back what an accident leaves behind, and nothing else; and there are never too many.

use std::path::Path;

use baton_handover::control::{ControlError, UpgradeRequest, roll_back};
use baton_handover::report::Outcome;
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::harness::{Answer, Http, Server, gone, kill, living, process, signal, until, within};

async fn server(options: &[(&str, &str)]) -> Server {
    let mut started = Server::example("stateful")
        .variable("LOG", "debug")
        .option("lock", "HOME/lock")
        .option("jam", "HOME/jam")
        .option("release", "HOME/release");
    for (name, value) in options {
        started = started.option(name, value);
    }
    started.start().await
}

/// A request that is answered once the server finds the file `release`.
async fn wait_for_release(server: &Server) -> JoinHandle<std::io::Result<Answer>> {
    let mut client = Http::connect(server.address()).await.unwrap();
    let lines = server.log().matches("a request waits").count();
    let waiting = tokio::spawn(async move { client.get("/wait").await });
    server.logged_times(lines + 1, &["a request waits"]).await;
    waiting
}

fn release(server: &Server) {
    std::fs::write(server.home().join("release"), "").unwrap();
}

fn pid(answer: &Answer) -> u32 {
    let word = answer.body.split_whitespace().last().unwrap();
    word.parse().unwrap_or_else(|_| panic!("{answer:?}"))
}

async fn served_by(server: &Server) -> u32 {
    let mut client = Http::connect(server.address()).await.unwrap();
    pid(&within("an answer", client.get("/")).await.unwrap())
}

async fn hand_over(server: &Server) -> u32 {
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    server.said(report.to.generation).await;
    report.to.pid
}

fn holds(server: &Server, pid: u32, file: &str) -> bool {
    process::has_open(pid, Path::new(&server.home().join(file)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_killed_meanwhile_is_replaced_by_its_predecessor() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let waiting = wait_for_release(&server).await;
    let second = hand_over(&server).await;
    assert_eq!(served_by(&server).await, second);
    assert!(holds(&server, second, "lock") && !holds(&server, first, "lock"));
    kill(second);
    // Who connects in between waits in the queue; nobody is refused.
    assert_eq!(served_by(&server).await, first);
    server.serves(first).await;
    assert!(holds(&server, first, "lock"));
    server.logged(&["taken back", "signal: 9"]).await;
    let third = hand_over(&server).await;
    assert_eq!(served_by(&server).await, third);
    release(&server);
    let answer = within("the slow answer", waiting).await.unwrap().unwrap();
    assert_eq!(pid(&answer), first);
    gone(first).await;
    assert!(holds(&server, third, "lock"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_hands_over_and_ends_is_not_replaced() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let waiting = wait_for_release(&server).await;
    let second = hand_over(&server).await;
    let third = hand_over(&server).await;
    gone(second).await;
    // The first has heard of it by the time it answers.
    release(&server);
    let answer = within("the slow answer", waiting).await.unwrap().unwrap();
    assert_eq!(pid(&answer), first);
    gone(first).await;
    assert_eq!(served_by(&server).await, third);
    server.serves(third).await;
    assert!(!server.log().contains("taken back"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_is_told_to_stop_is_not_replaced() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let waiting = wait_for_release(&server).await;
    let second = hand_over(&server).await;
    signal(second, Signal::TERM);
    gone(second).await;
    release(&server);
    let answer = within("the slow answer", waiting).await.unwrap().unwrap();
    assert_eq!(pid(&answer), first);
    // There is nobody left to move to, and the client is told.
    assert!(answer.last);
    gone(first).await;
    assert!(!server.log().contains("taken back"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_predecessor_killed_meanwhile_takes_only_its_own_along() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let waiting = wait_for_release(&server).await;
    let mut moved = Http::connect(server.address()).await.unwrap();
    moved.get("/").await.unwrap();
    let second = hand_over(&server).await;
    kill(first);
    assert!(waiting.await.unwrap().is_err());
    assert_eq!(pid(&moved.get("/").await.unwrap()), second);
    assert_eq!(served_by(&server).await, second);
    let third = hand_over(&server).await;
    assert_eq!(pid(&moved.get("/").await.unwrap()), third);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_those_that_drain_is_bounded() {
    let server = server(&[("max-draining", "2")]).await;
    let mut pids = vec![server.said(1).await.pid];
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(wait_for_release(&server).await);
        pids.push(hand_over(&server).await);
    }
    let last = *pids.last().unwrap();
    let refused = server.upgrade().await;
    let Err(ControlError::Refused { reason, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        reason.contains("2 older generations still drain (1, 2)"),
        "{reason}"
    );
    assert!(reason.contains("the limit is 2"), "{reason}");
    server.serves(last).await;
    release(&server);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().unwrap().status, 200);
    }
    gone(pids[0]).await;
    gone(pids[1]).await;
    let next = hand_over(&server).await;
    assert_eq!(served_by(&server).await, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_at_its_deadline() {
    let server = server(&[("drain-ms", "300")]).await;
    let first = server.said(1).await.pid;
    let waiting = wait_for_release(&server).await;
    let second = hand_over(&server).await;
    gone(first).await;
    server.logged(&["drain's deadline", "1 http"]).await;
    assert!(waiting.await.unwrap().is_err());
    assert_eq!(served_by(&server).await, second);
}

fn staged() -> UpgradeRequest {
    UpgradeRequest {
        staged: true,
        ..UpgradeRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_sleeps_is_woken_and_serves_when_the_other_stops() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let report = server.upgrade_as(staged()).await.unwrap();
    assert!(report.staged);
    let second = report.to.pid;
    assert_eq!(served_by(&server).await, second);
    assert!(living(first));
    // A third would not know whom to wake.
    let refused = server.upgrade().await.unwrap_err().to_string();
    assert!(refused.contains("generation 1 sleeps"), "{refused}");
    roll_back(&server.control_dir(), 1).await.unwrap();
    until("the first accepts too", || {
        server.log().contains("phase=\"awake\"").then_some(())
    })
    .await;
    signal(second, Signal::TERM);
    gone(second).await;
    server.serves(first).await;
    assert_eq!(served_by(&server).await, first);
    assert!(holds(&server, first, "lock"));
    let third = hand_over(&server).await;
    assert_eq!(served_by(&server).await, third);
    gone(first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_sleeps_serves_when_the_other_is_killed() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let second = server.upgrade_as(staged()).await.unwrap().to.pid;
    assert_eq!(served_by(&server).await, second);
    kill(second);
    assert_eq!(served_by(&server).await, first);
    server.serves(first).await;
    assert!(holds(&server, first, "lock"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_sleeps_ends_when_it_is_told() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let second = server.upgrade_as(staged()).await.unwrap().to.pid;
    signal(first, Signal::TERM);
    gone(first).await;
    server.serves(second).await;
    let third = hand_over(&server).await;
    assert_eq!(served_by(&server).await, third);
}
