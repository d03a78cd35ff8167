//! Why a block was not applied.

use crate::codec::DecodeError;
use crate::hash::Hash;
use crate::upgrade::{Plan, PlanError};
use crate::validate::Rejection;

/// Why the state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError<E> {
    /// The store failed.
    #[error("reading the state: {0}")]
    Read(#[source] E),
    /// A record is not what was written.
    #[error("a record of the state is damaged: {source}")]
    Damaged {
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// Why a block was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError<E> {
    /// The block is not valid; it never will be after this tip, but for [`BlockRejection::Late`].
    #[error("block rejected: {0}")]
    Rejected(#[from] Box<BlockRejection>),
    /// The state could not be read; nothing is known of the block.
    #[error(transparent)]
    State(#[from] StateError<E>),
    /// An upgrade is due at the block's height, and there is no migration for it.
    #[error("UPGRADE \"{}\" NEEDED at height: {}: {}", .0.name, .0.height, .0.info)]
    UpgradeNeeded(Plan),
    /// A migration was given that is not due.
    #[error("migration {name:?} is not due at height {height}")]
    NotDue {
        /// The name of the migration.
        name: String,
        /// The height of the block.
        height: u64,
    },
}

impl<E> From<BlockRejection> for ApplyError<E> {
    fn from(rejection: BlockRejection) -> Self {
        Self::Rejected(Box::new(rejection))
    }
}

/// Why an output cannot be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpendFault {
    /// It is not there: it never was, or an earlier block spent it.
    #[error("fail to find utxo entry")]
    Missing,
    /// An earlier transaction of the block spent it.
    #[error("utxo has been spent")]
    Spent,
    /// It was made by a coinbase not long ago.
    #[error("coinbase utxo is not ready for use until height {from}")]
    Immature {
        /// The first height at which it may be spent.
        from: u64,
    },
    /// It is a vote that is still locked.
    #[error("Coin is  within the voting lock time until height {from}")]
    Locked {
        /// The first height at which it may be taken back.
        from: u64,
    },
}

/// Why a block is not valid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BlockRejection {
    /// Only blocks of version 1 are known.
    #[error("block version {0}: version regression")]
    Version(u64),
    /// It does not have the next height.
    #[error("previous block height {tip}, current block height {height}: misordered block height")]
    Height {
        /// The height of the tip.
        tip: u64,
        /// The height of the block.
        height: u64,
    },
    /// It does not follow the tip.
    #[error("previous block ID {tip}, current block wants {wanted}: mismatched block")]
    Previous {
        /// The hash of the tip.
        tip: Hash,
        /// What the block says.
        wanted: Hash,
    },
    /// It follows too soon.
    #[error(
        "timestamp {timestamp_ms}, the earliest is {earliest_ms}: block timestamp is not in the valid range"
    )]
    Early {
        /// Its timestamp.
        timestamp_ms: u64,
        /// The timestamp of the block before and the block interval.
        earliest_ms: u64,
    },
    /// It is from the future.
    #[error(
        "timestamp {timestamp_ms}, the latest is {latest_ms}: block timestamp is not in the valid range"
    )]
    Late {
        /// Its timestamp.
        timestamp_ms: u64,
        /// The clock and what it may be ahead of it.
        latest_ms: u64,
    },
    /// The header has sup links; votes are kept by the consensus engine, not in blocks.
    #[error("{0} sup links in a header, where there are none")]
    SupLinks(usize),
    /// The header's witness is neither empty nor a signature.
    #[error("a block witness of {0} bytes: none or 64 wanted")]
    Witness(usize),
    /// It is not what its encoding is read as, or was not encoded as it would be.
    #[error("the encoding of the block is not canonical")]
    NotCanonical,
    /// The bytes are no block.
    #[error("no block: {0}")]
    Decode(DecodeError),
    /// Its merkle root is not that of its transactions.
    #[error("transaction id merkle root {found}, {wanted} in the header: mismatched merkle root")]
    MerkleRoot {
        /// The root of the transactions.
        found: Hash,
        /// The root in the header.
        wanted: Hash,
    },
    /// The coinbase is missing or not what it must be.
    #[error("{0}: wrong coinbase transaction")]
    Coinbase(&'static str),
    /// A transaction is not valid.
    #[error("validate of transaction {index} ({id}): {rejection}")]
    Transaction {
        /// Its number in the block.
        index: usize,
        /// Its id.
        id: Hash,
        /// Why.
        rejection: Rejection,
    },
    /// A transaction spends what it cannot.
    #[error("transaction {index} spends {output}: {fault}")]
    Spend {
        /// The number of the transaction in the block.
        index: usize,
        /// The id of the output.
        output: Hash,
        /// Why it cannot.
        fault: SpendFault,
    },
    /// A transaction has a plan message that is not good.
    #[error("transaction {index}, output {position}: {error}")]
    Plan {
        /// The number of the transaction in the block.
        index: usize,
        /// The number of the output in the transaction.
        position: usize,
        /// What is wrong.
        error: PlanError,
    },
    /// The transactions use too much gas.
    #[error("{used} gas, more than the limit of {limit}: block's gas is over the limit")]
    Gas {
        /// The gas of the transactions up to the one that was too many.
        used: u64,
        /// The most that a block may use.
        limit: u64,
    },
}

impl BlockRejection {
    /// The number in the code of bytomd's API; 0 where bytomd has no code of its own.
    pub fn code(&self) -> u16 {
        match self {
            Self::Coinbase(_) => 734,
            Self::Transaction { rejection, .. } => rejection.code(),
            _ => 0,
        }
    }
}
