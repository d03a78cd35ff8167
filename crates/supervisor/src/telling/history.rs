//! The history: every event as a line of JSON in `cosmovisor/.baton/events.jsonl`.
//!
//! Append-only, so a crash can only tear the last line, and the next writer cuts that off. At a
//! bound the file becomes `events.jsonl.1` and a new one begins: two files, never more. A disk
//! that is full or hangs must not hold up the supervisor, so a thread of its own writes, from a
//! bounded queue. Lines are synced once a flurry of events is over: a power cut may cost the last
//! second of history, but syncing never competes with an upgrade's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

use super::outlet::{Line, Losses};

/// The file's name.
pub const FILE: &str = "events.jsonl";
/// The name of the one older file.
pub const OLD_FILE: &str = "events.jsonl.1";

/// How long nothing must happen before what was written is synced.
const QUIET: Duration = Duration::from_secs(1);

/// How much of the file's end is read to find its last record; several times the longest one.
const TAIL_BYTES: u64 = 4 * super::event::MAX_RECORD_BYTES as u64;

/// What every line has, whatever its kind.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) seq: u64,
}

/// The writing end of the history.
#[derive(Debug)]
pub struct History {
    dir: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
    last_seq: u64,
}

impl History {
    /// Opens the history in `dir`, or begins one; a file over `max_bytes` is put aside.
    pub fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        let (file, bytes, last) = open_file(&dir.join(FILE))?;
        let last_seq = match last {
            Some(seq) => seq,
            // The crash was between putting the full file aside and the first line of the new.
            None => last_seq_of(&dir.join(OLD_FILE))?.unwrap_or(0),
        };
        Ok(Self {
            dir: dir.to_owned(),
            file,
            bytes,
            max_bytes,
            last_seq,
        })
    }

    /// The number of the last record; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Appends a record's JSON.
    pub fn append(&mut self, json: &str) -> io::Result<()> {
        self.follow_the_name()?;
        if self.bytes > 0 && self.bytes + json.len() as u64 >= self.max_bytes {
            self.rotate()?;
        }
        let line = format!("{json}\n");
        if let Err(e) = self.file.write_all(line.as_bytes()) {
            // Half a line would spoil the next one.
            let _ = self.file.set_len(self.bytes);
            return Err(e);
        }
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Makes what was appended survive a power cut.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Someone may have moved or removed the file: then a new one takes its name.
    fn follow_the_name(&mut self) -> io::Result<()> {
        let path = self.dir.join(FILE);
        let ours = self.file.metadata()?;
        match fs::metadata(&path) {
            Ok(there) if there.ino() == ours.ino() && there.dev() == ours.dev() => return Ok(()),
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        (self.file, self.bytes, _) = open_file(&path)?;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = self.dir.join(FILE);
        self.file.sync_data()?;
        fs::rename(&path, self.dir.join(OLD_FILE))?;
        (self.file, self.bytes, _) = open_file(&path)?;
        Ok(())
    }
}

/// Opens a file of records to append to: the file, its size and its last record's number. What
/// follows the last whole line is cut off, unless it is a record that lacks only its line's end.
fn open_file(path: &Path) -> io::Result<(File, u64, Option<u64>)> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let size = file.metadata()?.len();
    let tail = read_tail(&mut file, size)?;
    let whole = tail.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let torn = tail.len() - whole;
    let mut bytes = size;
    if torn > 0 {
        let is_record = seq_of(&tail[whole..]).is_some();
        let has_no_start = whole == 0 && torn as u64 == TAIL_BYTES;
        if is_record || has_no_start {
            file.write_all(b"\n")?;
            bytes += 1;
        } else {
            bytes -= torn as u64;
            file.set_len(bytes)?;
        }
    }
    Ok((file, bytes, last_seq_in(&tail)))
}

fn last_seq_of(path: &Path) -> io::Result<Option<u64>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let size = file.metadata()?.len();
    read_tail(&mut file, size).map(|tail| last_seq_in(&tail))
}

fn read_tail(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    Ok(tail)
}

fn last_seq_in(tail: &[u8]) -> Option<u64> {
    tail.rsplit(|b| *b == b'\n').find_map(seq_of)
}

/// The number of the record in a line, if it holds one.
pub(super) fn seq_of(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Head>(line).ok().map(|h| h.seq)
}

/// Writes lines as they come, until the queue is closed; says through `written` how far it is.
///
/// Runs on a thread of its own. A failed write loses that line and is counted; the next one tries
/// again.
pub(super) fn write_all(
    mut history: History,
    lines: &Receiver<Arc<Line>>,
    written: &watch::Sender<u64>,
    losses: &Losses,
) {
    loop {
        let Ok(first) = lines.recv() else { return };
        let mut next = Some(first);
        while let Some(line) = next.take() {
            match history.append(&line.json) {
                Ok(()) => {
                    losses.none();
                    written.send_replace(line.seq);
                }
                Err(e) => losses.one(&format!(
                    "cannot write {}: {e}",
                    history.dir.join(FILE).display()
                )),
            }
            match lines.recv_timeout(QUIET) {
                Ok(line) => next = Some(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        if let Err(error) = history.sync() {
            let file = history.dir.join(FILE);
            tracing::warn!(%error, file = %file.display(), "cannot sync the history");
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
