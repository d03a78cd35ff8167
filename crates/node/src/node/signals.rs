//! The signals that a node heeds.
//!
//! INT and TERM stop it. Who stops a node often says so twice at once: a service manager to the process and its group, a
//! terminal to all that run in it. What comes within [`SAME`] of the first therefore means the same; what comes later is
//! somebody who does not want to wait. HUP, as `logrotate` sends it, has the log files opened anew.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// Signals so shortly after the first to stop are one with it.
const SAME: Duration = Duration::from_secs(1);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To stop; the signal as bytomd's console names it.
    Stop(&'static str),
    /// To stop without waiting for anything.
    Hurry(&'static str),
    /// To open the log files anew.
    Reopen,
}

/// The signals, from when this is made.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    stopping: Option<Instant>,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            stopping: None,
        })
    }

    /// The node stops, for whatever reason.
    pub(super) fn stopping(&mut self) {
        self.stopping.get_or_insert_with(Instant::now);
    }

    /// What is asked for next.
    pub(super) async fn next(&mut self) -> Asked {
        loop {
            let name = tokio::select! {
                _ = self.interrupt.recv() => "interrupt",
                _ = self.terminate.recv() => "terminated",
                _ = self.hang_up.recv() => return Asked::Reopen,
            };
            match self.stopping {
                None => {
                    self.stopping();
                    return Asked::Stop(name);
                }
                Some(since) if since.elapsed() < SAME => {}
                Some(_) => return Asked::Hurry(name),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn signals_at_once_are_one_and_a_later_one_is_in_a_hurry() {
        let mut signals = Signals::new().unwrap();
        let send = |signal| kill_process(getpid(), signal).unwrap();
        send(Signal::HUP);
        assert_eq!(signals.next().await, Asked::Reopen);
        send(Signal::TERM);
        assert_eq!(signals.next().await, Asked::Stop("terminated"));
        send(Signal::INT);
        // time is told, not waited for
        signals.stopping = Some(Instant::now() - SAME / 2);
        let ignored = tokio::time::timeout(SAME / 4, signals.next()).await;
        assert!(ignored.is_err(), "{ignored:?}");
        signals.stopping = Some(Instant::now() - SAME);
        send(Signal::TERM);
        assert_eq!(signals.next().await, Asked::Hurry("terminated"));
    }
}
