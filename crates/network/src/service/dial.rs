//! Dials: who is dialled when, and how it ended.

use std::time::Instant;

use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{self, ConnectionId};
use libp2p::{Multiaddr, PeerId};

use super::{Service, answer};
use crate::command::Reply;
use crate::gate::Denied;
use crate::{DialError, PeerAddress, PeerInfo, identity};

/// Dials that others wait for.
const ASKED: usize = 32;
/// Kept peers that are dialled at a time.
const AT_ONCE: usize = 8;
/// After so many failures in a row, some seven seconds, it is a fault that a peer of `p2p.keep_dial` is not there.
const FAULT: u32 = 4;

/// A dial that this service began.
#[derive(Debug)]
pub(super) struct Dial {
    address: PeerAddress,
    purpose: Purpose,
}

#[derive(Debug)]
enum Purpose {
    /// Somebody waits for it.
    Asked(Reply<Result<PeerInfo, DialError>>),
    /// A peer of `keep_dial`.
    Kept,
    /// A seed.
    Seed,
    /// From the address book.
    Known(PeerId),
}

impl Service {
    /// Dials whoever is due: kept peers always; known peers, then seeds while there are too few outbound ones.
    pub(super) fn plan(&mut self, now: Instant) {
        if self.settings.vault {
            return;
        }
        let peers = &self.peers;
        for address in self.kept.due(AT_ONCE, now, |peer| peers.contains_key(peer)) {
            self.dial(address, Purpose::Kept);
        }
        let wanted = self.swarm.behaviour().gate.wanted();
        for (peer, addresses) in self.candidates(wanted, now) {
            self.dial_known(peer, &addresses);
        }
        let wanted = self.swarm.behaviour().gate.wanted();
        let peers = &self.peers;
        for address in self.seeds.due(wanted, now, |peer| peers.contains_key(peer)) {
            self.dial(address, Purpose::Seed);
        }
        if self.swarm.behaviour().gate.wanted() > 0 {
            self.look_for_peers(now);
        } else if self.change <= now {
            self.change = now + self.settings.limits.change_peers / 4;
            self.swarm.behaviour_mut().table.refresh();
            if self.outbound().count() == self.settings.outbound_peers {
                for (peer, addresses) in self.candidates(1, now) {
                    self.dial_known(peer, &addresses);
                }
            }
        }
    }

    fn candidates(&self, count: usize, now: Instant) -> Vec<(PeerId, Vec<PeerAddress>)> {
        let dialled = |peer: &PeerId| {
            self.dials
                .values()
                .any(|dial| matches!(&dial.purpose, Purpose::Known(known) if known == peer))
        };
        let bans = &self.swarm.behaviour().gate.bans;
        let time = jiff::Timestamp::now();
        self.book.pick(count, now, |peer| {
            *peer == self.shared.me
                || self.peers.contains_key(peer)
                || self.strangers.contains_key(peer)
                || bans.of(Some(*peer), None, time).is_some()
                || dialled(peer)
        })
    }

    pub(super) fn dial_asked(
        &mut self,
        address: PeerAddress,
        reply: Reply<Result<PeerInfo, DialError>>,
    ) {
        let asked = self
            .dials
            .values()
            .filter(|dial| matches!(dial.purpose, Purpose::Asked(_)))
            .count();
        let refused = if self.settings.vault {
            Some(DialError::Vault)
        } else if asked >= ASKED {
            Some(DialError::Busy(asked))
        } else if self.is_connected(&address) {
            Some(DialError::Duplicate)
        } else {
            None
        };
        match refused {
            Some(error) => answer(reply, Err(error)),
            None => self.dial(address, Purpose::Asked(reply)),
        }
    }

    /// Whether the peer, or whoever is at the address, is connected and stays.
    fn is_connected(&self, address: &PeerAddress) -> bool {
        let place = address.clone().without_peer();
        self.peers
            .iter()
            .filter(|(_, peer)| peer.introduction.is_some())
            .any(|(id, peer)| address.peer() == Some(*id) || peer.connection.address == place)
    }

