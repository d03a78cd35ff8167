//! What a group of clients is told to do.

use std::net::SocketAddr;
use std::time::Duration;

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HTTP, a connection for each request.
    Fresh,
    /// HTTP over a kept connection; it looks whether the connection still stands before it asks,
    /// as connection pools do.
    KeepAlive,
    /// HTTP over a kept connection; it asks without looking, as simple clients do.
    Blind,
    /// Bytes that are to come back, several frames on the way at once.
    Echo,
    /// Numbered WebSocket messages that are to come back in order, and pings.
    WebSocket,
    /// Numbered UDP datagrams that are to come back.
    Datagram,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Fresh,
        Self::KeepAlive,
        Self::Blind,
        Self::Echo,
        Self::WebSocket,
        Self::Datagram,
    ];

    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::KeepAlive => "keep-alive",
            Self::Blind => "blind",
            Self::Echo => "echo",
            Self::WebSocket => "websocket",
            Self::Datagram => "datagram",
        }
    }
}

/// Clients of one kind with one target.
#[derive(Debug, Clone)]
pub struct Group {
    pub(super) kind: Kind,
    pub(super) target: SocketAddr,
    pub(super) clients: usize,
    pub(super) think: Duration,
    pub(super) patience: Duration,
    pub(super) path: String,
    pub(super) requests: Option<u64>,
    pub(super) silent: usize,
    pub(super) silence: Duration,
    pub(super) stalled: usize,
}

impl Group {
    /// So many clients of this kind with this target. They think for 10 ms, wait 10 s for an
    /// answer (datagrams 1 s), and go on until they are stopped.
    pub fn new(kind: Kind, target: SocketAddr, clients: usize) -> Self {
        let patience = match kind {
            Kind::Datagram => Duration::from_secs(1),
            _ => Duration::from_secs(10),
        };
        Self {
            kind,
            target,
            clients,
            think: Duration::from_millis(10),
            patience,
            path: "/".to_owned(),
            requests: None,
            silent: 0,
            silence: Duration::from_secs(2),
            stalled: 0,
        }
    }

    /// The mean time between an answer (for [`Kind::Echo`] and [`Kind::WebSocket`]: a request) and
    /// the next request. Each pause is drawn from nothing to twice that.
    #[must_use]
    pub const fn think(mut self, mean: Duration) -> Self {
        self.think = mean;
        self
    }

    /// How long a client waits for a connection or an answer.
    #[must_use]
    pub const fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// The path of HTTP requests and of [`Kind::WebSocket`], `/` at first. `{client}` in it becomes the
    /// client's number and `{room}` a quarter of it, so that four clients share a room.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Each client ends after so many requests.
    #[must_use]
    pub const fn requests(mut self, each: u64) -> Self {
        self.requests = Some(each);
        self
    }

    /// So many of the [`Kind::Echo`] clients speak only now and then.
    #[must_use]
    pub const fn silent(mut self, clients: usize) -> Self {
        self.silent = clients;
        self
    }

    /// The mean silence of a silent client, 2 s at first.
    #[must_use]
    pub const fn silence(mut self, mean: Duration) -> Self {
        self.silence = mean;
        self
    }

    /// So many of the [`Kind::Echo`] clients write without reading until every buffer on the way is full,
    /// and then read it all. Each keeps up to a few MiB in the kernel and the server.
    #[must_use]
    pub const fn stalled(mut self, clients: usize) -> Self {
        self.stalled = clients;
        self
    }
}
