//! A copy of a store of one moment, made while it is written to.

use std::path::Path;

use super::{Order, RedbSettings, RedbStore, Snapshot, Store, StoreError};

/// Records that are written together.
const BATCH: usize = 16_384;
/// After all keys.
const END: [u8; 64] = [0xff; 64];

/// Writes all that a snapshot holds into a new file, which is as good as the one that was looked at.
pub fn copy(from: &dyn Snapshot, path: &Path, settings: RedbSettings) -> Result<(), StoreError> {
    let to = RedbStore::open_with(path, settings)?;
    let mut next = Vec::new();
    loop {
        let some = from.scan(&next, &END, Order::Ascending, BATCH)?;
        let Some((last, _)) = some.last() else {
            return Ok(());
        };
        next.clone_from(last);
        // the smallest key after it
        next.push(0);
        let records = some.into_iter().map(|(key, value)| (key, Some(value)));
        to.commit(records.collect())?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Batch;
    use super::*;

    #[test]
    fn all_records_are_copied_and_those_that_come_later_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let store = RedbStore::open(&one).unwrap();
        let some = |numbers: std::ops::Range<u32>| {
            let records = numbers.map(|number| (number.to_be_bytes().to_vec(), Some(vec![7; 9])));
            records.collect::<Batch>()
        };
        store.commit(some(0..20_000)).unwrap();
        let snapshot = store.snapshot().unwrap();
        store.commit(some(20_000..20_001)).unwrap();
        copy(&*snapshot, &other, RedbSettings::WALLET).unwrap();
        let copied = RedbStore::open(&other).unwrap().snapshot().unwrap();
        let all = |from: &dyn Snapshot| {
            from.scan(&[], &[0xff; 5], Order::Ascending, usize::MAX)
                .unwrap()
        };
        assert_eq!(all(&*copied).len(), 20_000);
        assert_eq!(all(&*copied), all(&*snapshot));
    }
}
