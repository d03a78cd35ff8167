//! What of a status goes on which card.

use std::time::Duration;

use baton_supervisor::telling::status::{
    Disk, LastUpgrade, NodeState, PendingPlan, Standing, Status, Step, Upgrade, UpgradeResult,
};
use baton_supervisor::telling::words::{self, bytes, span};
use baton_supervisor::telling::{Time, ago, ended_how, how_far};

use super::card::{Card, Side, Tone};
use super::model::Model;

/// For how long an error is news: then it is shown with less alarm.
const FRESH: Duration = Duration::from_mins(15);

/// A height that was read longer ago than this is worth a look.
const STALE: Duration = Duration::from_mins(1);

/// How long the bar of a step can become.
const BAR: u128 = 24;

/// The most columns of the graph of block times.
const GRAPH: usize = 40;

/// All cards, in the order in which they stand if there is only one column.
pub(super) fn all(model: &Model) -> Vec<Card> {
    let Some(status) = &model.status else {
        return model.load.iter().cloned().collect();
    };
    let now = model.known_at();
    let mut cards = Vec::new();
    cards.extend(status.standing.as_ref().map(|s| stands(s, now)));
    cards.extend(error(status, now));
    cards.push(node(model, status, now));
    cards.extend(status.upgrade.as_ref().map(|u| under_way(u, now)));
    cards.push(match &status.plan {
        Some(plan) => pending(plan, status.node.height_at, now),
        None => nothing_planned(),
    });
    cards.extend(model.load.clone());
    cards.extend(status.last_upgrade.as_ref().map(|last| ended(last, now)));
    cards.extend(change(status, now));
    cards.push(backups(status, now));
    cards.push(supervisor(status, now));
    cards
}

/// The verdict on it all, for the first line.
pub(super) fn verdict(status: &Status) -> Tone {
    match status.node.state {
        _ if status.standing.is_some() => Tone::Bad,
        _ if status.upgrade.is_some() => Tone::Busy,
        NodeState::Running => Tone::Good,
        NodeState::Down => Tone::Bad,
        NodeState::NotStarted | NodeState::Stopping | NodeState::Restarting => Tone::Warn,
    }
}

fn node(model: &Model, status: &Status, now: Time) -> Card {
    let node = &status.node;
    let mut card = Card::new("node", Side::Left);
    let pid = node.pid.map_or_else(|| "?".to_owned(), |p| p.to_string());
    let since = node
        .since
        .map_or_else(|| "?".to_owned(), |t| span(now.since(t)));
    let (state, tone) = match node.state {
        NodeState::NotStarted => ("not started yet".to_owned(), Tone::Warn),
        NodeState::Running => (format!("running for {since}, pid {pid}"), Tone::Good),
        NodeState::Stopping => (format!("asked to stop {since} ago, pid {pid}"), Tone::Warn),
        NodeState::Restarting => (
            format!("ended {since} ago, to be started again"),
            Tone::Warn,
        ),
        NodeState::Down => (format!("down for {since}"), Tone::Bad),
    };
    card.row("state", state, tone);
    if let Some(exit) = node.last_exit.as_ref().filter(|_| node.pid.is_none()) {
        card.row("", ended_how(exit), Tone::Warn);
    }
    let release = node.release.as_deref().unwrap_or("?");
    let generation = node.generation;
    card.row(
        "release",
        format!("{release}, generation {generation}"),
        Tone::Plain,
    );
    if let Some(binary) = &node.binary {
        card.detail("", binary.display().to_string());
    }
    if !node.leaving.is_empty() {
        let pids: Vec<String> = node.leaving.iter().map(u32::to_string).collect();
        card.row(
            "leaving",
            format!("pid {}: has handed over and finishes", pids.join(", ")),
            Tone::Busy,
        );
    }
    match (node.height, node.height_at) {
        (Some(height), Some(at)) => {
            let source = node.height_source.as_deref().unwrap_or("?");
            let is_stale = now.since(at) > STALE && node.state == NodeState::Running;
            let tone = if is_stale { Tone::Warn } else { Tone::Plain };
            card.row(
                "height",
                format!("{height} from {source}, {}", ago(at, now)),
                tone,
            );
        }
        _ => card.row("height", "not known yet", Tone::Quiet),
    }
    if let Some((bars, range)) = model.pace.graph(GRAPH) {
        card.row("blocks", bars, Tone::Busy);
        card.row("", format!("{range} each"), Tone::Quiet);
    } else if let Some(ms) = node.block_time_ms {
        card.row(
            "blocks",
            format!("every {}", span(Duration::from_millis(ms))),
            Tone::Plain,
        );
    }
    let way = if node.hands_over {
        "hands over: clients notice nothing of the next upgrade"
    } else {
        "is stopped and started for the next upgrade"
    };
    card.detail("change", way);
    if node.restarts > 0 {
        card.row("restarts", node.restarts.to_string(), Tone::Warn);
    }
    card
}

fn nothing_planned() -> Card {
    let mut card = Card::new("plan", Side::Right);
    card.row("upgrade", "none planned", Tone::Quiet);
    card
}

fn pending(plan: &PendingPlan, height_at: Option<Time>, now: Time) -> Card {
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

fn under_way(upgrade: &Upgrade, now: Time) -> Card {
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

fn stands(standing: &Standing, now: Time) -> Card {
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

fn ended(last: &LastUpgrade, now: Time) -> Card {
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
fn change(status: &Status, now: Time) -> Option<Card> {
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

fn backups(status: &Status, now: Time) -> Card {
    let mut card = Card::new("backups", Side::Right);
    let Some(newest) = status.backups.last() else {
        card.row("known", "none", Tone::Quiet);
        return card;
    };
    let size = bytes(newest.bytes);
    let count = status.backups.len();
    let when = ago(newest.at, now);
    card.row(
        "known",
        format!("{count}; newest {size} by {}, {when}", newest.mode),
        Tone::Plain,
    );
    card.detail("", newest.path.display().to_string());
    card
}

fn error(status: &Status, now: Time) -> Option<Card> {
    // What stands has a card of its own.
    let told = status.standing.as_ref().map(|standing| standing.since);
    let error = status.last_error.as_ref().filter(|e| Some(e.at) != told)?;
    let tone = if now.since(error.at) < FRESH {
        Tone::Bad
    } else {
        Tone::Quiet
    };
    let mut card = Card::new("last error", Side::Right).toned(tone);
    card.row(&ago(error.at, now), &error.text, tone);
    if !error.what_to_do.is_empty() {
        let tone = if tone == Tone::Bad { Tone::Warn } else { tone };
        card.row("to do", &error.what_to_do, tone);
    }
    Some(card)
}

fn supervisor(status: &Status, now: Time) -> Card {
    let supervisor = &status.supervisor;
    let mut card = Card::new("supervisor", Side::Left);
    let up = span(now.since(supervisor.since));
    card.row(
        "baton",
        format!("{}, pid {}, up {up}", supervisor.version, supervisor.pid),
        Tone::Plain,
    );
    if let Some(address) = &supervisor.admin_address {
        card.detail("page", format!("http://{address}/"));
    }
    for (key, value) in &supervisor.config {
        card.detail("set", format!("{key}={value}"));
    }
    card
}
