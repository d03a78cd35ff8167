//! HTTP with a limit on everything, for the control socket and the admin address.
//!
//! One request per connection, so a connection lives no longer than its answer: its head must
//! come within a deadline, its peer must keep reading, and there are only so many at a time.

use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::patient::Patient;

/// The most bytes of a request's head, and of an answer on its way.
const BUFFER_BYTES: usize = 16 << 10;

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServeLimits {
    /// Connections at a time. As many more are told that there is no room; others are closed.
    pub(crate) connections: usize,
    /// For how long a client may keep its request's head.
    pub(crate) head: Duration,
    /// For how long a client may take nothing of its answer.
    pub(crate) stall: Duration,
}

/// Serves until `stop` says so, then lets the answers under way end. `no_room` answers those who
/// come when there are too many already.
pub(crate) async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    no_room: Router,
    limits: ServeLimits,
    mut stop: watch::Receiver<bool>,
) {
    let mut open = JoinSet::new();
    loop {
        let io = tokio::select! {
            (io, _) = listener.accept() => io,
            Some(_) = open.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let router = if open.len() < limits.connections {
            router.clone()
        } else if open.len() < 2 * limits.connections {
            no_room.clone()
        } else {
            continue;
        };
        open.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head)
                .keep_alive(false)
                .max_buf_size(BUFFER_BYTES)
                .serve_connection(
                    TokioIo::new(Patient::new(io, limits.stall)),
                    TowerToHyperService::new(router),
                );
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}
