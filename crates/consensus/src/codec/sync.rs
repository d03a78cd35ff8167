//! What nodes ask and tell each other to catch up.

use bytes::Bytes;
use malachite::types::codec::{Codec as MalachiteCodec, HasEncodedLen};
use malachite_core::{CommitCertificate, ExtendedCommitCertificate, VoteExtensions};
use malachite_sync::{
    PeerId, RawDecidedValue, Request, Response, Status, ValueRequest, ValueResponse,
};
use prost::Message;

use super::convert::{check_blocks, check_version, commit_from_wire, commit_to_wire};
use super::{Codec, CodecError, VERSION, wire};
use crate::context::{Baton, Height};

/// Votes of this chain have no extensions.
pub(crate) fn extended(certificate: CommitCertificate<Baton>) -> ExtendedCommitCertificate<Baton> {
    ExtendedCommitCertificate::from_commit_certificate_and_extensions(
        certificate,
        VoteExtensions::default(),
    )
}

impl MalachiteCodec<Status<Baton>> for Codec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<Status<Baton>, CodecError> {
        let status = wire::Status::decode(bytes)?;
        check_version(status.version)?;
        Ok(Status {
            peer_id: PeerId::from_bytes(&status.peer).map_err(|_| CodecError::Field("peer"))?,
            tip_height: Height(status.tip),
            history_min_height: Height(status.oldest),
        })
    }

    fn encode(&self, status: &Status<Baton>) -> Result<Bytes, CodecError> {
        let status = wire::Status {
            version: VERSION,
            tip: status.tip_height.0,
            oldest: status.history_min_height.0,
            peer: status.peer_id.to_bytes().into(),
        };
        Ok(status.encode_to_vec().into())
    }
}

impl MalachiteCodec<Request<Baton>> for Codec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<Request<Baton>, CodecError> {
        let request = wire::Request::decode(bytes)?;
        check_version(request.version)?;
        let range = Height(request.first)..=Height(request.last);
        Ok(Request::ValueRequest(ValueRequest::new(range)))
    }

    fn encode(&self, request: &Request<Baton>) -> Result<Bytes, CodecError> {
        let Request::ValueRequest(request) = request;
        let request = wire::Request {
            version: VERSION,
            first: request.range.start().0,
            last: request.range.end().0,
        };
        Ok(request.encode_to_vec().into())
    }
}

fn response_to_wire(response: &Response<Baton>) -> Result<wire::Response, CodecError> {
    let Response::ValueResponse(response) = response;
    let blocks = response.values.iter().map(|value| {
        let certificate = value.certificate.trim_vote_extensions();
        Ok(wire::Decided {
            block: value.value_bytes.clone(),
            certificate: Some(commit_to_wire(&certificate)?),
        })
    });
    Ok(wire::Response {
        version: VERSION,
        first: response.start_height.0,
        blocks: blocks.collect::<Result<_, CodecError>>()?,
    })
}

impl MalachiteCodec<Response<Baton>> for Codec {
    type Error = CodecError;

    fn decode(&self, bytes: Bytes) -> Result<Response<Baton>, CodecError> {
        let response = wire::Response::decode(bytes)?;
        check_version(response.version)?;
        check_blocks(response.blocks.len())?;
        let values = response.blocks.into_iter().map(|decided| {
            let certificate = decided
                .certificate
                .ok_or(CodecError::Field("certificate"))?;
            let certificate = extended(commit_from_wire(&certificate)?);
            Ok(RawDecidedValue::new(decided.block, certificate))
        });
        let values = values.collect::<Result<_, CodecError>>()?;
        let response = ValueResponse::new(Height(response.first), values);
        Ok(Response::ValueResponse(response))
    }

    fn encode(&self, response: &Response<Baton>) -> Result<Bytes, CodecError> {
        Ok(response_to_wire(response)?.encode_to_vec().into())
    }
}

impl HasEncodedLen<Response<Baton>> for Codec {
    fn encoded_len(&self, response: &Response<Baton>) -> Result<usize, CodecError> {
        Ok(response_to_wire(response)?.encoded_len())
    }
}
