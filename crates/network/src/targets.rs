//! Peers that an operator named: those to keep a connection to, and seeds. Decides when to dial which.

use std::time::{Duration, Instant};

use libp2p::PeerId;

use crate::PeerAddress;
use crate::pace::backoff;

/// The pause after the first failure; the next ones double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A named address.
#[derive(Debug, Clone)]
struct Target {
    address: PeerAddress,
    /// Who answers there: named with the address, or learned.
    peer: Option<PeerId>,
    failures: u32,
    after: Option<Instant>,
    dialling: bool,
}

/// A list of named addresses.
#[derive(Debug)]
pub(crate) struct Targets {
    targets: Vec<Target>,
    longest_pause: Duration,
}

impl Targets {
    pub(crate) fn new(addresses: &[PeerAddress], longest_pause: Duration) -> Self {
        let mut targets = Self {
            targets: Vec::new(),
            longest_pause,
        };
        for address in addresses {
            targets.add(address.clone());
        }
        targets
    }

    /// Adds an address, unless it is there.
    pub(crate) fn add(&mut self, address: PeerAddress) {
        if !self
            .targets
            .iter()
            .any(|target| same(&target.address, &address))
        {
            let peer = address.peer();
            self.targets.push(Target {
                address,
                peer,
                failures: 0,
                after: None,
                dialling: false,
            });
        }
    }

    /// Removes an address. Says whether it was there.
    pub(crate) fn remove(&mut self, address: &PeerAddress) -> bool {
        let before = self.targets.len();
        self.targets
            .retain(|target| !same(&target.address, address));
        self.targets.len() != before
    }

    /// The peers that are known by name.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.targets.iter().filter_map(|target| target.peer)
    }

    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.targets.iter().any(|target| target.peer == Some(*peer))
    }

    /// Addresses to dial now, which count as being dialled from here on.
    pub(crate) fn due(
        &mut self,
        count: usize,
        now: Instant,
        connected: impl Fn(&PeerId) -> bool,
    ) -> Vec<PeerAddress> {
        let is_due = |target: &Target| {
            !target.dialling
                && target.after.is_none_or(|after| after <= now)
                && !target.peer.as_ref().is_some_and(&connected)
        };
        let mut due: Vec<_> = self
            .targets
            .iter_mut()
            .filter(|target| is_due(target))
            .collect();
        // whoever has waited longest
        due.sort_by_key(|target| target.after);
        due.truncate(count);
        due.into_iter()
            .map(|target| {
                target.dialling = true;
                target.address.clone()
            })
            .collect()
    }

    /// A dial of this address ended well.
    pub(crate) fn reached(&mut self, address: &PeerAddress, peer: PeerId) {
        for target in self
            .targets
            .iter_mut()
            .filter(|target| same(&target.address, address))
        {
            (target.failures, target.after, target.dialling) = (0, None, false);
            target.peer.get_or_insert(peer);
            // without a name whoever answers is the one
            if target.address.peer().is_none() {
                target.peer = Some(peer);
            }
        }
    }

    /// A dial of this address failed. Says how often it has in a row.
    pub(crate) fn failed(&mut self, address: &PeerAddress, now: Instant) -> u32 {
        let longest = self.longest_pause;
        let mut failures = 0;
        for target in self
            .targets
            .iter_mut()
            .filter(|target| same(&target.address, address))
        {
            target.dialling = false;
            target.failures += 1;
            target.after = Some(now + backoff(target.failures, FIRST_PAUSE, longest));
            failures = target.failures;
        }
        failures
    }

    /// A peer that was connected is gone: dialled again after the shortest pause.
    pub(crate) fn lost(&mut self, peer: &PeerId, now: Instant) {
        for target in self
            .targets
            .iter_mut()
            .filter(|target| target.peer == Some(*peer))
        {
            target.after = Some(now + backoff(1, FIRST_PAUSE / 4, self.longest_pause));
        }
    }
}

/// One place, whoever is expected there.
fn same(a: &PeerAddress, b: &PeerAddress) -> bool {
    (a.host(), a.port()) == (b.host(), b.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> PeerAddress {
        PeerAddress::from_socket(([192, 0, 2, 1], port).into())
    }

    #[test]
    fn a_kept_peer_is_dialled_until_it_is_there_and_again_when_it_is_gone() {
        let longest = Duration::from_secs(30);
        let mut targets = Targets::new(&[address(1)], longest);
        let (mut now, peer) = (Instant::now(), PeerId::random());
        let nobody = |_: &PeerId| false;
        assert_eq!(targets.due(9, now, nobody), [address(1)]);
        assert!(
            targets.due(9, now, nobody).is_empty(),
            "it is being dialled"
        );
        for failures in 1..10 {
            assert_eq!(targets.failed(&address(1), now), failures);
            assert!(targets.due(9, now, nobody).is_empty());
            now += longest * 2;
            assert_eq!(targets.due(9, now, nobody).len(), 1);
        }
        targets.reached(&address(1), peer);
        assert!(targets.due(9, now, |found| *found == peer).is_empty());
        targets.lost(&peer, now);
        assert!(targets.due(9, now, nobody).is_empty());
        assert_eq!(
            targets.due(9, now + Duration::from_secs(1), nobody).len(),
            1
        );
    }

    #[test]
    fn seeds_take_turns() {
        let mut seeds = Targets::new(
            &[address(1), address(2), address(1)],
            Duration::from_mins(1),
        );
        let now = Instant::now();
        assert_eq!(seeds.due(1, now, |_| false), [address(1)]);
        seeds.failed(&address(1), now);
        assert_eq!(seeds.due(9, now, |_| false), [address(2)]);
        assert!(seeds.remove(&address(2).with_peer(PeerId::random())));
        assert!(!seeds.remove(&address(2)));
    }
}
