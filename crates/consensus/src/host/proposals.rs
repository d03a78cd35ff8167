//! Proposed blocks that are not decided yet, in `fastsync.redb`.
//!
//! The write-ahead log knows blocks by their ids only; a node that comes back after it has voted, or decided, needs the
//! bytes. A valid block is therefore on the disk before consensus hears of it. Blocks that were fetched from peers are
//! kept in memory only: they can be fetched again. What is decided is forgotten.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fail::fail_point;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use tracing::warn;

use crate::codec::{decode_announcement, encode_announcement};
use crate::context::{Address, Announcement, BlockId, Height};

/// Blocks by height and id.
const BLOCKS: TableDefinition<'_, (u64, [u8; 32]), &[u8]> = TableDefinition::new("blocks");
/// Height, round, proposer and block.
type AnnouncedKey = (u64, u32, [u8; 32], [u8; 32]);
/// Announcements.
const ANNOUNCED: TableDefinition<'_, AnnouncedKey, &[u8]> = TableDefinition::new("announced");

/// Blocks that are kept for one height: there is one a round, and more only of validators that cheat.
const BLOCKS_PER_HEIGHT: usize = 32;

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum ProposalsError {
    /// Another process has it open.
    #[error("{} is open in another process: stop that process first", .path.display())]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// The store failed.
    #[error("{doing} {}: {source}", .path.display())]
    Store {
        /// What was being done.
        doing: &'static str,
        /// The store.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Box<redb::Error>,
    },
    /// It was closed.
    #[error("{} is closed", .path.display())]
    Closed {
        /// The store.
        path: PathBuf,
    },
    /// Too many blocks were proposed.
    #[error("{BLOCKS_PER_HEIGHT} blocks are known for height {0}; no more are kept")]
    Full(Height),
}

/// A block and whether it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) bytes: Bytes,
    pub(super) valid: bool,
}

#[derive(Debug, Default)]
struct Memory {
    blocks: BTreeMap<(Height, BlockId), Known>,
    announced: BTreeMap<(Height, u32, Address, BlockId), Announcement>,
}

/// The proposals that are known.
#[derive(Debug)]
pub(crate) struct Proposals {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// None once it is closed.
    store: Option<Database>,
    memory: Memory,
}

impl Proposals {
    /// Opens the store, creates it if there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, ProposalsError> {
        let failed = |doing, error| ProposalsError::Store {
            doing,
            path: path.to_owned(),
            source: Box::new(error),
        };
        let store = match Database::create(path) {
            Ok(store) => store,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                return Err(ProposalsError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(failed("opening", error.into())),
        };
        let memory = load(&store).map_err(|error| failed("reading", error))?;
        Ok(Self {
            path: path.to_owned(),
            inner: Mutex::new(Inner {
                store: Some(store),
                memory,
            }),
        })
    }

    /// Keeps a valid block on the disk, and who announced it.
    pub(super) fn keep(&self, said: &Announcement, bytes: &Bytes) -> Result<(), ProposalsError> {
        let mut inner = self.lock();
        inner.memory.make_room(said.height, said.block)?;
        let store = inner.store.as_ref().ok_or_else(|| self.closed())?;
        let write = || -> Result<(), redb::Error> {
            let transaction = store.begin_write()?;
            {
                let mut blocks = transaction.open_table(BLOCKS)?;
                blocks.insert((said.height.0, said.block.0), bytes.as_ref())?;
                let mut announced = transaction.open_table(ANNOUNCED)?;
                let key = (said.height.0, said.round, said.proposer.0, said.block.0);
                announced.insert(key, encode_announcement(said).as_slice())?;
            }
            fail_point!("proposals::before_commit");
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| self.failed("writing", error))?;
        inner.memory.insert(said.clone());
        let known = Known {
            bytes: bytes.clone(),
            valid: true,
        };
        inner.memory.blocks.insert((said.height, said.block), known);
        Ok(())
    }

    /// Keeps a block in memory: one that was fetched, or that is not valid.
    pub(super) fn remember(
        &self,
        height: Height,
        block: BlockId,
        known: Known,
    ) -> Result<(), ProposalsError> {
        let mut inner = self.lock();
        inner.memory.make_room(height, block)?;
        // a verdict that was given for a kept block stays
        inner.memory.blocks.entry((height, block)).or_insert(known);
        Ok(())
    }

    /// A block, if it is known.
    pub(super) fn block(&self, height: Height, block: BlockId) -> Option<Known> {
        self.lock().memory.blocks.get(&(height, block)).cloned()
    }

    /// What was announced for a round and is known whole.
    pub(super) fn of_round(&self, height: Height, round: u32) -> Vec<(Announcement, Known)> {
        let inner = self.lock();
        let memory = &inner.memory;
        let of_round = memory
            .announced
            .values()
            .filter(|said| (said.height, said.round) == (height, round));
        of_round
            .filter_map(|said| {
                let known = memory.blocks.get(&(said.height, said.block))?;
                Some((said.clone(), known.clone()))
            })
            .collect()
    }

