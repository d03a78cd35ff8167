//! The handle that the rest of a node holds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Ban, Banned, Counters, DialError, Event, InboundId, MessageId, NetworkError, PeerAddress,
    PeerInfo, Penalty, PublishError, RequestId, Settings, Topic, UnknownPeer, Verdict,
};

/// A running network. Cheap to clone; it runs until [`Network::shutdown`] is called or every clone and both event lanes are dropped.
#[derive(Debug, Clone)]
pub struct Network {
    #[expect(dead_code, reason = "filled in by the service")]
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {}

/// What happens, in two lanes so that a flood of transactions never holds up a vote. Connections and subscriptions are told in both.
#[derive(Debug)]
pub struct Events {
    /// Everything except messages on [`Topic::Transactions`]. Lossless: while it is full nothing more is read from peers.
    pub consensus: Lane,
    /// Messages on [`Topic::Transactions`]. While it is full, further ones are dropped and counted.
    pub transactions: Lane,
}

/// One stream of events.
#[derive(Debug)]
pub struct Lane {
    receiver: mpsc::Receiver<Event>,
}

impl Lane {
    /// The next event; `None` once the network has been shut down. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }
}

#[expect(
    clippy::unused_async,
    clippy::unused_self,
    unused_variables,
    reason = "the shape, to code against; the service follows"
)]
impl Network {
    /// Starts listening, dialling and discovering.
    pub async fn start(settings: Settings) -> Result<(Self, Events), NetworkError> {
        let _: Option<oneshot::Sender<()>> = None;
        Err(NetworkError::Setup {
            what: "the network",
            reason: "the service is not there yet".to_owned(),
        })
    }

    /// Gossips a message to all peers that are subscribed to its topic. Publishing a transaction twice is fine.
    pub async fn publish(&self, topic: Topic, bytes: Bytes) -> Result<(), PublishError> {
        Err(PublishError::Closed)
    }

    /// Tells every connected peer this node's status, and every peer that connects from now on. Only the newest one counts.
    pub async fn status(&self, bytes: Bytes) -> Result<(), PublishError> {
        Err(PublishError::Closed)
    }

    /// Asks a peer. Either [`Event::Response`] or [`Event::RequestFailed`] follows, unless the request is cancelled.
    pub async fn request(&self, peer: PeerId, bytes: Bytes) -> RequestId {
        RequestId(0)
    }

    /// Forgets a request: nothing more is heard of it.
    pub async fn cancel(&self, id: RequestId) {}

    /// Answers a peer's request. An answer larger than the limit is not sent and the request dropped.
    pub async fn respond(&self, id: InboundId, bytes: Bytes) {}

    /// Leaves a peer's request without an answer.
    pub async fn drop_request(&self, id: InboundId) {}

    /// Says whether a transaction is to be passed on. To be called once for each message on [`Topic::Transactions`].
    pub async fn verdict(&self, id: MessageId, from: PeerId, verdict: Verdict) {}

    /// The connected peers, oldest first.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        Vec::new()
    }

    /// How many peers are connected.
    pub fn peer_count(&self) -> usize {
        0
    }

    /// Connects to a peer and waits until the handshake is done.
    pub async fn dial(&self, address: PeerAddress) -> Result<PeerInfo, DialError> {
        Err(DialError::Closed)
    }

    /// Closes the connections to a peer. Discovery does not dial it again for a minute; `keep_dial` does.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), UnknownPeer> {
        Err(UnknownPeer)
    }

    /// Adds a peer to which a connection is always kept.
    pub async fn keep(&self, address: PeerAddress) {}

    /// Keeps a connection to this peer no longer; an existing one stays. Says whether it was kept.
    pub async fn release(&self, address: PeerAddress) -> bool {
        false
    }

    /// Refuses a peer or an address for a time and closes its connections.
    pub async fn ban(&self, who: Banned, reason: String, duration: Duration) {}

    /// Lifts a ban. Says whether there was one.
    pub async fn unban(&self, who: Banned) -> bool {
        false
    }

    /// The bans in force.
    pub async fn bans(&self) -> Vec<Ban> {
        Vec::new()
    }

    /// Charges a peer with points. More than 50 are logged, more than 100 are a ban of an hour.
    pub async fn penalise(&self, peer: PeerId, penalty: Penalty, reason: String) {}

    /// Who this node is.
    pub fn local_peer_id(&self) -> PeerId {
        PeerId::random()
    }

    /// Where this node accepts peers; empty if it does not.
    pub fn listen_addresses(&self) -> Vec<PeerAddress> {
        Vec::new()
    }

    /// Counts for metrics.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Closes all connections, keeps what is to be kept in files, closes the port. When it returns another process may listen there.
    pub async fn shutdown(&self) {}
}
