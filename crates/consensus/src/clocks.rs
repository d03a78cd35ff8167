//! Whose clock is wrong, by the times of proposed blocks.
//!
//! A proposer writes its own time into a fresh block and sends it at once, so that at its arrival the time should be that
//! of this machine, less what the way took. What one proposer's blocks show may be its fault; what those of most others show
//! is this machine's.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::context::{Address, BlockId, Seats};

/// How far behind the others this machine's clock may be, in milliseconds.
const BEHIND_MS: i64 = 1_000;
/// How far ahead: that blocks take long on their way looks the same.
const AHEAD_MS: i64 = 3_000;
/// A difference of so much more or less is told again.
const AGAIN_MS: u64 = 2_000;

/// What the last block of each proposer showed.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// How far a proposer's clock was ahead of ours, in milliseconds.
    ahead_ms: BTreeMap<Address, i64>,
    /// When blocks of the height under way came that were proposed in its first round.
    arrived: BTreeMap<BlockId, u64>,
    told: Option<i64>,
}

/// What is to be told, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// This machine's clock is so far ahead of the others', in milliseconds; below zero: behind.
    Wrong(i64),
    /// It was wrong, and is not any more.
    Right,
}

impl Clocks {
    /// A height begins with these validators.
    pub(crate) fn begin(&self, seats: &Seats) {
        let mut seen = self.lock();
        seen.ahead_ms.retain(|who, _| seats.contains(who));
        seen.arrived.clear();
    }

    /// A block came that its proposer has just made.
    pub(crate) fn arrived(&self, block: BlockId, now_ms: u64) {
        self.lock().arrived.entry(block).or_insert(now_ms);
    }

    /// That block was decided; now its time is known.
    pub(crate) fn decided(&self, block: BlockId, proposer: Address, block_ms: u64) -> Option<News> {
        let mut seen = self.lock();
        let now_ms = *seen.arrived.get(&block)?;
        let ahead = i128::from(block_ms) - i128::from(now_ms);
        let ahead = i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX });
        seen.ahead_ms.insert(proposer, ahead);
        let offset = seen.offset();
        let offset = offset.filter(|own| !(-BEHIND_MS..=AHEAD_MS).contains(own));
        let news = match (seen.told, offset) {
            (None, Some(own)) => Some(News::Wrong(own)),
            (Some(told), Some(own)) if told.abs_diff(own) > AGAIN_MS => Some(News::Wrong(own)),
            (Some(_), None) => Some(News::Right),
            _ => None,
        };
        if news.is_some() {
            seen.told = offset;
        }
        news
    }

    /// How far this machine's clock is ahead of those of most others, in milliseconds, if blocks of two or more were seen.
    pub(crate) fn offset_ms(&self) -> Option<i64> {
        self.lock().offset()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // plain values: a panic leaves them usable
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn offset(&self) -> Option<i64> {
        let mut all: Vec<i64> = self.ahead_ms.values().copied().collect();
        if all.len() < 2 {
            return None;
        }
        all.sort_unstable();
        // of an even number the one nearer to zero: in doubt the clock is right
        let (low, high) = (all[(all.len() - 1) / 2], all[all.len() / 2]);
        let middle = if low.unsigned_abs() < high.unsigned_abs() {
            low
        } else {
            high
        };
        Some(middle.saturating_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_clock_is_its_owners_and_most_wrong_ones_are_ours() {
        let clocks = Clocks::default();
        let mut block = 0;
        // a block with the time `block_ms` comes at `now_ms`
        let mut saw = |proposer, block_ms, now_ms| {
            block += 1;
            let id = BlockId([block; 32]);
            clocks.arrived(id, now_ms);
            clocks.arrived(id, now_ms + 99_000);
            clocks.decided(id, Address([proposer; 32]), block_ms)
        };
        let now = 1_000_000;
        assert_eq!(saw(1, now + 20_000, now), None, "one tells nothing");
        assert_eq!(saw(2, now - 80, now), None);
        assert_eq!(saw(3, now - 120, now), None);
        assert_eq!(clocks.offset_ms(), Some(80), "that of the middle");
        // ours is set back by ten seconds
        let now = now - 10_000;
        assert_eq!(saw(2, now + 10_000, now), Some(News::Wrong(-10_000)));
        assert_eq!(saw(3, now + 10_100, now), None, "said already");
        let now = now + 7_000;
        assert_eq!(
            saw(2, now + 3_000, now),
            None,
            "that of 3 is in the middle still"
        );
        assert_eq!(saw(3, now + 3_000, now), Some(News::Wrong(-3_000)));
        let now = now + 3_000;
        assert_eq!(saw(3, now, now), None);
        assert_eq!(saw(2, now, now), Some(News::Right));
    }

    #[test]
    fn blocks_that_did_not_come_fresh_tell_nothing() {
        let clocks = Clocks::default();
        assert_eq!(clocks.decided(BlockId([1; 32]), Address([1; 32]), 5), None);
        assert_eq!(clocks.offset_ms(), None);
    }
}
