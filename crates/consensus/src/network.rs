//! Malachite's network actor on our own swarm.
//!
//! It encodes what consensus and sync want to say, and decodes what peers say. Malachite's own actor would bring a swarm
//! of its own; ours shares one with transactions and discovery.
//!
//! What is heard goes to the subscribers' mailboxes, which have no bounds. [`Pump`] therefore asks consensus, after each
//! [`BETWEEN_BARRIERS`] messages, whether it has come so far, and does not read on before: a flood backs up into the
//! network, which then reads no more from peers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use fail::fail_point;
use malachite::consensus::{LivenessMsg, SignedConsensusMsg};
use malachite::engine::consensus::{ConsensusMsg, ConsensusRef};
use malachite::engine::network::{
    Msg, NetworkEvent, NetworkRef, PersistentPeerError, Status, Subscriber,
};
use malachite::engine::util::streaming::StreamMessage;
use malachite::types::codec::Codec as MalachiteCodec;
use malachite_sync::{
    InboundRequestId, OutboundFailureReason, OutboundRequestId, PeerId, Request, Response,
    Status as SyncStatus,
};
use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::codec::{Codec, CodecError};
use crate::context::{Baton, Height, Part};
use crate::elsewhere::Elsewhere;
use crate::signing::Checker;
use crate::status::{Board, Claim};
use crate::swarm::{Ear, Failure, Heard, Swarm, Topic};

/// Messages between two barriers.
const BETWEEN_BARRIERS: usize = 256;

type Event = NetworkEvent<Baton>;

/// What the actor and the pump share.
struct Shared<S: Swarm> {
    subscribers: Mutex<Vec<Box<dyn Subscriber<Event>>>>,
    board: Arc<Board>,
    elsewhere: Arc<Elsewhere>,
    checker: Checker,
    inbound: Mutex<HashMap<InboundRequestId, S::Inbound>>,
    outbound: Mutex<HashMap<OutboundRequestId, S::Outbound>>,
}

/// The actor: what is said.
struct Adapter<S: Swarm> {
    swarm: S,
    shared: Arc<Shared<S>>,
}

/// What is heard.
pub(crate) struct Pump<S: Swarm> {
    swarm: S,
    shared: Arc<Shared<S>>,
}

