use super::*;
use crate::telling::change::{How, Phase};

fn at() -> Time {
    "2026-11-21T03:24:05.123Z".parse().unwrap()
}

/// One of each kind that this version writes.
fn all() -> Vec<Event> {
    let s = str::to_owned;
    let ms = Duration::from_millis;
    vec![
        Event::SupervisorStarted {
            version: s("0.1.0"),
            home: "/home/val/.simd".into(),
            resumed: true,
        },
        Event::SupervisorStopped { exit_code: 1 },
        Event::NodeStarted {
            pid: 4242,
            generation: 3,
            release: s("upgrades/v2"),
            binary: "/home/val/.simd/cosmovisor/upgrades/v2/bin/simd".into(),
        },
        Event::NodeStopping {
            pid: 4242,
            why: s("upgrade v3"),
        },
        Event::NodeKilled {
            pid: 4242,
            grace: ms(30_000),
        },
        Event::NodeExited {
            pid: 4242,
            code: None,
            signal: Some(9),
            ran_for: ms(1_500),
        },
        Event::HandingOver {
            why: s("reload"),
            from: 1,
            to: 2,
            binary: "/b".into(),
            dry_run: true,
        },
        Event::NodeChanged {
            generation: 4,
            change: Box::new(Change {
                why: s("upgrade v2"),
                how: How::HandedOver,
                from: 1,
                to: 2,
                release: s("upgrades/v2"),
                binary: "/b".into(),
                took: ms(40),
                pause: Duration::from_micros(400),
                longest_freeze_us: Some(900),
                moved: [(s("rpc"), 7)].into(),
                phases: vec![Phase {
                    phase: s("warm"),
                    took: Duration::from_micros(12),
                }],
            }),
        },
        Event::HandoverFailed {
            why: s("reload"),
            error: s("cannot open the store"),
            what_to_do: s("mend it"),
        },
        Event::HandoverRehearsed {
            why: s("reload"),
            took: ms(40),
        },
        Event::NodeFound {
            pid: 4242,
            generation: 3,
            release: s("genesis"),
            binary: "/b".into(),
            why: s("left by a supervisor that was killed"),
        },
        Event::GenerationEnded {
            pid: 4242,
            code: Some(0),
            signal: None,
        },
        Event::UpgradeStands {
            name: s("v3"),
            height: 120,
            step: s("hand-over"),
            error: s("cannot open the store"),
            what_to_do: s("baton retry"),
        },
        Event::NodeRestarting {
            delay: ms(2_000),
            attempt: 2,
        },
        Event::CrashLoop {
            exits: 5,
            within: ms(600_000),
            what_to_do: s("read the node's log"),
        },
        Event::PlanSeen {
            name: s("v3"),
            height: 120,
            info: s("{}"),
            provenance: Author::Node,
        },
        Event::PlanMalformed {
            path: "/d/upgrade-info.json".into(),
            error: s("not a JSON object"),
        },
        Event::PlanWaiting {
            name: s("v3"),
            height: 120,
            why: s("the chain is at 100"),
        },
        Event::PlanRefused {
            name: s("v3"),
            height: 120,
            why: s("the chain is at 200"),
            what_to_do: s("remove the file"),
        },
        Event::PrefetchStarted {
            name: s("v3"),
            url: s("https://example.org/simd"),
        },
        Event::PrefetchProgress {
            name: s("v3"),
            bytes_done: 1,
            bytes_total: Some(2),
        },
        Event::PrefetchFinished {
            name: s("v3"),
            bytes: 1 << 20,
            verified: true,
            took: ms(900),
        },
        Event::PrefetchFailed {
            name: s("v3"),
            error: s("404"),
            what_to_do: s("place the binary by hand"),
        },
        Event::UpgradeStarted {
            name: s("v3"),
            height: 120,
        },
        Event::UpgradeResumed {
            name: s("v3"),
            height: 120,
            step: s("backed-up"),
        },
        Event::UpgradeStep {
            name: s("v3"),
            step: s("backed-up"),
            took: ms(41),
        },
        Event::UpgradeFailed {
            name: s("v3"),
            step: s("fetched"),
            error: s("no binary"),
            what_to_do: s("place it"),
        },
        Event::UpgradeConfirmed {
            name: s("v3"),
            height: 120,
            pause: ms(900),
            total: ms(4_200),
        },
        Event::RolledBack {
            name: s("v3"),
            from: s("upgrades/v3"),
            to: s("upgrades/v2"),
            backup: Some("/b/data-backup-2026-11-21".into()),
            why: s("3 exits before a new block"),
        },
        Event::BackupProgress {
            bytes_done: 1,
            bytes_total: 2,
            files_done: 1,
            files_total: 2,
        },
        Event::BackupMade {
            path: "/b/data-backup-2026-11-21".into(),
            mode: s("hardlink"),
            bytes: 10 << 30,
            files: 5_000,
            took: ms(700),
        },
        Event::BackupsPruned {
            paths: vec!["/b/data-backup-2026-1-2".into()],
        },
        Event::BatchMissed {
            entries: vec![MissedPlan {
                name: s("v1"),
                height: 10,
            }],
        },
        Event::SignalReceived { signal: 15 },
        Event::Warning {
            text: s("the disk is nearly full"),
            what_to_do: s("free some room"),
        },
    ]
}

