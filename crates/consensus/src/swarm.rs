//! The network as consensus needs it.
//!
//! The engine talks to this trait, so that tests can put a network of their own below it, with losses and partitions.

use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;

use baton_network as net;
use bytes::Bytes;
use malachite_sync::PeerId;

/// What is gossiped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Consensus,
    Liveness,
    Proposals,
}

/// What was heard. `I` and `O` name requests of others and of ours.
#[derive(Debug, Clone)]
pub(crate) enum Heard<I, O> {
    Connected(PeerId),
    Disconnected(PeerId),
    Gossip {
        topic: Topic,
        from: PeerId,
        publisher: Option<PeerId>,
        bytes: Bytes,
    },
    Status {
        from: PeerId,
        bytes: Bytes,
    },
    Request {
        id: I,
        from: PeerId,
        bytes: Bytes,
    },
    Response {
        id: O,
        from: PeerId,
        bytes: Bytes,
    },
    RequestFailed {
        id: O,
        from: PeerId,
        reason: Failure,
    },
    InboundFailed {
        id: I,
        from: PeerId,
    },
}

/// Why a request was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Unreachable,
    Closed,
    Timeout,
    Unsupported,
    Io,
}

/// A handle on a network.
pub(crate) trait Swarm: Clone + Send + Sync + 'static {
    /// Names a request of ours.
    type Outbound: Copy + Eq + Hash + Display + Send + Sync + 'static;
    /// Names a request of a peer.
    type Inbound: Copy + Eq + Hash + Display + Send + Sync + 'static;

    fn local(&self) -> PeerId;
    /// Gossips; nobody may be there to hear it.
    fn publish(
        &self,
        topic: Topic,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), String>> + Send;
    /// Tells all peers, and those to come, this node's status.
    fn status(&self, bytes: Bytes) -> impl Future<Output = ()> + Send;
    fn request(&self, peer: PeerId, bytes: Bytes) -> impl Future<Output = Self::Outbound> + Send;
    fn cancel(&self, id: Self::Outbound) -> impl Future<Output = ()> + Send;
    fn respond(&self, id: Self::Inbound, bytes: Bytes) -> impl Future<Output = ()> + Send;
    fn decline(&self, id: Self::Inbound) -> impl Future<Output = ()> + Send;
    /// A peer sent what no honest node sends.
    fn blame(&self, peer: PeerId, reason: String) -> impl Future<Output = ()> + Send;
}

/// Where what is heard comes from.
pub(crate) trait Ear<S: Swarm>: Send + 'static {
    /// The next; `None` when the network was shut down. Cancel safe.
    fn hear(&mut self) -> impl Future<Output = Option<Heard<S::Inbound, S::Outbound>>> + Send;
}

fn to_net(peer: PeerId) -> net::PeerId {
    net::PeerId::from_bytes(&peer.to_bytes()).expect("both are libp2p's peer ids")
}

pub(crate) fn from_net(peer: net::PeerId) -> PeerId {
    PeerId::from_bytes(&peer.to_bytes()).expect("both are libp2p's peer ids")
}

impl Swarm for net::Network {
    type Outbound = net::RequestId;
    type Inbound = net::InboundId;

    fn local(&self) -> PeerId {
        from_net(self.local_peer_id())
    }

    async fn publish(&self, topic: Topic, bytes: Bytes) -> Result<(), String> {
        let topic = match topic {
            Topic::Consensus => net::Topic::Consensus,
            Topic::Liveness => net::Topic::Liveness,
            Topic::Proposals => net::Topic::Proposals,
        };
        match net::Network::publish(self, topic, bytes).await {
            // a node alone has nobody to tell; repeated votes and sync make up for what others missed
            Ok(()) | Err(net::PublishError::NoPeers(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn status(&self, bytes: Bytes) {
        net::Network::status(self, bytes).await;
    }

    async fn request(&self, peer: PeerId, bytes: Bytes) -> net::RequestId {
        net::Network::request(self, to_net(peer), bytes).await
    }

    async fn cancel(&self, id: net::RequestId) {
        net::Network::cancel(self, id).await;
    }

    async fn respond(&self, id: net::InboundId, bytes: Bytes) {
        net::Network::respond(self, id, bytes).await;
    }

    async fn decline(&self, id: net::InboundId) {
        self.drop_request(id).await;
    }

    async fn blame(&self, peer: PeerId, reason: String) {
        self.penalise(to_net(peer), net::Penalty::ILLEGAL, reason)
            .await;
    }
}

impl Ear<net::Network> for net::Lane {
    async fn hear(&mut self) -> Option<Heard<net::InboundId, net::RequestId>> {
        loop {
            let event = self.next().await?;
            if let Some(heard) = translate(event) {
                return Some(heard);
            }
        }
    }
}

fn translate(event: net::Event) -> Option<Heard<net::InboundId, net::RequestId>> {
    Some(match event {
        net::Event::Connected(info) => Heard::Connected(from_net(info.peer)),
        net::Event::Disconnected(peer) => Heard::Disconnected(from_net(peer)),
        net::Event::Message(message) => Heard::Gossip {
            topic: match message.topic {
                net::Topic::Consensus => Topic::Consensus,
                net::Topic::Liveness => Topic::Liveness,
                net::Topic::Proposals => Topic::Proposals,
                net::Topic::Transactions => return None,
            },
            from: from_net(message.from),
            publisher: message.publisher.map(from_net),
            bytes: message.bytes,
        },
        net::Event::Status { from, bytes } => Heard::Status {
            from: from_net(from),
            bytes,
        },
        net::Event::Request { id, from, bytes } => Heard::Request {
            id,
            from: from_net(from),
            bytes,
        },
        net::Event::Response { id, from, bytes } => Heard::Response {
            id,
            from: from_net(from),
            bytes,
        },
        net::Event::RequestFailed { id, from, reason } => Heard::RequestFailed {
            id,
            from: from_net(from),
            reason: match reason {
                net::RequestFailure::NotConnected | net::RequestFailure::Busy => {
                    Failure::Unreachable
                }
                net::RequestFailure::ConnectionClosed => Failure::Closed,
                net::RequestFailure::Timeout => Failure::Timeout,
                net::RequestFailure::Unsupported => Failure::Unsupported,
                net::RequestFailure::TooLarge | net::RequestFailure::Io => Failure::Io,
            },
        },
        net::Event::InboundFailed { id, from } => Heard::InboundFailed {
            id,
            from: from_net(from),
        },
        net::Event::Listening(_) | net::Event::Subscribed(..) => return None,
    })
}
