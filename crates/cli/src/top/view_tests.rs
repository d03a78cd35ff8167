use std::path::Path;
use std::time::Duration;

use baton_supervisor::due::Author;
use baton_supervisor::telling::Status;
use baton_supervisor::telling::status::Disk;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::model::News;
use super::super::testing::{at, record, status, warning};
use super::*;

/// What the terminal shows, line by line.
fn drawn_at(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(model, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..height {
        let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn model_of(status: Status) -> Model {
    let mut model = Model::new(Path::new("/home/val/.simd"), at(3_602));
    model.learn(News::Status(Box::new(status)));
    model
}

fn planned() -> Status {
    let mut status = status();
    let seen = Event::PlanSeen {
        name: "v3".into(),
        height: 12_400_000,
        info: "{}".into(),
        provenance: Author::Operator,
    };
    status.apply(&seen, at(2));
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
    status
}

fn upgrading() -> Status {
    let mut status = planned();
    let name = || "v3".to_owned();
    for event in [
        Event::UpgradeStarted {
            name: name(),
            height: 12_400_000,
        },
        Event::UpgradeStep {
            name: name(),
            step: "back-up".into(),
            took: Duration::from_millis(705),
        },
        Event::UpgradeStep {
            name: name(),
            step: "switch".into(),
            took: Duration::from_millis(12),
        },
    ] {
        status.apply(&event, at(3_601));
    }
    status
}

#[test]
fn a_plan_to_come_on_a_small_terminal() {
    let mut model = model_of(planned());
    model.learn(News::Events(vec![warning(7)]));
    assert_eq!(
        drawn_at(&model, 60, 20),
        [
            " baton top  simd /home/val/.simd              04:00:02 live",
            " running genesis; v3 planned at height 12400000",
            " node ────────────────────────────────────────────────────",
            " state     running for 1 h 0 min, pid 4242",
            " release   genesis, generation 3",
            " height    12345678 from rpc, 2.0 s ago",
            " blocks    every 6.1 s",
            " plan ────────────────────────────────────────────────────",
            " upgrade   v3 at height 12400000",
            " to go     54322 blocks, about 3 d 20 h",
            " binary    not fetched",
            " disk      NOT ENOUGH: 40.0 GiB needed, 30.0 GiB free",
            " backups ─────────────────────────────────────────────────",
            " known     none",
            " events ──────────────────────────────────────────────────",
            " 03:00:07 warning warning 7",
            "",
            "",
            "",
            " q quit   ↑ ↓ PgUp PgDn scroll   ? help",
        ]
        .join("\n")
            + "\n"
    );
}

#[test]
fn an_upgrade_under_way_on_a_usual_terminal() {
    let text = drawn_at(&model_of(upgrading()), 80, 24);
    for line in [
        " upgrading to v3 at height 12400000: switch",
        " back-up   705 ms    ▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪",
        " switch    12 ms",
        " now       switch since 1.0 s",
        " none yet",
    ] {
        assert!(text.lines().any(|l| l == line), "{line:?} in\n{text}");
    }
}

#[test]
fn two_columns_stand_beside_each_other() {
    let text = drawn_at(&model_of(planned()), 120, 40);
    let beside = text
        .lines()
        .any(|l| l.starts_with(" node ─") && l.contains("  plan ─"));
    assert!(beside, "{text}");
    assert!(
        text.contains("cosmovisor/genesis/bin/simd"),
        "details have room\n{text}"
    );
}

#[test]
fn what_is_wrong_comes_first_with_what_to_do() {
    let mut status = planned();
    let failed = Event::UpgradeStands {
        name: "v3".into(),
        height: 12_400_000,
        step: "fetch".into(),
        error: "no binary for linux/arm64\nand no \u{1b}[31many".into(),
        what_to_do: "put one in place, then `baton retry`".into(),
    };
    status.apply(&failed, at(3_600));
    for (width, height) in [(60, 20), (80, 24), (120, 40)] {
        let text = drawn_at(&model_of(status.clone()), width, height);
        for piece in [
            "upgrade FAILED, the old node answers on",
            "no binary for linux/arm64\\nand no",
            "then `baton retry`",
        ] {
            assert!(
                text.contains(piece),
                "{piece:?} at {width}×{height} in\n{text}"
            );
        }
        assert!(!text.contains('\u{1b}'));
    }
}

#[test]
fn without_a_supervisor_the_last_that_was_known_stays() {
    let mut model = model_of(planned());
    model.now = at(3_610);
    model.learn(News::Gone("no supervisor runs".into(), None));
    model.now = at(3_615);
    let text = drawn_at(&model, 80, 24);
    let mut lines = text.lines();
    assert!(
        lines.next().unwrap().ends_with("04:00:15 NO SUPERVISOR"),
        "{text}"
    );
    assert_eq!(
        lines.next().unwrap(),
        " for 5.0 s: no supervisor runs; below, what was known last"
    );
    assert!(text.contains("genesis, generation 3"), "{text}");
}

#[test]
fn any_size_can_be_drawn() {
    let mut model = model_of(upgrading());
    model.learn(News::Events((1..50).map(warning).collect()));
    model.help = true;
    for width in [1, 2, 7, 20, 59, 100, 250] {
        for height in [1, 2, 3, 4, 9, 60] {
            drawn_at(&model, width, height);
        }
    }
}

#[test]
fn events_of_other_days_tell_the_day_and_long_ones_are_cut() {
    let mut model = model_of(status());
    let text = "a very long text ".repeat(20);
    let what_to_do = String::new();
    model.learn(News::Events(vec![
        record(3, Event::Warning { text, what_to_do }),
        warning(90_000),
    ]));
    let text = drawn_at(&model, 80, 24);
    assert!(
        text.contains(" 11-22 04:00 warning             warning 90000"),
        "{text}"
    );
    let long = text.lines().find(|l| l.contains("a very long")).unwrap();
    assert!(long.ends_with('…') && long.chars().count() <= 80, "{long}");
}

#[test]
fn the_keys_are_explained_over_it() {
    let mut model = model_of(status());
    model.help = true;
    let text = drawn_at(&model, 60, 20);
    assert!(
        text.contains("┌ keys ─") && text.contains("Nothing here changes anything."),
        "{text}"
    );
}
