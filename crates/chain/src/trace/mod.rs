//! Instances of contracts, followed from output to output.
//!
//! A contract that is called keeps its value and state in outputs that call it; whoever uses it spends such outputs and
//! makes others. Such a chain of outputs is an *instance*: it is followed from a transaction on that made outputs of it,
//! and ends with a transaction that spends the last and makes no other. (bytomd v2's trace service; it follows instances
//! from no transaction that is older than 3600 blocks, so neither does this.)
//!
//! The store follows the chain by itself. If it does not fit the chain, because one of the two files was restored or
//! lost, all instances are followed anew from where they began; nothing is stuck and nothing need be deleted.

mod follow;
mod instance;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_ledger::Hash;
use baton_ledger::state::{Record, Tip};
use redb::{ReadableTable, TableDefinition, WriteTransaction};

use crate::block::StoredBlock;
use crate::chain::Chain;
use crate::copy;
use crate::error::ChainError;
use crate::reader::Reader;
use crate::store::{Store, guarded};

use follow::{Followed, begin};

pub use instance::{Instance, InstanceOutput, Status};

/// How old a transaction may be from which on an instance is followed, in blocks (bytomd v2).
pub const MAX_AGE_BLOCKS: u64 = 3_600;
/// How many instances are followed at most; they are in memory.
pub const MAX_INSTANCES: usize = 10_000;
/// How many blocks that moved nothing may be looked at again after a restart.
const MAX_UNNOTED: u64 = 100;
/// The memory of the store's cache.
const CACHE_BYTES: usize = 4 << 20;

const SCHEMA: u32 = 1;
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const INSTANCES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("instances");
const SCHEMA_NAME: &str = "schema";
const GENESIS_NAME: &str = "genesis";
/// Height and hash of the last block that was looked at.
const SCANNED_NAME: &str = "scanned";

/// Why an instance cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// There is no such block.
    #[error("block {0} is not in the chain")]
    Block(Hash),
    /// The block is too old.
    #[error(
        "block {block} is at height {height}, more than {MAX_AGE_BLOCKS} blocks before the tip at {tip}"
    )]
    Old {
        /// The block.
        block: Hash,
        /// Its height.
        height: u64,
        /// The height of the tip.
        tip: u64,
    },
    /// The transaction is not in the block.
    #[error("transaction {transaction} is not in block {block}")]
    Transaction {
        /// The transaction.
        transaction: Hash,
        /// The block.
        block: Hash,
    },
    /// The transaction has nothing to do with contracts.
    #[error("no output of transaction {0} calls a contract")]
    NoContract(Hash),
    /// There are too many instances.
    #[error("{MAX_INSTANCES} instances are followed already: remove some")]
    TooMany,
    /// What is in the store is not what was written.
    #[error(
        "{} is damaged: {what}; put a backup of it in its place, or remove it and begin the instances anew by \
         create-contract-instance (the chain itself is not in this file)",
        .path.display()
    )]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The store or the chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// The instances that are followed, in a store of their own. Cheap to clone.
#[derive(Clone)]
pub struct Tracer {
    shared: Arc<Shared>,
}

struct Shared {
    chain: Chain,
    store: Store,
    state: Mutex<Traced>,
}

/// How far the chain was looked at, and what was found.
#[derive(Default)]
struct Traced {
    scanned: (u64, Hash),
    /// As `scanned`, in the store.
    noted: u64,
    followed: Followed,
}

impl Tracer {
    /// Opens the store at `path`, or makes one, and follows what was committed meanwhile.
    pub fn open(path: &Path, chain: &Chain) -> Result<Self, TraceError> {
        let genesis = chain.genesis_hash();
        let found = guarded(path, || {
            let store = opened(path, genesis, chain.tip())?;
            let state = read(&store, genesis)?;
            Ok((store, state))
        });
        let (store, state) = found.map_err(|error| match error {
            ChainError::Damaged { path, what } => TraceError::Damaged { path, what },
            error => error.into(),
        })?;
        let tracer = Self {
            shared: Arc::new(Shared {
                chain: chain.clone(),
                store,
                state: Mutex::new(state),
            }),
        };
        tracer.follow()?;
        Ok(tracer)
    }

