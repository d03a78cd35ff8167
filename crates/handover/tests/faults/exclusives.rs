//! A locked file: borrowers that keep it, a lock that does not come back at once, and children that inherit what they should not.

use std::path::PathBuf;
use std::time::Duration;

use baton_handover::report::Outcome;

use crate::harness::{Http, Server, descriptors, gone, kill, process, within};

async fn server(options: &[(&str, &str)]) -> Server {
    let mut started = Server::example("stateful")
        .variable("LOG", "debug")
        .option("lock", "HOME/lock")
        .option("jam", "HOME/jam")
        .option("release", "HOME/release")
        .option("release-ms", 200);
    for (name, value) in options {
        started = started.option(name, value);
    }
    started.start().await
}

fn file(server: &Server, name: &str) -> PathBuf {
    server.home().join(name)
}

async fn status(server: &Server) -> String {
    let mut client = Http::connect(server.address()).await.unwrap();
    within("an answer", client.get("/")).await.unwrap().body
}

fn holds(server: &Server, pid: u32) -> bool {
    process::has_open(pid, &file(server, "lock"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_borrower_that_keeps_it_holds_the_handover_back() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let mut client = Http::connect(server.address()).await.unwrap();
    let holding = tokio::spawn(async move { client.get("/hold").await });
    server.logged(&["a request waits", "borrowed=true"]).await;
    let report = server.upgrade().await.unwrap();
    let Outcome::RolledBack { phase, reason } = &report.outcome else {
        panic!("{}", report.outcome);
    };
    assert_eq!(phase, "freeze");
    assert!(
        reason.contains("\"lock\" is still in use after 200ms"),
        "{reason}"
    );
    server.serves(first).await;
    assert!(holds(&server, first));
    assert!(status(&server).await.ends_with(&format!("pid {first}")));
    std::fs::write(file(&server, "release"), "").unwrap();
    let answer = within("the borrower's answer", holding)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.body, format!("waited pid {first}"));
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    assert!(holds(&server, report.to.pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_hand_is_told_that_it_is_gone() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let mut client = Http::connect(server.address()).await.unwrap();
    let late = tokio::spawn(async move { client.get("/late").await });
    server.logged(&["a request waits"]).await;
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    std::fs::write(file(&server, "release"), "").unwrap();
    let answer = within("an answer long before the drain's end", late)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.contains("belongs to the next generation"),
        "{answer:?}"
    );
    gone(first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_does_not_come_back_is_tried_again_until_it_does() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    let faults = "handover::successor::holding=sleep(600000)";
    let upgrading = server.upgrading(server.request(faults, &[]));
    server.logged(&["now phase=\"holding\""]).await;
    let second = server.other_than(&[first]).await;
    std::fs::write(file(&server, "jam"), "").unwrap();
    kill(second);
    let report = upgrading.await.unwrap().unwrap();
    let Outcome::NotRestored { reason } = &report.outcome else {
        panic!("{}", report.outcome);
    };
    assert!(reason.contains("jammed"), "{reason}");
    // Whoever needs no lock is served meanwhile, and a second request is not begun on top.
    assert!(status(&server).await.ends_with(&format!("pid {first}")));
    let refused = server.upgrade().await.unwrap_err().to_string();
    assert!(refused.contains("roll-back"), "{refused}");
    assert!(!holds(&server, first));
    std::fs::remove_file(file(&server, "jam")).unwrap();
    server.serves(first).await;
    assert!(holds(&server, first));
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_cannot_lock_is_refused_with_its_words() {
    let server = server(&[]).await;
    let first = server.said(1).await.pid;
    // Somebody else has the other file.
    let other = std::fs::File::create(file(&server, "other")).unwrap();
    other.lock().unwrap();
    let options = ["--lock", &file(&server, "other").display().to_string()].map(str::to_owned);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let report = server
        .upgrade_as(server.request("", &options))
        .await
        .unwrap();
    let Outcome::RolledBack { phase, reason } = &report.outcome else {
        panic!("{}", report.outcome);
    };
    assert_eq!(phase, "acquire");
    assert!(
        reason.contains("cannot open exclusive \"lock\""),
        "{reason}"
    );
    server.serves(first).await;
    assert!(holds(&server, first));
    gone(report.to.pid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grandchildren_get_nothing_and_hold_nothing_up() {
    grandchildren("late").await;
}

/// A program that starts a child before it begins the handover leaves it the channel: the death of either side is seen even so.
#[tokio::test(flavor = "multi_thread")]
async fn grandchildren_with_the_channel_hold_nothing_up() {
    grandchildren("early").await;
}

async fn grandchildren(when: &str) {
    let server = server(&[("grandchild", when)]).await;
    let first = server.said(1).await.pid;
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    let second = report.to.pid;
    gone(first).await;
    assert!(holds(&server, second));
    let children: Vec<u32> = server
        .processes()
        .into_iter()
        .filter(|pid| *pid != second)
        .collect();
    assert_eq!(children.len(), 2, "one of each generation");
    for child in &children {
        // No listener, no channel, no watched process, no lock. (It may have what the tests themselves were started with.)
        let open = descriptors(*child);
        let bad = ["socket:", "anon_inode", "memfd", "/lock"];
        let leaked = |target: &String| bad.iter().any(|bad| target.contains(bad));
        if when == "late" {
            assert!(!open.iter().any(leaked), "{open:?}");
        }
    }
    // The death of a generation is seen though its children live.
    let faults = "handover::successor::warm=sleep(600000)";
    let upgrading = server.upgrading(server.request(faults, &[]));
    server
        .logged_times(2, &["taking: now phase=\"warm\""])
        .await;
    let third = server
        .wait("the third generation", || {
            let text = server.log();
            let line = text
                .lines()
                .rfind(|line| line.contains("started a successor"))?;
            line.split("pid=").nth(1)?.split(' ').next()?.parse().ok()
        })
        .await;
    kill(third);
    let report = tokio::time::timeout(Duration::from_secs(10), upgrading)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(matches!(report.outcome, Outcome::RolledBack { .. }));
    server.serves(second).await;
}
