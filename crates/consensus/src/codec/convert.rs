//! Between wire messages and ours.

use bytes::Bytes;
use malachite::consensus::ProposedValue;
use malachite_core::{
    CommitCertificate, CommitSignature, NilOrVal, PolkaCertificate, PolkaSignature, Round,
    RoundCertificate, RoundCertificateType, RoundSignature, SignedProposal, SignedVote, Validity,
    VoteType,
};

use super::{CodecError, MAX_SIGNATURES, VERSION, wire};
use crate::context::{Address, Announcement, Baton, BlockId, Height, Proposal, Signature, Vote};

pub(super) fn check_version(version: u32) -> Result<(), CodecError> {
    if version == VERSION {
        Ok(())
    } else {
        Err(CodecError::Version(version))
    }
}

fn check_count(what: &'static str, count: usize, most: usize) -> Result<(), CodecError> {
    if count <= most {
        Ok(())
    } else {
        Err(CodecError::TooMany { what, count, most })
    }
}

pub(super) fn check_blocks(count: usize) -> Result<(), CodecError> {
    check_count("blocks", count, super::MAX_BLOCKS)
}

fn array<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], CodecError> {
    bytes.try_into().map_err(|_| CodecError::Field(what))
}

fn address(bytes: &[u8]) -> Result<Address, CodecError> {
    array(bytes, "validator").map(Address)
}

fn block(bytes: &[u8]) -> Result<BlockId, CodecError> {
    array(bytes, "block id").map(BlockId)
}

fn signature(bytes: &[u8]) -> Result<Signature, CodecError> {
    array(bytes, "signature").map(Signature)
}

fn bytes(from: &[u8]) -> Bytes {
    Bytes::copy_from_slice(from)
}

fn round(round: Round) -> Result<u32, CodecError> {
    round.as_u32().ok_or(CodecError::NoRound)
}

/// Rounds that can be counted on from: Malachite increments them.
fn checked_round(round: u32) -> Result<Round, CodecError> {
    if round < u32::MAX {
        Ok(Round::new(round))
    } else {
        Err(CodecError::Field("round"))
    }
}

fn optional_round(round: Option<u32>) -> Result<Round, CodecError> {
    round.map_or(Ok(Round::Nil), checked_round)
}

fn kind_to_wire(kind: VoteType) -> u32 {
    match kind {
        VoteType::Prevote => 1,
        VoteType::Precommit => 2,
    }
}

fn kind_from_wire(kind: u32) -> Result<VoteType, CodecError> {
    match kind {
        1 => Ok(VoteType::Prevote),
        2 => Ok(VoteType::Precommit),
        _ => Err(CodecError::Field("kind of vote")),
    }
}

fn value_to_wire(value: &NilOrVal<BlockId>) -> Option<Bytes> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(id) => Some(bytes(&id.0)),
    }
}

fn value_from_wire(value: Option<Bytes>) -> Result<NilOrVal<BlockId>, CodecError> {
    value.map_or(Ok(NilOrVal::Nil), |id| block(&id).map(NilOrVal::Val))
}

pub(super) fn vote_to_wire(vote: &SignedVote<Baton>) -> Result<wire::Vote, CodecError> {
    Ok(wire::Vote {
        kind: kind_to_wire(vote.kind),
        height: vote.height.0,
        round: round(vote.round)?,
        block: value_to_wire(&vote.value),
        validator: bytes(&vote.validator.0),
        signature: bytes(&vote.signature.0),
    })
}

pub(super) fn vote_from_wire(vote: wire::Vote) -> Result<SignedVote<Baton>, CodecError> {
    let message = Vote {
        kind: kind_from_wire(vote.kind)?,
        height: Height(vote.height),
        round: checked_round(vote.round)?,
        value: value_from_wire(vote.block)?,
        validator: address(&vote.validator)?,
    };
    Ok(SignedVote::new(message, signature(&vote.signature)?))
}

pub(super) fn proposal_to_wire(
    proposal: &SignedProposal<Baton>,
) -> Result<wire::Proposal, CodecError> {
    Ok(wire::Proposal {
        height: proposal.height.0,
        round: round(proposal.round)?,
        block: bytes(&proposal.value.0),
        pol_round: proposal.pol_round.as_u32(),
        proposer: bytes(&proposal.proposer.0),
        signature: bytes(&proposal.signature.0),
    })
}

pub(super) fn proposal_from_wire(
    proposal: &wire::Proposal,
) -> Result<SignedProposal<Baton>, CodecError> {
    let message = Proposal {
        height: Height(proposal.height),
        round: checked_round(proposal.round)?,
        value: block(&proposal.block)?,
        pol_round: optional_round(proposal.pol_round)?,
        proposer: address(&proposal.proposer)?,
    };
    Ok(SignedProposal::new(
        message,
        signature(&proposal.signature)?,
    ))
}

pub(super) fn polka_to_wire(
    polka: &PolkaCertificate<Baton>,
) -> Result<wire::Certificate, CodecError> {
    let signed = |signed: &PolkaSignature<Baton>| wire::Signed {
        validator: bytes(&signed.address.0),
        signature: bytes(&signed.signature.0),
    };
    Ok(wire::Certificate {
        version: VERSION,
        height: polka.height.0,
        round: round(polka.round)?,
        block: bytes(&polka.value_id.0),
        signatures: polka.polka_signatures.iter().map(signed).collect(),
    })
}

