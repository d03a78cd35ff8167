//! What the service knows of each peer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;

use crate::traffic::{Meter, Rates};
use crate::{Direction, Event, PeerAddress, PeerInfo, Topic};

/// Events kept of a peer whose handshake is not done.
const EARLY: usize = 64;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) address: PeerAddress,
    pub(super) direction: Direction,
}

/// What a peer said of itself in the handshake.
#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) moniker: String,
    pub(super) version: String,
}

/// A peer that is connected.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) since: Instant,
    /// The only one: gossip divides what it sends among all connections, and half of it would be lost with a dead one.
    pub(super) connection: Connection,
    /// What it said of itself, before the handshake was done.
    pub(super) said: Option<Introduction>,
    /// Whether somebody asked for this very peer.
    pub(super) wanted: bool,
    /// Whether it was asked for room.
    pub(super) asked_for_room: bool,
    /// Known when the handshake is done.
    pub(super) introduction: Option<Introduction>,
    /// What came before the handshake was done: told right after it.
    pub(super) early: VecDeque<Event>,
    pub(super) subscribed: HashSet<Topic>,
    pub(super) ping: Option<Duration>,
    pub(super) missed_pings: u32,
    pub(super) status: Told,
    /// Requests of this peer that wait for an answer.
    pub(super) asking: usize,
    /// Messages that it was too slow to take: how many since it was last said, and when that was.
    pub(super) slow: (u64, Option<Instant>),
    /// Gossip's count of invalid messages, when it was last looked at.
    pub(super) invalid: f64,
    meter: Arc<Meter>,
    rates: Rates,
}

/// Whether the peer knows this node's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It does, or there is none.
    All,
    /// It is being told the newest.
    Soon,
    /// It is being told one that has become old.
    Old,
}

impl Peer {
    pub(super) fn new(connection: Connection, meter: Arc<Meter>) -> Self {
        let now = Instant::now();
        Self {
            since: now,
            connection,
            said: None,
            wanted: false,
            asked_for_room: false,
            introduction: None,
            early: VecDeque::new(),
            subscribed: HashSet::new(),
            ping: None,
            missed_pings: 0,
            status: Told::All,
            asking: 0,
            slow: (0, None),
            invalid: 0.0,
            meter,
            rates: Rates::new(now),
        }
    }

    /// Keeps an event for after the handshake. `false` if there are too many.
    pub(super) fn keep(&mut self, event: Event) -> bool {
        let room = self.early.len() < EARLY;
        if room {
            self.early.push_back(event);
        }
        room
    }

    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.connection.address.ip()
    }

    /// When something was last received from it, within a second.
    pub(super) fn heard(&self) -> Instant {
        self.rates.heard()
    }

    /// To be called often; takes readings once a second.
    pub(super) fn sample(&mut self, now: Instant) {
        const EVERY: Duration = Duration::from_secs(1);
        self.rates.sample(self.meter.read(), EVERY, now);
    }

    /// As others are told; `None` before the handshake is done.
    pub(super) fn info(
        &self,
        peer: PeerId,
        network_id: &str,
        kept: bool,
        score: u32,
    ) -> Option<PeerInfo> {
        let now = Instant::now();
        let introduction = self.introduction.as_ref()?;
        Some(PeerInfo {
            peer,
            moniker: introduction.moniker.clone(),
            version: introduction.version.clone(),
            network_id: network_id.to_owned(),
            address: self.connection.address.clone(),
            direction: self.connection.direction,
            kept,
            duration: now.saturating_duration_since(self.since),
            ping: self.ping,
            traffic: self.rates.traffic(self.meter.read(), now),
            score,
        })
    }
}

/// Peers by what they are called.
pub(super) type Peers = HashMap<PeerId, Peer>;
