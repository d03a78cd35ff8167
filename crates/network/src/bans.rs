//! Who is banned, for how long and why; kept in a file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use libp2p::PeerId;
use serde::{Deserialize, Serialize};

use crate::identity;

/// Who is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Banned {
    /// A peer, wherever it is.
    Peer(PeerId),
    /// Everybody at an address.
    Host(IpAddr),
}

impl fmt::Display for Banned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => f.write_str(&identity::peer_hex(peer)),
            Self::Host(ip) => write!(f, "{ip}"),
        }
    }
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub who: Banned,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// Bans kept. Beyond, the one that ends first is lifted.
const KEPT: usize = 4096;
/// The longest reason that is kept, in bytes.
const REASON: usize = 200;

/// The bans in force.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    bans: BTreeMap<Banned, Ban>,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
    until: String,
    reason: String,
}

impl Line {
    fn ban(self) -> Option<Ban> {
        let who = match (self.peer, self.ip) {
            (Some(peer), None) => {
                Banned::Peer(identity::peer_from_hex(&peer).or_else(|| peer.parse().ok())?)
            }
            (None, Some(ip)) => Banned::Host(ip),
            _ => return None,
        };
        let until = self.until.parse().ok()?;
        Some(Ban {
            who,
            until,
            reason: self.reason,
        })
    }
}

impl Bans {
    /// The bans of a file that are still in force; an error says why it makes no sense.
    pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Self, String> {
        let lines: Vec<Line> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut bans = Self::default();
        for line in lines {
            let ban = line
                .ban()
                .ok_or("a ban names neither a peer nor an address, or no time")?;
            bans.impose(ban, now);
        }
        Ok(bans)
    }

    /// As a file.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let lines: Vec<_> = self
            .bans
            .values()
            .map(|ban| Line {
                peer: matches!(ban.who, Banned::Peer(_)).then(|| ban.who.to_string()),
                ip: match ban.who {
                    Banned::Host(ip) => Some(ip),
                    Banned::Peer(_) => None,
                },
                until: ban.until.to_string(),
                reason: ban.reason.clone(),
            })
            .collect();
        serde_json::to_vec_pretty(&lines).expect("strings and addresses are JSON")
    }

    /// Imposes a ban, in place of an earlier one of the same.
    pub(crate) fn impose(&mut self, mut ban: Ban, now: Timestamp) {
        self.expire(now);
        if ban.until <= now {
            return;
        }
        let end = ban.reason.floor_char_boundary(REASON);
        ban.reason.truncate(end);
        if self.bans.len() >= KEPT && !self.bans.contains_key(&ban.who) {
            let first = self
                .bans
                .values()
                .min_by_key(|ban| ban.until)
                .map(|ban| ban.who);
            first.and_then(|who| self.bans.remove(&who));
        }
        self.bans.insert(ban.who, ban);
    }

    /// Lifts a ban.
    pub(crate) fn lift(&mut self, who: Banned) -> bool {
        self.bans.remove(&who).is_some()
    }

    /// Drops what is over; says whether anything was.
    pub(crate) fn expire(&mut self, now: Timestamp) -> bool {
        let before = self.bans.len();
        self.bans.retain(|_, ban| ban.until > now);
        self.bans.len() != before
    }

    /// The ban that keeps a peer or an address out.
    pub(crate) fn of(
        &self,
        peer: Option<PeerId>,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<&Ban> {
        let peer = peer.and_then(|peer| self.bans.get(&Banned::Peer(peer)));
        let host = || ip.and_then(|ip| self.bans.get(&Banned::Host(ip)));
        peer.or_else(host).filter(|ban| ban.until > now)
    }

    pub(crate) fn list(&self, now: Timestamp) -> Vec<Ban> {
        self.bans
            .values()
            .filter(|ban| ban.until > now)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    fn ban(who: Banned, until: Timestamp) -> Ban {
        Ban {
            who,
            until,
            reason: "six illegal messages".to_owned(),
        }
    }

    #[test]
    fn a_ban_survives_the_file_until_it_is_over() {
        let now = Timestamp::now();
        let soon = now + 1.hour();
        let peer = crate::identity::keypair(&[7; 32].into())
            .public()
            .to_peer_id();
        let host: IpAddr = "2001:db8::1".parse().unwrap();
        let mut bans = Bans::default();
        bans.impose(ban(Banned::Peer(peer), soon), now);
        bans.impose(ban(Banned::Host(host), soon + 1.hour()), now);
        let text = String::from_utf8(bans.to_json()).unwrap();
        let read = Bans::parse(&text, now).unwrap();
        assert_eq!(read.list(now), bans.list(now));
        assert!(read.of(Some(peer), None, now).is_some());
        assert!(read.of(None, Some(host), now).is_some());
        assert!(read.of(Some(peer), None, soon).is_none());
        assert_eq!(Bans::parse(&text, soon).unwrap().list(soon).len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let now = Timestamp::now();
        for text in [
            "",
            "{}",
            r#"[{"until":"x","reason":""}]"#,
            r#"[{"ip":"::1","until":"soon","reason":""}]"#,
        ] {
            assert!(Bans::parse(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn the_number_of_bans_and_the_length_of_reasons_are_bounded() {
        let now = Timestamp::now();
        let mut bans = Bans::default();
        for count in 0..=KEPT {
            let until = now + 1.hour() + i64::try_from(count).unwrap().seconds();
            let mut ban = ban(Banned::Peer(PeerId::random()), until);
            ban.reason = "ä".repeat(500);
            bans.impose(ban, now);
        }
        assert_eq!(bans.bans.len(), KEPT);
        assert!(
            bans.bans
                .values()
                .all(|ban| ban.reason.len() <= REASON && ban.until > now + 1.hour())
        );
    }
}
