//! Reading the history back, from a number on, while it is being written and rotated.
//!
//! The reader keeps its file open. When that was put aside, it reads it to its end first and then
//! goes on with the new one; numbers it has already given it never gives again. So it misses
//! nothing but what was rotated away before it came to it, and holds one batch at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::event::{Event, Record};
use super::history::{FILE, OLD_FILE, seq_of};
use super::time::Time;

/// How much is read at a time.
const CHUNK_BYTES: usize = 16 << 10;

/// A line longer than this is no record; it is skipped. Records have a quarter of that at most.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Which records to keep. The default keeps all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only records with a number above this one.
    pub after: u64,
    /// Only records of this instant or later.
    pub from: Option<Time>,
    /// Only these kinds; all if empty. `upgrade` stands for every kind that begins with it.
    pub kinds: Vec<String>,
}

impl Filter {
    /// Does the filter keep this record?
    pub fn keeps(&self, record: &Record) -> bool {
        record.seq > self.after
            && self.from.is_none_or(|from| record.time >= from)
            && (self.kinds.is_empty() || self.keeps_kind(&record.event))
    }

    fn keeps_kind(&self, event: &Event) -> bool {
        self.kinds.iter().any(|k| event.kind().starts_with(k))
    }
}

/// A place in the history.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    last_seq: u64,
    /// The file being read, then those to read next.
    files: VecDeque<File>,
    offset: u64,
    /// A line whose end is not there yet.
    begun: Vec<u8>,
    /// The line in `begun` is too long to be a record.
    skipping: bool,
}

impl Reader {
    /// Before the first record in `dir` with a number above `after`. There may be no history yet.
    pub fn new(dir: &Path, after: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            last_seq: after,
            files: VecDeque::new(),
            offset: 0,
            begun: Vec::new(),
            skipping: false,
        }
    }

    /// The next lines, at most about `max_bytes` of them; none if there are no more for now.
    ///
    /// Lines that hold no record are skipped.
    pub fn next_lines(&mut self, max_bytes: usize) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        while bytes < max_bytes {
            let chunk = self.next_chunk()?;
            if chunk.is_empty() {
                break;
            }
            for piece in chunk.split_inclusive(|b| *b == b'\n') {
                let Some(line) = self.join(piece) else {
                    continue;
                };
                let Some(seq) = seq_of(&line).filter(|seq| *seq > self.last_seq) else {
                    continue;
                };
                if let Ok(text) = String::from_utf8(line) {
                    self.last_seq = seq;
                    bytes += text.len();
                    lines.push(text);
                }
            }
        }
        Ok(lines)
    }

    /// The next records that the filter keeps, at most about `max_bytes` of them; none if there
    /// are no more for now.
    pub fn next_records(&mut self, max_bytes: usize, filter: &Filter) -> io::Result<Vec<Record>> {
        loop {
            let lines = self.next_lines(max_bytes)?;
            let at_end = lines.is_empty();
            let records: Vec<Record> = lines
                .iter()
                .filter_map(|line| serde_json::from_str(line).ok())
                .filter(|record| filter.keeps(record))
                .collect();
            if at_end || !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// The line that ends with this piece, without its end.
    fn join(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        let (text, ends) = match piece.split_last() {
            Some((b'\n', text)) => (text, true),
            _ => (piece, false),
        };
        if self.begun.len() + text.len() > MAX_LINE_BYTES {
            self.skipping = true;
            self.begun = Vec::new();
        }
        if !self.skipping {
            self.begun.extend_from_slice(text);
        }
        if !ends {
            return None;
        }
        let line = std::mem::take(&mut self.begun);
        (!std::mem::take(&mut self.skipping)).then_some(line)
    }

    fn next_chunk(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(file) = self.files.front_mut() {
                if file.metadata()?.len() < self.offset {
                    // A torn line that was already read was cut off.
                    self.restart()?;
                    continue;
                }
                let mut chunk = vec![0; CHUNK_BYTES];
                let n = match file.read(&mut chunk) {
                    Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                    other => other?,
                };
                if n > 0 {
                    self.offset += n as u64;
                    chunk.truncate(n);
                    return Ok(chunk);
                }
            }
            if !self.advance()? {
                return Ok(Vec::new());
            }
        }
    }

    /// Goes on to the next file, if there is one.
    fn advance(&mut self) -> io::Result<bool> {
        if self.files.len() < 2 {
            // The new one first: if it is put aside meanwhile, it is met twice and not missed.
            let new = open(&self.dir.join(FILE))?;
            let old = open(&self.dir.join(OLD_FILE))?;
            let here = self.files.front().map(identity).transpose()?;
            let mut found: Vec<File> = Vec::new();
            for file in [old, new].into_iter().flatten() {
                let this = Some(identity(&file)?);
                if this == here {
                    // What stands before the file being read is behind us.
                    found.clear();
                } else {
                    found.push(file);
                }
            }
            let any = !found.is_empty();
            self.files.extend(found);
            // The file being read may have grown before it was put aside: once more to its end.
            return Ok(any);
        }
        self.files.pop_front();
        self.offset = 0;
        self.begun.clear();
        self.skipping = false;
        Ok(true)
    }

    fn restart(&mut self) -> io::Result<()> {
        use std::io::Seek;
        if let Some(file) = self.files.front_mut() {
            file.rewind()?;
        }
        self.offset = 0;
        self.begun.clear();
        self.skipping = false;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let meta = file.metadata()?;
    Ok((meta.dev(), meta.ino()))
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
