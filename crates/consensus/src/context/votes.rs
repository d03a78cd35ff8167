//! Votes and proposals, and the bytes of them that are signed.
//!
//! What is signed begins with a tag and the hash of the genesis block, so that a signature is of use on one chain only,
//! and has a fixed length for each tag, so that no two messages have the same bytes:
//!
//! | message | after tag and genesis hash |
//! |---|---|
//! | `baton vote 1\0` | 1 byte `01` prevote or `02` precommit, height u64, round u32, 1 byte `00` nil or `01`, block id (zeros if nil) |
//! | `baton proposal 1\0` | height u64, round u32, round of the polka i64 (−1 none), block id |
//! | `baton announcement 1\0` | the same and the number of bytes u64 |
//!
//! Numbers are big-endian. The address is not signed: it is the key.

use malachite_core::{self as core, NilOrVal, Round, SignedExtension, VoteType};

use super::{Address, Announcement, Baton, BlockId, Height};

/// What a validator says about a height and round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Prevote or precommit.
    pub kind: VoteType,
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The block, or none.
    pub value: NilOrVal<BlockId>,
    /// Who votes.
    pub validator: Address,
}

/// What the proposer of a round proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The block.
    pub value: BlockId,
    /// The earlier round in which two thirds prevoted for it, if any.
    pub pol_round: Round,
    /// Who proposes.
    pub proposer: Address,
}

/// The hash of a chain's genesis block, which all signatures cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Domain(pub(crate) [u8; 32]);

impl Domain {
    pub(crate) fn vote(&self, vote: &Vote) -> Vec<u8> {
        let mut bytes = self.begin(b"baton vote 1\0", vote.height, vote.round);
        let (some, id) = match vote.value {
            NilOrVal::Nil => (0, [0; 32]),
            NilOrVal::Val(id) => (1, id.0),
        };
        bytes.push(match vote.kind {
            VoteType::Prevote => 1,
            VoteType::Precommit => 2,
        });
        bytes.push(some);
        bytes.extend_from_slice(&id);
        bytes
    }

    pub(crate) fn proposal(&self, proposal: &Proposal) -> Vec<u8> {
        let mut bytes = self.begin(b"baton proposal 1\0", proposal.height, proposal.round);
        bytes.extend_from_slice(&proposal.pol_round.as_i64().to_be_bytes());
        bytes.extend_from_slice(&proposal.value.0);
        bytes
    }

    pub(crate) fn announcement(&self, said: &Announcement) -> Vec<u8> {
        let round = Round::new(said.round);
        let mut bytes = self.begin(b"baton announcement 1\0", said.height, round);
        let pol_round = said.pol_round.map_or(-1, i64::from);
        bytes.extend_from_slice(&pol_round.to_be_bytes());
        bytes.extend_from_slice(&said.block.0);
        bytes.extend_from_slice(&said.size.to_be_bytes());
        bytes
    }

    fn begin(&self, tag: &[u8], height: Height, round: Round) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(tag);
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(&height.0.to_be_bytes());
        // rounds of messages are never nil; should one be, it signs as a round that is never reached
        bytes.extend_from_slice(&round.as_u32().unwrap_or(u32::MAX).to_be_bytes());
        bytes
    }
}

impl core::Vote<Baton> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Address {
        &self.validator
    }

    fn extension(&self) -> Option<&SignedExtension<Baton>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Baton>> {
        None
    }

    fn extend(self, _extension: SignedExtension<Baton>) -> Self {
        self
    }
}

impl core::Proposal<Baton> for Proposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &BlockId {
        &self.value
    }

    fn take_value(self) -> BlockId {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Address {
        &self.proposer
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DOMAIN: Domain = Domain([1; 32]);

    fn votes() -> impl Strategy<Value = Vote> {
        (
            any::<bool>(),
            any::<u64>(),
            0..9u32,
            any::<Option<[u8; 32]>>(),
        )
            .prop_map(|(pre, height, round, id)| Vote {
                kind: if pre {
                    VoteType::Prevote
                } else {
                    VoteType::Precommit
                },
                height: Height(height),
                round: Round::new(round),
                value: id.map_or(NilOrVal::Nil, |id| NilOrVal::Val(BlockId(id))),
                validator: Address([0; 32]),
            })
    }

    proptest! {
        #[test]
        fn different_votes_sign_different_bytes(a in votes(), b in votes()) {
            prop_assert_eq!(a == b, DOMAIN.vote(&a) == DOMAIN.vote(&b));
        }

        #[test]
        fn another_chain_another_signature(vote in votes()) {
            prop_assert_ne!(DOMAIN.vote(&vote), Domain([2; 32]).vote(&vote));
        }
    }

    #[test]
    fn nil_is_not_a_block_of_zeros() {
        let nil = Vote {
            kind: VoteType::Prevote,
            height: Height(1),
            round: Round::new(0),
            value: NilOrVal::Nil,
            validator: Address([0; 32]),
        };
        let zeros = Vote {
            value: NilOrVal::Val(BlockId([0; 32])),
            ..nil.clone()
        };
        assert_ne!(DOMAIN.vote(&nil), DOMAIN.vote(&zeros));
    }
}