/// The actor and the pump of a swarm.
pub(crate) async fn spawn<S: Swarm>(
    swarm: S,
    board: Arc<Board>,
    elsewhere: Arc<Elsewhere>,
    checker: Checker,
) -> Result<(NetworkRef<Baton>, JoinHandle<()>, Pump<S>), SpawnErr> {
    let shared = Arc::new(Shared {
        subscribers: Mutex::default(),
        board,
        elsewhere,
        checker,
        inbound: Mutex::default(),
        outbound: Mutex::default(),
    });
    let adapter = Adapter {
        swarm: swarm.clone(),
        shared: shared.clone(),
    };
    let (actor, task) = Actor::spawn(None, adapter, ()).await?;
    let pump = Pump { swarm, shared };
    Ok((actor, task, pump))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // what is held is maps and lists: a panic leaves them usable
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Swarm> Shared<S> {
    fn tell(&self, event: &Event) {
        for subscriber in locked(&self.subscribers).iter() {
            subscriber.send(event.clone());
        }
    }

    /// Notes which validator speaks.
    fn note(&self, event: &Event) {
        let (voices, elsewhere) = (&self.board.voices, &self.elsewhere);
        let domain = &self.checker.domain;
        let now = Instant::now();
        match event {
            NetworkEvent::Vote(_, vote) => {
                let (by, signature) = (&vote.validator, &vote.signature);
                elsewhere.heard(by, vote.height.0, signature, |domain| domain.vote(vote));
                voices.heard(by, now, |seat| {
                    signature.is_of(seat.key(), &domain.vote(vote))
                });
            }
            NetworkEvent::Proposal(_, said) => {
                let (by, signature) = (&said.proposer, &said.signature);
                elsewhere.heard(by, said.height.0, signature, |domain| domain.proposal(said));
                voices.heard(by, now, |seat| {
                    signature.is_of(seat.key(), &domain.proposal(said))
                });
            }
            _ => {}
        }
    }
}

impl<S: Swarm> Adapter<S> {
    async fn publish<T>(&self, topic: Topic, message: &T)
    where
        Codec: MalachiteCodec<T>,
    {
        let bytes = match Codec.encode(message) {
            Ok(bytes) => bytes,
            Err(error) => return warn!(?topic, %error, "a message could not be encoded"),
        };
        fail_point!("consensus::before_publish");
        if let Err(error) = self.swarm.publish(topic, bytes).await {
            warn!(?topic, %error, "a message could not be published");
        }
    }

    async fn say(&self, message: Msg<Baton>) {
        match message {
            Msg::Subscribe(subscriber) => {
                for (peer, claim) in self.shared.board.peers() {
                    subscriber.send(NetworkEvent::PeerConnected(peer));
                    if let Some(Claim { tip, oldest }) = claim {
                        let status = Status::new(Height(tip), Height(oldest));
                        subscriber.send(NetworkEvent::Status(peer, status));
                    }
                }
                locked(&self.shared.subscribers).push(subscriber);
            }
            Msg::PublishConsensusMsg(message) => self.publish(Topic::Consensus, &message).await,
            Msg::PublishLivenessMsg(message) => self.publish(Topic::Liveness, &message).await,
            Msg::PublishProposalPart(part) => self.publish(Topic::Proposals, &part).await,
            Msg::BroadcastStatus(status) => {
                let status = SyncStatus {
                    peer_id: self.swarm.local(),
                    tip_height: status.tip_height,
                    history_min_height: status.history_min_height,
                };
                match Codec.encode(&status) {
                    Ok(bytes) => self.swarm.status(bytes).await,
                    Err(error) => warn!(%error, "the status could not be encoded"),
                }
            }
            Msg::OutgoingRequest(peer, request, reply) => match Codec.encode(&request) {
                Ok(bytes) => {
                    let id = self.swarm.request(peer, bytes).await;
                    let name = OutboundRequestId::new(id);
                    locked(&self.shared.outbound).insert(name.clone(), id);
                    // whoever asked may be gone
                    let _ = reply.send(name);
                }
                Err(error) => warn!(%error, "a request could not be encoded"),
            },
            Msg::CancelRequest(name) => {
                let id = locked(&self.shared.outbound).remove(&name);
                if let Some(id) = id {
                    self.swarm.cancel(id).await;
                }
            }
            Msg::OutgoingResponse(name, response) => {
                let Some(id) = locked(&self.shared.inbound).remove(&name) else {
                    return debug!(%name, "nobody waits for this answer any more");
                };
                match Codec.encode(&response) {
                    Ok(bytes) => self.swarm.respond(id, bytes).await,
                    Err(error) => {
                        warn!(%error, "an answer could not be encoded");
                        self.swarm.decline(id).await;
                    }
                }
            }
            Msg::CancelInboundRequest(name) => {
                let id = locked(&self.shared.inbound).remove(&name);
                if let Some(id) = id {
                    self.swarm.decline(id).await;
                }
            }
            Msg::DumpState(reply) => {
                let _ = reply.send(None);
            }
            Msg::UpdatePersistentPeers(_, reply) => {
                // peers are kept by the network itself (`Network::keep`)
                let _ = reply.send(Err(PersistentPeerError::NetworkStopped));
            }
            // peers are not ranked by whether they validate, and no proofs of that are exchanged
            Msg::UpdateValidatorSet(_) | Msg::ValidatorProofVerified { .. } | Msg::NewEvent(_) => {}
        }
    }
}

#[async_trait]
impl<S: Swarm> Actor for Adapter<S> {
    type Msg = Msg<Baton>;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.say(message).await;
        Ok(())
    }
}

impl<S: Swarm> Pump<S> {
    /// Passes on what is heard until the network is shut down. May be dropped at any time; what was heard then is lost
    /// as it would be on the wire.
    pub(crate) async fn run(&self, ear: &mut impl Ear<S>, consensus: &ConsensusRef<Baton>) {
        let mut since_barrier = 0;
        while let Some(heard) = ear.hear().await {
            if let Some(event) = self.read(heard).await {
                self.shared.tell(&event);
                since_barrier += 1;
            }
            if since_barrier >= BETWEEN_BARRIERS {
                since_barrier = 0;
                // the answer says that everything before it was dealt with; that it may fail is for others to see
                let _ = consensus.call(ConsensusMsg::DumpState, None).await;
            }
        }
    }

    /// Leaves no request of a peer, and none of ours, to wait for its time to be over.
    pub(crate) async fn hang_up(&self) {
        let inbound = std::mem::take(&mut *locked(&self.shared.inbound));
        for id in inbound.into_values() {
            self.swarm.decline(id).await;
        }
        let outbound = std::mem::take(&mut *locked(&self.shared.outbound));
        for id in outbound.into_values() {
            self.swarm.cancel(id).await;
        }
    }

