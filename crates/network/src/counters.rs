//! Counts for metrics: what has happened since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Topic;

/// A snapshot of the counts. Everything but `peers` and `pending_requests` only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Peers connected now.
    pub peers: u64,
    /// Bytes sent to all peers, as [`Traffic`](crate::Traffic) counts them.
    pub bytes_sent: u64,
    /// Bytes received from all peers.
    pub bytes_received: u64,
    /// Messages published here, by topic in the order of [`Topic::ALL`](crate::Topic::ALL).
    pub published: [u64; 4],
    /// Messages received, by topic.
    pub received: [u64; 4],
    /// Messages that could not be sent to a slow peer or were dropped because nobody took them, by topic. What a slow peer did not get
    /// of the first three is counted under the first.
    pub dropped: [u64; 4],
    /// Requests sent.
    pub requests_sent: u64,
    /// Requests sent that failed.
    pub requests_failed: u64,
    /// Requests received.
    pub requests_received: u64,
    /// Requests refused because too many were waiting.
    pub requests_refused: u64,
    /// Requests of peers that wait for an answer now.
    pub pending_requests: u64,
    /// Dials that led to a connection.
    pub dials: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Connections refused: too many peers, banned, of another chain, a handshake that took too long.
    pub refused: u64,
    /// Bans imposed.
    pub bans: u64,
    /// Times that reading from peers stopped because events were not taken.
    pub stalls: u64,
}

/// One count.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn more(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts as they are kept.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) peers: Count,
    pub(crate) published: [Count; 4],
    pub(crate) received: [Count; 4],
    pub(crate) dropped: [Count; 4],
    pub(crate) requests_sent: Count,
    pub(crate) requests_failed: Count,
    pub(crate) requests_received: Count,
    pub(crate) requests_refused: Count,
    pub(crate) pending_requests: Count,
    pub(crate) dials: Count,
    pub(crate) dials_failed: Count,
    pub(crate) refused: Count,
    pub(crate) bans: Count,
    pub(crate) stalls: Count,
}

impl Counts {
    pub(crate) fn snapshot(&self, (bytes_sent, bytes_received): (u64, u64)) -> Counters {
        let each = |counts: &[Count; 4]| std::array::from_fn(|topic| counts[topic].get());
        Counters {
            peers: self.peers.get(),
            bytes_sent,
            bytes_received,
            published: each(&self.published),
            received: each(&self.received),
            dropped: each(&self.dropped),
            requests_sent: self.requests_sent.get(),
            requests_failed: self.requests_failed.get(),
            requests_received: self.requests_received.get(),
            requests_refused: self.requests_refused.get(),
            pending_requests: self.pending_requests.get(),
            dials: self.dials.get(),
            dials_failed: self.dials_failed.get(),
            refused: self.refused.get(),
            bans: self.bans.get(),
            stalls: self.stalls.get(),
        }
    }
}

/// A topic's place in the counts.
pub(crate) fn place(topic: Topic) -> usize {
    topic as usize
}
