//! One clock for two processes.
//!
//! `std::time::Instant` cannot be sent to another process. The kernel's monotonic clock is the same for all processes of a
//! machine (of a time namespace), so its bare value can: how long a connection stood still is the successor's reading
//! minus the predecessor's.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A reading of the machine's monotonic clock (`CLOCK_MONOTONIC`), comparable between processes of one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Monotonic {
    nanoseconds: u64,
}

impl Monotonic {
    /// The clock now.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).expect("the monotonic clock starts at zero");
        let nanoseconds = u64::try_from(now.tv_nsec).expect("below a second");
        Self {
            nanoseconds: seconds * 1_000_000_000 + nanoseconds,
        }
    }

    /// The time from `earlier` to this reading; zero if `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }

    /// Microseconds since boot, as systemd's `MONOTONIC_USEC` wants them.
    pub fn as_micros(self) -> u64 {
        self.nanoseconds / 1_000
    }
}
