//! Applying a block.

use std::sync::Arc;

use super::changes::Changes;
use super::error::{ApplyError, BlockRejection, StateError};
use super::record::Validators;
use super::work::Work;
use super::{State, Tip};
use crate::block::{Block, Header};
use crate::entry::Mapped;
use crate::hash::Hash;
use crate::merkle;
use crate::params::Params;
use crate::upgrade::Plan;
use crate::validate::GasStatus;

/// What a program that has a handler for an upgrade does to the state, once, before the block at the plan's height.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migration {
    /// The name of the plan.
    pub name: String,
    /// The records it writes and removes; they become part of the block's changes and its `AppHash`.
    pub changes: Changes,
}

/// Who remembers that transactions are valid, so that their programs need not be run again.
pub trait Verdicts {
    /// The gas status of a transaction that was found valid with these very witnesses, for a block of this height or
    /// [at any height](crate::validate::is_lasting); `None` if that is not known.
    fn verdict(&self, transaction: &Mapped) -> Option<GasStatus>;
}

/// What may be given along with a block.
#[derive(Clone, Copy, Default)]
pub struct Aids<'a> {
    /// The migration for the upgrade that is due.
    pub migration: Option<&'a Migration>,
    /// What is known of the block's transactions.
    pub verdicts: Option<&'a dyn Verdicts>,
}

/// What a block did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The records it wrote and removed.
    pub changes: Changes,
    /// The tip after it, with the `AppHash`.
    pub tip: Tip,
    /// What the node must act on.
    pub effects: Effects,
    /// The block's transactions with their ids, in order.
    pub transactions: Vec<Arc<Mapped>>,
    /// The gas that each used.
    pub gas: Vec<GasStatus>,
}

impl Applied {
    /// What all changes up to and with the block hash to.
    pub fn app_hash(&self) -> Hash {
        self.tip.app_hash
    }
}

/// What a block means for the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// The validators of the next epoch, if the block ends one.
    pub validators: Option<Validators>,
    /// The plan there is after the block, if the block scheduled or cancelled one.
    pub plan_changed: Option<Option<Plan>>,
    /// The upgrade that was done before the block.
    pub upgraded: Option<Plan>,
    /// The upgrade that is due before the next block: a node without a migration for it stops here.
    pub upgrade_due: Option<Plan>,
    /// The hashes of the contracts that the block registered.
    pub contracts: Vec<[u8; 32]>,
}

/// Reads a block that was proposed or sent: its bytes must be those that it would be encoded as.
///
/// The block's hash covers neither the witnesses nor suffixes for versions to come: who votes for a block must vote for
/// its bytes, and this makes sure that one block has one spelling of them.
pub fn decode_block(bytes: &[u8]) -> Result<Block, BlockRejection> {
    let block = Block::decode(bytes).map_err(BlockRejection::Decode)?;
    if block.encode() != bytes {
        return Err(BlockRejection::NotCanonical);
    }
    Ok(block)
}

/// Applies a block that was proposed: as [`apply`], and it must not be from the future.
///
/// `now_ms` is the clock, in milliseconds since 1970; the block's timestamp may be ahead of it by
/// [`Params::max_time_offset_ms`].
pub fn validate_block<S: State>(
    state: &S,
    params: &Params,
    block: &Block,
    now_ms: u64,
    aids: Aids<'_>,
) -> Result<Applied, ApplyError<S::Error>> {
    check_clock(&block.header, params, now_ms)?;
    apply(state, params, block, aids)
}

/// Whether a block with that header is not from the future: its timestamp may be ahead of the clock, `now_ms` in
/// milliseconds since 1970, by [`Params::max_time_offset_ms`].
pub fn check_clock(header: &Header, params: &Params, now_ms: u64) -> Result<(), BlockRejection> {
    let latest_ms = now_ms.saturating_add(params.max_time_offset_ms);
    if header.timestamp_ms > latest_ms {
        return Err(BlockRejection::Late {
            timestamp_ms: header.timestamp_ms,
            latest_ms,
        });
    }
    Ok(())
}

