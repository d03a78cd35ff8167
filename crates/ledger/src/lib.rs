//! The ledger: blocks, transactions, the virtual machine and the state machine.
//!
//! Read from the bytes up: [`codec`], [`transaction`] and [`block`] are what is sent; [`entry`] is what is hashed;
//! [`vm`] and [`program`] are what guards values; [`validate`] judges a transaction by itself, and [`state`] a block by
//! what there is. What follows is the README.
#![doc = include_str!("../README.md")]

pub mod address;
pub mod asset;
pub mod block;
pub mod codec;
pub mod entry;
pub mod genesis;
pub mod hash;
pub mod merkle;
pub mod params;
pub mod program;
pub mod state;
pub mod transaction;
pub mod upgrade;
pub mod validate;
pub mod vm;

pub use address::Address;
pub use block::{Block, Header, SupLink};
pub use codec::DecodeError;
pub use entry::{Entries, Mapped};
pub use hash::{AssetId, Hash};
pub use params::Params;
pub use state::{Genesis, apply, validate_block};
pub use transaction::{Input, InputKind, Output, OutputKind, Transaction};
pub use validate::{BlockContext, GasStatus, Rejection, validate_transaction};
