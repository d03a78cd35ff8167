//! What the two generations say to each other, and how it becomes a packet.
//!
//! A packet is a fixed header of eight bytes, a head in JSON, and a tail of raw bytes (see `docs/handover-protocol.md`). JSON because a
//! generation must be able to read what a newer one says: unknown keys are ignored. The tail is for what comes in thousands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Monotonic;

/// The range of protocol versions that this code speaks.
pub(crate) const VERSIONS: Versions = Versions {
    oldest: 1,
    newest: 1,
};

/// The most bytes of one packet, header included.
pub(crate) const PACKET_LIMIT: usize = 64 * 1024;

/// The most descriptors of one packet: the kernel's `SCM_MAX_FD`.
pub(crate) const DESCRIPTOR_LIMIT: usize = 253;

/// Bytes of the fixed header.
const HEADER: usize = 8;

/// The first two bytes of each packet.
const MAGIC: [u8; 2] = *b"BH";

/// The version of the packet's layout.
const LAYOUT: u8 = 1;

/// A range of versions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) oldest: u32,
    pub(crate) newest: u32,
}

impl Versions {
    /// The newest version in both ranges.
    pub(crate) fn common(self, other: Self) -> Option<u32> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

/// A state as it is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct OfferedState {
    /// The version in which it will be written.
    pub(crate) version: u32,
}

/// What a successor says first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The protocol versions it speaks.
    pub(crate) versions: Versions,
    /// The nonce it was started with; empty when it joins.
    #[serde(default)]
    pub(crate) nonce: String,
    /// The server's name, from its settings.
    pub(crate) name: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Its executable, for the log.
    #[serde(default)]
    pub(crate) program: String,
    /// The states it reads, and in which versions.
    #[serde(default)]
    pub(crate) states: BTreeMap<String, Versions>,
    /// Names without which it refuses.
    #[serde(default)]
    pub(crate) requires: Vec<String>,
    /// How many more descriptors it can hold.
    #[serde(default)]
    pub(crate) headroom: u64,
}

/// What a predecessor has to give.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// The protocol version to be used.
    pub(crate) version: u32,
    /// The predecessor's generation; the successor's is one more.
    pub(crate) generation: u64,
    /// Its process.
    pub(crate) pid: u32,
    /// The names of its listeners, sockets and files.
    pub(crate) shareables: Vec<String>,
    /// The names of its exclusive resources, in the order in which they were acquired.
    pub(crate) exclusives: Vec<String>,
    /// Its states.
    pub(crate) states: BTreeMap<String, OfferedState>,
    /// Live connections that can move, by kind.
    pub(crate) connections: BTreeMap<String, u64>,
    /// Whether it will take everything back at the end.
    pub(crate) rehearsal: bool,
    /// Whether it will stay, asleep, after the commit.
    pub(crate) staged: bool,
}

/// One frame's head.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "kebab-case")]
pub(crate) enum Frame {
    /// The successor's first word.
    Hello(Hello),
    /// What there is to take.
    Offer(Offer),
    /// The successor wants it.
    Accept,
    /// Either side cannot go on, for a reason that stands before anything was touched.
    Refuse { reason: String },
    /// Descriptors of shareables; the tail holds their names and descriptions.
    Shareables { last: bool },
    /// The successor is warm, and takes connections of these kinds.
    Freeze { kinds: Vec<String> },
    /// Sealed memfds of states.
    States { states: Vec<SentState> },
    /// Sockets of connections; the heads are in the tail or in a memfd that comes first.
    Connections {
        batch: u32,
        count: u32,
        #[serde(default)]
        heads_in_memfd: bool,
    },
    /// A batch arrived.
    Took { batch: u32 },
    /// Everything was sent.
    All { states: u32, connections: u32 },
    /// The successor has opened its exclusives.
    Ready,
    /// **The successor owns.**
    Commit { stopped_accepting: Monotonic },
    /// The successor accepts.
    Serving {
        accepting_since: Monotonic,
        /// The longest time from a connection's freeze until it was served again, in microseconds.
        longest_freeze_us: u64,
        /// Shareables that it did not ask for; the first of them, if they are many.
        #[serde(default)]
        unclaimed: Vec<String>,
    },
    /// The successor holds nothing any more.
    LetGo,
    /// The handover ends without a commit.
    Abort { reason: String },
    /// The predecessor has drained.
    Ended { moved_late: u64, closed: u64 },
    /// The sender ends by order.
    Stopping,
}

