//! `cs.wal/wal`, the log of consensus: what it did, one line each.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::data::{DataError, io_error};

/// The log of consensus is started anew at about this many bytes; one old one is kept.
const MAX_WAL: u64 = 1 << 20;
/// What ends a block in the log of consensus.
const END_HEIGHT: &str = "#ENDHEIGHT: ";

/// The log of consensus.
pub(crate) struct Wal {
    path: PathBuf,
    file: File,
    size: u64,
    /// The last block whose end it tells.
    pub(crate) ended: Option<u64>,
}

impl Wal {
    pub(crate) fn open(dir: &Path) -> Result<Self, DataError> {
        fs::create_dir_all(dir).map_err(io_error(dir))?;
        let path = dir.join("wal");
        let mut file = append_to(&path).map_err(io_error(&path))?;
        let mut text = String::new();
        let read = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| (&mut file).take(2 * MAX_WAL).read_to_string(&mut text));
        read.map_err(io_error(&path))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(io_error(&path))?;
        }
        let ends = text[..whole]
            .lines()
            .filter_map(|line| line.strip_prefix(END_HEIGHT));
        let ended = ends.filter_map(|height| height.parse().ok()).next_back();
        Ok(Self {
            path,
            file,
            size: whole as u64,
            ended,
        })
    }

    pub(crate) fn write(&mut self, line: &str) -> Result<(), DataError> {
        self.size += line.len() as u64;
        self.file
            .write_all(line.as_bytes())
            .map_err(io_error(&self.path))
    }

    pub(crate) fn end_height(&mut self, height: u64) -> Result<(), DataError> {
        let line = format!("{END_HEIGHT}{height}\n");
        if self.size > MAX_WAL {
            self.rotate().map_err(io_error(&self.path))?;
        }
        self.write(&line)?;
        self.file.sync_data().map_err(io_error(&self.path))
    }

    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.path, self.path.with_extension("000"))?;
        self.file = append_to(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_consensus_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut wal = Wal::open(dir.path()).unwrap();
        let long = "x".repeat(100_000) + "\n";
        for height in 1..=40 {
            wal.write(&long).unwrap();
            wal.end_height(height).unwrap();
        }
        let size = fs::metadata(&wal.path).unwrap().len();
        assert!(size < MAX_WAL + 200_000, "{size}");
        assert!(dir.path().join("wal.000").exists());
        assert_eq!(Wal::open(dir.path()).unwrap().ended, Some(40));
    }
}
