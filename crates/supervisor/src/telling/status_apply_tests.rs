use std::time::Duration;

use super::*;
use crate::due::Author;
use crate::telling::status::Supervisor;

fn at(second: u64) -> Time {
    "2026-11-21T03:00:00Z"
        .parse::<Time>()
        .unwrap()
        .after(Duration::from_secs(second))
}

fn status() -> Status {
    Status::new(Supervisor {
        pid: 1,
        version: "0.1.0".into(),
        since: at(0),
        home: "/h".into(),
        name: "simd".into(),
        admin_address: None,
        config: std::collections::BTreeMap::new(),
    })
}

fn started(generation: u64, release: &str) -> Event {
    Event::NodeStarted {
        pid: 100 + u32::try_from(generation).unwrap(),
        generation,
        release: release.into(),
        binary: format!("/h/cosmovisor/{release}/bin/simd").into(),
    }
}

fn exited(code: i32) -> Event {
    Event::NodeExited {
        pid: 101,
        code: Some(code),
        signal: None,
        ran_for: Duration::from_secs(9),
    }
}

fn seen(name: &str, height: u64) -> Event {
    Event::PlanSeen {
        name: name.into(),
        height,
        info: String::new(),
        provenance: Author::Node,
    }
}

fn step(step: &str, ms: u64) -> Event {
    Event::UpgradeStep {
        name: "v2".into(),
        step: step.into(),
        took: Duration::from_millis(ms),
    }
}

fn apply_all(status: &mut Status, events: &[Event]) {
    for (second, event) in (1..).zip(events) {
        status.apply(event, at(second));
    }
}

#[test]
fn an_upgrade_from_plan_to_confirmed() {
    let mut s = status();
    apply_all(&mut s, &[started(1, "genesis"), seen("v2", 50)]);
    s.see_height(40, "rpc", at(3), Some(Duration::from_secs(6)));
    let plan = s.plan.as_ref().unwrap();
    assert_eq!(plan.blocks_to_go, Some(10));
    assert_eq!(plan.estimated_seconds, Some(60));
    assert!(s.is_ready());
    assert_eq!(s.headline(), "running genesis; v2 planned at height 50");

    apply_all(
        &mut s,
        &[
            Event::PrefetchProgress {
                name: "v2".into(),
                bytes_done: 5,
                bytes_total: Some(10),
            },
            Event::PrefetchFinished {
                name: "v2".into(),
                bytes: 10,
                verified: true,
                took: Duration::from_secs(1),
            },
            // Seen again after a touch of the file: what is known about it stays.
            seen("v2", 50),
        ],
    );
    assert!(s.plan.as_ref().is_some_and(|p| p.fetched && p.verified));

    apply_all(
        &mut s,
        &[
            Event::UpgradeStarted {
                name: "v2".into(),
                height: 50,
            },
            Event::NodeStopping {
                pid: 101,
                why: "upgrade v2".into(),
            },
            exited(143),
            step("stopped", 400),
        ],
    );
    assert!(!s.is_ready());
    assert_eq!(s.headline(), "upgrading to v2 at height 50: stopped");
    assert_eq!(s.last_error, None, "an exit that was asked for is no error");
    s.apply(
        &Event::BackupProgress {
            bytes_done: 1,
            bytes_total: 4,
            files_done: 1,
            files_total: 2,
        },
        at(9),
    );
    assert_eq!(
        s.upgrade.as_ref().unwrap().progress.as_ref().unwrap().what,
        "backup"
    );
    apply_all(
        &mut s,
        &[
            step("backed-up", 100),
            started(2, "upgrades/v2"),
            step("started", 5),
            Event::UpgradeConfirmed {
                name: "v2".into(),
                height: 50,
                pause: Duration::from_millis(505),
                total: Duration::from_secs(7),
            },
        ],
    );
    assert_eq!((&s.upgrade, &s.plan), (&None, &None));
    let last = s.last_upgrade.as_ref().unwrap();
    assert_eq!(last.result, UpgradeResult::Confirmed);
    assert_eq!(last.height, Some(50));
    assert_eq!(last.pause_ms, Some(505));
    let names: Vec<_> = last.steps.iter().map(|s| s.step.as_str()).collect();
    assert_eq!(names, ["stopped", "backed-up", "started"]);
    assert!(s.is_ready());
    assert_eq!(s.node.generation, 2);

    s.apply(
        &Event::RolledBack {
            name: "v2".into(),
            from: "upgrades/v2".into(),
            to: "genesis".into(),
            backup: None,
            why: "3 exits".into(),
        },
        at(20),
    );
    let last = s.last_upgrade.as_ref().unwrap();
    assert_eq!(last.result, UpgradeResult::RolledBack);
    assert_eq!((last.height, last.steps.len()), (Some(50), 3));
    assert!(s.last_error.as_ref().unwrap().text.contains("rolled back"));
}

