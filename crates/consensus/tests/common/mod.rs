//! Nodes for tests: chain, pool, network and consensus of each in a directory of its own, over loopback.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test has its own copy and uses a part of it"
)]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_chain::{Chain, Options, Origin, Pool, PoolSettings};
use baton_consensus::{Engine, EngineSettings, NodeKey, Patience, ProposerHandle, Status};
use baton_ledger::state::Genesis;
use baton_ledger::transaction::{Spend, SpentOutput};
use baton_ledger::upgrade::{Decision, Message, Plan, SignedMessage, Vote};
use baton_ledger::{AssetId, Input, InputKind, Mapped, Output, Params, Transaction, program};
use baton_network::{Events, Network, PeerAddress, Settings};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// The longest that anything in these tests may take.
pub const LIMIT: Duration = Duration::from_mins(1);

/// The key of a number.
pub fn key(number: u8) -> NodeKey {
    NodeKey::from_xprv(&xprv(number)).unwrap()
}

fn xprv(number: u8) -> Zeroizing<[u8; 64]> {
    let mut bytes = Zeroizing::new([number; 64]);
    bytes[0] &= 0b1111_1000;
    bytes[31] = bytes[31] & 0b0001_1111 | 0b0100_0000;
    bytes
}

/// A chain whose federation is the keys of these numbers, with a block every `interval_ms`.
pub fn genesis(federation: &[u8], interval_ms: u64) -> Genesis {
    genesis_with(federation, interval_ms, |_| {}, Vec::new())
}

/// The same with other parameters and more outputs.
pub fn genesis_with(
    federation: &[u8],
    interval_ms: u64,
    change: impl FnOnce(&mut Params),
    mut outputs: Vec<Output>,
) -> Genesis {
    let federation = federation.iter().map(|number| key(*number).xpub());
    let mut params = Params {
        block_interval_ms: interval_ms,
        ..Params::solonet(federation.collect())
    };
    change(&mut params);
    let supply = 1_000_000 * 100_000_000;
    outputs.insert(0, Output::original(AssetId::BTM, supply, program::anyone()));
    Genesis::new(params, outputs).unwrap()
}

/// A node.
pub struct Node {
    home: PathBuf,
    /// Removed when the node is dropped; a process that was killed leaves its home behind.
    temporary: Option<TempDir>,
    number: u8,
    genesis: Genesis,
    validates: bool,
    pub settings: EngineSettings,
    pub options: Options,
    pub proposer: ProposerHandle,
    /// The seed of its identity among peers.
    pub seed: u8,
    running: Option<Running>,
}

struct Running {
    chain: Chain,
    pool: Pool,
    network: Network,
    engine: Engine,
    transactions: baton_network::Lane,
}

impl Node {
    /// A node with the key of a number, that is not started.
    pub fn new(number: u8, genesis: &Genesis) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path().to_owned();
        Self {
            temporary: Some(temporary),
            ..Self::at(home, number, genesis)
        }
    }

    /// The same in a home that is there.
    pub fn at(home: PathBuf, number: u8, genesis: &Genesis) -> Self {
        let mut settings = EngineSettings::new(&home);
        settings.moniker = format!("node {number}");
        settings.patience = Patience {
            propose: Duration::from_secs(1),
            prevote: Duration::from_millis(300),
            precommit: Duration::from_millis(300),
        };
        settings.status_interval = Duration::from_millis(200);
        settings.listen_first = Duration::from_millis(300);
        Self {
            home,
            temporary: None,
            number,
            genesis: genesis.clone(),
            validates: true,
            settings,
            options: Options::default(),
            proposer: ProposerHandle::new(true, Some(program::p2wpkh(&[number; 20]))),
            seed: number,
            running: None,
        }
    }

    /// A node without a key to sign with.
    pub fn follower(number: u8, genesis: &Genesis) -> Self {
        Self {
            validates: false,
            ..Self::new(number, genesis)
        }
    }

    /// Starts it, with a connection to others.
    pub async fn start(&mut self, peers: &[PeerAddress]) {
        assert!(self.running.is_none(), "it runs already");
        let path = self.home.join("core.redb");
        let chain = Chain::open(&path, &self.genesis, self.options.clone()).unwrap();
        let pool = Pool::open(&chain, PoolSettings::default(), None).unwrap();
        let seed = Zeroizing::new([self.seed; 32]);
        let name = hex::encode(chain.genesis_hash().as_bytes());
        let mut settings = Settings::new(name, "solonet", seed, &self.home);
        settings.listen = Some("127.0.0.1:0".parse().unwrap());
        settings.keep_dial = peers.to_vec();
        let (network, events) = Network::start(settings).await.unwrap();
        let Events {
            consensus,
            transactions,
        } = events;
        let opening = Engine::open(
            self.settings.clone(),
            chain.clone(),
            pool.clone(),
            network.clone(),
            self.validates.then(|| key(self.number)),
            self.proposer.clone(),
        );
        let mut engine = opening.await.unwrap();
        engine.begin(consensus).await.unwrap();
        self.running = Some(Running {
            chain,
            pool,
            network,
            engine,
            transactions,
        });
    }

    /// Stops it in order.
    pub async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.engine.stop().await.unwrap();
        running.network.shutdown().await;
        drop(running.pool);
        running.chain.close();
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    pub fn guard(&self) -> PathBuf {
        self.home.join("consensus/guard")
    }

    pub fn chain(&self) -> &Chain {
        &self.running().chain
    }

    pub fn pool(&self) -> &Pool {
        &self.running().pool
    }

    pub fn engine(&self) -> &Engine {
        &self.running().engine
    }

    pub fn network(&self) -> &Network {
        &self.running().network
    }

    /// Where others reach it.
    pub fn address(&self) -> PeerAddress {
        self.network().listen_addresses()[0].clone()
    }

    pub fn height(&self) -> u64 {
        self.chain().tip().height
    }

    /// Waits until its chain has this height.
    pub async fn reaches(&self, height: u64) {
        let mut tips = self.chain().watch();
        let wait = tips.wait_for(|tip| tip.height >= height);
        let what = format!(
            "node {} at {} of {height}: {:?}",
            self.number,
            self.height(),
            self.engine()
        );
        within(&what, wait).await.unwrap();
    }

    /// Submits a transaction, as a client of this node.
    pub fn submit(&self, transaction: Transaction) {
        self.pool().submit(transaction, Origin::Local).unwrap();
    }

    /// Waits until its status is as wanted.
    pub async fn shows(&self, what: &str, wanted: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.engine().watch();
        let shown = within(what, status.wait_for(wanted)).await;
        shown.unwrap().clone()
    }

    /// Whether its chain does not come to this height within half a second.
    pub async fn stays_below(&self, height: u64) -> bool {
        let mut tips = self.chain().watch();
        let wait = tips.wait_for(|tip| tip.height >= height);
        tokio::time::timeout(Duration::from_millis(500), wait)
            .await
            .is_err()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it is started")
    }
}

