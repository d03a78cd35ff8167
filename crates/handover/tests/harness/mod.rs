//! Real servers for end-to-end tests: an example is started, handed over, killed, and nothing of it is left when the test ends.
//!
//! All generations of a [`Server`] share one directory, one log file and one process group. What a test waits for is something that
//! can be observed, with a deadline.

#![allow(dead_code, unused_imports, unreachable_pub)]

pub mod http;
pub mod process;
pub mod server;
pub mod traffic;

pub use self::http::{Answer, Http};
pub use self::process::{descriptors, gone, kill, living, memory, signal};
pub use self::server::{Said, Server, Started};
pub use self::traffic::{Rules, Tally, Traffic};

use std::future::Future;
use std::time::Duration;

/// How long anything that is waited for may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How soon to look again.
const AGAIN: Duration = Duration::from_millis(2);

/// Looks until there is something to see; panics with what was waited for.
pub async fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look).await
}

/// As [`until`], with a deadline of its own.
pub async fn until_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let waiting = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    within_limit(limit, what, waiting).await
}

/// Waits no longer than [`PATIENCE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    within_limit(PATIENCE, what, future).await
}

async fn within_limit<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(limit, future).await;
    done.unwrap_or_else(|_| panic!("waited {limit:?} in vain: {what}"))
}
