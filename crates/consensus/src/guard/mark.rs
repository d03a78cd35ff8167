//! What a signature is for.

use std::fmt;

use malachite_core::{NilOrVal, Round, VoteType};

use crate::context::{BlockId, Proposal, Vote};

/// A step of a round, in the order in which a validator takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Proposal,
    Prevote,
    Precommit,
}

/// When something is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) height: u64,
    pub(crate) round: u32,
    pub(crate) step: Step,
}

/// What is signed, and when. One place has one mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) place: Place,
    /// The block; `None` for a vote for none.
    pub(crate) block: Option<BlockId>,
    /// Of a proposal, the round of the polka it rests on.
    pub(crate) pol_round: Option<u32>,
}

/// The message has no round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message without a round is not signed")]
pub(crate) struct NoRound;

impl Place {
    pub(crate) fn first_of(height: u64) -> Self {
        Self {
            height,
            round: 0,
            step: Step::Proposal,
        }
    }
}

impl Mark {
    pub(crate) fn of_vote(vote: &Vote) -> Result<Self, NoRound> {
        let step = match vote.kind {
            VoteType::Prevote => Step::Prevote,
            VoteType::Precommit => Step::Precommit,
        };
        Ok(Self {
            place: place(vote.height.0, vote.round, step)?,
            block: match vote.value {
                NilOrVal::Nil => None,
                NilOrVal::Val(id) => Some(id),
            },
            pol_round: None,
        })
    }

    pub(crate) fn of_proposal(proposal: &Proposal) -> Result<Self, NoRound> {
        Ok(Self {
            place: place(proposal.height.0, proposal.round, Step::Proposal)?,
            block: Some(proposal.value),
            pol_round: proposal.pol_round.as_u32(),
        })
    }
}

fn place(height: u64, round: Round, step: Step) -> Result<Place, NoRound> {
    let round = round.as_u32().ok_or(NoRound)?;
    Ok(Place {
        height,
        round,
        step,
    })
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            height,
            round,
            step,
        } = self.place;
        let step = match step {
            Step::Proposal => "proposal",
            Step::Prevote => "prevote",
            Step::Precommit => "precommit",
        };
        write!(f, "{step} at height {height} round {round} for ")?;
        match self.block {
            Some(id) => write!(f, "{id}"),
            None => f.write_str("nil"),
        }
    }
}
