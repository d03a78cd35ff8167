//! Transactions that wait for a block.

mod refusal;
mod settings;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use baton_ledger::{GasStatus, Hash, Mapped, Transaction};
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::block::Committed;
use crate::chain::Chain;

pub use refusal::{PoolError, Reason, Refusal};
pub use settings::PoolSettings;

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
}

impl Pooled {
    /// Its id.
    pub fn id(&self) -> Hash {
        self.transaction.id()
    }
}

/// What happened in the pool.
#[derive(Debug, Clone)]
pub enum PoolEvent {
    /// A transaction was taken, or the parents of an orphan came.
    Added(Arc<Pooled>),
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

/// The pool of a chain. Cheap to clone; all clones are the same pool.
#[derive(Clone)]
pub struct Pool {
    chain: Chain,
}

impl Pool {
    /// A pool for a chain, with what is still good of what [`Self::keep`] wrote to `kept` at the last stop.
    ///
    /// A file that cannot be made sense of is an empty one, said in the log.
    pub fn open(
        chain: &Chain,
        settings: PoolSettings,
        kept: Option<&Path>,
    ) -> Result<Self, PoolError> {
        todo!()
    }

    /// Takes a transaction, if it is good.
    pub fn submit(&self, transaction: Transaction, origin: Origin) -> Result<Admission, Refusal> {
        todo!()
    }

    /// Takes those of the transactions that are good, in order. They are validated on all cores.
    pub fn submit_many(
        &self,
        transactions: Vec<Transaction>,
        origin: Origin,
    ) -> Vec<Result<Admission, Refusal>> {
        todo!()
    }

    /// A transaction that waits, orphans left out.
    pub fn get(&self, id: &Hash) -> Option<Arc<Pooled>> {
        todo!()
    }

    /// All ids, in the order of arrival.
    pub fn ids(&self) -> Vec<Hash> {
        todo!()
    }

    /// All transactions, in the order of arrival.
    pub fn all(&self) -> Vec<Arc<Pooled>> {
        todo!()
    }

    /// The transaction in the pool that makes an output, with the output's number.
    pub fn maker(&self, output: &Hash) -> Option<(Arc<Pooled>, usize)> {
        todo!()
    }

    /// The transaction in the pool that spends an output.
    pub fn spender(&self, output: &Hash) -> Option<Hash> {
        todo!()
    }

    /// How many transactions wait, without orphans.
    pub fn len(&self) -> usize {
        self.stats().transactions
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of their encodings.
    pub fn total_bytes(&self) -> usize {
        self.stats().bytes
    }

    /// How full it is.
    pub fn stats(&self) -> PoolStats {
        todo!()
    }

    /// Whether a transaction is known: it waits, is an orphan or was in one of the last blocks.
    pub fn knows(&self, id: &Hash) -> bool {
        todo!()
    }

    /// What happens in the pool from now on. Who lags behind by more than 65 536 events misses some.
    pub fn events(&self) -> broadcast::Receiver<PoolEvent> {
        todo!()
    }

    /// Forgets what a block made obsolete: its transactions, what spends the same outputs, what is too late now; takes
    /// the orphans whose parents it brought. Whoever commits a block calls this before anything else.
    pub fn block_committed(&self, committed: &Committed) {
        todo!()
    }

    /// Forgets what waits for too long; to be called once in a while.
    pub fn expire(&self, now: SystemTime) {
        todo!()
    }

    /// Writes what waits to a file, for the next start: to be called at a stop.
    pub fn keep(&self, path: &Path) -> Result<usize, PoolError> {
        todo!()
    }

    /// The gas of those transactions that were found valid for a block at `height`, with these very witnesses. Replaces
    /// them by the pool's own, so that each is in memory once.
    pub(crate) fn known(
        &self,
        transactions: &mut [Arc<Mapped>],
        height: u64,
    ) -> HashMap<Hash, GasStatus> {
        todo!()
    }
}
