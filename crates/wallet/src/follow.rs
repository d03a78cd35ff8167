//! Following the chain: each block adds and spends outputs of the wallet, in one batch with the block's height.
//!
//! The wallet is always in the state of exactly one block, its best. [`Wallet::attach_block`] brings the next one.
//! Whatever was lost, on either side, [`Wallet::resume_point`] finds the last block that wallet and chain agree on,
//! goes back to it, and says which block comes next. So a follower is a loop: ask for the resume point, attach
//! blocks from there on, and ask again when a block does not fit.

use baton_ledger::{
    Block, Entries, Hash, Transaction, entry::spent_output_id, transaction::InputKind,
};
use serde::{Deserialize, Serialize};

use crate::{
    asset,
    error::WalletError,
    holdings, layout, receiver, recovery, rewind,
    store::Draft,
    transactions::{self, Kept},
    unspent::Unspent,
    wallet::Wallet,
};

/// For how many blocks the wallet remembers the hash: how far back wallet and chain may differ without a rescan from
/// the start.
pub const REMEMBERED_BLOCKS: u64 = 1024;

/// The block whose state the wallet has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Best {
    /// Its height.
    pub height: u64,
    /// Its hash, if it is known: after going far back it is not.
    #[serde(with = "optional_hash")]
    pub hash: Option<Hash>,
}

/// What [`Wallet::attach_block`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// The wallet has the state of this block now; so many of its transactions concern the wallet.
    New {
        /// How many.
        transactions: usize,
    },
    /// The wallet was at this block or further on already.
    Already,
}

/// From where to attach blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// The height of the block that comes next.
    pub next_height: u64,
    /// How many blocks the wallet went back to find agreement with the chain.
    pub went_back: u64,
}

/// How far the wallet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The wallet's best height; `None` before the first block.
    pub height: Option<u64>,
    /// The rescan under way.
    pub rescan: Option<Rescan>,
}

/// A rescan: blocks the wallet has seen and looks at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescan {
    /// The first block of it.
    pub from_height: u64,
    /// The last block of it.
    pub to_height: u64,
}

/// What a block brought to the wallet.
#[derive(Default)]
struct Taken {
    /// The ids of its transactions that concern the wallet.
    transactions: Vec<Hash>,
    /// The outputs at the wallet's addresses that it spends, those that only the pool knew too.
    spent: Vec<Hash>,
}

pub(crate) const BEST: &str = "best";
pub(crate) const RESCAN: &str = "rescan";

pub(crate) fn best(draft: &Draft<'_>) -> Result<Option<Best>, WalletError> {
    draft.get(&layout::meta(BEST))
}

impl Wallet {
    /// The block whose state the wallet has; `None` before the first.
    pub fn best(&self) -> Result<Option<Best>, WalletError> {
        best(&Draft::new(&*self.read()?))
    }

    /// How far the wallet is, and whether it looks at blocks again.
    pub fn progress(&self) -> Result<Progress, WalletError> {
        let snapshot = self.read()?;
        let draft = Draft::new(&*snapshot);
        Ok(Progress {
            height: best(&draft)?.map(|best| best.height),
            rescan: draft.get(&layout::meta(RESCAN))?,
        })
    }

    /// Takes the next block of the chain: one batch, whole or not at all.
    ///
    /// A block at or below the best height changes nothing, so that a block may be brought twice.
    pub fn attach_block(&self, block: &Block) -> Result<Attached, WalletError> {
        let (attached, taken) = self.change(|draft| {
            let mut taken = Taken::default();
            let attached = self.attach(draft, block, &mut taken)?;
            Ok((attached, taken))
        })?;
        self.settle(&taken);
        Ok(attached)
    }

