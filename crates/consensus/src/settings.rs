//! What a node tells its consensus.

use std::path::PathBuf;
use std::time::Duration;

use malachite::config::ValueSyncConfig;

use crate::codec::MAX_BLOCKS;
use crate::context::Patience;
use crate::run::Role;

/// Settings of [`Engine::open`](crate::Engine::open). The block interval is not among them: it is the chain's
/// ([`Params::block_interval_ms`](baton_ledger::Params)).
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Where the write-ahead log and the sign guard are: `<home>/data/consensus`. Created if it is missing.
    pub directory: PathBuf,
    /// Where proposals are kept that are not decided yet: `<home>/data/fastsync.redb`.
    pub fastsync: PathBuf,
    /// The node's name, for logs.
    pub moniker: String,
    /// Whether blocks without transactions are made. If not, a height waits until there is something in the pool.
    pub empty_blocks: bool,
    /// How long the steps of a round may take.
    pub patience: Patience,
    /// How often peers are told the height of this node; zero: with each block.
    pub status_interval: Duration,
    /// How nodes that are behind catch up.
    pub sync: SyncSettings,
    /// How long a validator that has just started listens at least to what peers say to have, before it signs. Zero if it
    /// goes on where another process left off in this instant, that was signing: then it does not listen.
    pub listen_first: Duration,
}

/// How blocks are fetched from peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncSettings {
    /// Blocks asked for at once.
    pub batch: usize,
    /// Requests under way at once.
    pub parallel: usize,
    /// From a request to its answer.
    pub timeout: Duration,
    /// The most bytes of an answer; below the network's limit.
    pub response_bytes: usize,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            batch: 64,
            parallel: 4,
            timeout: Duration::from_secs(20),
            response_bytes: 12 << 20,
        }
    }
}

impl SyncSettings {
    pub(crate) fn to_malachite(self, status_interval: Duration) -> ValueSyncConfig {
        let mut config = ValueSyncConfig {
            enabled: true,
            status_update_interval: status_interval,
            request_timeout: self.timeout.max(Duration::from_millis(1)),
            parallel_requests: self.parallel.max(1),
            batch_size: self.batch.clamp(1, MAX_BLOCKS),
            ..ValueSyncConfig::default()
        };
        let bytes = format!("{} B", self.response_bytes);
        config.max_response_size = bytes.parse().expect("a number of bytes is a size");
        config
    }
}

impl EngineSettings {
    /// Settings with the files at their places below `<home>/data`, empty blocks, and default times.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let data = data.into();
        Self {
            directory: data.join("consensus"),
            fastsync: data.join("fastsync.redb"),
            moniker: "baton".to_owned(),
            empty_blocks: true,
            patience: Patience::default(),
            status_interval: Duration::from_secs(1),
            sync: SyncSettings::default(),
            listen_first: Duration::from_secs(2),
        }
    }

    pub(crate) fn guard(&self) -> PathBuf {
        self.directory.join("guard")
    }

    /// Who follows has the log emptied at each height. It must not be the one that says what was voted for.
    pub(crate) fn wal(&self, role: Role) -> PathBuf {
        self.directory.join(match role {
            Role::Signing => "wal",
            Role::Following => "wal-following",
        })
    }
}
