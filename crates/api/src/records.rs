//! A small file of named records: what the API itself has to keep. All of it is in memory too, so that reading never waits.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use baton_wallet::store::{self, Batch, Order, RedbSettings, RedbStore, Store, StoreError};
use serde::{Serialize, de::DeserializeOwned};

/// Memory for pages of the file.
const CACHE_BYTES: usize = 1 << 20;

/// Why a file of records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// It cannot be opened, made, read or written. If it cannot be written nothing has changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in it is not what was written.
    #[error("{} is damaged: its record {name:?}: {source}; {remedy}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The record's name.
        name: String,
        /// What is wrong.
        source: postcard::Error,
        /// What to do.
        remedy: &'static str,
    },
}

/// Records by name, on disk and in memory.
#[derive(Debug)]
pub(crate) struct Records<R> {
    store: RedbStore,
    settings: RedbSettings,
    /// Held while a change is decided and written.
    writing: Mutex<()>,
    all: RwLock<BTreeMap<String, R>>,
}

impl<R: Serialize + DeserializeOwned + Clone> Records<R> {
    /// Opens the file, or makes it. The remedy says what to do when it is damaged.
    pub(crate) fn open(path: &Path, remedy: &'static str) -> Result<Self, RecordsError> {
        let settings = RedbSettings {
            table: "named",
            cache_bytes: CACHE_BYTES,
            remedy,
        };
        let store = RedbStore::open_with(path, settings)?;
        let damaged = |name: &str, source| RecordsError::Damaged {
            path: path.to_owned(),
            name: name.to_owned(),
            source,
            remedy,
        };
        // names are text, in which there is no byte ff
        let records = store
            .snapshot()?
            .scan(&[], &[0xff], Order::Ascending, usize::MAX)?;
        let mut all = BTreeMap::new();
        for (name, bytes) in records {
            let name = String::from_utf8_lossy(&name).into_owned();
            let record = postcard::from_bytes(&bytes).map_err(|source| damaged(&name, source))?;
            all.insert(name, record);
        }
        Ok(Self {
            store,
            settings,
            writing: Mutex::default(),
            all: RwLock::new(all),
        })
    }

    /// What there is now, by name.
    pub(crate) fn all(&self) -> RwLockReadGuard<'_, BTreeMap<String, R>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a copy of the file.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), RecordsError> {
        let now = self.store.snapshot()?;
        Ok(store::copy(&*now, path, self.settings)?)
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
        let bytes = record
            .as_ref()
            .map(|record| postcard::to_stdvec(record).expect("records are plain data"));
        self.store
            .commit(Batch::from([(name.as_bytes().to_vec(), bytes)]))
            .map_err(RecordsError::from)?;
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        match record {
            Some(record) => all.insert(name.to_owned(), record),
            None => all.remove(name),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.redb");
        {
            let records = Records::<u32>::open(&path, "make them anew").unwrap();
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
                Records::<u32>::open(&path, "make them anew"),
                Err(RecordsError::Store(StoreError::InUse(_)))
            ));
        }
        let records = Records::<u32>::open(&path, "make them anew").unwrap();
        let all: Vec<_> = records.all().clone().into_iter().collect();
        assert_eq!(all, [("b".to_owned(), 2)]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_damaged_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.redb");
        let told = || {
            let error = Records::<String>::open(&path, "make them anew").unwrap_err();
            error.to_string()
        };
        std::fs::write(&path, b"").unwrap();
        let empty = told();
        assert!(
            empty.contains("some.redb is damaged") && empty.ends_with("; make them anew"),
            "{empty}"
        );
        std::fs::remove_file(&path).unwrap();
        let records = Records::<u64>::open(&path, "make them anew").unwrap();
        records
            .change("long", |_| Ok::<_, RecordsError>(Some(u64::MAX)))
            .unwrap();
        drop(records);
        // a number is no text
        let other = told();
        assert!(
            other.contains("some.redb is damaged: its record \"long\"")
                && other.ends_with("; make them anew"),
            "{other}"
        );
    }
}