    /// Takes blocks that follow each other, in one batch, whole or not at all: for a wallet that is behind, since each
    /// batch waits for the disk. Tells how many it took, from the first on; while accounts are recovered that is one.
    pub fn attach_blocks(&self, blocks: &[Block]) -> Result<usize, WalletError> {
        let (count, taken) = self.change(|draft| {
            // What a recovery finds is found again by reading the store.
            let most = if recovery::Recovery::load(draft)?.is_running() {
                1
            } else {
                blocks.len()
            };
            let mut taken = Taken::default();
            for block in blocks.iter().take(most) {
                self.attach(draft, block, &mut taken)?;
            }
            Ok((blocks.len().min(most), taken))
        })?;
        self.settle(&taken);
        Ok(count)
    }

    /// Takes out of the pool what blocks brought: after the commit, so that whoever has the pool sees an output spent here or there.
    fn settle(&self, taken: &Taken) {
        self.pool().confirm(&taken.transactions, &taken.spent);
        // what was told since the commit had the block's transactions twice
        self.changed();
    }

    /// Puts a block into a batch.
    fn attach(
        &self,
        draft: &mut Draft<'_>,
        block: &Block,
        taken: &mut Taken,
    ) -> Result<Attached, WalletError> {
        let best = best(draft)?;
        let wanted = best.map_or(0, |best| best.height + 1);
        let height = block.header.height;
        if height < wanted {
            return Ok(Attached::Already);
        }
        if height > wanted {
            return Err(WalletError::Gap {
                found: height,
                best: best.map(|best| best.height),
                wanted,
            });
        }
        if let Some(hash) = best.and_then(|best| best.hash)
            && hash != block.header.previous_block_hash
        {
            return Err(WalletError::Fork { height, best: hash });
        }
        let before = taken.transactions.len();
        self.take_block(draft, block, taken)?;
        let transactions = taken.transactions.len() - before;
        Ok(Attached::New { transactions })
    }

    /// Finds the last block on which wallet and chain agree, goes back to it, and tells which block comes next.
    ///
    /// `hash_at` gives the chain's hash at a height, `None` above its tip; `tip` is its best height.
    pub fn resume_point(
        &self,
        tip: Option<u64>,
        hash_at: impl Fn(u64) -> Option<Hash>,
    ) -> Result<Resume, WalletError> {
        let Some(best) = self.best()? else {
            return Ok(Resume {
                next_height: 0,
                went_back: 0,
            });
        };
        let snapshot = self.read()?;
        let draft = Draft::new(&*snapshot);
        let mut agreed = None;
        let lowest = best.height.saturating_sub(REMEMBERED_BLOCKS);
        if let Some(tip) = tip {
            for height in (lowest..=best.height.min(tip)).rev() {
                let ours = if height == best.height {
                    best.hash
                } else {
                    draft
                        .get::<[u8; 32]>(&layout::block_hash(height))?
                        .map(Hash)
                };
                // Without a hash there is nothing to disagree on: the wallet went there by itself.
                let agree = match ours {
                    Some(ours) => hash_at(height) == Some(ours),
                    None => height == best.height,
                };
                if agree {
                    agreed = Some(height);
                    break;
                }
            }
        }
        drop(draft);
        drop(snapshot);
        let next_height = agreed.map_or(0, |height| height + 1);
        rewind::to_height(self, next_height)?;
        Ok(Resume {
            next_height,
            went_back: best.height + 1 - next_height,
        })
    }

    /// Looks at the blocks from `from_height` on again: goes back to the block before it. The caller attaches them
    /// again; [`Self::progress`] tells how far that is.
    pub fn rescan(&self, from_height: u64) -> Result<(), WalletError> {
        self.change(|draft| {
            if let Some(best) = best(draft)?
                && best.height >= from_height
            {
                let key = layout::meta(RESCAN);
                let before: Option<Rescan> = draft.get(&key)?;
                let rescan = Rescan {
                    from_height: before
                        .map_or(from_height, |before| before.from_height.min(from_height)),
                    to_height: before
                        .map_or(best.height, |before| before.to_height.max(best.height)),
                };
                draft.put(key, &rescan);
            }
            Ok(())
        })?;
        rewind::to_height(self, from_height)
    }

