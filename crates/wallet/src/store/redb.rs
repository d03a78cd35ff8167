//! A store in one file, by redb: copy on write, synced to the disk with every batch.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Database, DatabaseError, ReadOnlyTable, ReadableDatabase, TableDefinition};

use super::{Batch, Order, Record, Snapshot, Store, StoreError};

/// Memory for pages of the file.
const CACHE_BYTES: usize = 64 << 20;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("wallet");

/// A store in a file.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    path: Arc<PathBuf>,
}

impl RedbStore {
    /// Opens the file, or makes it. A file that another store has open is refused.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let failed = |source: redb::Error| StoreError::Open {
            path: path.clone(),
            source: source.into(),
        };
        let file = open_file(&path).map_err(|source| StoreError::Open {
            path: path.clone(),
            source: source.into(),
        })?;
        let opened = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_file(file);
        let database = match opened {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::InUse(path)),
            Err(error) => return Err(failed(error.into())),
        };
        // A snapshot of an empty store needs the table too.
        let write = database
            .begin_write()
            .map_err(|error| failed(error.into()))?;
        write
            .open_table(RECORDS)
            .map_err(|error| failed(error.into()))?;
        write.commit().map_err(|error| failed(error.into()))?;
        Ok(Self {
            database,
            path: Arc::new(path),
        })
    }
}

/// Opens the file or makes it, for its owner only, and so that its name survives too.
fn open_file(path: &Path) -> std::io::Result<File> {
    let new = !path.try_exists()?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if new && let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        File::open(dir)?.sync_all()?;
    }
    Ok(file)
}

fn unreadable(path: &Path, source: impl Into<redb::Error>) -> StoreError {
    StoreError::Read {
        path: path.to_owned(),
        source: source.into().into(),
    }
}

impl Store for RedbStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let read = self
            .database
            .begin_read()
            .map_err(|error| unreadable(&self.path, error))?;
        let table = read
            .open_table(RECORDS)
            .map_err(|error| unreadable(&self.path, error))?;
        Ok(Box::new(RedbSnapshot {
            table,
            path: Arc::clone(&self.path),
        }))
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        write(&self.database, batch).map_err(|source| StoreError::Write {
            path: self.path.to_path_buf(),
            source: source.into(),
        })
    }
}

fn write(database: &Database, batch: Batch) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    // What is free is written down too, so that after a crash nothing has to be searched through.
    write.set_quick_repair(true);
    {
        let mut table = write.open_table(RECORDS)?;
        for (key, change) in batch {
            match change {
                Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
    }
    Ok(write.commit()?)
}

struct RedbSnapshot {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    path: Arc<PathBuf>,
}

impl Snapshot for RedbSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self
            .table
            .get(key)
            .map_err(|error| unreadable(&self.path, error))?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        order: Order,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let read = || -> Result<Vec<Record>, redb::Error> {
            let mut range = self.table.range(from..to)?;
            let mut records = Vec::new();
            while records.len() < limit {
                let next = match order {
                    Order::Ascending => range.next(),
                    Order::Descending => range.next_back(),
                };
                let Some(record) = next else { break };
                let (key, value) = record?;
                records.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(records)
        };
        read().map_err(|error| unreadable(&self.path, error))
    }
}
