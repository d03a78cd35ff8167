//! A store shaped like `LevelDB` and `RocksDB`: what matters to whoever copies its directory.
//!
//! It maps contiguous heights to bytes. New records go to a log that is appended to; now and then
//! the log becomes an immutable table; tables are merged into bigger ones and the small ones
//! unlinked; old ones are dropped. `CURRENT` names a manifest, the manifest names the log and the
//! tables. A copy taken while it runs, or one with a file missing, is noticed on opening.
//!
//! A power cut is survived at every point: what is referred to is synced before the reference.
//! Unless it is opened with [`Options::tear_on_kill`]: then the manifest always names a table
//! that only a clean [`Store::close`] writes, as bad stores do, and a kill leaves it torn.

mod files;
mod log;
mod manifest;
mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::files::{
    Found, Kind, check_heights, check_tables, holds_data, list, log_path, new_manifest,
    read_manifest, table_path,
};
use self::log::{Log, Record};
use self::manifest::{Contents, Edit, Manifest};
use self::table::{TableError, TableInfo};
use crate::disk;

/// So many small tables are merged into one.
const MERGE_AT: usize = 4;
/// The level of tables that hold only filler and are never touched again.
const COLD: u8 = u8::MAX;

/// How a store behaves.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Extension of table files: `ldb` or `sst`.
    pub(crate) extension: &'static str,
    /// A log becomes a table after so many records.
    pub(crate) table_every: u64,
    /// Size of a table in bytes; filler makes up for what is missing.
    pub(crate) table_size: u64,
    /// Records that are kept at least.
    pub(crate) keep: u64,
    /// Be a store that only a clean shutdown leaves whole.
    pub(crate) tear_on_kill: bool,
}

