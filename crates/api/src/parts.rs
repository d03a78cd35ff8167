//! What a namespace gives its API: its parts, and what it does for the API by traits, so that this crate needs to know neither
//! consensus nor peers.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use baton_chain::{Chain, Pool, trace::Tracer};
use baton_handover::connections::Kind;
use baton_ledger::{Hash, params::Xpub};
use baton_wallet::{Wallet, keystore::KeyStore};
use serde::Serialize;
use tokio::sync::watch;

use crate::{feeds::Feeds, tokens::Tokens};

/// An answer that is waited for.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The parts of one namespace.
pub struct Parts {
    /// The blocks and what follows from them.
    pub chain: Chain,
    /// The transactions to come.
    pub pool: Pool,
    /// The wallet, unless it is disabled.
    pub wallet: Option<Arc<Wallet>>,
    /// The keys. Without the wallet they are not asked for.
    pub keys: Option<Arc<KeyStore>>,
    /// Who is let in.
    pub tokens: Arc<Tokens>,
    /// The transactions that clients watch for.
    pub feeds: Arc<Feeds>,
    /// Peers and the state of synchronisation.
    pub peers: Arc<dyn Peers>,
    /// The proposer of blocks.
    pub mining: Arc<dyn Mining>,
    /// Whoever brings blocks to the wallet.
    pub rescan: Arc<dyn Rescan>,
    /// The instances of contracts that are followed.
    pub tracer: Option<Tracer>,
    /// How the namespace is.
    pub health: watch::Receiver<Health>,
    /// This node's key.
    pub node_xpub: Xpub,
    /// Signs upgrade plans with this node's key.
    pub plan_signer: Option<Arc<dyn PlanSigner>>,
    /// What other parts count, for `/metrics`.
    pub figures: Option<Arc<dyn Figures>>,
    /// The name of its network, `chain_id`.
    pub network_id: String,
    /// The version of this program.
    pub version: String,
    /// WebSockets take their seats here, so that they can be moved to another process.
    pub websockets: Kind,
}

/// Peers: who there is, and whether they know more than we do.
pub trait Peers: Send + Sync {
    /// What is known without asking anybody. Must not block: every `net-info` asks it.
    fn standing(&self) -> Standing;
    /// All peers.
    fn list(&self) -> Later<'_, Vec<PeerInfo>>;
    /// Connects to a peer; the error says why that is not possible.
    fn connect(&self, address: SocketAddr) -> Later<'_, Result<PeerInfo, String>>;
    /// Disconnects a peer; false if there is none with this id.
    fn disconnect<'a>(&'a self, peer_id: &'a str) -> Later<'a, bool>;
}

/// What a node knows of its peers at any moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether peers can connect to this node.
    pub listening: bool,
    /// Whether this node is behind its peers.
    pub syncing: bool,
    /// How many peers there are.
    pub peers: usize,
    /// The greatest height that any peer told of; 0 without peers.
    pub highest_height: u64,
}

/// A peer, as `list-peers` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PeerInfo {
    /// Its name in the network.
    pub peer_id: String,
    /// What its operator calls it.
    pub moniker: String,
    /// Where it is.
    pub remote_addr: String,
    /// Its height.
    pub height: u64,
    /// How long it takes to answer, such as `1.5ms`.
    pub ping: String,
    /// How long it has been connected, such as `2m3s`.
    pub duration: String,
    /// Bytes sent to it.
    pub total_sent: i64,
    /// Bytes received from it.
    pub total_received: i64,
    /// Bytes a second since it is connected.
    pub average_sent_rate: i64,
    /// Bytes a second since it is connected.
    pub average_received_rate: i64,
    /// Bytes a second of late.
    pub current_sent_rate: i64,
    /// Bytes a second of late.
    pub current_received_rate: i64,
}

/// The proposer of blocks.
pub trait Mining: Send + Sync {
    /// Whether this node proposes blocks. Must not block.
    fn is_on(&self) -> bool;
    /// Begins or ends proposing; with the program to which rewards are to be paid. May block.
    fn set(&self, on: bool, program: Option<Vec<u8>>) -> Result<(), String>;
    /// Rewards are to be paid to this program from now on. May block.
    fn pay_to(&self, program: Vec<u8>);
}

/// Whoever brings the chain's blocks to the wallet.
pub trait Rescan: Send + Sync {
    /// Brings the wallet the blocks from this height on again; answers as soon as that has begun. May block.
    fn from(&self, height: u64) -> Result<(), String>;
}

/// Signs upgrade plans with this node's key, the ed25519 key that the first half of `node_xpub` is.
pub trait PlanSigner: Send + Sync {
    /// The signature of a [plan message](baton_ledger::upgrade::Message::signature_hash).
    fn sign(&self, message: &Hash) -> [u8; 64];
}

/// Parts that count what they do, and that the API knows nothing of.
pub trait Figures: Send + Sync {
    /// What was counted; those of one name stand together. Must not block.
    fn figures(&self) -> Vec<Figure>;
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Its name in `/metrics`, after `baton_`.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether it only grows.
    pub grows: bool,
    /// What tells it from others of its name.
    pub label: Option<(&'static str, &'static str)>,
    /// Its value.
    pub value: u64,
}

/// How a namespace is, for those who watch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Where it is in its life.
    pub phase: Phase,
    /// What its chain does.
    pub chain: Progress,
    /// Why it is not as it should be; empty if all is well.
    pub troubles: Vec<String>,
    /// The height from which on it needs another program, if it waits for one.
    pub halted_at: Option<u64>,
}

/// Where a namespace is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its parts are being opened.
    Starting,
    /// It does its work.
    Serving,
    /// It finishes what it has begun.
    Stopping,
}

/// What a chain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// Blocks come, or will when there is something for them.
    Moving,
    /// Peers have blocks that are not here yet.
    CatchingUp,
    /// No block comes.
    Standing,
    /// No block can come before another program takes over.
    Halted,
    /// No block is wanted: the node has no peers on purpose.
    Offline,
}

impl Health {
    /// All is well.
    pub const SERVING: Self = Self {
        phase: Phase::Serving,
        chain: Progress::Moving,
        troubles: Vec::new(),
        halted_at: None,
    };

    /// Whether it can be sent work.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Serving && self.troubles.is_empty()
    }

    /// Whether it answers questions on what its chain is now.
    pub fn is_readable(&self) -> bool {
        self.phase == Phase::Serving
    }
}
