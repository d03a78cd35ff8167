//! Changes in the making, seen on top of the snapshot they are decided on.

use serde::{Serialize, de::DeserializeOwned};

use super::{Batch, Change, Snapshot};
use crate::{error::WalletError, layout};

/// A snapshot with changes.
pub(crate) struct Draft<'s> {
    snapshot: &'s dyn Snapshot,
    changes: Batch,
}

impl<'s> Draft<'s> {
    pub(crate) fn new(snapshot: &'s dyn Snapshot) -> Self {
        Self {
            snapshot,
            changes: Batch::new(),
        }
    }

    /// What is there without the changes.
    pub(crate) fn snapshot(&self) -> &'s dyn Snapshot {
        self.snapshot
    }

    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool, WalletError> {
        Ok(match self.changes.get(key) {
            Some(change) => change.is_some(),
            None => self.snapshot.get(key)?.is_some(),
        })
    }

    /// The value of a key in the wallet's encoding.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, WalletError> {
        let stored;
        let value = if let Some(change) = self.changes.get(key) {
            change.as_deref()
        } else {
            stored = self.snapshot.get(key)?;
            stored.as_deref()
        };
        value.map(|value| layout::decode(key, value)).transpose()
    }

    pub(crate) fn put<T: Serialize>(&mut self, key: Vec<u8>, value: &T) {
        self.set(key, Some(layout::encode(value)));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.set(key, None);
    }

    pub(crate) fn set(&mut self, key: Vec<u8>, change: Change) {
        self.changes.insert(key, change);
    }

    pub(crate) fn into_batch(self) -> Batch {
        self.changes
    }
}
