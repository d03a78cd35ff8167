//! A store that is lost with the process, for tests and for wallets without a home.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Batch, Order, Record, Snapshot, Store, StoreError};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store in memory.
///
/// A clone is the same store, as a file that is opened again.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<RwLock<Arc<Map>>>);

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(MemorySnapshot(Arc::clone(&map))))
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let map = Arc::make_mut(&mut map);
        for (key, change) in batch {
            match change {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }
}

struct MemorySnapshot(Arc<Map>);

impl Snapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
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
        let records = self
            .0
            .range(from.to_vec()..to.to_vec())
            .map(|(key, value)| (key.clone(), value.clone()));
        Ok(match order {
            Order::Ascending => records.take(limit).collect(),
            Order::Descending => records.rev().take(limit).collect(),
        })
    }
}
