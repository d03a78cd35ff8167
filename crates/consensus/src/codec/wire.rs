//! The messages as they are on the wire and in the write-ahead log (protobuf).

use bytes::Bytes;
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Vote {
    /// 1 prevote, 2 precommit.
    #[prost(uint32, tag = "1")]
    pub(super) kind: u32,
    #[prost(uint64, tag = "2")]
    pub(super) height: u64,
    #[prost(uint32, tag = "3")]
    pub(super) round: u32,
    /// Missing: nil.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(super) block: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) validator: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) signature: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Proposal {
    #[prost(uint64, tag = "1")]
    pub(super) height: u64,
    #[prost(uint32, tag = "2")]
    pub(super) round: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) block: Bytes,
    #[prost(uint32, optional, tag = "4")]
    pub(super) pol_round: Option<u32>,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) proposer: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) signature: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Consensus {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(oneof = "Said", tags = "2, 3")]
    pub(super) said: Option<Said>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Said {
    #[prost(message, tag = "2")]
    Vote(Vote),
    #[prost(message, tag = "3")]
    Proposal(Proposal),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Liveness {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(oneof = "Push", tags = "2, 3, 4")]
    pub(super) push: Option<Push>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Push {
    #[prost(message, tag = "2")]
    Vote(Vote),
    #[prost(message, tag = "3")]
    Polka(Certificate),
    #[prost(message, tag = "4")]
    Round(RoundCertificate),
}

/// Of a commit or a polka.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Certificate {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(uint64, tag = "2")]
    pub(super) height: u64,
    #[prost(uint32, tag = "3")]
    pub(super) round: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) block: Bytes,
    #[prost(message, repeated, tag = "5")]
    pub(super) signatures: Vec<Signed>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Signed {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) validator: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) signature: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RoundCertificate {
    #[prost(uint64, tag = "1")]
    pub(super) height: u64,
    #[prost(uint32, tag = "2")]
    pub(super) round: u32,
    /// 1 skip, 2 precommits.
    #[prost(uint32, tag = "3")]
    pub(super) kind: u32,
    #[prost(message, repeated, tag = "4")]
    pub(super) votes: Vec<RoundVote>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RoundVote {
    #[prost(uint32, tag = "1")]
    pub(super) kind: u32,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) block: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) validator: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) signature: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Announcement {
    #[prost(uint64, tag = "1")]
    pub(super) height: u64,
    #[prost(uint32, tag = "2")]
    pub(super) round: u32,
    #[prost(uint32, optional, tag = "3")]
    pub(super) pol_round: Option<u32>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) proposer: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) block: Bytes,
    #[prost(uint64, tag = "6")]
    pub(super) size: u64,
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) signature: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Stream {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) name: Bytes,
    #[prost(uint64, tag = "3")]
    pub(super) sequence: u64,
    #[prost(oneof = "Content", tags = "4, 5, 6")]
    pub(super) content: Option<Content>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Content {
    #[prost(message, tag = "4")]
    Announcement(Announcement),
    #[prost(bytes = "bytes", tag = "5")]
    Chunk(Bytes),
    #[prost(bool, tag = "6")]
    End(bool),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(uint64, tag = "2")]
    pub(super) tip: u64,
    #[prost(uint64, tag = "3")]
    pub(super) oldest: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) peer: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(uint64, tag = "2")]
    pub(super) first: u64,
    #[prost(uint64, tag = "3")]
    pub(super) last: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Response {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(uint64, tag = "2")]
    pub(super) first: u64,
    #[prost(message, repeated, tag = "3")]
    pub(super) blocks: Vec<Decided>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Decided {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) block: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) certificate: Option<Certificate>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProposedBlock {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(uint64, tag = "2")]
    pub(super) height: u64,
    #[prost(uint32, tag = "3")]
    pub(super) round: u32,
    #[prost(uint32, optional, tag = "4")]
    pub(super) valid_round: Option<u32>,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) proposer: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) block: Bytes,
    #[prost(bool, tag = "7")]
    pub(super) valid: bool,
}
