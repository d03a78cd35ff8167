//! Votes, proposals, certificates and parts of blocks.

use bytes::Bytes;
use malachite::consensus::{LivenessMsg, ProposedValue, SignedConsensusMsg};
use malachite::engine::util::streaming::{StreamContent, StreamId, StreamMessage};
use malachite::types::codec::Codec as MalachiteCodec;
use malachite_core::PolkaCertificate;
use prost::Message;

use super::convert::{
    announcement_from_wire, announcement_to_wire, check_version, polka_from_wire, polka_to_wire,
    proposal_from_wire, proposal_to_wire, proposed_from_wire, proposed_to_wire, round_from_wire,
    round_to_wire, vote_from_wire, vote_to_wire,
};
use super::{Codec, CodecError, VERSION, wire};
use crate::context::{Baton, CHUNK_BYTES, Part};

/// The longest name of a stream, in bytes.
const MAX_STREAM_ID: usize = 64;

fn encoded(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

impl MalachiteCodec<SignedConsensusMsg<Baton>> for Codec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<SignedConsensusMsg<Baton>, CodecError> {
        let message = wire::Consensus::decode(bytes)?;
        check_version(message.version)?;
        match message.said {
            Some(wire::Said::Vote(vote)) => Ok(SignedConsensusMsg::Vote(vote_from_wire(vote)?)),
            Some(wire::Said::Proposal(proposal)) => {
                Ok(SignedConsensusMsg::Proposal(proposal_from_wire(&proposal)?))
            }
            None => Err(CodecError::Field("content")),
        }
    }

    fn encode(&self, message: &SignedConsensusMsg<Baton>) -> Result<Bytes, CodecError> {
        let said = match message {
            SignedConsensusMsg::Vote(vote) => wire::Said::Vote(vote_to_wire(vote)?),
            SignedConsensusMsg::Proposal(proposal) => {
                wire::Said::Proposal(proposal_to_wire(proposal)?)
            }
        };
        Ok(encoded(&wire::Consensus {
            version: VERSION,
            said: Some(said),
        }))
    }
}

impl MalachiteCodec<LivenessMsg<Baton>> for Codec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<LivenessMsg<Baton>, CodecError> {
        let message = wire::Liveness::decode(bytes)?;
        check_version(message.version)?;
        match message.push {
            Some(wire::Push::Vote(vote)) => Ok(LivenessMsg::Vote(vote_from_wire(vote)?)),
            Some(wire::Push::Polka(polka)) => {
                Ok(LivenessMsg::PolkaCertificate(polka_from_wire(&polka)?))
            }
            Some(wire::Push::Round(certificate)) => Ok(LivenessMsg::SkipRoundCertificate(
                round_from_wire(certificate)?,
            )),
            None => Err(CodecError::Field("content")),
        }
    }

    fn encode(&self, message: &LivenessMsg<Baton>) -> Result<Bytes, CodecError> {
        let push = match message {
            LivenessMsg::Vote(vote) => wire::Push::Vote(vote_to_wire(vote)?),
            LivenessMsg::PolkaCertificate(polka) => wire::Push::Polka(polka_to_wire(polka)?),
            LivenessMsg::SkipRoundCertificate(certificate) => {
                wire::Push::Round(round_to_wire(certificate)?)
            }
        };
        Ok(encoded(&wire::Liveness {
            version: VERSION,
            push: Some(push),
        }))
    }
}

impl MalachiteCodec<StreamMessage<Part>> for Codec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<StreamMessage<Part>, CodecError> {
        let message = wire::Stream::decode(bytes)?;
        check_version(message.version)?;
        if message.name.len() > MAX_STREAM_ID {
            return Err(CodecError::Field("stream"));
        }
        let content = match message.content {
            Some(wire::Content::Announcement(said)) => {
                StreamContent::Data(Part::Announcement(announcement_from_wire(&said)?))
            }
            Some(wire::Content::Chunk(chunk)) if chunk.len() <= CHUNK_BYTES => {
                StreamContent::Data(Part::Chunk(chunk))
            }
            Some(wire::Content::End(true)) => StreamContent::Fin,
            Some(wire::Content::Chunk(_) | wire::Content::End(false)) | None => {
                return Err(CodecError::Field("content"));
            }
        };
        let stream = StreamId::new(message.name);
        Ok(StreamMessage::new(stream, message.sequence, content))
    }

    fn encode(&self, message: &StreamMessage<Part>) -> Result<Bytes, CodecError> {
        let content = match &message.content {
            StreamContent::Data(Part::Announcement(said)) => {
                wire::Content::Announcement(announcement_to_wire(said))
            }
            StreamContent::Data(Part::Chunk(chunk)) => wire::Content::Chunk(chunk.clone()),
            StreamContent::Fin => wire::Content::End(true),
        };
        Ok(encoded(&wire::Stream {
            version: VERSION,
            name: message.stream_id.to_bytes(),
            sequence: message.sequence,
            content: Some(content),
        }))
    }
}

// for the write-ahead log

impl MalachiteCodec<ProposedValue<Baton>> for Codec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<ProposedValue<Baton>, CodecError> {
        proposed_from_wire(&wire::ProposedBlock::decode(bytes)?)
    }

    fn encode(&self, message: &ProposedValue<Baton>) -> Result<Bytes, CodecError> {
        Ok(encoded(&proposed_to_wire(message)?))
    }
}

impl MalachiteCodec<PolkaCertificate<Baton>> for Codec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<PolkaCertificate<Baton>, CodecError> {
        polka_from_wire(&wire::Certificate::decode(bytes)?)
    }

    fn encode(&self, message: &PolkaCertificate<Baton>) -> Result<Bytes, CodecError> {
        Ok(encoded(&polka_to_wire(message)?))
    }
}
