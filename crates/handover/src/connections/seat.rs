//! One connection's place in the registry.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::registry::Kind;
use crate::Parcel;

/// What a handover wants of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Give yourself at your next message boundary.
    Move,
    /// You cannot move: tell your peer to go, finish what is under way, and end.
    Leave,
    /// Never mind: the handover was rolled back. Only those hear it that were asked and have not given themselves.
    Stay,
}

/// The question as all seats of a kind see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Stay,
    Move { epoch: u64 },
    Leave { from: Instant, window: Duration },
}

/// Listens to what is asked of one connection.
#[derive(Debug, Clone)]
pub struct Asking {
    ask: watch::Receiver<Ask>,
    number: u64,
    heard: Ask,
}

/// A live connection's registration. Dropping it says that the connection ended.
#[derive(Debug)]
pub struct Seat {
    kind: Kind,
    asking: Asking,
    /// The last freeze that this seat answered.
    answered: u64,
    ended: bool,
}

impl Asking {
    pub(super) fn new(ask: watch::Receiver<Ask>, number: u64) -> Self {
        Self {
            ask,
            number,
            heard: Ask::Stay,
        }
    }

    /// Waits until something new is asked, and tells each question once. Cancel-safe. A request to leave is heard at this
    /// connection's own moment within the window over which the departures are spread.
    pub async fn asked(&mut self) -> Asked {
        loop {
            let heard = self.heard;
            let Ok(ask) = self.ask.wait_for(|ask| *ask != heard).await.map(|ask| *ask) else {
                // without a registry nobody asks
                return std::future::pending().await;
            };
            match ask {
                Ask::Stay => {
                    self.heard = ask;
                    return Asked::Stay;
                }
                Ask::Move { .. } => {
                    self.heard = ask;
                    return Asked::Move;
                }
                Ask::Leave { from, window } => {
                    tokio::select! {
                        () = sleep_until(from + share(self.number, window)) => {
                            self.heard = ask;
                            return Asked::Leave;
                        }
                        _ = self.ask.wait_for(|now| *now != ask) => {}
                    }
                }
            }
        }
    }
}

impl Seat {
    pub(super) fn new(kind: Kind, asking: Asking, answered: u64) -> Self {
        Self {
            kind,
            asking,
            answered,
            ended: false,
        }
    }

    /// The kind of connection.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Waits until something new is asked; see [`Asking::asked`]. Cancel-safe.
    pub async fn asked(&mut self) -> Asked {
        self.asking.asked().await
    }

    /// What a second ear heard need not be said again.
    pub(super) fn hear(&mut self, asking: Asking) {
        self.asking = asking;
    }

    /// A second ear, for a task that cannot borrow the seat while it waits.
    pub fn asking(&self) -> Asking {
        self.asking.clone()
    }

    /// Answers a freeze with "not now": the connection is in the middle of something and gives itself at its next boundary. The
    /// handover does not wait for it and moves it after the commit.
    pub fn defer(&mut self) {
        self.kind.answer(&mut self.answered);
    }

    /// Gives the connection away. If nobody asks (any more), it comes back through [`Kind::next`].
    pub fn give(mut self, parcel: Parcel) {
        self.ended = true;
        self.kind.end(&mut self.answered, Some(parcel));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.ended {
            self.kind.end(&mut self.answered, None);
        }
    }
}

/// A connection's share of the window. Multiples of the golden ratio, modulo one, fill an interval evenly whichever numbers are
/// left, so no random numbers are needed.
fn share(number: u64, window: Duration) -> Duration {
    // 2^64 divided by the golden ratio
    let fraction = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let nanoseconds = (window.as_nanos() * u128::from(fraction)) >> 64;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn departures_fill_the_window_evenly() {
        let window = Duration::from_secs(10);
        let mut moments: Vec<Duration> = (500..600).map(|number| share(number, window)).collect();
        moments.sort();
        let gaps = moments.windows(2).map(|pair| pair[1].abs_diff(pair[0]));
        assert!(gaps.max().expect("100 moments") < Duration::from_millis(300));
        assert!(moments.iter().all(|moment| *moment < window));
        assert_eq!(share(7, Duration::ZERO), Duration::ZERO);
    }
}
