//! Discovery: peers that other peers know, and peers on the local network.

use std::time::{Duration, Instant};

use libp2p::{PeerId, kad, mdns};

use super::Service;
use super::peers::Peer;
use crate::{Direction, PeerAddress};

/// Peers of the local network, of one announcement.
const NEAR: usize = 15;

/// When to ask peers for others.
#[derive(Debug)]
pub(super) struct Lookup {
    after: Instant,
    pause: Duration,
}

impl Lookup {
    const FIRST: Duration = Duration::from_secs(2);
    const LONGEST: Duration = Duration::from_mins(5);

    pub(super) fn new(now: Instant) -> Self {
        Self {
            after: now,
            pause: Self::FIRST,
        }
    }

    /// There is somebody new to ask.
    pub(super) fn hurry(&mut self, now: Instant) {
        *self = Self {
            after: self.after.min(now + Self::FIRST),
            pause: Self::FIRST,
        };
    }

    /// Whether it is time; the next time comes after twice the pause.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.after <= now;
        if due {
            self.after = now + self.pause;
            self.pause = (self.pause * 2).min(Self::LONGEST);
        }
        due
    }
}

impl Service {
    /// Peers that were dialled.
    pub(super) fn outbound(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.peers.iter().filter(|(_, peer)| {
            peer.introduction.is_some() && peer.connection.direction == Direction::Outbound
        })
    }

    /// If there is one outbound peer too many, the one that was discovered longest ago has been here long enough.
    pub(super) fn let_go(&mut self, now: Instant) {
        if self.outbound().count() <= self.settings.outbound_peers {
            return;
        }
        let discovered = |(id, peer): &(&PeerId, &Peer)| !peer.wanted && !self.kept.contains(id);
        let oldest = self
            .outbound()
            .filter(discovered)
            .min_by_key(|(_, peer)| peer.since);
        let Some((id, peer)) = oldest else { return };
        let age = now.saturating_duration_since(peer.since);
        if age >= self.settings.limits.change_peers {
            let id = *id;
            tracing::debug!(peer = %id, "exchanged for another peer");
            self.book.rest(&id, now + self.settings.limits.change_peers);
            self.hang_up(id);
        }
    }

    /// Asks peers for others, if it is time. The lookup dials whom it finds, as far as the gate lets it.
    pub(super) fn look_for_peers(&mut self, now: Instant) {
        if !self.peers.is_empty() && self.lookup.is_due(now) {
            self.swarm
                .behaviour_mut()
                .table
                .get_closest_peers(PeerId::random());
        }
    }

    pub(super) fn looked_up(&mut self, event: kad::Event) {
        if let kad::Event::OutboundQueryProgressed {
            result: kad::QueryResult::GetClosestPeers(Ok(found)),
            ..
        } = event
        {
            for peer in found
                .peers
                .into_iter()
                .filter(|peer| peer.peer_id != self.shared.me)
            {
                self.book.learn(
                    peer.peer_id,
                    peer.addrs.iter().filter_map(PeerAddress::from_multiaddr),
                );
            }
        }
    }

    pub(super) fn found_near(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else {
            return;
        };
        for (peer, address) in found.into_iter().take(NEAR) {
            if peer != self.shared.me && !self.strangers.contains_key(&peer) {
                tracing::debug!(%peer, %address, "a peer on the local network");
                self.book.learn(peer, PeerAddress::from_multiaddr(&address));
            }
        }
    }
}
