use std::collections::BTreeMap;

use super::*;
use crate::due::Author;
use crate::telling::event::Event;
use crate::telling::status::Supervisor;

fn at(second: u64) -> Time {
    "2026-11-21T03:00:00Z"
        .parse::<Time>()
        .unwrap()
        .after(Duration::from_secs(second))
}

fn fresh() -> Status {
    Status::new(Supervisor {
        pid: 4240,
        version: "0.1.0".into(),
        since: at(0),
        home: "/home/val/.simd".into(),
        name: "simd".into(),
        admin_address: None,
        config: BTreeMap::new(),
    })
}

fn running() -> Status {
    let mut status = fresh();
    status.apply(
        &Event::NodeStarted {
            pid: 4242,
            generation: 3,
            release: "upgrades/v2".into(),
            binary: "/home/val/.simd/cosmovisor/upgrades/v2/bin/simd".into(),
        },
        at(1),
    );
    status
}

#[test]
fn a_supervisor_that_has_just_started() {
    assert_eq!(
        render_text(&fresh(), at(1)),
        "\
The node was not started yet

node          not started yet
height        not known yet
plan          none
backups       none known
supervisor    baton 0.1.0, pid 4240, up 1.0 s, simd in /home/val/.simd
"
    );
}

#[test]
fn a_running_node_with_a_plan() {
    let mut status = running();
    status.supervisor.admin_address = Some("127.0.0.1:9464".into());
    status
        .supervisor
        .config
        .insert("BATON_RESTART".into(), "on-failure".into());
    status.apply(
        &Event::PlanSeen {
            name: "v3".into(),
            height: 12_400_000,
            info: "{}".into(),
            provenance: Author::Operator,
        },
        at(2),
    );
    status.see_height(
        12_345_678,
        "rpc",
        at(3_600),
        Some(Duration::from_millis(6_130)),
    );
    status.plan.as_mut().unwrap().disk = Some(Disk {
        needed: 40 << 30,
        free: 30 << 30,
    });
    status.apply(
        &Event::PrefetchFinished {
            name: "v3".into(),
            bytes: 100,
            verified: true,
            took: Duration::from_secs(3),
        },
        at(3),
    );
    assert_eq!(
        render_text(&status, at(3_602)),
        "\
Running upgrades/v2; v3 planned at height 12400000

node          pid 4242, up 1 h 0 min, generation 3
release       upgrades/v2
              /home/val/.simd/cosmovisor/upgrades/v2/bin/simd
height        12345678, from rpc, 2.0 s ago, a block every 6.1 s
plan          v3 at height 12400000, 54322 blocks to go, in about 3 d 20 h (2026-11-25 00:29 UTC)
              binary in place, checksum right
              disk: 40.0 GiB needed, 30.0 GiB free: NOT ENOUGH
backups       none known
supervisor    baton 0.1.0, pid 4240, up 1 h 0 min, simd in /home/val/.simd
              metrics at http://127.0.0.1:9464/metrics
              BATON_RESTART=on-failure
"
    );
}

#[test]
fn an_upgrade_under_way() {
    let mut status = running();
    let name = || "v3".to_owned();
    for event in [
        Event::UpgradeStarted {
            name: name(),
            height: 120,
        },
        Event::NodeStopping {
            pid: 4242,
            why: "upgrade v3".into(),
        },
        Event::NodeExited {
            pid: 4242,
            code: Some(0),
            signal: None,
            ran_for: Duration::from_secs(90),
        },
        Event::UpgradeStep {
            name: name(),
            step: "stopped".into(),
            took: Duration::from_millis(412),
        },
        Event::BackupProgress {
            bytes_done: 4 << 30,
            bytes_total: 10 << 30,
            files_done: 2_000,
            files_total: 5_000,
        },
    ] {
        status.apply(&event, at(100));
    }
    let text = render_text(&status, at(112));
    let expected = "\
Upgrading to v3 at height 120: stopped

node          down for 12.0 s
              exited with code 0 after 1 min 30 s, as asked
release       upgrades/v2
              /home/val/.simd/cosmovisor/upgrades/v2/bin/simd
height        not known yet
plan          none
upgrade       v3 at height 120: stopped since 12.0 s
              backup: 4.0 GiB of 10.0 GiB (40 %), 2000 of 5000 files
                stopped  412 ms
";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn an_upgrade_that_failed() {
    let mut status = running();
    let name = || "v3".to_owned();
    for event in [
        Event::BackupMade {
            path: "/b/data-backup-2026-11-21".into(),
            mode: "hardlink".into(),
            bytes: 10 << 30,
            files: 5_000,
            took: Duration::from_millis(700),
        },
        Event::UpgradeStarted {
            name: name(),
            height: 120,
        },
        Event::UpgradeStep {
            name: name(),
            step: "stopped".into(),
            took: Duration::from_millis(412),
        },
        Event::UpgradeFailed {
            name: name(),
            step: "fetched".into(),
            error: "no binary for linux/arm64\nand no \u{1b}[31many".into(),
            what_to_do: "place it at /home/val/.simd/cosmovisor/upgrades/v3/bin/simd".into(),
        },
    ] {
        status.apply(&event, at(100));
    }
    let text = render_text(&status, at(160));
    let expected = "\
last upgrade  v3 at height 120, FAILED 2026-11-21 03:01:40 UTC
                stopped  412 ms
backups       1, newest /b/data-backup-2026-11-21
              hardlink, 10.0 GiB, 5000 files, 2026-11-21 03:01:40 UTC
last error    upgrade v3 failed at fetched: no binary for linux/arm64\\nand no \\u{1b}[31many
              2026-11-21 03:01:40 UTC, 1 min 0 s ago
              to do: place it at /home/val/.simd/cosmovisor/upgrades/v3/bin/simd
supervisor    ";
    assert!(text.contains(expected), "{text}");
}
