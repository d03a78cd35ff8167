//! The API over a chain that this process decides on alone: for trying clients and for measuring. A node has consensus, peers and a
//! home instead; see `batond`.
//!
//! `cargo run -p baton-api --example alone -- 127.0.0.1:9888 /tmp/alone [milliseconds from block to block]`

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use baton_api::{
    Api, ApiSettings, Health, Later, Mining, Parts, PeerInfo, Peers, PlanSigner, Rescan, Standing,
    feeds::Feeds, tokens::Tokens,
};
use baton_chain::{
    Chain, Committed, Decision, Options, Pool, PoolEvent, PoolSettings, trace::Tracer,
};
use baton_handover::{
    connections::{Connection, Registry},
    http::{HttpSettings, serve},
};
use baton_ledger::{Genesis, Hash, program};
use baton_wallet::{
    Wallet,
    keystore::{KeyStore, Settings},
    store::RedbStore,
};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

/// The key of the chain's only validator: no secret at all.
fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn xpub() -> [u8; 64] {
    let mut xpub = [7; 64];
    xpub[..32].copy_from_slice(key().verifying_key().as_bytes());
    xpub
}

struct OwnKey;

impl PlanSigner for OwnKey {
    fn sign(&self, message: &Hash) -> [u8; 64] {
        key().sign(message.as_bytes()).to_bytes()
    }
}

struct Nobody;

impl Peers for Nobody {
    fn standing(&self) -> Standing {
        Standing::default()
    }

    fn list(&self) -> Later<'_, Vec<PeerInfo>> {
        Box::pin(async { Vec::new() })
    }

    fn connect(&self, _: SocketAddr) -> Later<'_, Result<PeerInfo, String>> {
        Box::pin(async { Err("this node is alone".to_owned()) })
    }

    fn disconnect<'a>(&'a self, _: &'a str) -> Later<'a, bool> {
        Box::pin(async { false })
    }
}

/// Makes the blocks, and brings them to the wallet.
struct Maker {
    chain: Chain,
    pool: Pool,
    wallet: Arc<Wallet>,
    on: AtomicBool,
    pays: Mutex<Vec<u8>>,
}

impl Mining for Maker {
    fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    fn set(&self, on: bool, program: Option<Vec<u8>>) -> Result<(), String> {
        if let Some(program) = program {
            self.pay_to(program);
        }
        self.on.store(on, Relaxed);
        Ok(())
    }

    fn pay_to(&self, program: Vec<u8>) {
        *self.pays.lock().expect("nobody panics here") = program;
    }
}

impl Rescan for Maker {
    fn from(&self, height: u64) -> Result<(), String> {
        self.wallet
            .rescan(height)
            .map_err(|error| error.to_string())?;
        self.follow();
        Ok(())
    }
}

impl Maker {
    fn make(&self) -> Arc<Committed> {
        let now = u64::try_from(Timestamp::now().as_millisecond()).expect("after 1970");
        let interval = self.chain.params().block_interval_ms;
        let now = now.max(self.chain.tip().timestamp_ms + interval);
        let pays = self.pays.lock().expect("nobody panics here").clone();
        let draft = self
            .chain
            .draft(&self.pool, &pays, b"", now)
            .expect("a block can be made");
        self.chain
            .check(&draft.bytes, now, &self.pool)
            .expect("it is good");
        let committed = self.chain.commit(Decision {
            bytes: draft.bytes,
            certificate: Bytes::new(),
            round: 0,
            proposer: xpub(),
        });
        let committed = committed.expect("it is stored");
        self.pool.block_committed(&committed);
        committed
    }

    fn follow(&self) {
        let tip = self.chain.tip().height;
        let block = |height| self.chain.block(height).expect("the store is readable");
        let hash_at = |height| block(height).map(|block| block.hash());
        let resume = self
            .wallet
            .resume_point(Some(tip), hash_at)
            .expect("a wallet");
        for height in resume.next_height..=tip {
            let block = block(height).expect("up to the tip all are there");
            self.wallet
                .attach_block(&block.to_block())
                .expect("a wallet");
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let home = PathBuf::from(arguments.next().unwrap_or_else(|| "/tmp/alone".to_owned()));
    let interval = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    std::fs::create_dir_all(&home)?;

    let genesis = Genesis::solonet(xpub(), program::anyone())?;
    let options = Options {
        transaction_index: true,
        ..Options::default()
    };
    let chain = Chain::open(&home.join("core.redb"), &genesis, options)?;
    let pool = Pool::open(&chain, PoolSettings::default(), None)?;
    let store = RedbStore::open(home.join("wallet.redb"))?;
    let wallet = Arc::new(Wallet::open(store, chain.params().clone())?);
    let maker = Arc::new(Maker {
        chain: chain.clone(),
        pool: pool.clone(),
        wallet: wallet.clone(),
        on: AtomicBool::new(false),
        pays: Mutex::new(wallet.mining_program()?.unwrap_or_else(program::anyone)),
    });
    let registry = Registry::new();
    let (_health, health) = watch::channel(Health::SERVING);
    let parts = Parts {
        wallet: Some(wallet.clone()),
        keys: Some(Arc::new(KeyStore::new(
            home.join("keystore"),
            Settings::default(),
        )?)),
        tokens: Arc::new(Tokens::open(&home.join("accesstoken.redb"))?),
        feeds: Arc::new(Feeds::open(&home.join("txfeeds.redb"))?),
        peers: Arc::new(Nobody),
        mining: maker.clone(),
        rescan: maker.clone(),
        tracer: Some(Tracer::open(&home.join("trace.redb"), &chain)?),
        health,
        node_xpub: xpub(),
        plan_signer: Some(Arc::new(OwnKey)),
        figures: None,
        network_id: chain.params().chain_id.clone(),
        version: "2.0.6".to_owned(),
        websockets: registry.kind("websocket"),
        chain,
        pool: pool.clone(),
    };
    let api = Api::new(ApiSettings::default(), parts);
    let telling = api.clone();
    tokio::spawn(async move { telling.run().await });

    std::thread::spawn({
        let (wallet, mut events) = (wallet, pool.events());
        move || {
            while let Ok(event) = events.blocking_recv() {
                match event {
                    PoolEvent::Added(pooled, _) => {
                        let transaction = pooled.transaction.transaction();
                        if let Err(error) = wallet.add_unconfirmed(transaction, Timestamp::now()) {
                            eprintln!("{error}");
                        }
                    }
                    PoolEvent::Removed(id, _) => wallet.remove_unconfirmed(&id),
                }
            }
        }
    });
    std::thread::spawn(move || {
        maker.follow();
        loop {
            std::thread::sleep(Duration::from_millis(interval));
            if maker.is_on() {
                maker.make();
                maker.follow();
            }
        }
    });

    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}", listener.local_addr()?);
    let (kind, (arrived, arrivals)) = (registry.kind("http"), mpsc::channel(1));
    let accepting = kind.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let connection = Connection::new(stream, accepting.seat());
            if arrived.send(connection).await.is_err() {
                return;
            }
        }
    });
    let settings = HttpSettings {
        http2: false,
        ..HttpSettings::default()
    };
    serve(&kind, arrivals, api, &settings).await;
    Ok(())
}
