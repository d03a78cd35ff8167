//! Everything that is sent or logged comes back as it was, and no bytes make the codec panic.

use bytes::Bytes;
use malachite::consensus::{LivenessMsg, ProposedValue, SignedConsensusMsg};
use malachite::engine::util::streaming::{StreamContent, StreamId, StreamMessage};
use malachite::types::codec::{Codec as MalachiteCodec, HasEncodedLen};
use malachite_core::{
    CommitSignature, NilOrVal, PolkaCertificate, PolkaSignature, Round, RoundCertificate,
    RoundCertificateType, RoundSignature, SignedProposal, SignedVote, Validity, VoteType,
};
use malachite_sync::{
    PeerId, RawDecidedValue, Request, Response, Status, ValueRequest, ValueResponse,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::sync::extended;
use super::*;
use crate::context::{Address, BlockId, CHUNK_BYTES, Height, Part, Proposal, Signature, Vote};

fn heights() -> impl Strategy<Value = Height> {
    any::<u64>().prop_map(Height)
}

fn rounds() -> impl Strategy<Value = Round> {
    (0..u32::MAX).prop_map(Round::new)
}

fn maybe_rounds() -> impl Strategy<Value = Round> {
    option::of(0..u32::MAX).prop_map(|round| round.map_or(Round::Nil, Round::new))
}

fn addresses() -> impl Strategy<Value = Address> {
    any::<[u8; 32]>().prop_map(Address)
}

fn blocks() -> impl Strategy<Value = BlockId> {
    any::<[u8; 32]>().prop_map(BlockId)
}

fn values() -> impl Strategy<Value = NilOrVal<BlockId>> {
    option::of(blocks()).prop_map(|block| block.map_or(NilOrVal::Nil, NilOrVal::Val))
}

fn signatures() -> impl Strategy<Value = Signature> {
    vec(any::<u8>(), 64).prop_map(|bytes| Signature(bytes.try_into().unwrap()))
}

fn kinds() -> impl Strategy<Value = VoteType> {
    prop_oneof![Just(VoteType::Prevote), Just(VoteType::Precommit)]
}

fn votes() -> impl Strategy<Value = SignedVote<Baton>> {
    let parts = (
        kinds(),
        heights(),
        rounds(),
        values(),
        addresses(),
        signatures(),
    );
    parts.prop_map(|(kind, height, round, value, validator, signature)| {
        let vote = Vote {
            kind,
            height,
            round,
            value,
            validator,
        };
        SignedVote::new(vote, signature)
    })
}

fn proposals() -> impl Strategy<Value = SignedProposal<Baton>> {
    let parts = (
        heights(),
        rounds(),
        blocks(),
        maybe_rounds(),
        addresses(),
        signatures(),
    );
    parts.prop_map(|(height, round, value, pol_round, proposer, signature)| {
        let proposal = Proposal {
            height,
            round,
            value,
            pol_round,
            proposer,
        };
        SignedProposal::new(proposal, signature)
    })
}

fn commits() -> impl Strategy<Value = CommitCertificate<Baton>> {
    let signed = vec((addresses(), signatures()), 0..8);
    let parts = (heights(), rounds(), blocks(), signed);
    parts.prop_map(|(height, round, value_id, signed)| CommitCertificate {
        height,
        round,
        value_id,
        commit_signatures: signed
            .into_iter()
            .map(|(address, signature)| CommitSignature::new(address, signature))
            .collect(),
    })
}

fn polkas() -> impl Strategy<Value = PolkaCertificate<Baton>> {
    commits().prop_map(|commit| PolkaCertificate {
        height: commit.height,
        round: commit.round,
        value_id: commit.value_id,
        polka_signatures: commit
            .commit_signatures
            .into_iter()
            .map(|signed| PolkaSignature::new(signed.address, signed.signature))
            .collect(),
    })
}

fn round_certificates() -> impl Strategy<Value = RoundCertificate<Baton>> {
    let kinds_of = prop_oneof![
        Just(RoundCertificateType::Skip),
        Just(RoundCertificateType::Precommit)
    ];
    let signed = vec((kinds(), values(), addresses(), signatures()), 0..8);
    let parts = (heights(), rounds(), kinds_of, signed);
    parts.prop_map(|(height, round, cert_type, signed)| RoundCertificate {
        height,
        round,
        cert_type,
        round_signatures: signed
            .into_iter()
            .map(|(kind, value, address, signature)| {
                RoundSignature::new(kind, value, address, signature)
            })
            .collect(),
    })
}

fn announcements() -> impl Strategy<Value = Announcement> {
    let maybe = option::of(0..u32::MAX);
    let parts = (
        heights(),
        0..u32::MAX,
        maybe,
        addresses(),
        blocks(),
        any::<u64>(),
        signatures(),
    );
    parts.prop_map(
        |(height, round, pol_round, proposer, block, size, signature)| Announcement {
            height,
            round,
            pol_round,
            proposer,
            block,
            size,
            signature,
        },
    )
}

fn chunks() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn parts() -> impl Strategy<Value = StreamMessage<Part>> {
    let content = prop_oneof![
        announcements().prop_map(|said| StreamContent::Data(Part::Announcement(said))),
        chunks().prop_map(|chunk| StreamContent::Data(Part::Chunk(chunk))),
        Just(StreamContent::Fin),
    ];
    let names = vec(any::<u8>(), 0..64).prop_map(|name| StreamId::new(name.into()));
    (names, any::<u64>(), content)
        .prop_map(|(name, sequence, content)| StreamMessage::new(name, sequence, content))
}

fn peer() -> PeerId {
    let peer = baton_network::PeerId::random();
    PeerId::from_bytes(&peer.to_bytes()).unwrap()
}

/// Encodes and decodes, and makes sure that every shorter message is refused or another one.
fn there_and_back<T>(message: &T) -> Result<(), TestCaseError>
where
    Codec: MalachiteCodec<T>,
    T: PartialEq + std::fmt::Debug,
{
    let bytes = Codec.encode(message).unwrap();
    let back: T = Codec.decode(bytes.clone()).unwrap();
    prop_assert_eq!(&back, message);
    for length in 0..bytes.len() {
        if let Ok(shorter) = Codec.decode(bytes.slice(..length)) {
            prop_assert_ne!(shorter, back);
            return Ok(());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_consensus_says(vote in votes(), proposal in proposals()) {
        there_and_back(&SignedConsensusMsg::Vote(vote.clone()))?;
        there_and_back(&SignedConsensusMsg::Proposal(proposal))?;
        there_and_back(&LivenessMsg::Vote(vote))?;
    }

    #[test]
    fn certificates(commit in commits(), polka in polkas(), round in round_certificates()) {
        let stored = encode_certificate(&commit).unwrap();
        prop_assert_eq!(decode_certificate(&stored).unwrap(), commit);
        there_and_back(&polka.clone())?;
        there_and_back(&LivenessMsg::PolkaCertificate(polka))?;
        there_and_back(&LivenessMsg::SkipRoundCertificate(round))?;
    }

    #[test]
    fn blocks_on_their_way(part in parts(), said in announcements()) {
        there_and_back(&part)?;
        prop_assert_eq!(decode_announcement(&encode_announcement(&said)).unwrap(), said);
    }

    #[test]
    fn what_is_logged(height in heights(), round in rounds(), valid_round in maybe_rounds(), proposer in addresses(), value in blocks(), valid: bool) {
        there_and_back(&ProposedValue { height, round, valid_round, proposer, value, validity: Validity::from_bool(valid) })?;
    }

    #[test]
    fn what_sync_says(first: u64, last: u64, tip in heights(), oldest in heights(), start in heights(), commits in vec((chunks(), commits()), 0..4)) {
        there_and_back(&Status::<Baton> { peer_id: peer(), tip_height: tip, history_min_height: oldest })?;
        there_and_back(&Request::ValueRequest(ValueRequest::<Baton>::new(Height(first)..=Height(last))))?;
        // certificates are sorted by address on the way
        let values = commits.into_iter().map(|(block, commit)| RawDecidedValue::new(block, extended(commit)));
        let response = Response::ValueResponse(ValueResponse::new(start, values.collect()));
        prop_assert_eq!(Codec.encoded_len(&response).unwrap(), Codec.encode(&response).unwrap().len());
        there_and_back(&response)?;
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        let _: Result<SignedConsensusMsg<Baton>, _> = Codec.decode(bytes.clone());
        let _: Result<LivenessMsg<Baton>, _> = Codec.decode(bytes.clone());
        let _: Result<StreamMessage<Part>, _> = Codec.decode(bytes.clone());
        let _: Result<ProposedValue<Baton>, _> = Codec.decode(bytes.clone());
        let _: Result<PolkaCertificate<Baton>, _> = Codec.decode(bytes.clone());
        let _: Result<Status<Baton>, _> = Codec.decode(bytes.clone());
        let _: Result<Request<Baton>, _> = Codec.decode(bytes.clone());
        let _: Result<Response<Baton>, _> = Codec.decode(bytes.clone());
        let _ = decode_certificate(&bytes);
        let _ = decode_announcement(&bytes);
    }

    #[test]
    fn damaged_messages_do_not_panic(vote in votes(), part in parts(), at: prop::sample::Index, bit in 0..8u8) {
        let damage = |bytes: Bytes| {
            let mut bytes = bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            Bytes::from(bytes)
        };
        let bytes = damage(Codec.encode(&SignedConsensusMsg::Vote(vote)).unwrap());
        let _: Result<SignedConsensusMsg<Baton>, _> = Codec.decode(bytes);
        let bytes = damage(Codec.encode(&part).unwrap());
        let _: Result<StreamMessage<Part>, _> = Codec.decode(bytes);
    }
}

fn a_vote() -> wire::Vote {
    wire::Vote {
        kind: 1,
        height: 1,
        round: 0,
        block: None,
        validator: Bytes::from_static(&[1; 32]),
        signature: Bytes::from_static(&[1; 64]),
    }
}

#[test]
fn another_version_is_refused_by_name() {
    let message = wire::Consensus {
        version: 2,
        said: Some(wire::Said::Vote(a_vote())),
    };
    let decoded: Result<SignedConsensusMsg<Baton>, _> =
        Codec.decode(message.encode_to_vec().into());
    let error = decoded.unwrap_err();
    assert!(matches!(error, CodecError::Version(2)), "{error}");
}

#[test]
fn fields_that_no_message_has_are_refused() {
    let bad = [
        wire::Vote {
            kind: 3,
            ..a_vote()
        },
        wire::Vote {
            round: u32::MAX,
            ..a_vote()
        },
        wire::Vote {
            block: Some(Bytes::from_static(&[1; 31])),
            ..a_vote()
        },
        wire::Vote {
            validator: Bytes::new(),
            ..a_vote()
        },
        wire::Vote {
            signature: Bytes::from_static(&[1; 65]),
            ..a_vote()
        },
    ];
    for vote in bad {
        let said = Some(wire::Said::Vote(vote.clone()));
        let message = wire::Consensus {
            version: VERSION,
            said,
        };
        let decoded: Result<SignedConsensusMsg<Baton>, _> =
            Codec.decode(message.encode_to_vec().into());
        assert!(matches!(decoded, Err(CodecError::Field(_))), "{vote:?}");
    }
    let long = wire::Stream {
        version: VERSION,
        name: Bytes::new(),
        sequence: 1,
        content: Some(wire::Content::Chunk(vec![0; CHUNK_BYTES + 1].into())),
    };
    let decoded: Result<StreamMessage<Part>, _> = Codec.decode(long.encode_to_vec().into());
    assert!(matches!(decoded, Err(CodecError::Field("content"))));
    let signed = wire::Signed {
        validator: Bytes::from_static(&[1; 32]),
        signature: Bytes::from_static(&[1; 64]),
    };
    let crowd = wire::Certificate {
        version: VERSION,
        height: 1,
        round: 0,
        block: Bytes::from_static(&[1; 32]),
        signatures: vec![signed; MAX_SIGNATURES + 1],
    };
    let error = decode_certificate(&crowd.encode_to_vec()).unwrap_err();
    assert!(matches!(error, CodecError::TooMany { .. }), "{error}");
}
