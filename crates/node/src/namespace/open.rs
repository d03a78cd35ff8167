//! The parts of a namespace: opened in an order in which each finds those it needs.
//!
//! This is the half of which everything can be given back; [`begin`](super::begin) is the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_api::feeds::Feeds;
use baton_api::tokens::Tokens;
use baton_api::{Api, ApiSettings, Limits, Parts, WebSocketSettings};
use baton_chain::trace::Tracer;
use baton_chain::{Chain, ChainError, Options, Pool, PoolSettings};
use baton_consensus::{Engine, EngineSettings, ProposerHandle};
use baton_handover::OwnListeners;
use baton_handover::connections::Kind;
use baton_ledger::Genesis;
use baton_network::{Events, Network};
use baton_wallet::Wallet;
use baton_wallet::keystore::{self, KeyStore};
use baton_wallet::store::RedbStore;
use tokio::sync::watch;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::Name;
use super::begin::Beginning;
use super::counts::Counts;
use super::health::{self, Troubles};
use super::legacy::Legacy;
use super::miner::{Miner, Signer};
use super::peers::Neighbours;
use super::snapshot::Stores;
use super::view::View;
use crate::configuration::Configuration;
use crate::follow::Follower;
use crate::genesis;
use crate::home::Paths;
use crate::node_key::NodeKey;
use crate::purse::Purse;
use crate::settings::Settings;
use crate::step::{Patience, Step, StepError, take, take_now};
use crate::tasks::{Death, Tasks};
use crate::upgrade;

/// A namespace that is open. It takes part once it has begun.
pub(super) struct Namespace {
    pub(super) paths: Paths,
    pub(super) patience: Patience,
    pub(super) chain: Chain,
    pub(super) pool: Pool,
    pub(super) tracer: Tracer,
    pub(super) wallet: Option<Arc<Wallet>>,
    pub(super) keys: Option<Arc<KeyStore>>,
    pub(super) proposer: ProposerHandle,
    pub(super) network: Network,
    pub(super) engine: Engine,
    pub(super) tasks: Tasks,
    pub(super) troubles: Troubles,
    pub(super) api: Api,
    pub(super) view: View,
    /// Until it has begun.
    pub(super) beginning: Option<Beginning>,
}

/// With what a namespace is opened.
pub(crate) struct Opening {
    pub(crate) name: Name,
    pub(crate) configuration: Configuration,
    pub(crate) websockets: Kind,
    /// Where it says at which address it listens for peers.
    pub(crate) own: OwnListeners,
    pub(crate) patience: Patience,
    /// What it left when it was closed last.
    pub(crate) legacy: Legacy,
    /// Whether a plan that this program does not know keeps it from being opened: it would take over from a process that
    /// answers, to stand still as that one does.
    pub(crate) must_go_on: bool,
}

