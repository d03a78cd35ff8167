//! What the clients of the demo see, counted; and what is said of it. Pure but for the clock that it is given.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use baton_ledger::Hash;
use baton_supervisor::telling::words::short;

use crate::top::{Card, Side, Tone};

/// The longest pause "now" is that of the last so many seconds.
const NOW: Duration = Duration::from_secs(5);

/// All that is counted.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// What the demo does at the moment.
    pub(super) act: String,
    /// Questions that were asked, over HTTP.
    pub(super) requests: u64,
    /// Those whose answer never came, or was no.
    pub(super) failed: u64,
    /// Why, of the first.
    pub(super) first_failure: Option<String>,
    /// Connections that had to be made again, of both kinds.
    pub(super) reconnections: u64,
    /// Blocks that the listeners were brought.
    pub(super) blocks: u64,
    /// Heights that one of them left out, or brought twice.
    pub(super) missed: u64,
    /// The highest block that came.
    pub(super) height: u64,
    /// When it came, and the longest time between two.
    last_block: Option<Instant>,
    pub(super) longest_block: Duration,
    /// Transfers that the node took, and in how many blocks each of them was.
    transfers: HashMap<Hash, u32>,
    /// The longest time that anybody waited for an answer.
    pub(super) longest: Duration,
    recent: VecDeque<(Instant, Duration)>,
}

impl Figures {
    /// A question was answered after so long, retries included.
    pub(super) fn answered(&mut self, took: Duration, now: Instant) {
        self.requests += 1;
        self.longest = self.longest.max(took);
        // Only what is longer than all that came later counts for "now".
        while self
            .recent
            .back()
            .is_some_and(|(_, before)| *before <= took)
        {
            self.recent.pop_back();
        }
        self.recent.push_back((now, took));
        self.forget(now);
    }

    /// A question was not answered, or with no.
    pub(super) fn failed(&mut self, why: impl Into<String>) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| why.into());
    }

    /// The node took a transfer.
    pub(super) fn took(&mut self, id: Hash) {
        self.transfers.entry(id).or_default();
    }

    /// A listener was brought a block; `expected` is the one after its last.
    pub(super) fn came(&mut self, height: u64, expected: Option<u64>, now: Instant) {
        self.blocks += 1;
        self.missed += expected.map_or(0, |expected| expected.abs_diff(height));
        if height > self.height {
            if let Some(before) = self.last_block.replace(now) {
                self.longest_block = self.longest_block.max(now - before);
            }
            self.height = height;
        }
    }

    /// A block holds this transaction.
    pub(super) fn included(&mut self, id: Hash) {
        if let Some(times) = self.transfers.get_mut(&id) {
            *times += 1;
        }
    }

    /// How many transfers were taken, are in no block, and are in more than one.
    pub(super) fn transfers(&self) -> (usize, usize, usize) {
        let lost = self.transfers.values().filter(|times| **times == 0);
        let doubled = self.transfers.values().filter(|times| **times > 1);
        (self.transfers.len(), lost.count(), doubled.count())
    }

    fn forget(&mut self, now: Instant) {
        while self
            .recent
            .front()
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) > NOW)
        {
            self.recent.pop_front();
        }
    }

    /// As a card of the screen.
    pub(super) fn card(&mut self, now: Instant) -> Card {
        self.forget(now);
        let pause_now = self
            .recent
            .front()
            .map_or(Duration::ZERO, |(_, took)| *took);
        let (taken, waiting, _) = self.transfers();
        let wrong = |count: u64| if count == 0 { Tone::Good } else { Tone::Bad };
        let mut card = Card::new("clients", Side::Left).toned(Tone::Busy);
        card.row("demo", &self.act, Tone::Busy);
        card.row(
            "requests",
            format!("{} answered", self.requests),
            Tone::Plain,
        );
        card.row("failed", self.failed.to_string(), wrong(self.failed));
        card.row(
            "connected",
            format!("anew {} times", self.reconnections),
            wrong(self.reconnections),
        );
        card.row(
            "pause",
            format!(
                "{} now, {} at the longest",
                short(pause_now),
                short(self.longest)
            ),
            Tone::Plain,
        );
        card.row(
            "transfers",
            format!("{taken} taken, {waiting} wait for a block"),
            Tone::Plain,
        );
        card.row(
            "blocks",
            format!("{} by WebSocket, {} missed", self.blocks, self.missed),
            wrong(self.missed),
        );
        card
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_of_now_is_forgotten_and_the_longest_is_not() {
        let mut figures = Figures::default();
        let begun = Instant::now();
        let ms = Duration::from_millis;
        figures.answered(ms(300), begun);
        figures.answered(ms(2), begun + ms(1_000));
        figures.answered(ms(4), begun + ms(2_000));
        let pause = |figures: &mut Figures, at: u64| {
            let card = figures.card(begun + ms(at));
            card.rows
                .into_iter()
                .find(|row| row.key == "pause")
                .unwrap()
                .value
        };
        assert_eq!(
            pause(&mut figures, 3_000),
            "300.0 ms now, 300.0 ms at the longest"
        );
        assert_eq!(
            pause(&mut figures, 5_001),
            "4.0 ms now, 300.0 ms at the longest"
        );
        assert_eq!(
            pause(&mut figures, 9_000),
            "0.0 ms now, 300.0 ms at the longest"
        );
        assert_eq!(figures.requests, 3);
    }

    #[test]
    fn blocks_left_out_and_transfers_lost_are_counted() {
        let mut figures = Figures::default();
        let now = Instant::now();
        figures.came(10, None, now);
        figures.came(11, Some(11), now);
        figures.came(14, Some(12), now + Duration::from_secs(2));
        figures.came(14, Some(15), now);
        assert_eq!((figures.blocks, figures.missed, figures.height), (4, 3, 14));
        assert_eq!(figures.longest_block, Duration::from_secs(2));

        let ids = [1, 2, 3].map(|byte| Hash::from([byte; 32]));
        for id in ids {
            figures.took(id);
        }
        figures.included(ids[0]);
        figures.included(ids[1]);
        figures.included(ids[1]);
        figures.included(Hash::from([9; 32]));
        assert_eq!(figures.transfers(), (3, 1, 1));
    }
}
