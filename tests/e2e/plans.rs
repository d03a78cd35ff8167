//! Plans, on the practice node: every way in which a node halts, and every way in which a plan
//! file lies there without being due.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{BATON, COSMOVISOR, Home, Running, Text, eventually};

/// A home with the practice node in `genesis` and the releases named, its settings as given.
pub(crate) fn practice(releases: &[&str], settings: &str) -> Home {
    let mut home = Home::new("mocknode");
    home.unset("BATON_RPC_ADDRESS");
    for release in ["genesis"].iter().chain(releases) {
        let bin = home.root().join(release).join("bin/mocknode");
        fs::create_dir_all(bin.parent().unwrap()).unwrap();
        link_or_copy(Path::new(BATON), &bin);
    }
    let out = home.run(
        home.root().join("genesis/bin/mocknode").to_str().unwrap(),
        &["init"],
    );
    assert_eq!(out.code(), Some(0), "{}", out.err());
    let app = home.at("config/app.toml");
    let text = fs::read_to_string(&app).unwrap();
    fs::write(&app, format!("{text}\nblock-time = \"20ms\"\n{settings}\n")).unwrap();
    home
}

fn link_or_copy(from: &Path, to: &PathBuf) {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).unwrap();
    }
}

/// The versions that were started, in order.
pub(crate) fn started(home: &Home) -> Vec<String> {
    events(home, "start")
        .iter()
        .map(|event| event["version"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn events(home: &Home, kind: &str) -> Vec<serde_json::Value> {
    fs::read_to_string(home.at("mocknode-events.jsonl"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &serde_json::Value| event["event"] == kind || event["kind"] == kind)
        .collect()
}

/// The supervisor's own events of a kind.
pub(crate) fn told(home: &Home, kind: &str) -> Vec<serde_json::Value> {
    fs::read_to_string(home.root().join(".baton/events.jsonl"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &serde_json::Value| event["kind"] == kind)
        .collect()
}

fn height(home: &Home) -> u64 {
    let text = fs::read_to_string(home.at("data/priv_validator_state.json")).unwrap_or_default();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    state["height"]
        .as_str()
        .and_then(|h| h.parse().ok())
        .unwrap_or(0)
}

fn passes(running: &mut Running, home: &Home, target: u64) {
    running.wait_until(&format!("height {target}"), |_| height(home) > target);
}

fn data_is_whole(home: &Home) {
    let out = home.run(
        home.root().join("current/bin/mocknode").to_str().unwrap(),
        &["verify"],
    );
    assert_eq!(out.code(), Some(0), "{}{}", out.out(), out.err());
}

#[test]
fn consensus_halts_and_the_process_stays_up() {
    for sdk in ["0.42", "0.43", "0.46", "0.50"] {
        let mut home = practice(
            &["upgrades/v2"],
            &format!("plan = [\"v2:12:info\"]\nsdk = \"{sdk}\""),
        );
        home.unset("UNSAFE_SKIP_BACKUP");
        let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
        passes(&mut running, &home, 14);
        running.stop();
        assert_eq!(home.current(), "upgrades/v2", "sdk {sdk}");
        assert_eq!(started(&home), ["genesis", "v2"], "sdk {sdk}");
        assert_eq!(home.backups().len(), 1);
        data_is_whole(&home);
    }
}

#[test]
fn the_process_dies_at_the_height() {
    let home = practice(
        &["upgrades/v2"],
        "plan = [\"v2:12\"]\nhalt-style = \"block-sync\"",
    );
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    passes(&mut running, &home, 14);
    assert_eq!(running.stop().code(), Some(0));
    assert_eq!(started(&home), ["genesis", "v2"]);
    data_is_whole(&home);
}

#[test]
fn the_process_dies_at_every_start_and_its_rpc_never_comes_up() {
    let home = practice(
        &["upgrades/v2"],
        "plan = [\"v2:12\"]\nhalt-style = \"handshake\"",
    );
    let killed = home.cosmovisor(&["run", "start"]);
    assert_eq!(killed.code(), Some(1), "it died before it wrote the plan");
    assert!(!home.plan_file().exists());
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    passes(&mut running, &home, 14);
    running.stop();
    assert_eq!(started(&home), ["genesis", "genesis", "v2"]);
}

#[test]
fn the_plan_file_is_written_slowly() {
    let home = practice(
        &["upgrades/v2"],
        "plan = [\"v2:12\"]\nplan-pause = \"500ms\"",
    );
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    passes(&mut running, &home, 14);
    running.stop();
    assert_eq!(started(&home), ["genesis", "v2"]);
}

#[test]
fn a_plan_of_the_operator_waits_for_its_height() {
    let home = practice(&[], "");
    let added = home.cosmovisor(&["add-upgrade", "v2", BATON, "--upgrade-height", "40"]);
    assert_eq!(added.code(), Some(0), "{}", added.err());
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("v2", |_| started(&home).contains(&"v2".to_owned()));
    running.stop();
    let halted = events(&home, "start");
    assert_eq!(halted.len(), 2);
    let switched = told(&home, "upgrade-started");
    assert_eq!(switched.len(), 1);
    assert!(height(&home) >= 40, "switched at {}", height(&home));
    assert!(!told(&home, "plan-waiting").is_empty());
}

#[test]
fn a_plan_for_the_future_written_by_hand_does_not_switch() {
    for before_start in [true, false] {
        let home = practice(&["upgrades/v2"], "");
        let plan = r#"{"name":"v2","height":100000}"#;
        if before_start {
            fs::write(home.plan_file(), plan).unwrap();
        }
        let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
        passes(&mut running, &home, 3);
        if !before_start {
            fs::write(home.plan_file(), plan).unwrap();
        }
        running.wait_until("the wait is told", |_| {
            told(&home, "plan-waiting")
                .iter()
                .any(|e| e["why"].as_str().unwrap().contains("height "))
        });
        let at = height(&home);
        passes(&mut running, &home, at + 20);
        running.stop();
        assert_eq!(started(&home), ["genesis"]);
        // Nor at the next start, where no height is known yet.
        let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
        passes(&mut running, &home, at + 30);
        running.stop();
        assert_eq!(started(&home), ["genesis", "genesis"]);
        assert_eq!(home.current(), "genesis");
    }
}

#[test]
fn a_stale_plan_of_a_snapshot_does_not_switch() {
    let home = practice(&["upgrades/v2"], "");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    passes(&mut running, &home, 20);
    running.stop();
    fs::write(home.plan_file(), r#"{"name":"v2","height":5}"#).unwrap();
    fs::set_permissions(home.plan_file(), fs::Permissions::from_mode(0o644)).unwrap();
    let at = height(&home);
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("the refusal", |_| {
        told(&home, "plan-refused")
            .iter()
            .any(|e| e["why"].as_str().unwrap().contains("past it"))
    });
    passes(&mut running, &home, at + 5);
    running.stop();
    assert_eq!(started(&home), ["genesis", "genesis"]);
}

#[test]
fn what_is_no_plan_is_told_and_the_node_goes_on() {
    for text in [
        "{\"name\":\"v2\",\"hei",
        "{]",
        "{\"name\":\"v2\",\"height\":-4}",
        "",
    ] {
        let home = practice(&["upgrades/v2"], "");
        let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
        passes(&mut running, &home, 2);
        fs::write(home.plan_file(), text).unwrap();
        running.wait_until("it is told", |_| !told(&home, "plan-malformed").is_empty());
        let at = height(&home);
        passes(&mut running, &home, at + 3);
        assert_eq!(running.stop().code(), Some(0));
        assert_eq!(started(&home), ["genesis"]);
    }
}

#[test]
fn skipped_heights_are_skipped_and_the_node_goes_on() {
    let home = practice(&["upgrades/v2"], "plan = [\"v2:12\"]");
    let mut running = home.spawn(
        COSMOVISOR,
        &["run", "start", "--unsafe-skip-upgrades", "12"],
    );
    passes(&mut running, &home, 20);
    running.stop();
    assert_eq!(started(&home), ["genesis"]);
    assert_eq!(home.current(), "genesis");
}

#[test]
fn a_batch_is_followed_one_by_one() {
    let home = practice(&[], "");
    let list = format!("v2:{BATON}:60,v3:{BATON}:300");
    let added = home.cosmovisor(&["add-batch-upgrade", "--upgrade-list", &list]);
    assert_eq!(added.code(), Some(0), "{}", added.err());
    // As upstream leaves it, the first plan is not in the plan file yet.
    let _ = fs::remove_file(home.plan_file());
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("v3", |_| started(&home).len() == 3);
    passes(&mut running, &home, 301);
    running.stop();
    assert_eq!(started(&home), ["genesis", "v2", "v3"]);
}

#[test]
fn a_missing_binary_stops_the_upgrade_and_a_later_one_finishes_it() {
    let mut home = practice(&[], "plan = [\"v2:12\"]");
    home.unset("UNSAFE_SKIP_BACKUP");
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(1));
    assert!(
        out.err()
            .contains("binary not present, downloading disabled"),
        "{}",
        out.err()
    );
    assert_eq!(home.current(), "genesis");
    // Again without: the same, and no second backup, and the old binary is not started in vain.
    assert_eq!(home.cosmovisor(&["run", "start"]).code(), Some(1));
    assert_eq!(home.backups().len(), 1);
    assert_eq!(started(&home), ["genesis"]);
    let added = home.cosmovisor(&["add-upgrade", "v2", BATON]);
    assert_eq!(added.code(), Some(0), "{}", added.err());
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    passes(&mut running, &home, 14);
    running.stop();
    assert_eq!(started(&home), ["genesis", "v2"]);
    assert_eq!(home.backups().len(), 1);
}

#[test]
fn a_binary_for_another_machine_is_refused_before_the_switch() {
    let home = practice(&[], "plan = [\"v2:12\"]");
    let bin = home.root().join("upgrades/v2/bin/mocknode");
    fs::create_dir_all(bin.parent().unwrap()).unwrap();
    let mut elf = fs::read(BATON).unwrap();
    elf.truncate(4096);
    elf[18] = if cfg!(target_arch = "x86_64") {
        0xb7
    } else {
        0x3e
    };
    fs::write(&bin, elf).unwrap();
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(1));
    assert!(
        out.err().contains("cannot run on this machine"),
        "{}",
        out.err()
    );
    assert_eq!(home.current(), "genesis");
}

#[test]
fn a_node_that_crashes_is_restarted_by_policy() {
    let mut home = practice(&[], "fail-at = 5\nfail-times = 2");
    home.set("BATON_RESTART", "on-failure");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    passes(&mut running, &home, 8);
    assert_eq!(running.stop().code(), Some(0));
    assert_eq!(started(&home).len(), 3);
    assert_eq!(told(&home, "node-restarting").len(), 2);
}

#[test]
fn a_new_binary_that_keeps_failing_is_rolled_back() {
    let mut home = practice(
        &["upgrades/v2"],
        "plan = [\"v2:12\"]\n[mock.version.v2]\nfail-after = \"0s\"",
    );
    home.unset("UNSAFE_SKIP_BACKUP");
    home.set("BATON_RESTART", "on-failure");
    home.set("BATON_ROLLBACK", "2");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("the old binary again", |_| {
        started(&home) == ["genesis", "v2", "v2", "genesis"]
    });
    eventually("the roll-back is recorded", || {
        home.journal_stage() == "rolled-back"
    });
    assert_eq!(home.current(), "genesis");
    // It halts at the height again, stays up, and the plan is not tried again.
    running.wait_until("the refusal", |_| {
        told(&home, "plan-refused")
            .iter()
            .any(|e| e["why"].as_str().unwrap().contains("rolled back"))
    });
    assert!(running.is_running());
    running.stop();
    let aside: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().contains("before-restore"))
        .collect();
    assert_eq!(aside.len(), 1, "nothing of the operator's is deleted");
    data_is_whole(&home);
}
