//! Proposed blocks that are not decided yet: in memory, and those that this node may vote for in `fastsync.redb`.
//!
//! The write-ahead log knows blocks by their ids only; a validator that comes back after it has voted, or decided, needs
//! the bytes. A valid block is therefore on the disk before consensus hears of it. Blocks that were fetched from peers,
//! and those of nodes that only follow, are in memory only: they can be fetched again. What is decided is forgotten.
//!
//! There is a block for each proposer, as one that proposes again at a height proposes the same; more come from those
//! that cheat or were restarted. Beyond 64 blocks or 128 MiB the one goes that was not announced for longest: a
//! block that validators are locked on is announced again each time it is the turn of one of them.

mod error;
mod memory;
mod store;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use redb::{Durability, ReadableTable};

use crate::codec::encode_announcement;
use crate::context::{Address, Announcement, BlockId, Height};
pub use error::ProposalsError;
pub(super) use memory::Known;
use memory::Memory;
use store::{ANNOUNCED, STORED, Store};

/// The proposals that are known.
#[derive(Debug)]
pub(crate) struct Proposals(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    /// Whether anything is in it.
    stored: bool,
    memory: Memory,
}

impl Proposals {
    /// Opens the store, creates it if there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, ProposalsError> {
        let (store, memory) = Store::open(path)?;
        Ok(Self(Mutex::new(Inner {
            store,
            stored: true,
            memory,
        })))
    }

    /// Keeps a valid block and who announced it, on the disk. If it fails nothing is kept.
    pub(super) fn keep(&self, said: &Announcement, bytes: &Bytes) -> Result<(), ProposalsError> {
        let mut inner = self.lock();
        let Inner {
            store,
            stored,
            memory,
        } = &mut *inner;
        let name = (said.height, said.block);
        let gone = memory.displaced(name, bytes.len());
        *stored = true;
        store.write("writing", |transaction| {
            let mut blocks = transaction.open_table(STORED)?;
            let mut announced = transaction.open_table(ANNOUNCED)?;
            blocks.insert((said.height.0, said.block.0), bytes.as_ref())?;
            let key = (said.height.0, said.round, said.proposer.0, said.block.0);
            announced.insert(key, encode_announcement(said).as_slice())?;
            for (height, block) in &gone {
                blocks.remove((height.0, block.0))?;
                announced.retain(|(at, _, _, of), _| (at, of) != (height.0, block.0))?;
            }
            Ok(())
        })?;
        let known = Known {
            bytes: bytes.clone(),
            valid: true,
        };
        memory.add(name, known);
        memory.announce(said.clone());
        Ok(())
    }

    /// Keeps a block in memory: one that was fetched, is not valid, or that this node does not vote for.
    pub(super) fn remember(
        &self,
        height: Height,
        block: BlockId,
        said: Option<&Announcement>,
        known: Known,
    ) {
        let mut inner = self.lock();
        inner.memory.add((height, block), known);
        if let Some(said) = said {
            inner.memory.announce(said.clone());
        }
    }

    /// A block, if it is known.
    pub(super) fn block(&self, height: Height, block: BlockId) -> Option<Known> {
        let inner = self.lock();
        let entry = inner.memory.blocks.get(&(height, block))?;
        Some(entry.known.clone())
    }

    /// What was announced for a round and is known whole.
    pub(super) fn of_round(&self, height: Height, round: u32) -> Vec<(Announcement, Known)> {
        self.announced(height, |said| said.round == round)
    }

    /// The valid block that a validator proposed last at a height.
    pub(super) fn last_of(&self, height: Height, proposer: Address) -> Option<(BlockId, Bytes)> {
        let of_proposer = self.announced(height, |said| said.proposer == proposer);
        let mut valid = of_proposer.into_iter().filter(|(_, known)| known.valid);
        let (said, known) = valid.next_back()?;
        Some((said.block, known.bytes))
    }

    /// Forgets everything up to and with a height. What a crash brings back is forgotten at the next start.
    pub(crate) fn forget_through(&self, height: u64) -> Result<(), ProposalsError> {
        let mut inner = self.lock();
        inner.memory.forget_through(height);
        if !inner.stored {
            return Ok(());
        }
        inner.stored = inner.store.write("pruning", |transaction| {
            // the next block that is kept carries this to the disk
            transaction.set_durability(Durability::None)?;
            let mut blocks = transaction.open_table(STORED)?;
            let mut announced = transaction.open_table(ANNOUNCED)?;
            blocks.retain(|(at, _), _| at > height)?;
            announced.retain(|(at, ..), _| at > height)?;
            Ok(blocks.first()?.is_some())
        })?;
        Ok(())
    }

    /// Writes a copy of the store into a new file.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), ProposalsError> {
        self.lock().store.copy_to(path)
    }

    /// Closes the store: another process may open it.
    pub(crate) fn close(&self) {
        self.lock().store.close();
    }

    fn announced(
        &self,
        height: Height,
        wanted: impl Fn(&Announcement) -> bool,
    ) -> Vec<(Announcement, Known)> {
        let inner = self.lock();
        let memory = &inner.memory;
        let announced = memory.announced.values();
        let announced = announced.filter(|said| said.height == height && wanted(said));
        let known = announced.filter_map(|said| {
            let entry = memory.blocks.get(&(said.height, said.block))?;
            Some((said.clone(), entry.known.clone()))
        });
        known.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // maps that are changed one after the other: a panic leaves them usable
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::memory::{BLOCKS, BYTES};
    use super::*;
    use crate::context::Signature;

    fn announcement(height: u64, round: u32, proposer: u8, bytes: &[u8]) -> Announcement {
        Announcement {
            height: Height(height),
            round,
            pol_round: None,
            proposer: Address([proposer; 32]),
            block: BlockId::of(bytes),
            size: bytes.len() as u64,
            signature: Signature([3; 64]),
        }
    }

    fn open() -> (tempfile::TempDir, Proposals) {
        let directory = tempfile::tempdir().unwrap();
        let proposals = Proposals::open(&directory.path().join("fastsync.redb")).unwrap();
        (directory, proposals)
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_what_is_forgotten_is_not() {
        let (directory, proposals) = open();
        let path = directory.path().join("fastsync.redb");
        let bytes = Bytes::from_static(b"block");
        let said = announcement(5, 1, 1, &bytes);
        let id = BlockId::of(&bytes);
        let fetched = Known {
            bytes: bytes.clone(),
            valid: false,
        };
        proposals
            .keep(&announcement(4, 0, 1, &bytes), &bytes)
            .unwrap();
        proposals.keep(&said, &bytes).unwrap();
        proposals
            .keep(&announcement(5, 2, 2, &bytes), &bytes)
            .unwrap();
        proposals.remember(Height(6), id, None, fetched.clone());
        proposals.forget_through(4).unwrap();
        assert_eq!(proposals.block(Height(4), id), None);
        assert_eq!(proposals.block(Height(6), id), Some(fetched));
        let again = Proposals::open(&path);
        assert!(matches!(again, Err(ProposalsError::InUse { .. })));
        proposals.close();
        let error = proposals.keep(&said, &bytes).unwrap_err();
        assert!(matches!(error, ProposalsError::Closed { .. }));

        let proposals = Proposals::open(&path).unwrap();
        let known = Known { bytes, valid: true };
        assert_eq!(proposals.block(Height(6), id), None);
        assert_eq!(proposals.block(Height(5), id), Some(known.clone()));
        assert_eq!(proposals.of_round(Height(5), 1), [(said, known)]);
        proposals.forget_through(5).unwrap();
        assert_eq!(proposals.of_round(Height(5), 2), []);
        assert_eq!(proposals.lock().memory.bytes, 0);
    }

    #[test]
    fn a_damaged_store_is_named_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fastsync.redb");
        {
            let proposals = Proposals::open(&path).unwrap();
            let bytes = Bytes::from(vec![7; 20_000]);
            proposals
                .keep(&announcement(4, 0, 1, &bytes), &bytes)
                .unwrap();
        }
        let good = std::fs::read(&path).unwrap();
        let mut damage = vec![b"no store".to_vec(), good[..good.len() / 2].to_vec()];
        for page in 0..good.len() / 4096 {
            let mut bad = good.clone();
            bad[page * 4096..][..4096].fill(0);
            damage.push(bad);
        }
        let mut found = 0;
        for bytes in damage {
            std::fs::write(&path, bytes).unwrap();
            // a page may be in no use
            if let Err(error) = Proposals::open(&path) {
                let told = error.to_string();
                assert!(
                    told.contains("fastsync.redb is damaged: ") && told.contains("or remove it"),
                    "{told}"
                );
                found += 1;
            }
        }
        assert!(found >= 4, "{found}");
    }

    #[test]
    fn the_block_that_was_announced_least_recently_makes_room() {
        let (directory, proposals) = open();
        let block = |number: usize| Bytes::from(number.to_be_bytes().to_vec());
        // validators are locked on the first, and announce it again now and then
        let (locked, last) = (block(0), BLOCKS * 3 - 1);
        for (round, number) in (0..).zip(0..=last) {
            let bytes = if round % 10 == 0 {
                locked.clone()
            } else {
                block(number)
            };
            proposals
                .keep(&announcement(1, round, 1, &bytes), &bytes)
                .unwrap();
        }
        assert_eq!(proposals.lock().memory.blocks.len(), BLOCKS);
        assert!(proposals.block(Height(1), BlockId::of(&locked)).is_some());
        assert!(proposals.block(Height(1), BlockId::of(&block(1))).is_none());
        assert!(proposals.of_round(Height(1), 1).is_empty());
        let latest = proposals.last_of(Height(1), Address([1; 32])).unwrap();
        assert_eq!(latest, (BlockId::of(&block(last)), block(last)));
        // the disk has the same
        let held: Vec<_> = proposals.lock().memory.blocks.keys().copied().collect();
        drop(proposals);
        let again = Proposals::open(&directory.path().join("fastsync.redb")).unwrap();
        let found: Vec<_> = again.lock().memory.blocks.keys().copied().collect();
        assert_eq!(found, held);
    }

    #[test]
    fn great_blocks_make_room_for_each_other() {
        let (_directory, proposals) = open();
        for number in 0..5u8 {
            let bytes = Bytes::from(vec![number; BYTES / 3]);
            let known = Known { bytes, valid: true };
            proposals.remember(Height(1), BlockId([number; 32]), None, known);
        }
        assert!(proposals.lock().memory.bytes <= BYTES);
        assert!(proposals.block(Height(1), BlockId([4; 32])).is_some());
        assert!(proposals.block(Height(1), BlockId([1; 32])).is_none());
    }
}
