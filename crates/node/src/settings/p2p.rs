//! The settings for peers.

use std::net::SocketAddr;
use std::time::Duration;

use baton_network::{PeerAddress, Proxy};

/// What was decided about peers.
#[derive(Debug, Clone)]
pub struct P2p {
    /// Where they connect to.
    pub laddr: SocketAddr,
    /// Those to begin with.
    pub seeds: Vec<PeerAddress>,
    /// Those that are always dialled again.
    pub keep_dial: Vec<PeerAddress>,
    /// The most at once.
    pub max_peers: usize,
    /// Whether mDNS is used.
    pub lan_discoverable: bool,
    /// Whether the router is asked for a port.
    pub upnp: bool,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How long dialling may take.
    pub dial_timeout: Duration,
    /// Through which they are dialled.
    pub proxy: Option<Proxy>,
}
