//! Charges and bans.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use libp2p::PeerId;

use super::Service;
use crate::conduct::Standing;
use crate::gate::is_shared;
use crate::{Ban, Banned, Penalty};

/// How long somebody is banned whose points are too many.
const BAN: Duration = Duration::from_hours(1);
/// The longest ban.
const LONGEST_BAN: Duration = Duration::from_hours(87600);

impl Service {
    /// Charges a peer, and the address from which it is connected unless many may share it.
    pub(super) fn charge(&mut self, peer: PeerId, penalty: Penalty, reason: &str) {
        let host = self
            .peers
            .get(&peer)
            .and_then(super::peers::Peer::ip)
            .filter(|ip| !is_shared(*ip));
        for who in [Some(Banned::Peer(peer)), host.map(Banned::Host)]
            .into_iter()
            .flatten()
        {
            let now = Instant::now();
            match self.conduct.charge(who, penalty, now) {
                Standing::Fair => {
                    tracing::debug!(%who, reason, points = self.conduct.points(who, now), "charged");
                }
                Standing::Doubtful => {
                    let points = self.conduct.points(who, now);
                    tracing::warn!(%who, reason, points, "a peer behaves badly; more than 100 points are a ban");
                }
                Standing::Ban => self.ban(who, reason.to_owned(), BAN),
            }
        }
    }

    pub(super) fn ban(&mut self, who: Banned, reason: String, duration: Duration) {
        if who == Banned::Peer(self.shared.me) {
            tracing::warn!(reason, "a node does not ban itself");
            return;
        }
        let now = Timestamp::now();
        // the end of time is far enough
        let until = now
            .checked_add(duration.min(LONGEST_BAN))
            .unwrap_or(Timestamp::MAX);
        tracing::warn!(%who, %until, reason, "banned");
        self.shared.counts.bans.more();
        self.swarm
            .behaviour_mut()
            .gate
            .bans
            .impose(Ban { who, until, reason }, now);
        self.keep_bans();
        let out: Vec<_> = self
            .peers
            .iter()
            .filter(|(id, peer)| match who {
                Banned::Peer(banned) => banned == **id,
                Banned::Host(ip) => peer.ip() == Some(ip),
            })
            .map(|(id, _)| *id)
            .collect();
        for peer in out {
            self.hang_up(peer);
        }
    }

    pub(super) fn unban(&mut self, who: Banned) -> bool {
        self.conduct.forgive(who);
        let lifted = self.swarm.behaviour_mut().gate.bans.lift(who);
        if lifted {
            tracing::info!(%who, "ban lifted");
            self.keep_bans();
        }
        lifted
    }

    pub(super) fn bans(&self) -> Vec<Ban> {
        self.swarm.behaviour().gate.bans.list(Timestamp::now())
    }

    fn keep_bans(&self) {
        self.bans_file
            .set(self.swarm.behaviour().gate.bans.to_json());
    }

    /// Drops what is over: bans, and the memory of strangers.
    pub(super) fn expire(&mut self, now: Instant) {
        self.strangers.retain(|_, until| *until > now);
        self.swarm.behaviour_mut().gate.wake(now);
        if self
            .swarm
            .behaviour_mut()
            .gate
            .bans
            .expire(Timestamp::now())
        {
            self.keep_bans();
        }
    }
}
