//! What can be told of a namespace at any moment, without asking its parts to do anything.

use std::path::Path;
use std::sync::Arc;

use baton_api::Health;
use baton_api::tokens::Tokens;
use baton_chain::{Chain, Pool};
use baton_consensus::{Outlook, ProposerHandle, Status};
use baton_ledger::address::Prefix;
use baton_ledger::params::Xpub;
use baton_ledger::upgrade::Plan;
use baton_network::Network;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use super::Name;
use super::election::Coming;
use super::snapshot::{Snapshot, SnapshotError, Stores};
use crate::follow::Following;
use crate::purse::Purse;
use crate::upgrade::{InfoFile, Planner};

/// Where to look. Cheap to clone.
#[derive(Clone)]
pub(crate) struct View {
    pub(super) chain: Chain,
    pub(super) pool: Pool,
    pub(super) network: Network,
    pub(super) consensus: watch::Receiver<Status>,
    pub(super) outlook: Outlook,
    pub(super) stores: Stores,
    pub(super) following: Option<watch::Receiver<Following>>,
    pub(super) proposer: ProposerHandle,
    pub(super) health: watch::Receiver<Health>,
    pub(super) xpub: Xpub,
    pub(super) moniker: String,
    pub(super) purse: Purse,
    pub(super) coming: watch::Receiver<Option<Coming>>,
}

/// How a namespace is.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Its name.
    pub name: Name,
    /// The name of its network.
    pub chain_id: String,
    /// The name that its peers see.
    pub moniker: String,
    /// This node's name among its peers.
    pub peer_id: String,
    /// The hash of its first block.
    pub genesis_hash: String,
    /// Its last block.
    pub blocks: Blocks,
    /// Whether it is behind its peers.
    pub syncing: bool,
    /// How many peers there are.
    pub peers: usize,
    /// Transactions that wait for a block.
    pub pool: usize,
    /// This node's extended public key.
    pub node_xpub: String,
    /// Its voting power; 0 if it is no validator.
    pub voting_power: u64,
    /// Whether it proposes blocks.
    pub mining: bool,
    /// The round in which the next block is decided.
    pub round: u32,
    /// How far the wallet is, if there is one.
    pub wallet: Option<Following>,
    /// Validators that follow from the votes as they are, if they are others than now.
    pub next_validators: Option<Coming>,
    /// How far this machine's clock is ahead of those of most other validators, in milliseconds, as the times of their blocks
    /// show; below zero: behind.
    pub clock_offset_ms: Option<i64>,
    /// The upgrade that is planned, in the form of `upgrade-info.json`.
    pub plan: Option<serde_json::Value>,
    /// The upgrade for which it waits.
    pub halted: Option<serde_json::Value>,
    /// What is wrong.
    pub health: Health,
}

/// A chain's last block.
#[derive(Debug, Clone, Serialize)]
pub struct Blocks {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: String,
    /// What the state after it hashes to.
    pub app_hash: String,
    /// Its time.
    pub time: String,
    /// The greatest height that a peer told of.
    pub highest: u64,
}

impl View {
    /// The money of the node's key.
    pub(crate) fn purse(&self) -> &Purse {
        &self.purse
    }

    /// Who may ask from elsewhere; `None` once the namespace is closed.
    pub(crate) fn tokens(&self) -> Option<Arc<Tokens>> {
        self.stores.tokens()
    }

    /// Decides on upgrades.
    pub(crate) fn planner(&self) -> Planner {
        Planner::new(&self.chain, &self.purse)
    }

    /// What addresses of its network begin with.
    pub(crate) fn prefix(&self) -> Prefix {
        self.chain.params().prefix
    }

    /// How many peers are connected.
    pub(crate) fn peers(&self) -> usize {
        self.network.peer_count()
    }

    /// The height of the last block.
    pub(crate) fn height(&self) -> u64 {
        self.chain.tip().height
    }

    /// The upgrade that is planned.
    pub(crate) fn plan(&self) -> Option<Plan> {
        self.chain.plan()
    }

    /// The plan before which it has stopped.
    pub(crate) fn halted(&self) -> Option<Plan> {
        self.consensus.borrow().halted.clone()
    }

    /// Writes a copy of all data of one moment into an empty directory, while all goes on. Blocks.
    pub(crate) fn snapshot(&self, target: &Path) -> Result<Snapshot, SnapshotError> {
        self.stores.snapshot(self, target)
    }

    /// How the namespace of this name is.
    pub(crate) fn report(&self, name: &Name) -> Report {
        let tip = self.chain.tip();
        let status = self.consensus.borrow().clone();
        let validators = self.chain.validators();
        let power = validators
            .iter()
            .find(|validator| validator.xpub == self.xpub)
            .map_or(0, |validator| validator.power);
        let plan = |plan: &baton_ledger::upgrade::Plan| {
            serde_json::to_value(InfoFile::of(plan)).unwrap_or_default()
        };
        Report {
            name: name.clone(),
            chain_id: self.chain.params().chain_id.clone(),
            moniker: self.moniker.clone(),
            peer_id: baton_network::identity::peer_hex(&self.network.local_peer_id()),
            genesis_hash: self.chain.genesis_hash().to_string(),
            blocks: Blocks {
                height: tip.height,
                hash: tip.hash.to_string(),
                app_hash: tip.app_hash.to_string(),
                time: time(tip.timestamp_ms),
                highest: status.peer_height.max(tip.height),
            },
            syncing: status.syncing,
            peers: self.network.peer_count(),
            pool: self.pool.len(),
            node_xpub: hex::encode(self.xpub),
            voting_power: power,
            mining: self.proposer.is_on(),
            round: status.round,
            wallet: self
                .following
                .as_ref()
                .map(|following| following.borrow().clone()),
            next_validators: self.coming.borrow().clone(),
            clock_offset_ms: self.outlook.clock_offset_ms(),
            plan: self.chain.plan().as_ref().map(plan),
            halted: status.halted.as_ref().map(plan),
            health: self.health.borrow().clone(),
        }
    }
}

fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms)
        .map(|time| time.to_string())
        .unwrap_or_default()
}
