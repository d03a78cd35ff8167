use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::due::Author;
use crate::telling::change::Change;
use crate::telling::status::{Disk, Supervisor};

fn at(second: u64) -> Time {
    "2026-11-21T03:00:00Z"
        .parse::<Time>()
        .unwrap()
        .after(Duration::from_secs(second))
}

fn fresh() -> Status {
    Status::new(Supervisor {
        pid: 1,
        version: "0.1.0".into(),
        since: at(0),
        home: "/h".into(),
        name: "simd".into(),
        admin_address: None,
        config: BTreeMap::new(),
    })
}

fn figures(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.rsplit_once(' ').unwrap())
        .collect()
}

#[test]
fn what_is_not_known_is_absent() {
    let (_to, status) = watch::channel(fresh());
    let text = Metrics::new(status, vec![Losses::on("history")]).render();
    let figures = figures(&text);
    assert_eq!(figures["baton_node_up"], "0");
    assert_eq!(figures[r#"baton_build_info{version="0.1.0"}"#], "1");
    assert_eq!(figures[r#"baton_upgrades_total{result="failed"}"#], "0");
    assert_eq!(
        figures[r#"baton_events_dropped_total{outlet="history"}"#],
        "0"
    );
    for absent in [
        "baton_node_height",
        "baton_plan_height",
        "baton_last_upgrade_timestamp_seconds",
    ] {
        assert!(!text.contains(absent), "{absent} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn every_figure_has_its_name_and_unit() {
    let (to, status) = watch::channel(fresh());
    let losses = Losses::on("webhook");
    losses.one("its queue is full");
    let metrics = Metrics::new(status, vec![losses]);
    let name = || "v2".to_owned();
    let step = |step: &str, ms| Event::UpgradeStep {
        name: name(),
        step: step.into(),
        took: Duration::from_millis(ms),
    };
    let tell = |event: Event| {
        metrics.count(&event);
        to.send_modify(|s| s.apply(&event, at(100)));
    };
    tell(Event::NodeStarted {
        pid: 9,
        generation: 1,
        release: "genesis".into(),
        binary: "/h/b".into(),
    });
    tell(Event::PlanSeen {
        name: name(),
        height: 50,
        info: String::new(),
        provenance: Author::Node,
    });
    tell(Event::PrefetchFinished {
        name: name(),
        bytes: 1_000,
        verified: true,
        took: Duration::from_secs(1),
    });
    to.send_modify(|s| {
        s.see_height(40, "rpc", at(100), Some(Duration::from_secs(6)));
        s.plan.as_mut().unwrap().disk = Some(Disk { needed: 7, free: 8 });
    });
    let text = metrics.render();
    let before = figures(&text);
    for (figure, value) in [
        ("baton_node_up", "1"),
        ("baton_node_ready", "1"),
        ("baton_node_generation", "1"),
        ("baton_node_height", "40"),
        ("baton_node_block_time_seconds", "6.0"),
        (r#"baton_plan_height{name="v2"}"#, "50"),
        (r#"baton_plan_fetched{name="v2"}"#, "1"),
        (r#"baton_plan_blocks_to_go{name="v2"}"#, "10"),
        ("baton_plan_disk_needed_bytes", "7"),
        ("baton_plan_disk_free_bytes", "8"),
        ("baton_fetched_bytes_total", "1000"),
        (r#"baton_events_total{kind="plan-seen"}"#, "1"),
        (r#"baton_events_dropped_total{outlet="webhook"}"#, "1"),
    ] {
        assert_eq!(before.get(figure), Some(&value), "{figure} in\n{text}");
    }
    let due: f64 = before["baton_plan_due_timestamp_seconds"].parse().unwrap();
    assert!((due - at(160).unix_seconds()).abs() < 0.01);

    tell(Event::UpgradeStarted {
        name: name(),
        height: 50,
    });
    tell(Event::NodeExited {
        pid: 9,
        code: None,
        signal: Some(15),
        ran_for: Duration::from_secs(1),
    });
    tell(step("stopped", 250));
    tell(Event::NodeChanged {
        generation: 2,
        change: Box::new(Change {
            why: "reload".into(),
            how: How::HandedOver,
            from: 1,
            to: 2,
            release: "genesis".into(),
            binary: "/b".into(),
            took: Duration::from_millis(40),
            pause: Duration::from_micros(500),
            longest_freeze_us: None,
            moved: std::collections::BTreeMap::new(),
            phases: Vec::new(),
        }),
    });
    let rendered = metrics.render();
    let changed = figures(&rendered);
    assert_eq!(changed["baton_last_change_pause_seconds"], "0.0005");
    assert_eq!(
        changed[r#"baton_node_changes_total{how="handed-over"}"#],
        "1"
    );
    tell(Event::NodeExited {
        pid: 2,
        code: Some(0),
        signal: None,
        ran_for: Duration::from_secs(1),
    });
    tell(Event::BackupMade {
        path: "/b".into(),
        mode: "copy".into(),
        bytes: 4096,
        files: 2,
        took: Duration::from_millis(1_500),
    });
    let text = metrics.render();
    let during = figures(&text);
    assert_eq!(during["baton_upgrade_in_progress"], "1");
    assert_eq!(during["baton_node_up"], "0");
    tell(Event::UpgradeConfirmed {
        name: name(),
        height: 50,
        pause: Duration::from_millis(500),
        total: Duration::from_millis(2_500),
    });
    let text = metrics.render();
    let after = figures(&text);
    for (figure, value) in [
        ("baton_upgrade_in_progress", "0"),
        (r#"baton_upgrades_total{result="confirmed"}"#, "1"),
        (r#"baton_node_exits_total{how="signal"}"#, "1"),
        (r#"baton_upgrade_step_seconds{step="stopped"}"#, "0.25"),
        ("baton_last_upgrade_pause_seconds", "0.5"),
        ("baton_last_upgrade_duration_seconds", "2.5"),
        ("baton_last_backup_bytes", "4096"),
        ("baton_last_backup_duration_seconds", "1.5"),
        ("baton_backups_total", "1"),
    ] {
        assert_eq!(after.get(figure), Some(&value), "{figure} in\n{text}");
    }
    assert!(!text.contains("baton_plan_height"), "{text}");

    // The operators' page says the same.
    let page = include_str!("../../../../docs/telling.md");
    metrics.hook_ran("ok");
    metrics.webhook_told("ok");
    let in_page = |name: &str| {
        page.contains(&format!("| `{name}` |")) || page.contains(&format!("| `{name}{{"))
    };
    let last = metrics.render();
    for name in names(&last).chain(before.keys().map(|f| name_of(f))) {
        assert!(in_page(name), "the page lacks {name}");
    }
    for row in page.lines().filter_map(|l| l.strip_prefix("| `baton_")) {
        let row = format!("baton_{}", &row[..row.find(['`', '{']).unwrap()]);
        let known = names(&last)
            .chain(before.keys().map(|f| name_of(f)))
            .any(|n| n == row);
        assert!(known, "the page has {row}, which is not told");
    }
}

fn name_of(figure: &str) -> &str {
    figure.split('{').next().unwrap()
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| name_of(l.split(' ').next().unwrap()))
}

#[test]
fn progress_and_unknown_kinds_make_no_series_of_their_own() {
    let (_to, status) = watch::channel(fresh());
    let metrics = Metrics::new(status, Vec::new());
    metrics.count(&Event::BackupProgress {
        bytes_done: 1,
        bytes_total: 2,
        files_done: 1,
        files_total: 2,
    });
    for i in 0..3 {
        metrics
            .count(&serde_json::from_value(serde_json::json!({"kind": format!("k{i}")})).unwrap());
    }
    metrics.hook_ran("timed-out");
    metrics.webhook_told("ok");
    let text = metrics.render();
    let figures = figures(&text);
    assert_eq!(figures[r#"baton_events_total{kind="other"}"#], "3");
    assert!(!text.contains("progress\""), "{text}");
    assert_eq!(figures[r#"baton_hook_runs_total{result="timed-out"}"#], "1");
    assert_eq!(figures[r#"baton_webhook_posts_total{result="ok"}"#], "1");
}
