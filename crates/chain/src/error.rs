//! Why something could not be done, and what to do about it.

use std::path::PathBuf;

use baton_ledger::Hash;
use baton_ledger::state::{ApplyError, BlockRejection, GenesisError, StateError};
use baton_ledger::upgrade::Plan;

/// Why the chain could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// Another process has the store open.
    #[error("{} is open in another process: stop that process first", .path.display())]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// The store failed.
    #[error("{doing} {}: {source}", .path.display())]
    Store {
        /// What was being done to it.
        doing: &'static str,
        /// The store.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Box<redb::Error>,
    },
    /// A file could not be made or replaced.
    #[error("{doing} {}: {source}", .path.display())]
    File {
        /// What was being done to it.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// What is in the store contradicts itself, or is no store.
    #[error(
        "{} is damaged: {what}; restore it from a backup, or remove it to fetch the chain from peers",
        .path.display()
    )]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Another version of this program wrote the store.
    #[error(
        "{} has the schema {found}, this program the schema {wanted}: use the program that wrote it",
        .path.display()
    )]
    Schema {
        /// The store.
        path: PathBuf,
        /// The version in the store.
        found: u32,
        /// The version of this program.
        wanted: u32,
    },
    /// The store is of another chain.
    #[error(
        "{} holds the chain with the {what} {found}, the genesis here has {wanted}: put the right genesis file or the right store in place",
        .path.display()
    )]
    OtherChain {
        /// The store.
        path: PathBuf,
        /// What differs: the genesis block or the parameters.
        what: &'static str,
        /// What is in the store.
        found: Hash,
        /// What follows from the genesis.
        wanted: Hash,
    },
    /// No chain begins with this genesis.
    #[error("the genesis: {0}")]
    Genesis(#[from] GenesisError),
    /// What was decided is no valid block after the tip: the program or its state differs from those of the others.
    #[error("a decided block is not valid here: {0}")]
    Decided(#[source] Box<BlockRejection>),
    /// An upgrade is due before the next block, and this program cannot do it.
    #[error("UPGRADE \"{}\" NEEDED at height: {}: {}", .0.name, .0.height, .0.info)]
    UpgradeNeeded(Plan),
    /// A migration failed.
    #[error("migration {name:?}: {why}")]
    Migration {
        /// The name of the plan.
        name: String,
        /// What went wrong.
        why: String,
    },
    /// What was to be added to the coinbase does not fit.
    #[error("{0} bytes for the coinbase: up to {1} bytes that do not begin with a digit wanted")]
    Arbitrary(usize, usize),
    /// A record of the state is not what was written.
    #[error("{0}: restore the store from a backup, or remove it to fetch the chain from peers")]
    State(String),
    /// The chain was closed.
    #[error("{} is closed", .path.display())]
    Closed {
        /// The store.
        path: PathBuf,
    },
}

impl ChainError {
    /// Whether the disk was full: once there is room, the same may be tried again.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let kind = match self {
            Self::Store { source, .. } => match &**source {
                redb::Error::Io(error) => error.kind(),
                _ => return false,
            },
            Self::File { source, .. } => source.kind(),
            _ => return false,
        };
        [StorageFull, QuotaExceeded].contains(&kind)
    }

    /// Whether the store was left open by a process that was killed, so that it cannot be opened to be read only: opening it
    /// as always mends it.
    pub fn is_unclosed(&self) -> bool {
        matches!(self, Self::Store { source, .. } if matches!(**source, redb::Error::RepairAborted))
    }
}

/// Why a proposed block is not voted for.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is not valid.
    #[error("block rejected: {0}")]
    Rejected(#[from] Box<BlockRejection>),
    /// It is longer than a block may be.
    #[error("a block of {bytes} bytes, more than the limit of {limit}")]
    Size {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An upgrade is due before the next block, and this program cannot do it.
    #[error("UPGRADE \"{}\" NEEDED at height: {}: {}", .0.name, .0.height, .0.info)]
    UpgradeNeeded(Plan),
    /// Nothing is known of it: this node has trouble of its own.
    #[error(transparent)]
    Failed(#[from] ChainError),
}

impl Refused {
    /// The number in the code of bytomd's API; 0 where bytomd has no code of its own.
    pub fn code(&self) -> u16 {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::Size { .. } | Self::UpgradeNeeded(_) | Self::Failed(_) => 0,
        }
    }
}

impl From<BlockRejection> for Refused {
    fn from(rejection: BlockRejection) -> Self {
        Self::Rejected(Box::new(rejection))
    }
}

/// Applying read from the store only; what failed there keeps its name.
impl From<ApplyError<ChainError>> for Refused {
    fn from(error: ApplyError<ChainError>) -> Self {
        match error {
            ApplyError::Rejected(rejection) => Self::Rejected(rejection),
            ApplyError::State(error) => Self::from(error),
            ApplyError::UpgradeNeeded(plan) => Self::UpgradeNeeded(plan),
            ApplyError::NotDue { name, height } => Self::Failed(ChainError::Migration {
                name,
                why: format!("not due at height {height}"),
            }),
        }
    }
}

impl From<StateError<ChainError>> for Refused {
    fn from(error: StateError<ChainError>) -> Self {
        Self::Failed(match error {
            StateError::Read(error) => error,
            StateError::Damaged { .. } => ChainError::State(error.to_string()),
        })
    }
}

impl From<Refused> for ChainError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Rejected(rejection) => Self::Decided(rejection),
            Refused::Size { .. } => unreachable!("what was decided is taken at any size"),
            Refused::UpgradeNeeded(plan) => Self::UpgradeNeeded(plan),
            Refused::Failed(error) => error,
        }
    }
}
