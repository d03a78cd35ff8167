//! The chain on disk: blocks, state and indexes in one store transaction, and the pool of transactions to come.
//!
//! A [`Chain`] is one file that always holds a whole number of blocks: a block, what it changes in the state, what is
//! found by it and the certificate of those who decided it are committed together or not at all. What is read is read
//! from a snapshot ([`Reader`]) that no writer disturbs.
//!
//! The way of a block: [`Chain::draft`] takes transactions out of the [`Pool`], [`Chain::check`] judges what was
//! proposed, [`Chain::commit`] writes what was decided, and [`Pool::block_committed`] forgets what it made obsolete.
//! What one step has found out is not found out again by the next.
//!
//! All calls block on the disk: from asynchronous code make them where blocking is allowed. What follows is the README.
#![doc = include_str!("../README.md")]

mod block;
mod chain;
mod check;
mod commit;
mod copy;
mod draft;
mod error;
mod migration;
mod parallel;
mod pool;
mod reader;
mod recent;
mod record;
mod store;
pub mod trace;
mod verify;

pub use baton_ledger::state::Tip;

pub use block::{Checked, Committed, Decided, Decision, Draft, Head, Located, StoredBlock};
pub use chain::{Chain, Options};
pub use error::{ChainError, Refused};
pub use migration::{Migrate, Migrations, Snapshot};
pub use pool::{
    Admission, Origin, Packed, Pool, PoolError, PoolEvent, PoolSettings, PoolStats, Pooled, Reason,
    Refusal,
};
pub use reader::{MerkleProof, Reader};
pub use verify::{Verified, VerifyError};
