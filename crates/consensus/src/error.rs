//! Why consensus does not start.

use std::io;
use std::path::PathBuf;

use baton_chain::ChainError;

use crate::context::SeatsError;
use crate::guard::GuardError;
use crate::host::ProposalsError;

/// Why consensus could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// The directory of the write-ahead log and the sign guard, or a copy of something in it.
    #[error("cannot create {}: {source}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The write-ahead log.
    #[error("write-ahead log {}: {source}", .path.display())]
    Wal {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sign guard.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The store of proposals.
    #[error("proposals: {0}")]
    Proposals(#[from] ProposalsError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The validators of the next block.
    #[error(transparent)]
    Seats(#[from] SeatsError),
    /// A part of the engine.
    #[error("cannot start the {part} of consensus: {reason}")]
    Part {
        /// The part.
        part: &'static str,
        /// Why.
        reason: String,
    },
}
