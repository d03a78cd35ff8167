//! Ended on the spot at every fault point, and started again.
//!
//! Each crash happens in a process of its own: this test binary, told by the environment what to do
//! and where to die.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

use super::testing::{Content, Home, TODAY, content, sign, taken, upgrade, within};
use super::*;

const ROLE: &str = "BATON_TEST_CRASH_ROLE";
const HOME: &str = "BATON_TEST_CRASH_HOME";

/// The signal that `abort` raises.
const SIGABRT: i32 = 6;

fn take_request(home: &Path) -> Request {
    Request {
        data: home.join("data"),
        dest_dir: home.to_owned(),
        mode: Mode::Hardlink,
        immutable: Vec::new(),
        upgrade: Some(upgrade("v2@49#1")),
        today: TODAY,
    }
}

fn restore_request(home: &Path, mode: Mode) -> RestoreRequest {
    RestoreRequest {
        backup: home.join("data-backup-2026-11-3"),
        data: home.join("data"),
        mode,
        signing: SigningChoice::Newer,
        accept_unverified: false,
        today: TODAY,
    }
}

/// What the child process does. In the parent it does nothing and is no test of its own.
#[test]
fn child() {
    let (Ok(role), Ok(home)) = (env::var(ROLE), env::var(HOME)) else {
        return;
    };
    let _points = fail::FailScenario::setup();
    let home = Path::new(&home);
    let failed = match role.as_str() {
        "take" => take(&take_request(home), &()).err().map(|e| e.to_string()),
        "restore" => restore(&restore_request(home, Mode::Auto), &())
            .err()
            .map(|e| e.to_string()),
        "restore by copy" => restore(&restore_request(home, Mode::Copy), &())
            .err()
            .map(|e| e.to_string()),
        "prune" => prune(home, &home.join("data"), 1, &())
            .err()
            .map(|e| e.to_string()),
        other => panic!("{other}"),
    };
    if let Some(failed) = failed {
        println!("FAILED {failed}");
    }
}

fn run(role: &str, home: &Home, points: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "backup::crash_tests::child", "--nocapture"])
        .env(ROLE, role)
        .env(HOME, &home.path)
        .env("FAILPOINTS", points)
        .output()
        .unwrap()
}

fn crash(role: &str, home: &Home, points: &str) {
    let output = run(role, home, points);
    assert_eq!(
        output.status.signal(),
        Some(SIGABRT),
        "{points}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
}

fn without_manifest(path: &Path) -> Content {
    let mut all = content(path);
    all.remove(Path::new(MANIFEST));
    all
}

#[test]
fn a_backup_killed_anywhere_is_taken_once() {
    for (point, complete) in [
        ("planned", false),
        ("copy", false),
        ("copied", false),
        ("flushed", false),
        ("manifest", false),
        ("renamed", true),
    ] {
        let home = Home::new();
        crash("take", &home, &format!("backup::{point}=return"));
        assert_eq!(home.list().len(), usize::from(complete), "{point}");
        let found = find_for(&home.path, &home.data(), "v2@49#1").unwrap();
        assert_eq!(found.is_some(), complete, "{point}");
        let again = take(&take_request(&home.path), &()).unwrap();
        assert_eq!(matches!(again, Outcome::Found(_)), complete, "{point}");
        assert_eq!(home.names(), ["data", "data-backup-2026-11-3"], "{point}");
        let backup = home.path.join("data-backup-2026-11-3");
        assert!(verify(&backup, &()).unwrap().is_sound());
        assert_eq!(without_manifest(&backup), content(&home.data()), "{point}");
    }
}

#[test]
fn a_disk_that_fills_up_on_the_way_is_told_and_leaves_nothing() {
    let home = Home::new();
    // ENOSPC, at one of the files.
    let output = run("take", &home, "backup::copy=3*off->return(28)");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}");
    for part in [
        "No space left on device",
        "the incomplete copy is removed",
        "DAEMON_DATA_BACKUP_DIR",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(home.names(), ["data"]);
}

#[test]
fn a_disk_that_fills_up_during_a_restore_changes_nothing() {
    let home = Home::new();
    taken(take(&take_request(&home.path), &()).unwrap());
    let now = content(&home.data());
    let output = run("restore by copy", &home, "backup::copy=return(28)");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("No space left on device"), "{told}");
    assert!(told.contains("nothing was changed"), "{told}");
    assert_eq!(content(&home.data()), now);
    assert_eq!(home.names(), ["data", "data-backup-2026-11-3"]);
}

