//! Upgrades: the one to come, the one under way, the one that failed, the last one.

use std::time::Duration;

use baton_supervisor::telling::status::{
    Disk, LastUpgrade, PendingPlan, Standing, Status, Step, Upgrade, UpgradeResult,
};
use baton_supervisor::telling::words::{self, bytes, span};
use baton_supervisor::telling::{Time, ago, how_far};

use super::super::card::{Card, Side, Tone};

/// How long the bar of a step can become.
const BAR: u128 = 24;

pub(super) fn nothing_planned() -> Card {
    let mut card = Card::new("plan", Side::Right);
    card.row("upgrade", "none planned", Tone::Quiet);
    card
}

pub(super) fn pending(plan: &PendingPlan, height_at: Option<Time>, now: Time) -> Card {
    let mut card = Card::new("plan", Side::Right);
    card.row(
        "upgrade",
        format!("{} at height {}", plan.name, plan.height),
        Tone::Plain,
    );
    match (plan.blocks_to_go, plan.estimated_seconds) {
        (Some(0), _) => card.row("to go", "reached", Tone::Busy),
        (Some(blocks), Some(seconds)) => {
            // Reckoned when the height was read, which may be a while ago.
            let due = height_at.unwrap_or(now).after(Duration::from_secs(seconds));
            let to_go = span(due.since(now));
            card.row(
                "to go",
                format!("{blocks} blocks, about {to_go}"),
                Tone::Plain,
            );
            card.detail("", due.to_the_minute());
        }
        (Some(blocks), None) => card.row("to go", format!("{blocks} blocks"), Tone::Plain),
        (None, _) => card.row("to go", "the height is not known yet", Tone::Quiet),
    }
    let (binary, tone) = match (plan.fetched, plan.verified, &plan.progress) {
        (true, true, _) => ("in place, checksum right", Tone::Good),
        (true, false, _) => ("in place, no checksum was given", Tone::Plain),
        (false, _, Some(_)) => ("is being fetched", Tone::Busy),
        (false, _, None) => ("not fetched", Tone::Warn),
    };
    card.row("binary", binary, tone);
    if let Some(progress) = &plan.progress {
        card.row("", how_far(progress), Tone::Busy);
    }
    if let Some(Disk { needed, free }) = plan.disk {
        let (needed_, free_) = (bytes(needed), bytes(free));
        if needed > free {
            card.row(
                "disk",
                format!("NOT ENOUGH: {needed_} needed, {free_} free"),
                Tone::Bad,
            );
        } else {
            card.row(
                "disk",
                format!("{needed_} needed, {free_} free"),
                Tone::Plain,
            );
        }
    }
    if let Some(why) = &plan.waiting_for {
        card.detail("waiting", why);
    }
    card
}

pub(super) fn under_way(upgrade: &Upgrade, now: Time) -> Card {
    let mut card = Card::new("upgrade under way", Side::Right).toned(Tone::Busy);
    card.row(
        "upgrade",
        format!("{} at height {}", upgrade.name, upgrade.height),
        Tone::Plain,
    );
    steps(&mut card, &upgrade.steps, false);
    let so_far = format!("{} since {}", upgrade.step, span(now.since(upgrade.since)));
    card.row("now", so_far, Tone::Busy);
    if let Some(progress) = &upgrade.progress {
        card.row("", how_far(progress), Tone::Busy);
    }
    card
}

pub(super) fn stands(standing: &Standing, now: Time) -> Card {
    let mut card =
        Card::new("upgrade FAILED, the old node answers on", Side::Right).toned(Tone::Bad);
    let what = format!("{} at height {}", standing.name, standing.height);
    card.row("upgrade", what, Tone::Plain);
    let when = ago(standing.since, now);
    card.row("failed", format!("at {}, {when}", standing.step), Tone::Bad);
    card.row("", &standing.error, Tone::Bad);
    card.row("to do", &standing.what_to_do, Tone::Warn);
    card
}

pub(super) fn ended(last: &LastUpgrade, now: Time) -> Card {
    let mut card = Card::new("last upgrade", Side::Right);
    let at = last
        .height
        .map_or_else(String::new, |h| format!(" at height {h}"));
    let (result, tone) = match last.result {
        UpgradeResult::Confirmed => ("confirmed", Tone::Good),
        UpgradeResult::Failed => ("FAILED", Tone::Bad),
        UpgradeResult::RolledBack => ("ROLLED BACK", Tone::Warn),
    };
    let when = ago(last.at, now);
    card.row(
        "upgrade",
        format!("{}{at}, {result} {when}", last.name),
        tone,
    );
    if let Some(how) = last.how {
        card.row("way", how.text(), Tone::Plain);
    }
    steps(&mut card, &last.steps, true);
    let ms = |ms: Option<u64>| ms.map(|ms| span(Duration::from_millis(ms)));
    if let (Some(pause), Some(total)) = (ms(last.pause_ms), ms(last.total_ms)) {
        card.row("pause", format!("{pause}, in all {total}"), Tone::Plain);
    }
    card
}

/// A bar beside each step tells at a glance where the time went.
fn steps(card: &mut Card, steps: &[Step], are_details: bool) {
    let longest = steps
        .iter()
        .map(|s| s.took.as_micros())
        .max()
        .unwrap_or(0)
        .max(1);
    for step in steps {
        let bar = usize::try_from(step.took.as_micros() * BAR / longest).unwrap_or(0);
        let value = format!("{:<9} {}", span(step.took), "▪".repeat(bar));
        if are_details {
            card.detail(&step.step, value);
        } else {
            card.row(&step.step, value, Tone::Plain);
        }
    }
}

/// The last change of the process, if it was not part of the last upgrade, which says it all.
pub(super) fn change(status: &Status, now: Time) -> Option<Card> {
    let last = status.last_change.as_ref()?;
    let of_upgrade = status
        .last_upgrade
        .as_ref()
        .is_some_and(|u| last.change.why == format!("upgrade {}", u.name));
    let mut card = Card::new("last change of the process", Side::Right);
    if !of_upgrade {
        card.row(
            "why",
            format!("{}, {}", last.change.why, ago(last.at, now)),
            Tone::Plain,
        );
        card.row("way", last.change.how.text(), Tone::Plain);
    }
    let moved: u64 = last.change.moved.values().sum();
    let pause = words::short(last.change.pause);
    card.row(
        "pause",
        format!("{pause}, {moved} connections moved"),
        Tone::Plain,
    );
    if let Some(freeze) = last.change.longest_freeze_us {
        let freeze = words::short(Duration::from_micros(freeze));
        card.detail("freeze", format!("{freeze} at the longest"));
    }
    Some(card)
}
