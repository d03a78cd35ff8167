//! What an operator decides about the API, with limits that hold whatever is asked.

use std::time::Duration;

/// Who is let in, and how much at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// Lets everyone in without a token (`auth.disable`). What is for this machine only stays so.
    pub auth_disabled: bool,
    /// Takes requests from loopback addresses for the operator's own (`auth.trust_loopback`). Behind a proxy on the same
    /// machine this must be off: to the node all its clients are local.
    pub trust_loopback: bool,
    /// Web pages of these origins may use the API; `*` for all of them. Empty: no header of CORS is sent.
    pub cors_origins: Vec<String>,
    /// Serves the dashboard at `/dashboard/`.
    pub dashboard: bool,
    /// What may be asked at a time.
    pub limits: Limits,
    /// The limits of WebSockets.
    pub websockets: WebSocketSettings,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            auth_disabled: false,
            trust_loopback: true,
            cors_origins: Vec::new(),
            dashboard: true,
            limits: Limits::default(),
            websockets: WebSocketSettings::default(),
        }
    }
}

/// How much may be asked at a time. All of it holds for one namespace, connections for a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest body of a request, in bytes.
    pub body_bytes: usize,
    /// Longest time from a request's head to the end of its body.
    pub body_read: Duration,
    /// Longest time until a request is answered.
    pub response: Duration,
    /// Most requests in hand.
    pub requests: usize,
    /// Most requests in hand from one address.
    pub requests_per_client: usize,
    /// Most connections to a listener.
    pub connections: usize,
    /// Most bytes kept of answers that cannot change or have not changed.
    pub cache_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 10 << 20,
            body_read: Duration::from_secs(30),
            response: Duration::from_mins(2),
            requests: 4_096,
            requests_per_client: 512,
            connections: 8_192,
            cache_bytes: 32 << 20,
        }
    }
}

/// The limits of `/websocket-subscribe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketSettings {
    /// Most WebSockets (`ws.max_num_websockets`).
    pub connections: usize,
    /// Most requests that one of them may have waiting (`ws.max_num_concurrent_reqs`).
    pub requests: usize,
    /// Most notifications that wait for a client; what comes then is dropped, and the client is told.
    pub queue: usize,
    /// How long it may be silent before it is asked whether it is there; another such time without an answer ends it.
    pub ping: Duration,
    /// Longest message that a client may send, in bytes.
    pub message_bytes: usize,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            connections: 25,
            requests: 20,
            queue: 1_024,
            ping: Duration::from_secs(30),
            message_bytes: 64 << 10,
        }
    }
}
