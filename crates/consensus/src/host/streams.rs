//! Proposed blocks that arrive in parts. No I/O, no clock.
//!
//! A stream is what one publisher says in a row: an announcement, chunks, an end. Its parts may arrive in any order and
//! by any neighbour. What a stranger can make this node hold is bounded: streams and bytes for each neighbour and for all
//! together, parts before the announcement, heights ahead.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use malachite::engine::util::streaming::{StreamContent, StreamId, StreamMessage};
use malachite_sync::PeerId;

use crate::context::{Announcement, BlockId, CHUNK_BYTES, Height, Part};

/// Streams that one neighbour may have open.
const STREAMS_PER_PEER: usize = 8;
/// Streams of all neighbours.
const STREAMS: usize = 64;
/// Chunks that may arrive before the announcement that allows them.
const EARLY_CHUNKS: usize = 8;

/// Bounds that depend on the chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The longest block, in bytes.
    pub(super) block_bytes: usize,
    /// Bytes that all streams may hold together.
    pub(super) total_bytes: usize,
}

/// Blocks on their way.
#[derive(Debug)]
pub(super) struct Streams {
    bounds: Bounds,
    open: BTreeMap<(PeerId, StreamId), Stream>,
    held: usize,
    born: u64,
}

#[derive(Debug)]
struct Stream {
    /// The neighbour that brought the first part.
    opener: PeerId,
    /// The older ones have the lower numbers.
    born: u64,
    said: Option<Announcement>,
    chunks: BTreeMap<u64, Bytes>,
    end: Option<u64>,
    held: usize,
}

/// What became of a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// More is to come.
    Open,
    /// The block is whole, and hashes to what was announced.
    Whole(Announcement, Bytes),
    /// The stream was dropped.
    Dropped(Fault),
}

/// Why a stream was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the announcement is not the proposer's, or not for a height that is due")]
    Announcement,
    #[error("the block is longer than allowed")]
    Long,
    #[error("the parts do not make up what was announced")]
    Broken,
    #[error("too much has arrived before its announcement")]
    Early,
    #[error("too many blocks are on their way")]
    Full,
}

impl Streams {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            open: BTreeMap::new(),
            held: 0,
            born: 0,
        }
    }

    /// Takes a part. `admits` says whether an announcement is the proposer's.
    pub(super) fn take(
        &mut self,
        from: PeerId,
        publisher: Option<PeerId>,
        message: StreamMessage<Part>,
        admits: impl FnOnce(&Announcement) -> bool,
    ) -> Outcome {
        let key = (publisher.unwrap_or(from), message.stream_id);
        if !self.open.contains_key(&key)
            && let Err(fault) = self.begin(key.clone(), from)
        {
            return Outcome::Dropped(fault);
        }
        let stream = self.open.get_mut(&key).expect("it was just begun");
        let before = stream.held;
        let fault = stream
            .take(message.sequence, message.content, self.bounds, admits)
            .err();
        self.held = self.held - before + stream.held;
        let whole = fault.is_none() && stream.is_whole();
        if fault.is_none() && !whole {
            if self.held > self.bounds.total_bytes {
                self.evict();
            }
            return Outcome::Open;
        }
        let stream = self.drop(&key).expect("it is there");
        match fault {
            Some(fault) => Outcome::Dropped(fault),
            None => stream
                .join()
                .map_or(Outcome::Dropped(Fault::Broken), |(said, bytes)| {
                    Outcome::Whole(said, bytes)
                }),
        }
    }

    /// Forgets streams for heights below this one.
    pub(super) fn forget_below(&mut self, height: Height) {
        self.open.retain(|_, stream| {
            stream
                .said
                .as_ref()
                .is_none_or(|said| said.height >= height)
        });
        self.held = self.open.values().map(|stream| stream.held).sum();
    }

    fn begin(&mut self, key: (PeerId, StreamId), opener: PeerId) -> Result<(), Fault> {
        let of_peer = |stream: &&Stream| stream.opener == opener;
        if self.open.values().filter(of_peer).count() >= STREAMS_PER_PEER {
            // a neighbour's new stream replaces its oldest one
            let mut oldest = self
                .open
                .iter()
                .filter(|(_, stream)| stream.opener == opener);
            let first = oldest.next().expect("there are several");
            let key = oldest
                .fold(first, |a, b| if b.1.born < a.1.born { b } else { a })
                .0
                .clone();
            self.drop(&key);
        }
        if self.open.len() >= STREAMS {
            return Err(Fault::Full);
        }
        self.born += 1;
        self.open.insert(
            key,
            Stream {
                opener,
                born: self.born,
                said: None,
                chunks: BTreeMap::new(),
                end: None,
                held: 0,
            },
        );
        Ok(())
    }

    /// Drops the stream that holds most.
    fn evict(&mut self) {
        let largest = self.open.iter().max_by_key(|(_, stream)| stream.held);
        if let Some(key) = largest.map(|(key, _)| key.clone()) {
            self.drop(&key);
        }
    }

    fn drop(&mut self, key: &(PeerId, StreamId)) -> Option<Stream> {
        let stream = self.open.remove(key)?;
        self.held -= stream.held;
        Some(stream)
    }
}