impl Namespace {
    /// Opens all parts. Nothing is signed, said or changed before [`Self::begin`], so that another process may have it all
    /// back.
    pub(super) async fn open(opening: Opening) -> Result<Self, StepError> {
        let Opening {
            name,
            configuration,
            websockets,
            own,
            patience,
            legacy,
            must_go_on,
        } = opening;
        let Configuration {
            home,
            paths,
            settings,
            ..
        } = &configuration;
        let (key, genesis) = take_now(Step::NetworkParameters, || parameters(&configuration))?;
        let params = genesis.params().clone();
        let (is_fresh, mining, signs) = (legacy.is_nothing(), legacy.mining, legacy.signs);
        let reserved = legacy.reserved().clone();
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
            let chain = Chain::open(&paths.core(), &genesis, options)?;
            match chain.due_upgrade().filter(|_| must_go_on) {
                Some(plan) => Err(ChainError::UpgradeNeeded(plan)),
                None => Ok(chain),
            }
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
            match legacy.pool() {
                Some(packed) => {
                    let pool = Pool::open(&chain, settings, None)?;
                    pool.unpack(&packed).map(|()| pool)
                }
                None => Pool::open(&chain, settings, path.exists().then_some(path.as_path())),
            }
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
                    wallet.reserve_again(reserved);
                    if wanted.rescan && is_fresh {
                        info!("the wallet looks at all blocks again");
                        wallet.rescan(0)?;
                    }
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(wallet)
                })?;
                (Some(Arc::new(keys)), Some(Arc::new(wallet)))
            }
        };
        let network = network(settings, paths, &key, &chain);
        let (network, lanes) = start(network, &own).await?;
        let miner = take_now(Step::MiningAddress, || {
            Miner::new(settings, &params, wallet.as_ref(), &key)
        })?;
        let proposer = miner.handle();
        let engine = take(Step::Guard, async {
            let secret = Zeroizing::new(*key.secret().expose());
            let signer = baton_consensus::NodeKey::from_xprv(&secret)
                .expect("the node's key was checked when it was read");
            let mut engine = EngineSettings::new(&paths.data);
            engine.moniker.clone_from(&settings.moniker);
            engine.empty_blocks = settings.empty_blocks;
            if signs {
                engine.listen_first = Duration::ZERO;
            }
            Engine::open(
                engine,
                chain.clone(),
                pool.clone(),
                network.clone(),
                Some(signer),
                proposer.clone(),
            )
            .await
        })
        .await?;
        let troubles = Troubles::new();
        let (follower, rescanner) = match &wallet {
            Some(wallet) => {
                let (follower, rescanner) = Follower::new(chain.clone(), Arc::clone(wallet));
                (Some(follower), Some(rescanner))
            }
            None => (None, None),
        };
        let following = follower.as_ref().map(Follower::watch);
        let coming = watch::Sender::new(None);
        let miner = Arc::new(miner);
        let view = View {
            chain: chain.clone(),
            pool: pool.clone(),
            network: network.clone(),
            consensus: engine.watch(),
            outlook: engine.outlook(),
            stores: Stores::new(paths, wallet.as_ref(), &tokens, &feeds, &tracer),
            following,
            proposer: proposer.clone(),
            health: troubles.watch(),
            xpub: key.xpub(),
            moniker: settings.moniker.clone(),
            purse: Purse::new(&chain, &pool, &key),
            coming: coming.subscribe(),
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
        let mut tasks = Tasks::new();
        let run = api.clone();
        let mut ending = tasks.ending();
        tasks.spawn("api", async move {
            tokio::select! {
                () = run.run() => ending.begun().await,
                () = ending.begun() => {}
            }
        });
        let watched = health::Watched {
            chain: chain.clone(),
            pool: pool.clone(),
            network: network.clone(),
            consensus: engine.watch(),
            outlook: engine.outlook(),
            following: follower.as_ref().map(Follower::watch),
            proposer: proposer.clone(),
            xpub: key.xpub(),
            vault: settings.vault_mode,
            empty_blocks: settings.empty_blocks,
            info_file: paths.upgrade_info(),
        };
        let beginning = Beginning {
            name,
            watched,
            coming,
            consensus: lanes.consensus,
            transactions: lanes.transactions,
            follower,
            miner,
            mining: mining.unwrap_or(settings.mining),
        };
        Ok(Self {
            paths: paths.clone(),
            patience,
            chain,
            pool,
            tracer,
            wallet,
            keys,
            proposer,
            network,
            engine,
            tasks,
            troubles,
            api,
            view,
            beginning: Some(beginning),
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

/// The swarm opens its socket itself and the next process opens its own: peers come back to it.
async fn start(
    settings: baton_network::Settings,
    own: &OwnListeners,
) -> Result<(Network, Events), StepError> {
    let laddr = settings.listen;
    if let Some(laddr) = laddr {
        own.add(laddr);
    }
    let (network, lanes) = Box::pin(take(Step::Peers, Network::start(settings))).await?;
    if let (Some(laddr), Some(there)) = (laddr, network.listen_addresses().first()) {
        // the kernel may have chosen the port
        own.add(SocketAddr::new(laddr.ip(), there.port()));
    }
    Ok((network, lanes))
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
