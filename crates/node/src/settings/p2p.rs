//! The settings for peers.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// What was decided about peers.
#[derive(Debug, Clone)]
pub struct P2p {
    /// Where they connect to.
    pub laddr: SocketAddr,
    /// Those to begin with.
    pub seeds: Vec<PeerAddress>,
    /// Those that are always dialled again.
    pub keep_dial: Vec<PeerAddress>,
    /// The most at once.
    pub max_peers: usize,
    /// Whether mDNS is used.
    pub lan_discoverable: bool,
    /// Whether the router is asked for a port.
    pub upnp: bool,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How long dialling may take.
    pub dial_timeout: Duration,
}

/// A peer's `host:port`; the host may be a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// An IP address or a name.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for PeerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("tcp://").unwrap_or(text);
        let parts = bare.rsplit_once(':').and_then(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let port = port.parse().ok().filter(|port| *port != 0)?;
            let fits = !host.is_empty() && host.len() < 256 && !host.contains(['/', ' ']);
            fits.then(|| (host.to_owned(), port))
        });
        let (host, port) =
            parts.ok_or_else(|| format!("{text:?} is not a peer's address: host:port wanted"))?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_have_a_host_and_a_port() {
        for text in ["1.2.3.4:46656", "seed.example.com:1", "[2001:db8::1]:9"] {
            let peer: PeerAddress = text.parse().unwrap();
            assert_eq!(peer.to_string(), text);
        }
        for text in [
            "1.2.3.4",
            "a:0",
            "a:70000",
            ":1",
            "a b:1",
            "/ip4/1.2.3.4/tcp/1",
        ] {
            assert!(text.parse::<PeerAddress>().is_err(), "{text}");
        }
    }
}
