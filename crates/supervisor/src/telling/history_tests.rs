use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::sync_channel;

use super::*;

fn json(seq: u64) -> String {
    format!(
        r#"{{"seq":{seq},"time":"2026-11-21T03:24:05.123Z","kind":"warning","text":"x","what_to_do":""}}"#
    )
}

fn history(dir: &Path) -> History {
    History::open(dir, 4 << 20).unwrap()
}

fn text(dir: &Path) -> String {
    fs::read_to_string(dir.join(FILE)).unwrap()
}

#[test]
fn numbers_go_on_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = history(dir.path());
    assert_eq!(first.last_seq(), 0);
    first.append(&json(1)).unwrap();
    first.append(&json(2)).unwrap();
    drop(first);
    let second = history(dir.path());
    assert_eq!(second.last_seq(), 2);
    let mode = fs::metadata(dir.path().join(FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_torn_last_line_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let torn = &json(3)[..20];
    fs::write(
        dir.path().join(FILE),
        format!("{}\n{}\n{torn}", json(1), json(2)),
    )
    .unwrap();
    let mut history = history(dir.path());
    assert_eq!(history.last_seq(), 2);
    history.append(&json(3)).unwrap();
    assert_eq!(
        text(dir.path()),
        format!("{}\n{}\n{}\n", json(1), json(2), json(3))
    );
}

#[test]
fn a_record_that_lacks_only_its_end_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), format!("{}\n{}", json(1), json(2))).unwrap();
    let mut history = history(dir.path());
    assert_eq!(history.last_seq(), 2);
    history.append(&json(3)).unwrap();
    assert_eq!(
        text(dir.path()),
        format!("{}\n{}\n{}\n", json(1), json(2), json(3))
    );
}

#[test]
fn a_file_of_something_else_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), vec![0xff; 100_000]).unwrap();
    let mut history = history(dir.path());
    assert_eq!(history.last_seq(), 0);
    history.append(&json(1)).unwrap();
    drop(history);
    assert_eq!(self::history(dir.path()).last_seq(), 1);
}

#[test]
fn at_the_bound_a_new_file_begins_and_one_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let bound = 1_000;
    let mut history = History::open(dir.path(), bound).unwrap();
    for seq in 1..=100 {
        history.append(&json(seq)).unwrap();
        assert!(text(dir.path()).len() as u64 <= bound);
    }
    let old = fs::read_to_string(dir.path().join(OLD_FILE)).unwrap();
    let both = old + &text(dir.path());
    let last = both.lines().count();
    assert!((11..=20).contains(&last), "{last}");
    let expected: Vec<_> = (101 - last as u64..=100).map(json).collect();
    assert_eq!(both.lines().collect::<Vec<_>>(), expected);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_crash_between_the_two_files_keeps_the_number() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(OLD_FILE), format!("{}\n", json(41))).unwrap();
    assert_eq!(history(dir.path()).last_seq(), 41);
}

#[test]
fn a_file_that_was_removed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = history(dir.path());
    history.append(&json(1)).unwrap();
    fs::remove_file(dir.path().join(FILE)).unwrap();
    history.append(&json(2)).unwrap();
    assert_eq!(text(dir.path()), format!("{}\n", json(2)));
}

#[test]
fn a_full_disk_is_an_error() {
    // /dev/full takes no byte, like a full disk.
    let dir = tempfile::tempdir().unwrap();
    let mut history = history(dir.path());
    fs::remove_file(dir.path().join(FILE)).unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join(FILE)).unwrap();
    history.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = history.append(&json(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

#[test]
fn losses_are_counted_and_the_rest_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let opened = history(dir.path());
    // A directory in the file's place: nothing can be written until it is gone.
    fs::remove_file(dir.path().join(FILE)).unwrap();
    fs::create_dir(dir.path().join(FILE)).unwrap();
    let (to, lines) = sync_channel(8);
    let (written, mut seen) = watch::channel(0);
    let losses = Losses::on("history");
    let line = |seq| {
        Arc::new(Line {
            seq,
            kind: "warning".into(),
            json: json(seq),
        })
    };
    std::thread::scope(|scope| {
        let counted = losses.clone();
        let thread = scope.spawn(move || write_all(opened, &lines, &written, &counted));
        to.send(line(1)).unwrap();
        to.send(line(2)).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while losses.total() < 2 {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        fs::remove_dir(dir.path().join(FILE)).unwrap();
        to.send(line(3)).unwrap();
        drop(to);
        thread.join().unwrap();
    });
    assert_eq!(*seen.borrow_and_update(), 3);
    assert_eq!(losses.total(), 2);
    assert_eq!(text(dir.path()), format!("{}\n", json(3)));
}
