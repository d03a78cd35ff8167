//! Whether what is there is what is asked for.

use std::net::{IpAddr, SocketAddr};

use crate::describe::{Address, Description, Kind};

/// A socket as the program asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) address: Address,
    /// Whether it is to listen; else it takes datagrams.
    pub(super) accepting: bool,
}

impl Wanted {
    /// Whether an inherited socket is what is asked for. The port 0 asks for any port; an IPv6 wildcard that takes IPv4 as well
    /// answers for the IPv4 wildcard.
    pub(super) fn is_met_by(&self, found: &Description) -> bool {
        self.kind == found.kind
            && self.accepting == found.accepting
            && match (&self.address, &found.address) {
                (Address::Inet(wanted), Address::Inet(there)) => {
                    let covers = same_host(wanted, there)
                        || is_any_v4(wanted.ip()) && is_any_v6(there.ip()) && !found.v6only;
                    covers && (wanted.port() == 0 || wanted.port() == there.port())
                }
                (wanted, there) => wanted == there,
            }
    }

    /// Whether the two cannot both be bound: how the kernel sees it, with a wildcard standing in the way of every address.
    pub(super) fn collides_with(&self, found: &Description) -> bool {
        match (&self.address, &found.address) {
            (Address::Inet(wanted), Address::Inet(there)) => {
                self.kind == found.kind
                    && wanted.port() == there.port()
                    && (same_host(wanted, there)
                        || wanted.ip().is_unspecified()
                        || there.ip().is_unspecified())
            }
            (Address::None, Address::None) => false,
            (wanted, there) => wanted == there,
        }
    }
}

fn same_host(left: &SocketAddr, right: &SocketAddr) -> bool {
    let scope = |address: &SocketAddr| match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    };
    left.ip().to_canonical() == right.ip().to_canonical() && scope(left) == scope(right)
}

fn is_any_v4(ip: IpAddr) -> bool {
    ip.is_ipv4() && ip.is_unspecified()
}

fn is_any_v6(ip: IpAddr) -> bool {
    ip.is_ipv6() && ip.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> Wanted {
        Wanted {
            kind: Kind::Tcp,
            address: Address::Inet(address.parse().expect("an address")),
            accepting: true,
        }
    }

    fn there(address: &str) -> Description {
        Description {
            kind: Kind::Tcp,
            address: Address::Inet(address.parse().expect("an address")),
            accepting: true,
            reuse_port: false,
            v6only: false,
            device: 0,
            inode: 0,
        }
    }

    #[test]
    fn addresses_meet_by_meaning() {
        for (wanted, found, meets) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:0", "127.0.0.1:80", true),
            ("127.0.0.1:81", "127.0.0.1:80", false),
            ("127.0.0.2:80", "127.0.0.1:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", false),
            ("127.0.0.1:80", "0.0.0.0:80", false),
            ("0.0.0.0:0", "0.0.0.0:80", true),
            ("0.0.0.0:80", "[::]:80", true),
            ("[::]:80", "0.0.0.0:80", false),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("[fe80::1%2]:80", "[fe80::1%3]:80", false),
        ] {
            assert_eq!(
                tcp(wanted).is_met_by(&there(found)),
                meets,
                "{wanted} by {found}"
            );
        }
        let v6only = Description {
            v6only: true,
            ..there("[::]:80")
        };
        assert!(!tcp("0.0.0.0:80").is_met_by(&v6only));
        assert!(tcp("[::]:80").is_met_by(&v6only));
    }

    #[test]
    fn a_connection_or_another_kind_is_not_a_listener() {
        let connection = Description {
            accepting: false,
            ..there("127.0.0.1:80")
        };
        assert!(!tcp("127.0.0.1:80").is_met_by(&connection));
        let udp = Description {
            kind: Kind::Udp,
            ..connection
        };
        assert!(!tcp("127.0.0.1:80").is_met_by(&udp));
        assert!(!tcp("127.0.0.1:80").collides_with(&udp));
    }

    #[test]
    fn wildcards_stand_in_the_way() {
        assert!(tcp("0.0.0.0:80").collides_with(&there("127.0.0.1:80")));
        assert!(tcp("127.0.0.1:80").collides_with(&there("[::]:80")));
        assert!(!tcp("127.0.0.1:80").collides_with(&there("127.0.0.2:80")));
        assert!(!tcp("127.0.0.1:80").collides_with(&there("0.0.0.0:81")));
    }
}
