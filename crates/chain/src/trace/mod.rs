//! Instances of contracts, followed from output to output.
//!
//! A contract that is called keeps its value and state in an output that calls it; whoever uses it spends that output
//! and makes another. Such a chain of outputs is an *instance*, known by the transactions that made its latest outputs.

use std::path::{Path, PathBuf};

use baton_ledger::{AssetId, Hash};

use crate::chain::Chain;
use crate::error::ChainError;

/// Whether an instance goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its outputs are in the chain.
    Finalized,
    /// Its last outputs were spent and no others made.
    Ended,
}

/// An output of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceOutput {
    /// Its id.
    pub id: Hash,
    /// The mux of its transaction.
    pub source_id: Hash,
    /// Its number in its transaction.
    pub source_position: u64,
    /// The asset.
    pub asset_id: AssetId,
    /// Units of the asset.
    pub amount: u64,
    /// The program that calls the contract.
    pub control_program: Vec<u8>,
    /// The state of the contract.
    pub state_data: Vec<Vec<u8>>,
}

/// An instance of contracts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id: the transaction in which it was last seen when it was created.
    pub trace_id: Hash,
    /// The outputs there are now.
    pub unspent: Vec<InstanceOutput>,
    /// The outputs that were spent for them.
    pub spent: Vec<InstanceOutput>,
    /// The transaction that made the outputs there are now.
    pub transaction_id: Hash,
    /// Whether it goes on.
    pub status: Status,
    /// How far the chain was looked at.
    pub height: u64,
}

/// Why an instance cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The transaction is not in the block, or the block is too old.
    #[error("{0}")]
    Unknown(String),
    /// The store or the chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// The instances that are followed, in a store of their own. Cheap to clone.
#[derive(Clone)]
pub struct Tracer {
    path: PathBuf,
}

impl Tracer {
    /// Opens the store at `path`, or makes one, and follows what was committed meanwhile.
    pub fn open(path: &Path, chain: &Chain) -> Result<Self, TraceError> {
        let _ = chain;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Follows the instances that the transaction with this id in the block with this hash makes or moves; their trace
    /// ids. `create-contract-instance`.
    pub fn create(&self, transaction: &Hash, block: &Hash) -> Result<Vec<Hash>, TraceError> {
        let _ = (transaction, block, &self.path);
        todo!()
    }

    /// An instance that is followed. `get-contract-instance`.
    pub fn get(&self, trace_id: &Hash) -> Result<Option<Instance>, TraceError> {
        let _ = trace_id;
        todo!()
    }

    /// Follows an instance no more; whether it was followed. `remove-contract-instance`.
    pub fn remove(&self, trace_id: &Hash) -> Result<bool, TraceError> {
        let _ = trace_id;
        todo!()
    }

    /// Follows all instances up to the chain's tip; to be called when a block was committed.
    pub fn follow(&self) -> Result<(), TraceError> {
        todo!()
    }
}