/// Waits for something, but not for ever.
pub async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(LIMIT, wait).await;
    waited.unwrap_or_else(|_| panic!("not within {LIMIT:?}: {what}"))
}

/// Logs what the variable LOG says, such as `baton_consensus=info,warn`.
pub fn log() {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::prelude::*;
    let wanted = std::env::var("LOG").unwrap_or_default();
    let filter: Targets = wanted.parse().unwrap_or_default();
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
}

/// An output that anyone may spend; the genesis has one to begin with.
pub struct Purse {
    output: SpentOutput,
}

/// The block that can first spend what the genesis gives: its outputs are those of a coinbase.
pub const GENESIS_MATURES: u64 = 10;
const FEE_NEU: u64 = 20_000_000;

impl Purse {
    pub fn of(genesis: &Genesis) -> Self {
        let supply = Mapped::from(genesis.block().transactions[0].clone());
        Self::with(&supply, 0)
    }

    fn with(mapped: &Mapped, position: usize) -> Self {
        let output = &mapped.transaction().outputs[position];
        Self {
            output: SpentOutput {
                source_id: mapped.entries().mux_id,
                asset_id: AssetId::BTM,
                amount: output.amount,
                source_position: position as u64,
                control_program: program::anyone(),
                state_data: Vec::new(),
                suffix: Vec::new(),
            },
        }
    }

    /// A transaction with these outputs; what is left but for the fee is the purse from now on.
    pub fn pay(&mut self, mut outputs: Vec<Output>) -> Transaction {
        let paid: u64 = outputs.iter().map(|output| output.amount).sum();
        let rest = self.output.amount - paid - FEE_NEU;
        outputs.push(Output::original(AssetId::BTM, rest, program::anyone()));
        let spend = Spend {
            output: self.output.clone(),
            arguments: Vec::new(),
        };
        let transaction = Transaction {
            version: 1,
            time_range: 0,
            inputs: vec![Input::from(InputKind::Spend(spend))],
            outputs,
        };
        let last = transaction.outputs.len() - 1;
        *self = Self::with(&Mapped::from(transaction.clone()), last);
        transaction
    }
}

/// A vote for the key of a number.
pub fn vote(number: u8, amount_neu: u64) -> Output {
    Output::vote(amount_neu, program::anyone(), key(number).xpub().to_vec())
}

/// The output of a plan that the federation, whose keys are of these numbers, has signed.
pub fn plan(genesis: &Genesis, federation: &[u8], name: &str, height: u64) -> Output {
    let message = Message {
        sequence: 0,
        decision: Decision::Schedule(Plan {
            name: name.to_owned(),
            height,
            info: "{}".to_owned(),
        }),
    };
    let chain_id = &genesis.params().chain_id;
    let hash = message.signature_hash(chain_id, &genesis.block().header.hash());
    let votes = federation.iter().enumerate().map(|(member, number)| Vote {
        member,
        signature: sign(*number, hash.as_bytes()),
    });
    let signed = SignedMessage {
        votes: votes.collect(),
        message,
    };
    Output::original(AssetId::BTM, 1, signed.program())
}

/// Signs as any program would that has the node's key.
fn sign(number: u8, message: &[u8]) -> [u8; 64] {
    let bytes = xprv(number);
    let mut mac = <hmac::Hmac<sha2::Sha512> as hmac::Mac>::new_from_slice(b"Expand").unwrap();
    hmac::Mac::update(&mut mac, bytes.as_slice());
    let expanded = hmac::Mac::finalize(mac).into_bytes();
    let secret = ed25519_dalek::hazmat::ExpandedSecretKey {
        scalar: curve25519_dalek::Scalar::from_bytes_mod_order(bytes[..32].try_into().unwrap()),
        hash_prefix: expanded[32..].try_into().unwrap(),
    };
    let public = ed25519_dalek::VerifyingKey::from(&secret);
    ed25519_dalek::hazmat::raw_sign::<sha2::Sha512>(&secret, message, &public).to_bytes()
}

/// Copies the files of a directory, and those of the directories in it, over what is there.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}
