//! The chain: its tip in memory, all else in the store.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use baton_ledger::state::{Genesis, Start, Tip, Validators};
use baton_ledger::upgrade::Plan;
use baton_ledger::{Hash, Params};
use tokio::sync::{broadcast, watch};

use crate::block::{Committed, StoredBlock};
use crate::check::Candidates;
use crate::commit;
use crate::error::ChainError;
use crate::migration::Migrations;
use crate::reader::Reader;
use crate::recent::Recent;
use crate::store::{META, SCHEMA, Store, guarded, meta};

/// How many committed blocks a slow listener may be behind before it must read the store.
const COMMITTED_CAPACITY: usize = 64;

/// How a chain is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether transactions can be found by their ids. What was committed while this was off is indexed at the next
    /// start with it on.
    pub transaction_index: bool,
    /// The upgrades that this program can do.
    pub migrations: Migrations,
    /// The memory that the store may take for its pages, in bytes.
    pub cache_bytes: usize,
    /// The memory that decoded blocks may take, in bytes.
    pub recent_bytes: usize,
    /// The longest block that is proposed or voted for, in bytes. One that was decided is taken at any size.
    pub max_block_bytes: usize,
}

impl Default for Options {
    /// 64 MiB for pages, 64 MiB for blocks, blocks up to 4 MiB, no index, no upgrades.
    fn default() -> Self {
        Self {
            transaction_index: false,
            migrations: Migrations::new(),
            cache_bytes: 64 << 20,
            recent_bytes: 64 << 20,
            max_block_bytes: 4 << 20,
        }
    }
}

/// A chain on disk. Cheap to clone; all clones are the same chain.
#[derive(Clone)]
pub struct Chain {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) genesis: Genesis,
    pub(crate) genesis_hash: Hash,
    pub(crate) options: Options,
    /// One block is committed after the other.
    pub(crate) writing: Mutex<()>,
    pub(crate) now: RwLock<Arc<Now>>,
    /// Blocks after the tip that were applied already.
    pub(crate) candidates: Mutex<Candidates>,
    pub(crate) recent: Arc<Recent>,
    /// What this process committed last.
    pub(crate) last: Mutex<Option<Arc<Committed>>>,
    pub(crate) tips: watch::Sender<Tip>,
    pub(crate) committed: broadcast::Sender<Arc<Committed>>,
}

/// What is known without reading.
#[derive(Debug, Clone)]
pub(crate) struct Now {
    pub(crate) tip: Tip,
    pub(crate) validators: Validators,
    pub(crate) plan: Option<Plan>,
}

impl Now {
    fn read(reader: &Reader) -> Result<Self, ChainError> {
        Ok(Self {
            tip: reader.tip(),
            validators: reader.validators()?,
            plan: reader.plan()?,
        })
    }
}

impl Chain {
    /// Opens the chain in the store at `path`, or begins it there.
    ///
    /// Refuses the store of another chain or another version of this program, and one that is damaged.
    pub fn open(path: &Path, genesis: &Genesis, options: Options) -> Result<Self, ChainError> {
        let start = genesis.start()?;
        guarded(path, || Self::opened(path, genesis, &start, options))
    }

    /// Opens the chain in the store at `path` to look at it: nothing of it changes, and nothing can be committed. Refuses
    /// what [`open`](Self::open) refuses, a store that is not there, and one that was [not
    /// closed](ChainError::is_unclosed).
    pub fn open_read_only(
        path: &Path,
        genesis: &Genesis,
        options: Options,
    ) -> Result<Self, ChainError> {
        let start = genesis.start()?;
        guarded(path, || {
            let store = Store::open_read_only(path, options.cache_bytes)?;
            Self::of_store(store, genesis, &start, options)
        })
    }

    fn opened(
        path: &Path,
        genesis: &Genesis,
        start: &Start,
        options: Options,
    ) -> Result<Self, ChainError> {
        let params_hash = genesis.params().hash();
        let store = Store::open(path, options.cache_bytes, |transaction| {
            commit::found(transaction, start, params_hash)
        })?;
        let chain = Self::of_store(store, genesis, start, options)?;
        chain.index()?;
        Ok(chain)
    }

