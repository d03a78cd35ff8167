//! Backups by hand, restores and roll-backs, and homes that give trouble.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::plans::practice;
use crate::support::{BATON, COSMOVISOR, Home, Text};

fn height(home: &Home) -> u64 {
    let text = fs::read_to_string(home.at("data/priv_validator_state.json")).unwrap_or_default();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    state["height"]
        .as_str()
        .and_then(|h| h.parse().ok())
        .unwrap_or(0)
}

fn run_to(home: &Home, target: u64) {
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("the height", |_| height(home) > target);
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn a_backup_is_made_verified_and_restored() {
    let home = practice(&[], "");
    run_to(&home, 10);
    let made = home.baton(&["backup"]);
    assert_eq!(made.code(), Some(0), "{}", made.err());
    let name = home.backups()[0].clone();
    assert!(made.out().contains(&name), "{}", made.out());
    let again = home.baton(&["backup"]);
    assert_eq!(again.code(), Some(0));
    assert_eq!(home.backups().len(), 2, "never merged");
    assert!(home.baton(&["backup", "list"]).out().contains(&name));
    assert_eq!(home.baton(&["backup", "verify", &name]).code(), Some(0));

    let at = height(&home);
    run_to(&home, at + 20);
    let dry = home.baton(&["restore", "--dry-run", &name]);
    assert_eq!(dry.code(), Some(0), "{}", dry.err());
    assert!(height(&home) > at);
    let restored = home.baton(&["restore", &name]);
    assert_eq!(restored.code(), Some(0), "{}", restored.err());
    // The validator keeps the newer signing state: it must not sign twice.
    assert!(height(&home) > at, "{}", restored.out());

    fs::write(home.at(&name).join("state.db/CURRENT"), "damaged").unwrap();
    let damaged = home.baton(&["backup", "verify", &name]);
    assert_eq!(damaged.code(), Some(1));
    assert!(
        damaged.out().contains("state.db/CURRENT"),
        "{}",
        damaged.out()
    );
    let refused = home.baton(&["restore", &name]);
    assert_eq!(refused.code(), Some(1));
}

#[test]
fn nothing_is_copied_under_a_running_node() {
    let home = practice(&[], "");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("blocks", |_| height(&home) > 3);
    for command in [&["backup"][..], &["rollback"], &["restore", "x"]] {
        let out = home.baton(command);
        assert_eq!(out.code(), Some(1), "{command:?}");
    }
    let out = home.baton(&["backup"]);
    assert!(
        out.err().contains("stop the supervisor first"),
        "{}",
        out.err()
    );
    assert!(running.is_running());
    running.stop();
    assert!(home.backups().is_empty());
}

#[test]
fn an_upgrade_is_taken_back_by_hand() {
    let mut home = practice(&["upgrades/v2"], "plan = [\"v2:12\"]");
    home.unset("UNSAFE_SKIP_BACKUP");
    let nothing = home.baton(&["rollback"]);
    assert_eq!(nothing.code(), Some(1));
    assert!(
        nothing.err().contains("nothing to roll back"),
        "{}",
        nothing.err()
    );
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("v2 goes on", |_| height(&home) > 20);
    running.stop();
    let dry = home.baton(&["rollback", "--dry-run"]);
    assert_eq!(dry.code(), Some(0), "{}", dry.err());
    assert_eq!(home.current(), "upgrades/v2");
    let back = home.baton(&["rollback"]);
    assert_eq!(back.code(), Some(0), "{}", back.err());
    assert_eq!(home.current(), "genesis");
    // The old binary cannot pass the height, and the binary that was taken back is not tried.
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(1));
    assert!(out.err().contains("UPGRADE \"v2\" NEEDED"), "{}", out.err());
    assert_eq!(home.current(), "genesis");
    // A mended binary is tried again.
    let added = home.cosmovisor(&["add-upgrade", "v2", BATON, "--force"]);
    assert_eq!(added.code(), Some(0), "{}", added.err());
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("v2 again", |_| home.current() == "upgrades/v2");
    running.stop();
}

#[test]
fn data_that_is_a_link_is_backed_up_as_what_it_is() {
    let mut home = practice(&["upgrades/v2"], "plan = [\"v2:12\"]");
    home.unset("UNSAFE_SKIP_BACKUP");
    let elsewhere = tempfile::tempdir().unwrap();
    fs::remove_dir_all(home.at("data")).unwrap();
    symlink(elsewhere.path(), home.at("data")).unwrap();
    run_to(&home, 14);
    assert_eq!(home.current(), "upgrades/v2");
    let backup = home.at(&home.backups()[0]);
    assert!(fs::symlink_metadata(&backup).unwrap().is_dir());
    assert!(backup.join("application.db/CURRENT").is_file());
    assert!(fs::symlink_metadata(home.at("data")).unwrap().is_symlink());
}

#[test]
fn a_second_upgrade_of_the_day_has_a_backup_of_its_own() {
    let mut home = practice(
        &["upgrades/v2", "upgrades/v3"],
        "plan = [\"v2:12\", \"v3:40\"]",
    );
    home.unset("UNSAFE_SKIP_BACKUP");
    run_to(&home, 45);
    assert_eq!(home.current(), "upgrades/v3");
    let backups = home.backups();
    assert_eq!(backups.len(), 2);
    assert!(
        backups.iter().any(|name| name.ends_with("-2")),
        "{backups:?}"
    );
}

#[test]
fn a_backup_that_cannot_be_made_stops_the_upgrade_and_the_next_try_goes_on() {
    let mut home = practice(&["upgrades/v2"], "plan = [\"v2:12\"]");
    home.unset("UNSAFE_SKIP_BACKUP");
    let place = home.at("backups");
    fs::create_dir(&place).unwrap();
    home.set("DAEMON_DATA_BACKUP_DIR", place.to_str().unwrap());
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("blocks", |_| height(&home) > 2);
    // Gone by the time it is needed; root may write where a mode forbids it, so no mode.
    fs::remove_dir(&place).unwrap();
    fs::write(&place, "not a directory").unwrap();
    let out = running.end();
    assert_eq!(out.code(), Some(1));
    assert!(out.err().contains("backup"), "{}", out.err());
    assert_eq!(home.current(), "genesis");
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    run_to(&home, 14);
    assert_eq!(home.current(), "upgrades/v2");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
}

#[test]
fn links_that_lead_nowhere_or_are_none_are_told_and_left_alone() {
    let home = practice(&[], "");
    symlink("upgrades/gone", home.root().join("current")).unwrap();
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(1));
    assert!(out.err().contains("upgrades/gone"), "{}", out.err());
    fs::remove_file(home.root().join("current")).unwrap();
    fs::create_dir(home.root().join("current")).unwrap();
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(1));
    assert!(out.err().contains("not a symbolic link"), "{}", out.err());
    assert!(home.root().join("current").is_dir());
    fs::remove_dir(home.root().join("current")).unwrap();
    symlink(home.root().join("genesis"), home.root().join("current")).unwrap();
    run_to(&home, 2);
    assert!(
        home.current().starts_with('/'),
        "a link by hand is left as it is"
    );
}

#[test]
fn a_binary_that_is_missing_or_no_program_is_told() {
    let home = practice(&[], "");
    let bin = home.root().join("genesis/bin/mocknode");
    fs::remove_file(&bin).unwrap();
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(1));
    assert!(
        out.err().contains("current binary is invalid"),
        "{}",
        out.err()
    );
    fs::write(&bin, "no program").unwrap();
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(1));
    assert!(out.err().contains("launching process"), "{}", out.err());
}
