//! The address book: peers of this chain that were met or heard of, kept in a file.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use libp2p::PeerId;
use serde::{Deserialize, Serialize};

use crate::pace::backoff;
use crate::{PeerAddress, identity};

/// Addresses kept of one peer.
const ADDRESSES: usize = 4;
/// After so many failed dials in a row a peer is forgotten.
const ATTEMPTS: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// A peer that is known.
#[derive(Debug, Clone)]
struct Entry {
    /// The newest first.
    addresses: Vec<PeerAddress>,
    /// When it was last connected; `None` if it is only known from others.
    met: Option<Timestamp>,
    failures: u32,
    /// Not to be dialled before.
    after: Option<Instant>,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    peer: String,
    addresses: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    met: Option<String>,
}

/// The address book.
#[derive(Debug)]
pub(crate) struct Book {
    entries: HashMap<PeerId, Entry>,
    limit: usize,
    changed: bool,
}

impl Book {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: HashMap::new(),
            limit,
            changed: false,
        }
    }

    /// The book of a file; an error says why it makes no sense.
    pub(crate) fn parse(text: &str, limit: usize) -> Result<Self, String> {
        let lines: Vec<Line> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut book = Self::new(limit);
        for line in lines {
            let peer = identity::peer_from_hex(&line.peer)
                .ok_or_else(|| format!("`{}` is not a peer's key", line.peer))?;
            let addresses: Result<Vec<_>, _> =
                line.addresses.iter().map(|text| text.parse()).collect();
            book.learn(
                peer,
                addresses.map_err(|error: crate::AddressError| error.to_string())?,
            );
            if let Some(entry) = book.entries.get_mut(&peer) {
                entry.met = line.met.and_then(|time| time.parse().ok());
            }
        }
        book.changed = false;
        Ok(book)
    }

    /// As a file, if it has changed since it was last asked for.
    pub(crate) fn changes(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut lines: Vec<_> = self
            .entries
            .iter()
            .filter_map(|(peer, entry)| {
                Some(Line {
                    peer: hex::encode(identity::key_of(peer)?),
                    addresses: entry.addresses.iter().map(ToString::to_string).collect(),
                    met: entry.met.map(|time| time.to_string()),
                })
            })
            .collect();
        lines.sort_by(|a, b| (&b.met, &a.peer).cmp(&(&a.met, &b.peer)));
        Some(serde_json::to_vec_pretty(&lines).expect("strings are JSON"))
    }

    /// Heard of a peer.
    pub(crate) fn learn(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = PeerAddress>) {
        let addresses: Vec<_> = addresses
            .into_iter()
            .map(PeerAddress::without_peer)
            .take(ADDRESSES)
            .collect();
        if addresses.is_empty() || identity::key_of(&peer).is_none() {
            return;
        }
        if self.entries.len() >= self.limit && !self.entries.contains_key(&peer) {
            self.forget_the_least();
        }
        let entry = self.entries.entry(peer).or_insert(Entry {
            addresses: Vec::new(),
            met: None,
            failures: 0,
            after: None,
        });
        let mut merged = addresses;
        for address in &entry.addresses {
            if merged.len() < ADDRESSES && !merged.contains(address) {
                merged.push(address.clone());
            }
        }
        if entry.addresses != merged {
            entry.addresses = merged;
            self.changed = true;
        }
    }

    /// The peer is connected.
    pub(crate) fn met(&mut self, peer: &PeerId) {
        if let Some(entry) = self.entries.get_mut(peer) {
            (entry.met, entry.failures, entry.after) = (Some(Timestamp::now()), 0, None);
            self.changed = true;
        }
    }

    /// A dial failed.
    pub(crate) fn failed(&mut self, peer: &PeerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.failures += 1;
            entry.after = Some(now + backoff(entry.failures, FIRST_PAUSE, LONGEST_PAUSE));
            if entry.failures >= ATTEMPTS {
                self.forget(peer);
            }
        }
    }

    /// Leaves a peer alone for a while.
    pub(crate) fn rest(&mut self, peer: &PeerId, until: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.after = Some(until);
        }
    }

    /// The peer is not of this chain, or gone for good.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.changed |= self.entries.remove(peer).is_some();
    }

    fn forget_the_least(&mut self) {
        let least = self
            .entries
            .iter()
            .min_by_key(|(_, entry)| (entry.met, u32::MAX - entry.failures))
            .map(|(peer, _)| *peer);
        least.and_then(|peer| self.entries.remove(&peer));
    }

    /// The peers to dial next: those that failed least, of these the last met.
    pub(crate) fn pick(
        &self,
        count: usize,
        now: Instant,
        except: impl Fn(&PeerId) -> bool,
    ) -> Vec<(PeerId, Vec<PeerAddress>)> {
        let ready = |entry: &Entry| entry.after.is_none_or(|after| after <= now);
        let mut ready: Vec<_> = self
            .entries
            .iter()
            .filter(|(peer, entry)| ready(entry) && !except(peer))
            .collect();
        ready.sort_by_key(|(_, entry)| (entry.failures, std::cmp::Reverse(entry.met)));
        ready
            .into_iter()
            .take(count)
            .map(|(peer, entry)| (*peer, entry.addresses.clone()))
            .collect()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u16) -> PeerId {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&number.to_be_bytes());
        identity::keypair(&seed.into()).public().to_peer_id()
    }

    fn address(port: u16) -> PeerAddress {
        PeerAddress::from_socket(([192, 0, 2, 1], port).into())
    }

    #[test]
    fn the_file_keeps_who_was_met_and_where() {
        let mut book = Book::new(10);
        book.learn(peer(1), [address(1), address(2)]);
        book.learn(peer(2), [address(3)]);
        book.met(&peer(2));
        let text = String::from_utf8(book.changes().unwrap()).unwrap();
        assert!(book.changes().is_none());
        let read = Book::parse(&text, 10).unwrap();
        let picked = read.pick(9, Instant::now(), |_| false);
        assert_eq!(
            picked,
            [
                (peer(2), vec![address(3)]),
                (peer(1), vec![address(1), address(2)])
            ]
        );
        assert!(Book::parse("[{\"peer\":\"x\",\"addresses\":[]}]", 10).is_err());
    }

    #[test]
    fn a_failed_peer_rests_longer_each_time_and_is_forgotten_in_the_end() {
        let (mut book, start) = (Book::new(10), Instant::now());
        book.learn(peer(1), [address(1)]);
        let mut now = start;
        for _ in 1..ATTEMPTS {
            book.failed(&peer(1), now);
            assert!(book.pick(1, now, |_| false).is_empty());
            now += LONGEST_PAUSE * 2;
            assert_eq!(book.pick(1, now, |_| false).len(), 1);
        }
        book.failed(&peer(1), now);
        assert_eq!(book.len(), 0);
    }

    #[test]
    fn it_holds_no_more_than_its_limit_and_keeps_those_it_met() {
        let mut book = Book::new(3);
        book.learn(peer(0), [address(1)]);
        book.met(&peer(0));
        for number in 1..50 {
            book.learn(peer(number), (1..20).map(address));
        }
        assert_eq!(book.len(), 3);
        assert!(book.entries.contains_key(&peer(0)));
        assert!(
            book.entries
                .values()
                .all(|entry| entry.addresses.len() <= ADDRESSES)
        );
    }
}
