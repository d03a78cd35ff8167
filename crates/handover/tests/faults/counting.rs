//! A counter in a database that only one process can open: no count is lost or given twice, whoever is killed when.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_handover::control::UpgradeRequest;
use baton_handover::report::Outcome;
use tokio::task::JoinHandle;

use crate::harness::{Answer, Http, Server, gone, kill, process, until, within};

const STOP: &str = "sleep(600000)";

/// What clients were told.
#[derive(Default)]
struct Told {
    counts: Vec<u64>,
    /// Requests of which nobody knows whether they were counted: sent, and not answered.
    unknown: u64,
    /// Answers that say that it was not counted, in words.
    failed: Vec<String>,
}

impl Told {
    fn hear(&mut self, answer: &Answer) {
        let count = answer.body.split_whitespace().next();
        match count.and_then(|count| count.parse().ok()) {
            Some(count) if answer.status == 200 => self.counts.push(count),
            _ => self.failed.push(format!("{answer:?}")),
        }
    }
}

/// Clients that count all the time, each over a connection that it keeps if it can.
struct Counting {
    stop: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Counting {
    async fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::new(Mutex::new(Told::default()));
        let tasks = (0..3)
            .map(|_| tokio::spawn(count(address, Arc::clone(&stop), Arc::clone(&told))))
            .collect();
        let this = Self { stop, told, tasks };
        this.goes_on().await;
        this
    }

    fn answers(&self) -> usize {
        self.told.lock().unwrap().counts.len()
    }

    async fn goes_on(&self) {
        let enough = self.answers() + 10;
        until("the counter counts", || {
            (self.answers() >= enough).then_some(())
        })
        .await;
    }

    /// Each count was given once; those that are missing are no more than those that nobody knows of.
    async fn check(self, may_be_cut: bool) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        let told = self.told.lock().unwrap();
        assert!(told.failed.is_empty(), "{:?}", told.failed);
        let distinct: BTreeSet<u64> = told.counts.iter().copied().collect();
        assert_eq!(distinct.len(), told.counts.len(), "a count was given twice");
        let highest = distinct.last().copied().unwrap();
        let missing = highest - distinct.len() as u64;
        assert!(
            missing <= told.unknown,
            "{missing} of {highest} counts are missing, {} requests have no answer",
            told.unknown
        );
        if !may_be_cut {
            assert_eq!(told.unknown, 0, "requests without an answer");
        }
    }
}

