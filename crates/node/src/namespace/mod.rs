//! A namespace: one isolated chain within a node, which owns all its parts.
//!
//! Each runs on a tokio runtime of its own, so that a panic, a full disk or a busy chain in one leaves the others alone,
//! and so that nothing of one is left when it is stopped.

pub mod admin;
mod begin;
mod close;
mod counts;
mod election;
mod health;
mod legacy;
mod miner;
mod name;
mod open;
mod peers;
mod progress;
mod running;
mod snapshot;
mod view;

pub(crate) use close::Closing;
pub(crate) use legacy::Legacy;
pub use name::{MAX_NAME, Name, NameError};
pub(crate) use open::Opening;
pub(crate) use running::{Running, StartError};
pub(crate) use view::View;
pub use view::{Blocks, Report};
