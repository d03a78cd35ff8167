//! How a node is stopped, and what is left of its data.

use std::fs;

use crate::common::{Home, files, until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

#[test]
fn term_and_int_flush_first() {
    for (sdk, signal, code) in [
        ("0.50", Signal::TERM, 0),
        ("0.50", Signal::INT, 0),
        ("0.47", Signal::TERM, 143),
        ("0.47", Signal::INT, 130),
    ] {
        let home = Home::new("");
        let mut node = home.start("genesis", &["--sdk", sdk, "--stop-delay", "10ms"]);
        node.reaches(1);
        node.signal(signal);
        node.ends_with(code);
        assert!(home.read("stdout").ends_with("Flushed\n"));
    }
    let home = Home::new("exit-on-term = 7");
    let mut node = home.start("genesis", &[]);
    node.reaches(1);
    node.signal(Signal::TERM);
    node.ends_with(7);
}

#[test]
fn other_signals_are_told_and_term_can_be_ignored() {
    let home = Home::new("ignore-term = true");
    let mut node = home.start("genesis", &[]);
    node.reaches(1);
    for (signal, name) in [
        (Signal::HUP, "SIGHUP"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::WINCH, "SIGWINCH"),
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
    ] {
        node.signal(signal);
        node.says(&format!("received signal signal={name}\n"));
    }
    node.says("ignoring signal signal=SIGINT");
    assert!(node.is_running());
    assert_eq!(home.events("signal").len(), 6);
    node.signal(Signal::QUIT);
    node.ends_with(2);
}

#[test]
fn a_kill_at_any_moment_is_survived() {
    let home = Home::new("block-time = '1ms'\nsst-every = 2\nkeep-blocks = 20");
    let mut last = 0;
    for round in 0..25 {
        let mut node = home.start("genesis", &[]);
        node.reaches(last + 1 + round % 3);
        node.signal(Signal::KILL);
        node.ends();
        let verified = home.run("genesis", &["verify"]);
        assert!(verified.status.success(), "round {round}: {verified:?}");
        let told: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
        let height = told["app_height"].as_u64().unwrap();
        assert!(height > last, "round {round} lost committed blocks");
        last = height;
    }
    assert!(files(&home.path("data")).len() < 60);
}

#[test]
fn a_store_that_tears_needs_term() {
    let home = Home::new("tear-on-kill = true");
    let mut node = home.start("genesis", &[]);
    node.reaches(3);
    node.stop();
    let mut node = home.start("genesis", &[]);
    node.reaches(6);
    node.signal(Signal::KILL);
    node.ends();
    let stderr = home.start("genesis", &[]).ends_with(1);
    assert!(stderr.contains("store version mismatch"), "{stderr}");
}

#[test]
fn two_at_once_are_refused() {
    let home = Home::new("");
    let mut first = home.start("genesis", &[]);
    first.reaches(1);
    let second = home.run("genesis", &["start"]);
    assert_eq!(second.status.code(), Some(1));
    let stderr = String::from_utf8(second.stderr).unwrap();
    assert!(
        stderr.contains(&format!("another process ({})", first.pid())),
        "{stderr}"
    );
    assert!(first.is_running());
    first.stop();
    home.start("genesis", &[]).reaches(2);
}

#[test]
fn damage_is_noticed_at_start() {
    let home = Home::new("block-time = '2ms'\nsst-every = 3");
    let mut node = home.start("genesis", &[]);
    node.reaches(20);
    node.stop();
    let tables = files(&home.path("data")).into_iter();
    let tables: Vec<_> = tables
        .filter(|path| path.extension().is_some_and(|e| e == "ldb" || e == "sst"))
        .collect();
    assert!(tables.len() >= 6, "{tables:?}");
    let victim = tables.last().unwrap();
    let bytes = fs::read(victim).unwrap();
    fs::remove_file(victim).unwrap();
    let stderr = home.start("genesis", &[]).ends_with(1);
    assert!(stderr.contains("store version mismatch"), "{stderr}");
    assert!(
        stderr.contains(victim.file_name().unwrap().to_str().unwrap()),
        "{stderr}"
    );
    fs::write(victim, bytes).unwrap();
    home.start("genesis", &[]).reaches(22);
}

#[test]
fn a_grandchild_outlives_the_node_and_writes() {
    let home = Home::new("");
    for (kind, survives_term) in [("plain", false), ("stubborn", true)] {
        let mut node = home.start("genesis", &[&format!("--grandchild={kind}")]);
        node.reaches(1);
        let event = until("a grandchild", || home.events("grandchild").pop());
        let number = i32::try_from(event["child"].as_i64().unwrap()).unwrap();
        let pid = Pid::from_raw(number).unwrap();
        node.stop();
        let log = home.path("data/grandchild.log");
        let size = fs::metadata(&log).map_or(0, |meta| meta.len());
        until("more writing", || {
            (fs::metadata(&log).ok()?.len() > size).then_some(())
        });
        kill_process(pid, Signal::TERM).unwrap();
        if survives_term {
            let size = fs::metadata(&log).unwrap().len();
            until("more writing", || {
                (fs::metadata(&log).ok()?.len() > size + 30).then_some(())
            });
            kill_process(pid, Signal::KILL).unwrap();
        }
        // whoever adopts orphans here may leave it a zombie for a while
        until("its death", || {
            let state = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
            (test_kill_process(pid).is_err() || state.contains(") Z ")).then_some(())
        });
    }
}

#[test]
fn failures_come_when_asked_for_and_as_often() {
    let home = Home::new("[mock.version.v2]\nfail-after = '0s'\nfail-code = 9\nfail-times = 2");
    home.start("v2", &[]).ends_with(9);
    let stderr = home.start("v2", &[]).ends_with(9);
    assert!(stderr.contains("mock failure"), "{stderr}");
    home.start("v2", &[]).reaches(1);
    home.start("genesis", &["--fail-at", "3"]).ends_with(1);
    assert_eq!(home.read("mocknode-failures"), "3\n");
    let mut late = home.start("genesis", &["--fail-after", "200ms", "--fail-code", "4"]);
    late.ends_with(4);
    home.start("genesis", &[]).reaches(4);
}