    async fn read(&self, heard: Heard<S::Inbound, S::Outbound>) -> Option<Event> {
        match heard {
            Heard::Connected(peer) => {
                self.shared.board.connected(peer);
                Some(NetworkEvent::PeerConnected(peer))
            }
            Heard::Disconnected(peer) => {
                self.shared.board.disconnected(peer);
                Some(NetworkEvent::PeerDisconnected(peer))
            }
            Heard::Gossip {
                topic,
                from,
                publisher,
                bytes,
            } => {
                let event = gossip(topic, from, publisher, bytes);
                let event = event
                    .inspect_err(|error| self.unreadable(from, topic, error))
                    .ok()?;
                if let Some(height) = height_of(&event) {
                    self.shared.board.heard_of(height);
                }
                self.shared.note(&event);
                Some(event)
            }
            Heard::Status { from, bytes } => {
                let status: Result<SyncStatus<Baton>, _> = Codec.decode(bytes);
                match status {
                    Ok(status) if status.peer_id == from => {
                        let claim = Claim {
                            tip: status.tip_height.0,
                            oldest: status.history_min_height.0,
                        };
                        self.shared.board.claims(from, claim);
                        let status = Status::new(status.tip_height, status.history_min_height);
                        Some(NetworkEvent::Status(from, status))
                    }
                    Ok(_) => {
                        self.blame(from, "a status in the name of another peer")
                            .await;
                        None
                    }
                    Err(error) => self.refuse(from, "status", &error).await,
                }
            }
            Heard::Request { id, from, bytes } => {
                let request: Result<Request<Baton>, _> = Codec.decode(bytes);
                match request {
                    Ok(request) => {
                        let name = InboundRequestId::new(id);
                        locked(&self.shared.inbound).insert(name.clone(), id);
                        Some(NetworkEvent::SyncRequest(name, from, request))
                    }
                    Err(error) => {
                        self.swarm.decline(id).await;
                        self.refuse(from, "request", &error).await
                    }
                }
            }
            Heard::Response { id, from, bytes } => {
                let name = OutboundRequestId::new(id);
                locked(&self.shared.outbound).remove(&name);
                let response: Result<Response<Baton>, _> = Codec.decode(bytes);
                let response = match response {
                    Ok(response) => Some(response),
                    Err(error) => {
                        self.refuse(from, "answer", &error).await;
                        None
                    }
                };
                Some(NetworkEvent::SyncResponse(name, from, response))
            }
            Heard::RequestFailed { id, from, reason } => {
                let name = OutboundRequestId::new(id);
                locked(&self.shared.outbound).remove(&name);
                let reason = match reason {
                    Failure::Unreachable => OutboundFailureReason::DialFailure,
                    Failure::Closed => OutboundFailureReason::ConnectionClosed,
                    Failure::Timeout => OutboundFailureReason::Timeout,
                    Failure::Unsupported => OutboundFailureReason::UnsupportedProtocols,
                    Failure::Io => OutboundFailureReason::Io,
                };
                Some(NetworkEvent::SyncRequestFailed(name, from, reason))
            }
            Heard::InboundFailed { id, from } => {
                let name = InboundRequestId::new(id);
                locked(&self.shared.inbound).remove(&name);
                Some(NetworkEvent::SyncInboundRequestFailed(name, from))
            }
        }
    }

    /// Gossip that cannot be read was passed on by a neighbour that cannot read it either, perhaps.
    fn unreadable(&self, from: PeerId, topic: Topic, error: &CodecError) {
        self.shared.board.count(|figures| figures.unreadable += 1);
        debug!(%from, ?topic, %error, "a message could not be read");
    }

    /// What a peer itself sent could not be read.
    async fn refuse(&self, from: PeerId, what: &str, error: &CodecError) -> Option<Event> {
        self.shared.board.count(|figures| figures.unreadable += 1);
        if let CodecError::Version(_) = error {
            // a newer or older program is no offence
            warn!(%from, %error, "a {what} could not be read");
        } else {
            let reason = format!("a {what} that cannot be read: {error}");
            self.blame(from, &reason).await;
        }
        None
    }

    async fn blame(&self, from: PeerId, reason: &str) {
        warn!(%from, reason, "a peer misbehaves");
        self.swarm.blame(from, reason.to_owned()).await;
    }
}

fn gossip(
    topic: Topic,
    from: PeerId,
    publisher: Option<PeerId>,
    bytes: Bytes,
) -> Result<Event, CodecError> {
    Ok(match topic {
        Topic::Consensus => match Codec.decode(bytes)? {
            SignedConsensusMsg::Vote(vote) => NetworkEvent::Vote(from, vote),
            SignedConsensusMsg::Proposal(proposal) => NetworkEvent::Proposal(from, proposal),
        },
        Topic::Liveness => match Codec.decode(bytes)? {
            LivenessMsg::Vote(vote) => NetworkEvent::Vote(from, vote),
            LivenessMsg::PolkaCertificate(polka) => NetworkEvent::PolkaCertificate(from, polka),
            LivenessMsg::SkipRoundCertificate(certificate) => {
                NetworkEvent::RoundCertificate(from, certificate)
            }
        },
        Topic::Proposals => {
            let part: StreamMessage<Part> = Codec.decode(bytes)?;
            NetworkEvent::ProposalPart(from, publisher, part)
        }
    })
}

/// The height that a message is about, if it says so.
fn height_of(event: &Event) -> Option<u64> {
    match event {
        NetworkEvent::Vote(_, vote) => Some(vote.height.0),
        NetworkEvent::Proposal(_, proposal) => Some(proposal.height.0),
        _ => None,
    }
}