impl Stream {
    fn take(
        &mut self,
        sequence: u64,
        content: StreamContent<Part>,
        bounds: Bounds,
        admits: impl FnOnce(&Announcement) -> bool,
    ) -> Result<(), Fault> {
        let most = (bounds.block_bytes.div_ceil(CHUNK_BYTES) + 2) as u64;
        if sequence > most {
            return Err(Fault::Long);
        }
        match content {
            StreamContent::Data(Part::Announcement(said)) => {
                if sequence != 0 || self.said.as_ref().is_some_and(|known| *known != said) {
                    return Err(Fault::Broken);
                }
                if said.size > bounds.block_bytes as u64 {
                    return Err(Fault::Long);
                }
                if self.said.is_none() && !admits(&said) {
                    return Err(Fault::Announcement);
                }
                self.said = Some(said);
            }
            StreamContent::Data(Part::Chunk(chunk)) => {
                let length = chunk.len();
                match self.chunks.insert(sequence, chunk) {
                    None => self.held += length,
                    // told again, the same or not: the hash will tell
                    Some(before) => self.held = self.held - before.len() + length,
                }
            }
            StreamContent::Fin => self.end = Some(sequence),
        }
        match &self.said {
            Some(said) if self.held as u64 > said.size => Err(Fault::Long),
            None if self.chunks.len() > EARLY_CHUNKS => Err(Fault::Early),
            _ => Ok(()),
        }
    }

    fn is_whole(&self) -> bool {
        let chunks = self.chunks.len() as u64;
        self.said.is_some() && self.end == Some(chunks + 1)
    }

    /// The block, if it is the one that was announced.
    fn join(self) -> Option<(Announcement, Bytes)> {
        let said = self.said?;
        let mut chunks = self.chunks.into_values();
        let first = chunks.next()?;
        let block = if chunks.len() == 0 {
            first
        } else {
            let mut block = BytesMut::with_capacity(self.held);
            block.extend_from_slice(&first);
            chunks.for_each(|chunk| block.extend_from_slice(&chunk));
            block.freeze()
        };
        let right = block.len() as u64 == said.size && BlockId::of(&block) == said.block;
        right.then_some((said, block))
    }
}

