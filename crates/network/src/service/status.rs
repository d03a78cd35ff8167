//! The status: what this node tells each peer of itself, the newest only.

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::request_response;

use super::Service;
use super::peers::Told;
use crate::codec::Request;
use crate::{Event, Penalty};

impl Service {
    /// Tells all peers this node's status.
    pub(super) fn tell_status(&mut self, bytes: Bytes) {
        let (size, limit) = (bytes.len(), self.settings.limits.status_bytes);
        if size > limit {
            tracing::error!(
                size,
                limit,
                "the status is larger than the limit; no peer is told"
            );
            return;
        }
        self.status = Some(bytes);
        let peers: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.introduction.is_some())
            .map(|(peer, _)| *peer)
            .collect();
        for peer in peers {
            self.tell_status_to(peer);
        }
    }

    /// Tells a peer the newest status: now, or when it has taken the one before.
    pub(super) fn tell_status_to(&mut self, id: PeerId) {
        let (Some(bytes), Some(peer)) = (self.status.clone(), self.peers.get_mut(&id)) else {
            return;
        };
        if peer.status == Told::All {
            peer.status = Told::Soon;
            self.swarm
                .behaviour_mut()
                .status
                .send_request(&id, Request::Bytes(bytes));
        } else {
            peer.status = Told::Old;
        }
    }

    pub(super) fn status_exchanged(&mut self, event: request_response::Event<Request, Bytes>) {
        use request_response::Message;
        match event {
            request_response::Event::Message {
                peer,
                message:
                    Message::Request {
                        request, channel, ..
                    },
                ..
            } => {
                // an empty answer makes room for the next status; it does not matter if it gets lost
                let _ = self
                    .swarm
                    .behaviour_mut()
                    .status
                    .send_response(channel, Bytes::new());
                match request {
                    Request::Bytes(bytes) => self.told_status(peer, bytes),
                    Request::TooLarge(reason) => self.charge(
                        peer,
                        Penalty::ILLEGAL,
                        &format!("a status that is too large: {reason}"),
                    ),
                }
            }
            request_response::Event::Message {
                peer,
                message: Message::Response { .. },
                ..
            } => self.took_status(peer),
            request_response::Event::OutboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "a peer did not take the status");
                self.took_status(peer);
            }
            request_response::Event::InboundFailure { .. }
            | request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn told_status(&mut self, from: PeerId, bytes: Bytes) {
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        let event = Event::Status { from, bytes };
        if peer.introduction.is_some() {
            self.emit(event);
        } else {
            // if there is no room there will be another one
            peer.keep(event);
        }
    }

    fn took_status(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let old = peer.status == Told::Old;
        peer.status = Told::All;
        if old {
            self.tell_status_to(id);
        }
    }
}
