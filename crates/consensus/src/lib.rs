//! Consensus: Malachite BFT over our blocks. What follows is the README.
#![doc = include_str!("../README.md")]

mod clocks;
mod codec;
pub mod context;
mod elsewhere;
mod engine;
mod error;
mod guard;
mod host;
mod key;
mod listen;
mod network;
mod parts;
mod proposer;
mod run;
mod settings;
mod signing;
mod silence;
mod status;
mod supervise;
mod swarm;
#[cfg(test)]
mod tests;
mod voices;
mod wal;
mod work;

pub use codec::{CodecError, decode_certificate};
pub use context::Patience;
pub use engine::{Engine, Outlook};
pub use error::ConsensusError;
pub use guard::{GuardCounts, GuardError};
pub use host::ProposalsError;
pub use key::{NodeKey, NotAKey};
pub use proposer::ProposerHandle;
pub use settings::{EngineSettings, SyncSettings};
pub use status::{Abstention, Figures, Status};
pub use voices::Missing;

/// Directives for the log that leave out what Malachite tells of each vote, and what its tickers say when they are stopped.
pub const QUIET: &str = "arc_malachitebft=warn,arc_malachitebft_app=warn,arc_malachitebft_engine=warn,arc_malachitebft_core_consensus=warn,arc_malachitebft_sync=warn,arc_malachitebft_engine::util::ticker=off";
