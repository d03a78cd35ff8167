//! A bounded way out for events, on which nothing ever waits.
//!
//! The history, the hook and the webhook each have one. What finds its queue full is lost there,
//! counted, and said once; the next thing that goes through says how many were lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

/// A record, written once for all that will tell it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number.
    pub(super) seq: u64,
    /// Its kind.
    pub(super) kind: String,
    /// Its JSON, without the line's end.
    pub(super) json: String,
}

/// What was lost on one way out.
#[derive(Debug, Clone)]
pub(super) struct Losses(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    /// Whose losses these are, such as `history`.
    outlet: &'static str,
    total: AtomicU64,
    /// Since something last went through.
    in_a_row: AtomicU64,
}

impl Losses {
    pub(super) fn on(outlet: &'static str) -> Self {
        Self(Arc::new(Counts {
            outlet,
            total: AtomicU64::new(0),
            in_a_row: AtomicU64::new(0),
        }))
    }

    pub(super) fn outlet(&self) -> &'static str {
        self.0.outlet
    }

    pub(super) fn total(&self) -> u64 {
        self.0.total.load(Ordering::Relaxed)
    }

    /// One event was lost.
    pub(super) fn one(&self, why: &str) {
        self.0.total.fetch_add(1, Ordering::Relaxed);
        if self.0.in_a_row.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                outlet = self.0.outlet,
                why,
                "an event is lost; further ones are only counted, in baton_events_dropped_total"
            );
        }
    }

    /// One went through.
    pub(super) fn none(&self) {
        let lost = self.0.in_a_row.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(outlet = self.0.outlet, lost, "events go through again");
        }
    }
}

/// The sending end of a bounded queue.
#[derive(Debug)]
pub(super) struct Outlet {
    to: mpsc::Sender<Arc<Line>>,
    losses: Losses,
}

impl Outlet {
    /// A queue for at most `limit` lines.
    pub(super) fn new(losses: Losses, limit: usize) -> (Self, mpsc::Receiver<Arc<Line>>) {
        let (to, from) = mpsc::channel(limit);
        (Self { to, losses }, from)
    }

    /// Puts a line into the queue, or counts it as lost.
    pub(super) fn push(&self, line: Arc<Line>) {
        match self.to.try_send(line) {
            Ok(()) => self.losses.none(),
            Err(mpsc::error::TrySendError::Full(_)) => self.losses.one(&format!(
                "its queue is full, at {} events",
                self.to.max_capacity()
            )),
            Err(mpsc::error::TrySendError::Closed(_)) => self.losses.one("it has ended"),
        }
    }
}

/// Failures in a row, of which only the first is worth a warning.
#[derive(Debug, Default)]
pub(super) struct Streak(u64);

impl Streak {
    /// One more; is it the first?
    pub(super) fn failed(&mut self) -> bool {
        self.0 += 1;
        self.0 == 1
    }

    /// It went well; how many had failed before, if any?
    pub(super) fn passed(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.0)).filter(|n| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64) -> Arc<Line> {
        Arc::new(Line {
            seq,
            kind: "warning".into(),
            json: String::new(),
        })
    }

    #[test]
    fn only_the_first_failure_in_a_row_is_said() {
        let mut streak = Streak::default();
        assert_eq!(streak.passed(), None);
        assert!(streak.failed());
        assert!(!streak.failed());
        assert_eq!(streak.passed(), Some(2));
        assert!(streak.failed());
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (outlet, mut lines) = Outlet::new(Losses::on("hook"), 2);
        for seq in 1..=5 {
            outlet.push(line(seq));
        }
        assert_eq!(outlet.losses.total(), 3);
        assert_eq!(lines.try_recv().unwrap().seq, 1);
        outlet.push(line(6));
        assert_eq!(outlet.losses.total(), 3);
        assert_eq!(lines.try_recv().unwrap().seq, 2);
        assert_eq!(lines.try_recv().unwrap().seq, 6);
        drop(lines);
        outlet.push(line(7));
        assert_eq!(outlet.losses.total(), 4);
    }
}
