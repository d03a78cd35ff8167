//! Nodes for tests: chain, pool, network and consensus of each in a directory of its own, over loopback.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test has its own copy and uses a part of it"
)]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_chain::{Chain, Options, Pool, PoolSettings};
use baton_consensus::{Engine, EngineSettings, NodeKey, Patience, ProposerHandle};
use baton_ledger::state::Genesis;
use baton_ledger::{AssetId, Output, Params, program};
use baton_network::{Events, Network, PeerAddress, Settings};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// The longest that anything in these tests may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The key of a number.
pub fn key(number: u8) -> NodeKey {
    let mut bytes = Zeroizing::new([number; 64]);
    bytes[0] &= 0b1111_1000;
    bytes[31] = bytes[31] & 0b0001_1111 | 0b0100_0000;
    NodeKey::from_xprv(&bytes).unwrap()
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
    home: TempDir,
    number: u8,
    genesis: Genesis,
    validates: bool,
    pub settings: EngineSettings,
    pub options: Options,
    pub proposer: ProposerHandle,
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
        let home = tempfile::tempdir().unwrap();
        let mut settings = EngineSettings::new(home.path());
        settings.moniker = format!("node {number}");
        settings.patience = Patience {
            propose: Duration::from_millis(1000),
            prevote: Duration::from_millis(300),
            precommit: Duration::from_millis(300),
        };
        settings.status_interval = Duration::from_millis(200);
        Self {
            home,
            number,
            genesis: genesis.clone(),
            validates: true,
            settings,
            options: Options::default(),
            proposer: ProposerHandle::new(true, Some(program::p2wpkh(&[number; 20]))),
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
        let path = self.home.path().join("core.redb");
        let chain = Chain::open(&path, &self.genesis, self.options.clone()).unwrap();
        let pool = Pool::open(&chain, PoolSettings::default(), None).unwrap();
        let seed = Zeroizing::new([self.number; 32]);
        let name = hex(chain.genesis_hash().as_bytes());
        let mut settings = Settings::new(name, "solonet", seed, self.home.path());
        settings.listen = Some("127.0.0.1:0".parse().unwrap());
        settings.keep_dial = peers.to_vec();
        let (network, events) = Network::start(settings).await.unwrap();
        let Events {
            consensus,
            transactions,
        } = events;
        let engine = Engine::start(
            self.settings.clone(),
            chain.clone(),
            pool.clone(),
            network.clone(),
            consensus,
            self.validates.then(|| key(self.number)),
            self.proposer.clone(),
        )
        .await
        .unwrap();
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
        self.home.path()
    }

    pub fn guard(&self) -> PathBuf {
        self.home.path().join("consensus/guard")
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

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it is started")
    }
}

/// Waits for something, but not for ever.
pub async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, wait).await {
        Ok(value) => value,
        Err(_) => panic!("not within {LIMIT:?}: {what}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Logs what the variable LOG says, such as `baton_consensus=info,warn`.
pub fn log() {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::prelude::*;
    let wanted = std::env::var("LOG").unwrap_or_default();
    let filter: Targets = wanted.parse().unwrap_or_default();
    let layer = tracing_subscriber::fmt::layer().with_test_writer();
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
}
