//! A supervisor that outlives its generations.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use baton_handover::report::{Began, Outcome};
use baton_handover::{Candidate, Holder, HolderError, Introducing};
use rustix::process::Signal;

use crate::harness::server::{FAULTS, example};
use crate::harness::{Rules, Server, Traffic, gone, kill, living, signal, until, within};

/// A server whose holder is the library in this test's process.
fn command(server: &Server) -> Command {
    let mut command = Command::new(server.program());
    command.args(server.arguments());
    command.stdout(
        File::options()
            .append(true)
            .create(true)
            .open(server.home().join("said"))
            .unwrap(),
    );
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn it_replaces_what_it_holds_and_ends_with_the_last() {
    let server = Server::example("echo").prepare();
    let holder = Holder::new(server.control_dir()).unwrap();
    let first = within("the start", holder.start(command(&server)))
        .await
        .unwrap();
    assert_eq!(holder.serving(), Some(first));
    let traffic = Traffic::echo(server.said(1).await.address, 3).await;

    for generation in 2..=4 {
        let before = holder.serving().unwrap();
        let replaced = within("the handover", holder.replace(command(&server))).await;
        let report = replaced.unwrap();
        assert_eq!(report.began, Began::Held);
        assert_eq!(report.outcome, Outcome::HandedOver);
        assert_eq!(report.to.generation, generation);
        assert_eq!(holder.serving(), Some(report.to.pid));
        gone(before).await;
    }
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);

    let last = holder.serving().unwrap();
    holder.signal(Signal::TERM.as_raw()).await.unwrap();
    let status = within("the end", holder.ended()).await.unwrap();
    assert!(status.success(), "{status}");
    assert!(
        !Path::new(&format!("/proc/{last}")).exists(),
        "it is reaped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_fails_is_reaped_and_the_old_one_goes_on() {
    let server = Server::example("echo").prepare();
    let holder = Holder::new(server.control_dir()).unwrap();
    let first = holder.start(command(&server)).await.unwrap();
    let traffic = Traffic::echo(server.said(1).await.address, 3).await;

    let mut wrong = Command::new("sh");
    wrong.args(["-c", "exit 7"]);
    let error = within("the failure", holder.replace(wrong))
        .await
        .unwrap_err();
    assert!(matches!(error, HolderError::Failed(_)), "{error}");
    // It says hello, and is of another name.
    let mut other = command(&server);
    other.args(["--name", "other"]);
    let error = within("the failure", holder.replace(other))
        .await
        .unwrap_err();
    let HolderError::Failed(report) = error else {
        panic!("{error}");
    };
    assert!(matches!(report.outcome, Outcome::RolledBack { .. }));
    assert!(
        !Path::new(&format!("/proc/{}", report.to.pid)).exists(),
        "it is reaped"
    );

    assert_eq!(holder.serving(), Some(first));
    traffic.goes_on().await;
    let report = within("the handover", holder.replace(command(&server)))
        .await
        .unwrap();
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);
    holder.signal(Signal::TERM.as_raw()).await.unwrap();
    within("the end", holder.ended()).await.unwrap();
    assert!(!living(report.to.pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_whose_predecessor_dies_serves_without_a_report() {
    let server = Server::example("echo").prepare();
    let holder = Holder::new(server.control_dir()).unwrap();
    let mut stuck = command(&server);
    stuck.env(FAULTS, "handover::predecessor::warm=sleep(60000)");
    let log = server.home().join("stuck");
    stuck
        .env("LOG", "debug")
        .stderr(File::create(&log).unwrap());
    let first = holder.start(stuck).await.unwrap();
    let replacing = tokio::spawn({
        let (holder, next) = (holder.clone(), command(&server));
        async move { holder.replace(next).await }
    });
    until("the predecessor is stuck", || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        log.contains("now phase=\"warm\"").then_some(())
    })
    .await;
    // Only one at a time.
    let error = holder.replace(command(&server)).await.unwrap_err();
    assert!(matches!(error, HolderError::Busy), "{error}");
    kill(first);
    let replaced = within("the successor serves", replacing).await.unwrap();
    let error = replaced.unwrap_err();
    let HolderError::Unreported { pid, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(holder.serving(), Some(pid));
    server.serves(pid).await;
    holder.signal(Signal::TERM.as_raw()).await.unwrap();
    let status = within("the end", holder.ended()).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_that_the_generation_makes_by_itself_is_followed() {
    let server = Server::example("echo").prepare();
    let holder = Holder::new(server.control_dir()).unwrap();
    let first = holder.start(command(&server)).await.unwrap();
    signal(first, Signal::USR2);
    let second = server.said(2).await;
    gone(first).await;
    let ended = tokio::spawn({
        let holder = holder.clone();
        async move { holder.ended().await }
    });
    server.serves(second.pid).await;
    // Told through the holder, which has not started it.
    holder.signal(Signal::TERM.as_raw()).await.unwrap();
    within("the end of what was followed", ended).await.unwrap();
    assert!(!living(second.pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_takes_the_next_version_and_ends_as_the_last_one_does() {
    let mut server = Server::example("echo").prepare();
    // What is held is a script that stands for an installed executable.
    install(server.home(), "exec \"$@\"");
    let mut command = Command::new(example("holder"));
    command.arg("--control-dir").arg(server.control_dir());
    command.arg("--").arg(server.home().join("current"));
    command.arg(server.program()).args(server.arguments());
    let holder = server.launch_command(command, &[]);
    let first = server.said(1).await;
    let traffic = Traffic::echo(first.address, 3).await;

    install(server.home(), "exit 3");
    signal(holder, Signal::HUP);
    printed(&server, "failed in phase").await;
    traffic.goes_on().await;

    install(server.home(), "exec \"$@\"");
    signal(holder, Signal::HUP);
    printed(&server, "handed over").await;
    gone(first.pid).await;
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);

    signal(holder, Signal::TERM);
    assert!(server.exit_status(holder).await.success());
    assert_eq!(server.processes(), Vec::<u32>::new());
}

async fn printed(server: &Server, text: &str) {
    let file = server.home().join("said");
    server
        .wait(text, || {
            let said = std::fs::read_to_string(&file).unwrap_or_default();
            said.contains(text).then_some(())
        })
        .await;
}

fn install(home: &Path, what: &str) {
    let aside = home.join("next");
    std::fs::write(&aside, format!("#!/bin/sh\n{what}\n")).unwrap();
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(aside, home.join("current")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_with_ways_of_its_own_introduces_what_it_has_started() {
    let server = Server::example("echo").prepare();
    let mut command = command(&server);
    command.env("BATON_HELD", "1");
    let mut first = command.spawn().unwrap();
    let traffic = Traffic::echo(server.said(1).await.address, 3).await;

    for (dry_run, outcome) in [(true, Outcome::Rehearsed), (false, Outcome::HandedOver)] {
        let mut command = self::command(&server);
        let candidate = Candidate::prepare(&mut command).unwrap();
        let child = command.spawn().unwrap();
        drop(command);
        let terms = Introducing {
            dry_run,
            ..Introducing::default()
        };
        let directory = server.control_dir();
        let introduced = candidate.introduce(directory.as_ref(), child.id(), terms, |_| {});
        let report = within("the handover", introduced).await.unwrap();
        assert_eq!(report.outcome, outcome);
        assert_eq!(report.began, Began::Held);
        traffic.goes_on().await;
        let mut ended = if dry_run {
            child
        } else {
            std::mem::replace(&mut first, child)
        };
        until("the end of the one that is not needed", || {
            ended.try_wait().unwrap()
        })
        .await;
    }
    traffic.stop().await.check(Rules::Unnoticed);
    signal(first.id(), Signal::TERM);
    assert!(first.wait().unwrap().success());
}
