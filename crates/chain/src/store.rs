//! The store: one file of redb, which holds a whole number of blocks at any time.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | schema version, hash of the genesis block, hash of the parameters, the tip, how far transactions are indexed |
//! | `unspent` | id of an output | its record in the ledger's state |
//! | `state` | key of the ledger's state | its record, of all but the unspent outputs |
//! | `heads` | height | [`Head`](crate::Head) |
//! | `bodies` | height | the block's bytes |
//! | `certificates` | height | who decided the block, as consensus encodes it |
//! | `heights` | hash of a block | height |
//! | `votes` | height of the last block of an epoch | the votes as they were then |
//! | `transactions` | id | height and number in the block; only if they are indexed |
//!
//! Every commit is synced to the disk and keeps what the next start needs to go on without reading the whole file
//! (redb's quick repair): how long a start takes does not depend on how the last run ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{
    Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase, StorageError,
    TableDefinition, WriteTransaction,
};

use crate::error::ChainError;

/// The version of the tables below.
pub(crate) const SCHEMA: u32 = 1;

pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(crate) const UNSPENT: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("unspent");
pub(crate) const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
pub(crate) const HEADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("heads");
pub(crate) const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
pub(crate) const CERTIFICATES: TableDefinition<'_, u64, &[u8]> =
    TableDefinition::new("certificates");
pub(crate) const HEIGHTS: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("heights");
pub(crate) const VOTES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("votes");
pub(crate) const TRANSACTIONS: TableDefinition<'_, &[u8; 32], (u64, u32)> =
    TableDefinition::new("transactions");

/// Names in `meta`.
pub(crate) mod meta {
    pub(crate) const SCHEMA: &str = "schema";
    pub(crate) const GENESIS: &str = "genesis";
    pub(crate) const PARAMS: &str = "params";
    pub(crate) const TIP: &str = "tip";
    pub(crate) const INDEXED: &str = "indexed";
}

/// The open file.
pub(crate) struct Store {
    path: PathBuf,
    /// `None` once it is closed.
    database: RwLock<Option<Database>>,
}

impl Store {
    /// Opens the store at `path`; if there is none, makes one that holds what `found` writes.
    ///
    /// A new store is written beside its place and put there when it is whole.
    pub(crate) fn open(
        path: &Path,
        cache_bytes: usize,
        found: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Self, ChainError> {
        if !path.exists() {
            Self::create(path, cache_bytes, found)?;
        }
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        let told = path.to_owned();
        builder.set_repair_callback(move |session| {
            let percent = session.progress() * 100.0;
            tracing::warn!(store = %told.display(), percent, "repairing the store");
        });
        let database = builder.open(path).map_err(|error| opening(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            database: RwLock::new(Some(database)),
        })
    }

    fn create(
        path: &Path,
        cache_bytes: usize,
        found: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), ChainError> {
        let file = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| ChainError::File {
                doing,
                path,
                source,
            }
        };
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(file("making the directory", directory))?;
        let mut beside = path.to_owned().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        // left by a process that died before the store was whole
        if beside.exists() {
            fs::remove_file(&beside).map_err(file("removing", &beside))?;
        }
        let store = Self {
            database: RwLock::new(Some(
                Database::builder()
                    .set_cache_size(cache_bytes)
                    .create(&beside)
                    .map_err(|error| opening(&beside, error))?,
            )),
            path: beside,
        };
        store.write(found)?;
        store.close();
        let synced = File::open(&store.path).and_then(|file| file.sync_all());
        synced.map_err(file("syncing", &store.path))?;
        fs::rename(&store.path, path).map_err(file("putting in place", path))?;
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(file("syncing", directory))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A snapshot.
    pub(crate) fn read(&self) -> Result<ReadTransaction, ChainError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else {
            return Err(self.closed());
        };
        let begun = database.begin_read();
        begun.map_err(|error| self.failed("reading", error))
    }

    /// Writes everything that `write` does, or nothing. When it returns, it is on the disk.
    pub(crate) fn write(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), ChainError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else {
            return Err(self.closed());
        };
        let written = || -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            transaction.set_quick_repair(true);
            write(&transaction)?;
            fail::fail_point!("chain::before_store_commit", |_| {
                Err(std::io::Error::other("fault point").into())
            });
            transaction.commit()?;
            fail::fail_point!("chain::after_store_commit");
            Ok(())
        };
        written().map_err(|error| self.failed("writing", error))
    }

    /// Closes the file once nobody writes; who reads keeps what was there to read.
    pub(crate) fn close(&self) {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        drop(database.take());
    }

    fn closed(&self) -> ChainError {
        ChainError::Closed {
            path: self.path.clone(),
        }
    }

    /// Names what failed.
    pub(crate) fn failed(&self, doing: &'static str, error: impl Into<redb::Error>) -> ChainError {
        failed(&self.path, doing, error)
    }

    pub(crate) fn damaged(&self, what: impl Into<String>) -> ChainError {
        ChainError::Damaged {
            path: self.path.clone(),
            what: what.into(),
        }
    }
}

/// Names what failed in the store at `path`.
pub(crate) fn failed(
    path: &Path,
    doing: &'static str,
    error: impl Into<redb::Error>,
) -> ChainError {
    match error.into() {
        redb::Error::Corrupted(what) => ChainError::Damaged {
            path: path.to_owned(),
            what,
        },
        source => ChainError::Store {
            doing,
            path: path.to_owned(),
            source: Box::new(source),
        },
    }
}

fn opening(path: &Path, error: DatabaseError) -> ChainError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        DatabaseError::DatabaseAlreadyOpen => ChainError::InUse {
            path: path.to_owned(),
        },
        DatabaseError::Storage(StorageError::Io(error))
            if [InvalidData, UnexpectedEof].contains(&error.kind()) =>
        {
            ChainError::Damaged {
                path: path.to_owned(),
                what: error.to_string(),
            }
        }
        other => failed(path, "opening", other),
    }
}