#[test]
fn every_kind_is_written_and_read_back() {
    let mut kinds = std::collections::BTreeSet::new();
    for (seq, event) in (7..).zip(all()) {
        let record = Record {
            seq,
            time: at(),
            event,
        };
        let json = record.to_json();
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["seq"], seq);
        assert_eq!(value["time"], "2026-11-21T03:24:05.123Z");
        assert_eq!(value["kind"], record.event.kind(), "{json}");
        assert!(!json.contains('\n'));
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        let line = record.to_string();
        assert!(line.contains(record.event.kind()), "{line}");
        assert!(!line.contains('\n') && !line.ends_with(' '), "{line}");
        assert!(kinds.insert(record.event.kind().to_owned()), "{json} twice");
    }
    assert_eq!(kinds.len(), 35);
}

#[test]
fn the_operators_page_lists_every_kind() {
    let page = include_str!("../../../../docs/telling.md");
    for event in all().iter().filter(|e| e.is_kept()) {
        let row = format!("| `{}` | ", event.kind());
        assert!(page.contains(&row), "no row for {}", event.kind());
    }
}

#[test]
fn spans_are_milliseconds_in_fields_that_say_so() {
    let record = Record {
        seq: 1,
        time: at(),
        event: Event::NodeExited {
            pid: 1,
            code: Some(2),
            signal: None,
            ran_for: Duration::from_millis(1_500),
        },
    };
    assert_eq!(
        record.to_json(),
        r#"{"seq":1,"time":"2026-11-21T03:24:05.123Z","kind":"node-exited","pid":1,"code":2,"signal":null,"ran_for_ms":1500}"#
    );
}

#[test]
fn a_kind_of_a_newer_version_is_kept_as_it_is() {
    let json = r#"{"seq":9,"time":"2026-11-21T03:24:05.123Z","kind":"comet-seen","tail":7}"#;
    let record: Record = serde_json::from_str(json).unwrap();
    assert_eq!(record.event.kind(), "comet-seen");
    assert!(record.to_string().ends_with("comet-seen         tail 7"));
    assert_eq!(record.to_json(), json);
}

#[test]
fn a_new_field_in_a_known_kind_is_skipped() {
    let json = r#"{"seq":9,"time":"2026-11-21T03:24:05.123Z","kind":"supervisor-stopped","exit_code":0,"mood":"calm"}"#;
    let record: Record = serde_json::from_str(json).unwrap();
    assert_eq!(record.event, Event::SupervisorStopped { exit_code: 0 });
}

#[test]
fn an_endless_text_is_shortened_to_the_bound() {
    for info in ["é".repeat(1 << 20), "\u{1}".repeat(1 << 20)] {
        let record = Record {
            seq: 3,
            time: at(),
            event: Event::PlanSeen {
                name: "v3".into(),
                height: 120,
                info,
                provenance: Author::Operator,
            },
        };
        let json = record.to_json();
        assert!(json.len() <= MAX_RECORD_BYTES, "{}", json.len());
        let read: Record = serde_json::from_str(&json).unwrap();
        let Event::PlanSeen { name, info, .. } = read.event else {
            panic!("{json}");
        };
        assert_eq!(name, "v3");
        assert!(info.ends_with('…') && info.len() > 500, "{}", info.len());
    }
    let many = Record {
        seq: 4,
        time: at(),
        event: Event::BackupsPruned {
            paths: vec!["/a/rather/long/path".into(); 100_000],
        },
    };
    assert!(many.to_json().len() <= MAX_RECORD_BYTES);
}

#[test]
fn foreign_text_stays_on_its_line() {
    let event = Event::Warning {
        text: "a\nb\u{1b}[31m".into(),
        what_to_do: String::new(),
    };
    assert_eq!(event.to_string(), "a\\nb\\u{1b}[31m");
}

#[test]
fn trouble_says_what_to_do() {
    for event in all() {
        if let Some(trouble) = event.trouble() {
            assert!(!trouble.what_to_do.is_empty(), "{event:?}");
            assert!(!trouble.text.is_empty(), "{event:?}");
        }
    }
    let of_course = Event::PlanRefused {
        name: "v2".into(),
        height: 100,
        why: "it brought the release that runs".into(),
        what_to_do: String::new(),
    };
    assert_eq!(of_course.trouble(), None);
}
