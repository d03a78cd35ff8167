//! Restores of real directories.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};

use super::super::manifest::MANIFEST;
use super::super::pattern::Patterns;
use super::super::signing::{Kept, Memory};
use super::super::testing::{Content, Home, TODAY, content, lsm, set_mode, sign, within};
use super::super::{Mode, Report};
use super::*;

const STATE_FILE: &str = "priv_validator_state.json";
const ASIDE: &str = "data-before-restore-2026-11-3";

fn request(home: &Home, backup: &Path) -> Request {
    Request {
        backup: backup.to_owned(),
        data: home.data(),
        mode: Mode::Auto,
        signing: Choice::Newer,
        accept_unverified: false,
        today: TODAY,
    }
}

/// A home whose data has gone on since its backup, and the content at the time of the backup.
fn gone_on(mode: Mode) -> (Home, Report, Content) {
    let home = Home::new();
    let then = content(&home.data());
    let report = home.take(mode);
    let db = home.data().join("application.db");
    fs::remove_file(db.join("000002.ldb")).unwrap();
    fs::write(db.join("000030.ldb"), "new").unwrap();
    fs::write(db.join("CURRENT"), "MANIFEST-000031\n").unwrap();
    (home, report, then)
}

#[test]
fn the_data_is_as_it_was_and_the_present_one_is_put_aside() {
    for mode in [Mode::Copy, Mode::Hardlink] {
        let (home, report, then) = gone_on(mode);
        let (now, before) = (content(&home.data()), within(&home.data()));
        let plan = plan(&request(&home, &report.path), &()).unwrap();
        assert_eq!(content(&home.data()), now);
        assert_eq!(home.names(), ["data", "data-backup-2026-11-3"]);
        let done = restore(&request(&home, &report.path), &()).unwrap();
        assert_eq!(content(&home.data()), then, "{mode}");
        assert_eq!(done.aside, Some(home.path.join(ASIDE)));
        assert_eq!(plan.aside, done.aside);
        assert_eq!((plan.method, plan.files), (done.method, done.files));
        assert_eq!(within(&home.path.join(ASIDE)), before);
        assert_eq!(home.names(), ["data", "data-backup-2026-11-3", ASIDE]);
        assert!(verify(&report.path, &()).unwrap().is_sound());
        // Once more, the same day.
        let again = restore(&request(&home, &report.path), &()).unwrap();
        assert_eq!(again.aside, Some(home.path.join(format!("{ASIDE}-2"))));
        assert_eq!(content(&home.data()), then);
    }
}

#[test]
fn what_the_node_writes_later_does_not_reach_the_backup() {
    let (home, report, _) = gone_on(Mode::Hardlink);
    let done = restore(&request(&home, &report.path), &()).unwrap();
    let patterns = Patterns::new::<&str>(&[]).unwrap();
    for rel in content(&home.data()).keys() {
        let [a, b] =
            [home.data(), report.path.clone()].map(|r| fs::symlink_metadata(r.join(rel)).unwrap());
        if a.is_file() && a.ino() == b.ino() {
            assert_eq!(done.method, Method::Hardlink);
            assert!(patterns.matches(rel), "{} is shared", rel.display());
        }
    }
}

#[test]
fn a_symlink_to_another_disk_stays_and_the_rest_happens_there() {
    let (home, report, then) = gone_on(Mode::Copy);
    let disk = tempfile::tempdir().unwrap();
    let disk = fs::canonicalize(disk.path()).unwrap();
    fs::rename(home.data(), disk.join("node")).unwrap();
    symlink(disk.join("node"), home.data()).unwrap();
    let now = within(&disk.join("node"));
    let done = restore(&request(&home, &report.path), &()).unwrap();
    assert_eq!(fs::read_link(home.data()).unwrap(), disk.join("node"));
    assert_eq!(content(&disk.join("node")), then);
    let aside = disk.join("node-before-restore-2026-11-3");
    assert_eq!(done.aside.as_ref(), Some(&aside));
    assert_eq!(within(&aside), now);
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 2);
}

#[test]
fn missing_data_is_put_back() {
    let (home, report, then) = gone_on(Mode::Hardlink);
    home.lose_data();
    let done = restore(&request(&home, &report.path), &()).unwrap();
    assert_eq!(done.aside, None);
    assert_eq!(done.signing[0].kept, Kept::Backup);
    assert!(
        done.signing[0]
            .to_string()
            .contains("no present one to compare it with")
    );
    assert_eq!(content(&home.data()), then);
    assert_eq!(home.names(), ["data", "data-backup-2026-11-3"]);
}

