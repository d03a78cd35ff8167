//! How fast the chain goes, from the heights that were seen.
//!
//! The mean over a window, not over all time: a node that catches up is fast, and slow once it is
//! there. Only the first sight of each height counts, so it does not matter how often one looks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many heights are remembered.
const WINDOW: usize = 128;

/// The last heights seen.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seen: VecDeque<(u64, Instant)>,
}

impl Pace {
    /// The chain was at `height` at this instant.
    pub(super) fn see(&mut self, height: u64, at: Instant) {
        match self.seen.back() {
            Some((last, _)) if *last == height => return,
            // Another chain, or data put back from a backup: what was seen says nothing any more.
            Some((last, _)) if *last > height => self.seen.clear(),
            _ => {}
        }
        if self.seen.len() == WINDOW {
            self.seen.pop_front();
        }
        self.seen.push_back((height, at));
    }

    /// The mean time of a block, once two heights were seen.
    pub(super) fn block_time(&self) -> Option<Duration> {
        let (first, began) = self.seen.front()?;
        let (last, ended) = self.seen.back()?;
        let blocks = u32::try_from(last - first).ok().filter(|b| *b > 0)?;
        Some(ended.saturating_duration_since(*began) / blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_taken_over_first_sights() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut pace = Pace::default();
        assert_eq!(pace.block_time(), None);
        pace.see(100, at(0));
        pace.see(100, at(500));
        assert_eq!(pace.block_time(), None);
        pace.see(103, at(18));
        pace.see(103, at(23));
        assert_eq!(pace.block_time(), Some(Duration::from_secs(6)));
    }

    #[test]
    fn a_lower_height_starts_anew() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.see(100, start);
        pace.see(110, start + Duration::from_secs(10));
        pace.see(50, start + Duration::from_secs(20));
        assert_eq!(pace.block_time(), None);
        pace.see(52, start + Duration::from_secs(24));
        assert_eq!(pace.block_time(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_fast_past_is_forgotten() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut at = start;
        for height in 0..10_000 {
            at += Duration::from_millis(1);
            pace.see(height, at);
        }
        for height in 10_000..10_000 + WINDOW as u64 {
            at += Duration::from_secs(6);
            pace.see(height, at);
        }
        assert_eq!(pace.block_time(), Some(Duration::from_secs(6)));
        assert_eq!(pace.seen.len(), WINDOW);
    }
}
