//! What the handle asks of the service.

use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use tokio::sync::oneshot;

use crate::{
    Ban, Banned, DialError, InboundId, MessageId, PeerAddress, PeerInfo, Penalty, PublishError,
    RequestId, Topic, UnknownPeer, Verdict,
};

pub(crate) type Reply<T> = oneshot::Sender<T>;

/// What the handle asks of the service.
#[derive(Debug)]
pub(crate) enum Command {
    Publish(Topic, Bytes, Reply<Result<(), PublishError>>),
    Status(Bytes),
    Request(RequestId, PeerId, Bytes),
    Cancel(RequestId),
    Respond(InboundId, Bytes),
    DropRequest(InboundId),
    Verdict(MessageId, PeerId, Verdict),
    Peers(Reply<Vec<PeerInfo>>),
    Dial(PeerAddress, Reply<Result<PeerInfo, DialError>>),
    Disconnect(PeerId, Reply<Result<(), UnknownPeer>>),
    Keep(PeerAddress),
    Release(PeerAddress, Reply<bool>),
    Ban(Banned, String, Duration),
    Unban(Banned, Reply<bool>),
    Bans(Reply<Vec<Ban>>),
    Penalise(PeerId, Penalty, String),
    Shutdown(Reply<()>),
}
