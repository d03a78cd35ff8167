//! The handle that the rest of a node holds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use tokio::sync::{mpsc, oneshot};

use crate::command::{Command, Reply};
use crate::counters::Counts;
use crate::service::Service;
use crate::traffic::Meters;
use crate::{
    Ban, Banned, Counters, DialError, Events, InboundId, MessageId, NetworkError, PeerAddress,
    PeerInfo, Penalty, PublishError, RequestId, Settings, Topic, UnknownPeer, Verdict,
};

/// A running network. Cheap to clone; it runs until [`Network::shutdown`] is called or every clone is dropped.
///
/// Calls wait while more than a few hundred others are not yet done; none waits for a peer except [`Network::dial`]. After the shutdown
/// calls without a result do nothing.
#[derive(Debug, Clone)]
pub struct Network {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

/// What handles read without asking the service.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) me: PeerId,
    pub(crate) counts: Counts,
    pub(crate) meters: Meters,
    pub(crate) listening: RwLock<Vec<PeerAddress>>,
    next_request: AtomicU64,
}

/// Commands that wait for the service.
const WAITING: usize = 256;

impl Network {
    /// Starts listening, dialling and discovering. When it returns peers can connect.
    pub async fn start(settings: Settings) -> Result<(Self, Events), NetworkError> {
        let (commands, receiver) = mpsc::channel(WAITING);
        let (service, shared, events) = Service::start(settings, receiver).await?;
        tokio::spawn(service.run());
        Ok((Self { commands, shared }, events))
    }

    /// Does not fail: a service that is gone has nothing left to do.
    async fn tell(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }

    /// `None` after the shutdown.
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await;
        answer.await.ok()
    }

    /// Gossips a message to all peers that are subscribed to its topic. Publishing a transaction twice is fine.
    pub async fn publish(&self, topic: Topic, bytes: Bytes) -> Result<(), PublishError> {
        self.ask(|reply| Command::Publish(topic, bytes, reply))
            .await
            .unwrap_or(Err(PublishError::Closed))
    }

    /// Tells every connected peer this node's status, and every peer that connects from now on. Only the newest one counts: a peer that
    /// has not yet taken the last but one never sees the last but one.
    pub async fn status(&self, bytes: Bytes) {
        self.tell(Command::Status(bytes)).await;
    }

    /// Asks a peer. Either [`Event::Response`](crate::Event::Response) or [`Event::RequestFailed`](crate::Event::RequestFailed) follows,
    /// unless the request is cancelled.
    pub async fn request(&self, peer: PeerId, bytes: Bytes) -> RequestId {
        let id = RequestId(self.shared.next_request.fetch_add(1, Ordering::Relaxed));
        self.tell(Command::Request(id, peer, bytes)).await;
        id
    }

    /// Forgets a request: nothing more is heard of it.
    pub async fn cancel(&self, id: RequestId) {
        self.tell(Command::Cancel(id)).await;
    }

    /// Answers a peer's request. An answer larger than [`Limits::response_bytes`](crate::Limits::response_bytes) is not sent; the request
    /// is dropped and a warning logged.
    pub async fn respond(&self, id: InboundId, bytes: Bytes) {
        self.tell(Command::Respond(id, bytes)).await;
    }

    /// Leaves a peer's request without an answer.
    pub async fn drop_request(&self, id: InboundId) {
        self.tell(Command::DropRequest(id)).await;
    }

    /// Says whether a transaction is to be passed on. To be called once for each message on [`Topic::Transactions`], within some
    /// seven seconds: a message that is judged later is not passed on.
    pub async fn verdict(&self, id: MessageId, from: PeerId, verdict: Verdict) {
        self.tell(Command::Verdict(id, from, verdict)).await;
    }

    /// The connected peers, oldest first.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        self.ask(Command::Peers).await.unwrap_or_default()
    }

    /// How many peers are connected.
    pub fn peer_count(&self) -> usize {
        usize::try_from(self.shared.counts.peers.get()).unwrap_or(usize::MAX)
    }

    /// Connects to a peer and waits until the handshake is done, which takes no longer than the dial and handshake timeouts together.
    pub async fn dial(&self, address: PeerAddress) -> Result<PeerInfo, DialError> {
        self.ask(|reply| Command::Dial(address, reply))
            .await
            .unwrap_or(Err(DialError::Closed))
    }

    /// Closes the connections to a peer. Discovery does not dial it again for a minute; `keep_dial` does.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), UnknownPeer> {
        self.ask(|reply| Command::Disconnect(peer, reply))
            .await
            .unwrap_or(Err(UnknownPeer))
    }

    /// Adds a peer to which a connection is always kept.
    pub async fn keep(&self, address: PeerAddress) {
        self.tell(Command::Keep(address)).await;
    }

    /// Keeps a connection to this peer no longer; an existing one stays. Says whether it was kept.
    pub async fn release(&self, address: PeerAddress) -> bool {
        self.ask(|reply| Command::Release(address, reply))
            .await
            .unwrap_or(false)
    }

    /// Refuses a peer or an address for a time and closes its connections. Survives a restart.
    pub async fn ban(&self, who: Banned, reason: impl Into<String>, duration: Duration) {
        self.tell(Command::Ban(who, reason.into(), duration)).await;
    }

    /// Lifts a ban. Says whether there was one.
    pub async fn unban(&self, who: Banned) -> bool {
        self.ask(|reply| Command::Unban(who, reply))
            .await
            .unwrap_or(false)
    }

    /// The bans in force.
    pub async fn bans(&self) -> Vec<Ban> {
        self.ask(Command::Bans).await.unwrap_or_default()
    }

    /// Charges a peer with points. More than 50 are logged, more than 100 are a ban of an hour.
    pub async fn penalise(&self, peer: PeerId, penalty: Penalty, reason: impl Into<String>) {
        self.tell(Command::Penalise(peer, penalty, reason.into()))
            .await;
    }

    /// Who this node is.
    pub fn local_peer_id(&self) -> PeerId {
        self.shared.me
    }

    /// Where this node accepts peers; empty if it does not.
    pub fn listen_addresses(&self) -> Vec<PeerAddress> {
        self.shared
            .listening
            .read()
            .expect("nothing panics while it holds the lock")
            .clone()
    }

    /// Counts for metrics.
    pub fn counters(&self) -> Counters {
        self.shared
            .counts
            .snapshot(self.shared.meters.total().read())
    }

    /// Closes all connections, keeps what is to be kept in files, closes the port. When it returns another process may listen there.
    pub async fn shutdown(&self) {
        self.ask(Command::Shutdown).await;
    }
}

impl Shared {
    pub(crate) fn new(me: PeerId, meters: Meters) -> Self {
        Self {
            me,
            counts: Counts::default(),
            meters,
            listening: RwLock::default(),
            next_request: AtomicU64::new(1),
        }
    }
}
