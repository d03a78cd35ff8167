//! hyper's view of a connection: a gate before the reads, a witness of everything.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::track::Track;
use crate::connections::{Asked, Connection};

/// The track as the wire, the service and the bodies of a connection share it.
#[derive(Debug, Clone)]
pub(super) struct Tracked(Arc<Mutex<Track>>);

/// A connection that hyper reads and writes.
#[derive(Debug)]
pub(super) struct Wire {
    connection: Connection,
    track: Tracked,
}

impl Tracked {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Track::new())))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Track> {
        // plain assignments: a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    pub(super) fn new(connection: Connection, track: Tracked) -> Self {
        Self { connection, track }
    }

    /// The connection alone, with the bytes that were read and not used.
    pub(super) fn into_connection(mut self, unused: bytes::Bytes) -> Connection {
        self.connection.push_back(unused);
        self.connection
    }
}

/// Takes a connection back from hyper after an upgrade to another protocol, with the bytes that hyper read ahead. It still has its
/// seat among the HTTP connections, and there no freeze asks it any more; [`Connection::reseat`] lets it move again.
///
/// # Errors
/// The connection is not one that this crate serves over HTTP/1; it is given back.
pub fn reclaim(upgraded: Upgraded) -> Result<Connection, Upgraded> {
    let parts = upgraded.downcast::<TokioIo<Wire>>()?;
    Ok(parts.io.into_inner().into_connection(parts.read_buf))
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.track.lock().may_read() {
            // whoever lifts the gate runs hyper again
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let outcome = ready!(Pin::new(&mut this.connection).poll_read(cx, buffer));
        let mut track = this.track.lock();
        match &outcome {
            Ok(()) => track.read(buffer.filled().len() - before),
            Err(_) => track.broken(),
        }
        Poll::Ready(outcome)
    }
}

impl Wire {
    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        let mut track = self.track.lock();
        match outcome {
            Poll::Ready(Ok(bytes)) => track.wrote(*bytes),
            Poll::Ready(Err(_)) => track.broken(),
            Poll::Pending => track.stalled(),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.connection).poll_write(cx, bytes);
        this.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.connection).poll_write_vectored(cx, slices);
        this.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.connection).poll_flush(cx);
        let mut track = this.track.lock();
        match outcome {
            Poll::Ready(Ok(())) => track.flushed(),
            Poll::Ready(Err(_)) => track.broken(),
            // what the peer has not taken moves along, so nobody need wait for it
            Poll::Pending if track.wants(Asked::Move) => {
                track.flushed();
                return Poll::Ready(Ok(()));
            }
            Poll::Pending => track.stalled(),
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.connection).poll_shutdown(cx);
        if outcome.is_pending() {
            this.track.lock().stalled();
        }
        outcome
    }
}