#[test]
fn a_damaged_backup_changes_nothing() {
    let (home, report, _) = gone_on(Mode::Copy);
    let now = content(&home.data());
    let table = report.path.join("application.db/000003.sst");
    let file = File::options().write(true).open(&table).unwrap();
    file.write_all_at(b"x", 9).unwrap();
    for dry in [true, false] {
        let request = request(&home, &report.path);
        let act = if dry { plan } else { restore };
        let error = act(&request, &()).unwrap_err().to_string();
        assert!(
            error.contains("000003.sst") && error.contains("damaged"),
            "{error}"
        );
        assert_eq!(content(&home.data()), now);
        assert_eq!(home.names(), ["data", "data-backup-2026-11-3"]);
    }
    fs::remove_file(&table).unwrap();
    let error = restore(&request(&home, &report.path), &())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("000003.sst is missing; nothing was changed"),
        "{error}"
    );
    assert_eq!(content(&home.data()), now);
}

#[test]
fn cosmovisors_backup_is_restored_only_when_the_operator_says_so() {
    let home = Home::new();
    let upstreams = home.path.join("data-backup-2024-3-7");
    lsm(&upstreams);
    fs::write(upstreams.join("then"), "then").unwrap();
    fs::remove_file(home.data().join(STATE_FILE)).unwrap();
    let then = content(&upstreams);
    let mut request = request(&home, &upstreams);
    let error = restore(&request, &()).unwrap_err();
    assert!(matches!(error, RestoreError::Unverified(_)), "{error}");
    request.accept_unverified = true;
    plan(&request, &()).unwrap();
    let done = restore(&request, &()).unwrap();
    assert!(done.summary.is_none());
    assert_eq!(content(&home.data()), then);
}

#[test]
fn modes_come_from_the_manifest_even_if_the_backup_was_protected() {
    let (home, report, then) = gone_on(Mode::Copy);
    set_mode(&report.path.join("cs.wal/wal"), 0o400);
    set_mode(&report.path, 0o500);
    restore(&request(&home, &report.path), &()).unwrap();
    assert_eq!(content(&home.data()), then);
}

#[test]
fn the_signing_state_never_goes_back() {
    let (home, report, then) = gone_on(Mode::Copy);
    sign(&home.data(), 60);
    set_mode(&home.data().join(STATE_FILE), 0o600);
    let now = content(&home.data());
    let planned = plan(&request(&home, &report.path), &()).unwrap();
    let done = restore(&request(&home, &report.path), &()).unwrap();
    assert_eq!(planned.signing, done.signing);
    assert_eq!(done.signing[0].kept, Kept::Present);
    let told = done.signing[0].to_string();
    assert!(
        told.contains("height 60") && told.contains("height 48"),
        "{told}"
    );
    let mut expected = then.clone();
    let state = Path::new(STATE_FILE).to_owned();
    expected.insert(state.clone(), now[&state].clone());
    assert_eq!(content(&home.data()), expected);
    assert!(verify(&report.path, &()).unwrap().is_sound());
    // And where the backup has none, the present one is kept all the same.
    fs::remove_file(report.path.join(STATE_FILE)).unwrap();
    fs::remove_file(report.path.join(MANIFEST)).unwrap();
    let mut request = request(&home, &report.path);
    request.accept_unverified = true;
    restore(&request, &()).unwrap();
    assert_eq!(content(&home.data())[&state], now[&state]);
}

#[test]
fn a_sign_guard_never_goes_back_either() {
    let home = Home::new();
    let guard = home.data().join(Memory::Guard.file());
    fs::remove_file(home.data().join(STATE_FILE)).unwrap();
    fs::create_dir(guard.parent().unwrap()).unwrap();
    let then = signing::written(&[(48, 0, 2)], None);
    fs::write(&guard, &then).unwrap();
    let backup = home.take(Mode::Auto).path;
    let now = signing::written(&[(48, 0, 2), (60, 0, 1)], None);
    fs::write(&guard, &now).unwrap();
    let done = restore(&request(&home, &backup), &()).unwrap();
    assert_eq!(done.signing[0].kept, Kept::Present);
    assert_eq!(fs::read(&guard).unwrap(), now);
    // A backup without one changes nothing about that.
    fs::remove_file(&guard).unwrap();
    let without = home.take(Mode::Copy).path;
    fs::write(&guard, &now).unwrap();
    restore(&request(&home, &without), &()).unwrap();
    assert_eq!(fs::read(&guard).unwrap(), now);
    // One that is damaged is not replaced silently, and the operator may choose.
    fs::write(&guard, &now[1..]).unwrap();
    let mut request = request(&home, &backup);
    let error = restore(&request, &()).unwrap_err().to_string();
    assert!(
        error.contains("consensus/guard cannot be compared"),
        "{error}"
    );
    request.signing = Choice::Backup;
    restore(&request, &()).unwrap();
    assert_eq!(fs::read(&guard).unwrap(), then);
}

