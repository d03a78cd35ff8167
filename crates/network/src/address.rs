//! Where a peer can be dialled: one type for what operators write and what multiaddrs say.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use crate::identity;

/// The longest text that is parsed as an address: a DNS name has 253 bytes at most, a key in hex 64.
const MAX_TEXT: usize = 512;

/// A peer's address: a host, a TCP port and, if it is known, the peer's key.
///
/// Written `host:port`, `ip:port`, `[ipv6]:port`, each optionally preceded by `<64 hex of the peer's key>@`, or as a multiaddr
/// (`/dns4/host/tcp/46657/p2p/…`). A `tcp://` before it, as in `p2p.laddr`, is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerAddress {
    host: Host,
    port: u16,
    peer: Option<PeerId>,
}

/// A host by number or by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// An IP address.
    Ip(IpAddr),
    /// A DNS name, lower case, without the last dot.
    Name(String),
}

/// Why a text is not a [`PeerAddress`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Longer than any address.
    #[error("a peer address of {0} bytes; at most {MAX_TEXT} make sense")]
    TooLong(usize),
    /// No `:port` at the end.
    #[error("peer address `{0}` has no port; write host:port")]
    NoPort(String),
    /// The port is not 1 to 65535.
    #[error("peer address `{0}` has a port that is not a number from 1 to 65535")]
    Port(String),
    /// Neither an IP address nor a DNS name.
    #[error("peer address `{0}` has a host that is neither an IP address nor a DNS name")]
    Host(String),
    /// What stands before `@` is not 64 hex digits of an ed25519 public key.
    #[error("peer address `{0}` has a key that is not the 64 hex digits of an ed25519 public key")]
    Key(String),
    /// A multiaddr of another transport, or a broken one.
    #[error("peer address `{0}` is not a TCP multiaddr such as /ip4/192.0.2.1/tcp/46657")]
    Multiaddr(String),
}

impl PeerAddress {
    /// An address by number; the peer's key is not known.
    pub fn from_socket(address: SocketAddr) -> Self {
        Self {
            host: Host::Ip(address.ip()),
            port: address.port(),
            peer: None,
        }
    }

    /// The same address, of the peer with this id.
    #[must_use]
    pub fn with_peer(mut self, peer: PeerId) -> Self {
        self.peer = Some(peer);
        self
    }

    /// The same address, of nobody in particular.
    #[must_use]
    pub fn without_peer(mut self) -> Self {
        self.peer = None;
        self
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The IP address, unless the host is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ip(ip) => Some(ip),
            Host::Name(_) => None,
        }
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The peer, if the address says who it is.
    pub fn peer(&self) -> Option<PeerId> {
        self.peer
    }

    /// As libp2p dials it, without the peer.
    pub fn to_multiaddr(&self) -> Multiaddr {
        let host = match &self.host {
            Host::Ip(IpAddr::V4(ip)) => Protocol::Ip4(*ip),
            Host::Ip(IpAddr::V6(ip)) => Protocol::Ip6(*ip),
            Host::Name(name) => Protocol::Dns(name.clone().into()),
        };
        Multiaddr::empty().with(host).with(Protocol::Tcp(self.port))
    }

    /// The address of a TCP multiaddr: host, port and optionally the peer, nothing else.
    pub fn from_multiaddr(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let host = match parts.next()? {
            Protocol::Ip4(ip) => Host::Ip(ip.into()),
            Protocol::Ip6(ip) => Host::Ip(ip.into()),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
                Host::Name(dns_name(&name)?)
            }
            _ => return None,
        };
        let Protocol::Tcp(port) = parts.next()? else {
            return None;
        };
        let peer = match parts.next() {
            None => None,
            Some(Protocol::P2p(peer)) => Some(peer),
            Some(_) => return None,
        };
        (port != 0 && parts.next().is_none()).then_some(Self { host, port, peer })
    }
}

/// A DNS name in its one spelling, or nothing if it is none.
fn dns_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-')
    };
    // "1.2.3" and "300.1.1.1" are mistyped numbers, not names
    let numeric = name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    (name.len() <= 253 && !numeric && name.split('.').all(label)).then(|| name.to_ascii_lowercase())
}

