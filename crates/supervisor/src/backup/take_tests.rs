//! Backups of real directories.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};

use rustix::fs::{CWD, FileType};

use super::super::testing::{At, Home, content, lsm, odd_name, taken, upgrade};
use super::super::{Change, verify};
use super::*;

/// A file system with so many bytes and inodes left.
fn room(bytes: u64, inodes: Option<u64>) -> impl Fn(&Path) -> std::io::Result<space::Room> {
    move |_| {
        Ok(space::Room {
            bytes,
            inodes,
            block: 4096,
        })
    }
}

/// The backup's content without its manifest.
fn without_manifest(path: &Path) -> super::super::testing::Content {
    let mut all = content(path);
    assert!(all.remove(Path::new(MANIFEST)).is_some());
    all
}

#[test]
fn a_copy_is_the_same_in_all_that_is_kept() {
    let home = Home::new();
    let before = content(&home.data());
    let report = home.take(Mode::Copy);
    assert_eq!(report.path, home.path.join("data-backup-2026-11-3"));
    assert_eq!(without_manifest(&report.path), before);
    assert_eq!(content(&home.data()), before);
    assert_eq!(report.summary.method, Method::Copy);
    assert_eq!(report.summary.source, home.data());
    assert_eq!(report.summary.copied_bytes, report.summary.bytes);
    let blocks = |dir: &Path| fs::metadata(dir.join("sparse")).unwrap().blocks();
    assert!(blocks(&report.path) * 512 < 1 << 20, "the hole was filled");
    assert!(report.path.join(odd_name()).exists());
    assert!(verify(&report.path, &()).unwrap().is_sound());
    assert_eq!(home.names(), ["data", "data-backup-2026-11-3"]);
}

#[test]
fn a_hard_linked_backup_shares_immutable_files_and_no_other() {
    let home = Home::new();
    let before = content(&home.data());
    let report = home.take(Mode::Hardlink);
    assert_eq!(report.summary.method, Method::Hardlink);
    assert_eq!(without_manifest(&report.path), before);
    let patterns = Patterns::new::<&str>(&[]).unwrap();
    let mut linked = 0;
    for rel in before.keys() {
        let [a, b] = [home.data(), report.path.clone()]
            .map(|root| fs::symlink_metadata(root.join(rel)).unwrap());
        if a.is_file() {
            assert_eq!(
                a.ino() == b.ino(),
                patterns.matches(rel),
                "{}",
                rel.display()
            );
            linked += u64::from(a.ino() == b.ino()) * a.size();
        }
    }
    assert_eq!(report.summary.linked_bytes, linked);
    assert!(linked > 0);
    // What the node writes afterwards does not reach the backup.
    fs::write(
        home.data().join("application.db/CURRENT"),
        "MANIFEST-000009\n",
    )
    .unwrap();
    fs::remove_file(home.data().join("application.db/000002.ldb")).unwrap();
    assert_eq!(without_manifest(&report.path), before);
    assert!(verify(&report.path, &()).unwrap().is_sound());
}

#[test]
fn auto_uses_what_the_file_system_can_and_says_why_not_more() {
    let home = Home::new();
    let report = home.take(Mode::Auto);
    match report.summary.method {
        Method::Reflink => assert!(report.passed.is_empty()),
        Method::Hardlink => {
            assert_eq!(report.passed.len(), 1);
            assert_eq!(report.passed[0].method, Method::Reflink);
        }
        Method::Copy | Method::Snapshot => panic!("{:?}", report.passed),
    }
    assert_eq!(without_manifest(&report.path), content(&home.data()));
}

#[test]
fn without_immutable_files_there_is_nothing_to_link() {
    let home = Home::new();
    fs::remove_dir_all(home.data().join("application.db")).unwrap();
    let report = home.take(Mode::Hardlink);
    assert_eq!(report.summary.method, Method::Copy);
    assert_eq!(
        report.passed[0].to_string(),
        "not hardlink: no file is named *.sst or *.ldb"
    );
}

/// Another file system than that of the temporary directory, if this machine has one to write to.
fn elsewhere(than: &Path) -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir_in("/dev/shm").ok()?;
    let dev = |p: &Path| fs::metadata(p).unwrap().dev();
    (dev(dir.path()) != dev(than)).then_some(dir)
}