pub(super) fn polka_from_wire(
    polka: &wire::Certificate,
) -> Result<PolkaCertificate<Baton>, CodecError> {
    let commit = commit_from_wire(polka)?;
    Ok(PolkaCertificate {
        height: commit.height,
        round: commit.round,
        value_id: commit.value_id,
        polka_signatures: commit
            .commit_signatures
            .into_iter()
            .map(|signed| PolkaSignature {
                address: signed.address,
                signature: signed.signature,
            })
            .collect(),
    })
}

pub(super) fn commit_to_wire(
    commit: &CommitCertificate<Baton>,
) -> Result<wire::Certificate, CodecError> {
    let signed = |signed: &CommitSignature<Baton>| wire::Signed {
        validator: bytes(&signed.address.0),
        signature: bytes(&signed.signature.0),
    };
    Ok(wire::Certificate {
        version: VERSION,
        height: commit.height.0,
        round: round(commit.round)?,
        block: bytes(&commit.value_id.0),
        signatures: commit.commit_signatures.iter().map(signed).collect(),
    })
}

pub(super) fn commit_from_wire(
    commit: &wire::Certificate,
) -> Result<CommitCertificate<Baton>, CodecError> {
    check_version(commit.version)?;
    check_count("signatures", commit.signatures.len(), MAX_SIGNATURES)?;
    let signatures = commit.signatures.iter().map(|signed| {
        Ok(CommitSignature {
            address: address(&signed.validator)?,
            signature: signature(&signed.signature)?,
        })
    });
    Ok(CommitCertificate {
        height: Height(commit.height),
        round: checked_round(commit.round)?,
        value_id: block(&commit.block)?,
        commit_signatures: signatures.collect::<Result<_, CodecError>>()?,
    })
}

pub(super) fn round_to_wire(
    certificate: &RoundCertificate<Baton>,
) -> Result<wire::RoundCertificate, CodecError> {
    let vote = |signed: &RoundSignature<Baton>| wire::RoundVote {
        kind: kind_to_wire(signed.vote_type),
        block: value_to_wire(&signed.value_id),
        validator: bytes(&signed.address.0),
        signature: bytes(&signed.signature.0),
    };
    Ok(wire::RoundCertificate {
        height: certificate.height.0,
        round: round(certificate.round)?,
        kind: match certificate.cert_type {
            RoundCertificateType::Skip => 1,
            RoundCertificateType::Precommit => 2,
        },
        votes: certificate.round_signatures.iter().map(vote).collect(),
    })
}

pub(super) fn round_from_wire(
    certificate: wire::RoundCertificate,
) -> Result<RoundCertificate<Baton>, CodecError> {
    check_count("votes", certificate.votes.len(), MAX_SIGNATURES)?;
    let votes = certificate.votes.into_iter().map(|vote| {
        Ok(RoundSignature {
            vote_type: kind_from_wire(vote.kind)?,
            value_id: value_from_wire(vote.block)?,
            address: address(&vote.validator)?,
            signature: signature(&vote.signature)?,
        })
    });
    Ok(RoundCertificate {
        height: Height(certificate.height),
        round: checked_round(certificate.round)?,
        cert_type: match certificate.kind {
            1 => RoundCertificateType::Skip,
            2 => RoundCertificateType::Precommit,
            _ => return Err(CodecError::Field("kind of round certificate")),
        },
        round_signatures: votes.collect::<Result<_, CodecError>>()?,
    })
}

pub(super) fn announcement_to_wire(said: &Announcement) -> wire::Announcement {
    wire::Announcement {
        height: said.height.0,
        round: said.round,
        pol_round: said.pol_round,
        proposer: bytes(&said.proposer.0),
        block: bytes(&said.block.0),
        size: said.size,
        signature: bytes(&said.signature.0),
    }
}

pub(super) fn announcement_from_wire(
    said: &wire::Announcement,
) -> Result<Announcement, CodecError> {
    checked_round(said.round)?;
    optional_round(said.pol_round)?;
    Ok(Announcement {
        height: Height(said.height),
        round: said.round,
        pol_round: said.pol_round,
        proposer: address(&said.proposer)?,
        block: block(&said.block)?,
        size: said.size,
        signature: signature(&said.signature)?,
    })
}

pub(super) fn proposed_to_wire(
    proposed: &ProposedValue<Baton>,
) -> Result<wire::ProposedBlock, CodecError> {
    Ok(wire::ProposedBlock {
        version: VERSION,
        height: proposed.height.0,
        round: round(proposed.round)?,
        valid_round: proposed.valid_round.as_u32(),
        proposer: bytes(&proposed.proposer.0),
        block: bytes(&proposed.value.0),
        valid: proposed.validity.is_valid(),
    })
}

pub(super) fn proposed_from_wire(
    proposed: &wire::ProposedBlock,
) -> Result<ProposedValue<Baton>, CodecError> {
    check_version(proposed.version)?;
    Ok(ProposedValue {
        height: Height(proposed.height),
        round: checked_round(proposed.round)?,
        valid_round: optional_round(proposed.valid_round)?,
        proposer: address(&proposed.proposer)?,
        value: block(&proposed.block)?,
        validity: Validity::from_bool(proposed.valid),
    })
}
