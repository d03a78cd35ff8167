//! A small file of named records: what the API itself has to keep. All of it is in memory too, so that reading never waits.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use redb::{Database, DatabaseError, ReadableTable, TableDefinition};
use serde::{Serialize, de::DeserializeOwned};

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
/// Memory for pages of the file.
const CACHE_BYTES: usize = 1 << 20;

/// Why a file of records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It cannot be opened or made.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system or the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is in it is not what was written.
    #[error("the record {name:?} in {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The record's name.
        name: String,
        /// What is wrong.
        source: postcard::Error,
    },
    /// It cannot be written; nothing has changed.
    #[error("cannot write to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Records by name, on disk and in memory.
#[derive(Debug)]
pub(crate) struct Records<R> {
    path: PathBuf,
    database: Database,
    /// Held while a change is decided and written.
    writing: Mutex<()>,
    all: RwLock<BTreeMap<String, R>>,
}

impl<R: Serialize + DeserializeOwned + Clone> Records<R> {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, RecordsError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| RecordsError::Open {
            path: path.to_owned(),
            source,
        };
        let file = open_file(path).map_err(|error| failed(error.into()))?;
        let opened = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_file(file);
        let database = match opened {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(RecordsError::InUse(path.to_owned()));
            }
            Err(error) => return Err(failed(error.into())),
        };
        let mut all = BTreeMap::new();
        for (name, bytes) in load(&database).map_err(|error| failed(error.into()))? {
            let record = postcard::from_bytes(&bytes).map_err(|source| RecordsError::Damaged {
                path: path.to_owned(),
                name: name.clone(),
                source,
            })?;
            all.insert(name, record);
        }
        Ok(Self {
            path: path.to_owned(),
            database,
            writing: Mutex::default(),
            all: RwLock::new(all),
        })
    }

    /// What there is now, by name.
    pub(crate) fn all(&self) -> RwLockReadGuard<'_, BTreeMap<String, R>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides on what there is and writes the record of this name, or removes it. What was decided holds for readers once it
    /// is on the disk.
    pub(crate) fn change<E: From<RecordsError>>(
        &self,
        name: &str,
        decide: impl FnOnce(&BTreeMap<String, R>) -> Result<Option<R>, E>,
    ) -> Result<(), E> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let record = decide(&self.all())?;
        if record.is_none() && !self.all().contains_key(name) {
            return Ok(());
        }
        write(&self.database, name, record.as_ref()).map_err(|source| RecordsError::Write {
            path: self.path.clone(),
            source: source.into(),
        })?;
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        match record {
            Some(record) => all.insert(name.to_owned(), record),
            None => all.remove(name),
        };
        Ok(())
    }
}

/// Opens the file or makes it, for its owner only, and so that its name survives too.
fn open_file(path: &Path) -> io::Result<File> {
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

fn load(database: &Database) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut records = Vec::new();
    {
        let table = transaction.open_table(RECORDS)?;
        for record in table.iter()? {
            let (name, bytes) = record?;
            records.push((name.value().to_owned(), bytes.value().to_vec()));
        }
    }
    transaction.commit()?;
    Ok(records)
}

fn write<R: Serialize>(
    database: &Database,
    name: &str,
    record: Option<&R>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(RECORDS)?;
        match record {
            Some(record) => {
                let bytes = postcard::to_stdvec(record).expect("records are plain data");
                table.insert(name, bytes.as_slice())?;
            }
            None => {
                table.remove(name)?;
            }
        }
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.redb");
        {
            let records = Records::<u32>::open(&path).unwrap();
            let put = |name, value| {
                records
                    .change(name, |_| Ok::<_, RecordsError>(value))
                    .unwrap();
            };
            put("a", Some(1));
            put("b", Some(2));
            put("a", None);
            put("c", None);
            assert!(matches!(
                Records::<u32>::open(&path),
                Err(RecordsError::InUse(_))
            ));
        }
        let records = Records::<u32>::open(&path).unwrap();
        let all: Vec<_> = records.all().clone().into_iter().collect();
        assert_eq!(all, [("b".to_owned(), 2)]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
