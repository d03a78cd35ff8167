use std::collections::BTreeMap;
use std::path::Path;

use baton_handover::control::{ExclusiveStatus, Generation, ShareableStatus};
use baton_handover::report::{Began, Party, UnixMillis};
use clap::Parser;

use super::*;

fn generation(number: u64, phase: &str) -> Generation {
    Generation {
        name: "web".to_owned(),
        generation: number,
        pid: 4000 + u32::try_from(number).unwrap(),
        program: "/usr/bin/web".to_owned(),
        phase: phase.to_owned(),
        since: UnixMillis::now(),
        shareables: (1..=8)
            .map(|n| ShareableStatus {
                name: format!("http-{n}"),
                address: format!("tcp 0.0.0.0:{}", 8000 + n),
            })
            .collect(),
        exclusives: vec![
            ExclusiveStatus {
                name: "db".to_owned(),
                held: true,
            },
            ExclusiveStatus {
                name: "lock".to_owned(),
                held: false,
            },
        ],
        states: vec![],
        connections: [("ws".to_owned(), 100), ("none".to_owned(), 0)].into(),
        taken_up: baton_handover::control::TakenUp::default(),
        drains_until: None,
        last: None,
    }
}

fn failed() -> Report {
    Report {
        name: "web".to_owned(),
        from: Party {
            generation: 2,
            pid: 4002,
        },
        to: Party {
            generation: 3,
            pid: 4003,
        },
        began: Began::Spawn,
        asked_by: "SIGUSR2".to_owned(),
        at: UnixMillis::now(),
        outcome: HandoverOutcome::RolledBack {
            phase: "acquire".to_owned(),
            reason: "cannot open the database".to_owned(),
        },
        staged: false,
        phases: vec![],
        moved: BTreeMap::new(),
        moved_late: 0,
        left_to_drain: 0,
        unclaimed: vec![],
        states: vec![],
        exclusives: vec![],
        longest_freeze: None,
        pause: None,
    }
}

fn found(number: u64, current: bool, status: Option<Result<Generation, ControlError>>) -> Found {
    Found {
        generation: number,
        current,
        status,
    }
}

#[test]
fn the_table_tells_who_holds_what() {
    let silent = ControlError::TimedOut {
        directory: "/run/web".into(),
        waited: Duration::from_secs(5),
    };
    let mut draining = generation(2, "drain");
    draining.drains_until = Some(UnixMillis(UnixMillis::now().0 + 20_500));
    let mut owner = generation(4, "serving");
    owner.last = Some(failed());
    let all = [
        found(1, false, None),
        found(2, false, Some(Ok(draining))),
        found(3, false, Some(Err(silent))),
        found(4, true, Some(Ok(owner))),
    ];
    let text = table::as_text(Path::new("/run/web"), &all);
    for piece in [
        "dead",
        "drain, 20.",
        "no answer for 5 s",
        "100 ws",
        "db (exclusive)",
        "http-1 tcp 0.0.0.0:8001",
        "and 3 more",
        "last handover of generation 4",
        "failed in phase acquire",
        "left their sockets",
    ] {
        assert!(text.contains(piece), "{piece} in:\n{text}");
    }
    assert!(!text.contains("lock"), "not held:\n{text}");
    assert!(!text.contains("nobody serves"), "{text}");
    let owner = text.lines().find(|line| line.contains('→')).unwrap();
    assert!(owner.contains("4004"), "{owner}");

    let json = table::as_json(&all);
    assert_eq!(json[0]["state"], "dead");
    assert_eq!(json[2]["error"], "no answer for 5 s");
    assert_eq!(
        json[3]["status"]["last"]["outcome"]["result"],
        "rolled-back"
    );
    assert_eq!(json[3]["current"], true);
}

#[test]
fn an_empty_directory_and_a_dead_owner_are_told() {
    let text = table::as_text(Path::new("/run/web"), &[]);
    assert!(text.contains("no generation in /run/web"), "{text}");
    let text = table::as_text(Path::new("/run/web"), &[found(1, true, None)]);
    assert!(text.contains("nobody serves in /run/web"), "{text}");
}

#[test]
fn what_another_process_says_cannot_move_the_cursor() {
    let mut owner = generation(1, "serving");
    owner.shareables[0].name = "\u{1b}[2Jx".to_owned();
    owner.phase = "\u{1b}[31mserving".to_owned();
    let text = table::as_text(Path::new("/run/web"), &[found(1, true, Some(Ok(owner)))]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: UpgradeArgs,
}

#[test]
fn times_and_flags_are_checked() {
    for (text, time) in [("30s", 30), ("1m30s", 90), ("24h", 86_400)] {
        let line = ["upgrade", "/run/web", "--timeout", text];
        let line = Line::try_parse_from(line).unwrap();
        assert_eq!(line.args.timeout, Some(Duration::from_secs(time)));
    }
    for line in [
        "upgrade",
        "upgrade /d --timeout 30",
        "upgrade /d --timeout 0",
        "upgrade /d --timeout 25h",
        "upgrade /d --timeout=-1s",
        "upgrade /d --dry-run --staged",
        "upgrade /d --roll-back --staged",
        "upgrade /d stray",
    ] {
        Line::try_parse_from(line.split(' ')).unwrap_err();
    }
    let line = "upgrade /d --exec new -- --port 80";
    let line = Line::try_parse_from(line.split(' ')).unwrap();
    assert_eq!(line.args.arguments, ["--port", "80"]);
    assert!(absolute(Path::new("new")).unwrap().is_absolute());
}

#[test]
fn each_failure_comes_with_advice() {
    let mut report = failed();
    assert!(advice(&report).contains("--dry-run"));
    report.outcome = HandoverOutcome::HandedOver;
    assert_eq!(advice(&report), "");
}