/// Applies a block to a state, checking everything but the clock.
pub fn apply<S: State>(
    state: &S,
    params: &Params,
    block: &Block,
    aids: Aids<'_>,
) -> Result<Applied, ApplyError<S::Error>> {
    // a number too large to be read would keep others from reading the block
    if Block::decode(&block.encode()).as_ref() != Ok(block) {
        return Err(ApplyError::from(BlockRejection::NotCanonical));
    }
    let transactions = block.transactions.iter().cloned();
    let transactions = transactions.map(Mapped::from).map(Arc::new).collect();
    apply_mapped(state, params, &block.header, transactions, aids)
}

/// As [`apply`], for a block whose transactions are mapped already.
///
/// It is the caller's part that each of them is what its encoding is read as: it was decoded, or looked at likewise.
pub fn apply_mapped<S: State>(
    state: &S,
    params: &Params,
    header: &Header,
    transactions: Vec<Arc<Mapped>>,
    aids: Aids<'_>,
) -> Result<Applied, ApplyError<S::Error>> {
    let tip = state.tip().map_err(StateError::Read)?;
    check_header(header, &tip, params)?;
    let mut work = Work::new(state, params, header.height)?;
    work.migrate(aids.migration)?;
    check_root(header, &transactions)?;
    let proposer = work.pay(&transactions)?;
    let mut gas = Vec::with_capacity(transactions.len());
    let (mut used, mut fees_neu) = (0_u64, 0_u64);
    for (index, transaction) in transactions.iter().enumerate() {
        let status = work.judge(header, index, transaction, aids.verdicts)?;
        used = used.saturating_add(status.used);
        if used > params.max_block_gas {
            let limit = params.max_block_gas;
            return Err(ApplyError::from(BlockRejection::Gas { used, limit }));
        }
        fees_neu = fees_neu.saturating_add(status.fee_neu);
        gas.push(status);
        work.spend(index, transaction)?;
        work.make(index, transaction)?;
    }
    work.reward(&proposer, fees_neu)?;
    let (changes, effects) = work.finish()?;
    let tip = Tip {
        height: header.height,
        hash: header.hash(),
        timestamp_ms: header.timestamp_ms,
        app_hash: changes.app_hash(tip.app_hash, header.height),
    };
    Ok(Applied {
        changes,
        tip,
        effects,
        transactions,
        gas,
    })
}

fn check_header(header: &Header, tip: &Tip, params: &Params) -> Result<(), BlockRejection> {
    if header.version != 1 {
        return Err(BlockRejection::Version(header.version));
    }
    if Some(header.height) != tip.height.checked_add(1) {
        return Err(BlockRejection::Height {
            tip: tip.height,
            height: header.height,
        });
    }
    if header.previous_block_hash != tip.hash {
        return Err(BlockRejection::Previous {
            tip: tip.hash,
            wanted: header.previous_block_hash,
        });
    }
    let earliest_ms = tip.timestamp_ms.saturating_add(params.block_interval_ms);
    if header.timestamp_ms < earliest_ms {
        return Err(BlockRejection::Early {
            timestamp_ms: header.timestamp_ms,
            earliest_ms,
        });
    }
    if !header.sup_links.is_empty() {
        return Err(BlockRejection::SupLinks(header.sup_links.len()));
    }
    if ![0, 64].contains(&header.witness.len()) {
        return Err(BlockRejection::Witness(header.witness.len()));
    }
    Ok(())
}

fn check_root(header: &Header, transactions: &[Arc<Mapped>]) -> Result<(), BlockRejection> {
    let ids: Vec<Hash> = transactions.iter().map(|mapped| mapped.id()).collect();
    let found = merkle::root(&ids);
    let wanted = header.transactions_merkle_root;
    if found != wanted {
        return Err(BlockRejection::MerkleRoot { found, wanted });
    }
    Ok(())
}
