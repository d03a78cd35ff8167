//! How many requests are in hand, in all and from each client.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Counts requests in hand.
#[derive(Debug)]
pub(crate) struct Gate {
    most: usize,
    most_per_client: usize,
    in_hand: AtomicUsize,
    /// In several parts, so that clients do not wait for each other.
    clients: [Mutex<HashMap<IpAddr, usize>>; PARTS],
}

const PARTS: usize = 16;

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are too many in all.
    All,
    /// There are too many from this client.
    Client,
}

/// A request in hand; dropping it says that it is answered.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    client: Option<IpAddr>,
}

impl Gate {
    pub(crate) fn new(most: usize, most_per_client: usize) -> Self {
        Self {
            most,
            most_per_client,
            in_hand: AtomicUsize::new(0),
            clients: Default::default(),
        }
    }

    /// How many requests are in hand.
    pub(crate) fn in_hand(&self) -> usize {
        self.in_hand.load(Relaxed)
    }

    /// Lets a request in. Without an address (a Unix socket) there is no limit for its client.
    pub(crate) fn enter(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Pass, Full> {
        let client = client.map(household);
        let pass = Pass {
            gate: Arc::clone(self),
            client: None,
        };
        if self.in_hand.fetch_add(1, Relaxed) >= self.most {
            return Err(Full::All);
        }
        let Some(client) = client else {
            return Ok(pass);
        };
        let mut clients = self.part(&client);
        let count = clients.entry(client).or_default();
        if *count >= self.most_per_client {
            return Err(Full::Client);
        }
        *count += 1;
        drop(clients);
        let mut pass = pass;
        pass.client = Some(client);
        Ok(pass)
    }

    fn part(&self, client: &IpAddr) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        let last = match client {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[7],
        };
        self.clients[usize::from(last) % PARTS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who shares a share: an address of IPv4, and the 2^64 addresses of IPv6 that one subscriber has (RFC 6177).
fn household(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.in_hand.fetch_sub(1, Relaxed);
        let Some(client) = self.client else { return };
        let mut clients = self.gate.part(&client);
        if let Some(count) = clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_share() {
        let gate = Arc::new(Gate::new(3, 2));
        let client = |last| Some(IpAddr::from([10, 0, 0, last]));
        let first = gate.enter(client(1)).unwrap();
        let _second = gate.enter(client(1)).unwrap();
        assert_eq!(gate.enter(client(1)).err(), Some(Full::Client));
        let _third = gate.enter(client(2)).unwrap();
        assert_eq!(gate.enter(client(3)).err(), Some(Full::All));
        assert_eq!(gate.enter(None).err(), Some(Full::All));
        assert_eq!(gate.in_hand(), 3);
        drop(first);
        let _again = gate.enter(client(1)).unwrap();
        assert_eq!(gate.in_hand(), 3);
    }

    #[test]
    fn a_household_has_one_share() {
        let gate = Arc::new(Gate::new(9, 2));
        let enter = |text: &str| gate.enter(Some(text.parse().unwrap()));
        let _first = enter("2001:db8::1").unwrap();
        let _second = enter("2001:db8::ffff:1").unwrap();
        assert_eq!(enter("2001:db8::2").err(), Some(Full::Client));
        let _neighbour = enter("2001:db8:0:1::2").unwrap();
        let _mapped = enter("::ffff:10.0.0.1").unwrap();
        let _same = enter("10.0.0.1").unwrap();
        assert_eq!(enter("10.0.0.1").err(), Some(Full::Client));
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let gate = Arc::new(Gate::new(3, 2));
        drop(gate.enter(Some(IpAddr::from([10, 0, 0, 1]))).unwrap());
        assert!(
            gate.clients
                .iter()
                .all(|part| part.lock().unwrap().is_empty())
        );
        assert_eq!(gate.in_hand(), 0);
    }
}
