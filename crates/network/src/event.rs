//! What happens on the network, as its users see it.

use std::fmt;

use bytes::Bytes;
use libp2p::{PeerId, gossipsub};

use crate::{PeerAddress, PeerInfo};

/// A subject of gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Votes and proposals of consensus.
    Consensus,
    /// Certificates and repeated votes that get a stuck round going.
    Liveness,
    /// Parts of proposed blocks.
    Proposals,
    /// Transactions. A message is passed on only after [`Network::verdict`](crate::Network::verdict) accepted it.
    Transactions,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 4] = [
        Self::Consensus,
        Self::Liveness,
        Self::Proposals,
        Self::Transactions,
    ];

    /// The topic's name in protocols, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Liveness => "liveness",
            Self::Proposals => "proposals",
            Self::Transactions => "transactions",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names a gossiped message, for [`Network::verdict`](crate::Network::verdict).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(pub(crate) gossipsub::MessageId);

/// A request that this node sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(crate) u64);

/// A request that a peer sent, to be answered once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboundId(pub(crate) u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for InboundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What to do with a transaction that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Do not pass it on; the peer did nothing wrong.
    Ignore,
    /// Do not pass it on; the peer should have known, and is charged with [`Penalty::ILLEGAL`](crate::Penalty::ILLEGAL).
    Reject,
}

/// A gossiped message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its subject.
    pub topic: Topic,
    /// Its name.
    pub id: MessageId,
    /// The neighbour that delivered it.
    pub from: PeerId,
    /// Who published and signed it; `None` for transactions, whose origin is nobody's business.
    pub publisher: Option<PeerId>,
    /// Its content.
    pub bytes: Bytes,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Peers can reach this node at this address.
    Listening(PeerAddress),
    /// A peer of this chain is connected, its handshake done. Comes before everything else from this peer except messages, which are
    /// passed on whoever delivers them.
    Connected(Box<PeerInfo>),
    /// The last connection to the peer is gone.
    Disconnected(PeerId),
    /// The peer wants messages of this topic.
    Subscribed(PeerId, Topic),
    /// A message arrived.
    Message(Message),
    /// A peer told its status. Only the newest is of interest; older ones may be skipped.
    Status {
        /// The peer.
        from: PeerId,
        /// What it told.
        bytes: Bytes,
    },
    /// A peer asks. Answer with [`Network::respond`](crate::Network::respond) or [`Network::drop_request`](crate::Network::drop_request).
    Request {
        /// Names the request.
        id: InboundId,
        /// The peer.
        from: PeerId,
        /// What it asks.
        bytes: Bytes,
    },
    /// A peer answered.
    Response {
        /// The request that it answers.
        id: RequestId,
        /// The peer.
        from: PeerId,
        /// The answer.
        bytes: Bytes,
    },
    /// A request of ours will not be answered.
    RequestFailed {
        /// The request.
        id: RequestId,
        /// The peer that was asked.
        from: PeerId,
        /// Why.
        reason: RequestFailure,
    },
    /// A peer's request need not be answered any more: it timed out or its connection is gone.
    InboundFailed {
        /// The request.
        id: InboundId,
        /// The peer.
        from: PeerId,
    },
}

/// Why a request was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RequestFailure {
    /// No such peer.
    #[error("the peer is not connected")]
    NotConnected,
    /// [`Limits::outbound_requests`](crate::Limits::outbound_requests) are waiting already, or the peer's link carries no more.
    #[error("too many requests are waiting for answers")]
    Busy,
    /// Larger than [`Limits::request_bytes`](crate::Limits::request_bytes).
    #[error("the request is larger than the limit")]
    TooLarge,
    /// The connection closed before the answer came.
    #[error("the connection closed before the answer came")]
    ConnectionClosed,
    /// No answer within [`Limits::request_timeout`](crate::Limits::request_timeout).
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer does not answer requests.
    #[error("the peer does not answer requests")]
    Unsupported,
    /// The peer declined, or its answer was broken or larger than [`Limits::response_bytes`](crate::Limits::response_bytes).
    #[error("the peer declined, or its answer was broken or too large")]
    Io,
}
