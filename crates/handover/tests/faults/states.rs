//! States of all sizes and schemas.

use std::time::Duration;

use baton_handover::control::UpgradeRequest;
use baton_handover::report::{Outcome, Report};

use crate::harness::{Http, Server, within};

/// What a generation tells of its state.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    length: u64,
    sum: u64,
    written: u64,
    pid: u32,
}

async fn told(server: &Server) -> Told {
    let mut client = Http::connect(server.address()).await.unwrap();
    let answer = within("an answer", client.get("/")).await.unwrap();
    let words: Vec<&str> = answer.body.split_whitespace().collect();
    let number = |at: usize| words[at].parse().unwrap();
    Told {
        length: number(1),
        sum: number(3),
        written: number(5),
        pid: u32::try_from(number(7)).unwrap(),
    }
}

async fn moves_whole(bytes: u64, times: usize) {
    let server = Server::example("stateful")
        .option("bytes", bytes)
        .start()
        .await;
    let before = told(&server).await;
    assert_eq!(before.length, bytes);
    for _ in 0..times {
        let report = server.upgrade().await.unwrap();
        assert_eq!(report.outcome, Outcome::HandedOver);
        assert_eq!(report.states.len(), 1);
        assert_eq!(report.states[0].bytes, bytes);
        server.said(report.to.generation).await;
        let after = told(&server).await;
        assert_eq!((after.length, after.sum), (before.length, before.sum));
        assert_eq!(after.pid, report.to.pid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing() {
    moves_whole(0, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_more_than_a_packet() {
    moves_whole(64 * 1024 + 1, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_mebibytes() {
    moves_whole(100 * 1024 * 1024, 1).await;
}

fn refused(report: &Report) -> &str {
    let Outcome::RolledBack { phase, reason } = &report.outcome else {
        panic!("{}", report.outcome);
    };
    // Before the freeze: nothing stood still for a moment.
    assert_eq!(phase, "hello");
    let phases: Vec<&str> = report
        .phases
        .iter()
        .map(|time| time.phase.as_str())
        .collect();
    assert!(!phases.contains(&"freeze"), "{phases:?}");
    assert_eq!(report.pause, None);
    reason
}

/// A successor of another schema is refused before anything is frozen; `takes` is what it would have to be.
async fn another_schema(own: &str, others: &str, words: &str, takes: &str) {
    let server = Server::example("stateful")
        .variable("LOG", "debug")
        .option("schema", own)
        .option("bytes", 1000)
        .start()
        .await;
    let before = told(&server).await;
    let request = server.request("", &["--schema", others]);
    for _ in 0..2 {
        let report = server.upgrade_as(request.clone()).await.unwrap();
        assert!(refused(&report).contains(words), "{}", report.outcome);
    }
    // No state was written, and the log knows no freeze.
    assert_eq!(told(&server).await, before);
    assert_eq!(before.written, 0);
    assert!(!server.log().contains("now phase=\"freeze\""));
    let request = server.request("", &["--schema", takes]);
    let report = server.upgrade_as(request).await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    server.said(2).await;
    let after = told(&server).await;
    assert_eq!((after.length, after.sum), (before.length, before.sum));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_too_new() {
    let words =
        "state \"blob\": the predecessor writes versions 1 to 1, the successor reads 3 to 3";
    another_schema("1:1", "3:3", words, "2:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_too_old() {
    let words =
        "state \"blob\": the predecessor writes versions 2 to 2, the successor reads 1 to 1";
    another_schema("2:2", "1:1", words, "2:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downgrade_to_what_the_newer_still_writes() {
    let server = Server::example("stateful")
        .option("schema", "2:1")
        .option("bytes", 1000)
        .start()
        .await;
    let before = told(&server).await;
    let request = server.request("", &["--schema", "1:1"]);
    let report = server.upgrade_as(request).await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    assert_eq!(report.states[0].version, 1);
    server.said(2).await;
    assert_eq!(told(&server).await.sum, before.sum);
    // And up again.
    let request = server.request("", &["--schema", "2:1"]);
    let report = server.upgrade_as(request).await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    server.said(3).await;
    assert_eq!(told(&server).await.sum, before.sum);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_its_predecessor_lost_is_not_made_up() {
    // The predecessor dies before the state is written: the successor begins with its own.
    let server = Server::example("stateful")
        .variable("LOG", "debug")
        .option("bytes", 1000)
        .fault("handover::predecessor::freeze", "sleep(600000)")
        .start()
        .await;
    let first = server.said(1).await.pid;
    let request = UpgradeRequest {
        timeout: Some(Duration::from_secs(10)),
        ..server.request("", &["--bytes", "7"])
    };
    let upgrading = server.upgrading(request);
    server.logged(&["now phase=\"freeze\""]).await;
    crate::harness::kill(first);
    assert!(upgrading.await.unwrap().is_err());
    let second = server.said(2).await.pid;
    let told = told(&server).await;
    assert_eq!((told.length, told.pid), (7, second));
}