    /// Forgets everything up to and with a height. What a crash brings back is forgotten at the next start.
    pub(crate) fn forget_through(&self, height: u64) -> Result<(), ProposalsError> {
        let mut inner = self.lock();
        let memory = &mut inner.memory;
        memory.blocks.retain(|(at, _), _| at.0 > height);
        memory.announced.retain(|(at, ..), _| at.0 > height);
        let store = inner.store.as_ref().ok_or_else(|| self.closed())?;
        let write = || -> Result<(), redb::Error> {
            let mut transaction = store.begin_write()?;
            // the next block that is kept carries this to the disk
            transaction.set_durability(Durability::None)?;
            {
                let mut blocks = transaction.open_table(BLOCKS)?;
                blocks.retain(|(at, _), _| at > height)?;
                let mut announced = transaction.open_table(ANNOUNCED)?;
                announced.retain(|(at, ..), _| at > height)?;
            }
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| self.failed("pruning", error))
    }

    /// Closes the store: another process may open it.
    pub(crate) fn close(&self) {
        self.lock().store = None;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // memory is changed after the disk, one map at a time: a panic leaves it usable
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self) -> ProposalsError {
        ProposalsError::Closed {
            path: self.path.clone(),
        }
    }

    fn failed(&self, doing: &'static str, error: redb::Error) -> ProposalsError {
        ProposalsError::Store {
            doing,
            path: self.path.clone(),
            source: Box::new(error),
        }
    }
}

impl Memory {
    fn make_room(&self, height: Height, block: BlockId) -> Result<(), ProposalsError> {
        let of_height = self.blocks.keys().filter(|(at, _)| *at == height).count();
        if of_height >= BLOCKS_PER_HEIGHT && !self.blocks.contains_key(&(height, block)) {
            return Err(ProposalsError::Full(height));
        }
        Ok(())
    }

    fn insert(&mut self, said: Announcement) {
        let key = (said.height, said.round, said.proposer, said.block);
        self.announced.insert(key, said);
    }
}

fn load(store: &Database) -> Result<Memory, redb::Error> {
    let mut memory = Memory::default();
    let begin = store.begin_write()?;
    begin.open_table(BLOCKS)?;
    begin.open_table(ANNOUNCED)?;
    begin.commit()?;
    let transaction = store.begin_read()?;
    for entry in transaction.open_table(BLOCKS)?.iter()? {
        let (key, bytes) = entry?;
        let (height, block) = key.value();
        let known = Known {
            bytes: Bytes::copy_from_slice(bytes.value()),
            valid: true,
        };
        memory
            .blocks
            .insert((Height(height), BlockId(block)), known);
    }
    for entry in transaction.open_table(ANNOUNCED)?.iter()? {
        let (_, said) = entry?;
        match decode_announcement(said.value()) {
            Ok(said) => memory.insert(said),
            Err(error) => warn!(%error, "an unreadable announcement is passed over"),
        }
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Signature;

    fn announcement(height: u64, round: u8, bytes: &[u8]) -> Announcement {
        Announcement {
            height: Height(height),
            round: round.into(),
            pol_round: None,
            proposer: Address([round; 32]),
            block: BlockId::of(bytes),
            size: bytes.len() as u64,
            signature: Signature([3; 64]),
        }
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_what_is_forgotten_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fastsync.redb");
        let bytes = Bytes::from_static(b"block");
        let said = announcement(5, 1, &bytes);
        let id = BlockId::of(&bytes);
        let fetched = Known {
            bytes: bytes.clone(),
            valid: false,
        };
        {
            let proposals = Proposals::open(&path).unwrap();
            proposals.keep(&announcement(4, 0, &bytes), &bytes).unwrap();
            proposals.keep(&said, &bytes).unwrap();
            proposals.keep(&announcement(5, 2, &bytes), &bytes).unwrap();
            proposals.remember(Height(6), id, fetched.clone()).unwrap();
            proposals.forget_through(4).unwrap();
            assert_eq!(proposals.block(Height(4), id), None);
            assert_eq!(proposals.block(Height(6), id), Some(fetched));
            assert!(matches!(
                Proposals::open(&path),
                Err(ProposalsError::InUse { .. })
            ));
            proposals.close();
            let error = proposals.keep(&said, &bytes).unwrap_err();
            assert!(matches!(error, ProposalsError::Closed { .. }));
        }
        let proposals = Proposals::open(&path).unwrap();
        let known = Known {
            bytes: bytes.clone(),
            valid: true,
        };
        assert_eq!(proposals.block(Height(6), id), None);
        assert_eq!(proposals.block(Height(5), id), Some(known.clone()));
        assert_eq!(proposals.of_round(Height(5), 1), [(said, known)]);
        proposals.forget_through(5).unwrap();
        assert_eq!(proposals.of_round(Height(5), 2), []);
    }

    #[test]
    fn a_height_holds_a_bounded_number_of_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let proposals = Proposals::open(&directory.path().join("fastsync.redb")).unwrap();
        let known = |number: u8| Known {
            bytes: vec![number].into(),
            valid: false,
        };
        for number in (0..).take(BLOCKS_PER_HEIGHT) {
            let id = BlockId([number; 32]);
            proposals.remember(Height(1), id, known(number)).unwrap();
        }
        let full = proposals.remember(Height(1), BlockId([255; 32]), known(255));
        assert!(matches!(full, Err(ProposalsError::Full(Height(1)))));
        proposals
            .remember(Height(1), BlockId([0; 32]), known(0))
            .unwrap();
    }
}