impl FromStr for PeerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(AddressError::TooLong(text.len()));
        }
        let fail = |error: fn(String) -> AddressError| error(text.to_owned());
        if text.starts_with('/') {
            return text
                .parse()
                .ok()
                .and_then(|address| Self::from_multiaddr(&address))
                .ok_or_else(|| fail(AddressError::Multiaddr));
        }
        let rest = text.strip_prefix("tcp://").unwrap_or(text);
        let (peer, rest) = match rest.split_once('@') {
            Some((key, rest)) => (
                Some(identity::peer_from_hex(key).ok_or_else(|| fail(AddressError::Key))?),
                rest,
            ),
            None => (None, rest),
        };
        let (host, port) = rest
            .rsplit_once(':')
            .ok_or_else(|| fail(AddressError::NoPort))?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port.parse() {
            Ok(port) if digits && port != 0 => port,
            _ => return Err(fail(AddressError::Port)),
        };
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match (bracketed, host.parse::<IpAddr>()) {
            (Some(inner), _) => inner.parse::<Ipv6Addr>().ok().map(|ip| Host::Ip(ip.into())),
            (None, Ok(IpAddr::V4(ip))) => Some(Host::Ip(ip.into())),
            // "::1:80" could be read in two ways
            (None, Ok(IpAddr::V6(_))) => None,
            (None, Err(_)) => dns_name(host).map(Host::Name),
        };
        Ok(Self {
            host: host.ok_or_else(|| fail(AddressError::Host))?,
            port,
            peer,
        })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = &self.peer {
            match identity::key_of(peer) {
                Some(key) => write!(f, "{}@", hex::encode(key))?,
                // a peer with another kind of key has no short form
                None => return write!(f, "{}/p2p/{peer}", self.to_multiaddr()),
            }
        }
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Ip(ip) => write!(f, "{ip}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::from_socket(address)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn parse(text: &str) -> Result<PeerAddress, AddressError> {
        text.parse()
    }

    #[test]
    fn what_operators_write_is_understood() {
        for (text, shown) in [
            ("127.0.0.1:46657", "127.0.0.1:46657"),
            (" tcp://0.0.0.0:46656 ", "0.0.0.0:46656"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1"),
            ("Seed.Example.:65535", "seed.example:65535"),
            ("/dns4/seed.example/tcp/9", "seed.example:9"),
            ("/ip6/::1/tcp/9", "[::1]:9"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown, "{text}");
        }
        let keyed = parse(&format!("{KEY}@seed.example:46657")).unwrap();
        assert_eq!(keyed.to_string(), format!("{KEY}@seed.example:46657"));
        let peer = keyed.peer().unwrap();
        assert_eq!(identity::peer_hex(&peer), KEY);
        let multiaddr = format!("/dns/seed.example/tcp/46657/p2p/{peer}");
        assert_eq!(parse(&multiaddr).unwrap(), keyed);
    }

    #[test]
    fn what_they_mistype_is_named() {
        use AddressError as E;
        for (text, error) in [
            ("seed.example", E::NoPort as fn(String) -> E),
            ("", E::NoPort),
            ("seed.example:", E::Port),
            ("seed.example:0", E::Port),
            ("seed.example:65536", E::Port),
            ("seed.example:+80", E::Port),
            ("1.2.3:80", E::Host),
            ("300.1.1.1:80", E::Host),
            ("::1:80", E::Host),
            ("[1.2.3.4]:80", E::Host),
            ("-x.example:80", E::Host),
            ("a..b:80", E::Host),
            (":80", E::Host),
            ("1234@seed.example:80", E::Key),
            ("/ip4/1.2.3.4/udp/5/quic-v1", E::Multiaddr),
            ("/ip4/1.2.3.4/tcp/5/ws", E::Multiaddr),
            ("/nonsense", E::Multiaddr),
        ] {
            assert_eq!(parse(text), Err(error(text.to_owned())), "{text}");
        }
        assert_eq!(parse(&"x".repeat(600)), Err(E::TooLong(600)));
    }

    prop_compose! {
        fn any_address()(
            ip in any::<IpAddr>(),
            name in "[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z]{2,5}){0,3}",
            named in any::<bool>(),
            port in 1..=u16::MAX,
            seed in any::<Option<[u8; 32]>>(),
        ) -> PeerAddress {
            let host = if named { Host::Name(name) } else { Host::Ip(ip) };
            let peer = seed.map(|seed| identity::keypair(&seed.into()).public().to_peer_id());
            PeerAddress { host, port, peer }
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_understood(address in any_address()) {
            prop_assert_eq!(parse(&address.to_string()), Ok(address.clone()));
            let multiaddr = address.to_multiaddr();
            prop_assert_eq!(PeerAddress::from_multiaddr(&multiaddr), Some(address.without_peer()));
        }

        #[test]
        fn nothing_makes_it_panic_and_what_it_takes_it_shows_again(text in "[a-f0-9@:./\\[\\]a-zA-Z_-]{0,90}|\\PC{0,60}") {
            if let Ok(address) = parse(&text) {
                prop_assert_eq!(parse(&address.to_string()), Ok(address));
            }
        }
    }
}