    fn dial(&mut self, address: PeerAddress, purpose: Purpose) {
        let options = match address.peer() {
            // the gate refuses duplicates with a reason; the swarm's own condition gives none
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::Always)
                .addresses(vec![address.to_multiaddr()])
                .build(),
            None => DialOpts::unknown_peer_id()
                .address(address.to_multiaddr())
                .build(),
        };
        self.begin(options, Dial { address, purpose });
    }

    fn dial_known(&mut self, peer: PeerId, addresses: &[PeerAddress]) {
        let Some(first) = addresses.first() else {
            return;
        };
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(
                addresses
                    .iter()
                    .map(PeerAddress::to_multiaddr)
                    .collect::<Vec<Multiaddr>>(),
            )
            .build();
        let address = first.clone().with_peer(peer);
        self.begin(
            options,
            Dial {
                address,
                purpose: Purpose::Known(peer),
            },
        );
    }

    fn begin(&mut self, options: DialOpts, dial: Dial) {
        let (id, peer) = (options.connection_id(), options.get_peer_id());
        tracing::debug!(address = %dial.address, "dialling");
        self.dials.insert(id, dial);
        self.swarm.behaviour_mut().gate.expect(id);
        if let Err(error) = self.swarm.dial(options) {
            self.dial_failed(id, peer, error);
        }
    }

    /// The handshake over this connection is done.
    pub(super) fn dial_done(&mut self, connection: ConnectionId, peer: PeerId) {
        let Some(Dial { address, purpose }) = self.dials.remove(&connection) else {
            return;
        };
        if let (Purpose::Asked(_), Some(peer)) = (&purpose, self.peers.get_mut(&peer)) {
            peer.wanted = true;
        }
        match purpose {
            Purpose::Asked(reply) => {
                let info = self
                    .info(&peer)
                    .ok_or_else(|| DialError::HungUp(address.to_string()));
                answer(reply, info);
            }
            Purpose::Kept => self.reached_kept(&address, peer),
            Purpose::Seed => self.seeds.reached(&address, peer),
            Purpose::Known(_) => {}
        }
    }

    fn reached_kept(&mut self, address: &PeerAddress, peer: PeerId) {
        self.kept.reached(address, peer);
        self.reserve();
    }

    /// For kept peers there is always room.
    fn reserve(&mut self) {
        self.swarm.behaviour_mut().gate.reserved = self.kept.peers().collect();
    }

    pub(super) fn dial_hung_up(&mut self, connection: ConnectionId) {
        self.fail_dial(connection, DialError::HungUp);
    }

    /// A dial failed after there was a connection.
    pub(super) fn fail_dial(
        &mut self,
        connection: ConnectionId,
        error: impl FnOnce(String) -> DialError,
    ) {
        if let Some(dial) = self.dials.remove(&connection) {
            let error = error(dial.address.clone().without_peer().to_string());
            self.end(dial, error);
        }
    }

    pub(super) fn dial_failed(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        error: swarm::DialError,
    ) {
        self.shared.counts.dials_failed.more();
        let Some(dial) = self.dials.remove(&id) else {
            // a lookup wanted it
            if !matches!(error, swarm::DialError::Denied { .. })
                && let Some(peer) = peer
            {
                self.book.failed(&peer, Instant::now());
            }
            return;
        };
        let place = dial.address.clone().without_peer().to_string();
        let duplicate = match &error {
            swarm::DialError::Denied { cause } => match cause.downcast_ref::<Denied>() {
                Some(Denied::Duplicate(peer)) => Some(*peer),
                _ => None,
            },
            _ => None,
        };
        let error = match duplicate {
            // it was asked a moment ago
            Some(peer) if self.is_passing(peer) => return self.end(dial, DialError::Full(place)),
            _ => explain(error, place),
        };
        match (duplicate, &dial.purpose) {
            // it is there, by a connection of its own
            (Some(peer), Purpose::Kept) => {
                self.reached_kept(&dial.address, peer);
                // if both dialled at once, both may have refused; not at once again
                self.kept.lost(&peer, Instant::now());
            }
            (Some(peer), Purpose::Seed) => self.seeds.reached(&dial.address, peer),
            _ => self.end(dial, error),
        }
    }

    fn end(&mut self, dial: Dial, error: DialError) {
        let now = Instant::now();
        let Dial { address, purpose } = dial;
        match purpose {
            Purpose::Asked(reply) => answer(reply, Err(error)),
            Purpose::Kept if error == DialError::Myself => {
                tracing::warn!(%address, "p2p.keep_dial names this node itself; ignored");
                self.kept.remove(&address);
            }
            Purpose::Kept => {
                // It may be starting, or handing over to its next process: that is over in seconds. Said now and then while it lasts.
                match self.kept.failed(&address, now) {
                    1 => {
                        tracing::info!(%address, %error, "a peer of p2p.keep_dial is not there; trying again");
                    }
                    failures if failures >= FAULT && failures.is_power_of_two() => {
                        tracing::warn!(%address, %error, failures, "cannot connect to a peer of p2p.keep_dial; trying again");
                    }
                    failures => {
                        tracing::debug!(%address, %error, failures, "cannot connect to a peer of p2p.keep_dial; trying again");
                    }
                }
            }
            Purpose::Seed if error == DialError::Myself => {
                self.seeds.remove(&address);
            }
            Purpose::Seed => {
                if self.seeds.failed(&address, now).is_power_of_two() {
                    tracing::info!(%address, %error, "cannot connect to a seed; trying again");
                }
            }
            Purpose::Known(peer) => {
                tracing::debug!(%address, %error, "cannot connect to a known peer");
                if error == DialError::Myself {
                    self.book.forget(&peer);
                } else {
                    self.book.failed(&peer, now);
                }
            }
        }
    }

    pub(super) fn keep(&mut self, address: PeerAddress) {
        self.kept.add(address);
        self.reserve();
        self.plan(Instant::now());
    }

    pub(super) fn release(&mut self, address: &PeerAddress) -> bool {
        let kept = self.kept.remove(address);
        self.reserve();
        kept
    }
}

