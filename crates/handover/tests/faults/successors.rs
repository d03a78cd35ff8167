//! Successors that are no good: the predecessor serves as before, whoever asked is told why, and the next attempt goes well.

use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_handover::control::UpgradeRequest;
use baton_handover::report::{Outcome, Report};
use rustix::process::Signal;

use crate::harness::{Rules, Server, Started, Traffic, gone, signal};

fn echo() -> Started {
    Server::example("echo").option("boundary-ms", 2000)
}

/// The attempt fails in this phase and for a reason with these words, nobody notices, and the next one goes well.
async fn fails(server: Server, request: UpgradeRequest, phase: &str, words: &[&str]) {
    let traffic = Traffic::echo(server.address(), 2).await;
    let first = server.said(1).await.pid;
    let report = server.upgrade_as(request).await.unwrap();
    failed(&report, phase, words);
    // The log has it too.
    server.logged(&["failed in phase", words[0]]).await;
    server.serves(first).await;
    server
        .wait("only the predecessor is left", || {
            (server.processes() == [first]).then_some(())
        })
        .await;
    traffic.goes_on().await;
    let report = server.upgrade_as(server.request("", &[])).await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    gone(first).await;
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);
}

fn failed(report: &Report, in_phase: &str, words: &[&str]) {
    let Outcome::RolledBack { phase, reason } = &report.outcome else {
        panic!("{}", report.outcome);
    };
    assert_eq!(phase, in_phase, "{reason}");
    for word in words {
        assert!(reason.contains(word), "{reason}");
    }
}

fn program(path: impl Into<PathBuf>, arguments: &[&str]) -> UpgradeRequest {
    UpgradeRequest {
        exec: Some(path.into()),
        arguments: Some(arguments.iter().map(|word| (*word).to_owned()).collect()),
        ..UpgradeRequest::default()
    }
}

fn within(timeout: u64, request: UpgradeRequest) -> UpgradeRequest {
    UpgradeRequest {
        timeout: Some(Duration::from_millis(timeout)),
        ..request
    }
}