    /// Moves the outputs of a block's transactions.
    fn take_block(
        &self,
        draft: &mut Draft<'_>,
        block: &Block,
        taken: &mut Taken,
    ) -> Result<(), WalletError> {
        let height = block.header.height;
        let hash = block.hash();
        let mut recovery = recovery::Recovery::load(draft)?;
        for (position, transaction) in (0_u32..).zip(&block.transactions) {
            for input in &transaction.inputs {
                if let InputKind::Issuance(issuance) = &input.kind {
                    asset::see(draft, issuance)?;
                }
            }
            for output in &transaction.outputs {
                recovery.look(draft, &output.control_program)?;
            }
            let concerned = self.take_transaction(draft, transaction, height, &mut taken.spent)?;
            let Some((id, accounts)) = concerned else {
                continue;
            };
            let kept = Kept {
                id,
                block_hash: hash,
                block_time_ms: block.header.timestamp_ms,
                block_transactions: u32::try_from(block.transactions.len()).unwrap_or(u32::MAX),
                bytes: transaction.encode(),
                accounts,
            };
            transactions::put(draft, (height, position), &kept);
            taken.transactions.push(id);
        }
        recovery.finish(draft, height)?;
        draft.put(
            layout::meta(BEST),
            &Best {
                height,
                hash: Some(hash),
            },
        );
        draft.put(layout::block_hash(height), hash.as_bytes());
        if let Some(old) = height.checked_sub(REMEMBERED_BLOCKS + 1) {
            draft.remove(layout::block_hash(old));
        }
        let rescan_key = layout::meta(RESCAN);
        if draft
            .get::<Rescan>(&rescan_key)?
            .is_some_and(|rescan| rescan.to_height <= height)
        {
            draft.remove(rescan_key);
        }
        Ok(())
    }

    /// Moves the outputs of one transaction; its id and accounts if it concerns the wallet.
    fn take_transaction(
        &self,
        draft: &mut Draft<'_>,
        transaction: &Transaction,
        height: u64,
        spent: &mut Vec<Hash>,
    ) -> Result<Option<(Hash, Vec<String>)>, WalletError> {
        let mut accounts = Vec::new();
        for input in &transaction.inputs {
            let Some(output) = input.spent_output() else {
                continue;
            };
            // The program is in the input, so that the id is computed for the wallet's own only.
            let Some(receiver) = find_receiver(draft, &output.control_program)? else {
                continue;
            };
            let id = spent_output_id(input).expect("it spends an output");
            spent.push(id);
            if holdings::spend(draft, &id, height)? {
                accounts.push(receiver.account);
            }
        }
        let mut receivers = Vec::new();
        for (position, output) in transaction.outputs.iter().enumerate() {
            if let Some(receiver) = find_receiver(draft, &output.control_program)? {
                receivers.push((position, receiver));
            }
        }
        if accounts.is_empty() && receivers.is_empty() {
            return Ok(None);
        }
        for output in &transaction.outputs {
            asset::meet(draft, &output.asset_id)?;
        }
        let entries = Entries::of(transaction);
        for (position, receiver) in receivers {
            let output = Unspent::of(
                transaction,
                &entries,
                position,
                &receiver,
                height,
                self.params(),
            );
            if let Some(output) = output {
                holdings::add(draft, &output)?;
            }
            accounts.push(receiver.account);
        }
        accounts.sort_unstable();
        accounts.dedup();
        Ok(Some((entries.transaction_id, accounts)))
    }
}

fn find_receiver(
    draft: &Draft<'_>,
    program: &[u8],
) -> Result<Option<receiver::Receiver>, WalletError> {
    draft.get(&layout::receiver(program))
}

/// A hash or none, for the store.
mod optional_hash {
    use baton_ledger::Hash;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(super) fn serialize<S: Serializer>(hash: &Option<Hash>, to: S) -> Result<S::Ok, S::Error> {
        hash.map(|hash| hash.0).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Hash>, D::Error> {
        Ok(Option::<[u8; 32]>::deserialize(from)?.map(Hash))
    }
}