#[test]
fn a_signing_state_that_is_kept_elsewhere_stays_there() {
    let home = Home::new();
    let (keys, state) = (home.path.join("keys"), home.data().join(STATE_FILE));
    fs::create_dir(&keys).unwrap();
    fs::rename(&state, keys.join("state.json")).unwrap();
    symlink("../keys/state.json", &state).unwrap();
    let with_link = home.take(Mode::Copy).path;
    fs::remove_file(&state).unwrap();
    sign(&home.data(), 40);
    let with_file = home.take(Mode::Copy).path;
    fs::remove_file(&state).unwrap();
    symlink("../keys/state.json", &state).unwrap();
    for backup in [with_link, with_file] {
        let done = restore(&request(&home, &backup), &()).unwrap();
        assert_eq!(done.signing[0].kept, Kept::Present);
        assert_eq!(
            fs::read_link(&state).unwrap(),
            Path::new("../keys/state.json")
        );
        assert!(fs::read_to_string(&state).unwrap().contains("48"));
    }
}

#[test]
fn the_operator_may_take_the_signing_state_of_the_backup() {
    let (home, report, then) = gone_on(Mode::Copy);
    sign(&home.data(), 60);
    let mut request = request(&home, &report.path);
    request.signing = Choice::Backup;
    let done = restore(&request, &()).unwrap();
    assert_eq!(done.signing[0].kept, Kept::Backup);
    assert!(done.signing[0].to_string().contains("height 60"));
    assert_eq!(content(&home.data()), then);
}

#[test]
fn a_signing_state_that_cannot_be_read_stops_the_restore() {
    let (home, report, _) = gone_on(Mode::Copy);
    fs::write(home.data().join(STATE_FILE), "").unwrap();
    let error = restore(&request(&home, &report.path), &()).unwrap_err();
    assert!(
        matches!(error, RestoreError::SigningState { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("--signing-state=backup"),
        "{error}"
    );
    assert_eq!(home.names(), ["data", "data-backup-2026-11-3"]);
}

#[test]
fn backup_and_data_within_each_other_are_refused() {
    let (home, report, _) = gone_on(Mode::Copy);
    let mut request = request(&home, &report.path);
    request.data = report.path.join("application.db");
    let error = restore(&request, &()).unwrap_err();
    assert!(matches!(error, RestoreError::Overlap { .. }), "{error}");
    request.data.clone_from(&report.path);
    let error = restore(&request, &()).unwrap_err();
    assert!(matches!(error, RestoreError::Overlap { .. }), "{error}");
    request.data = home.data().join("cs.wal/wal");
    let error = restore(&request, &()).unwrap_err().to_string();
    assert!(error.contains("wal is not a directory"), "{error}");
}

#[test]
fn a_mount_point_cannot_be_renamed_aside() {
    let home = Home::new();
    let report = home.take(Mode::Copy);
    let mut request = request(&home, &report.path);
    request.data = PathBuf::from("/proc");
    let error = restore(&request, &()).unwrap_err();
    assert!(matches!(error, RestoreError::MountPoint { .. }), "{error}");
}

#[test]
fn a_restore_that_runs_is_not_disturbed() {
    let (home, report, _) = gone_on(Mode::Copy);
    let running = Workspace::create(&home.path, "data", Work::Restore).unwrap();
    let error = restore(&request(&home, &report.path), &()).unwrap_err();
    assert!(matches!(error, RestoreError::Running(_)), "{error}");
    let left = running.keep();
    let done = restore(&request(&home, &report.path), &()).unwrap();
    assert_eq!(done.settled, [Settled::Undone]);
    assert!(!left.exists());
    // What a power cut leaves of a record that was just written.
    fs::create_dir_all(left.join("tree")).unwrap();
    fs::write(left.join("owner.json"), "").unwrap();
    assert_eq!(settle::settle(&home.data()).unwrap(), [Settled::Undone]);
    assert!(!left.exists());
}
