//! A namespace with everything but consensus and peers, whose API is asked as clients ask it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode},
};
use baton_api::{
    Api, ApiSettings, Health, Later, Mining, Parts, PeerInfo, Peers, PlanSigner, Rescan, Standing,
    feeds::Feeds, tokens::Tokens,
};
use baton_chain::{Chain, Decision, Options, Pool, PoolEvent, PoolSettings, trace::Tracer};
use baton_handover::connections::Registry;
use baton_ledger::{AssetId, Genesis, Hash, Output, Params};
use baton_wallet::{
    Wallet,
    keystore::{KeyStore, Settings, Strength},
    store::RedbStore,
};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::sync::{broadcast, watch};

/// The twelve words of the captured answers' first key.
pub const WORDS: &str =
    "season version dilemma crowd filter lecture trim strategy viable atom young oven";
/// Its public key.
pub const XPUB: &str = "96de0361f1aba7e629d1425c097a1035678020482fe865960ba03e90f844d0f15639a5eddb71ac901c7164f82e3c1250ed1ff05509f127f1c5cc1da45fa64df5";
/// The first address of its first account.
pub const ADDRESS: &str = "sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz";
pub const PROGRAM: &str = "0014132ecd507a05834f267427d0175b5b10c8fb521f";
pub const PASSWORD: &str = "pw123";
pub const BTM: u64 = 100_000_000;
/// How many outputs the genesis pays to that address, of 100 BTM each.
pub const COINS: usize = 20;

/// The key of the only member of the federation.
pub fn node_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

pub fn node_xpub() -> [u8; 64] {
    let mut xpub = [7; 64];
    xpub[..32].copy_from_slice(node_key().verifying_key().as_bytes());
    xpub
}

/// A chain that pays to the wallet from the beginning.
pub fn genesis() -> Genesis {
    let params = Params {
        coinbase_maturity_blocks: 2,
        ..Params::solonet(vec![node_xpub()])
    };
    let program = hex::decode(PROGRAM).unwrap();
    let output = Output::original(AssetId::BTM, 100 * BTM, program);
    Genesis::new(params, vec![output; COINS]).unwrap()
}

/// Peers that a test decides on.
#[derive(Default)]
pub struct FakePeers {
    pub standing: Mutex<Standing>,
    pub peers: Mutex<Vec<PeerInfo>>,
}

impl Peers for FakePeers {
    fn standing(&self) -> Standing {
        *self.standing.lock().unwrap()
    }

    fn list(&self) -> Later<'_, Vec<PeerInfo>> {
        Box::pin(async { self.peers.lock().unwrap().clone() })
    }

    fn connect(&self, address: SocketAddr) -> Later<'_, Result<PeerInfo, String>> {
        Box::pin(async move {
            if address.port() == 1 {
                return Err(format!(
                    "Error dial peer: dial tcp {address}: connection refused"
                ));
            }
            let peer = PeerInfo {
                peer_id: "peer".to_owned(),
                remote_addr: address.to_string(),
                ..PeerInfo::default()
            };
            self.peers.lock().unwrap().push(peer.clone());
            Ok(peer)
        })
    }

    fn disconnect<'a>(&'a self, peer_id: &'a str) -> Later<'a, bool> {
        Box::pin(async move {
            let mut peers = self.peers.lock().unwrap();
            let before = peers.len();
            peers.retain(|peer| peer.peer_id != peer_id);
            peers.len() < before
        })
    }
}

#[derive(Default)]
pub struct FakeMining {
    pub on: AtomicBool,
    pub program: Mutex<Option<Vec<u8>>>,
}

impl Mining for FakeMining {
    fn is_on(&self) -> bool {
        self.on.load(SeqCst)
    }

    fn set(&self, on: bool, program: Option<Vec<u8>>) -> Result<(), String> {
        self.on.store(on, SeqCst);
        if program.is_some() {
            *self.program.lock().unwrap() = program;
        }
        Ok(())
    }

    fn pay_to(&self, program: Vec<u8>) {
        *self.program.lock().unwrap() = Some(program);
    }
}

/// Brings the wallet its blocks when it is told to.
pub struct Follower {
    pub chain: Chain,
    pub wallet: Arc<Wallet>,
}

impl Follower {
    pub fn follow(&self) {
        let tip = self.chain.tip().height;
        let hash_at = |height| self.chain.block(height).unwrap().map(|block| block.hash());
        let resume = self.wallet.resume_point(Some(tip), hash_at).unwrap();
        for height in resume.next_height..=tip {
            let block = self.chain.block(height).unwrap().unwrap();
            self.wallet.attach_block(&block.to_block()).unwrap();
        }
    }
}

