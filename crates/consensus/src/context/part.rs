//! A proposed block on its way: first who proposes what, signed, then the bytes.

use bytes::Bytes;
use malachite_core as core;

use super::{Address, Baton, BlockId, Height, Signature};

/// The most bytes of a block that one message carries.
pub const CHUNK_BYTES: usize = 128 << 10;

/// What a proposer says before it sends a block. It is signed, so that nothing is gathered on the word of a stranger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: u32,
    /// The earlier round in which two thirds prevoted for the block, if any.
    pub pol_round: Option<u32>,
    /// The proposer of the round.
    pub proposer: Address,
    /// What the bytes hash to.
    pub block: BlockId,
    /// How many bytes follow.
    pub size: u64,
    /// The proposer's signature over all of this.
    pub signature: Signature,
}

/// A part of a proposed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Announcement(Announcement),
    /// At most [`CHUNK_BYTES`] of the block.
    Chunk(Bytes),
}

impl core::ProposalPart<Baton> for Part {
    fn is_first(&self) -> bool {
        matches!(self, Self::Announcement(_))
    }

    /// The end of a stream is told by the stream.
    fn is_last(&self) -> bool {
        false
    }
}