    fn of_store(
        store: Store,
        genesis: &Genesis,
        start: &Start,
        options: Options,
    ) -> Result<Self, ChainError> {
        let params_hash = genesis.params().hash();
        let genesis_hash = start.tip.hash;
        check_origin(&store, genesis_hash, params_hash)?;
        let recent = Arc::new(Recent::new(options.recent_bytes));
        let reader = Reader::new(store.read()?, store.path(), recent.clone())?;
        check_tip(&store, &reader)?;
        let now = Now::read(&reader)?;
        drop(reader);
        let (tips, _) = watch::channel(now.tip);
        let (committed, _) = broadcast::channel(COMMITTED_CAPACITY);
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                genesis: genesis.clone(),
                genesis_hash,
                options,
                writing: Mutex::default(),
                now: RwLock::new(Arc::new(now)),
                candidates: Mutex::default(),
                recent,
                last: Mutex::default(),
                tips,
                committed,
            }),
        })
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        self.shared.store.path()
    }

    /// What the network has decided.
    pub fn params(&self) -> &Params {
        self.shared.genesis.params()
    }

    /// The hash of the genesis block.
    pub fn genesis_hash(&self) -> Hash {
        self.shared.genesis_hash
    }

    /// How it is kept.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    pub(crate) fn last(&self) -> MutexGuard<'_, Option<Arc<Committed>>> {
        let last = self.shared.last.lock();
        last.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Arc<Now> {
        let now = self.shared.now.read();
        now.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last block that was committed. Does not read the disk.
    pub fn tip(&self) -> Tip {
        self.now().tip
    }

    /// The tip, and word of each new one.
    pub fn watch(&self) -> watch::Receiver<Tip> {
        self.shared.tips.subscribe()
    }

    /// Each block as it is committed. Who lags behind by more than 64 blocks misses some, and reads the store.
    pub fn committed(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.shared.committed.subscribe()
    }

    /// A snapshot of what is stored: it holds all blocks up to a tip, whatever is committed meanwhile.
    pub fn read(&self) -> Result<Reader, ChainError> {
        let shared = &self.shared;
        Reader::new(
            shared.store.read()?,
            shared.store.path(),
            shared.recent.clone(),
        )
    }

    /// The block at a height; does not read the disk if it was asked for lately.
    pub fn block(&self, height: u64) -> Result<Option<Arc<StoredBlock>>, ChainError> {
        match self.shared.recent.get(height) {
            Some(block) => Ok(Some(block)),
            None => self.read()?.block(height),
        }
    }

    /// The block with a hash; does not read the disk if it was asked for lately.
    pub fn block_by_hash(&self, hash: &Hash) -> Result<Option<Arc<StoredBlock>>, ChainError> {
        if let Some(block) = self.shared.recent.find(hash) {
            return Ok(Some(block));
        }
        let reader = self.read()?;
        match reader.height_of(hash)? {
            Some(height) => reader.block(height),
            None => Ok(None),
        }
    }

    /// The validators of the next block.
    pub fn validators(&self) -> Validators {
        self.now().validators.clone()
    }

    /// The upgrade that is planned, if there is one.
    pub fn plan(&self) -> Option<Plan> {
        self.now().plan.clone()
    }

    /// The upgrade that is due before the next block and that this program cannot do: no block can be made, checked or
    /// committed until a program takes over that can.
    pub fn due_upgrade(&self) -> Option<Plan> {
        let now = self.now();
        let due = now.plan.as_ref()?;
        let waits = due.height == now.tip.height + 1;
        let able = self.shared.options.migrations.has(&due.name);
        (waits && !able).then(|| due.clone())
    }

    /// Closes the store: when this returns, another process may open it. Clones of the chain and [`Reader`]s find it
    /// closed.
    pub fn close(self) {
        let writing = self.shared.writing.lock();
        let _writing = writing.unwrap_or_else(PoisonError::into_inner);
        self.shared.store.close();
    }
}

/// Refuses a store of another schema or chain.
fn check_origin(store: &Store, genesis: Hash, params: Hash) -> Result<(), ChainError> {
    let read = |name| -> Result<Option<Vec<u8>>, ChainError> {
        let transaction = store.read()?;
        let table = match transaction.open_table(META) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(store.failed("reading", error)),
        };
        let found = table
            .get(name)
            .map_err(|error| store.failed("reading", error))?;
        Ok(found.map(|found| found.value().to_vec()))
    };
    let schema =
        read(meta::SCHEMA)?.and_then(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)));
    match schema {
        Some(SCHEMA) => {}
        Some(found) => {
            return Err(ChainError::Schema {
                path: store.path().to_owned(),
                found,
                wanted: SCHEMA,
            });
        }
        None => return Err(store.damaged("it is no chain")),
    }
    for (name, what, wanted) in [
        (meta::GENESIS, "genesis block", genesis),
        (meta::PARAMS, "parameters", params),
    ] {
        let found = read(name)?.and_then(|bytes| Some(Hash(bytes.try_into().ok()?)));
        let Some(found) = found else {
            return Err(store.damaged(format!("the hash of its {what} is missing")));
        };
        if found != wanted {
            return Err(ChainError::OtherChain {
                path: store.path().to_owned(),
                what,
                found,
                wanted,
            });
        }
    }
    Ok(())
}

/// Makes sure that the last block is there and is what the tip says.
fn check_tip(store: &Store, reader: &Reader) -> Result<(), ChainError> {
    let tip = reader.tip();
    let height = tip.height;
    let Some(block) = reader.block(height)? else {
        return Err(store.damaged(format!("the last block, at height {height}, is missing")));
    };
    let head = &block.head;
    let found = (
        head.hash,
        head.header.hash(),
        head.app_hash,
        head.header.timestamp_ms,
    );
    if found != (tip.hash, tip.hash, tip.app_hash, tip.timestamp_ms) {
        return Err(store.damaged(format!(
            "the last block, at height {height}, is not the one the tip names"
        )));
    }
    Ok(())
}