impl Rescan for Follower {
    fn from(&self, height: u64) -> Result<(), String> {
        self.wallet
            .rescan(height)
            .map_err(|error| error.to_string())?;
        self.follow();
        Ok(())
    }
}

struct NodeKey;

impl PlanSigner for NodeKey {
    fn sign(&self, message: &Hash) -> [u8; 64] {
        node_key().sign(message.as_bytes()).to_bytes()
    }
}

/// A namespace.
pub struct World {
    pub chain: Chain,
    pub pool: Pool,
    pub wallet: Arc<Wallet>,
    pub keys: Arc<KeyStore>,
    pub tokens: Arc<Tokens>,
    pub feeds: Arc<Feeds>,
    pub peers: Arc<FakePeers>,
    pub mining: Arc<FakeMining>,
    pub follower: Arc<Follower>,
    pub health: watch::Sender<Health>,
    pub registry: Registry,
    pub api: Api,
    events: Mutex<broadcast::Receiver<PoolEvent>>,
    pub dir: tempfile::TempDir,
}

/// What a world is made of.
pub struct Plan {
    pub genesis: Genesis,
    pub settings: ApiSettings,
    pub with_wallet: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            genesis: genesis(),
            settings: ApiSettings::default(),
            with_wallet: true,
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The `data` of a success.
    pub fn data(&self) -> Value {
        let json = self.json();
        assert_eq!(json["status"], "success", "{json}");
        json["data"].clone()
    }

