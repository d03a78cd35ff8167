//! The last step of the handshake: whoever dialled asks whether there is room.
//!
//! A peer that has enough peers lets a few visitors in for a moment, in which they can ask it for others. Otherwise nobody could join a
//! network whose seeds are full, or learn that this is why.

use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::request_response::{self, Message};

use super::Service;
use super::peers::Introduction;
use crate::codec::Request;
use crate::names::version_and_moniker;
use crate::pace::backoff;
use crate::{DialError, Direction};

/// How long a visit lasts.
const VISIT: Duration = Duration::from_secs(5);
/// A peer without room is left alone for so long.
const REST: Duration = Duration::from_secs(30);
const ROOM: &[u8] = &[1];
const NO_ROOM: &[u8] = &[0];

impl Service {
    /// A peer of this chain has said who it is.
    pub(super) fn greet(&mut self, id: PeerId, agent: &str) {
        let is_visitor = self.is_passing(id);
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if peer.introduction.is_some() {
            return;
        }
        let (version, moniker) = version_and_moniker(agent);
        peer.said = Some(Introduction { moniker, version });
        let dialled = peer.connection.direction == Direction::Outbound;
        if !dialled && !is_visitor {
            self.introduce(id);
        } else if dialled && !peer.asked_for_room {
            peer.asked_for_room = true;
            self.swarm
                .behaviour_mut()
                .welcome
                .send_request(&id, Request::Bytes(Bytes::new()));
        }
    }

    pub(super) fn welcomed(&mut self, event: request_response::Event<Request, Bytes>) {
        match event {
            request_response::Event::Message {
                peer,
                message: Message::Request { channel, .. },
                ..
            } => {
                let answer = if self.is_passing(peer) { NO_ROOM } else { ROOM };
                // who hung up meanwhile does not need it
                let _ = self
                    .swarm
                    .behaviour_mut()
                    .welcome
                    .send_response(channel, Bytes::from_static(answer));
            }
            request_response::Event::Message {
                peer,
                message: Message::Response { response, .. },
                ..
            } => {
                if response == ROOM {
                    self.introduce(peer);
                } else {
                    self.visit(peer);
                }
            }
            request_response::Event::OutboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "a peer does not say whether it has room");
                self.hang_up(peer);
            }
            request_response::Event::InboundFailure { .. }
            | request_response::Event::ResponseSent { .. } => {}
        }
    }

    /// The peer has no room: ask it for others, then go.
    fn visit(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get(&id) else {
            return;
        };
        let connection = peer.connection.id;
        let now = Instant::now();
        let gate = &mut self.swarm.behaviour_mut().gate;
        gate.pass(connection);
        gate.rest(id, now + backoff(1, REST, REST));
        self.book.failed(&id, now);
        self.fail_dial(connection, DialError::Full);
        if self.swarm.behaviour().gate.wanted() == 0 {
            self.hang_up(id);
            return;
        }
        self.lookup.hurry(now);
        self.plan(now);
    }

    /// Whether the peer is here, or we are there, for a moment only.
    pub(super) fn is_passing(&self, id: PeerId) -> bool {
        let gate = &self.swarm.behaviour().gate;
        self.peers
            .get(&id)
            .is_some_and(|peer| gate.is_passing(peer.connection.id))
    }

    /// Ends visits that have lasted long enough.
    pub(super) fn see_off(&mut self, now: Instant) {
        let over = |id: &PeerId| {
            self.peers[id].introduction.is_none()
                && now.saturating_duration_since(self.peers[id].since) > VISIT
        };
        let visits: Vec<_> = self
            .peers
            .keys()
            .filter(|id| over(id) && self.is_passing(**id))
            .copied()
            .collect();
        for id in visits {
            tracing::debug!(peer = %id, "a visit is over");
            self.hang_up(id);
        }
    }
}
