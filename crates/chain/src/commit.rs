//! Committing a block: everything it makes goes into the store in one transaction.
//!
//! The commit point is redb's: its header names the new roots, synced to the disk. A crash before it leaves the block
//! before as the tip, a crash after it this block; nothing else is possible.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use baton_ledger::state::{Applied, Effects, Key, Record, Start, Tip};
use baton_ledger::{Hash, Mapped};
use bytes::Bytes;
use redb::{Error, ReadableTable, WriteTransaction};

use crate::block::{Committed, Decision, Head, StoredBlock};
use crate::chain::{Chain, Now};
use crate::error::ChainError;
use crate::reader::unspent_id;
use crate::record::{Numbers, encode_tip};
use crate::store::{
    BODIES, CERTIFICATES, HEADS, HEIGHTS, META, SCHEMA, STATE, TRANSACTIONS, UNSPENT, VOTES, meta,
};

/// How many transactions are indexed in one step of catching up.
const INDEX_STEP: usize = 20_000;

/// Writes the beginning of a chain into an empty store.
pub(crate) fn found(
    transaction: &WriteTransaction,
    start: &Start,
    params_hash: Hash,
) -> Result<(), Error> {
    {
        let mut table = transaction.open_table(META)?;
        table.insert(meta::SCHEMA, SCHEMA.to_le_bytes().as_slice())?;
        table.insert(meta::GENESIS, start.tip.hash.as_bytes().as_slice())?;
        table.insert(meta::PARAMS, params_hash.as_bytes().as_slice())?;
        transaction.open_table(CERTIFICATES)?;
        transaction.open_table(TRANSACTIONS)?;
    }
    let bytes = start.block.encode();
    let head = Head {
        hash: start.tip.hash,
        header: start.block.header.clone(),
        app_hash: start.tip.app_hash,
        proposer: None,
        round: 0,
        size: bytes.len(),
        transactions: start.block.transactions.len(),
    };
    write_block(transaction, &head, &bytes, &Bytes::new())?;
    write_state(transaction, &start.changes.0, start.tip)?;
    write_votes(transaction, 0)
}

fn write_block(
    transaction: &WriteTransaction,
    head: &Head,
    bytes: &[u8],
    certificate: &[u8],
) -> Result<(), Error> {
    let height = head.header.height;
    let mut table = transaction.open_table(HEADS)?;
    table.insert(height, head.encode().as_slice())?;
    let mut table = transaction.open_table(BODIES)?;
    table.insert(height, bytes)?;
    let mut table = transaction.open_table(HEIGHTS)?;
    table.insert(head.hash.as_bytes(), height)?;
    if !certificate.is_empty() {
        let mut table = transaction.open_table(CERTIFICATES)?;
        table.insert(height, certificate)?;
    }
    Ok(())
}

fn write_state(
    transaction: &WriteTransaction,
    changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    tip: Tip,
) -> Result<(), Error> {
    let mut unspent = transaction.open_table(UNSPENT)?;
    let mut state = transaction.open_table(STATE)?;
    for (key, record) in changes {
        match (unspent_id(key), record) {
            (Some(id), Some(record)) => drop(unspent.insert(id, record.as_slice())?),
            (Some(id), None) => drop(unspent.remove(id)?),
            (None, Some(record)) => drop(state.insert(key.as_slice(), record.as_slice())?),
            (None, None) => drop(state.remove(key.as_slice())?),
        }
    }
    let mut table = transaction.open_table(META)?;
    table.insert(meta::TIP, encode_tip(&tip).as_slice())?;
    Ok(())
}

/// Keeps the votes as they are after the block at `height`, which ends an epoch.
fn write_votes(transaction: &WriteTransaction, height: u64) -> Result<(), Error> {
    let prefix = Key::Votes(&[]).encode();
    let mut votes = BTreeMap::new();
    let state = transaction.open_table(STATE)?;
    for entry in state.range(prefix.as_slice()..)? {
        let (key, record) = entry?;
        let Some(key) = key.value().strip_prefix(prefix.as_slice()) else {
            break;
        };
        let number = u64::decode(record.value())
            .map_err(|error| Error::Corrupted(format!("the votes of a key: {error}")))?;
        votes.insert(key.to_vec(), number);
    }
    let mut table = transaction.open_table(VOTES)?;
    table.insert(height, Numbers(votes).encode().as_slice())?;
    Ok(())
}

fn write_index(
    transaction: &WriteTransaction,
    height: u64,
    transactions: &[Arc<Mapped>],
) -> Result<(), Error> {
    let mut table = transaction.open_table(TRANSACTIONS)?;
    for (index, mapped) in (0_u32..).zip(transactions) {
        table.insert(mapped.id().as_bytes(), (height, index))?;
    }
    let mut table = transaction.open_table(META)?;
    table.insert(meta::INDEXED, height.to_le_bytes().as_slice())?;
    Ok(())
}

