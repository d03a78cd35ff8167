//! When a process is ready to serve.
//!
//! The sockets are shared, so whoever asks on one of them may be answered by the old process: that says nothing. Sound are only the
//! process's own words, over a socket that was given to it alone (`notes`); an answer on a socket that was given to it alone
//! ([`READY_SOCKET`]); and, weakest, that it has lived for a while, which a server with a bad configuration as a rule does not.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;

use super::http;
use super::notes::Notes;

/// The name of the socket that each process has for itself.
pub const READY_SOCKET: &str = "ready";

/// How long a process has to live if nothing else is asked of it.
pub const DEFAULT_AFTER: Duration = Duration::from_secs(3);

/// How soon to ask again.
const AGAIN: Duration = Duration::from_millis(50);

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What is asked of a process, all of it, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ready {
    /// It says `READY=1`.
    pub notify: bool,
    /// It answers this path, such as `/health`, with 2xx, over a socket of its own.
    pub path: Option<String>,
    /// It lives so long, then.
    pub after: Option<Duration>,
}

impl Ready {
    /// How long it is to live in the end.
    fn after(&self) -> Duration {
        match self.after {
            Some(after) => after,
            None if self.notify || self.path.is_some() => Duration::ZERO,
            None => DEFAULT_AFTER,
        }
    }
}

/// What is still waited for, in words.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<String>>);

impl Waiting {
    fn is_for(&self, what: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    pub(super) fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Where a process listens for itself.
pub(super) fn socket(directory: &Path) -> PathBuf {
    directory.join(format!("{READY_SOCKET}.sock"))
}

/// Waits until the process is ready.
pub(super) async fn watch(ready: Ready, notes: Arc<Notes>, own: PathBuf, waiting: Waiting) {
    if ready.notify {
        waiting.is_for("it has not said READY=1 to NOTIFY_SOCKET");
        notes.ready().await;
    }
    if let Some(path) = &ready.path {
        waiting.is_for(format!("{path} was not answered yet"));
        while let Err(answer) = answers(&own, path).await {
            waiting.is_for(format!("{path} on the socket {READY_SOCKET}: {answer}"));
            tokio::time::sleep(AGAIN).await;
        }
    }
    let after = ready.after();
    waiting.is_for(format!(
        "it has to live for {} s first",
        after.as_secs_f64()
    ));
    tokio::time::sleep(after).await;
}

async fn answers(own: &Path, path: &str) -> Result<(), String> {
    match http::ask(own, Method::GET, path, Vec::new(), ANSWER_WITHIN).await {
        Ok((code, _)) if code.is_success() => Ok(()),
        Ok((code, _)) => Err(format!("the answer was {code}")),
        Err(error) => Err(error.to_string()),
    }
}
