use std::fs;
use std::io::Write;

use super::*;
use crate::telling::history::History;

fn json(seq: u64) -> String {
    format!(
        r#"{{"seq":{seq},"time":"2026-11-21T03:24:05.123Z","kind":"warning","text":"x","what_to_do":""}}"#
    )
}

fn seqs(reader: &mut Reader) -> Vec<u64> {
    let lines = reader.next_lines(1 << 20).unwrap();
    lines
        .iter()
        .map(|l| seq_of(l.as_bytes()).unwrap())
        .collect()
}

fn numbers(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

#[test]
fn no_history_is_an_empty_one_until_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Reader::new(dir.path(), 0);
    assert!(seqs(&mut reader).is_empty());
    let mut history = History::open(dir.path(), 1 << 20).unwrap();
    assert!(seqs(&mut reader).is_empty());
    history.append(&json(1)).unwrap();
    assert_eq!(seqs(&mut reader), [1]);
    assert!(seqs(&mut reader).is_empty());
    history.append(&json(2)).unwrap();
    assert_eq!(seqs(&mut reader), [2]);
}

#[test]
fn both_files_are_read_from_a_number_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path(), 1_000).unwrap();
    for seq in 1..=15 {
        history.append(&json(seq)).unwrap();
    }
    assert!(dir.path().join(OLD_FILE).exists());
    assert_eq!(seqs(&mut Reader::new(dir.path(), 0)), numbers(1, 15));
    assert_eq!(seqs(&mut Reader::new(dir.path(), 12)), numbers(13, 15));
    assert!(seqs(&mut Reader::new(dir.path(), 99)).is_empty());
}

#[test]
fn a_follower_misses_nothing_over_rotations() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path(), 1_000).unwrap();
    let mut reader = Reader::new(dir.path(), 0);
    let mut seen = Vec::new();
    for seq in 1..=200 {
        history.append(&json(seq)).unwrap();
        // Now and then, so that it finds a file that was put aside since, or one that grew first.
        if seq % 7 == 0 {
            seen.extend(seqs(&mut reader));
        }
    }
    seen.extend(seqs(&mut reader));
    assert_eq!(seen, numbers(1, 200));
}

#[test]
fn a_follower_that_sleeps_too_long_loses_only_what_was_rotated_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path(), 1_000).unwrap();
    let mut reader = Reader::new(dir.path(), 0);
    history.append(&json(1)).unwrap();
    assert_eq!(seqs(&mut reader), [1]);
    for seq in 2..=200 {
        history.append(&json(seq)).unwrap();
    }
    let seen = seqs(&mut reader);
    // It held on to its own file, so it has that one's rest as well.
    assert_eq!(seen.first(), Some(&2));
    assert_eq!(seen.last(), Some(&200));
    assert!(seen.is_sorted() && seen.len() > 11);
}

#[test]
fn one_batch_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path(), 4 << 20).unwrap();
    for seq in 1..=10_000 {
        history.append(&json(seq)).unwrap();
    }
    let mut reader = Reader::new(dir.path(), 0);
    let mut all = Vec::new();
    loop {
        let lines = reader.next_lines(50_000).unwrap();
        if lines.is_empty() {
            break;
        }
        let bytes: usize = lines.iter().map(String::len).sum();
        assert!(bytes <= 50_000 + CHUNK_BYTES, "{bytes}");
        all.extend(lines.iter().map(|l| seq_of(l.as_bytes()).unwrap()));
    }
    assert_eq!(all, numbers(1, 10_000));
}

#[test]
fn a_line_without_an_end_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let whole = json(1);
    fs::write(&path, &whole[..30]).unwrap();
    let mut reader = Reader::new(dir.path(), 0);
    assert!(seqs(&mut reader).is_empty());
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    writeln!(file, "{}", &whole[30..]).unwrap();
    assert_eq!(seqs(&mut reader), [1]);
}

#[test]
fn a_torn_line_that_was_read_and_then_cut_off_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join(FILE),
        format!("{}\n{}", json(1), &json(2)[..40]),
    )
    .unwrap();
    let mut reader = Reader::new(dir.path(), 0);
    assert_eq!(seqs(&mut reader), [1]);
    let mut history = History::open(dir.path(), 1 << 20).unwrap();
    assert!(seqs(&mut reader).is_empty());
    history.append(&json(2)).unwrap();
    history.append(&json(3)).unwrap();
    assert_eq!(seqs(&mut reader), [2, 3]);
}

#[test]
fn what_is_no_record_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let endless = "x".repeat(1 << 20);
    let mut text = format!("{}\n\n{{}}\nnot json\n{endless}\n{}\n", json(1), json(2)).into_bytes();
    text.extend_from_slice(b"\xff\xfe\n");
    text.extend_from_slice(json(3).as_bytes());
    text.push(b'\n');
    fs::write(dir.path().join(FILE), text).unwrap();
    let mut reader = Reader::new(dir.path(), 0);
    assert_eq!(seqs(&mut reader), [1, 2, 3]);
    assert!(reader.begun.capacity() <= 2 * MAX_LINE_BYTES);
}

#[test]
fn a_filter_keeps_what_it_says() {
    let record = |seq, kind: &str, time: &str| -> Record {
        serde_json::from_value(serde_json::json!({"seq": seq, "time": time, "kind": kind})).unwrap()
    };
    let early = "2026-11-21T03:00:00Z";
    let late = "2026-11-21T04:00:00Z";
    let all = Filter::default();
    assert!(all.keeps(&record(1, "upgrade-step", early)));
    let some = Filter {
        after: 5,
        from: Some("2026-11-21T03:30:00Z".parse().unwrap()),
        kinds: vec!["upgrade".into(), "rolled-back".into()],
    };
    assert!(some.keeps(&record(6, "upgrade-step", late)));
    assert!(some.keeps(&record(6, "rolled-back", late)));
    assert!(!some.keeps(&record(5, "upgrade-step", late)));
    assert!(!some.keeps(&record(6, "upgrade-step", early)));
    assert!(!some.keeps(&record(6, "node-started", late)));
}

#[test]
fn records_are_read_through_the_filter_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path(), 4 << 20).unwrap();
    for seq in 1..=2_000 {
        history.append(&json(seq)).unwrap();
    }
    let filter = Filter {
        after: 1_998,
        ..Filter::default()
    };
    // The first batches hold nothing that the filter keeps; that is not the end.
    let records = Reader::new(dir.path(), 0)
        .next_records(1_000, &filter)
        .unwrap();
    assert_eq!(
        records.iter().map(|r| r.seq).collect::<Vec<_>>(),
        [1_999, 2_000]
    );
}
