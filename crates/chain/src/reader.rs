//! A snapshot of the store: all blocks up to a tip, and the state after it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use baton_ledger::merkle::Proof;
use baton_ledger::state::{self, Contract, Key, Record, State, StateError, Tip, Utxo, Validators};
use baton_ledger::upgrade::Plan;
use baton_ledger::{Block, Hash, Header, Mapped};
use bytes::Bytes;
use redb::{
    Key as TableKey, ReadOnlyTable, ReadTransaction, ReadableTableMetadata, TableDefinition,
    TableError, Value,
};

use crate::block::{Decided, Head, Located, StoredBlock};
use crate::error::ChainError;
use crate::recent::Recent;
use crate::record::{Numbers, decode_tip};
use crate::store::{
    BODIES, CERTIFICATES, HEADS, HEIGHTS, META, STATE, TRANSACTIONS, UNSPENT, VOTES, failed, meta,
};

/// The most blocks that are read at once for others.
const MAX_RANGE: usize = 1_000;

/// What is stored, as it was at one moment. The ledger reads it as its state.
///
/// Not to be kept for long: what later blocks replace stays in the file as long as somebody may read it.
pub struct Reader {
    path: PathBuf,
    tip: Tip,
    transaction: ReadTransaction,
    unspent: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    state: ReadOnlyTable<&'static [u8], &'static [u8]>,
    recent: Arc<Recent>,
}

/// Shows which transactions of a block are in it; `get-merkle-proof`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerkleProof {
    /// The block's header.
    pub header: Header,
    /// The hashes and flags.
    pub proof: Proof,
    /// The wanted transactions that are in the block, in its order.
    pub matched: Vec<Hash>,
}

