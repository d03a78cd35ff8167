//! Limits of an HTTP connection.

use std::time::Duration;

/// Limits and choices for served HTTP connections. The defaults suit a server that faces the internet.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Longest request head, in bytes; at least 8192. A longer one is answered with status 431.
    pub header_bytes: usize,
    /// Most header fields of a request.
    pub headers: usize,
    /// Longest time from the first byte of a request head to its last, and from accepting a connection to its first head.
    pub header_read: Duration,
    /// Longest time a connection may be kept between two requests.
    pub keep_alive: Duration,
    /// Longest time a peer may take none of the bytes of a response.
    pub write_stall: Duration,
    /// How long an idle connection that was told to leave is still served, so that a request that is under way already meets
    /// a `Connection: close` and not a closed socket.
    pub linger: Duration,
    /// Whether to serve HTTP/2 to those who begin with its preface (prior knowledge).
    pub http2: bool,
    /// Most streams at a time on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            header_bytes: 64 * 1024,
            headers: 100,
            header_read: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            write_stall: Duration::from_mins(1),
            linger: Duration::from_secs(5),
            http2: true,
            streams: 200,
        }
    }
}
