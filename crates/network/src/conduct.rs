//! How peers behave, in points. Decides who is to be banned; the banning is done elsewhere.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::Banned;

/// Points charged to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Penalty {
    /// Points that stay for as long as this process remembers the peer.
    Persistent(u32),
    /// Points of which half are left after 60 s, and none after 30 min.
    Decaying(u32),
}

impl Penalty {
    /// For a message that no honest node sends. The sixth is a ban.
    pub const ILLEGAL: Self = Self::Persistent(20);
    /// For a connection that made trouble.
    pub const TROUBLE: Self = Self::Decaying(20);
}

/// More points than this are worth a warning.
const WARN: f64 = 50.0;
/// More points than this are a ban.
const BAN: f64 = 100.0;
/// An address is banned when three peers' worth of points came from it: honest nodes share addresses.
const HOST_SHARE: f64 = 3.0;
const HALF_LIFE: Duration = Duration::from_mins(1);
const FORGOTTEN: Duration = Duration::from_mins(30);
/// Peers and addresses remembered. Beyond, the one with the fewest points is forgotten.
const REMEMBERED: usize = 4096;

/// What follows from a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Fair,
    /// It has just become worth a warning.
    Doubtful,
    /// It is to be banned; its points are forgotten.
    Ban,
}

#[derive(Debug, Clone, Copy)]
struct Score {
    persistent: f64,
    decaying: f64,
    at: Instant,
}

impl Score {
    fn points(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at);
        if age >= FORGOTTEN {
            return self.persistent;
        }
        self.persistent + self.decaying * 0.5_f64.powf(age.as_secs_f64() / HALF_LIFE.as_secs_f64())
    }

    fn charge(&mut self, penalty: Penalty, now: Instant) {
        self.decaying = self.points(now) - self.persistent;
        self.at = now;
        match penalty {
            Penalty::Persistent(points) => self.persistent += f64::from(points),
            Penalty::Decaying(points) => self.decaying += f64::from(points),
        }
    }
}

/// The points of all who ever misbehaved.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    scores: HashMap<Banned, Score>,
}

impl Conduct {
    /// Charges somebody.
    pub(crate) fn charge(&mut self, who: Banned, penalty: Penalty, now: Instant) -> Standing {
        if self.scores.len() >= REMEMBERED && !self.scores.contains_key(&who) {
            let least = self
                .scores
                .iter()
                .min_by(|a, b| a.1.points(now).total_cmp(&b.1.points(now)))
                .map(|(who, _)| *who);
            least.and_then(|who| self.scores.remove(&who));
        }
        let score = self.scores.entry(who).or_insert(Score {
            persistent: 0.0,
            decaying: 0.0,
            at: now,
        });
        let share = if matches!(who, Banned::Host(_)) {
            HOST_SHARE
        } else {
            1.0
        };
        let before = score.points(now) / share;
        score.charge(penalty, now);
        let after = score.points(now) / share;
        if after > BAN {
            self.scores.remove(&who);
            Standing::Ban
        } else if before <= WARN && after > WARN {
            Standing::Doubtful
        } else {
            Standing::Fair
        }
    }

    /// The points of somebody, rounded down.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "points are from 0 to 300"
    )]
    pub(crate) fn points(&self, who: Banned, now: Instant) -> u32 {
        self.scores
            .get(&who)
            .map_or(0, |score| score.points(now) as u32)
    }

    /// Starts anew with somebody.
    pub(crate) fn forgive(&mut self, who: Banned) {
        self.scores.remove(&who);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use libp2p::PeerId;

    use super::Standing::{Ban, Doubtful, Fair};
    use super::*;

    #[test]
    fn the_third_illegal_message_warns_and_the_sixth_bans() {
        let (mut conduct, who, now) = (
            Conduct::default(),
            Banned::Peer(PeerId::random()),
            Instant::now(),
        );
        let standings: Vec<_> = (0..6)
            .map(|_| conduct.charge(who, Penalty::ILLEGAL, now))
            .collect();
        assert_eq!(standings, [Fair, Fair, Doubtful, Fair, Fair, Ban]);
        assert_eq!(conduct.points(who, now), 0);
    }

    #[test]
    fn trouble_decays_and_illegal_messages_do_not() {
        let (mut conduct, who, now) = (
            Conduct::default(),
            Banned::Peer(PeerId::random()),
            Instant::now(),
        );
        conduct.charge(who, Penalty::ILLEGAL, now);
        conduct.charge(who, Penalty::TROUBLE, now);
        assert_eq!(conduct.points(who, now), 40);
        assert_eq!(conduct.points(who, now + HALF_LIFE), 30);
        assert_eq!(conduct.points(who, now + FORGOTTEN), 20);
        conduct.charge(who, Penalty::TROUBLE, now + HALF_LIFE);
        assert_eq!(conduct.points(who, now + HALF_LIFE), 50);
    }

    #[test]
    fn an_address_is_worth_three_peers() {
        let (mut conduct, now) = (Conduct::default(), Instant::now());
        let who = Banned::Host(IpAddr::V4(Ipv4Addr::LOCALHOST));
        for _ in 0..15 {
            assert_ne!(conduct.charge(who, Penalty::ILLEGAL, now), Standing::Ban);
        }
        assert_eq!(conduct.charge(who, Penalty::ILLEGAL, now), Standing::Ban);
    }

    #[test]
    fn the_worst_are_remembered_longest() {
        let (mut conduct, now) = (Conduct::default(), Instant::now());
        let worst = Banned::Peer(PeerId::random());
        conduct.charge(worst, Penalty::Persistent(90), now);
        for _ in 0..REMEMBERED + 10 {
            conduct.charge(Banned::Peer(PeerId::random()), Penalty::ILLEGAL, now);
        }
        assert_eq!(conduct.scores.len(), REMEMBERED);
        assert_eq!(conduct.points(worst, now), 90);
    }
}
