//! When to ask for the chain's height next. Pure: from what was read comes how long to wait.
//!
//! Far from a plan's height the answer changes nothing, so it is asked for seldom; near it a late
//! answer makes the old binary run blocks that the new one should have made, so it is asked for
//! often. How near is reckoned from the pace of the chain.

use std::time::Duration;

/// While something depends on the height.
pub const ASK: Duration = Duration::from_secs(5);
/// Just before a plan's height, and while a new binary has yet to show that the chain goes on.
pub const ASK_NEAR: Duration = Duration::from_millis(250);
/// While nothing depends on it but somebody looks on.
pub const ASK_WATCHED: Duration = Duration::from_secs(1);
/// While nothing depends on it, for `status` and the metrics.
pub const ASK_IDLE: Duration = Duration::from_secs(30);

/// The pace of a chain, from two readings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    first: Option<(u64, Duration)>,
    last: Option<(u64, Duration)>,
}

impl Pace {
    /// The chain was at this height.
    pub fn saw(&mut self, height: u64, now: Duration) {
        match self.first {
            Some((first, _)) if height >= first => self.last = Some((height, now)),
            // The first, or the chain was set back.
            _ => (self.first, self.last) = (Some((height, now)), None),
        }
    }

    /// How long to wait before the height is asked for again on the way to `target`.
    ///
    /// Half the reckoned time, so that an estimate that is off is corrected on the way.
    pub fn pause(&self, target: u64) -> Duration {
        let (Some((first, began)), Some((at, now))) = (self.first, self.last) else {
            // One reading tells no pace; a second one soon does.
            return ASK_NEAR;
        };
        if at == first || now <= began {
            return ASK_NEAR * 4;
        }
        let to_go = u32::try_from(target.saturating_sub(at)).unwrap_or(u32::MAX);
        let blocks = u32::try_from(at - first).unwrap_or(u32::MAX);
        let left = now
            .checked_sub(began)
            .unwrap()
            .checked_mul(to_go)
            .map_or(ASK, |all| all / blocks);
        (left / 2).clamp(ASK_NEAR, ASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn far_away_it_is_asked_seldom_and_near_by_often() {
        let mut pace = Pace::default();
        assert_eq!(pace.pause(100), ASK_NEAR, "nothing known");
        pace.saw(10, at(0));
        assert_eq!(pace.pause(100), ASK_NEAR);
        pace.saw(11, at(6));
        assert_eq!(pace.pause(100), ASK, "six seconds a block");
        assert_eq!(pace.pause(13), ASK);
        assert_eq!(pace.pause(12), at(3));
        pace.saw(110, at(12));
        assert_eq!(pace.pause(111), ASK_NEAR, "ten blocks a second");
        assert_eq!(pace.pause(100), ASK_NEAR, "passed");
    }

    #[test]
    fn a_chain_that_stands_still_or_is_set_back_has_no_pace() {
        let mut pace = Pace::default();
        pace.saw(10, at(0));
        pace.saw(10, at(5));
        assert_eq!(pace.pause(11), ASK_NEAR * 4);
        pace.saw(5, at(6));
        assert_eq!(pace.pause(11), ASK_NEAR);
    }
}