/// A state on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct SentState {
    pub(crate) name: String,
    pub(crate) version: u32,
    /// Bytes in the memfd.
    pub(crate) length: u64,
}

impl Frame {
    /// The frame's name on the wire, for logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Offer(_) => "offer",
            Self::Accept => "accept",
            Self::Refuse { .. } => "refuse",
            Self::Shareables { .. } => "shareables",
            Self::Freeze { .. } => "freeze",
            Self::States { .. } => "states",
            Self::Connections { .. } => "connections",
            Self::Took { .. } => "took",
            Self::All { .. } => "all",
            Self::Ready => "ready",
            Self::Commit { .. } => "commit",
            Self::Serving { .. } => "serving",
            Self::LetGo => "let-go",
            Self::Abort { .. } => "abort",
            Self::Ended { .. } => "ended",
            Self::Stopping => "stopping",
        }
    }
}

/// Why bytes are not a packet, or a frame cannot become one.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PacketError {
    /// The packet would be larger than its bound.
    #[error("a packet of {length} bytes, the limit is {PACKET_LIMIT}")]
    TooLarge {
        /// Bytes it would have.
        length: usize,
    },
    /// More descriptors than one packet may carry.
    #[error("{count} descriptors in one packet, the limit is {DESCRIPTOR_LIMIT}")]
    TooManyDescriptors {
        /// How many there are.
        count: usize,
    },
    /// The bytes do not begin like a packet.
    #[error("this is not a packet of the handover protocol (it begins with {begins:02x?})")]
    NotAPacket {
        /// The first bytes.
        begins: Vec<u8>,
    },
    /// The layout is of another version.
    #[error("packet layout {layout}, this program knows {LAYOUT}")]
    Layout {
        /// The layout's version.
        layout: u8,
    },
    /// The packet ends before its head does.
    #[error("the packet's head should have {announced} bytes, there are {present}")]
    Short {
        /// Bytes announced.
        announced: usize,
        /// Bytes there.
        present: usize,
    },
    /// Another number of descriptors came than was announced.
    #[error("{announced} descriptors were announced, {present} came")]
    Descriptors {
        /// How many were announced.
        announced: usize,
        /// How many came.
        present: usize,
    },
    /// The head is not one that this program knows.
    #[error("the packet's head is not understood: {why}")]
    Head {
        /// What the parser says.
        why: String,
    },
}

/// Makes a packet of a head, a tail, and the number of descriptors that go with it.
pub(crate) fn encode<H: Serialize>(
    head: &H,
    tail: &[u8],
    descriptors: usize,
) -> Result<Vec<u8>, PacketError> {
    let count = u8::try_from(descriptors)
        .ok()
        .filter(|_| descriptors <= DESCRIPTOR_LIMIT)
        .ok_or(PacketError::TooManyDescriptors { count: descriptors })?;
    let head = serde_json::to_vec(head).map_err(|error| PacketError::Head {
        why: error.to_string(),
    })?;
    let length = HEADER + head.len() + tail.len();
    if length > PACKET_LIMIT {
        return Err(PacketError::TooLarge { length });
    }
    let head_length = u32::try_from(head.len()).expect("below the packet's limit");
    let mut packet = Vec::with_capacity(length);
    packet.extend_from_slice(&MAGIC);
    packet.push(LAYOUT);
    packet.push(count);
    packet.extend_from_slice(&head_length.to_le_bytes());
    packet.extend_from_slice(&head);
    packet.extend_from_slice(tail);
    Ok(packet)
}

