//! Consensus: Malachite BFT over our blocks.

mod codec;
pub mod context;
mod engine;
mod error;
mod guard;
mod host;
mod key;
mod network;
mod parts;
mod proposer;
mod run;
mod settings;
mod signing;
mod status;
mod supervise;
mod swarm;
mod wal;
mod work;

pub use codec::{CodecError, decode_certificate};
pub use context::Patience;
pub use engine::Engine;
pub use error::ConsensusError;
pub use guard::{GuardCounts, GuardError};
pub use host::ProposalsError;
pub use key::{NodeKey, NotAKey};
pub use proposer::ProposerHandle;
pub use settings::{EngineSettings, SyncSettings};
pub use status::{Abstention, Figures, Status};
