use super::*;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

fn directory(within: &tempfile::TempDir) -> ControlDirectory {
    ControlDirectory::prepare(&within.path().join("control")).unwrap()
}

fn listed(directory: &ControlDirectory) -> Vec<(u64, bool, bool)> {
    let listed = directory.list().unwrap().into_iter();
    listed.map(|l| (l.generation, l.current, l.alive)).collect()
}

#[test]
fn it_is_made_for_its_owner_alone() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("control");
    for _ in 0..2 {
        ControlDirectory::prepare(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
    }
    for (mode, refused) in [
        (0o755, true),
        (0o770, true),
        (0o701, true),
        (0o720, true),
        (0o750, true),
        (0o744, false),
    ] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        match ControlDirectory::prepare(&path) {
            Ok(_) => assert!(!refused, "{mode:o}"),
            Err(error) => {
                let error = error.to_string();
                assert!(refused, "{mode:o}: {error}");
                assert!(error.contains("chmod 700"), "{error}");
            }
        }
    }
}

#[test]
fn what_is_no_directory_or_not_there_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    std::fs::write(&file, "").unwrap();
    for bad in [file.clone(), file.join("below"), temp.path().join("a/b")] {
        let error = ControlDirectory::prepare(&bad).unwrap_err().to_string();
        assert!(error.contains(bad.to_str().unwrap()), "{error}");
    }
    let missing = ControlDirectory::open(&temp.path().join("none")).unwrap_err();
    assert!(matches!(missing, DirectoryError::Missing { .. }));
}

#[test]
fn a_foreign_directory_is_refused() {
    // Of another user: root's for everybody, and an invented user's for root.
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("control");
    let path = if rustix::process::geteuid().is_root() {
        std::fs::create_dir(&path).unwrap();
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        path
    } else {
        PathBuf::from("/")
    };
    let error = ControlDirectory::prepare(&path).unwrap_err();
    assert!(matches!(error, DirectoryError::Foreign { .. }), "{error}");
}

#[test]
fn generations_follow_each_other() {
    let temp = tempfile::tempdir().unwrap();
    let directory = directory(&temp);
    assert!(directory.connect().unwrap().is_none());
    let (first, one) = directory.listen().unwrap();
    assert!(directory.connect().unwrap().is_none(), "not yet the owner");
    directory.make_current(first).unwrap();
    let (second, two) = directory.listen().unwrap();
    assert_eq!((first, second), (1, 2));
    assert_eq!(listed(&directory), [(1, true, true), (2, false, true)]);

    directory.make_current(second).unwrap();
    let asking = directory.connect().unwrap().unwrap();
    rustix::net::accept(&two).expect("the second is asked");
    assert_eq!(
        rustix::net::sockopt::socket_type(&asking).unwrap(),
        rustix::net::SocketType::SEQPACKET
    );

    directory.leave(first).unwrap();
    drop(one);
    assert_eq!(listed(&directory), [(2, true, true)]);
    directory.leave(second).unwrap();
    assert_eq!(directory.current().unwrap(), None);
    assert_eq!(listed(&directory), []);
}

#[test]
fn what_a_crash_leaves_is_seen_swept_and_its_number_not_used_again() {
    let temp = tempfile::tempdir().unwrap();
    let directory = directory(&temp);
    let (first, one) = directory.listen().unwrap();
    directory.make_current(first).unwrap();
    drop(one);
    assert_eq!(listed(&directory), [(1, true, false)]);
    assert!(directory.connect().unwrap().is_none());
    assert!(directory.listen_as(1).unwrap().is_none(), "taken");

    let (second, two) = directory.listen().unwrap();
    assert_eq!(second, 2);
    assert_eq!(directory.sweep().unwrap(), [1]);
    assert_eq!(directory.sweep().unwrap(), [0; 0]);
    // The link still remembers the number.
    directory.leave(second).unwrap();
    drop(two);
    assert_eq!(directory.current().unwrap(), Some(1));
    assert_eq!(directory.listen().unwrap().0, 2);
}

#[test]
fn leftovers_and_strangers_do_not_get_in_the_way() {
    let temp = tempfile::tempdir().unwrap();
    let directory = directory(&temp);
    let path = temp.path().join("control");
    for name in [
        "generation-x.sock",
        "generation-007.sock",
        "generation-.sock",
        "notes",
    ] {
        std::fs::write(path.join(name), "").unwrap();
    }
    // Of a process with our number that died between two steps.
    let pid = std::process::id();
    std::fs::write(path.join(format!(".generation-1.sock.{pid}")), "").unwrap();
    symlink("nowhere", path.join(format!(".current.{pid}"))).unwrap();
    symlink("elsewhere", path.join("current")).unwrap();
    assert_eq!(directory.current().unwrap(), None);
    let (generation, _listener) = directory.listen().unwrap();
    directory.make_current(generation).unwrap();
    assert_eq!(listed(&directory), [(1, true, true)]);
    assert_eq!(directory.sweep().unwrap(), [0; 0]);
    assert!(path.join("notes").exists());
}

#[test]
fn a_long_path_is_no_obstacle() {
    let temp = tempfile::tempdir().unwrap();
    let mut path = temp.path().to_owned();
    for _ in 0..4 {
        path.push("x".repeat(100));
        std::fs::create_dir(&path).unwrap();
    }
    let directory = ControlDirectory::prepare(&path.join("control")).unwrap();
    let (generation, listener) = directory.listen().unwrap();
    directory.make_current(generation).unwrap();
    let _asking = directory.connect().unwrap().unwrap();
    rustix::net::accept(&listener).unwrap();
}

#[test]
fn many_at_once_get_numbers_of_their_own() {
    let temp = tempfile::tempdir().unwrap();
    drop(directory(&temp));
    let taken: Vec<(u64, OwnedFd)> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    // Threads share a pid, and so hidden names; the guard keeps them apart as well.
                    let directory = directory(&temp);
                    let taken = directory.listen().unwrap();
                    directory.make_current(taken.0).unwrap();
                    taken
                })
            })
            .collect();
        racers.into_iter().map(|r| r.join().unwrap()).collect()
    });
    let mut numbers: Vec<_> = taken.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    let listed = directory(&temp).list().unwrap();
    assert!(listed.iter().all(|listed| listed.alive));
    assert_eq!(listed.iter().filter(|listed| listed.current).count(), 1);
}

#[tokio::test]
async fn of_two_fresh_starts_one_waits_and_then_finds_the_other() {
    let temp = tempfile::tempdir().unwrap();
    let (first, second) = (directory(&temp), directory(&temp));
    let lock = first.lock(SOON).await.unwrap();
    let error = second.lock(Duration::from_millis(30)).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );

    let waits = tokio::spawn(async move {
        let _lock = second.lock(SOON).await.unwrap();
        second.connect().unwrap().is_some()
    });
    assert!(first.connect().unwrap().is_none());
    let (generation, _listener) = first.listen().unwrap();
    first.make_current(generation).unwrap();
    drop(lock);
    assert!(waits.await.unwrap(), "the second finds the first");
}
