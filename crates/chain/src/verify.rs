//! Doing everything again from the genesis on, to find out whether the store says the truth.

use baton_ledger::Hash;
use baton_ledger::state::Tip;

use crate::chain::Chain;
use crate::error::{ChainError, Refused};

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The tip that was reached.
    pub tip: Tip,
    /// How many transactions were applied.
    pub transactions: u64,
    /// How many records the state has.
    pub records: usize,
}

/// Why the store is not what follows from the genesis.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The store cannot be read, or contradicts itself.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A stored block is not valid.
    #[error("block {height}: {refused}")]
    Block {
        /// Its height.
        height: u64,
        /// Why it is not.
        refused: Box<Refused>,
    },
    /// A stored block does something else than is stored.
    #[error("block {height} leads to the AppHash {computed}, {stored} is stored")]
    AppHash {
        /// Its height.
        height: u64,
        /// What follows from the block.
        computed: Hash,
        /// What is stored.
        stored: Hash,
    },
    /// The stored state is not what the blocks lead to.
    #[error("the record of the state under the key {key} is not what the blocks lead to")]
    Record {
        /// The key, in hexadecimal.
        key: String,
    },
}

impl Chain {
    /// Applies all blocks again from the genesis on, in memory, and compares what is stored with what comes out.
    /// `progress` is told each height.
    pub fn verify(&self, progress: impl FnMut(u64)) -> Result<Verified, VerifyError> {
        let _ = progress;
        todo!()
    }
}
