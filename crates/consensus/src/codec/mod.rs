//! Messages to bytes and back, for the network, sync and the write-ahead log.
//!
//! Each message carries the version of the format; another version is refused. Decoding untrusted bytes never panics
//! and holds no more memory than the bytes have; lists longer than `MAX_SIGNATURES` or `MAX_BLOCKS` are refused.

mod consensus;
mod convert;
pub(crate) mod sync;
#[cfg(test)]
mod tests;
mod wire;

use bytes::Bytes;
use prost::Message;

use malachite_core::CommitCertificate;

use crate::context::{Announcement, Baton};

/// The version of all formats.
pub(crate) const VERSION: u32 = 1;
/// The most signatures of a certificate: more than there can be validators.
pub(crate) const MAX_SIGNATURES: usize = 1024;
/// The most blocks of a response.
pub(crate) const MAX_BLOCKS: usize = 4096;

/// Why bytes are no message of ours.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Not protobuf, or not of this shape.
    #[error("not a message of this protocol: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// Of another version.
    #[error(
        "message of version {0}, this node speaks version {VERSION}: one of the two must be upgraded"
    )]
    Version(u32),
    /// Something is missing, has the wrong length or an unknown value.
    #[error("message with a bad {0}")]
    Field(&'static str),
    /// A list is too long.
    #[error("message with {count} {what}; {most} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A message of ours that cannot be sent.
    #[error("a message without a round is not sent")]
    NoRound,
}

/// The codec of all messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Codec;

/// A certificate as it is stored with its block.
pub(crate) fn encode_certificate(
    certificate: &CommitCertificate<Baton>,
) -> Result<Bytes, CodecError> {
    Ok(convert::commit_to_wire(certificate)?.encode_to_vec().into())
}

/// The height, round and block of a stored certificate, with its signatures.
pub fn decode_certificate(bytes: &[u8]) -> Result<CommitCertificate<Baton>, CodecError> {
    convert::commit_from_wire(&wire::Certificate::decode(bytes)?)
}

/// An announcement as it is stored with its block.
pub(crate) fn encode_announcement(said: &Announcement) -> Vec<u8> {
    convert::announcement_to_wire(said).encode_to_vec()
}

pub(crate) fn decode_announcement(bytes: &[u8]) -> Result<Announcement, CodecError> {
    convert::announcement_from_wire(&wire::Announcement::decode(bytes)?)
}