/// The parts of a block, in order.
pub(super) fn split(
    said: &Announcement,
    block: &Bytes,
) -> impl Iterator<Item = StreamMessage<Part>> + use<> {
    // different rounds are different streams, so are different blocks of one round
    let mut name = Vec::with_capacity(44);
    name.extend_from_slice(&said.height.0.to_be_bytes());
    name.extend_from_slice(&said.round.to_be_bytes());
    name.extend_from_slice(&said.block.0);
    let stream = StreamId::new(name.into());
    let block = block.clone();
    let chunks = (0..block.len()).step_by(CHUNK_BYTES);
    let chunks = chunks.map(move |start| {
        let end = block.len().min(start + CHUNK_BYTES);
        StreamContent::Data(Part::Chunk(block.slice(start..end)))
    });
    std::iter::once(StreamContent::Data(Part::Announcement(said.clone())))
        .chain(chunks)
        .chain(std::iter::once(StreamContent::Fin))
        .zip(0..)
        .map(move |(content, sequence)| StreamMessage::new(stream.clone(), sequence, content))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::context::{Address, Signature};

    const BOUNDS: Bounds = Bounds {
        block_bytes: 1 << 20,
        total_bytes: 2 << 20,
    };

    fn peer() -> PeerId {
        let peer = baton_network::PeerId::random();
        PeerId::from_bytes(&peer.to_bytes()).unwrap()
    }

    fn announcement(block: &[u8]) -> Announcement {
        Announcement {
            height: Height(5),
            round: 0,
            pol_round: None,
            proposer: Address([1; 32]),
            block: BlockId::of(block),
            size: block.len() as u64,
            signature: Signature([0; 64]),
        }
    }

    fn block(bytes: usize, fill: u8) -> Bytes {
        vec![fill; bytes].into()
    }

    proptest! {
        #[test]
        fn parts_in_any_order_make_the_block(bytes in 1..600_000usize, order in any::<Vec<prop::sample::Index>>()) {
            let block = block(bytes, 7);
            let said = announcement(&block);
            let mut parts: Vec<_> = split(&said, &block).collect();
            for index in order {
                let at = index.index(parts.len());
                parts.swap(0, at);
            }
            let mut streams = Streams::new(BOUNDS);
            let peers = [peer(), peer()];
            let last = parts.len() - 1;
            for (number, part) in parts.into_iter().enumerate() {
                let from = peers[number % 2];
                let outcome = streams.take(from, Some(peers[0]), part, |_| true);
                let wanted = if number == last { Outcome::Whole(said.clone(), block.clone()) } else { Outcome::Open };
                prop_assert_eq!(outcome, wanted);
            }
            prop_assert_eq!((streams.open.len(), streams.held), (0, 0));
        }
    }

    #[test]
    fn what_was_not_announced_by_the_proposer_is_dropped_at_once() {
        let block = block(10, 1);
        let mut streams = Streams::new(BOUNDS);
        let first = split(&announcement(&block), &block).next().unwrap();
        let outcome = streams.take(peer(), None, first, |_| false);
        assert_eq!(outcome, Outcome::Dropped(Fault::Announcement));
        assert!(streams.open.is_empty());
    }

    #[test]
    fn other_bytes_than_announced_are_no_block() {
        let (honest, other) = (block(10, 1), block(10, 2));
        let mut streams = Streams::new(BOUNDS);
        let from = peer();
        let mut parts: Vec<_> = split(&announcement(&honest), &honest).collect();
        parts[1].content = StreamContent::Data(Part::Chunk(other));
        let outcomes: Vec<_> = parts
            .into_iter()
            .map(|part| streams.take(from, None, part, |_| true))
            .collect();
        let broken = Outcome::Dropped(Fault::Broken);
        assert_eq!(outcomes, [Outcome::Open, Outcome::Open, broken]);
    }

    #[test]
    fn a_neighbour_holds_no_more_than_its_share() {
        let mut streams = Streams::new(BOUNDS);
        let from = peer();
        for number in 0..1000u64 {
            let name = StreamId::new(Bytes::copy_from_slice(&number.to_be_bytes()));
            let chunk = StreamContent::Data(Part::Chunk(block(CHUNK_BYTES, 1)));
            streams.take(from, None, StreamMessage::new(name, 1, chunk), |_| true);
            assert!(streams.open.len() <= STREAMS_PER_PEER);
            assert!(streams.held <= BOUNDS.total_bytes);
        }
        // the newest are those that are kept
        assert!(streams.open.values().all(|stream| stream.born > 1000 - 9));
    }

    #[test]
    fn chunks_without_an_announcement_and_endless_ones_are_dropped() {
        let mut streams = Streams::new(BOUNDS);
        let from = peer();
        let name = StreamId::new(Bytes::from_static(b"x"));
        let chunk = |sequence| {
            let content = StreamContent::Data(Part::Chunk(block(10, 1)));
            StreamMessage::new(name.clone(), sequence, content)
        };
        let outcomes: Vec<_> = (1..=9)
            .map(|sequence| streams.take(from, None, chunk(sequence), |_| true))
            .collect();
        assert_eq!(outcomes[8], Outcome::Dropped(Fault::Early));
        let far = streams.take(from, None, chunk(u64::MAX), |_| true);
        assert_eq!(far, Outcome::Dropped(Fault::Long));
        assert_eq!((streams.open.len(), streams.held), (0, 0));
    }
}
