//! Connections: how they come, who is at the other end, how they go.

use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionError, ConnectionId, ListenError};
use libp2p::{Multiaddr, PeerId, identify, ping};

use super::Service;
use super::peers::{Connection, Peer};
use crate::gate::Denied;
use crate::{
    Banned, DialError, Direction, Event, PeerAddress, PeerInfo, Penalty, UnknownPeer, advertised,
};

/// A peer that the operator disconnected is not dialled by discovery for so long.
const REST: Duration = Duration::from_mins(1);
/// A node of another chain is not dialled by discovery for so long.
const STRANGE: Duration = Duration::from_hours(1);
/// Strangers remembered.
const STRANGERS: usize = 1024;
/// A connection is dead if nothing was heard for so long although the peer knocks anew. A ping comes every 15 s.
const SILENT: Duration = Duration::from_secs(20);
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
        if self.swarm.behaviour().gate.is_passing(connection) {
            self.shared.counts.refused.more();
        }
        tracing::debug!(peer = %id, %address, ?direction, "connection");
        let connection = Connection {
            id: connection,
            address,
            direction,
        };
        let peer = Peer::new(connection, self.shared.meters.of(id));
        self.peers.insert(id, peer);
    }

    pub(super) fn closed(&mut self, id: PeerId, cause: Option<&ConnectionError>) {
        let Some(peer) = self.peers.remove(&id) else {
            return;
        };
        self.dial_hung_up(peer.connection.id);
        if peer.introduction.is_some() {
            let why = cause.map_or_else(|| "closed here".to_owned(), ToString::to_string);
            tracing::info!(peer = %id, why, "peer disconnected");
            self.kept.lost(&id, Instant::now());
            self.count_peers();
            self.emit(Event::Disconnected(id));
        }
    }

    pub(super) fn identified(&mut self, event: identify::Event) {
        match event {
            identify::Event::Received { peer_id, info, .. } => {
                if info.protocol_version == self.names.chain {
                    self.remember(peer_id, &info);
                    self.greet(peer_id, &info.agent_version);
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
    pub(super) fn introduce(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let Some(said) = peer.said.take() else {
            return;
        };
        tracing::info!(peer = %id, moniker = said.moniker, version = said.version, address = %peer.connection.address, "peer connected");
        peer.introduction = Some(said);
        let (connection, early) = (peer.connection.id, std::mem::take(&mut peer.early));
        let subscribed: Vec<_> = peer.subscribed.iter().copied().collect();
        self.book.met(&id);
        self.lookup.hurry(Instant::now());
        self.count_peers();
        self.dial_done(connection, id);
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
    fn remember(&mut self, id: PeerId, info: &identify::Info) {
        let Some(peer) = self.peers.get(&id) else {
            return;
        };
        let Connection {
            address, direction, ..
        } = &peer.connection;
        let dialled = *direction == Direction::Outbound;
        let addresses = advertised::worth_knowing(Some(address), dialled, &info.listen_addrs);
        if info.protocols.contains(&self.names.protocol("kad/1")) {
            let table = &mut self.swarm.behaviour_mut().table;
            // in place of what it said before: the table would keep all it ever said
            table.remove_peer(&id);
            for address in &addresses {
                table.add_address(&id, address.to_multiaddr());
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
        if let Some(connection) = self.peers.get(&id).map(|peer| peer.connection.id) {
            self.fail_dial(connection, |address| DialError::OtherChain {
                address,
                theirs,
                ours,
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
            .map(|(id, peer)| (*id, peer.connection.id))
            .collect();
        for (id, connection) in late {
            self.shared.counts.refused.more();
            self.fail_dial(connection, |address| DialError::Handshake {
                address,
                timeout,
            });
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
        let ListenError::Denied { cause } = error else {
            tracing::debug!(%from, %error, "a connection did not come about");
            return;
        };
        match cause.downcast_ref::<Denied>() {
            Some(Denied::Duplicate(id)) => self.check_alive(*id),
            denied => {
                self.shared.counts.refused.more();
                let why = || "too many connections".to_owned();
                let reason = denied.map_or_else(why, ToString::to_string);
                tracing::debug!(%from, reason, "refused a connection");
            }
        }
    }

    /// A peer connects that is connected already: it may have lost power and know nothing of the old connection, which then is silent.
    fn check_alive(&mut self, id: PeerId) {
        let silent = |peer: &Peer| peer.heard().elapsed() > SILENT;
        if self.peers.get(&id).is_some_and(silent) {
            tracing::info!(peer = %id, "a peer comes anew and its old connection is silent; hanging up the old one");
            self.hang_up(id);
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

    /// Closes the connection to a peer; that it is closed is told later.
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