impl Reader {
    pub(crate) fn new(
        transaction: ReadTransaction,
        path: &Path,
        recent: Arc<Recent>,
    ) -> Result<Self, ChainError> {
        let fail = |error: TableError| failed(path, "reading", error);
        let unspent = transaction.open_table(UNSPENT).map_err(fail)?;
        let state = transaction.open_table(STATE).map_err(fail)?;
        let meta = transaction.open_table(META).map_err(fail)?;
        let tip = meta
            .get(meta::TIP)
            .map_err(|error| failed(path, "reading", error))?
            .and_then(|bytes| decode_tip(bytes.value()).ok());
        let tip = tip.ok_or_else(|| ChainError::Damaged {
            path: path.to_owned(),
            what: "the tip is missing".to_owned(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            tip,
            transaction,
            unspent,
            state,
            recent,
        })
    }

    /// What it reads by.
    pub(crate) fn of(&self) -> &ReadTransaction {
        &self.transaction
    }

    /// The last block in the snapshot.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// The lowest height whose decision is stored: nothing is pruned.
    pub fn history_min_height(&self) -> u64 {
        self.tip.height.min(1)
    }

    /// A block, whole.
    pub fn block(&self, height: u64) -> Result<Option<Arc<StoredBlock>>, ChainError> {
        if height > self.tip.height {
            return Ok(None);
        }
        if let Some(block) = self.recent.get(height) {
            return Ok(Some(block));
        }
        let Some(head) = self.head(height)? else {
            return Ok(None);
        };
        let missing = |what: &str| self.damaged(format!("the {what} of block {height} is missing"));
        let bytes = self.bytes(height)?.ok_or_else(|| missing("body"))?;
        let certificate = self.certificate(height)?;
        let block = Block::decode(&bytes)
            .map_err(|error| self.damaged(format!("block {height}: {error}")))?;
        let transactions = block.transactions.into_iter();
        let block = Arc::new(StoredBlock {
            head,
            transactions: transactions.map(Mapped::from).map(Arc::new).collect(),
            bytes,
            certificate: certificate.unwrap_or_default(),
        });
        self.recent.put(block.clone());
        Ok(Some(block))
    }

    /// A block without its transactions.
    pub fn head(&self, height: u64) -> Result<Option<Head>, ChainError> {
        let Some(bytes) = self.get(HEADS, height)? else {
            return Ok(None);
        };
        let head = Head::decode(bytes.value());
        head.map(Some)
            .map_err(|error| self.damaged(format!("the head of block {height}: {error}")))
    }

    /// The header of a block.
    pub fn header(&self, height: u64) -> Result<Option<Header>, ChainError> {
        Ok(self.head(height)?.map(|head| head.header))
    }

    /// The bytes of a block.
    pub fn bytes(&self, height: u64) -> Result<Option<Bytes>, ChainError> {
        if let Some(block) = self
            .recent
            .get(height)
            .filter(|_| height <= self.tip.height)
        {
            return Ok(Some(block.bytes.clone()));
        }
        let found = self.get(BODIES, height)?;
        Ok(found.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    fn certificate(&self, height: u64) -> Result<Option<Bytes>, ChainError> {
        let found = self.get(CERTIFICATES, height)?;
        Ok(found.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    /// The height of the block with a hash.
    pub fn height_of(&self, hash: &Hash) -> Result<Option<u64>, ChainError> {
        let found = self.get(HEIGHTS, hash.as_bytes())?;
        Ok(found.map(|height| height.value()))
    }

    /// The hash of the block at a height.
    pub fn hash_at(&self, height: u64) -> Result<Option<Hash>, ChainError> {
        Ok(self.head(height)?.map(|head| head.hash))
    }

    /// What all changes up to and with the block at a height hash to.
    pub fn app_hash_at(&self, height: u64) -> Result<Option<Hash>, ChainError> {
        Ok(self.head(height)?.map(|head| head.app_hash))
    }

    /// A decided block as it is sent to others.
    pub fn decided(&self, height: u64) -> Result<Option<Decided>, ChainError> {
        let (Some(head), Some(bytes)) = (self.head(height)?, self.bytes(height)?) else {
            return Ok(None);
        };
        Ok(Some(Decided {
            height,
            bytes,
            certificate: self.certificate(height)?.unwrap_or_default(),
            round: head.round,
            proposer: head.proposer,
        }))
    }

    /// Decided blocks in a row, as long as they have no more than `max_bytes` together, but one at least.
    pub fn decided_range(
        &self,
        heights: RangeInclusive<u64>,
        max_bytes: usize,
    ) -> Result<Vec<Decided>, ChainError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        for height in heights.take(MAX_RANGE) {
            let Some(decided) = self.decided(height)? else {
                break;
            };
            bytes += decided.bytes.len() + decided.certificate.len();
            if bytes > max_bytes && !found.is_empty() {
                break;
            }
            found.push(decided);
        }
        Ok(found)
    }

    /// Where a transaction is; nothing is found unless transactions are indexed.
    pub fn locate(&self, id: &Hash) -> Result<Option<Located>, ChainError> {
        let Some(found) = self.get(TRANSACTIONS, id.as_bytes())? else {
            return Ok(None);
        };
        let (height, index) = found.value();
        let head = self.head(height)?;
        Ok(head.map(|head| Located {
            height,
            index,
            block_hash: head.hash,
            timestamp_ms: head.header.timestamp_ms,
            transactions: head.transactions,
        }))
    }

    /// A transaction and where it is; nothing is found unless transactions are indexed.
    pub fn transaction(&self, id: &Hash) -> Result<Option<(Located, Arc<Mapped>)>, ChainError> {
        let Some(located) = self.locate(id)? else {
            return Ok(None);
        };
        let block = self.block(located.height)?;
        let transaction = block.and_then(|block| {
            let index = usize::try_from(located.index).ok()?;
            block.transactions.get(index).cloned()
        });
        Ok(transaction.map(|transaction| (located, transaction)))
    }

    /// Shows which of `wanted` are in the block at a height.
    pub fn merkle_proof(
        &self,
        height: u64,
        wanted: &[Hash],
    ) -> Result<Option<MerkleProof>, ChainError> {
        let Some(block) = self.block(height)? else {
            return Ok(None);
        };
        let ids = block.transaction_ids();
        Ok(Some(MerkleProof {
            header: block.header().clone(),
            proof: Proof::new(&ids, |id| wanted.contains(id)),
            matched: ids.into_iter().filter(|id| wanted.contains(id)).collect(),
        }))
    }

    /// The votes for each key, in neu: as they are after the tip, or as they were after the last block of an epoch up to
    /// a height below the tip's; those of the genesis count from the start.
    pub fn votes_at(&self, height: Option<u64>) -> Result<BTreeMap<Vec<u8>, u64>, ChainError> {
        let Some(height) = height.filter(|height| *height < self.tip.height) else {
            return state::votes(self).map_err(|error| self.of_state(error));
        };
        let table = self.table(VOTES)?;
        let Some(table) = table else {
            return Ok(BTreeMap::new());
        };
        let mut range = table.range(..=height).map_err(|error| self.failed(error))?;
        let Some(found) = range.next_back() else {
            return Ok(BTreeMap::new());
        };
        let (height, votes) = found.map_err(|error| self.failed(error))?;
        let votes = Numbers::decode(votes.value());
        let votes = votes.map_err(|error| {
            self.damaged(format!("the votes at height {}: {error}", height.value()))
        })?;
        Ok(votes.0)
    }

    /// An output, if it is there and unspent.
    pub fn utxo(&self, id: &Hash) -> Result<Option<Utxo>, ChainError> {
        self.record(&Key::Utxo(*id))
    }

    /// How many outputs are unspent.
    pub fn unspent_count(&self) -> Result<u64, ChainError> {
        self.unspent.len().map_err(|error| self.failed(error))
    }

    /// The registered contract with a hash.
    pub fn contract(&self, hash: &[u8; 32]) -> Result<Option<Contract>, ChainError> {
        self.record(&Key::Contract(*hash))
    }

    /// The validators of the next block.
    pub fn validators(&self) -> Result<Validators, ChainError> {
        state::validators(self).map_err(|error| self.of_state(error))
    }

    /// The upgrade that is planned.
    pub fn plan(&self) -> Result<Option<Plan>, ChainError> {
        self.record(&Key::Plan)
    }

    /// A record of the state.
    pub fn record<R: Record>(&self, key: &Key<'_>) -> Result<Option<R>, ChainError> {
        state::read(self, key).map_err(|error| self.of_state(error))
    }

    /// Shows all records of the state, each space in order.
    pub(crate) fn each_record(&self, mut see: impl FnMut(&[u8], &[u8])) -> Result<(), ChainError> {
        let range = self.state.range::<&[u8]>(..);
        for entry in range.map_err(|error| self.failed(error))? {
            let (key, record) = entry.map_err(|error| self.failed(error))?;
            see(key.value(), record.value());
        }
        let range = self.unspent.range::<&[u8; 32]>(..);
        for entry in range.map_err(|error| self.failed(error))? {
            let (id, record) = entry.map_err(|error| self.failed(error))?;
            see(&unspent_key(id.value()), record.value());
        }
        Ok(())
    }

    fn get<K: TableKey + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
        key: K::SelfType<'_>,
    ) -> Result<Option<redb::AccessGuard<'static, V>>, ChainError> {
        match self.table(table)? {
            Some(table) => table.get(key).map_err(|error| self.failed(error)),
            None => Ok(None),
        }
    }

    pub(crate) fn table<K: TableKey + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Option<ReadOnlyTable<K, V>>, ChainError> {
        match self.transaction.open_table(table) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    pub(crate) fn failed(&self, error: impl Into<redb::Error>) -> ChainError {
        failed(&self.path, "reading", error)
    }

    pub(crate) fn damaged(&self, what: String) -> ChainError {
        let path = self.path.clone();
        ChainError::Damaged { path, what }
    }

    pub(crate) fn of_state(&self, error: StateError<ChainError>) -> ChainError {
        match error {
            StateError::Read(error) => error,
            StateError::Damaged { source } => {
                self.damaged(format!("a record of the state: {source}"))
            }
        }
    }
}

/// The space of unspent outputs in the ledger's keys; they are in a table of their own.
const UNSPENT_SPACE: u8 = b'u';

/// The id of the unspent output that a key of the ledger's state names, if it names one.
pub(crate) fn unspent_id(key: &[u8]) -> Option<&[u8; 32]> {
    let id = key.strip_prefix(&[UNSPENT_SPACE])?;
    id.try_into().ok()
}

/// The key of an unspent output.
fn unspent_key(id: &[u8; 32]) -> [u8; 33] {
    let mut key = [UNSPENT_SPACE; 33];
    key[1..].copy_from_slice(id);
    key
}

impl State for Reader {
    type Error = ChainError;

    fn tip(&self) -> Result<Tip, ChainError> {
        Ok(self.tip)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        let found = match unspent_id(key) {
            Some(id) => self.unspent.get(id),
            None => self.state.get(key),
        };
        let found = found.map_err(|error| self.failed(error))?;
        Ok(found.map(|record| record.value().to_vec()))
    }

    fn scan(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ChainError> {
        let mut found = BTreeMap::new();
        let range = self.state.range(prefix..);
        for entry in range.map_err(|error| self.failed(error))? {
            let (key, record) = entry.map_err(|error| self.failed(error))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.insert(key.value().to_vec(), record.value().to_vec());
        }
        if prefix.first().is_none_or(|space| *space == UNSPENT_SPACE) {
            // nobody does that but who compares whole states
            self.each_record(|key, record| {
                if key.starts_with(prefix) {
                    found.insert(key.to_vec(), record.to_vec());
                }
            })?;
        }
        Ok(found)
    }
}