/// Takes a packet apart into head and tail, having checked that as many descriptors came as it announces.
pub(crate) fn decode<'p, H: Deserialize<'p>>(
    packet: &'p [u8],
    descriptors: usize,
) -> Result<(H, &'p [u8]), PacketError> {
    if packet.len() > PACKET_LIMIT {
        return Err(PacketError::TooLarge {
            length: packet.len(),
        });
    }
    let Some((header, rest)) = packet.split_at_checked(HEADER) else {
        return Err(PacketError::NotAPacket {
            begins: packet.to_vec(),
        });
    };
    if header[..2] != MAGIC {
        return Err(PacketError::NotAPacket {
            begins: header.to_vec(),
        });
    }
    if header[2] != LAYOUT {
        return Err(PacketError::Layout { layout: header[2] });
    }
    let announced = usize::from(header[3]);
    if announced != descriptors {
        return Err(PacketError::Descriptors {
            announced,
            present: descriptors,
        });
    }
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some((head, tail)) = rest.split_at_checked(length) else {
        return Err(PacketError::Short {
            announced: length,
            present: rest.len(),
        });
    };
    let head = serde_json::from_slice(head).map_err(|error| PacketError::Head {
        why: error.to_string(),
    })?;
    Ok((head, tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_meet_at_the_newest_common() {
        let range = |oldest, newest| Versions { oldest, newest };
        assert_eq!(range(1, 3).common(range(2, 5)), Some(3));
        assert_eq!(range(2, 5).common(range(1, 3)), Some(3));
        assert_eq!(range(4, 5).common(range(1, 3)), None);
        assert_eq!(range(1, 1).common(range(1, 1)), Some(1));
    }

    #[test]
    fn a_newer_generation_may_say_more() {
        let head = br#"{"frame":"took","batch":3,"mood":"good"}"#;
        let mut packet = vec![b'B', b'H', 1, 0];
        packet.extend_from_slice(&u32::try_from(head.len()).unwrap().to_le_bytes());
        packet.extend_from_slice(head);
        let (frame, tail) = decode::<Frame>(&packet, 0).unwrap();
        assert_eq!(frame, Frame::Took { batch: 3 });
        assert!(tail.is_empty());
    }

    #[test]
    fn an_unknown_frame_is_named() {
        let head = br#"{"frame":"sing"}"#;
        let mut packet = vec![b'B', b'H', 1, 0];
        packet.extend_from_slice(&u32::try_from(head.len()).unwrap().to_le_bytes());
        packet.extend_from_slice(head);
        let error = decode::<Frame>(&packet, 0).unwrap_err();
        assert!(error.to_string().contains("sing"), "{error}");
    }

    #[test]
    fn bounds_are_kept() {
        let tail = vec![0; PACKET_LIMIT];
        assert!(matches!(
            encode(&Frame::Accept, &tail, 0),
            Err(PacketError::TooLarge { .. })
        ));
        assert!(matches!(
            encode(&Frame::Accept, &[], 254),
            Err(PacketError::TooManyDescriptors { count: 254 })
        ));
        let packet = encode(&Frame::Accept, b"tail", 2).unwrap();
        assert_eq!(
            decode::<Frame>(&packet, 1).unwrap_err(),
            PacketError::Descriptors {
                announced: 2,
                present: 1
            }
        );
        assert_eq!(
            decode::<Frame>(&packet, 2).unwrap(),
            (Frame::Accept, b"tail".as_slice())
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), descriptors in 0usize..3) {
            let _ = decode::<Frame>(&bytes, descriptors);
        }

        #[test]
        fn a_cut_packet_is_an_error(cut in 0usize..60) {
            let frame = Frame::Refuse { reason: "the database is of another version".to_owned() };
            let packet = encode(&frame, &[], 0).unwrap();
            prop_assume!(cut < packet.len());
            prop_assert!(decode::<Frame>(&packet[..cut], 0).is_err());
        }
    }
}
