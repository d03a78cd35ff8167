//! Doing everything again from the genesis on, to find out whether the store says the truth.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_ledger::state::{Aids, Changes, MemoryState, State, Tip, apply_mapped, decode_block};
use baton_ledger::{Block, Hash, Mapped, Transaction};

use crate::chain::Chain;
use crate::check::Known;
use crate::error::{ChainError, Refused};
use crate::parallel;
use crate::reader::Reader;
use crate::store::guarded;

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
    /// A stored block is not what its height, its hash or what comes after it says.
    #[error("block {height}: {what} {stored} is stored, {computed} follows from the blocks")]
    Differs {
        /// Its height.
        height: u64,
        /// What differs.
        what: &'static str,
        /// What is stored.
        stored: Hash,
        /// What follows from the blocks.
        computed: Hash,
    },
    /// The stored state is not what the blocks lead to.
    #[error("the record of the state under the key {key} is not what the blocks lead to")]
    Record {
        /// The key, in hexadecimal.
        key: String,
    },
}

/// A state in memory that is led from the genesis to the tip.
struct Replayed(MemoryState);

impl State for Replayed {
    type Error = ChainError;

    fn tip(&self) -> Result<Tip, ChainError> {
        self.0.tip().map_err(|never| match never {})
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        self.0.get(key).map_err(|never| match never {})
    }

    fn scan(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ChainError> {
        self.0.scan(prefix).map_err(|never| match never {})
    }
}

impl Chain {
    /// Applies all blocks again from the genesis on, in memory, and compares what is stored with what comes out.
    ///
    /// `progress` is told each height. Blocks that are committed meanwhile are not looked at.
    pub fn verify(&self, progress: impl FnMut(u64)) -> Result<Verified, VerifyError> {
        guarded(self.path(), || Ok(self.verified(progress)))?
    }

    fn verified(&self, mut progress: impl FnMut(u64)) -> Result<Verified, VerifyError> {
        let reader = self.read()?;
        let start = self.shared.genesis.start().map_err(ChainError::from)?;
        let mut state = Replayed(MemoryState::new(&start.changes, start.tip));
        let mut transactions = start.block.transactions.len() as u64;
        compare(&reader, start.tip)?;
        for height in 1..=reader.tip().height {
            let (changes, tip, count) = self.replay(&reader, &state, height)?;
            compare(&reader, tip)?;
            state.0.commit(&changes, tip);
            transactions += count as u64;
            progress(height);
        }
        let tip = state.tip()?;
        if tip != reader.tip() {
            return Err(VerifyError::Chain(
                reader.damaged("the tip is not the last block".to_owned()),
            ));
        }
        let records = compare_records(&reader, state.0.records())?;
        Ok(Verified {
            tip,
            transactions,
            records,
        })
    }

    /// Applies the stored block at a height to a state.
    fn replay(
        &self,
        reader: &Reader,
        state: &Replayed,
        height: u64,
    ) -> Result<(Changes, Tip, usize), VerifyError> {
        let bytes = reader.bytes(height)?;
        let bytes = bytes.ok_or_else(|| reader.damaged(format!("block {height} is missing")))?;
        let block = decode_block(&bytes).map_err(Refused::from);
        let applied = block.and_then(|block| self.applied(state, block));
        let applied = applied.map_err(|refused| VerifyError::Block {
            height,
            refused: Box::new(refused),
        })?;
        Ok(applied)
    }

    fn applied(&self, state: &Replayed, block: Block) -> Result<(Changes, Tip, usize), Refused> {
        let Block {
            header,
            transactions,
        } = block;
        let params = self.params();
        let mapped = parallel::map(transactions, |transaction: Transaction| {
            Arc::new(Mapped::from(transaction))
        });
        let count = mapped.len();
        let mut known = Known::default();
        known.judge(state, params, header.height, &mapped)?;
        let migration = self.migration(state, &header)?;
        let aids = Aids {
            migration: migration.as_ref(),
            verdicts: Some(&known),
        };
        let applied = apply_mapped(state, params, &header, mapped, aids)?;
        Ok((applied.changes, applied.tip, count))
    }
}

/// Compares what is stored of a block with what follows.
fn compare(reader: &Reader, tip: Tip) -> Result<(), VerifyError> {
    let height = tip.height;
    let head = reader.head(height)?;
    let head =
        head.ok_or_else(|| reader.damaged(format!("the head of block {height} is missing")))?;
    let found = reader.height_of(&tip.hash)?;
    if found != Some(height) {
        let what = format!("the hash of block {height} leads to the height {found:?}");
        return Err(VerifyError::Chain(reader.damaged(what)));
    }
    for (what, stored, computed) in [
        ("the hash", head.hash, tip.hash),
        ("a header with the hash", head.header.hash(), tip.hash),
        ("the AppHash", head.app_hash, tip.app_hash),
    ] {
        if stored != computed {
            return Err(VerifyError::Differs {
                height,
                what,
                stored,
                computed,
            });
        }
    }
    Ok(())
}

/// Compares the stored state with one in memory; how many records there are.
fn compare_records(
    reader: &Reader,
    records: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> Result<usize, VerifyError> {
    let mut seen = 0;
    let mut wrong = None;
    reader.each_record(|key, record| {
        seen += 1;
        if records.get(key).map(Vec::as_slice) != Some(record) {
            wrong.get_or_insert_with(|| key.to_vec());
        }
    })?;
    if wrong.is_none() && seen < records.len() {
        for key in records.keys() {
            if reader.get(key)?.is_none() {
                wrong = Some(key.clone());
                break;
            }
        }
    }
    match wrong {
        Some(key) => Err(VerifyError::Record {
            key: hex::encode(key),
        }),
        None => Ok(seen),
    }
}
