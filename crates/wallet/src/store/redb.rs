//! A store in one file, by redb: copy on write, synced to the disk with every batch.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition, WriteTransaction};

use super::{Batch, Order, Record, Snapshot, Store, StoreError};

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// What a file is for.
#[derive(Debug, Clone, Copy)]
pub struct RedbSettings {
    /// The name of its table.
    pub table: &'static str,
    /// Memory for pages of the file.
    pub cache_bytes: usize,
    /// What to do when the file is damaged, as part of a sentence.
    pub remedy: &'static str,
}

impl RedbSettings {
    /// A wallet's.
    pub const WALLET: Self = Self {
        table: "wallet",
        cache_bytes: 64 << 20,
        remedy: "put a backup of this file in its place, or remove it and get the accounts back: by restore-wallet with what \
                 backup-wallet gave, or by recovery-wallet with each root key (the keys themselves are not in this file)",
    };

    fn table(self) -> Table {
        TableDefinition::new(self.table)
    }
}

/// A store in a file.
///
/// If the disk is full a write fails, and the next one tries again; after any other failure of the disk the store does
/// nothing more until it is opened anew, for nobody knows what is on the disk then.
#[derive(Debug)]
pub struct RedbStore {
    file: Arc<Place>,
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    settings: RedbSettings,
}

#[derive(Debug)]
enum Held {
    Open(Database),
    /// A write found the disk full, and the file could not be opened again yet.
    Lost,
}

impl RedbStore {
    /// Opens the file of a wallet, or makes it. A file that another store has open is refused, and one that is empty:
    /// that is what a copy leaves that failed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, RedbSettings::WALLET)
    }

    /// The same for what is no wallet.
    pub fn open_with(path: impl AsRef<Path>, settings: RedbSettings) -> Result<Self, StoreError> {
        let file = Place {
            path: path.as_ref().to_owned(),
            settings,
        };
        let there = file.path.try_exists();
        if !there.map_err(|error| file.unopened(error.into()))? {
            file.create()?;
        }
        let database = file.opened()?;
        Ok(Self {
            file: Arc::new(file),
            held: RwLock::new(Held::Open(database)),
        })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let mut held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, Held::Lost) {
            drop(held);
            self.regain(&mut self.held.write().unwrap_or_else(PoisonError::into_inner))?;
            held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        }
        match &*held {
            Held::Open(database) => guarded(|| work(database)),
            // somebody else found it full meanwhile
            Held::Lost => Err(io::Error::from(ErrorKind::StorageFull).into()),
        }
    }

    fn write(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let written = self.with(|database| {
            let mut write = database.begin_write()?;
            // What is free is written down too, so that after a crash nothing has to be searched through.
            write.set_quick_repair(true);
            work(&write)?;
            Ok(write.commit()?)
        });
        if written.as_ref().is_err_and(is_disk_full) {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            // redb refuses everything after a failed write; opened again, it holds what was committed
            *held = Held::Lost;
            // if it cannot be yet, the next call tries again, and tells why
            let _ = self.regain(&mut held);
        }
        written.map_err(|error| {
            self.file
                .failed(error, |path, source| StoreError::Write { path, source })
        })
    }

    /// Opens the file again, if that is what it needs; who still reads what was opened before fails.
    fn regain(&self, held: &mut Held) -> Result<(), redb::Error> {
        if matches!(held, Held::Lost) {
            *held = Held::Open(guarded(|| self.file.reopened())?);
        }
        Ok(())
    }
}

impl Place {
    /// Makes a new store beside its place and puts it there when it is whole, so that what is found there later and is
    /// not whole is known to be damaged.
    fn create(&self) -> Result<(), StoreError> {
        let beside = Place {
            path: {
                let mut path = self.path.clone().into_os_string();
                path.push(".new");
                path.into()
            },
            settings: self.settings,
        };
        let failed = |error: io::Error| self.unopened(error.into());
        beside.truncated().map_err(failed)?;
        let made = guarded(|| {
            let database = Database::builder().create(&beside.path)?;
            let write = database.begin_write()?;
            // a snapshot of an empty store needs the table too
            write.open_table(self.settings.table())?;
            Ok(write.commit()?)
        });
        made.map_err(|error| self.unopened(error))?;
        File::open(&beside.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&beside.path, &self.path))
            .map_err(failed)?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))
            .and_then(|dir| dir.sync_all())
            .map_err(failed)
    }

    /// Makes the file empty, for its owner only.
    fn truncated(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path).map(drop)
    }

    fn opened(&self) -> Result<Database, StoreError> {
        guarded(|| self.reopened()).map_err(|error| self.unopened(error))
    }

    fn reopened(&self) -> Result<Database, redb::Error> {
        let mut builder = Database::builder();
        builder.set_cache_size(self.settings.cache_bytes);
        let database = builder.open(&self.path)?;
        // what every snapshot looks for
        database.begin_read()?.open_table(self.settings.table())?;
        Ok(database)
    }

    fn unopened(&self, error: redb::Error) -> StoreError {
        match error {
            redb::Error::DatabaseAlreadyOpen => StoreError::InUse(self.path.clone()),
            error => self.failed(error, |path, source| StoreError::Open { path, source }),
        }
    }

    fn unread(&self, error: redb::Error) -> StoreError {
        self.failed(error, |path, source| StoreError::Read { path, source })
    }

    /// Names what failed: damage, or something else.
    fn failed(
        &self,
        error: redb::Error,
        other: impl FnOnce(PathBuf, Box<dyn std::error::Error + Send + Sync>) -> StoreError,
    ) -> StoreError {
        let path = self.path.clone();
        let what = match error {
            redb::Error::Corrupted(what) => what,
            redb::Error::Io(error)
                if [ErrorKind::InvalidData, ErrorKind::UnexpectedEof].contains(&error.kind()) =>
            {
                error.to_string()
            }
            error @ (redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. }) => {
                error.to_string()
            }
            error => return other(path, error.into()),
        };
        StoreError::Damaged {
            path,
            what,
            remedy: self.settings.remedy,
        }
    }
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

