//! Proposed blocks in memory, as many as there is room for.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::context::{Address, Announcement, BlockId, Height};

/// The most blocks that are kept.
pub(super) const BLOCKS: usize = 64;
/// The most bytes that they may have; one block is kept whatever its size.
pub(super) const BYTES: usize = 128 << 20;
/// The most announcements that are kept.
const ANNOUNCEMENTS: usize = 4096;

/// A block and whether it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) struct Known {
    pub(in crate::host) bytes: Bytes,
    pub(in crate::host) valid: bool,
}

pub(super) type Name = (Height, BlockId);

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) blocks: BTreeMap<Name, Entry>,
    pub(super) announced: BTreeMap<(Height, u32, Address, BlockId), Announcement>,
    pub(super) bytes: usize,
    clock: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) known: Known,
    /// The later it was announced last, the greater.
    announced: u64,
}

impl Memory {
    /// Adds a block, and lets go of those that [`displaced`](Self::displaced) names. A block that was found valid stays so.
    pub(super) fn add(&mut self, name: Name, known: Known) {
        for name in self.displaced(name, known.bytes.len()) {
            self.remove(name);
        }
        self.clock += 1;
        let announced = self.clock;
        if let Some(entry) = self.blocks.get_mut(&name) {
            entry.announced = announced;
            entry.known.valid |= known.valid;
        } else {
            self.bytes += known.bytes.len();
            self.blocks.insert(name, Entry { known, announced });
        }
    }

    /// The blocks that have to go for one of so many bytes: those that were not announced for longest.
    pub(super) fn displaced(&self, name: Name, bytes: usize) -> Vec<Name> {
        if self.blocks.contains_key(&name) {
            return Vec::new();
        }
        let (mut blocks, mut bytes) = (self.blocks.len() + 1, self.bytes + bytes);
        let mut oldest: Vec<_> = self.blocks.iter().collect();
        oldest.sort_by_key(|(_, entry)| entry.announced);
        let mut gone = Vec::new();
        for (name, entry) in oldest {
            if blocks <= BLOCKS && bytes <= BYTES {
                break;
            }
            blocks -= 1;
            bytes -= entry.known.bytes.len();
            gone.push(*name);
        }
        gone
    }

    pub(super) fn announce(&mut self, said: Announcement) {
        self.clock += 1;
        if let Some(entry) = self.blocks.get_mut(&(said.height, said.block)) {
            entry.announced = self.clock;
        }
        let key = (said.height, said.round, said.proposer, said.block);
        self.announced.insert(key, said);
        if self.announced.len() > ANNOUNCEMENTS {
            // those of the earliest rounds are asked for no more
            self.announced.pop_first();
        }
    }

    fn remove(&mut self, name: Name) {
        if let Some(entry) = self.blocks.remove(&name) {
            self.bytes -= entry.known.bytes.len();
        }
        self.announced
            .retain(|(height, _, _, block), _| (*height, *block) != name);
    }

    pub(super) fn forget_through(&mut self, height: u64) {
        self.blocks.retain(|(at, _), _| at.0 > height);
        self.announced.retain(|(at, ..), _| at.0 > height);
        let left = self.blocks.values();
        self.bytes = left.map(|entry| entry.known.bytes.len()).sum();
    }
}