/// Why a store could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// A system call failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The files do not belong together.
    #[error("store version mismatch: {} {what}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl StoreError {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// `path` shows that the files do not belong together.
    pub(crate) fn mismatch(path: &Path, what: impl Into<String>) -> Self {
        Self::Mismatch {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    fn table(path: &Path) -> impl Fn(TableError) -> Self {
        move |error| match error {
            TableError::Io(source) => Self::io(path)(source),
            TableError::Damaged(what) => Self::mismatch(path, what),
        }
    }
}

/// An open store. There must be no second one on the same directory.
pub(crate) struct Store {
    dir: PathBuf,
    options: Options,
    contents: Contents,
    manifest: Manifest,
    log: Log,
    /// The records in the log.
    recent: Vec<Record>,
    /// Numbers below this one have been used for files.
    next: u64,
    /// A table the manifest names already and that is not written yet.
    owed: Option<(u64, Vec<Record>)>,
    last: Option<Record>,
}

impl Store {
    /// Opens the store in `dir`, making it if there is none, after checking that all files the
    /// manifest names are there and that heights have no gap; with `deep`, every byte of them.
    pub(crate) fn open(dir: &Path, options: Options, deep: bool) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(StoreError::io(dir))?;
        let found = list(dir, options.extension).map_err(StoreError::io(dir))?;
        let highest = found.iter().map(|file| file.number).max().unwrap_or(0);
        let current = dir.join("CURRENT");
        let (mut contents, known) = match fs::read_to_string(&current) {
            Ok(name) => read_manifest(dir, &current, name.trim_end())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if holds_data(dir, &found).map_err(StoreError::io(dir))? {
                    return Err(StoreError::mismatch(&current, "is missing beside its data"));
                }
                (Contents::default(), None)
            }
            Err(error) => return Err(StoreError::io(&current)(error)),
        };
        let mut next = highest + 1;
        let mut take = || {
            next += 1;
            next - 1
        };
        check_tables(dir, &contents, options.extension, deep)?;
        let (log, recent) = if contents.log == 0 {
            contents.log = take();
            let path = log_path(dir, contents.log);
            (
                Log::create(&path).map_err(StoreError::io(&path))?,
                Vec::new(),
            )
        } else {
            let path = log_path(dir, contents.log);
            Log::open(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => StoreError::mismatch(&path, "is missing"),
                _ => StoreError::io(&path)(error),
            })?
        };
        check_heights(dir, &contents, &recent)?;

        let manifest = match known {
            Some(manifest) => manifest,
            None => new_manifest(dir, take(), &contents)?,
        };
        let mut store = Self {
            dir: dir.to_owned(),
            options,
            contents,
            manifest,
            log,
            recent,
            next,
            owed: None,
            last: None,
        };
        for file in found {
            if !store.uses(&file) {
                let path = dir.join(&file.name);
                fs::remove_file(&path).map_err(StoreError::io(&path))?;
            }
        }
        store.last = store.read_last()?;
        Ok(store)
    }

    /// The highest height in the store; 0 in an empty one.
    pub(crate) fn height(&self) -> u64 {
        self.last.as_ref().map_or(0, |(height, _)| *height)
    }

    /// The lowest height in the store; 0 in an empty one.
    pub(crate) fn base(&self) -> u64 {
        let tables = self.hot().map(|table| table.low).min();
        tables
            .or(self.recent.first().map(|(height, _)| *height))
            .unwrap_or(0)
    }

    /// The record of the highest height.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        self.last.as_ref().map(|(_, bytes)| bytes.as_slice())
    }

    /// The record of `height`.
    pub(crate) fn get(&self, height: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let find = |records: &[Record]| {
            let record = records.iter().find(|(h, _)| *h == height);
            record.map(|(_, bytes)| bytes.clone())
        };
        let owed = self.owed.as_ref().map_or(&[][..], |(_, records)| records);
        if let Some(bytes) = find(&self.recent).or_else(|| find(owed)) {
            return Ok(Some(bytes));
        }
        match self
            .hot()
            .find(|table| (table.low..=table.high).contains(&height))
        {
            Some(info) => Ok(find(&self.read_table(info)?)),
            None => Ok(None),
        }
    }

    /// Adds the record of the next height; when this returns it is on the disk.
    pub(crate) fn append(&mut self, height: u64, bytes: &[u8]) -> Result<(), StoreError> {
        assert!(
            self.last.is_none() || height == self.height() + 1,
            "heights are contiguous"
        );
        let path = log_path(&self.dir, self.contents.log);
        self.log
            .append(height, bytes)
            .map_err(StoreError::io(&path))?;
        self.recent.push((height, bytes.to_vec()));
        self.last = Some((height, bytes.to_vec()));
        if self.options.tear_on_kill {
            // in this order, so that at no moment all tables are there
            let owed = self.owed.take();
            self.promise_table()?;
            self.pay(owed)
        } else if self.recent.len() as u64 >= self.options.table_every {
            self.write_table()?;
            self.merge()?;
            self.prune()
        } else {
            Ok(())
        }
    }

    /// Adds a table of `size` bytes of filler, to make a store as big as a real one.
    pub(crate) fn fill(&mut self, size: u64) -> Result<(), StoreError> {
        let number = self.take_number();
        let mut info = self.write_table_file(number, &[], size)?;
        info.level = COLD;
        self.edit(&Edit {
            add: vec![info],
            ..Edit::default()
        })
    }

    /// Leaves the store whole.
    pub(crate) fn close(mut self) -> Result<(), StoreError> {
        let owed = self.owed.take();
        self.pay(owed)
    }

    fn hot(&self) -> impl Iterator<Item = &TableInfo> {
        self.contents.tables.values().filter(|table| table.low > 0)
    }

    fn uses(&self, file: &Found) -> bool {
        match file.kind {
            Kind::Table => self.contents.tables.contains_key(&file.number),
            Kind::Log => self.contents.log == file.number,
            Kind::Manifest => self.manifest.number == file.number,
        }
    }

    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn table_path(&self, number: u64) -> PathBuf {
        table_path(&self.dir, number, self.options.extension)
    }

    fn read_table(&self, info: &TableInfo) -> Result<Vec<Record>, StoreError> {
        let path = self.table_path(info.number);
        table::read(&path, info).map_err(StoreError::table(&path))
    }

    fn read_last(&self) -> Result<Option<Record>, StoreError> {
        if let Some(record) = self.recent.last() {
            return Ok(Some(record.clone()));
        }
        match self.hot().max_by_key(|table| table.high) {
            Some(info) => Ok(self.read_table(info)?.pop()),
            None => Ok(None),
        }
    }

    fn write_table_file(
        &self,
        number: u64,
        records: &[Record],
        size: u64,
    ) -> Result<TableInfo, StoreError> {
        let path = self.table_path(number);
        let size = table::write(&path, number, records, size)
            .and_then(|size| disk::sync_dir(&self.dir).map(|()| size))
            .map_err(StoreError::io(&path))?;
        let (low, high) = table::bounds(records);
        Ok(TableInfo {
            number,
            low,
            high,
            size,
            level: 0,
        })
    }

    fn edit(&mut self, edit: &Edit) -> Result<(), StoreError> {
        self.manifest
            .append(edit)
            .map_err(StoreError::io(&self.dir))?;
        let gone_log = edit.log.map(|_| log_path(&self.dir, self.contents.log));
        let gone_tables = edit.remove.iter().map(|number| self.table_path(*number));
        let gone: Vec<PathBuf> = gone_tables.chain(gone_log).collect();
        self.contents.apply(edit);
        for path in gone {
            fs::remove_file(&path).map_err(StoreError::io(&path))?;
        }
        if self.manifest.is_long() {
            let old = self.dir.join(manifest::name(self.manifest.number));
            let number = self.take_number();
            self.manifest = new_manifest(&self.dir, number, &self.contents)?;
            fs::remove_file(&old).map_err(StoreError::io(&old))?;
        }
        Ok(())
    }

    /// Makes a new, empty log; the manifest is to be told its number.
    fn new_log(&mut self) -> Result<u64, StoreError> {
        let number = self.take_number();
        let path = log_path(&self.dir, number);
        self.log = Log::create(&path)
            .and_then(|log| disk::sync_dir(&self.dir).map(|()| log))
            .map_err(StoreError::io(&path))?;
        Ok(number)
    }

    /// Turns the log into a table.
    fn write_table(&mut self) -> Result<(), StoreError> {
        let number = self.take_number();
        let info = self.write_table_file(number, &self.recent, self.options.table_size)?;
        let log = Some(self.new_log()?);
        self.recent.clear();
        self.edit(&Edit {
            add: vec![info],
            remove: Vec::new(),
            log,
        })
    }

    /// The unsafe way: names the table first, writes it some other time.
    fn promise_table(&mut self) -> Result<(), StoreError> {
        let number = self.take_number();
        let records = std::mem::take(&mut self.recent);
        let info = self.write_table_file(number, &records, self.options.table_size)?;
        let path = self.table_path(number);
        fs::remove_file(&path).map_err(StoreError::io(&path))?;
        self.owed = Some((number, records));
        let log = Some(self.new_log()?);
        self.edit(&Edit {
            add: vec![info],
            remove: Vec::new(),
            log,
        })
    }

    /// Writes a table that was promised.
    fn pay(&mut self, owed: Option<(u64, Vec<Record>)>) -> Result<(), StoreError> {
        let Some((number, records)) = owed else {
            return Ok(());
        };
        self.write_table_file(number, &records, self.options.table_size)?;
        self.merge()?;
        self.prune()
    }

    /// Merges small tables into one.
    fn merge(&mut self) -> Result<(), StoreError> {
        let owed = self.owed.as_ref().map(|(number, _)| *number);
        let is_small = |table: &&TableInfo| table.level == 0 && Some(table.number) != owed;
        let small: Vec<TableInfo> = self.hot().filter(is_small).cloned().collect();
        if small.len() < MERGE_AT {
            return Ok(());
        }
        let mut records = Vec::new();
        for info in &small {
            records.append(&mut self.read_table(info)?);
        }
        let number = self.take_number();
        let mut info = self.write_table_file(number, &records, self.options.table_size)?;
        info.level = 1;
        self.edit(&Edit {
            add: vec![info],
            remove: small.iter().map(|table| table.number).collect(),
            log: None,
        })
    }

    /// Drops tables whose records need not be kept.
    fn prune(&mut self) -> Result<(), StoreError> {
        let keep_from = self.height().saturating_sub(self.options.keep);
        let old = |table: &&TableInfo| table.level == 1 && table.high < keep_from;
        let remove: Vec<u64> = self.hot().filter(old).map(|table| table.number).collect();
        if remove.is_empty() {
            return Ok(());
        }
        self.edit(&Edit {
            remove,
            ..Edit::default()
        })
    }
}

#[cfg(test)]
mod tests;
