//! A state in memory, for tests and tools.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::changes::Changes;
use super::{State, Tip};

/// Keeps the records in a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryState {
    tip: Tip,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryState {
    /// A state that holds the changes of a genesis, see [`super::Start`].
    pub fn new(changes: &Changes, tip: Tip) -> Self {
        let records = BTreeMap::new();
        let mut state = Self { tip, records };
        state.commit(changes, tip);
        state
    }

    /// Takes over what a block changed.
    pub fn commit(&mut self, changes: &Changes, tip: Tip) {
        for (key, record) in &changes.0 {
            match record {
                Some(record) => self.records.insert(key.clone(), record.clone()),
                None => self.records.remove(key),
            };
        }
        self.tip = tip;
    }

    /// All records, by key.
    pub fn records(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.records
    }
}

impl State for MemoryState {
    type Error = Infallible;

    fn tip(&self) -> Result<Tip, Infallible> {
        Ok(self.tip)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.records.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Infallible> {
        let from = self.records.range(prefix.to_vec()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found
            .map(|(key, record)| (key.clone(), record.clone()))
            .collect())
    }
}