#[test]
fn a_restore_killed_anywhere_leaves_the_old_or_the_new_data_and_can_be_repeated() {
    // Whether the new data is in its place after the crash; `None`: nothing is.
    for (points, new_in_place) in [
        ("backup::built=return", Some(false)),
        ("backup::ready=return", Some(false)),
        ("backup::exchanged=return", Some(true)),
        // As on a file system that cannot exchange names.
        ("backup::exchange=return;backup::aside=return", None),
    ] {
        let home = Home::new();
        let then = within(&home.data());
        taken(take(&take_request(&home.path), &()).unwrap());
        fs::remove_file(home.data().join("upgrade-info.json")).unwrap();
        fs::write(home.data().join("later"), "later").unwrap();
        let (now, before) = (content(&home.data()), within(&home.data()));
        crash("restore", &home, points);
        match new_in_place {
            Some(true) => assert_eq!(within(&home.data()), then, "{points}"),
            Some(false) => assert_eq!(content(&home.data()), now, "{points}"),
            None => assert!(!home.data().exists()),
        }
        let settled = settle(&home.data()).unwrap();
        assert_eq!(settled.len(), 1, "{points}");
        let aside = home.path.join("data-before-restore-2026-11-3");
        match (new_in_place, &settled[0]) {
            (Some(true), Settled::SetAside(path)) => assert_eq!(path, &aside),
            (Some(false), Settled::Undone) | (None, Settled::Finished) => {}
            other => panic!("{points}: {other:?}"),
        }
        if new_in_place == Some(false) {
            assert_eq!(content(&home.data()), now, "{points}");
            assert_eq!(home.names(), ["data", "data-backup-2026-11-3"]);
            restore(&restore_request(&home.path, Mode::Auto), &()).unwrap();
        }
        assert_eq!(within(&home.data()), then, "{points}");
        assert_eq!(within(&aside), before, "{points}");
        assert_eq!(home.names().len(), 3, "{points}: {:?}", home.names());
        assert_eq!(settle(&home.data()).unwrap(), []);
    }
}

#[test]
fn where_names_cannot_be_exchanged_two_renames_do() {
    let home = Home::new();
    let then = content(&home.data());
    taken(take(&take_request(&home.path), &()).unwrap());
    sign(&home.data(), 60);
    let (now, before) = (content(&home.data()), within(&home.data()));
    let output = run("restore", &home, "backup::exchange=return");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && !told.contains("FAILED"),
        "{told}"
    );
    let mut expected = then;
    let state = Path::new("priv_validator_state.json");
    expected.insert(state.to_owned(), now[state].clone());
    assert_eq!(content(&home.data()), expected);
    let aside = home.path.join("data-before-restore-2026-11-3");
    assert_eq!(within(&aside), before);
    assert_eq!(home.names().len(), 3);
}

#[test]
fn a_removal_killed_on_the_way_leaves_no_half_backup() {
    let home = Home::new();
    let first = home.take(Mode::Copy).path;
    let second = home.take(Mode::Copy).path;
    crash("prune", &home, "backup::unnamed=return");
    assert!(!first.exists());
    assert_eq!(home.list().len(), 1);
    assert_eq!(sweep(&home.path).unwrap().removed.len(), 1);
    assert_eq!(home.names(), ["data", "data-backup-2026-11-3-2"]);
    assert!(verify(&second, &()).unwrap().is_sound());
}
