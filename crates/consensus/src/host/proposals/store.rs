//! The file of proposals. A full disk does it no harm: the next write after that opens it again.

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tracing::warn;

use super::error::ProposalsError;
use super::memory::{Known, Memory};
use crate::codec::decode_announcement;
use crate::context::{BlockId, Height};

/// Blocks by height and id.
pub(super) const STORED: TableDefinition<'_, (u64, [u8; 32]), &[u8]> =
    TableDefinition::new("blocks");
/// Height, round, proposer and block.
type AnnouncedKey = (u64, u32, [u8; 32], [u8; 32]);
/// Announcements.
pub(super) const ANNOUNCED: TableDefinition<'_, AnnouncedKey, &[u8]> =
    TableDefinition::new("announced");
/// Memory for pages: they are read at a start only.
const CACHE_BYTES: usize = 16 << 20;

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Open(Database),
    /// A write found the disk full. redb refuses everything after that; opened again, the file holds what was committed.
    Lost,
    Closed,
}

impl Store {
    /// Opens the store, creates it if there is none, and reads what is in it.
    pub(super) fn open(path: &Path) -> Result<(Self, Memory), ProposalsError> {
        let opening = || {
            let database = opened(path)?;
            let memory = load(&database)?;
            Ok((database, memory))
        };
        let (database, memory) =
            guarded(opening).map_err(|error| ProposalsError::named(path, "opening", error))?;
        let store = Self {
            path: path.to_owned(),
            held: Held::Open(database),
        };
        Ok((store, memory))
    }

    /// Writes all that `work` does, or nothing. If the disk is full, the next call opens the file again and tries.
    pub(super) fn write<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, ProposalsError> {
        let named = |error| ProposalsError::named(&self.path, doing, error);
        if matches!(self.held, Held::Lost) {
            let database = guarded(|| opened(&self.path)).map_err(named)?;
            self.held = Held::Open(database);
        }
        let Held::Open(database) = &self.held else {
            let path = self.path.clone();
            return Err(ProposalsError::Closed { path });
        };
        let writing = || {
            let mut transaction = database.begin_write()?;
            let done = work(&mut transaction)?;
            // `return` for a disk that is full
            fail::fail_point!("proposals::before_commit", |_| {
                Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into())
            });
            transaction.commit()?;
            Ok(done)
        };
        let written = guarded(writing).map_err(named);
        if written.as_ref().is_err_and(ProposalsError::is_disk_full) {
            self.held = Held::Lost;
        }
        written
    }

    /// Writes a copy of it into a new file.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), ProposalsError> {
        let Held::Open(database) = &self.held else {
            let path = self.path.clone();
            return Err(ProposalsError::Closed { path });
        };
        let copying = || {
            let from = database.begin_read()?;
            let copy = Database::create(path)?;
            let to = copy.begin_write()?;
            {
                let mut blocks = to.open_table(STORED)?;
                for entry in from.open_table(STORED)?.iter()? {
                    let (key, bytes) = entry?;
                    blocks.insert(key.value(), bytes.value())?;
                }
                let mut announced = to.open_table(ANNOUNCED)?;
                for entry in from.open_table(ANNOUNCED)?.iter()? {
                    let (key, said) = entry?;
                    announced.insert(key.value(), said.value())?;
                }
            }
            Ok(to.commit()?)
        };
        guarded(copying).map_err(|error| ProposalsError::named(path, "copying into", error))
    }

    /// Another process may open it.
    pub(super) fn close(&mut self) {
        self.held = Held::Closed;
    }
}

fn opened(path: &Path) -> Result<Database, redb::Error> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    Ok(builder.create(path)?)
}

/// Does what may meet damage: redb panics at some of it.
fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let told = panic.downcast_ref::<String>().map(String::as_str);
        let told = told.or_else(|| panic.downcast_ref::<&str>().copied());
        let told = told.unwrap_or("reading it failed");
        Err(redb::Error::Corrupted(told.to_owned()))
    })
}

fn load(database: &Database) -> Result<Memory, redb::Error> {
    let mut memory = Memory::default();
    let begin = database.begin_write()?;
    begin.open_table(STORED)?;
    begin.open_table(ANNOUNCED)?;
    begin.commit()?;
    let transaction = database.begin_read()?;
    for entry in transaction.open_table(STORED)?.iter()? {
        let (key, bytes) = entry?;
        let (height, block) = key.value();
        let known = Known {
            bytes: bytes::Bytes::copy_from_slice(bytes.value()),
            valid: true,
        };
        memory.add((Height(height), BlockId(block)), known);
    }
    for entry in transaction.open_table(ANNOUNCED)?.iter()? {
        let (_, said) = entry?;
        match decode_announcement(said.value()) {
            Ok(said) => memory.announce(said),
            Err(error) => warn!(%error, "an unreadable announcement is passed over"),
        }
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::*;

    fn put(store: &mut Store, height: u64) -> Result<(), ProposalsError> {
        store.write("writing", |transaction| {
            let mut blocks = transaction.open_table(STORED)?;
            blocks.insert((height, [1; 32]), b"block".as_slice())?;
            Ok(())
        })
    }

    #[test]
    fn after_a_full_disk_the_file_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fastsync.redb");
        let away = directory.path().join("away");
        let (mut store, _) = Store::open(&path).unwrap();
        put(&mut store, 1).unwrap();
        let full = || io::Error::from(ErrorKind::StorageFull);
        let error = store.write::<()>("writing", |_| Err(full().into()));
        let told = error.unwrap_err().to_string();
        assert!(
            told.contains("fastsync.redb: ") && told.contains("no storage space"),
            "{told}"
        );
        // what was open is given up: it is not written to where it lies now
        std::fs::rename(&path, &away).unwrap();
        std::fs::create_dir(&path).unwrap();
        let told = put(&mut store, 2).unwrap_err().to_string();
        assert!(told.contains("fastsync.redb: "), "{told}");
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&away, &path).unwrap();
        put(&mut store, 3).unwrap();
        drop(store);
        let (_, memory) = Store::open(&path).unwrap();
        let heights: Vec<_> = memory.blocks.keys().map(|(height, _)| height.0).collect();
        assert_eq!(heights, [1, 3]);
    }

    #[test]
    fn any_other_failure_does_not_open_it_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fastsync.redb");
        let (mut store, _) = Store::open(&path).unwrap();
        let broken = store.write::<()>("writing", |_| Err(io::Error::other("broken").into()));
        assert!(!broken.unwrap_err().is_disk_full());
        assert!(matches!(store.held, Held::Open(_)));
        store.close();
        let closed = put(&mut store, 1).unwrap_err();
        assert!(matches!(closed, ProposalsError::Closed { .. }), "{closed}");
    }
}
