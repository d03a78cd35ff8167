//! What of a status goes on which card.

mod node;
mod upgrade;

use std::time::Duration;

use baton_supervisor::telling::status::{NodeState, Status};
use baton_supervisor::telling::words::bytes;
use baton_supervisor::telling::{Time, ago};

use self::node::{node, supervisor};
use self::upgrade::{change, ended, nothing_planned, pending, stands, under_way};
use super::card::{Card, Side, Tone};
use super::model::Model;

/// For how long an error is news: then it is shown with less alarm.
const FRESH: Duration = Duration::from_mins(15);

/// All cards, in the order in which they stand if there is only one column.
pub(in crate::top) fn all(model: &Model) -> Vec<Card> {
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
pub(in crate::top) fn verdict(status: &Status) -> Tone {
    match status.node.state {
        _ if status.standing.is_some() => Tone::Bad,
        _ if status.upgrade.is_some() => Tone::Busy,
        NodeState::Running => Tone::Good,
        NodeState::Down => Tone::Bad,
        NodeState::NotStarted | NodeState::Stopping | NodeState::Restarting => Tone::Warn,
    }
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
