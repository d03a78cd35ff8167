//! Which of the addresses that a peer claims are worth remembering and telling others.

use std::net::IpAddr;

use libp2p::Multiaddr;

use crate::PeerAddress;
use crate::gate::is_shared;

/// Addresses taken from one peer.
const TAKEN: usize = 4;

/// How far an address reaches.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Reach {
    Machine,
    Lan,
    World,
}

fn reach(ip: IpAddr) -> Option<Reach> {
    if ip.is_unspecified() || ip.is_multicast() {
        None
    } else if ip.is_loopback() {
        Some(Reach::Machine)
    } else if is_shared(ip) {
        Some(Reach::Lan)
    } else {
        Some(Reach::World)
    }
}

/// The addresses at which a peer can probably be dialled, best first.
///
/// `remote` is where its connection came from or went to, `dialled` whether this node dialled it there. An address that reaches less far
/// than the connection does is of no use to us: a peer on the internet has its own 127.0.0.1 and its own 192.168.0.2. The port at which
/// it listens is also tried at the address from which it came, which helps peers that know only their container's address.
pub(crate) fn worth_knowing(
    remote: Option<&PeerAddress>,
    dialled: bool,
    claimed: &[Multiaddr],
) -> Vec<PeerAddress> {
    let mut known: Vec<PeerAddress> = Vec::new();
    let mut take = |address: PeerAddress| {
        if known.len() < TAKEN && !known.contains(&address) {
            known.push(address);
        }
    };
    if let Some(remote) = remote.filter(|_| dialled) {
        take(remote.clone().without_peer());
    }
    let remote_ip = remote.and_then(PeerAddress::ip);
    let far = remote_ip.and_then(reach).unwrap_or(Reach::World);
    let claimed: Vec<_> = claimed
        .iter()
        .filter_map(PeerAddress::from_multiaddr)
        .map(PeerAddress::without_peer)
        .collect();
    for address in &claimed {
        if address
            .ip()
            .is_some_and(|ip| reach(ip).is_some_and(|near| near >= far))
        {
            take(address.clone());
        }
    }
    if let Some(ip) = remote_ip {
        for address in &claimed {
            take(PeerAddress::from_socket((ip, address.port()).into()));
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(remote: &str, dialled: bool, claimed: &[&str]) -> Vec<String> {
        let claimed: Vec<_> = claimed.iter().map(|text| text.parse().unwrap()).collect();
        let remote: PeerAddress = remote.parse().unwrap();
        worth_knowing(Some(&remote), dialled, &claimed)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn loopback_is_known_to_those_on_the_machine_only() {
        let claimed = [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/192.168.0.2/tcp/1",
            "/ip4/198.51.100.7/tcp/1",
        ];
        assert_eq!(
            known("127.0.0.1:50000", false, &claimed),
            ["127.0.0.1:1", "192.168.0.2:1", "198.51.100.7:1"]
        );
        assert_eq!(
            known("192.168.0.2:50000", false, &claimed),
            ["192.168.0.2:1", "198.51.100.7:1"]
        );
        assert_eq!(
            known("198.51.100.7:50000", false, &claimed),
            ["198.51.100.7:1"]
        );
    }

    #[test]
    fn what_was_dialled_comes_first_and_a_peer_in_a_container_is_found() {
        assert_eq!(
            known("seed.example:46657", true, &["/ip4/198.51.100.7/tcp/46657"]),
            ["seed.example:46657", "198.51.100.7:46657"]
        );
        assert_eq!(
            known("203.0.113.1:50000", false, &["/ip4/172.17.0.2/tcp/46657"]),
            ["203.0.113.1:46657"]
        );
    }

    #[test]
    fn nonsense_and_floods_are_left_out() {
        assert!(
            known(
                "203.0.113.1:50000",
                false,
                &[
                    "/ip4/0.0.0.0/tcp/0",
                    "/memory/7",
                    "/ip4/1.2.3.4/udp/5/quic-v1"
                ]
            )
            .is_empty()
        );
        let many: Vec<_> = (1..100)
            .map(|port| format!("/ip4/198.51.100.7/tcp/{port}"))
            .collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(known("198.51.100.7:50000", false, &many).len(), TAKEN);
    }
}
