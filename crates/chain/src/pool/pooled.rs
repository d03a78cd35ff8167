//! A transaction that waits, and what is told of the pool.

use std::sync::Arc;
use std::time::SystemTime;

use baton_ledger::{GasStatus, Hash, Mapped};
use bytes::Bytes;

use super::refusal::Reason;

/// Where a transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client of this node, which is kept from paying too much by mistake.
    Local,
    /// Another node.
    Peer,
}

/// A transaction was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Its id.
    pub id: Hash,
    /// It was in the pool before, or in a block lately.
    pub already_known: bool,
    /// It spends outputs that are not known yet, and waits for them. bytomd's API calls this an error, BTM712.
    pub orphan: bool,
}

/// A transaction that waits for a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooled {
    /// The transaction, with its ids.
    pub transaction: Arc<Mapped>,
    /// Its encoding.
    pub bytes: Bytes,
    /// What it pays and uses.
    pub gas: GasStatus,
    /// When it was taken.
    pub arrived: SystemTime,
    /// The only height for which it is known to be valid; `None` if it is valid at any within its time range.
    pub(crate) valid_at: Option<u64>,
    /// Whether it decides on the upgrade plan.
    pub(crate) plans: bool,
}

impl Pooled {
    /// Its id.
    pub fn id(&self) -> Hash {
        self.transaction.id()
    }

    /// The outputs it spends.
    pub(crate) fn spent(&self) -> impl Iterator<Item = Hash> {
        spent(&self.transaction)
    }

    /// Whether it is known to be valid in a block at `height`, but for its time range.
    pub(crate) fn is_valid_at(&self, height: u64) -> bool {
        self.valid_at.is_none_or(|valid_at| valid_at == height)
    }
}

/// The outputs that a transaction spends.
pub(crate) fn spent(transaction: &Mapped) -> impl Iterator<Item = Hash> {
    let inputs = transaction.entries().inputs.iter();
    inputs.filter_map(|input| input.spent_output_id)
}

/// What happened in the pool.
#[derive(Debug, Clone)]
pub enum PoolEvent {
    /// A transaction was taken, or the parents of an orphan came; with its number, which grows by one with each.
    Added(Arc<Pooled>, u64),
    /// A transaction left.
    Removed(Hash, Reason),
}

/// How full the pool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Transactions, without orphans.
    pub transactions: usize,
    /// The bytes of their encodings.
    pub bytes: usize,
    /// Orphans.
    pub orphans: usize,
    /// The bytes of their encodings.
    pub orphan_bytes: usize,
}
