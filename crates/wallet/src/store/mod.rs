//! Where the wallet keeps what it must not lose: an ordered map of bytes to bytes.
//!
//! Reading goes through a [`Snapshot`], which does not change while it is held. Writing is one [`Batch`] at a time,
//! which after [`Store::commit`] is there whole, also after a loss of power, or not at all. Everything the wallet
//! decides is decided on a snapshot and written as one batch; that is its only commit point.

mod copy;
mod draft;
mod memory;
mod redb;

use std::{collections::BTreeMap, path::PathBuf};

pub use self::{
    copy::copy,
    memory::MemoryStore,
    redb::{RedbSettings, RedbStore},
};
pub(crate) use draft::Draft;

/// Records that [`pages`] reads at once.
const PAGE_RECORDS: usize = 256;

/// A record: its key and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// What a batch does to one key: sets its value, or removes it (`None`).
pub type Change = Option<Vec<u8>>;

/// Changes that are made together, by key.
pub type Batch = BTreeMap<Vec<u8>, Change>;

/// Why a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another store of this one, has the file open.
    #[error("{} is in use", .0.display())]
    InUse(PathBuf),
    /// The file could not be opened or made.
    #[error("could not open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database or the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is in the file is not what was written.
    #[error("{} is damaged: {what}; {remedy}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Reading failed.
    #[error("could not read from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Writing failed; nothing of the batch is there.
    #[error("could not write to {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// In which order records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the smallest key on.
    Ascending,
    /// From the greatest key on.
    Descending,
}

/// An ordered map of bytes that survives.
pub trait Store: Send + Sync {
    /// What is there now.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Makes all changes of the batch, durably, or none.
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;
}

/// The contents of a store at one instant.
pub trait Snapshot {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` records with `from` ≤ key < `to`, those that come first in `order`.
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        order: Order,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError>;
}

/// Records whose keys begin with `prefix`, read page by page while they are asked for.
pub(crate) fn pages<'s>(snapshot: &'s dyn Snapshot, prefix: &[u8], order: Order) -> Pages<'s> {
    Pages {
        snapshot,
        from: prefix.to_vec(),
        to: after_prefix(prefix),
        order,
        page: Vec::new().into_iter(),
        more: true,
    }
}

/// See [`pages`].
pub(crate) struct Pages<'s> {
    snapshot: &'s dyn Snapshot,
    from: Vec<u8>,
    to: Vec<u8>,
    order: Order,
    page: std::vec::IntoIter<Record>,
    more: bool,
}

impl Iterator for Pages<'_> {
    type Item = Result<Record, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.as_slice().is_empty() && self.more {
            let page = match self
                .snapshot
                .scan(&self.from, &self.to, self.order, PAGE_RECORDS)
            {
                Ok(page) => page,
                Err(error) => {
                    self.more = false;
                    return Some(Err(error));
                }
            };
            self.more = page.len() == PAGE_RECORDS;
            if let Some((last, _)) = page.last() {
                match self.order {
                    Order::Ascending => self.from = [last.as_slice(), &[0]].concat(),
                    Order::Descending => self.to.clone_from(last),
                }
            }
            self.page = page.into_iter();
        }
        self.page.next().map(Ok)
    }
}

/// The smallest key greater than every key that begins with `prefix`, which is not all `ff`.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(store: &dyn Store) {
        let put = |key: &[u8], value: &[u8]| (key.to_vec(), Some(value.to_vec()));
        let batch: Batch = (0..600_u16)
            .map(|n| {
                put(
                    &[&[7], n.to_be_bytes().as_slice()].concat(),
                    &n.to_le_bytes(),
                )
            })
            .chain([put(&[6, 0xff], b"before"), put(&[8], b"after")])
            .collect();
        store.commit(batch).unwrap();

        let before = store.snapshot().unwrap();
        let numbers = |snapshot: &dyn Snapshot, order| -> Vec<u16> {
            pages(snapshot, &[7], order)
                .map(|record| {
                    let value = record.unwrap().1;
                    u16::from_le_bytes(value.try_into().unwrap())
                })
                .collect()
        };
        assert_eq!(
            numbers(&*before, Order::Ascending),
            (0..600).collect::<Vec<_>>()
        );
        assert_eq!(
            numbers(&*before, Order::Descending),
            (0..600).rev().collect::<Vec<_>>()
        );
        assert_eq!(before.get(&[8]).unwrap().unwrap(), b"after");
        assert_eq!(before.get(&[9]).unwrap(), None);
        let some = before
            .scan(&[7, 0, 3], &[7, 0, 9], Order::Descending, 2)
            .unwrap();
        assert_eq!(
            some.iter().map(|(key, _)| key[2]).collect::<Vec<_>>(),
            [8, 7]
        );
        assert!(
            before
                .scan(&[8], &[7], Order::Ascending, 9)
                .unwrap()
                .is_empty()
        );

        store
            .commit(Batch::from([(vec![8], None), put(&[7, 0, 0], &[1, 1])]))
            .unwrap();
        assert_eq!(
            before.get(&[8]).unwrap().unwrap(),
            b"after",
            "a snapshot does not change"
        );
        let after = store.snapshot().unwrap();
        assert_eq!(after.get(&[8]).unwrap(), None);
        assert_eq!(after.get(&[7, 0, 0]).unwrap().unwrap(), [1, 1]);
    }

    #[test]
    fn memory_is_a_store() {
        suite(&MemoryStore::default());
    }

    #[test]
    fn redb_is_a_store_that_survives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wallet.redb");
        suite(&RedbStore::open(&path).unwrap());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "it is nobody else's business");
        }
        let again = RedbStore::open(&path).unwrap();
        let snapshot = again.snapshot().unwrap();
        assert_eq!(snapshot.get(&[7, 0, 0]).unwrap().unwrap(), [1, 1]);
        assert!(matches!(
            RedbStore::open(&path).err(),
            Some(StoreError::InUse(_))
        ));
    }

    #[test]
    fn a_prefix_ends_before_the_next() {
        assert_eq!(after_prefix(&[1, 2]), [1, 3]);
        assert_eq!(after_prefix(&[1, 0xff]), [2]);
    }
}
