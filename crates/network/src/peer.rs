//! A peer as others are told about it.

use std::time::Duration;

use libp2p::PeerId;

use crate::{PeerAddress, identity};

/// Who opened the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The peer did.
    Inbound,
    /// This node did.
    Outbound,
}

/// A connected peer whose handshake is done.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Who it is.
    pub peer: PeerId,
    /// Its name, as it says: printable, at most 64 characters, but not to be believed.
    pub moniker: String,
    /// Its version, as it says.
    pub version: String,
    /// The network it is of.
    pub network_id: String,
    /// The far end of the connection.
    pub address: PeerAddress,
    /// Who opened the connection.
    pub direction: Direction,
    /// Whether it is one of `keep_dial`.
    pub kept: bool,
    /// How long it has been connected.
    pub duration: Duration,
    /// The last round trip; `None` until the first has been measured.
    pub ping: Option<Duration>,
    /// What went to and fro.
    pub traffic: Traffic,
    /// Its score: 0 is spotless, more than 100 is a ban.
    pub score: u32,
}

impl PeerInfo {
    /// The peer's key in hex: `peer_id` of bytomd's `list-peers`.
    pub fn key_hex(&self) -> String {
        identity::peer_hex(&self.peer)
    }
}

/// Bytes that went over a peer's connections since it connected: what the protocols sent and received, before encryption and without
/// the headers of the layers below.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent per second since it connected.
    pub average_sent: u64,
    /// Bytes received per second since it connected.
    pub average_received: u64,
    /// Bytes sent per second of late (an average that forgets within seconds).
    pub current_sent: u64,
    /// Bytes received per second of late.
    pub current_received: u64,
}
