//! How long consensus waits.
//!
//! A height starts as soon as the one before is committed, but its block is not due before the block interval is over.
//! The first round's wait for a proposal therefore begins with the time until then ([`Timing::head_start`]), and not
//! with a fixed one: whoever comes late to a height does not wait longer than the others.

use std::time::Duration;

use malachite_core::{LinearTimeouts, Timeout, TimeoutKind, Timeouts};

use super::Baton;

/// Longest wait of any step, however many rounds fail.
const LONGEST: Duration = Duration::from_mins(1);
/// Nobody fails a validator that is alone but itself, so that its rounds never end.
const FOREVER: Duration = Duration::from_hours(365 * 24);

/// How long the steps of a height last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    steps: LinearTimeouts,
    head_start: Duration,
    alone: bool,
}

/// How long the steps of consensus may take before a round fails. Each grows by half with every round that failed, up
/// to a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the time at which a block is due to its arrival.
    pub propose: Duration,
    /// From prevotes of two thirds for anything to two thirds for one thing.
    pub prevote: Duration,
    /// The same for precommits.
    pub precommit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            propose: Duration::from_secs(3),
            prevote: Duration::from_secs(1),
            precommit: Duration::from_secs(1),
        }
    }
}

impl Timing {
    /// The timing of a height whose block is due in `head_start`, with one validator (`alone`) or more.
    pub fn new(patience: Patience, head_start: Duration, alone: bool) -> Self {
        let Patience {
            propose,
            prevote,
            precommit,
        } = patience;
        Self {
            steps: LinearTimeouts {
                propose,
                propose_delta: propose / 2,
                prevote,
                prevote_delta: prevote / 2,
                precommit,
                precommit_delta: precommit / 2,
                rebroadcast: propose + prevote + precommit,
                max_timeout: LONGEST,
            },
            head_start,
            alone,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::new(Patience::default(), Duration::ZERO, false)
    }
}

impl Timeouts<Baton> for Timing {
    fn duration_for(&self, timeout: Timeout) -> Duration {
        let step = self.steps.duration_for(timeout);
        match timeout.kind {
            TimeoutKind::Propose | TimeoutKind::Rebroadcast if self.alone => FOREVER,
            TimeoutKind::Propose | TimeoutKind::Rebroadcast
                if timeout.round.as_u32() == Some(0) =>
            {
                step.saturating_add(self.head_start)
            }
            _ => step,
        }
    }
}

#[cfg(test)]
mod tests {
    use malachite_core::Round;

    use super::*;

    #[test]
    fn the_first_round_waits_until_the_block_is_due() {
        let timing = Timing::new(Patience::default(), Duration::from_secs(6), false);
        let propose = |round| timing.duration_for(Timeout::propose(Round::new(round)));
        assert_eq!(propose(0), Duration::from_secs(9));
        assert_eq!(propose(1), Duration::from_millis(4_500));
        assert_eq!(propose(100), LONGEST);
        let prevote = timing.duration_for(Timeout::prevote(Round::new(0)));
        assert_eq!(prevote, Duration::from_secs(1));
    }

    #[test]
    fn who_is_alone_waits_for_itself() {
        let timing = Timing::new(Patience::default(), Duration::ZERO, true);
        assert_eq!(
            timing.duration_for(Timeout::propose(Round::new(0))),
            FOREVER
        );
    }
}