/// Writes a file of one's own choice and mode.
fn script(server: &Server, name: &str, text: &[u8], mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = server.home().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_says_nothing() {
    let server = echo().start().await;
    let request = within(300, program("/bin/sleep", &["600"]));
    fails(server, request, "hello", &["not warm before the deadline"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_before_hello() {
    let server = echo().option("timeout-ms", 300).start().await;
    let request = server.request("handover::successor::greeting=sleep(600000)", &[]);
    fails(server, request, "hello", &["not warm before the deadline"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_while_it_warms() {
    let server = echo().option("timeout-ms", 300).start().await;
    let request = server.request("handover::successor::warm=sleep(600000)", &[]);
    fails(server, request, "warm", &["not warm before the deadline"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_amid_the_transfer() {
    let server = echo().option("frozen-ms", 300).start().await;
    let request = server.request("handover::successor::taking=1*off->sleep(600000)", &[]);
    fails(server, request, "transfer", &["before the deadline"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_while_it_opens() {
    let server = echo().option("frozen-ms", 300).start().await;
    let request = server.request("handover::successor::holding=sleep(600000)", &[]);
    let words = ["did not open its exclusives before the deadline"];
    fails(server, request, "acquire", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stands_still_from_outside() {
    let server = echo()
        .variable("LOG", "debug")
        .option("frozen-ms", 300)
        .start()
        .await;
    let traffic = Traffic::echo(server.address(), 2).await;
    let first = server.said(1).await.pid;
    let request = server.request("handover::successor::holding=sleep(200)", &[]);
    let upgrading = server.upgrading(request);
    server.logged(&["now phase=\"holding\""]).await;
    let second = server.other_than(&[first]).await;
    signal(second, Signal::STOP);
    let words = ["did not open its exclusives before the deadline"];
    failed(&upgrading.await.unwrap().unwrap(), "acquire", &words);
    server.serves(first).await;
    traffic.goes_on().await;
    // It cannot end by itself.
    gone(second).await;
    server
        .logged(&["the successor does not end; killing it"])
        .await;
    traffic.stop().await.check(Rules::Unnoticed);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_exits_at_once() {
    let server = echo().start().await;
    let request = program("/bin/false", &[]);
    fails(server, request, "hello", &["died", "exit status: 1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program() {
    let server = echo().start().await;
    let request = program("/bin/cat", &[]);
    fails(server, request, "hello", &["died", "exit status: 0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_with_the_wrong_arguments() {
    let server = echo().start().await;
    let own = server.program().to_owned();
    let request = program(own, &["--nonsense"]);
    fails(server, request, "hello", &["died", "exit status: 2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_panics_when_warm() {
    let server = echo().start().await;
    let request = server.request("handover::successor::warm=panic", &[]);
    fails(server, request, "warm", &["died", "exit status: 101"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_panics_before_it_says_ready() {
    let server = echo().start().await;
    let request = server.request("handover::successor::pledged=panic", &[]);
    fails(server, request, "acquire", &["died", "exit status: 101"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_exits_after_ready() {
    let server = echo().start().await;
    let traffic = Traffic::echo(server.address(), 2).await;
    let first = server.said(1).await.pid;
    let request = server.request("handover::successor::committed=panic", &[]);
    let report = server.upgrade_as(request).await.unwrap();
    let Outcome::TakenBack { reason } = &report.outcome else {
        panic!("{}", report.outcome);
    };
    assert!(reason.contains("exit status: 101"), "{reason}");
    server.serves(first).await;
    traffic.goes_on().await;
    let report = server.upgrade_as(server.request("", &[])).await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_exist() {
    let server = echo().start().await;
    let request = program("/nowhere/at/all", &[]);
    let words = ["cannot start /nowhere/at/all", "No such file"];
    fails(server, request, "hello", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_may_not_be_executed() {
    let server = echo().start().await;
    let path = script(&server, "plain", b"#!/bin/sh\n", 0o644);
    let words = ["cannot start", "ermission denied"];
    fails(server, program(path, &[]), "hello", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_no_program() {
    let server = echo().start().await;
    let path = script(&server, "garbage", b"\x7fELF\x01garbage\0\0", 0o755);
    let report = {
        let report = server.upgrade_as(program(path, &[])).await.unwrap();
        let Outcome::RolledBack { .. } = report.outcome else {
            panic!("{}", report.outcome);
        };
        report
    };
    server.logged(&["failed in phase hello"]).await;
    server.serves(report.from.pid).await;
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_another_name() {
    let server = echo().start().await;
    let request = server.request("", &["--name", "another"]);
    let words = ["\"another\"", "\"echo\""];
    fails(server, request, "hello", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_may_hold_too_few_descriptors() {
    let server = echo().start().await;
    let mut request = server.request("", &[]);
    // `env` runs `prlimit`, which runs the example.
    let arguments = request.arguments.as_mut().unwrap();
    let limit = ["prlimit", "--nofile=12:12"].map(str::to_owned);
    arguments.splice(1..1, limit);
    let words = ["descriptors", "LimitNOFILE"];
    fails(server, request, "hello", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_runs_out_of_descriptors_later() {
    let server = echo().variable("LOG", "debug").start().await;
    let traffic = Traffic::echo(server.address(), 2).await;
    let first = server.said(1).await.pid;
    let mut request = server.request("handover::successor::warm=sleep(600)", &[]);
    let limit = ["prlimit", "--nofile=100:100"].map(str::to_owned);
    request.arguments.as_mut().unwrap().splice(1..1, limit);
    let upgrading = server.upgrading(request);
    server.logged(&["taking: now phase=\"warm\""]).await;
    // When it was asked there were few.
    let more = Traffic::echo(server.address(), 120).await;
    let report = upgrading.await.unwrap().unwrap();
    failed(&report, "transfer", &["too few free descriptors"]);
    let stood_still: Duration = report
        .phases
        .iter()
        .filter(|time| ["freeze", "transfer", "roll-back"].contains(&time.phase.as_str()))
        .map(|time| time.took)
        .sum();
    assert!(stood_still < Duration::from_secs(1), "{report}");
    server.serves(first).await;
    more.goes_on().await;
    more.stop().await.check(Rules::Unnoticed);
    traffic.stop().await.check(Rules::Unnoticed);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_in_a_row_and_the_path_that_was_replaced() {
    // The program is a link, as with `current -> release-1`; a broken release is put back.
    let server = echo().start().await;
    let link = server.home().join("program");
    std::os::unix::fs::symlink("/bin/false", &link).unwrap();
    let arguments: Vec<&str> = server.arguments().iter().map(String::as_str).collect();
    let broken = server.upgrade_as(program(&link, &arguments)).await.unwrap();
    failed(&broken, "hello", &["died"]);
    replace(&link, server.program());
    let report = server.upgrade_as(program(&link, &arguments)).await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    // From then on the link is the path that is started again, whatever it leads to.
    replace(&link, Path::new("/bin/false"));
    let broken = server.upgrade().await.unwrap();
    failed(&broken, "hello", &["died"]);
    replace(&link, server.program());
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
}

fn replace(link: &Path, target: &Path) {
    let new = link.with_extension("new");
    std::os::unix::fs::symlink(target, &new).unwrap();
    std::fs::rename(&new, link).unwrap();
}
