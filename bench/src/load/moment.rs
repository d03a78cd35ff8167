//! One clock for all that is laid side by side: requests, handovers, other processes.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A reading of the kernel's monotonic clock, which is the same for all processes of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        let part = |n: i64| u64::try_from(n).expect("the monotonic clock is not negative");
        Self(part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec))
    }

    /// A moment from the nanoseconds that another process wrote down.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds on the clock.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// How long it is since an earlier moment; zero if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
