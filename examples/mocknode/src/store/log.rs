//! `NNNNNN.log`: records appended since the last table, each synced before it counts.
//!
//! A record that was cut off by a crash can only be the last one; it is dropped on opening, as
//! `RocksDB` and `LevelDB` do. The same framing is used inside tables.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// The block a record belongs to, and its bytes.
pub(crate) type Record = (u64, Vec<u8>);

/// Height, length, checksum.
const HEADER_LEN: usize = 8 + 4 + 8;

/// A checksum good enough to notice torn writes.
pub(crate) fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    sum
}

/// Appends one framed record to `out`.
pub(crate) fn frame(height: u64, bytes: &[u8], out: &mut Vec<u8>) {
    let len = u32::try_from(bytes.len()).expect("records are far below 4 GiB");
    out.extend_from_slice(&height.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&checksum(bytes));
    out.extend_from_slice(bytes);
}

/// The framed record at the start of `bytes` and its framed length; `None` if it is cut off or
/// its checksum is wrong.
pub(crate) fn unframe(bytes: &[u8]) -> Option<(Record, usize)> {
    let height = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let len = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize;
    let sum = bytes.get(12..HEADER_LEN)?;
    let body = bytes.get(HEADER_LEN..HEADER_LEN.checked_add(len)?)?;
    (checksum(body) == sum).then(|| ((height, body.to_vec()), HEADER_LEN + len))
}

/// A log open for appending.
pub(crate) struct Log {
    file: File,
}

impl Log {
    /// Makes a new, empty log.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)?;
        Ok(Self { file })
    }

    /// Opens a log and reads its records, cutting off a torn one at the end.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Record>)> {
        let mut file = OpenOptions::new().read(true).append(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut records = Vec::new();
        let mut at = 0;
        while let Some((record, len)) = unframe(&bytes[at..]) {
            records.push(record);
            at += len;
        }
        if at < bytes.len() {
            file.set_len(at as u64)?;
        }
        Ok((Self { file }, records))
    }

    /// Appends a record; when this returns, it is on the disk.
    pub(crate) fn append(&mut self, height: u64, bytes: &[u8]) -> io::Result<()> {
        let mut framed = Vec::with_capacity(HEADER_LEN + bytes.len());
        frame(height, bytes, &mut framed);
        self.file.write_all(&framed)?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_record_is_dropped_wherever_it_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000001.log");
        let mut log = Log::create(&path).unwrap();
        log.append(1, b"one").unwrap();
        log.append(2, b"two").unwrap();
        drop(log);
        let whole = std::fs::read(&path).unwrap();
        for cut in whole.len() / 2..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut log, records) = Log::open(&path).unwrap();
            let expected = if cut == whole.len() { 2 } else { 1 };
            assert_eq!(records.len(), expected, "cut at {cut}");
            log.append(3, b"three").unwrap();
            let (_, records) = Log::open(&path).unwrap();
            assert_eq!(records.last().unwrap(), &(3, b"three".to_vec()));
        }
    }
}