    /// The code and the detail of what a handler refused.
    pub fn refusal(&self) -> (String, String) {
        let json = self.json();
        assert_eq!(self.status, StatusCode::OK, "{json}");
        assert_eq!(json["status"], "fail", "{json}");
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("error_detail"))
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(Plan::default())
    }

    pub fn with(plan: Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let options = Options {
            transaction_index: true,
            ..Options::default()
        };
        let chain = Chain::open(&path("core.redb"), &plan.genesis, options).unwrap();
        let pool = Pool::open(&chain, PoolSettings::default(), None).unwrap();
        let store = RedbStore::open(path("wallet.redb")).unwrap();
        let wallet = Arc::new(Wallet::open(store, chain.params().clone()).unwrap());
        let keys = KeyStore::new(
            path("keystore"),
            Settings {
                strength: Strength::BYTOMD,
                ..Settings::default()
            },
        );
        let keys = Arc::new(keys.unwrap());
        let tokens = Arc::new(Tokens::open(&path("accesstoken.redb")).unwrap());
        let feeds = Arc::new(Feeds::open(&path("txfeeds.redb")).unwrap());
        let tracer = Tracer::open(&path("trace.redb"), &chain).unwrap();
        let peers = Arc::new(FakePeers::default());
        let mining = Arc::new(FakeMining::default());
        let follower = Arc::new(Follower {
            chain: chain.clone(),
            wallet: wallet.clone(),
        });
        let (health, watching) = watch::channel(Health::SERVING);
        let registry = Registry::new();
        let with_wallet = plan.with_wallet;
        let parts = Parts {
            chain: chain.clone(),
            pool: pool.clone(),
            wallet: with_wallet.then(|| wallet.clone()),
            keys: with_wallet.then(|| keys.clone()),
            tokens: tokens.clone(),
            feeds: feeds.clone(),
            peers: peers.clone(),
            mining: mining.clone(),
            rescan: follower.clone(),
            tracer: Some(tracer),
            health: watching,
            node_xpub: node_xpub(),
            plan_signer: Some(Arc::new(NodeKey)),
            figures: None,
            network_id: "solonet".to_owned(),
            version: "2.0.6".to_owned(),
            websockets: registry.kind("websocket"),
        };
        let world = Self {
            events: Mutex::new(pool.events()),
            api: Api::new(plan.settings, parts),
            chain,
            pool,
            wallet,
            keys,
            tokens,
            feeds,
            peers,
            mining,
            follower,
            health,
            registry,
            dir,
        };
        world.follower.follow();
        world
    }

    /// Makes the key and the account that the genesis pays, `alice`.
    pub async fn with_alice(self) -> Self {
        let words = format!(r#"{{"alias":"alice","password":"{PASSWORD}","mnemonic":"{WORDS}"}}"#);
        self.ask("create-key", &words).await.data();
        let account = format!(r#"{{"root_xpubs":["{XPUB}"],"quorum":1,"alias":"alice"}}"#);
        self.ask("create-account", &account).await.data();
        let receiver = self
            .ask("create-account-receiver", r#"{"account_alias":"alice"}"#)
            .await;
        assert_eq!(receiver.data()["address"], ADDRESS);
        self.follower.wallet.rescan(0).unwrap();
        self.follower.follow();
        self
    }

    /// Commits a block out of the pool, and brings it to the wallet.
    pub fn advance(&self) {
        let now = self.chain.tip().timestamp_ms + self.chain.params().block_interval_ms;
        let program = baton_ledger::program::p2wpkh(&[0x11; 20]);
        let draft = self.chain.draft(&self.pool, &program, b"", now).unwrap();
        self.chain.check(&draft.bytes, now, &self.pool).unwrap();
        let committed = self.chain.commit(Decision {
            bytes: draft.bytes,
            certificate: Bytes::from_static(b"all"),
            round: 0,
            proposer: node_xpub(),
        });
        self.pool.block_committed(&committed.unwrap());
        self.follower.follow();
        self.heed_pool();
    }

    /// Tells the wallet what happened in the pool.
    pub fn heed_pool(&self) {
        let mut events = self.events.lock().unwrap();
        while let Ok(event) = events.try_recv() {
            match event {
                PoolEvent::Added(pooled, _) => {
                    let now = jiff::Timestamp::now();
                    let transaction = pooled.transaction.transaction();
                    self.wallet.add_unconfirmed(transaction, now).unwrap();
                }
                PoolEvent::Removed(id, _) => self.wallet.remove_unconfirmed(&id),
            }
        }
    }

    pub fn run_to(&self, height: u64) {
        while self.chain.tip().height < height {
            self.advance();
        }
    }

    /// Asks from this machine.
    pub async fn ask(&self, path: &str, body: &str) -> Answer {
        self.ask_as([127, 0, 0, 1].into(), path, &[], body.to_owned())
            .await
    }

    /// Asks from anywhere, with headers.
    pub async fn ask_as(
        &self,
        client: IpAddr,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        ask(self.api.clone(), client, path, headers, body).await
    }

    /// Serves the API on a port, with connections of its own.
    pub async fn serve(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kind = self.registry.kind("http");
        let api = self.api.clone();
        tokio::spawn(async move {
            let settings = baton_handover::http::HttpSettings {
                header_read: Duration::from_secs(2),
                ..Default::default()
            };
            while let Ok((stream, _)) = listener.accept().await {
                let connection = baton_handover::connections::Connection::new(stream, kind.seat());
                tokio::spawn(baton_handover::http::serve_connection(
                    connection,
                    api.clone(),
                    settings.clone(),
                ));
            }
        });
        let api = self.api.clone();
        tokio::spawn(async move { api.run().await });
        address
    }
}

/// Asks a service.
pub async fn ask<S>(
    mut service: S,
    client: IpAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer
where
    S: tower_service::Service<
            Request<Full<Bytes>>,
            Response = axum::http::Response<Full<Bytes>>,
            Error = std::convert::Infallible,
        >,
{
    let mut request = Request::post(format!("/{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Full::new(body.into())).unwrap();
    let address = SocketAddr::new(client, 40_000);
    request.extensions_mut().insert(ConnectInfo(address));
    let Ok(response) = service.call(request).await;
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.to_bytes(),
    }
}

/// The paths at which two values differ in keys, their order, or types; lists are compared by their first elements.
pub fn shape_differences(ours: &Value, theirs: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    compare("", ours, theirs, &mut differences);
    differences
}

fn compare(at: &str, ours: &Value, theirs: &Value, to: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys = |map: &serde_json::Map<String, Value>| -> Vec<String> {
                map.keys().cloned().collect()
            };
            let (our_keys, their_keys) = (keys(ours), keys(theirs));
            if our_keys != their_keys {
                to.push(format!("{at}: keys {our_keys:?}, theirs {their_keys:?}"));
            }
            for (key, theirs) in theirs {
                if let Some(ours) = ours.get(key) {
                    compare(&format!("{at}.{key}"), ours, theirs, to);
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first()) {
                compare(&format!("{at}[0]"), ours, theirs, to);
            }
        }
        _ => {
            let kind = |value: &Value| match value {
                Value::Null => "null",
                Value::Bool(_) => "bool",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            if kind(ours) != kind(theirs) {
                to.push(format!("{at}: {}, theirs {}", kind(ours), kind(theirs)));
            }
        }
    }
}

/// A captured answer.
pub fn golden(name: &str) -> Value {
    let path = format!(
        "{}/tests/data/bytomd-v2/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}
