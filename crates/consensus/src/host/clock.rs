//! When a block is due. The only place in this crate that reads the clock of the day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::warn;

/// The longest sleep before the clock is looked at again: it may be set meanwhile.
const GLANCE: Duration = Duration::from_secs(1);

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// How long it is until a time.
pub(crate) fn until(time_ms: u64) -> Duration {
    Duration::from_millis(time_ms.saturating_sub(now_ms()))
}

/// Waits until a time, at which a block is due. `usual` is the longest that this takes if all clocks are right.
pub(crate) async fn wait_until(time_ms: u64, usual: Duration) {
    let mut warned = false;
    loop {
        let left = until(time_ms);
        if left.is_zero() {
            return;
        }
        if left > usual && !warned {
            warned = true;
            warn!(
                due_ms = time_ms,
                seconds = left.as_secs(),
                "the last block is from the future: the clock of this machine, or of its proposer, is wrong. Check it (chronyc tracking)"
            );
        }
        tokio::time::sleep(left.min(GLANCE)).await;
    }
}
