//! What can go wrong, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::{AddressError, Topic};

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// `chain` or `network_id` cannot be part of a protocol's name.
    #[error(
        "{what} `{value}` cannot be part of a protocol's name: use 1 to {max} letters, digits, `-`, `_` and `.`"
    )]
    Name {
        /// Which setting.
        what: &'static str,
        /// Its value.
        value: String,
        /// The longest that is allowed.
        max: usize,
    },
    /// Limits that contradict each other.
    #[error("limits.{0}")]
    Limits(&'static str),
    /// The port is taken, or the address is not this machine's.
    #[error("p2p.laddr: cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The transport refused the address or could not be set up.
    #[error("cannot set up {what}: {reason}")]
    Setup {
        /// Which part.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A file of the address book or of the bans.
    #[error("{action} {path}: {source}")]
    File {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a message was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Larger than the limit of its topic.
    #[error("a {topic} message of {size} bytes; the limit is {limit}")]
    TooLarge {
        /// The topic.
        topic: Topic,
        /// The message's size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Nobody listens to the topic yet.
    #[error("no peer is subscribed to {0}")]
    NoPeers(Topic),
    /// Every peer's queue is full: the message reached nobody. Publish it again in a moment.
    #[error("the queues of all {1} peers are full; the {0} message reached nobody")]
    QueuesFull(Topic, usize),
    /// The network has been shut down.
    #[error("the network is shut down")]
    Closed,
    /// The signature could not be made.
    #[error("cannot publish on {0}: {1}")]
    Other(Topic, String),
}

/// Why a peer was not connected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The address does not parse.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The address is this node's own.
    #[error("Connect self")]
    Myself,
    /// The peer is connected already.
    #[error("Duplicate peer")]
    Duplicate,
    /// The peer or its address is banned.
    #[error("the peer is banned until {until}: {reason}")]
    Banned {
        /// When it ends (RFC 3339).
        until: String,
        /// Why it was imposed.
        reason: String,
    },
    /// No connection came about.
    #[error("dial tcp {address}: {reason}")]
    Unreachable {
        /// The address.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The peer has as many peers as it wants.
    #[error("the peer at {0} has enough peers")]
    Full(String),
    /// The peer hung up before the handshake was done.
    #[error(
        "the peer at {0} hung up during the handshake: it may have banned this node, or too many try to connect to it"
    )]
    HungUp(String),
    /// The handshake took too long.
    #[error("the handshake with {address} took longer than {timeout:?}")]
    Handshake {
        /// The address.
        address: String,
        /// The limit.
        timeout: Duration,
    },
    /// Another node than the address names answers there.
    #[error("at {address} answers the peer {found}, not the one expected")]
    WrongPeer {
        /// The address.
        address: String,
        /// The key (hex) of who answers.
        found: String,
    },
    /// A node of another chain or network.
    #[error(
        "the peer at {address} is of another chain or network: it speaks `{theirs}`, this node `{ours}`"
    )]
    OtherChain {
        /// The address.
        address: String,
        /// What it says to speak.
        theirs: String,
        /// What this node speaks.
        ours: String,
    },
    /// Vault mode dials nobody.
    #[error("can't dial peer in vault mode")]
    Vault,
    /// Too many dials are under way.
    #[error("{0} dials are under way already; try again when they are done")]
    Busy(usize),
    /// The network has been shut down.
    #[error("the network is shut down")]
    Closed,
}

/// There is no such peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("peerId not exist")]
pub struct UnknownPeer;
