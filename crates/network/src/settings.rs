//! What a node tells its network, and the limits it keeps.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::{PeerAddress, Topic};

/// Everything that [`Network::start`](crate::Network::start) needs to know. Start from [`Settings::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What tells this chain from all others, such as its genesis hash in hex. It is part of every protocol's name: a node of another
    /// chain is not spoken to. At most 128 letters, digits, `-`, `_` and `.`.
    pub chain: String,
    /// The network's name (`chain_id` of bytomd: `mainnet`, `solonet`). Same alphabet as `chain`, at most 64.
    pub network_id: String,
    /// The seed of this node's ed25519 key: its identity among peers.
    pub identity_seed: Zeroizing<[u8; 32]>,
    /// Where to accept peers; `None` accepts none. Port 0 lets the kernel choose.
    pub listen: Option<SocketAddr>,
    /// Vault mode: nothing is listened to, nobody is dialled or discovered.
    pub vault: bool,
    /// Peers that know others. Dialled when there are too few peers.
    pub seeds: Vec<PeerAddress>,
    /// Peers to which a connection is always kept (`p2p.keep_dial`).
    pub keep_dial: Vec<PeerAddress>,
    /// Peers at which inbound connections are refused (`p2p.max_num_peers`).
    pub max_peers: usize,
    /// Outbound connections to keep to peers that were discovered.
    pub outbound_peers: usize,
    /// Look for peers on the local network by multicast DNS (`p2p.lan_discoverable`).
    pub lan_discoverable: bool,
    /// Ask the router to forward the port (the opposite of `p2p.skip_upnp`).
    pub upnp: bool,
    /// From an accepted socket to a peer that has proven to be of this chain.
    pub handshake_timeout: Duration,
    /// From the resolution of a name to a connected socket.
    pub dial_timeout: Duration,
    /// SOCKS5 proxy through which peers are dialled; names are resolved by the proxy.
    pub proxy: Option<Proxy>,
    /// The node's name as others see it. Longer than 64 bytes is cut.
    pub moniker: String,
    /// The node's version as others see it.
    pub version: String,
    /// Where the address book and the bans are kept. Created if it is missing.
    pub directory: PathBuf,
    /// The limits.
    pub limits: Limits,
}

/// A SOCKS5 proxy (RFC 1928), with a password if it asks for one (RFC 1929).
#[derive(Clone)]
pub struct Proxy {
    /// The proxy, as `host:port`.
    pub address: PeerAddress,
    /// User name and password.
    pub login: Option<(String, Zeroizing<String>)>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("login", &self.login.is_some())
            .finish()
    }
}

/// Bounds on what peers can make this node hold, and on what this node waits for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest message on [`Topic::Consensus`](crate::Topic::Consensus) and [`Topic::Liveness`](crate::Topic::Liveness), in bytes.
    pub vote_bytes: usize,
    /// Largest message on [`Topic::Proposals`](crate::Topic::Proposals), in bytes.
    pub proposal_bytes: usize,
    /// Largest message on [`Topic::Transactions`](crate::Topic::Transactions), in bytes.
    pub transaction_bytes: usize,
    /// Largest request, in bytes.
    pub request_bytes: usize,
    /// Largest response, in bytes.
    pub response_bytes: usize,
    /// Largest status, in bytes.
    pub status_bytes: usize,
    /// From sending a request to its whole response.
    pub request_timeout: Duration,
    /// Requests of one peer that wait for our answer; further ones are refused.
    pub inbound_requests_per_peer: usize,
    /// Requests of all peers that wait for our answer; further ones are refused.
    pub inbound_requests: usize,
    /// Requests of ours that wait for answers; further ones fail at once.
    pub outbound_requests: usize,
    /// Peers at one public IP address.
    pub peers_per_ip: usize,
    /// How long an outbound peer that was discovered is held on to. Then it may be exchanged for another, so that groups of nodes that know
    /// only each other, because all others were full when they came, do not stay alone.
    pub change_peers: Duration,
    /// Events that wait to be taken, for each lane. When the consensus lane is full nothing more is read from peers; when the
    /// transactions lane is full, further transactions are dropped and counted.
    pub events: usize,
    /// Addresses remembered.
    pub addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            vote_bytes: 256 << 10,
            // a part of 1 MiB and its envelope
            proposal_bytes: (1 << 20) + (64 << 10),
            transaction_bytes: 256 << 10,
            request_bytes: 64 << 10,
            response_bytes: 16 << 20,
            status_bytes: 4 << 10,
            request_timeout: Duration::from_secs(30),
            inbound_requests_per_peer: 8,
            inbound_requests: 64,
            outbound_requests: 256,
            peers_per_ip: 8,
            change_peers: Duration::from_mins(10),
            events: 1024,
            addresses: 1024,
        }
    }
}

impl Settings {
    /// Settings with bytomd's defaults: 20 peers, 4 outbound, 30 s for the handshake, 3 s for a dial; no listener, no seeds, neither LAN
    /// discovery nor port forwarding.
    pub fn new(
        chain: impl Into<String>,
        network_id: impl Into<String>,
        identity_seed: Zeroizing<[u8; 32]>,
        directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            chain: chain.into(),
            network_id: network_id.into(),
            identity_seed,
            listen: None,
            vault: false,
            seeds: Vec::new(),
            keep_dial: Vec::new(),
            max_peers: 20,
            outbound_peers: 4,
            lan_discoverable: false,
            upnp: false,
            handshake_timeout: Duration::from_secs(30),
            dial_timeout: Duration::from_secs(3),
            proxy: None,
            moniker: "anonymous".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            directory: directory.into(),
            limits: Limits::default(),
        }
    }
}

impl Limits {
    /// The largest message on a topic, in bytes.
    pub fn gossip_bytes(&self, topic: Topic) -> usize {
        match topic {
            Topic::Consensus | Topic::Liveness => self.vote_bytes,
            Topic::Proposals => self.proposal_bytes,
            Topic::Transactions => self.transaction_bytes,
        }
    }
}
