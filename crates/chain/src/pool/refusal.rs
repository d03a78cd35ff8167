//! Why a transaction is not in the pool, or not any more.

use std::path::PathBuf;

use baton_ledger::state::SpendFault;
use baton_ledger::upgrade::PlanError;
use baton_ledger::{Hash, Rejection, validate};

use crate::error::ChainError;

/// Why a transaction was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not what a pool takes.
    #[error(transparent)]
    Relay(#[from] validate::Refusal),
    /// It is not valid.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It is not what its encoding is read as: a number in it is too large.
    #[error("the encoding of the transaction is not canonical")]
    NotCanonical,
    /// It would never fit into a block.
    #[error("{used} gas, more than the {limit} of a block: the transaction fits into no block")]
    Gas {
        /// The gas it uses.
        used: u64,
        /// The gas of a block.
        limit: u64,
    },
    /// It would never fit into a block.
    #[error("{bytes} bytes, more than the {limit} of a block: the transaction fits into no block")]
    Size {
        /// The length of its encoding.
        bytes: usize,
        /// The longest encoding.
        limit: usize,
    },
    /// It spends an output that cannot be spent yet.
    #[error("{output}: {fault}")]
    Spend {
        /// The output.
        output: Hash,
        /// Why it cannot be spent.
        fault: SpendFault,
    },
    /// A transaction in the pool spends the same output.
    #[error("{output} is spent by {by}, which waits for a block: got the double spend input")]
    Conflict {
        /// The output, or the id of the plan's transaction.
        output: Hash,
        /// The transaction that spends it.
        by: Hash,
    },
    /// A transaction in the pool decides on the upgrade plan.
    #[error("{by}, which waits for a block, decides on the upgrade plan: wait for that block")]
    PlanPending {
        /// That transaction.
        by: Hash,
    },
    /// It decides on the upgrade plan in a way that no block accepts.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is no room.
    #[error(
        "the pool is full: {transactions} transactions of {bytes} bytes wait, up to {max_transactions} of {max_bytes} bytes may; try again after the next block"
    )]
    Full {
        /// How many there are.
        transactions: usize,
        /// Their bytes.
        bytes: usize,
        /// How many there may be.
        max_transactions: usize,
        /// How many bytes they may have.
        max_bytes: usize,
    },
    /// The state could not be read: this node has trouble of its own.
    #[error(transparent)]
    Failed(#[from] ChainError),
}

impl Refusal {
    /// The number in the code of bytomd's API; 0 where bytomd has no code of its own.
    pub fn code(&self) -> u16 {
        match self {
            Self::Relay(refusal) => refusal.code(),
            Self::Rejected(rejection) => rejection.code(),
            _ => 0,
        }
    }

    /// The sentence bytomd's API gives with the code; `None` where bytomd has no code of its own.
    pub fn summary(&self) -> Option<&'static str> {
        match self {
            Self::Relay(refusal) => Some(refusal.summary()),
            Self::Rejected(rejection) => Some(rejection.summary()),
            _ => None,
        }
    }

    /// Whether whoever sent it knew, or could have known, that it is not valid.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Rejected(_) | Self::NotCanonical | Self::Plan(_))
    }
}

/// Why a transaction is not in the pool any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is in the block at this height.
    Committed(u64),
    /// The block at this height spends an output that it spends.
    Conflict(u64),
    /// The last height at which it could be in a block has gone by.
    TimeRange,
    /// It waited too long.
    Expired,
    /// It turned out not to be valid.
    Invalid(String),
    /// It spends an output of a transaction that left the pool otherwise than into a block.
    Parent(Hash),
}

/// Why the pool could not be kept, or what was kept not be read.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The file could not be read or written.
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
    /// What another pool has packed makes no sense.
    #[error("what waits for a block was not brought along whole: {0}")]
    Packed(String),
    /// The chain could not be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl PoolError {
    #[expect(clippy::needless_pass_by_value, reason = "it is given by `map_err`")]
    pub(super) fn packed(error: impl ToString) -> Self {
        Self::Packed(error.to_string())
    }
}
