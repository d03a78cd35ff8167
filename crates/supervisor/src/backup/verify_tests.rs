//! Backups that were damaged on purpose.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};

use super::super::testing::{Home, set_mode};
use super::super::{Mode, Report};
use super::*;

fn wrong(report: &Report) -> Vec<(String, Wrong)> {
    let found = verify(&report.path, &()).unwrap();
    assert_eq!(found.differences.len() as u64, found.differences_total);
    assert_eq!(found.is_sound(), found.differences.is_empty());
    let shown = |d: Difference| (d.path.display().to_string(), d.what);
    found.differences.into_iter().map(shown).collect()
}

/// Changes a byte and hides it: size and time are as they were.
fn tamper(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 17).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 17).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn a_backup_is_sound_and_what_was_read_is_counted() {
    let home = Home::new();
    let copied = verify(&home.take(Mode::Copy).path, &()).unwrap();
    assert!(copied.is_sound() && !copied.moved);
    assert_eq!((copied.hashed, copied.by_size_and_time), (30, 0));
    assert_eq!(copied.hashed_bytes, copied.summary.bytes);
    let linked = verify(&home.take(Mode::Hardlink).path, &()).unwrap();
    assert!(linked.is_sound() && !linked.moved);
    assert_eq!((linked.hashed, linked.by_size_and_time), (10, 20));
}

#[test]
fn every_kind_of_damage_is_found() {
    let home = Home::new();
    let report = home.take(Mode::Copy);
    let at = |rel: &str| report.path.join(rel);
    tamper(&at("application.db/000003.sst"));
    File::options()
        .write(true)
        .open(at("application.db/000005.sst"))
        .unwrap()
        .set_len(100)
        .unwrap();
    fs::remove_file(at("application.db/CURRENT")).unwrap();
    fs::remove_file(at("a-link")).unwrap();
    symlink("elsewhere", at("a-link")).unwrap();
    fs::remove_file(at("upgrade-info.json")).unwrap();
    fs::create_dir(at("upgrade-info.json")).unwrap();
    fs::write(at("cs.wal/new"), "").unwrap();
    let pair = |path: &str, what| (path.to_owned(), what);
    let size = Wrong::Size {
        expected: 3005,
        found: 100,
    };
    assert_eq!(
        wrong(&report),
        [
            pair("a-link", Wrong::Target),
            pair("upgrade-info.json", Wrong::Kind),
            pair("application.db/000003.sst", Wrong::Content),
            pair("application.db/000005.sst", size),
            pair("application.db/CURRENT", Wrong::Missing),
            pair("cs.wal/new", Wrong::Extra),
        ]
    );
}

#[test]
fn a_tampered_hole_is_found() {
    let home = Home::new();
    let report = home.take(Mode::Copy);
    tamper(&report.path.join("sparse"));
    assert_eq!(wrong(&report), [("sparse".to_owned(), Wrong::Content)]);
}

#[test]
fn a_linked_file_that_was_written_to_or_replaced_is_found() {
    let home = Home::new();
    let report = home.take(Mode::Hardlink);
    // Through the live name, as a node that does not keep to the rules would.
    let live = |n: u8| home.data().join(format!("application.db/00000{n}.ldb"));
    File::options()
        .append(true)
        .open(live(2))
        .unwrap()
        .set_len(10)
        .unwrap();
    let file = File::options().write(true).open(live(4)).unwrap();
    file.write_all_at(b"x", 0).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let backup = report.path.join("application.db/000006.ldb");
    let time = fs::metadata(&backup).unwrap().modified().unwrap();
    fs::remove_file(&backup).unwrap();
    fs::write(&backup, vec![6; 3006]).unwrap();
    File::open(&backup).unwrap().set_modified(time).unwrap();
    let pair = |n: u8, what| (format!("application.db/00000{n}.ldb"), what);
    let size = Wrong::Size {
        expected: 3002,
        found: 10,
    };
    assert_eq!(
        wrong(&report),
        [
            pair(2, size),
            pair(4, Wrong::Written),
            pair(6, Wrong::Replaced)
        ]
    );
}

#[test]
fn a_backup_that_was_copied_elsewhere_is_sound_as_far_as_can_be_seen() {
    let home = Home::new();
    let report = home.take(Mode::Hardlink);
    let moved = home.path.join("moved");
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([&report.path, &moved])
        .status()
        .unwrap();
    assert!(status.success());
    let found = verify(&moved, &()).unwrap();
    assert!(found.is_sound() && found.moved, "{:?}", found.differences);
}

#[test]
fn modes_and_owners_may_be_changed_to_protect_a_backup() {
    let home = Home::new();
    let report = home.take(Mode::Copy);
    set_mode(&report.path.join("cs.wal"), 0o700);
    set_mode(&report.path.join("cs.wal/wal"), 0o400);
    assert_eq!(wrong(&report), []);
}

#[test]
fn many_differences_are_counted_but_not_all_listed() {
    let home = Home::new();
    let report = home.take(Mode::Copy);
    for i in 0..150 {
        fs::write(report.path.join(format!("more-{i}")), "").unwrap();
    }
    let found = verify(&report.path, &()).unwrap();
    assert_eq!(
        (found.differences.len(), found.differences_total),
        (MAX_LISTED, 150)
    );
}

#[test]
fn what_cannot_be_verified_is_named() {
    let home = Home::new();
    let error = verify(&home.data(), &()).unwrap_err().to_string();
    assert!(error.contains("has no manifest"), "{error}");
    let report = home.take(Mode::Copy);
    fs::write(report.path.join(MANIFEST), "{}\n").unwrap();
    let error = verify(&report.path, &()).unwrap_err().to_string();
    assert!(error.contains("damaged at line 1"), "{error}");
}
