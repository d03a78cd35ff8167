//! Connections: how they come, who is at the other end, how they go.

use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionError, ConnectionId, ListenError};
use libp2p::{Multiaddr, PeerId, identify, ping};

use super::Service;
use super::peers::{Connection, Introduction, Peer};
use crate::gate::Denied;
use crate::names::version_and_moniker;
use crate::{
    Banned, DialError, Direction, Event, PeerAddress, PeerInfo, Penalty, UnknownPeer, advertised,
};

/// A peer that the operator disconnected is not dialled by discovery for so long.
const REST: Duration = Duration::from_mins(1);
/// A node of another chain is not dialled by discovery for so long.
const STRANGE: Duration = Duration::from_hours(1);
/// Strangers remembered.
const STRANGERS: usize = 1024;
/// Pings in a row that may go unanswered.
const MISSED_PINGS: u32 = 2;

impl Service {
    pub(super) fn established(
        &mut self,
        id: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
    ) {
        let direction = if endpoint.is_dialer() {
            Direction::Outbound
        } else {
            Direction::Inbound
        };
        if direction == Direction::Outbound {
            self.shared.counts.dials.more();
        }
        let Some(address) = PeerAddress::from_multiaddr(endpoint.get_remote_address()) else {
            tracing::warn!(peer = %id, address = %endpoint.get_remote_address(), "a connection from an address that is not TCP; closing it");
            self.swarm.close_connection(connection);
            return;
        };
        let address = address.without_peer();
        tracing::debug!(peer = %id, %address, ?direction, "connection");
        let peer = self
            .peers
            .entry(id)
            .or_insert_with(|| Peer::new(self.shared.meters.of(id)));
        peer.connections.push(Connection {
            id: connection,
            address,
            direction,
        });
        if peer.introduction.is_some() {
            self.dial_done(connection, id);
        }
    }

    pub(super) fn closed(
        &mut self,
        id: PeerId,
        connection: ConnectionId,
        cause: Option<&ConnectionError>,
    ) {
        self.dial_hung_up(connection);
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        peer.connections.retain(|one| one.id != connection);
        if !peer.connections.is_empty() {
            return;
        }
        let introduced = self
            .peers
            .remove(&id)
            .is_some_and(|peer| peer.introduction.is_some());
        self.kept.lost(&id, Instant::now());
        if introduced {
            let why = cause.map_or_else(|| "closed here".to_owned(), ToString::to_string);
            tracing::info!(peer = %id, why, "peer disconnected");
            self.count_peers();
            self.emit(Event::Disconnected(id));
        }
    }

    pub(super) fn identified(&mut self, event: identify::Event) {
        match event {
            identify::Event::Received {
                connection_id,
                peer_id,
                info,
            } => {
                if info.protocol_version == self.names.chain {
                    self.remember(peer_id, connection_id, &info);
                    self.introduce(peer_id, &info);
                } else {
                    self.refuse_stranger(peer_id, &info.protocol_version);
                }
            }
            identify::Event::Error { peer_id, error, .. } => {
                tracing::debug!(peer = %peer_id, %error, "identification");
            }
            identify::Event::Sent { .. } | identify::Event::Pushed { .. } => {}
        }
    }

