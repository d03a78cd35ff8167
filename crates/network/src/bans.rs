//! Who is banned, for how long and why; kept in a file.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use libp2p::PeerId;

use crate::identity;

/// Who is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Banned {
    /// A peer, wherever it is.
    Peer(PeerId),
    /// Everybody at an address.
    Host(IpAddr),
}

impl fmt::Display for Banned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => f.write_str(&identity::peer_hex(peer)),
            Self::Host(ip) => write!(f, "{ip}"),
        }
    }
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub who: Banned,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}