impl Chain {
    /// Commits what was decided: block, state, indexes, certificate and tip in one transaction of the store. When this
    /// returns, they are on the disk.
    ///
    /// A block that was [drafted](Self::draft) or [checked](Self::check) is not applied again. Committing the block at
    /// the tip once more changes nothing; if this process did not commit it, its effects are not known any more, but
    /// for an upgrade that is due.
    pub fn commit(&self, decision: Decision) -> Result<Arc<Committed>, ChainError> {
        let _writing = self
            .shared
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(committed) = self.committed_already(&decision)? {
            return Ok(committed);
        }
        let (header, applied) = self.decided(&decision)?;
        let Applied {
            changes,
            tip,
            effects,
            transactions,
            gas,
        } = applied;
        let head = Head {
            hash: tip.hash,
            header,
            app_hash: tip.app_hash,
            proposer: Some(decision.proposer),
            round: decision.round,
            size: decision.bytes.len(),
            transactions: transactions.len(),
        };
        let ends_epoch = effects.validators.is_some();
        let indexed = self.shared.options.transaction_index;
        let written = self.shared.store.write(|transaction| {
            write_block(transaction, &head, &decision.bytes, &decision.certificate)?;
            write_state(transaction, &changes.0, tip)?;
            if ends_epoch {
                write_votes(transaction, tip.height)?;
            }
            if indexed {
                write_index(transaction, tip.height, &transactions)?;
            }
            Ok(())
        });
        if let Err(error) = written {
            // the disk may have been full after the commit point
            let stored = self.read().map(|reader| reader.tip());
            if !stored.is_ok_and(|stored| stored == tip) {
                return Err(error);
            }
            tracing::warn!(%error, height = tip.height, "the block is in the store all the same");
        }
        let block = Arc::new(StoredBlock {
            head,
            transactions,
            bytes: decision.bytes,
            certificate: decision.certificate,
        });
        let committed = Arc::new(Committed {
            block,
            gas,
            effects,
            tip,
        });
        self.publish(&committed);
        Ok(committed)
    }

    /// Tells of a block that is in the store.
    fn publish(&self, committed: &Arc<Committed>) {
        let shared = &self.shared;
        shared.recent.put(committed.block.clone());
        let before = self.now();
        let effects = &committed.effects;
        let plan = match (&effects.plan_changed, &effects.upgraded) {
            (Some(plan), _) => plan.clone(),
            (None, Some(_)) => None,
            (None, None) => before.plan.clone(),
        };
        let now = Now {
            tip: committed.tip,
            validators: effects
                .validators
                .clone()
                .unwrap_or_else(|| before.validators.clone()),
            plan,
        };
        *shared.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
        self.candidates().clear();
        *self.last() = Some(committed.clone());
        shared.tips.send_replace(committed.tip);
        // nobody need listen
        let _ = shared.committed.send(committed.clone());
    }

    /// What committing the block at the tip did, if that is what is to be committed.
    fn committed_already(&self, decision: &Decision) -> Result<Option<Arc<Committed>>, ChainError> {
        let tip = self.tip();
        if let Some(last) = self.last().as_ref() {
            let same = last.block.bytes == decision.bytes;
            return Ok(same.then(|| last.clone()));
        }
        let block = self.block(tip.height)?;
        let Some(block) = block.filter(|block| block.bytes == decision.bytes) else {
            return Ok(None);
        };
        let due = self.plan().filter(|plan| plan.height == tip.height + 1);
        Ok(Some(Arc::new(Committed {
            block,
            gas: Vec::new(),
            effects: Effects {
                upgrade_due: due,
                ..Effects::default()
            },
            tip,
        })))
    }

    /// Indexes the transactions that are not, if they are to be.
    pub(crate) fn index(&self) -> Result<(), ChainError> {
        if !self.shared.options.transaction_index {
            return Ok(());
        }
        let reader = self.read()?;
        let table = reader.table(META)?;
        let last = match &table {
            Some(table) => table
                .get(meta::INDEXED)
                .map_err(|error| reader.failed(error))?,
            None => None,
        };
        let last = last.and_then(|bytes| bytes.value().try_into().ok());
        let mut next = last.map_or(0, |bytes| u64::from_le_bytes(bytes) + 1);
        let tip = reader.tip().height;
        if next <= tip {
            tracing::info!(from = next, to = tip, "indexing transactions");
        }
        while next <= tip {
            let mut blocks = Vec::new();
            let mut count = 0;
            while next <= tip && count < INDEX_STEP {
                let Some(block) = reader.block(next)? else {
                    return Err(reader.damaged(format!("block {next} is missing")));
                };
                count += block.transactions.len();
                blocks.push(block);
                next += 1;
            }
            self.shared.store.write(|transaction| {
                for block in &blocks {
                    write_index(transaction, block.height(), &block.transactions)?;
                }
                Ok(())
            })?;
            tracing::debug!(height = next - 1, tip, "transactions are indexed");
        }
        Ok(())
    }
}
