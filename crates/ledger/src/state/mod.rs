//! The state machine: what blocks do to the state.
//!
//! [`apply`] is a function of a state, the parameters and a block: it either rejects the block or tells the [`Changes`]
//! that it makes, the [`Tip`] after it with the `AppHash`, and the [`Effects`] that the node must act on. It writes
//! nothing; whoever keeps the state commits changes and tip together. There is no undo: a block that validators have
//! decided stays.
//!
//! The state is a set of [records](Record) under [keys](Key), both plain bytes.
//!
//! # The rules of a block
//! * It follows the tip: height, hash of the block before, and a timestamp of at least the block interval later.
//! * Its merkle root is that of its transactions, it has version 1, and its encoding is canonical.
//! * Its first transaction is the [coinbase], which pays exactly what is due; no other is one.
//! * Every transaction is [valid](crate::validate), their gas is at most [`Params::max_block_gas`] together, and each
//!   spends outputs of earlier transactions that are unspent and mature.
//!
//! # What it does, in this order
//! 1. A migration, if an [upgrade](crate::upgrade) is due at its height.
//! 2. The coinbase pays the rewards of the last epoch, if it is the first block of an epoch.
//! 3. Each transaction in turn: outputs are spent and made, votes given and taken back, contracts registered, plan
//!    messages obeyed. An output of amount 0 is no output to be spent, as in bytomd. A contract can be called from
//!    the next block on.
//! 4. The proposer, that is the program of the coinbase's first output, is credited with the block's fees and its reward,
//!    [`Params::reward_neu`].
//! 5. In the last block of an epoch validators are elected for the next.
//!
//! # What differs from bytomd
//! * A reward is computed with whole numbers, where bytomd has floating point, and may differ by 1 neu.
//! * A vote counts only if it is one: bytomd also counts outputs of any asset and amount that vote under a program
//!   that begins with `FAIL`, so that votes cost nothing.
//! * A key that cannot sign, or that signs for another validator already, is not [elected](elect).
//! * A contract is registered only with [`Params::min_contract_output_neu`]; in bytomd only wallets look at it.
//! * The coinbase has one form; in bytomd its outputs may come in any order and its arbitrary bytes hold anything.

mod apply;
mod changes;
pub mod coinbase;
mod election;
mod error;
mod genesis;
mod memory;
mod overlay;
mod record;
mod work;

pub use apply::{
    Aids, Applied, Effects, Migration, Verdicts, apply, apply_mapped, check_clock, decode_block,
    validate_block,
};
pub use changes::{Changes, ChangesError};
pub use election::elect;
pub use error::{ApplyError, BlockRejection, SpendFault, StateError};
pub use genesis::{
    Genesis, GenesisError, MAX_CHAIN_ID_BYTES, MAX_EPOCH_BLOCKS, MAX_SUPPLY_NEU, Start,
};
pub use memory::MemoryState;
pub use record::{Contract, Key, Origin, Record, Utxo, UtxoKind, Validator, Validators};
pub use work::check_spendable;

use std::collections::BTreeMap;

use crate::hash::Hash;
#[cfg(doc)]
use crate::params::Params;

/// The last block that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: Hash,
    /// Its timestamp, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// What all changes up to and with it hash to, see [`Changes::app_hash`].
    pub app_hash: Hash,
}

/// The state as it is read: a snapshot that does not change under the reader.
pub trait State {
    /// Why the store could not be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The last block that was applied.
    fn tip(&self) -> Result<Tip, Self::Error>;

    /// The record under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;

    /// All records whose keys begin with `prefix`. Only votes and rewards are scanned, once in an epoch.
    fn scan(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Self::Error>;
}

/// Reads a record.
pub fn read<S: State, R: Record>(
    state: &S,
    key: &Key<'_>,
) -> Result<Option<R>, StateError<S::Error>> {
    let bytes = state.get(&key.encode()).map_err(StateError::Read)?;
    let record = bytes.as_deref().map(R::decode).transpose();
    record.map_err(|source| StateError::Damaged { source })
}

/// The votes for each key, in neu; `get-vote-result`.
pub fn votes<S: State>(state: &S) -> Result<BTreeMap<Vec<u8>, u64>, StateError<S::Error>> {
    overlay::Overlay::new(state).numbers(record::VOTES)
}

/// What each control program will be paid at the end of the epoch, in neu.
pub fn rewards<S: State>(state: &S) -> Result<BTreeMap<Vec<u8>, u64>, StateError<S::Error>> {
    overlay::Overlay::new(state).numbers(record::REWARDS)
}

/// The validators of the next block.
pub fn validators<S: State>(state: &S) -> Result<Validators, StateError<S::Error>> {
    Ok(read(state, &Key::Validators)?.unwrap_or_default())
}