#[test]
fn to_another_file_system_everything_is_copied() {
    let home = Home::new();
    let Some(dest) = elsewhere(&home.path) else {
        eprintln!("skipped: /dev/shm is not a second file system here");
        return;
    };
    for mode in [Mode::Auto, Mode::Hardlink] {
        let mut request = home.request(mode);
        request.dest_dir = dest.path().to_owned();
        let report = taken(take(&request, &()).unwrap());
        assert_eq!(report.summary.method, Method::Copy);
        let told = report.passed.last().unwrap().to_string();
        assert!(
            told.starts_with("not hardlink: the two directories are on different file systems"),
            "{told}"
        );
        assert_eq!(without_manifest(&report.path), content(&home.data()));
    }
    let mut request = home.request(Mode::Reflink);
    request.dest_dir = dest.path().to_owned();
    let error = take(&request, &()).unwrap_err();
    assert!(matches!(error, BackupError::NoReflink { .. }), "{error}");
    assert_eq!(fs::read_dir(dest.path()).unwrap().count(), 2);
}

#[test]
fn off_takes_none() {
    let home = Home::new();
    assert!(matches!(
        take(&home.request(Mode::Off), &()).unwrap(),
        Outcome::Off
    ));
    assert_eq!(home.names(), ["data"]);
}

#[test]
fn backups_of_one_day_are_numbered_and_never_merged() {
    let home = Home::new();
    let upstreams = home.path.join("data-backup-2026-11-3");
    fs::create_dir(&upstreams).unwrap();
    fs::write(upstreams.join("f"), "upstream's").unwrap();
    assert!(
        home.take(Mode::Copy)
            .path
            .ends_with("data-backup-2026-11-3-2")
    );
    assert!(
        home.take(Mode::Hardlink)
            .path
            .ends_with("data-backup-2026-11-3-3")
    );
    assert_eq!(content(&upstreams).len(), 2);
}

#[test]
fn the_data_may_lie_behind_a_symlink() {
    let home = Home::new();
    let disk = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(disk.path()).unwrap().join("node");
    lsm(&real);
    home.lose_data();
    symlink(&real, home.data()).unwrap();
    let report = home.take(Mode::Auto);
    assert!(!fs::symlink_metadata(&report.path).unwrap().is_symlink());
    assert_eq!(without_manifest(&report.path), content(&real));
    assert_eq!(report.summary.source, real);
}

#[test]
fn one_upgrade_has_one_backup() {
    let home = Home::new();
    let mut request = home.request(Mode::Auto);
    request.upgrade = Some(upgrade("v2@49#1"));
    let report = taken(take(&request, &()).unwrap());
    let again = take(&request, &()).unwrap();
    assert!(matches!(&again, Outcome::Found(entry) if entry.path == report.path));
    let found = list::find_for(&home.path, &home.data(), "v2@49#1")
        .unwrap()
        .unwrap();
    assert_eq!(found.summary(), Some(&report.summary));
    assert_eq!(found.summary().unwrap().upgrade, Some(upgrade("v2@49#1")));
    // Another try, and another node that keeps its backups here too, have their own.
    assert!(
        list::find_for(&home.path, &home.data(), "v2@49#2")
            .unwrap()
            .is_none()
    );
    let other = Home::new();
    assert!(
        list::find_for(&home.path, &other.data(), "v2@49#1")
            .unwrap()
            .is_none()
    );
    request.data = other.data();
    taken(take(&request, &()).unwrap());
    assert_eq!(home.list().len(), 2);
}

