//! The parts of a namespace: opened in an order in which each finds those it needs, closed in the reverse.

use std::sync::Arc;
use std::time::Duration;

use baton_api::feeds::Feeds;
use baton_api::tokens::Tokens;
use baton_api::{Api, ApiSettings, Limits, Parts, Phase, WebSocketSettings};
use baton_chain::trace::Tracer;
use baton_chain::{Chain, Options, Pool, PoolSettings};
use baton_consensus::{Engine, EngineSettings, ProposerHandle};
use baton_handover::connections::Kind;
use baton_ledger::Genesis;
use baton_network::Network;
use baton_wallet::Wallet;
use baton_wallet::keystore::{self, KeyStore};
use baton_wallet::store::RedbStore;
use tokio::sync::watch;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::Name;
use super::counts::Counts;
use super::election;
use super::health::{self, Troubles};
use super::miner::{Miner, Signer};
use super::peers::Neighbours;
use super::view::View;
use crate::configuration::Configuration;
use crate::follow;
use crate::genesis;
use crate::gossip;
use crate::home::Paths;
use crate::node_key::NodeKey;
use crate::purse::Purse;
use crate::settings::Settings;
use crate::step::{Patience, Step, StepError, take, take_now};
use crate::tasks::{Death, Tasks};
use crate::upgrade;

/// How often what waits too long is looked for.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// A namespace that runs.
pub(super) struct Namespace {
    paths: Paths,
    patience: Patience,
    chain: Chain,
    pool: Pool,
    wallet: Option<Arc<Wallet>>,
    keys: Option<Arc<KeyStore>>,
    proposer: ProposerHandle,
    network: Network,
    engine: Engine,
    tasks: Tasks,
    troubles: Troubles,
    api: Api,
    view: View,
}

