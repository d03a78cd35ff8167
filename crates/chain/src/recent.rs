//! The blocks that were read or committed last, decoded: most questions are about them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_ledger::Hash;

use crate::block::StoredBlock;

/// What a decoded block takes of the memory for each byte of its encoding, about.
const EXPANSION: usize = 7;
/// What a block takes besides.
const EVERY_BLOCK_BYTES: usize = 1024;

/// Blocks, up to so many bytes of memory; those that were asked for longest ago go first.
pub(crate) struct Recent {
    limit_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    blocks: HashMap<u64, (u64, Arc<StoredBlock>)>,
    heights: HashMap<Hash, u64>,
    /// Heights by when they were asked for.
    order: BTreeMap<u64, u64>,
    clock: u64,
    bytes: usize,
}

fn cost(block: &StoredBlock) -> usize {
    EVERY_BLOCK_BYTES + EXPANSION * block.bytes.len()
}

impl Recent {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        let kept = Mutex::default();
        Self { limit_bytes, kept }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, height: u64) -> Option<Arc<StoredBlock>> {
        self.kept().touch(height)
    }

    pub(crate) fn find(&self, hash: &Hash) -> Option<Arc<StoredBlock>> {
        let mut kept = self.kept();
        let height = *kept.heights.get(hash)?;
        kept.touch(height)
    }

    pub(crate) fn put(&self, block: Arc<StoredBlock>) {
        let cost = cost(&block);
        if cost > self.limit_bytes {
            return;
        }
        let mut kept = self.kept();
        kept.remove(block.height());
        while kept.bytes + cost > self.limit_bytes {
            let Some((_, height)) = kept.order.first_key_value() else {
                break;
            };
            let height = *height;
            kept.remove(height);
        }
        kept.clock += 1;
        let (height, clock) = (block.height(), kept.clock);
        kept.bytes += cost;
        kept.order.insert(clock, height);
        kept.heights.insert(block.hash(), height);
        kept.blocks.insert(height, (clock, block));
    }
}

impl Kept {
    fn touch(&mut self, height: u64) -> Option<Arc<StoredBlock>> {
        let (asked, block) = self.blocks.get_mut(&height)?;
        self.clock += 1;
        self.order.remove(asked);
        self.order.insert(self.clock, height);
        *asked = self.clock;
        Some(block.clone())
    }

    fn remove(&mut self, height: u64) {
        if let Some((asked, block)) = self.blocks.remove(&height) {
            self.order.remove(&asked);
            self.heights.remove(&block.hash());
            self.bytes -= cost(&block);
        }
    }
}

#[cfg(test)]
mod tests {
    use baton_ledger::Header;
    use bytes::Bytes;

    use super::*;
    use crate::block::Head;

    fn block(height: u64, len: usize) -> Arc<StoredBlock> {
        let header = Header {
            height,
            ..Header::default()
        };
        Arc::new(StoredBlock {
            head: Head {
                hash: header.hash(),
                header,
                app_hash: Hash::ZERO,
                proposer: None,
                round: 0,
                size: len,
                transactions: 0,
            },
            transactions: Vec::new(),
            bytes: Bytes::from(vec![0; len]),
            certificate: Bytes::new(),
        })
    }

    #[test]
    fn what_was_asked_for_longest_ago_goes_first() {
        let recent = Recent::new(3 * (EVERY_BLOCK_BYTES + EXPANSION * 10));
        for height in 1..=3 {
            recent.put(block(height, 10));
        }
        assert!(recent.get(1).is_some());
        recent.put(block(4, 10));
        let kept = [1, 2, 3, 4].map(|height| recent.get(height).is_some());
        assert_eq!(kept, [true, false, true, true]);
        assert!(recent.find(&block(2, 10).hash()).is_none());
        assert_eq!(recent.find(&block(3, 10).hash()), recent.get(3));
        recent.put(block(3, 10));
        assert_eq!(recent.kept().bytes, recent.limit_bytes);
        recent.put(block(5, 1_000_000));
        assert!(recent.get(5).is_none() && recent.get(4).is_some());
    }
}
