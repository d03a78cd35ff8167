//! The ledger: blocks, transactions, the virtual machine and the state machine.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no task.

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
pub mod transaction;
pub mod vm;

pub use address::Address;
pub use block::{Block, Header, SupLink};
pub use codec::DecodeError;
pub use entry::{Entries, Mapped};
pub use hash::{AssetId, Hash};
pub use params::Params;
pub use transaction::{Input, InputKind, Output, OutputKind, Transaction};
