//! What Malachite is filled in with: heights, validators, votes and values of ours.
//!
//! Validators agree on a block's **bytes**, by their SHA3-256: a block's own hash covers no witnesses, so that two blocks
//! of one hash could differ in what they need to be valid. The bytes travel beside consensus, in [`Part`]s, and through
//! sync; votes, proposals and the write-ahead log hold the 32 bytes of [`BlockId`] only.
//!
//! A validator's address is its ed25519 key. Proposers take turns: all validators of a height in a fixed order, one a
//! height and one more a round, whatever their power, as in Bytom.

mod names;
mod part;
mod scheme;
mod timing;
mod validators;
mod votes;

pub use names::{Address, BlockId, Height};
pub use part::{Announcement, CHUNK_BYTES, Part};
pub use scheme::{Ed25519, NotAKeyOrSignature, Signature};
pub use timing::{Patience, Timing};
pub use validators::{Seat, Seats, SeatsError};
pub(crate) use votes::Domain;
pub use votes::{Proposal, Vote};

use malachite_core::{self as core, NilOrVal, Round, VoteType};

/// The types of our consensus, for Malachite's generics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Baton;

impl core::Context for Baton {
    type Address = Address;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Seat;
    type ValidatorSet = Seats;
    type Timeouts = Timing;
    type Value = BlockId;
    type Vote = Vote;
    /// Votes carry nothing else.
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, seats: &'a Seats, height: Height, round: Round) -> &'a Seat {
        seats.proposer(height, round)
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: BlockId,
        pol_round: Round,
        proposer: Address,
    ) -> Proposal {
        Proposal {
            height,
            round,
            value,
            pol_round,
            proposer,
        }
    }

    fn new_prevote(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<BlockId>,
        validator: Address,
    ) -> Vote {
        Vote {
            kind: VoteType::Prevote,
            height,
            round,
            value,
            validator,
        }
    }

    fn new_precommit(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<BlockId>,
        validator: Address,
    ) -> Vote {
        Vote {
            kind: VoteType::Precommit,
            height,
            round,
            value,
            validator,
        }
    }
}