    fn state(&self) -> MutexGuard<'_, Traced> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the instances that the transaction with this id in the block with this hash begins or goes on with: one
    /// for each contract that its outputs call; their trace ids. `create-contract-instance`.
    pub fn create(&self, transaction: &Hash, block: &Hash) -> Result<Vec<Hash>, TraceError> {
        let chain = &self.shared.chain;
        let mut state = self.state();
        let reader = chain.read()?;
        self.catch_up(&mut state, &reader)?;
        let tip = reader.tip().height;
        let Some(height) = reader.height_of(block)? else {
            return Err(TraceError::Block(*block));
        };
        if height + MAX_AGE_BLOCKS < tip {
            let block = *block;
            return Err(TraceError::Old { block, height, tip });
        }
        let stored = stored_block(&reader, height)?;
        let mut transactions = stored.transactions.iter();
        let Some(origin) = transactions.find(|mapped| mapped.id() == *transaction) else {
            return Err(TraceError::Transaction {
                transaction: *transaction,
                block: *block,
            });
        };
        let begun = begin(origin, height);
        if begun.is_empty() {
            return Err(TraceError::NoContract(*transaction));
        }
        if state.followed.len() + begun.len() > MAX_INSTANCES {
            return Err(TraceError::TooMany);
        }
        let ids: Vec<Hash> = begun.iter().map(|instance| instance.trace_id).collect();
        let mut fresh = Followed::default();
        for instance in begun {
            fresh.add(instance);
        }
        // what came after it in its own block, then what came since
        let own = transactions.as_slice();
        fresh.block(own, height);
        for height in height + 1..=tip {
            let block = stored_block(&reader, height)?;
            fresh.block(&block.transactions, height);
        }
        let instances: Vec<Instance> = fresh.all().cloned().collect();
        self.shared.store.write(|transaction| {
            let mut table = transaction.open_table(INSTANCES)?;
            for instance in &instances {
                table.insert(&instance.trace_id.0, instance.encode().as_slice())?;
            }
            drop(table);
            note(transaction, state.scanned)
        })?;
        state.noted = state.scanned.0;
        for instance in instances {
            state.followed.remove(&instance.trace_id);
            state.followed.add(instance);
        }
        Ok(ids)
    }

    /// An instance that is followed. `get-contract-instance`.
    pub fn get(&self, trace_id: &Hash) -> Option<Instance> {
        self.state().followed.get(trace_id).cloned()
    }

    /// Up to which height the chain was looked at.
    pub fn height(&self) -> u64 {
        self.state().scanned.0
    }

    /// Follows an instance no more; whether it was followed. `remove-contract-instance`.
    pub fn remove(&self, trace_id: &Hash) -> Result<bool, TraceError> {
        let mut state = self.state();
        if state.followed.get(trace_id).is_none() {
            return Ok(false);
        }
        self.shared.store.write(|transaction| {
            let mut table = transaction.open_table(INSTANCES)?;
            table.remove(&trace_id.0)?;
            Ok(())
        })?;
        state.followed.remove(trace_id);
        Ok(true)
    }

    /// Follows all instances up to the chain's tip; to be called when a block was committed.
    pub fn follow(&self) -> Result<(), TraceError> {
        let mut state = self.state();
        let reader = self.shared.chain.read()?;
        self.catch_up(&mut state, &reader)
    }

    fn catch_up(&self, state: &mut Traced, reader: &Reader) -> Result<(), TraceError> {
        let (height, hash) = state.scanned;
        if reader.hash_at(height)? != Some(hash) {
            self.start_again(state, reader)?;
        }
        let tip = reader.tip();
        if state.followed.len() == 0 {
            // nothing to look for
            state.scanned = (tip.height, tip.hash);
        }
        let mut moved = BTreeSet::new();
        for height in state.scanned.0 + 1..=tip.height {
            let block = stored_block(reader, height)?;
            moved.extend(state.followed.block(&block.transactions, height));
            state.scanned = (height, block.hash());
        }
        if moved.is_empty() && state.scanned.0 < state.noted + MAX_UNNOTED {
            return Ok(());
        }
        self.shared.store.write(|transaction| {
            let mut table = transaction.open_table(INSTANCES)?;
            for instance in moved.iter().filter_map(|id| state.followed.get(id)) {
                table.insert(&instance.trace_id.0, instance.encode().as_slice())?;
            }
            drop(table);
            note(transaction, state.scanned)
        })?;
        state.noted = state.scanned.0;
        Ok(())
    }

