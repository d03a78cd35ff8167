//! Counts for metrics: what has happened since the start.

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
    /// Messages that could not be sent to a slow peer or were dropped because nobody took them, by topic.
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