    /// The handshake is done.
    fn introduce(&mut self, id: PeerId, info: &identify::Info) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if peer.introduction.is_some() {
            return;
        }
        let (version, moniker) = version_and_moniker(&info.agent_version);
        tracing::info!(peer = %id, moniker, version, address = %peer.connections[0].address, "peer connected");
        peer.introduction = Some(Introduction { moniker, version });
        let (connections, early) = (
            peer.connections
                .iter()
                .map(|one| one.id)
                .collect::<Vec<_>>(),
            std::mem::take(&mut peer.early),
        );
        let subscribed: Vec<_> = peer.subscribed.iter().copied().collect();
        self.book.met(&id);
        self.lookup.hurry(Instant::now());
        self.count_peers();
        for connection in connections {
            self.dial_done(connection, id);
        }
        if let Some(info) = self.info(&id) {
            self.emit(Event::Connected(Box::new(info)));
        }
        for topic in subscribed {
            self.emit(Event::Subscribed(id, topic));
        }
        for event in early {
            self.emit(event);
        }
        self.shared
            .counts
            .pending_requests
            .set(self.exchange.waiting());
        self.tell_status_to(id);
    }

    /// Where the peer can be dialled goes into the book and into the table that others ask.
    fn remember(&mut self, id: PeerId, connection: ConnectionId, info: &identify::Info) {
        let Some(peer) = self.peers.get(&id) else {
            return;
        };
        let at = peer.connections.iter().find(|one| one.id == connection);
        let dialled = at.is_some_and(|one| one.direction == Direction::Outbound);
        let addresses =
            advertised::worth_knowing(at.map(|one| &one.address), dialled, &info.listen_addrs);
        if info.protocols.contains(&self.names.protocol("kad/1")) {
            for address in &addresses {
                self.swarm
                    .behaviour_mut()
                    .kad
                    .add_address(&id, address.to_multiaddr());
            }
        }
        self.book.learn(id, addresses);
    }

    /// A node of another chain.
    fn refuse_stranger(&mut self, id: PeerId, theirs: &str) {
        self.shared.counts.refused.more();
        let theirs: String = theirs
            .chars()
            .filter(|char| !char.is_control())
            .take(256)
            .collect();
        let ours = self.names.chain.clone();
        if self.strangers.len() < STRANGERS
            && self
                .strangers
                .insert(id, Instant::now() + STRANGE)
                .is_none()
        {
            tracing::info!(peer = %id, theirs, ours, "refused: a node of another chain or network");
        }
        self.book.forget(&id);
        let connections: Vec<_> = self
            .peers
            .get(&id)
            .into_iter()
            .flat_map(|peer| &peer.connections)
            .map(|one| one.id)
            .collect();
        for connection in connections {
            self.fail_dial(connection, |address| DialError::OtherChain {
                address,
                theirs: theirs.clone(),
                ours: ours.clone(),
            });
        }
        self.hang_up(id);
    }

    /// Peers that take too long to say who they are.
    pub(super) fn check_handshakes(&mut self, now: Instant) {
        let timeout = self.settings.handshake_timeout;
        let late: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                peer.introduction.is_none() && now.saturating_duration_since(peer.since) > timeout
            })
            .map(|(id, peer)| {
                (
                    *id,
                    peer.connections
                        .iter()
                        .map(|one| one.id)
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        for (id, connections) in late {
            self.shared.counts.refused.more();
            for connection in connections {
                self.fail_dial(connection, |address| DialError::Handshake {
                    address,
                    timeout,
                });
            }
            self.charge(
                id,
                Penalty::TROUBLE,
                "no identification within p2p.handshake_timeout",
            );
            self.hang_up(id);
        }
    }

    pub(super) fn pinged(&mut self, event: ping::Event) {
        let Some(peer) = self.peers.get_mut(&event.peer) else {
            return;
        };
        match event.result {
            Ok(round_trip) => (peer.ping, peer.missed_pings) = (Some(round_trip), 0),
            Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                peer.missed_pings += 1;
                tracing::debug!(peer = %event.peer, %error, "ping");
                if peer.missed_pings >= MISSED_PINGS {
                    tracing::info!(peer = %event.peer, "a peer does not answer pings any more; hanging up");
                    self.charge(event.peer, Penalty::TROUBLE, "pings unanswered");
                    self.hang_up(event.peer);
                }
            }
        }
    }

    pub(super) fn inbound_refused(&mut self, from: &Multiaddr, error: &ListenError) {
        match error {
            ListenError::Denied { cause } => {
                self.shared.counts.refused.more();
                let reason = cause
                    .downcast_ref::<Denied>()
                    .map_or_else(|| "too many connections".to_owned(), ToString::to_string);
                tracing::debug!(%from, reason, "refused a connection");
            }
            error => tracing::debug!(%from, %error, "a connection did not come about"),
        }
    }

    pub(super) fn disconnect(&mut self, id: PeerId) -> Result<(), UnknownPeer> {
        if !self.peers.contains_key(&id) {
            return Err(UnknownPeer);
        }
        self.book.rest(&id, Instant::now() + REST);
        self.hang_up(id);
        Ok(())
    }

    /// Closes all connections to a peer; that they are closed is told later.
    pub(super) fn hang_up(&mut self, id: PeerId) {
        // it may have gone by itself
        let _ = self.swarm.disconnect_peer_id(id);
    }

    fn count_peers(&self) {
        let introduced = self
            .peers
            .values()
            .filter(|peer| peer.introduction.is_some())
            .count();
        self.shared.counts.peers.set(introduced);
    }

    pub(super) fn info(&self, id: &PeerId) -> Option<PeerInfo> {
        let score = self.conduct.points(Banned::Peer(*id), Instant::now());
        self.peers
            .get(id)?
            .info(*id, &self.names.network_id, self.kept.contains(id), score)
    }

    pub(super) fn list(&self) -> Vec<PeerInfo> {
        let mut peers: Vec<_> = self.peers.keys().filter_map(|id| self.info(id)).collect();
        peers.sort_by_key(|peer| std::cmp::Reverse(peer.duration));
        peers
    }
}
