//! `NNNNNN.sst` or `NNNNNN.ldb`: an immutable table, created whole and some day unlinked, never
//! changed in between. That is what lets a backup hard-link it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use super::log::{Record, frame, unframe};

const MAGIC: &[u8; 8] = b"MOCKTBL1";
/// Lowest and highest height, length of the records, length of the filler, hash of all before.
const FOOTER_LEN: u64 = 4 * 8 + 32;
/// Filler is written and read in pieces of this many bytes.
const PIECE: usize = 256 << 10;

/// What the manifest says about a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableInfo {
    /// The number in its file name.
    pub(crate) number: u64,
    /// The lowest height in it; 0 in a table of filler only.
    pub(crate) low: u64,
    /// The highest height in it; 0 in a table of filler only.
    pub(crate) high: u64,
    /// Size of the file in bytes.
    pub(crate) size: u64,
    /// How often its records have been merged.
    pub(crate) level: u8,
}

/// What is wrong with a table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not what the manifest names.
    #[error("{0}")]
    Damaged(String),
}

/// Writes a table of `records` (contiguous, may be empty) and enough filler to reach about
/// `size` bytes, synced. Returns its exact size.
pub(crate) fn write(path: &Path, number: u64, records: &[Record], size: u64) -> io::Result<u64> {
    let mut head = MAGIC.to_vec();
    for (height, bytes) in records {
        frame(*height, bytes, &mut head);
    }
    let records_len = (head.len() - MAGIC.len()) as u64;
    let filler_len = size.saturating_sub(head.len() as u64 + FOOTER_LEN);

    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    let mut out = BufWriter::new(file);
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        out.write_all(bytes)
    };
    put(&head)?;
    let mut filler = blake3::Hasher::new_derive_key("mocknode filler")
        .update(&number.to_le_bytes())
        .finalize_xof();
    let mut left = filler_len;
    let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
    while left > 0 {
        let now = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        filler.fill(&mut piece[..now]);
        put(&piece[..now])?;
        left -= now as u64;
    }
    let (low, high) = bounds(records);
    for number in [low, high, records_len, filler_len] {
        put(&number.to_le_bytes())?;
    }
    let hash = hasher.finalize();
    out.write_all(hash.as_bytes())?;
    out.into_inner()?.sync_data()?;
    Ok(head.len() as u64 + filler_len + FOOTER_LEN)
}

/// The lowest and highest height of `records`, which are in order.
pub(crate) fn bounds(records: &[Record]) -> (u64, u64) {
    match (records.first(), records.last()) {
        (Some(first), Some(last)) => (first.0, last.0),
        _ => (0, 0),
    }
}

/// Checks that the table at `path` is the one the manifest names; with `deep`, every byte.
pub(crate) fn verify(path: &Path, info: &TableInfo, deep: bool) -> Result<(), TableError> {
    let mut file = File::open(path)?;
    let actual = file.metadata()?.len();
    let damaged = |what: String| Err(TableError::Damaged(what));
    if actual != info.size {
        return damaged(format!("has {actual} bytes instead of {}", info.size));
    }
    if !deep {
        return Ok(());
    }
    let mut hasher = blake3::Hasher::new();
    let mut left = info.size - 32;
    let mut piece = vec![0; PIECE];
    let mut head = Vec::new();
    while left > 0 {
        let now = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        file.read_exact(&mut piece[..now])?;
        hasher.update(&piece[..now]);
        if head.is_empty() {
            head.extend_from_slice(&piece[..now.min(MAGIC.len())]);
        }
        left -= now as u64;
    }
    let mut hash = [0; 32];
    file.read_exact(&mut hash)?;
    if hasher.finalize() != hash || head != MAGIC {
        return damaged("does not match its checksum".into());
    }
    Ok(())
}

/// Reads the records of the table at `path`.
pub(crate) fn read(path: &Path, info: &TableInfo) -> Result<Vec<Record>, TableError> {
    let mut magic = [0; MAGIC.len()];
    let mut file = File::open(path)?;
    file.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(TableError::Damaged("is not a table".into()));
    }
    let expected = if info.low == 0 {
        0
    } else {
        info.high - info.low + 1
    };
    let mut records = Vec::new();
    let mut bytes = Vec::new();
    let mut at = 0;
    let mut ended = false;
    while (records.len() as u64) < expected {
        if let Some((record, len)) = unframe(&bytes[at..]) {
            records.push(record);
            at += len;
        } else if ended {
            return Err(TableError::Damaged(format!(
                "ends after {} of {expected} records",
                records.len()
            )));
        } else {
            bytes.drain(..at);
            at = 0;
            ended = (&mut file).take(PIECE as u64).read_to_end(&mut bytes)? == 0;
        }
    }
    if bounds(&records) != (info.low, info.high) {
        return Err(TableError::Damaged(
            "holds other heights than the manifest says".into(),
        ));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(heights: std::ops::RangeInclusive<u64>) -> Vec<Record> {
        heights
            .map(|h| (h, vec![u8::try_from(h).unwrap(); 300]))
            .collect()
    }

    fn info(records: &[Record], size: u64) -> TableInfo {
        let (low, high) = bounds(records);
        TableInfo {
            number: 7,
            low,
            high,
            size,
            level: 0,
        }
    }

    #[test]
    fn a_table_is_read_back_and_its_damage_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000007.sst");
        let records = records(5..=9);
        let size = write(&path, 7, &records, 600_000).unwrap();
        assert_eq!(size, 600_000);
        let info = info(&records, size);
        verify(&path, &info, true).unwrap();
        assert_eq!(read(&path, &info).unwrap(), records);

        let mut bytes = std::fs::read(&path).unwrap();
        bytes[400_000] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        verify(&path, &info, false).unwrap();
        assert!(verify(&path, &info, true).is_err());
        bytes[100] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(read(&path, &info).is_err());
        std::fs::write(&path, &bytes[..599_999]).unwrap();
        assert!(verify(&path, &info, false).is_err());
    }

    #[test]
    fn a_table_may_be_smaller_than_asked_or_hold_only_filler() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000007.ldb");
        let some = records(1..=3);
        let size = write(&path, 7, &some, 0).unwrap();
        verify(&path, &info(&some, size), true).unwrap();
        let size = write(&path, 7, &[], 5_000).unwrap();
        assert_eq!(size, 5_000);
        verify(&path, &info(&[], size), true).unwrap();
        assert!(read(&path, &info(&[], size)).unwrap().is_empty());
    }
}