#[test]
fn a_failed_upgrade_leaves_its_error_and_what_to_do() {
    let mut s = status();
    apply_all(
        &mut s,
        &[
            started(1, "genesis"),
            seen("v2", 50),
            Event::UpgradeStarted {
                name: "v2".into(),
                height: 50,
            },
            Event::NodeStopping {
                pid: 101,
                why: "upgrade v2".into(),
            },
            exited(0),
            step("stopped", 400),
            Event::UpgradeFailed {
                name: "v2".into(),
                step: "backed-up".into(),
                error: "40.2 GiB needed, 1.0 GiB free on /b".into(),
                what_to_do: "free some room, then start again".into(),
            },
        ],
    );
    assert_eq!(s.headline(), "the node is down: upgrade v2 failed");
    assert_eq!(
        s.last_upgrade.as_ref().unwrap().result,
        UpgradeResult::Failed
    );
    assert!(s.plan.is_some(), "the plan is still to come");
    let error = s.last_error.as_ref().unwrap();
    assert!(error.text.contains("1.0 GiB free"), "{}", error.text);
    assert_eq!(error.what_to_do, "free some room, then start again");
    assert_eq!(error.at, at(7));
}

#[test]
fn an_exit_nobody_asked_for_is_an_error() {
    let mut s = status();
    apply_all(&mut s, &[started(1, "genesis"), exited(2)]);
    assert!(!s.node.last_exit.as_ref().unwrap().asked);
    assert!(
        s.last_error
            .as_ref()
            .unwrap()
            .text
            .contains("exited with code 2")
    );
    assert_eq!(s.headline(), "the node is down: genesis exited with code 2");
    apply_all(
        &mut s,
        &[Event::NodeRestarting {
            delay: Duration::from_secs(1),
            attempt: 1,
        }],
    );
    assert_eq!((s.node.state, s.node.restarts), (NodeState::Restarting, 1));
    assert!(!s.is_ready());
}

#[test]
fn a_refused_plan_is_no_longer_pending_but_another_stays() {
    let refused = |name: &str| Event::PlanRefused {
        name: name.into(),
        height: 50,
        why: "skipped".into(),
        what_to_do: String::new(),
    };
    let mut s = status();
    apply_all(&mut s, &[seen("v2", 50), refused("v1")]);
    assert!(s.plan.is_some());
    s.apply(&refused("v2"), at(3));
    assert_eq!((s.plan, s.last_error), (None, None));
}

#[test]
fn a_plan_with_another_height_is_another_plan() {
    let mut s = status();
    apply_all(
        &mut s,
        &[
            seen("v2", 50),
            Event::PrefetchFinished {
                name: "v2".into(),
                bytes: 10,
                verified: true,
                took: Duration::ZERO,
            },
            seen("v2", 60),
        ],
    );
    let plan = s.plan.unwrap();
    assert_eq!((plan.height, plan.fetched), (60, false));
}

#[test]
fn backups_are_bounded_and_pruned() {
    let made = |i: usize| Event::BackupMade {
        path: format!("/b/{i}").into(),
        mode: "copy".into(),
        bytes: 1,
        files: 1,
        took: Duration::ZERO,
    };
    let mut s = status();
    for i in 0..100 {
        s.apply(&made(i), at(1));
    }
    s.apply(&made(99), at(2));
    assert_eq!(s.backups.len(), MAX_BACKUPS);
    assert_eq!(s.backups.last().unwrap().at, at(2));
    s.apply(
        &Event::BackupsPruned {
            paths: vec!["/b/98".into(), "/b/1".into()],
        },
        at(3),
    );
    assert_eq!(s.backups.len(), MAX_BACKUPS - 1);
}

#[test]
fn what_an_earlier_supervisor_knew_is_taken_over_where_nothing_is_newer() {
    let made = |path: &str| Event::BackupMade {
        path: path.into(),
        mode: "copy".into(),
        bytes: 1,
        files: 1,
        took: Duration::ZERO,
    };
    let mut past = status();
    apply_all(
        &mut past,
        &[
            started(1, "genesis"),
            exited(7),
            made("/b/1"),
            Event::UpgradeStarted {
                name: "v2".into(),
                height: 50,
            },
            step("stopped", 400),
            step("backed-up", 100),
        ],
    );
    let mut s = status();
    apply_all(
        &mut s,
        &[
            Event::UpgradeResumed {
                name: "v2".into(),
                height: 50,
                step: "backed-up".into(),
            },
            step("switched", 1),
            made("/b/2"),
        ],
    );
    s.inherit(past);
    let names: Vec<_> = s
        .upgrade
        .as_ref()
        .unwrap()
        .steps
        .iter()
        .map(|s| s.step.as_str())
        .collect();
    assert_eq!(names, ["stopped", "backed-up", "switched"]);
    assert_eq!(s.backups.len(), 2);
    assert_eq!(s.backups[1].path.to_str(), Some("/b/2"));
    assert!(s.last_error.as_ref().unwrap().text.contains("code 7"));
    assert_eq!(
        s.node.state,
        NodeState::NotStarted,
        "processes are not inherited"
    );
}

#[test]
fn the_json_has_every_key_and_is_read_back() {
    let mut s = status();
    let json = serde_json::to_value(&s).unwrap();
    let keys: Vec<_> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "supervisor",
            "node",
            "plan",
            "upgrade",
            "standing",
            "last_upgrade",
            "last_change",
            "backups",
            "last_error"
        ]
    );
    assert_eq!(json["node"]["state"], "not-started");
    assert!(json["node"]["height"].is_null());
    apply_all(&mut s, &[started(1, "genesis"), seen("v2", 50), exited(1)]);
    let text = serde_json::to_string(&s).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), s);
}