#[test]
fn what_cannot_be_copied_is_told() {
    let home = Home::new();
    let pipe = home.data().join("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, 0o600.into(), 0).unwrap();
    let report = home.take(Mode::Copy);
    assert_eq!(report.skipped.len(), 1);
    assert_eq!(report.skipped[0].to_string(), "pipe (a pipe)");
    assert_eq!(report.summary.skipped, 1);
    assert!(!report.path.join("pipe").exists());
    assert!(verify(&report.path, &()).unwrap().is_sound());
}

#[test]
fn the_manifest_of_a_restored_backup_is_not_backed_up() {
    let home = Home::new();
    fs::write(home.data().join(MANIFEST), "of long ago").unwrap();
    let report = home.take(Mode::Copy);
    assert!(verify(&report.path, &()).unwrap().is_sound());
}

#[test]
fn leftovers_of_a_crash_are_removed_and_told() {
    let home = Home::new();
    let work = Workspace::create(&home.path, "data-backup-2026-11-2", Work::Backup).unwrap();
    fs::create_dir(work.tree()).unwrap();
    fs::write(work.tree().join("half"), "h").unwrap();
    let left = work.keep();
    let report = home.take(Mode::Copy);
    assert_eq!(report.swept, [left]);
    assert_eq!(home.names(), ["data", "data-backup-2026-11-3"]);
}

#[test]
fn a_backup_within_itself_is_refused() {
    let home = Home::new();
    let inside = home.data().join("application.db/backups");
    fs::create_dir(&inside).unwrap();
    let mut request = home.request(Mode::Copy);
    for dest in [&inside, &home.data()] {
        request.dest_dir.clone_from(dest);
        let error = take(&request, &()).unwrap_err().to_string();
        assert!(error.contains("the backup would contain itself"), "{error}");
    }
    let leftover = home.path.join(".data-backup-2026-1-1.7.partial");
    lsm(&leftover.join("tree"));
    home.lose_data();
    symlink(leftover.join("tree"), home.data()).unwrap();
    let error = take(&home.request(Mode::Copy), &()).unwrap_err();
    assert!(matches!(error, BackupError::Inside { .. }), "{error}");
    assert!(leftover.join("tree/cs.wal/wal").exists());
}

#[test]
fn what_is_no_directory_is_named() {
    let home = Home::new();
    let mut request = home.request(Mode::Copy);
    request.data = home.path.join("missing");
    let error = take(&request, &()).unwrap_err().to_string();
    assert!(error.contains("finding the data directory") && error.contains("missing"));
    request.data = home.data().join("cs.wal/wal");
    let error = take(&request, &()).unwrap_err().to_string();
    assert!(error.ends_with("cs.wal/wal is not a directory"), "{error}");
}

fn shorten(file: &Path) {
    let file = File::options().write(true).open(file).unwrap();
    file.set_len(9).unwrap();
}

#[test]
fn a_file_that_something_alive_touches_is_an_error_and_nothing_is_left() {
    type Touch = (&'static str, fn(&Path), Change);
    let touch: [Touch; 4] = [
        (
            "application.db/000021.log",
            |f| fs::remove_file(f).unwrap(),
            Change::Vanished,
        ),
        (
            "application.db/000021.log",
            shorten,
            Change::Shrank {
                from: 70_000,
                to: 9,
            },
        ),
        (
            "application.db/000003.sst",
            |f| fs::remove_file(f).unwrap(),
            Change::Vanished,
        ),
        (
            "application.db/000003.sst",
            |f| fs::write(f, vec![0; 4000]).unwrap(),
            Change::Grew {
                from: 3003,
                to: 4000,
            },
        ),
    ];
    for mode in [Mode::Copy, Mode::Hardlink] {
        for (name, act, expected) in touch {
            let home = Home::new();
            let file = home.data().join(name);
            let observer = At::beginning(|| act(&file));
            match take(&home.request(mode), &observer) {
                Err(error @ BackupError::Changed { .. }) => {
                    let told = error.to_string();
                    assert!(
                        told.contains(name) && told.contains("stop the node"),
                        "{told}"
                    );
                    assert!(told.contains(&expected.to_string()), "{told}");
                }
                other => panic!("{mode} {name}: {other:?}"),
            }
            assert_eq!(home.names(), ["data"]);
        }
    }
}

#[test]
fn a_file_that_changes_after_it_was_copied_is_an_error_too() {
    struct WhenAllIsCopied(PathBuf);
    impl Observer for WhenAllIsCopied {
        fn progress(&self, progress: Progress) {
            if progress.files_done == progress.files_total && progress.files_total > 0 {
                fs::write(&self.0, vec![4; 5000]).unwrap();
                let file = File::open(&self.0).unwrap();
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            }
        }
    }
    let home = Home::new();
    let observer = WhenAllIsCopied(home.data().join("cs.wal/wal"));
    let error = take(&home.request(Mode::Copy), &observer).unwrap_err();
    assert!(
        matches!(
            &error,
            BackupError::Changed {
                change: Change::Written,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(home.names(), ["data"]);
}

#[test]
fn a_cancelled_backup_leaves_nothing() {
    struct Cancels(Cell<u32>, u32);
    impl Observer for Cancels {
        fn cancelled(&self) -> bool {
            self.0.set(self.0.get() + 1);
            self.0.get() > self.1
        }
    }
    let home = Home::new();
    // Each time a question later, until all of them are answered with no.
    let cancelled = (0..1000).find(|&after| {
        match take(&home.request(Mode::Copy), &Cancels(Cell::new(0), after)) {
            Err(BackupError::Cancelled) => assert_eq!(home.names(), ["data"]),
            Ok(_) => return true,
            Err(error) => panic!("{error}"),
        }
        false
    });
    // For each of four directories, before copying, before comparing, before the name.
    assert!(cancelled >= Some(7), "{cancelled:?}");
}

#[test]
fn progress_goes_from_nothing_to_all_and_then_flushes() {
    #[derive(Default)]
    struct All(RefCell<Vec<Progress>>);
    impl Observer for All {
        fn progress(&self, progress: Progress) {
            self.0.borrow_mut().push(progress);
        }
    }
    let home = Home::new();
    let all = All::default();
    let report = taken(take(&home.request(Mode::Hardlink), &all).unwrap());
    let all = all.0.into_inner();
    let first = all.first().unwrap();
    assert_eq!((first.stage, first.files_done), (Stage::Copying, 0));
    assert_eq!(first.files_total, report.summary.files);
    let last = all
        .iter()
        .rev()
        .find(|p| p.stage == Stage::Copying)
        .unwrap();
    assert_eq!(last.files_done, last.files_total);
    // The hole of the sparse file and the linked files are not written.
    assert!(last.bytes_done < report.summary.copied_bytes);
    assert_eq!(all.last().unwrap().stage, Stage::Flushing);
}

#[test]
fn too_little_room_is_told_with_figures_before_anything_is_copied() {
    let home = Home::new();
    let fails = |mode, bytes, inodes| {
        let error = take_with(&home.request(mode), &(), &room(bytes, inodes)).unwrap_err();
        assert_eq!(home.names(), ["data"]);
        error
    };
    let BackupError::Space {
        needed: copied,
        free,
        ..
    } = fails(Mode::Copy, 1_000_000, None)
    else {
        panic!("another error");
    };
    assert_eq!(free, 1_000_000);
    let told = fails(Mode::Copy, 1_000_000, None).to_string();
    for part in [
        "needs 16.",
        "has 976.5 KiB free",
        "BATON_BACKUP_MODE",
        "DAEMON_DATA_BACKUP_DIR",
        home.path.to_str().unwrap(),
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let BackupError::Space { needed: linked, .. } = fails(Mode::Hardlink, 0, None) else {
        panic!("another error");
    };
    // 20 table files of one block each are only linked.
    assert_eq!(copied - linked, 20 * 4096);
    let told = fails(Mode::Copy, 1 << 40, Some(3)).to_string();
    assert!(
        told.contains("inodes but") && told.contains("has 3 left"),
        "{told}"
    );
    // Exactly enough is enough.
    let exactly = room(copied, Some(1000));
    assert!(take_with(&home.request(Mode::Copy), &(), &exactly).is_ok());
}

#[test]
fn an_estimate_tells_what_would_be_done_and_leaves_nothing() {
    let home = Home::new();
    let estimate = estimate(&home.request(Mode::Hardlink), &()).unwrap();
    assert_eq!(estimate.method, Method::Hardlink);
    assert_eq!(estimate.files, 30);
    assert!(estimate.needed > 0 && estimate.free > estimate.needed);
    assert!(estimate.bytes > 8 << 20);
    assert_eq!(home.names(), ["data"]);
}

#[test]
fn a_dangerous_pattern_is_refused() {
    let home = Home::new();
    let mut request = home.request(Mode::Hardlink);
    request.immutable = vec!["*.log".into()];
    let error = take(&request, &()).unwrap_err().to_string();
    assert!(error.contains("BATON_BACKUP_IMMUTABLE"), "{error}");
    request.immutable = vec!["wal.0??".into()];
    assert!(take(&request, &()).is_ok());
}
