//! Who comes in and who is dialled: a behaviour that only ever says no.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Instant;

use jiff::Timestamp;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::bans::Bans;
use crate::{Ban, PeerAddress};

/// Why a connection was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Denied {
    #[error("{0} peers are connected, as many as p2p.max_num_peers allows")]
    Full(usize),
    #[error("{0} peers are connected from {1}")]
    Crowded(usize, IpAddr),
    #[error("banned until {}: {}", .0.until, .0.reason)]
    Banned(Box<Ban>),
    #[error("connected already")]
    Duplicate(PeerId),
    #[error("enough peers are dialled already")]
    Enough,
}

/// Peers without room here that may ask for others at a time. Without them nobody could join a network whose seeds are full.
const VISITORS: usize = 8;

/// Peers without room that are remembered.
const RESTING: usize = 1024;

/// How many peers to have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Peers at which inbound connections are refused.
    pub(crate) peers: usize,
    /// Outbound peers at which discovery stops dialling.
    pub(crate) outbound: usize,
    /// Peers at one public address.
    pub(crate) per_ip: usize,
    /// Whether anybody may be dialled.
    pub(crate) vault: bool,
}

#[derive(Debug)]
struct Connection {
    peer: PeerId,
    outbound: bool,
    ip: Option<IpAddr>,
}

/// Knows all connections, and refuses those that would be too many, banned or not wanted.
#[derive(Debug)]
pub(crate) struct Gate {
    room: Room,
    pub(crate) bans: Bans,
    /// Peers of `keep_dial`: for them there is always room.
    pub(crate) reserved: HashSet<PeerId>,
    connections: HashMap<ConnectionId, Connection>,
    /// Connections that stay for a moment only: of visitors, for whom there is no room here and who may ask for other peers, and to
    /// peers that have no room for us. They are not counted.
    passing: HashSet<ConnectionId>,
    /// Peers without room, until when no lookup is to dial them.
    resting: HashMap<PeerId, Instant>,
    /// Dials that are under way. `true`: somebody asked for it; `false`: a lookup of discovery wants it.
    dials: HashMap<ConnectionId, bool>,
}

/// The IP address at the far end.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    PeerAddress::from_multiaddr(address)?.ip()
}

/// An address that many honest nodes may share or that is this machine's: nobody is judged by it.
pub(crate) fn is_shared(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

impl Gate {
    pub(crate) fn new(room: Room, bans: Bans) -> Self {
        Self {
            room,
            bans,
            reserved: HashSet::new(),
            connections: HashMap::new(),
            passing: HashSet::new(),
            resting: HashMap::new(),
            dials: HashMap::new(),
        }
    }

    /// A dial that is wanted whatever the number of peers.
    pub(crate) fn expect(&mut self, id: ConnectionId) {
        self.dials.insert(id, true);
    }

    /// Whether the connection is one of a visitor, or to a peer without room.
    pub(crate) fn is_passing(&self, id: ConnectionId) -> bool {
        self.passing.contains(&id)
    }

    /// The peer at the other end has no room for us.
    pub(crate) fn pass(&mut self, id: ConnectionId) {
        if self.connections.contains_key(&id) {
            self.passing.insert(id);
        }
    }

    /// No lookup is to dial the peer before.
    pub(crate) fn rest(&mut self, peer: PeerId, until: Instant) {
        if self.resting.len() < RESTING {
            self.resting.insert(peer, until);
        }
    }

    /// Forgets those who have rested long enough.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.resting.retain(|_, until| *until > now);
    }

    /// Connections that count.
    fn staying(&self) -> impl Iterator<Item = &Connection> {
        let staying = |(id, connection)| (!self.passing.contains(id)).then_some(connection);
        self.connections.iter().filter_map(staying)
    }

    /// How many more outbound peers discovery may dial.
    pub(crate) fn wanted(&self) -> usize {
        if self.room.vault {
            return 0;
        }
        let outbound: HashSet<_> = self
            .staying()
            .filter(|connection| connection.outbound)
            .map(|c| c.peer)
            .collect();
        self.room
            .outbound
            .saturating_sub(outbound.len() + self.dials.len())
    }

    fn peers(&self) -> HashSet<PeerId> {
        self.staying().map(|connection| connection.peer).collect()
    }

    fn check_ban(&self, peer: Option<PeerId>, ip: Option<IpAddr>) -> Result<(), Denied> {
        self.bans
            .of(peer, ip, Timestamp::now())
            .map_or(Ok(()), |ban| Err(Denied::Banned(Box::new(ban.clone()))))
    }

    /// Whether there is room to stay (`true`) or to visit.
    fn check_inbound(&self, peer: PeerId, ip: Option<IpAddr>) -> Result<bool, Denied> {
        self.check_ban(Some(peer), ip)?;
        self.check_duplicate(peer)?;
        let peers = self.peers();
        if self.reserved.contains(&peer) {
            return Ok(true);
        }
        if let Some(ip) = ip.filter(|ip| !is_shared(*ip)) {
            let here: HashSet<_> = self
                .connections
                .values()
                .filter(|c| c.ip == Some(ip))
                .map(|c| c.peer)
                .collect();
            if here.len() >= self.room.per_ip {
                return Err(Denied::Crowded(here.len(), ip));
            }
        }
        if peers.len() < self.room.peers {
            Ok(true)
        } else if self.passing.len() < VISITORS {
            Ok(false)
        } else {
            Err(Denied::Full(peers.len()))
        }
    }

    fn check_outbound(&self, peer: PeerId, ip: Option<IpAddr>) -> Result<(), Denied> {
        self.check_ban(Some(peer), ip)?;
        self.check_duplicate(peer)
    }

    /// The first connection to a peer is kept and any further one refused, on both sides alike.
    fn check_duplicate(&self, peer: PeerId) -> Result<(), Denied> {
        if self
            .connections
            .values()
            .any(|connection| connection.peer == peer)
        {
            Err(Denied::Duplicate(peer))
        } else {
            Ok(())
        }
    }
}

fn deny(denied: Denied) -> ConnectionDenied {
    ConnectionDenied::new(denied)
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.check_ban(None, ip_of(remote)).map_err(deny)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.check_inbound(peer, ip_of(remote)).map_err(deny)? {
            self.passing.insert(id);
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.check_ban(peer, None).map_err(deny)?;
        for ip in addresses.iter().filter_map(ip_of) {
            self.check_ban(None, Some(ip)).map_err(deny)?;
        }
        if !self.dials.contains_key(&id) {
            if self.wanted() == 0 || peer.is_some_and(|peer| self.resting.contains_key(&peer)) {
                return Err(deny(Denied::Enough));
            }
            self.dials.insert(id, false);
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check_outbound(peer, ip_of(address)).map_err(deny)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(new) => {
                self.dials.remove(&new.connection_id);
                let connection = Connection {
                    peer: new.peer_id,
                    outbound: new.endpoint.is_dialer(),
                    ip: ip_of(new.endpoint.get_remote_address()),
                };
                self.connections.insert(new.connection_id, connection);
            }
            FromSwarm::ConnectionClosed(old) => {
                self.connections.remove(&old.connection_id);
                self.passing.remove(&old.connection_id);
            }
            // somebody else refused it
            FromSwarm::ListenFailure(failure) => {
                self.passing.remove(&failure.connection_id);
            }
            FromSwarm::DialFailure(failure) => {
                self.dials.remove(&failure.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
