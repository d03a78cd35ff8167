//! The times of the last blocks, from the heights that were read, as a little graph.

use std::collections::VecDeque;
use std::time::Duration;

use baton_supervisor::telling::{Time, words};
use ratatui::symbols::bar;

/// How many readings are remembered: more than a wide terminal has columns for.
const KEPT: usize = 240;

const LEVELS: [&str; 8] = [
    bar::ONE_EIGHTH,
    bar::ONE_QUARTER,
    bar::THREE_EIGHTHS,
    bar::HALF,
    bar::FIVE_EIGHTHS,
    bar::THREE_QUARTERS,
    bar::SEVEN_EIGHTHS,
    bar::FULL,
];

/// How long blocks took, reading by reading.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last: Option<(u64, Time)>,
    /// The mean time of the blocks between two readings.
    times: VecDeque<Duration>,
}

impl Pace {
    /// The chain was at this height at this instant.
    pub(crate) fn see(&mut self, height: u64, at: Time) {
        match self.last {
            Some((before, _)) if before == height => return,
            Some((before, then)) if before < height && at > then => {
                let blocks = u32::try_from(height - before).unwrap_or(u32::MAX);
                self.times.push_back(at.since(then) / blocks);
                let over = self.times.len().saturating_sub(KEPT);
                self.times.drain(..over);
            }
            // Other data, or a clock that was set: what was seen says nothing any more.
            Some(_) => self.times.clear(),
            None => {}
        }
        self.last = Some((height, at));
    }

    /// A graph of the last readings in at most `width` columns, and what its height means.
    pub(crate) fn graph(&self, width: usize) -> Option<(String, String)> {
        if self.times.len() < 2 || width == 0 {
            return None;
        }
        let shown = self.times.len().min(width);
        let shown = self.times.range(self.times.len() - shown..);
        let most = shown.clone().max()?.as_micros().max(1);
        let least = shown.clone().min()?;
        let bars = shown.map(|time| {
            let level = time.as_micros() * (LEVELS.len() as u128 - 1) / most;
            LEVELS[usize::try_from(level).unwrap_or(0)]
        });
        let from = words::span(*least);
        let to = words::span(Duration::from_micros(u64::try_from(most).ok()?));
        Some((bars.collect(), format!("{from} – {to}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::at;
    use super::*;

    #[test]
    fn the_graph_shows_the_time_of_a_block() {
        let mut pace = Pace::default();
        assert_eq!(pace.graph(10), None);
        for (height, second) in [(10, 0), (11, 1), (11, 2), (13, 5), (14, 13)] {
            pace.see(height, at(second));
        }
        // 1 s, 2 s, 8 s
        let (bars, range) = pace.graph(10).unwrap();
        assert_eq!(bars, "▁▂█");
        assert_eq!(range, "1.0 s – 8.0 s");
        assert_eq!(pace.graph(2).unwrap().0, "▂█");
    }

    #[test]
    fn a_lower_height_starts_anew() {
        let mut pace = Pace::default();
        for (height, second) in [(10, 0), (11, 1), (12, 2), (5, 3), (6, 4)] {
            pace.see(height, at(second));
        }
        assert_eq!(pace.graph(10), None);
        pace.see(7, at(6));
        assert_eq!(pace.graph(10).unwrap().0, "▄█");
    }

    #[test]
    fn only_so_much_is_remembered() {
        let mut pace = Pace::default();
        for second in 0..1_000 {
            pace.see(second, at(second));
        }
        assert_eq!(pace.times.len(), KEPT);
        assert_eq!(pace.graph(1_000).unwrap().0.chars().count(), KEPT);
    }
}
