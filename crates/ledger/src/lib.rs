//! The ledger: blocks, transactions, the virtual machine and the state machine.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no task.

pub mod codec;
pub mod hash;

pub use codec::DecodeError;
pub use hash::{AssetId, Hash};
