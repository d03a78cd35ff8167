//! The node's processes: starting one, ending it with everything it started, and never leaving
//! one behind.

pub mod contract;
mod found;
pub mod group;
pub mod identity;
pub mod lock;
pub mod reap;
pub mod signals;
pub mod spawn;