fn is_disk_full(error: &redb::Error) -> bool {
    use ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, redb::Error::Io(error) if [StorageFull, QuotaExceeded].contains(&error.kind()))
}

impl Store for RedbStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let table = self.with(|database| {
            let read = database.begin_read()?;
            Ok(read.open_table(self.file.settings.table())?)
        });
        Ok(Box::new(RedbSnapshot {
            table: table.map_err(|error| self.file.unread(error))?,
            file: Arc::clone(&self.file),
        }))
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.write(|write| {
            let mut table = write.open_table(self.file.settings.table())?;
            for (key, change) in batch {
                match change {
                    Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                    None => table.remove(key.as_slice())?,
                };
            }
            Ok(())
        })
    }
}

struct RedbSnapshot {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    file: Arc<Place>,
}

impl Snapshot for RedbSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let read = || {
            let value = self.table.get(key)?;
            Ok(value.map(|value| value.value().to_vec()))
        };
        guarded(read).map_err(|error| self.file.unread(error))
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
        guarded(read).map_err(|error| self.file.unread(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &[u8]) -> Batch {
        Batch::from([(b"key".to_vec(), Some(value.to_vec()))])
    }

    #[test]
    fn whatever_is_damaged_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good.redb");
        let store = RedbStore::open(&good).unwrap();
        for number in 0_u16..500 {
            let key = number.to_be_bytes().to_vec();
            store
                .commit(Batch::from([(key, Some(vec![7; 200]))]))
                .unwrap();
        }
        drop(store);
        let good = fs::read(good).unwrap();
        let path = dir.path().join("wallet.redb");
        // opens the store and reads all of it
        let read = || {
            let store = RedbStore::open(&path)?;
            let snapshot = store.snapshot()?;
            snapshot.get(&[0, 9])?;
            snapshot.scan(&[], &[0xff], Order::Ascending, usize::MAX)
        };
        let told = |error: StoreError| {
            let told = error.to_string();
            for part in [
                "wallet.redb is damaged: ",
                "restore-wallet",
                "recovery-wallet",
            ] {
                assert!(told.contains(part), "{told}");
            }
        };
        for bytes in [
            Vec::new(),
            b"this is no database, whatever it was".to_vec(),
            good[..good.len() / 2].to_vec(),
            good[..1_000].to_vec(),
        ] {
            fs::write(&path, bytes).unwrap();
            told(read().unwrap_err());
        }
        let mut found = 0;
        for page in 0..good.len() / 4096 {
            let mut bad = good.clone();
            bad[page * 4096..][..4096].fill(0);
            fs::write(&path, bad).unwrap();
            // a page may be in no use
            if let Err(error) = read() {
                told(error);
                found += 1;
            }
        }
        assert!(found >= 5, "{found} damaged pages were found");
        fs::write(&path, good).unwrap();
        assert_eq!(read().unwrap().len(), 500);
    }

    #[test]
    fn what_a_crash_left_of_a_new_store_is_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wallet.redb");
        fs::write(dir.path().join("wallet.redb.new"), b"half").unwrap();
        let store = RedbStore::open(&path).unwrap();
        assert_eq!(store.snapshot().unwrap().get(b"key").unwrap(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn after_a_full_disk_the_file_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, away) = (dir.path().join("wallet.redb"), dir.path().join("away"));
        let store = RedbStore::open(&path).unwrap();
        store.commit(one(b"before")).unwrap();
        fs::rename(&path, &away).unwrap();
        let full = store.write(|_| Err(io::Error::from(ErrorKind::StorageFull).into()));
        let told = full.unwrap_err().to_string();
        assert!(told.contains("no storage space"), "{told}");
        // what was open is given up, and is not there to be opened again yet
        assert!(store.commit(one(b"lost")).is_err());
        assert!(store.snapshot().is_err());
        fs::rename(&away, &path).unwrap();
        let value = || store.snapshot().unwrap().get(b"key").unwrap().unwrap();
        assert_eq!(value(), b"before");
        store.commit(one(b"after")).unwrap();
        assert_eq!(value(), b"after");
    }
}