impl Namespace {
    /// Opens all parts; consensus begins, and requests can be answered when this returns.
    pub(super) async fn open(
        name: &Name,
        configuration: &Configuration,
        websockets: Kind,
        patience: Patience,
    ) -> Result<Self, StepError> {
        let Configuration {
            home,
            paths,
            settings,
            ..
        } = configuration;
        let (key, genesis) = take_now(Step::NetworkParameters, || parameters(configuration))?;
        let params = genesis.params().clone();
        info!(
            chain_id = params.chain_id,
            genesis = %genesis.block().hash(),
            home = %home.path().display(),
            "opening the chain"
        );
        let chain = take_now(Step::Core, || {
            let options = Options {
                transaction_index: settings.transaction_index,
                migrations: upgrade::migrations(),
                ..Options::default()
            };
            Chain::open(&paths.core(), &genesis, options)
        })?;
        let (tokens, feeds) = take_now(Step::Tokens, || {
            let tokens = Tokens::open(&paths.tokens())?;
            let feeds = Feeds::open(&paths.feeds())?;
            Ok::<_, baton_api::RecordsError>((Arc::new(tokens), Arc::new(feeds)))
        })?;
        if settings.api.asks_everybody() && tokens.list().is_empty() {
            warn!("auth.trust_loopback: {}", crate::check::NOBODY_MAY_ASK);
        }
        let tracer = take_now(Step::Trace, || Tracer::open(&paths.trace(), &chain))?;
        let pool = take_now(Step::Pool, || {
            let settings = PoolSettings {
                max_fee_neu: settings.max_fee_neu,
                ..PoolSettings::default()
            };
            let path = paths.pool();
            Pool::open(&chain, settings, path.exists().then_some(path.as_path()))
        })?;
        let (keys, wallet) = match settings.wallet {
            None => (None, None),
            Some(wanted) => {
                let keys = take_now(Step::Keystore, || {
                    KeyStore::new(&paths.keystore, keystore::Settings::default())
                })?;
                let wallet = take_now(Step::Wallet, || {
                    let store = RedbStore::open(paths.wallet())?;
                    let wallet = Wallet::open(store, params.clone())?;
                    if wanted.rescan {
                        info!("the wallet looks at all blocks again");
                        wallet.rescan(0)?;
                    }
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(wallet)
                })?;
                (Some(Arc::new(keys)), Some(Arc::new(wallet)))
            }
        };
        let network = Network::start(network(settings, paths, &key, &chain));
        let (network, lanes) = Box::pin(take(Step::Peers, network)).await?;
        let mut tasks = Tasks::new();
        let miner = take_now(Step::MiningAddress, || {
            Miner::new(settings, &params, wallet.as_ref(), &key)
        })?;
        let proposer = miner.handle();
        let engine = take(Step::Consensus, async {
            let secret = Zeroizing::new(*key.secret().expose());
            let signer = baton_consensus::NodeKey::from_xprv(&secret)
                .expect("the node's key was checked when it was read");
            let mut engine = EngineSettings::new(&paths.data);
            engine.moniker.clone_from(&settings.moniker);
            engine.empty_blocks = settings.empty_blocks;
            Engine::start(
                engine,
                chain.clone(),
                pool.clone(),
                network.clone(),
                lanes.consensus,
                Some(signer),
                proposer.clone(),
            )
            .await
        })
        .await?;
        take_now(Step::Proposer, || {
            miner.begin(settings.mining);
            Ok::<_, std::convert::Infallible>(())
        })?;
        gossip::start(&mut tasks, &pool, &network, lanes.transactions);
        let troubles = Troubles::new();
        let (rescanner, following) = match &wallet {
            Some(wallet) => {
                let (rescanner, following) = follow::start(&mut tasks, &chain, &pool, wallet);
                (Some(rescanner), Some(following))
            }
            None => (None, None),
        };
        let coming = watch::Sender::new(None);
        let miner = Arc::new(miner);
        let view = View {
            chain: chain.clone(),
            pool: pool.clone(),
            network: network.clone(),
            consensus: engine.watch(),
            following: following.clone(),
            proposer: proposer.clone(),
            health: troubles.watch(),
            xpub: key.xpub(),
            moniker: settings.moniker.clone(),
            purse: Purse::new(&chain, &pool, &key),
            tokens: Arc::clone(&tokens),
            coming: coming.subscribe(),
            outlook: engine.outlook(),
        };
        let parts = Parts {
            chain: chain.clone(),
            pool: pool.clone(),
            wallet: wallet.clone(),
            keys: keys.clone(),
            tokens,
            feeds,
            peers: Arc::new(Neighbours::new(&network, &engine, &chain, settings)),
            mining: Arc::clone(&miner) as Arc<dyn baton_api::Mining>,
            rescan: Arc::new(super::peers::Rescan(rescanner)),
            tracer: Some(tracer.clone()),
            health: troubles.watch(),
            node_xpub: key.xpub(),
            plan_signer: Some(Arc::new(Signer::new(&key))),
            figures: Some(Arc::new(Counts::new(&engine, &network))),
            network_id: params.chain_id.clone(),
            version: crate::VERSION.to_owned(),
            websockets,
        };
        let api = take_now(Step::Api, || {
            Ok::<_, std::convert::Infallible>(Api::new(api_settings(settings), parts))
        })?;
        let run = api.clone();
        let mut ending = tasks.ending();
        tasks.spawn("api", async move {
            tokio::select! {
                () = run.run() => ending.begun().await,
                () = ending.begun() => {}
            }
        });
        tasks.spawn(
            "contract instances",
            health::trace(tracer, chain.watch(), troubles.clone(), tasks.ending()),
        );
        tasks.spawn(
            "elections",
            election::watch(chain.clone(), chain.watch(), coming, tasks.ending()),
        );
        tasks.spawn(
            "health",
            health::watch(
                health::Watched {
                    chain: chain.clone(),
                    pool: pool.clone(),
                    network: network.clone(),
                    consensus: engine.watch(),
                    outlook: engine.outlook(),
                    following,
                    proposer: proposer.clone(),
                    xpub: key.xpub(),
                    vault: settings.vault_mode,
                    empty_blocks: settings.empty_blocks,
                    info_file: paths.upgrade_info(),
                },
                troubles.clone(),
                tasks.ending(),
            ),
        );
        if let Some(wallet) = &wallet {
            tasks.spawn(
                "mining address",
                miner.follow_wallet(Arc::clone(wallet), chain.watch(), tasks.ending()),
            );
        }
        let tidying = tidy(name.clone(), pool.clone(), keys.clone(), tasks.ending());
        tasks.spawn("tidying", tidying);
        troubles.phase(Phase::Serving);
        Ok(Self {
            paths: paths.clone(),
            patience,
            chain,
            pool,
            wallet,
            keys,
            proposer,
            network,
            engine,
            tasks,
            troubles,
            api,
            view,
        })
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    pub(super) fn death(&self) -> watch::Receiver<Option<Death>> {
        self.tasks.death()
    }

    /// From now on it says that it cannot be sent work.
    pub(super) fn refuse_work(&self) {
        self.troubles.phase(Phase::Stopping);
        self.proposer.set(false);
    }

    /// Closes all parts; when this returns another process may open them.
    pub(super) async fn close(mut self) {
        self.refuse_work();
        let patience = self.patience;
        patience.end("api", self.api.close()).await;
        drop(self.api);
        let consensus = async {
            self.engine.stop().await;
        };
        patience.end("consensus", consensus).await;
        self.tasks.end(patience.grace()).await;
        patience.end("peers", self.network.shutdown()).await;
        drop(self.view);
        match self.pool.keep(&self.paths.pool()) {
            Ok(kept) => info!(transactions = kept, "kept the transaction pool"),
            Err(error) => warn!(%error, "the transaction pool was not kept"),
        }
        if let Some(keys) = &self.keys {
            keys.wipe();
        }
        if let Some(wallet) = self.wallet.take() {
            patience.end("wallet", last(wallet)).await;
        }
        drop(self.pool);
        self.chain.close();
        info!("the chain is closed");
    }
}

/// Waits until nobody else has it, and drops it.
async fn last<T>(shared: Arc<T>) {
    while Arc::strong_count(&shared) > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn parameters(
    configuration: &Configuration,
) -> Result<(NodeKey, Genesis), Box<dyn std::error::Error + Send + Sync>> {
    let Configuration {
        home,
        paths,
        settings,
        ..
    } = configuration;
    let key = NodeKey::read(&paths.node_key)?;
    let path = home.genesis();
    let genesis = genesis::of_home(&path, &settings.chain_id, &key)?;
    if !path.exists() {
        // written down, so that another key later does not make another chain of the same store
        genesis::write(&path, &genesis)?;
    }
    Ok((key, genesis))
}

fn network(
    settings: &Settings,
    paths: &Paths,
    key: &NodeKey,
    chain: &Chain,
) -> baton_network::Settings {
    let p2p = &settings.p2p;
    let chain_id = chain.params().chain_id.clone();
    let genesis = chain.genesis_hash().to_string();
    let mut network = baton_network::Settings::new(genesis, chain_id, key.peer_seed(), &paths.data);
    network.vault = settings.vault_mode;
    network.listen = (!settings.vault_mode).then_some(p2p.laddr);
    network.seeds.clone_from(&p2p.seeds);
    network.keep_dial.clone_from(&p2p.keep_dial);
    network.max_peers = p2p.max_peers;
    network.lan_discoverable = p2p.lan_discoverable;
    network.upnp = p2p.upnp;
    network.handshake_timeout = p2p.handshake_timeout;
    network.dial_timeout = p2p.dial_timeout;
    network.proxy.clone_from(&p2p.proxy);
    network.moniker.clone_from(&settings.moniker);
    crate::VERSION.clone_into(&mut network.version);
    network
}

fn api_settings(settings: &Settings) -> ApiSettings {
    let api = &settings.api;
    ApiSettings {
        auth_disabled: api.auth_disabled,
        trust_loopback: api.trust_loopback,
        cors_origins: api.cors_origins.clone(),
        dashboard: api.dashboard,
        limits: Limits {
            body_bytes: api.max_body_bytes,
            connections: api.max_connections,
            ..Limits::default()
        },
        websockets: WebSocketSettings {
            connections: api.max_websockets,
            requests: api.max_websocket_requests,
            ..WebSocketSettings::default()
        },
    }
}

/// Forgets what waited too long: transactions, and keys that were opened.
#[cfg_attr(
    not(feature = "failpoints"),
    expect(unused_variables, reason = "a fault point names the namespace")
)]
async fn tidy(
    name: Name,
    pool: Pool,
    keys: Option<Arc<KeyStore>>,
    mut ending: crate::tasks::Ending,
) {
    fail::fail_point!(&format!("node::tidying-of-{name}"));
    loop {
        tokio::select! {
            () = ending.begun() => return,
            () = tokio::time::sleep(TIDY_EVERY) => {}
        }
        let (pool, keys) = (pool.clone(), keys.clone());
        let tidied = tokio::task::spawn_blocking(move || {
            pool.expire(std::time::SystemTime::now());
            if let Some(keys) = keys {
                keys.wipe_expired();
            }
        });
        if let Err(error) = tidied.await {
            warn!(%error, "tidying failed");
        }
    }
}
