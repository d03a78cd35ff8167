//! The state as it is while a block is applied: what it was, and over it what the block has changed so far.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::changes::Changes;
use super::record::{Key, Record};
use super::{State, StateError};

/// A record before the block and now.
struct Slot {
    before: Option<Vec<u8>>,
    now: Option<Vec<u8>>,
}

pub(super) struct Overlay<'s, S> {
    base: &'s S,
    slots: BTreeMap<Vec<u8>, Slot>,
}

impl<'s, S: State> Overlay<'s, S> {
    pub(super) fn new(base: &'s S) -> Self {
        let slots = BTreeMap::new();
        Self { base, slots }
    }

    fn slot(&mut self, key: Vec<u8>) -> Result<&mut Slot, StateError<S::Error>> {
        Ok(match self.slots.entry(key) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(place) => {
                let before = self.base.get(place.key()).map_err(StateError::Read)?;
                let now = before.clone();
                place.insert(Slot { before, now })
            }
        })
    }

    /// Whether the record was touched in this block.
    pub(super) fn is_touched(&self, key: &Key<'_>) -> bool {
        self.slots.contains_key(&key.encode())
    }

    pub(super) fn get<R: Record>(
        &mut self,
        key: &Key<'_>,
    ) -> Result<Option<R>, StateError<S::Error>> {
        let slot = self.slot(key.encode())?;
        let record = slot.now.as_deref().map(R::decode).transpose();
        record.map_err(|source| StateError::Damaged { source })
    }

    pub(super) fn put<R: Record>(
        &mut self,
        key: &Key<'_>,
        record: &R,
    ) -> Result<(), StateError<S::Error>> {
        self.slot(key.encode())?.now = Some(record.encode());
        Ok(())
    }

    /// Puts a record whose key cannot have been there before.
    pub(super) fn put_new<R: Record>(&mut self, key: &Key<'_>, record: &R) {
        let now = Some(record.encode());
        self.slots
            .entry(key.encode())
            .or_insert(Slot {
                before: None,
                now: None,
            })
            .now = now;
    }

    pub(super) fn remove(&mut self, key: &Key<'_>) -> Result<(), StateError<S::Error>> {
        self.slot(key.encode())?.now = None;
        Ok(())
    }

    /// Writes a number, or removes it when it is 0.
    pub(super) fn put_number(
        &mut self,
        key: &Key<'_>,
        number: u64,
    ) -> Result<(), StateError<S::Error>> {
        self.slot(key.encode())?.now = (number > 0).then(|| number.encode());
        Ok(())
    }

    pub(super) fn number(&mut self, key: &Key<'_>) -> Result<u64, StateError<S::Error>> {
        Ok(self.get(key)?.unwrap_or(0))
    }

    /// Writes what a migration wants written, whatever it is.
    pub(super) fn merge(&mut self, changes: &Changes) -> Result<(), StateError<S::Error>> {
        for (key, record) in &changes.0 {
            self.slot(key.clone())?.now.clone_from(record);
        }
        Ok(())
    }

    /// The numbers in a space, by the rest of their keys.
    pub(super) fn numbers(
        &self,
        space: u8,
    ) -> Result<BTreeMap<Vec<u8>, u64>, StateError<S::Error>> {
        let mut records = self.base.scan(&[space]).map_err(StateError::Read)?;
        for (key, slot) in self.slots.range(vec![space]..vec![space + 1]) {
            match &slot.now {
                Some(record) => records.insert(key.clone(), record.clone()),
                None => records.remove(key),
            };
        }
        let mut numbers = BTreeMap::new();
        for (key, record) in records {
            let number = u64::decode(&record).map_err(|source| StateError::Damaged { source })?;
            numbers.insert(key[1..].to_vec(), number);
        }
        Ok(numbers)
    }

    /// What is not as it was before.
    pub(super) fn finish(self) -> Changes {
        let changed = self.slots.into_iter();
        let changed = changed.filter(|(_, slot)| slot.before != slot.now);
        Changes(changed.map(|(key, slot)| (key, slot.now)).collect())
    }
}