    /// Follows all instances anew from where they began: the chain is not the one that was looked at.
    fn start_again(&self, state: &mut Traced, reader: &Reader) -> Result<(), TraceError> {
        let tip = reader.tip();
        tracing::warn!(
            store = %self.shared.store.path().display(), scanned = state.scanned.0, tip = tip.height,
            "the chain is not the one that was traced: all instances are followed anew"
        );
        let mut again = Followed::default();
        for height in 0..=tip.height {
            let begun_here = state
                .followed
                .all()
                .filter(|instance| instance.origin_height == height);
            let origins: Vec<(Hash, Hash)> = begun_here
                .map(|instance| (instance.origin, instance.trace_id))
                .collect();
            if origins.is_empty() && again.len() == 0 {
                continue;
            }
            let block = stored_block(reader, height)?;
            for (index, transaction) in block.transactions.iter().enumerate() {
                let one = &block.transactions[index..=index];
                again.block(one, height);
                let id = transaction.id();
                for instance in begin(transaction, height) {
                    if origins.contains(&(id, instance.trace_id)) {
                        again.add(instance);
                    }
                }
            }
        }
        let lost = state.followed.len() - again.len();
        if lost > 0 {
            tracing::warn!(
                lost,
                "the chain does not have the transactions that instances begin with"
            );
        }
        state.followed = again;
        state.scanned = (tip.height, tip.hash);
        self.shared.store.write(|transaction| {
            let mut table = transaction.open_table(INSTANCES)?;
            table.retain(|_, _| false)?;
            for instance in state.followed.all() {
                table.insert(&instance.trace_id.0, instance.encode().as_slice())?;
            }
            drop(table);
            note(transaction, state.scanned)
        })?;
        state.noted = tip.height;
        Ok(())
    }

    /// Writes a copy of the store into a new file.
    pub fn copy_to(&self, path: &Path) -> Result<(), TraceError> {
        let store = &self.shared.store;
        let read = store.read()?;
        copy::copy(store, path, &read, |from, to| {
            copy::table(from, to, META)?;
            copy::table(from, to, INSTANCES)
        })?;
        Ok(())
    }

    /// Closes the store. Clones find it closed.
    pub fn close(self) {
        self.shared.store.close();
    }
}

fn scanned_bytes((height, hash): (u64, Hash)) -> Vec<u8> {
    [height.to_le_bytes().as_slice(), hash.as_bytes()].concat()
}

fn opened(path: &Path, genesis: Hash, tip: Tip) -> Result<Store, ChainError> {
    Store::open(path, CACHE_BYTES, |transaction| {
        let mut table = transaction.open_table(META)?;
        table.insert(SCHEMA_NAME, SCHEMA.to_le_bytes().as_slice())?;
        table.insert(GENESIS_NAME, genesis.as_bytes().as_slice())?;
        table.insert(
            SCANNED_NAME,
            scanned_bytes((tip.height, tip.hash)).as_slice(),
        )?;
        transaction.open_table(INSTANCES)?;
        Ok(())
    })
}

fn note(transaction: &WriteTransaction, scanned: (u64, Hash)) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(META)?;
    table.insert(SCANNED_NAME, scanned_bytes(scanned).as_slice())?;
    Ok(())
}

fn stored_block(reader: &Reader, height: u64) -> Result<Arc<StoredBlock>, ChainError> {
    let block = reader.block(height)?;
    block.ok_or_else(|| reader.damaged(format!("block {height} is missing")))
}

/// Reads what is stored.
fn read(store: &Store, genesis: Hash) -> Result<Traced, ChainError> {
    let transaction = store.read()?;
    let fail = |error: redb::Error| store.failed("reading", error);
    let table = transaction
        .open_table(META)
        .map_err(|error| fail(error.into()))?;
    let meta = |name| -> Result<Vec<u8>, ChainError> {
        let found = table.get(name).map_err(|error| fail(error.into()))?;
        let found = found.map(|bytes| bytes.value().to_vec());
        found.ok_or_else(|| store.damaged(format!("its {name} is missing")))
    };
    let schema = meta(SCHEMA_NAME)?;
    if schema != SCHEMA.to_le_bytes() {
        return Err(ChainError::Schema {
            path: store.path().to_owned(),
            found: schema.try_into().map_or(0, u32::from_le_bytes),
            wanted: SCHEMA,
        });
    }
    let found = meta(GENESIS_NAME)?;
    if found != genesis.as_bytes() {
        return Err(ChainError::OtherChain {
            path: store.path().to_owned(),
            what: "genesis block",
            found: found.try_into().map_or(Hash::ZERO, Hash),
            wanted: genesis,
        });
    }
    let scanned = meta(SCANNED_NAME)?;
    let scanned = scanned.split_first_chunk::<8>().and_then(|(height, hash)| {
        Some((u64::from_le_bytes(*height), Hash(hash.try_into().ok()?)))
    });
    let scanned = scanned.ok_or_else(|| store.damaged("how far it looked makes no sense"))?;
    let table = transaction
        .open_table(INSTANCES)
        .map_err(|error| fail(error.into()))?;
    let mut followed = Followed::default();
    for entry in table.iter().map_err(|error| fail(error.into()))? {
        let (_, record) = entry.map_err(|error| fail(error.into()))?;
        let instance = Instance::decode(record.value());
        followed.add(instance.map_err(|error| store.damaged(error.to_string()))?);
    }
    Ok(Traced {
        scanned,
        noted: scanned.0,
        followed,
    })
}
