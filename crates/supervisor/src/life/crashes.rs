//! The deaths of late: how soon to start again, and when to give up.

use std::collections::VecDeque;
use std::time::Duration;

/// How many crashes within [`CRASH_WINDOW`] end the restarts.
pub const CRASH_LIMIT: usize = 5;
/// The window of [`CRASH_LIMIT`].
pub const CRASH_WINDOW: Duration = Duration::from_mins(10);
/// The longest wait before a restart.
pub const MAX_BACK_OFF: Duration = Duration::from_mins(1);

/// When a process crashed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Crashes(VecDeque<Duration>);

impl Crashes {
    /// Counts one more; the how-manieth of the window it is, or `None` if that is one too many.
    pub(crate) fn count(&mut self, now: Duration) -> Option<u32> {
        let old = |crash: &Duration| now.saturating_sub(*crash) > CRASH_WINDOW;
        while self.0.front().is_some_and(old) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        (self.0.len() < CRASH_LIMIT).then_some(count)
    }
}

/// The wait before the start after this many crashes in a row: a second, then twice as long each time.
pub(crate) fn back_off(crashes: u32) -> Duration {
    Duration::from_secs(1 << crashes.saturating_sub(1).min(6)).min(MAX_BACK_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_crashes_are_forgotten_and_the_fifth_of_a_window_is_one_too_many() {
        let mut crashes = Crashes::default();
        for second in 0..4_u32 {
            let at = Duration::from_secs(second.into());
            assert_eq!(crashes.count(at), Some(second + 1));
        }
        let much_later = CRASH_WINDOW + Duration::from_secs(3);
        assert_eq!(crashes.clone().count(Duration::from_secs(4)), None);
        assert_eq!(
            crashes.count(much_later),
            Some(2),
            "only the last is of its window"
        );
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let waits: Vec<u64> = (1..9).map(|n| back_off(n).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
