//! One connection's place in the registry.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
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
    /// Those that cannot move hear of it only when it is known that the others have moved.
    Move {
        epoch: u64,
        parting: Option<Window>,
    },
    Leave(Window),
}

/// The time over which departures are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Instant,
    pub(super) length: Duration,
}

impl Window {
    pub(super) fn from_now(length: Duration) -> Self {
        Self {
            from: Instant::now(),
            length,
        }
    }
}

/// Listens to what is asked of one connection, and may answer for it.
#[derive(Debug, Clone)]
pub struct Asking {
    kind: Kind,
    ask: watch::Receiver<Ask>,
    number: u64,
    heard: Ask,
    standing: Arc<Standing>,
}

/// What the registry knows of one seat; read and written under its lock.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The last freeze that this seat answered.
    pub(super) answered: AtomicU64,
    pub(super) fixed: AtomicBool,
    pub(super) ended: AtomicBool,
}

/// A live connection's registration. Dropping it says that the connection ended.
#[derive(Debug)]
pub struct Seat {
    asking: Asking,
}

impl Asking {
    pub(super) fn new(kind: Kind, ask: watch::Receiver<Ask>, number: u64, epoch: u64) -> Self {
        Self {
            kind,
            ask,
            number,
            heard: Ask::Stay,
            standing: Arc::new(Standing {
                answered: AtomicU64::new(epoch),
                ..Standing::default()
            }),
        }
    }

    /// Waits until something new is asked, and tells each question once. Cancel-safe. A request to leave is heard at this
    /// connection's own moment within the window over which the departures are spread.
    pub async fn asked(&mut self) -> Asked {
        loop {
            let (heard, fixed) = (self.heard, self.standing.fixed.load(Relaxed));
            let news = |ask: &Ask| ask.says(fixed) != heard.says(fixed);
            let Ok(ask) = self.ask.wait_for(news).await.map(|ask| *ask) else {
                // without a registry nobody asks
                return std::future::pending().await;
            };
            match ask.says(fixed) {
                Said::Stay => {
                    self.heard = ask;
                    return Asked::Stay;
                }
                Said::Move { .. } => {
                    self.heard = ask;
                    return Asked::Move;
                }
                Said::Leave(window) if window.length.is_zero() => {
                    self.heard = ask;
                    return Asked::Leave;
                }
                Said::Leave(window) => {
                    tokio::select! {
                        () = sleep_until(window.from + share(self.number, window.length)) => {
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

/// What a question means to one seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Stay,
    Move { epoch: u64 },
    Leave(Window),
}

impl Ask {
    fn says(self, fixed: bool) -> Said {
        match self {
            Self::Move { epoch, .. } if !fixed => Said::Move { epoch },
            Self::Stay | Self::Move { parting: None, .. } => Said::Stay,
            Self::Leave(window)
            | Self::Move {
                parting: Some(window),
                ..
            } => Said::Leave(window),
        }
    }
}

impl Asking {
    /// Answers a freeze with "not now": the connection is in the middle of something and gives itself at its next boundary. The
    /// handover does not wait for it and moves it after the commit.
    pub fn defer(&self) {
        self.kind.answer(&self.standing);
    }

    /// Says once for all that this connection cannot move, so that no freeze waits for it. It is told to leave when
    /// the others have moved.
    pub fn stays(&self) {
        self.kind.fix(&self.standing);
    }
}

impl Seat {
    pub(super) fn new(asking: Asking) -> Self {
        Self { asking }
    }

    /// The kind of connection.
    pub fn kind(&self) -> &Kind {
        &self.asking.kind
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

    /// See [`Asking::defer`].
    pub fn defer(&self) {
        self.asking.defer();
    }

    /// Gives the connection away. If nobody asks (any more), it comes back through [`Kind::next`].
    pub fn give(self, parcel: Parcel) {
        self.asking.kind.end(&self.asking.standing, Some(parcel));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.asking.kind.end(&self.asking.standing, None);
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