async fn count(address: SocketAddr, stop: Arc<AtomicBool>, told: Arc<Mutex<Told>>) {
    while !stop.load(Ordering::SeqCst) {
        let mut client = Http::connect(address).await.expect("nobody is refused");
        while !stop.load(Ordering::SeqCst) {
            let answer = within("an answer of the counter", client.get("/")).await;
            let Ok(answer) = answer else {
                told.lock().unwrap().unknown += 1;
                break;
            };
            told.lock().unwrap().hear(&answer);
            if answer.last {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The processes that have the database open.
fn holders(server: &Server) -> Vec<u32> {
    let file = database(server);
    let mut all = server.processes();
    all.retain(|pid| process::has_open(*pid, &file));
    all
}

fn database(server: &Server) -> PathBuf {
    server.home().join("control.redb")
}

async fn counter() -> Server {
    Server::example("counter")
        .variable("LOG", "debug")
        .option("boundary-ms", 2000)
        .option("poison", "HOME/poison")
        .start()
        .await
}

async fn held_by(server: &Server, pid: u32) {
    server
        .wait(&format!("{pid} alone holds the database"), || {
            let holders = holders(server);
            assert!(holders.len() < 2, "two hold the database: {holders:?}");
            (holders == [pid]).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_go_on_over_many_handovers() {
    let server = counter().await;
    let counting = Counting::start(server.address()).await;
    for generation in 1..=6 {
        let report = server.upgrade().await.unwrap();
        assert_eq!(report.outcome, Outcome::HandedOver);
        assert_eq!(report.from.generation, generation);
        assert_eq!(report.exclusives.len(), 1);
        held_by(&server, report.to.pid).await;
        counting.goes_on().await;
    }
    counting.check(false).await;
}

/// The successor is killed at a fault point; the predecessor has the database again and loses nothing.
async fn successor_dies(faults: &str, times: usize, seen: &str) {
    let server = counter().await;
    let counting = Counting::start(server.address()).await;
    let first = server.said(1).await.pid;
    let request = server.request(&format!("handover::successor::{faults}"), &[]);
    let upgrading = server.upgrading(request);
    server.logged_times(times, &[seen]).await;
    let second = server.other_than(&[first]).await;
    assert!(holders(&server).len() < 2);
    kill(second);
    let report = upgrading.await.unwrap().unwrap();
    assert!(
        matches!(
            report.outcome,
            Outcome::RolledBack { .. } | Outcome::TakenBack { .. }
        ),
        "{}",
        report.outcome
    );
    held_by(&server, first).await;
    counting.goes_on().await;
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    held_by(&server, report.to.pid).await;
    counting.goes_on().await;
    gone(first).await;
    counting.check(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn successor_killed_while_warm() {
    successor_dies(&format!("warm={STOP}"), 1, "now phase=\"warm\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn successor_killed_before_it_opens_the_database() {
    successor_dies(&format!("holding={STOP}"), 1, "now phase=\"holding\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn successor_killed_with_the_database_open() {
    successor_dies(&format!("pledged={STOP}"), 1, "now phase=\"pledged\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn successor_killed_with_the_commit_unread() {
    successor_dies(&format!("waiting={STOP}"), 2, "now phase=\"commit\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn successor_killed_before_it_serves() {
    successor_dies(&format!("committed={STOP}"), 1, "now phase=\"owner\"").await;
}

/// It may not go on living with the database open: the predecessor ends it before it opens the database itself.
#[tokio::test(flavor = "multi_thread")]
async fn successor_that_hangs_with_the_database_open() {
    let server = Server::example("counter")
        .variable("LOG", "debug")
        .option("boundary-ms", 2000)
        .option("frozen-ms", 300)
        .start()
        .await;
    let counting = Counting::start(server.address()).await;
    let first = server.said(1).await.pid;
    let faults = format!("handover::successor::pledged={STOP}");
    let upgrading = server.upgrading(server.request(&faults, &[]));
    server.logged(&["now phase=\"pledged\""]).await;
    let second = server.other_than(&[first]).await;
    assert_eq!(holders(&server), [second]);
    let report = upgrading.await.unwrap().unwrap();
    let Outcome::RolledBack { phase, .. } = &report.outcome else {
        panic!("{}", report.outcome);
    };
    assert_eq!(phase, "acquire");
    server
        .logged(&["the successor does not let go; killing it"])
        .await;
    gone(second).await;
    held_by(&server, first).await;
    counting.goes_on().await;
    counting.check(false).await;
}

/// The predecessor is killed at a phase; the successor opens the database, which the kernel has freed.
async fn predecessor_dies(phase: &str, action: &str, times: usize) {
    let server = Server::example("counter")
        .variable("LOG", "debug")
        .option("boundary-ms", 2000)
        .fault(&format!("handover::predecessor::{phase}"), action)
        .start()
        .await;
    let counting = Counting::start(server.address()).await;
    let first = server.said(1).await.pid;
    let upgrading = server.upgrading(server.request("", &[]));
    server
        .logged_times(times, &[&format!("now phase=\"{phase}\"")])
        .await;
    assert!(holders(&server).len() < 2);
    kill(first);
    assert!(upgrading.await.unwrap().is_err());
    let second = server.said(2).await.pid;
    held_by(&server, second).await;
    counting.goes_on().await;
    let report = server.upgrade_as(server.request("", &[])).await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    held_by(&server, report.to.pid).await;
    counting.goes_on().await;
    counting.check(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_before_it_released() {
    predecessor_dies("freeze", STOP, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_after_it_released() {
    predecessor_dies("transfer", STOP, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_while_the_successor_opens() {
    predecessor_dies("acquire", STOP, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_before_the_commit() {
    predecessor_dies("commit", STOP, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predecessor_killed_after_the_commit() {
    predecessor_dies("commit", &format!("1*off->{STOP}"), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_open_is_a_reason_to_stay() {
    let server = counter().await;
    let counting = Counting::start(server.address()).await;
    let first = server.said(1).await.pid;
    let poison = server.home().join("poison");
    std::fs::write(&poison, "").unwrap();
    for _ in 0..3 {
        let report = server.upgrade().await.unwrap();
        let Outcome::RolledBack { phase, reason } = &report.outcome else {
            panic!("{}", report.outcome);
        };
        assert_eq!(phase, "acquire");
        assert!(reason.contains("the poison file exists"), "{reason}");
        held_by(&server, first).await;
        counting.goes_on().await;
    }
    server
        .logged(&["failed in phase acquire", "the poison file exists"])
        .await;
    std::fs::remove_file(&poison).unwrap();
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    held_by(&server, report.to.pid).await;
    counting.check(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_leaves_all_as_before_and_finds_what_would_fail() {
    let server = counter().await;
    let counting = Counting::start(server.address()).await;
    let first = server.said(1).await.pid;
    let poison = server.home().join("poison");
    let rehearsal = UpgradeRequest {
        dry_run: true,
        ..UpgradeRequest::default()
    };
    for _ in 0..3 {
        let report = server.upgrade_as(rehearsal.clone()).await.unwrap();
        assert_eq!(report.outcome, Outcome::Rehearsed);
        held_by(&server, first).await;
        gone(report.to.pid).await;
        counting.goes_on().await;
    }
    std::fs::write(&poison, "").unwrap();
    let report = server.upgrade_as(rehearsal.clone()).await.unwrap();
    assert!(matches!(report.outcome, Outcome::RolledBack { .. }));
    held_by(&server, first).await;
    let status = server.serves(first).await;
    assert_eq!(status.generation, 1);
    assert_eq!(server.all_said().len(), 1, "nobody else ever served");
    assert_eq!(server.processes(), [first]);
    counting.check(false).await;
}