/// Says why a dial failed in the words of this crate.
fn explain(error: swarm::DialError, address: String) -> DialError {
    match error {
        // the swarm strikes out the addresses at which it listens itself
        swarm::DialError::LocalPeerId { .. } | swarm::DialError::NoAddresses => DialError::Myself,
        swarm::DialError::WrongPeerId { obtained, .. } => DialError::WrongPeer {
            address,
            found: identity::peer_hex(&obtained),
        },
        swarm::DialError::Denied { cause } => match cause.downcast::<Denied>() {
            Ok(Denied::Duplicate(_)) => DialError::Duplicate,
            Ok(Denied::Banned(ban)) => DialError::Banned {
                until: ban.until.to_string(),
                reason: ban.reason,
            },
            Ok(other) => DialError::Unreachable {
                address,
                reason: other.to_string(),
            },
            Err(_) => DialError::Unreachable {
                address,
                reason: "too many connections".to_owned(),
            },
        },
        swarm::DialError::Transport(errors) => {
            let reasons: Vec<_> = errors.iter().map(|(_, error)| root(error)).collect();
            DialError::Unreachable {
                address,
                reason: reasons.join("; "),
            }
        }
        swarm::DialError::DialPeerConditionFalse(_) => DialError::Duplicate,
        error @ swarm::DialError::Aborted => DialError::Unreachable {
            address,
            reason: root(&error),
        },
    }
}

/// The cause at the bottom: what is wrapped around it says nothing more.
fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
