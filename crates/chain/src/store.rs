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
use std::io::ErrorKind;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{
    Database, DatabaseError, Durability, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    StorageError, TableDefinition, WriteTransaction,
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

/// The file.
pub(crate) struct Store {
    path: PathBuf,
    cache_bytes: usize,
    held: RwLock<Held>,
}

enum Held {
    Open(Database),
    /// To be read only: nothing of the file changes.
    Read(ReadOnlyDatabase),
    /// A write found the disk full, and the file could not be opened again yet.
    Lost,
    Closed,
}

/// What can be done with it.
enum Opened<'h> {
    Whole(&'h Database),
    Read(&'h ReadOnlyDatabase),
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
        Ok(Self {
            path: path.to_owned(),
            cache_bytes,
            held: RwLock::new(Held::Open(opened(path, cache_bytes)?)),
        })
    }

    /// Opens the store at `path` to be read only. It must not be open elsewhere.
    pub(crate) fn open_read_only(path: &Path, cache_bytes: usize) -> Result<Self, ChainError> {
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        let database = builder
            .open_read_only(path)
            .map_err(|error| opening(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            cache_bytes,
            held: RwLock::new(Held::Read(database)),
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
        let directory = path.parent().filter(|parent| *parent != Path::new(""));
        let directory = directory.unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(file("making the directory", directory))?;
        let mut beside = path.to_owned().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        // left by a process that died before the store was whole
        if beside.exists() {
            fs::remove_file(&beside).map_err(file("removing", &beside))?;
        }
        let database = Database::create(&beside).map_err(|error| opening(&beside, error))?;
        let store = Self {
            path: beside,
            cache_bytes,
            held: RwLock::new(Held::Open(database)),
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
        self.with("reading", |opened| {
            Ok(match opened {
                Opened::Whole(database) => database.begin_read()?,
                Opened::Read(database) => database.begin_read()?,
            })
        })
    }

    /// Writes everything that `write` does, or nothing. When it returns, it is on the disk.
    ///
    /// If the disk is full, the next call tries again; after any other failure of the disk the store does nothing more
    /// until it is opened anew, for nobody knows what is on the disk then.
    pub(crate) fn write(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), ChainError> {
        let written = self.with("writing", |opened| {
            let Opened::Whole(database) = opened else {
                let only =
                    std::io::Error::new(ErrorKind::ReadOnlyFilesystem, "opened to be read only");
                return Err(only.into());
            };
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            transaction.set_quick_repair(true);
            write(&transaction)?;
            // `return(full)` for a disk that is full
            fail::fail_point!("chain::before_store_commit", |kind: Option<String>| {
                Err(match kind.as_deref() {
                    Some("full") => full(),
                    _ => std::io::Error::from(ErrorKind::Other).into(),
                })
            });
            transaction.commit()?;
            fail::fail_point!("chain::after_store_commit");
            Ok(())
        });
        if written.as_ref().is_err_and(ChainError::is_disk_full) {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            // redb refuses everything after a failed write; opened again, it holds what was committed
            if matches!(*held, Held::Open(_)) {
                *held = Held::Lost;
                if let Err(error) = self.regain(&mut held) {
                    tracing::warn!(%error, "the store cannot be opened again yet");
                }
            }
        }
        written
    }

    fn with<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(Opened<'_>) -> Result<T, redb::Error>,
    ) -> Result<T, ChainError> {
        let mut held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, Held::Lost) {
            drop(held);
            self.regain(&mut self.held.write().unwrap_or_else(PoisonError::into_inner))?;
            held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        }
        let named = |error| self.failed(doing, error);
        match &*held {
            Held::Open(database) => work(Opened::Whole(database)).map_err(named),
            Held::Read(database) => work(Opened::Read(database)).map_err(named),
            // somebody else found it full meanwhile
            Held::Lost => Err(named(full())),
            Held::Closed => Err(ChainError::Closed {
                path: self.path.clone(),
            }),
        }
    }

    /// Opens the file again, if that is what it needs; tells why it cannot be.
    fn regain(&self, held: &mut Held) -> Result<(), ChainError> {
        if matches!(held, Held::Lost) {
            *held = Held::Open(opened(&self.path, self.cache_bytes)?);
        }
        Ok(())
    }

    /// Closes the file once nobody writes; who reads finds it closed.
    pub(crate) fn close(&self) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        *held = Held::Closed;
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

/// Does what reads a store that may be damaged: redb panics at some damage.
pub(crate) fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, ChainError>,
) -> Result<T, ChainError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let told = panic.downcast_ref::<String>().map(String::as_str);
        let told = told.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(ChainError::Damaged {
            path: path.to_owned(),
            what: told.unwrap_or("reading it failed").to_owned(),
        })
    })
}

fn full() -> redb::Error {
    std::io::Error::from(ErrorKind::StorageFull).into()
}

fn opened(path: &Path, cache_bytes: usize) -> Result<Database, ChainError> {
    let told = path.to_owned();
    let opened = Database::builder()
        .set_cache_size(cache_bytes)
        .set_repair_callback(move |session| {
            let percent = session.progress() * 100.0;
            tracing::warn!(store = %told.display(), percent, "repairing the store");
        })
        .open(path);
    opened.map_err(|error| opening(path, error))
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
    match error {
        DatabaseError::DatabaseAlreadyOpen => ChainError::InUse {
            path: path.to_owned(),
        },
        DatabaseError::Storage(StorageError::Io(error))
            if [ErrorKind::InvalidData, ErrorKind::UnexpectedEof].contains(&error.kind()) =>
        {
            ChainError::Damaged {
                path: path.to_owned(),
                what: error.to_string(),
            }
        }
        other => failed(path, "opening", other),
    }
}
