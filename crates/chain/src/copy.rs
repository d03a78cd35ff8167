//! Copies of stores of one moment, made while they are written to.
//!
//! A read transaction holds the moment; what it sees is written into a new file, which is as good as the one that is
//! copied and has no free space in it.

use std::fs::File;
use std::path::Path;

use redb::{
    Database, Key, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction,
};

use crate::chain::Chain;
use crate::error::ChainError;
use crate::store::{
    BODIES, CERTIFICATES, HEADS, HEIGHTS, META, STATE, Store, TRANSACTIONS, UNSPENT, VOTES, failed,
    guarded,
};

impl Chain {
    /// Writes a copy of the store into a new file; the height of its last block.
    pub fn copy_to(&self, path: &Path) -> Result<u64, ChainError> {
        let read = self.read()?;
        let height = read.tip().height;
        copy(&self.shared.store, path, read.of(), |from, to| {
            table(from, to, META)?;
            table(from, to, UNSPENT)?;
            table(from, to, STATE)?;
            table(from, to, HEADS)?;
            table(from, to, BODIES)?;
            table(from, to, CERTIFICATES)?;
            table(from, to, HEIGHTS)?;
            table(from, to, VOTES)?;
            table(from, to, TRANSACTIONS)
        })?;
        Ok(height)
    }
}

/// Makes a file at `path` of what `tables` copies.
pub(crate) fn copy(
    store: &Store,
    path: &Path,
    from: &ReadTransaction,
    tables: impl FnOnce(&ReadTransaction, &WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), ChainError> {
    guarded(store.path(), || {
        let written = || -> Result<(), redb::Error> {
            let database = Database::create(path)?;
            let mut to = database.begin_write()?;
            to.set_quick_repair(true);
            tables(from, &to)?;
            Ok(to.commit()?)
        };
        written().map_err(|error| failed(path, "copying the store into", error))?;
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|source| ChainError::File {
            doing: "syncing",
            path: path.to_owned(),
            source,
        })
    })
}

/// Copies one table, if there is one.
pub(crate) fn table<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let source = match from.open_table(definition) {
        Ok(source) => source,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut target = to.open_table(definition)?;
    for entry in source.iter()? {
        let (key, value) = entry?;
        target.insert(key.value(), value.value())?;
    }
    Ok(())
}
