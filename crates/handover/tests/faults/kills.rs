//! `kill -9` of either side at every phase: nobody is ever refused, connections of the survivor go on, the right one serves.

use baton_handover::report::Outcome;

use crate::harness::{Rules, Server, Traffic, gone, kill};

const STOP: &str = "sleep(600000)";

/// The successor is stopped at a fault point and killed once the log says that it is there.
async fn successor_dies(faults: &str, seen: (usize, &[&str]), after_commit: bool) {
    let server = Server::example("echo")
        .variable("LOG", "debug")
        .option("boundary-ms", 2000)
        .start()
        .await;
    let traffic = Traffic::echo(server.address(), 3).await;
    let first = server.said(1).await;
    let upgrading = server.upgrading(server.request(faults, &[]));
    server.logged_times(seen.0, seen.1).await;
    let second = server.other_than(&[first.pid]).await;
    kill(second);
    let report = upgrading.await.unwrap().unwrap();
    match &report.outcome {
        Outcome::TakenBack { reason } if after_commit => {
            assert!(reason.contains("died"), "{reason}");
        }
        Outcome::RolledBack { reason, .. } if !after_commit => {
            assert!(reason.contains("signal: 9"), "{reason}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(report.to.pid, second, "the report names who died");
    server.serves(first.pid).await;
    traffic.goes_on().await;
    succeeds(&server, first.pid).await;
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);
}

/// Another handover goes well.
async fn succeeds(server: &Server, from: u32) {
    let report = server.upgrade_as(server.request("", &[])).await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    assert_eq!(report.from.pid, from);
    server.serves(report.to.pid).await;
    gone(from).await;
}

macro_rules! successor {
    ($($name:ident: $faults:expr, $times:expr, $seen:expr, $after_commit:expr;)*) => {
        mod successor_killed {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let faults = format!("handover::successor::{}", $faults);
                    successor_dies(&faults, ($times, &$seen), $after_commit).await;
                }
            )*
        }
    };
}

successor! {
    at_hello: format!("greeting={STOP}"), 1, ["now phase=\"greeting\""], false;
    at_offer: format!("receiving={STOP}"), 1, ["now phase=\"receiving\""], false;
    when_warm: format!("warm={STOP}"), 1, ["now phase=\"warm\"", "taking"], false;
    before_the_freeze: format!("taking={STOP}"), 1, ["now phase=\"taking\""], false;
    amid_the_transfer: format!("taking=1*off->{STOP}"), 2, ["now phase=\"taking\""], false;
    while_it_acquires: format!("holding={STOP}"), 1, ["now phase=\"holding\""], false;
    before_it_says_ready: format!("pledged={STOP}"), 1, ["now phase=\"pledged\""], false;
    with_the_commit_unread: format!("waiting={STOP}"), 2, ["now phase=\"commit\""], true;
    with_the_commit_read: format!("owner={STOP}"), 1, ["now phase=\"owner\""], true;
    before_it_serves: format!("committed={STOP}"), 1, ["now phase=\"owner\""], true;
}

/// The predecessor is stopped at a phase and killed; what it had sent by then is the successor's.
async fn predecessor_dies(phase: &str, action: &str, times: usize, rules: Rules) {
    let server = Server::example("echo")
        .variable("LOG", "debug")
        .option("boundary-ms", 2000)
        .fault(&format!("handover::predecessor::{phase}"), action)
        .start()
        .await;
    let traffic = Traffic::echo(server.address(), 3).await;
    let first = server.said(1).await;
    let upgrading = server.upgrading(server.request("", &[]));
    server
        .logged_times(times, &[&format!("now phase=\"{phase}\"")])
        .await;
    kill(first.pid);
    let second = server.said(2).await;
    server.serves(second.pid).await;
    traffic.goes_on().await;
    // The requester learns that the connection broke.
    assert!(upgrading.await.unwrap().is_err());
    succeeds(&server, second.pid).await;
    traffic.goes_on().await;
    traffic.stop().await.check(rules);
}

macro_rules! predecessor {
    ($($name:ident: $phase:expr, $action:expr, $times:expr, $rules:ident;)*) => {
        mod predecessor_killed {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    predecessor_dies($phase, &$action, $times, Rules::$rules).await;
                }
            )*
        }
    };
}

predecessor! {
    before_the_freeze: "freeze", STOP, 1, MayBeCut;
    before_the_transfer: "transfer", STOP, 1, MayBeCut;
    // All connections are with the successor, though it owns none of them yet.
    while_the_successor_acquires: "acquire", STOP, 1, Unnoticed;
    before_the_commit: "commit", STOP, 1, Unnoticed;
    after_the_commit: "commit", format!("1*off->{STOP}"), 2, Unnoticed;
    before_the_drain: "drain", STOP, 1, Unnoticed;
}

/// Before the listeners were sent nobody but the predecessor has them: the successor binds them itself.
async fn predecessor_dies_early(phase: &str) {
    let server = Server::example("echo")
        .variable("LOG", "debug")
        .fault(&format!("handover::predecessor::{phase}"), STOP)
        .start()
        .await;
    let first = server.said(1).await;
    let upgrading = server.upgrading(server.request("", &[]));
    server.logged(&[&format!("now phase=\"{phase}\"")]).await;
    kill(first.pid);
    let second = server
        .wait("a second process serves", || {
            let said = server.all_said();
            said.into_iter().find(|said| said.pid != first.pid)
        })
        .await;
    assert_eq!(second.address, first.address);
    server.serves(second.pid).await;
    assert!(upgrading.await.unwrap().is_err());
    let traffic = Traffic::echo(server.address(), 3).await;
    succeeds(&server, second.pid).await;
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_before_its_offer() {
    predecessor_dies_early("offer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_before_it_sent_the_listeners() {
    predecessor_dies_early("warm").await;
}

/// The successor is slow at some point, and the predecessor dies meanwhile.
async fn predecessor_dies_unseen(point: &str, seen: &str, rules: Rules) {
    let server = Server::example("echo")
        .variable("LOG", "debug")
        .option("boundary-ms", 2000)
        .start()
        .await;
    let traffic = Traffic::echo(server.address(), 3).await;
    let first = server.said(1).await;
    let faults = format!("handover::successor::{point}=1*sleep(300)");
    let upgrading = server.upgrading(server.request(&faults, &[]));
    server.logged(&[seen]).await;
    kill(first.pid);
    let second = server.said(2).await;
    server.serves(second.pid).await;
    traffic.goes_on().await;
    let _ = upgrading.await.unwrap();
    succeeds(&server, second.pid).await;
    traffic.goes_on().await;
    traffic.stop().await.check(rules);
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_while_the_successor_warms() {
    predecessor_dies_unseen("warm", "now phase=\"warm\"", Rules::MayBeCut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_before_the_successor_has_read_everything() {
    // Everything lies in the channel.
    predecessor_dies_unseen("holding", "now phase=\"acquire\"", Rules::Unnoticed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_before_the_successor_has_read_the_commit() {
    predecessor_dies_unseen("waiting", "event=CommitSent(true)", Rules::Unnoticed).await;
}
