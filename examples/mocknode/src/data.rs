//! The data directory: three stores, a write-ahead log of consensus, the validator's state, and
//! the rule by which they must agree.
//!
//! ```text
//! data/LOCK                       held with flock while the node runs
//! data/blockstore.db/             blocks            (*.ldb)
//! data/application.db/            the application   (*.sst)
//! data/state.db/                  consensus' state  (*.ldb)
//! data/cs.wal/wal                 what consensus did, one line each
//! data/priv_validator_state.json  the last thing that was signed
//! data/upgrade-info.json          see `plan_file`
//! ```
//!
//! Per block the order is: sign, save the block, mark its end in the log, commit the application,
//! save consensus' state. Whatever a kill interrupts, the heights are then within one of each
//! other; anything else is a directory put together from different moments.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::chain::AppState;
use crate::disk;
use crate::settings::Behaviour;
use crate::store::{Options, Store, StoreError};
use crate::wal::Wal;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    #[error(
        "{}: resource temporarily unavailable: another process{holder} has this data open",
        path.display()
    )]
    Locked { path: PathBuf, holder: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {source}", path.display())]
    Record {
        path: PathBuf,
        source: serde_json::Error,
    },
}

/// A block, as it is kept in the block store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Block {
    pub(crate) height: u64,
    /// RFC 3339.
    pub(crate) time: String,
    /// Of the last block, in hexadecimal; empty in the first.
    pub(crate) parent: String,
    /// Makes up for the size of real transactions.
    #[serde(default)]
    pub(crate) filler: String,
}

impl Block {
    /// The hash in upper-case hexadecimal, as `CometBFT` shows it.
    pub(crate) fn hash(&self) -> String {
        let text = format!("{}/{}/{}", self.height, self.time, self.parent);
        blake3::hash(text.as_bytes()).to_hex().to_uppercase()
    }
}

/// The open data directory.
pub(crate) struct Data {
    dir: PathBuf,
    blocks: Store,
    app: Store,
    consensus: Store,
    wal: Wal,
    /// The application's committed state.
    pub(crate) state: AppState,
    /// The last block in the block store.
    pub(crate) tip: Option<Block>,
    /// The last height that was signed.
    signed: u64,
    // dropped last: the stores are closed before the lock is let go
    _lock: File,
}

impl Data {
    /// Opens the directory, making it if there is none; with `deep`, checks every byte in it.
    pub(crate) fn open(dir: &Path, behaviour: &Behaviour, deep: bool) -> Result<Self, DataError> {
        fs::create_dir_all(dir).map_err(io_error(dir))?;
        let lock = lock(&dir.join("LOCK"))?;
        let options = |extension, tear_on_kill| Options {
            extension,
            table_every: behaviour.sst_every,
            table_size: behaviour.sst_size,
            keep: behaviour.keep_blocks,
            tear_on_kill,
        };
        let blocks = Store::open(&dir.join("blockstore.db"), options("ldb", false), deep)?;
        let app_dir = dir.join("application.db");
        let app = Store::open(&app_dir, options("sst", behaviour.tear_on_kill), deep)?;
        let consensus = Store::open(&dir.join("state.db"), options("ldb", false), deep)?;
        let mut wal = Wal::open(&dir.join("cs.wal"))?;

        let state = match app.last() {
            Some(bytes) => serde_json::from_slice(bytes).map_err(record_error(&app_dir))?,
            None => AppState::default(),
        };
        let tip = match blocks.last() {
            Some(bytes) => Some(
                serde_json::from_slice(bytes).map_err(record_error(&dir.join("blockstore.db")))?,
            ),
            None => None,
        };
        let heights = Heights {
            blocks: blocks.height(),
            app: app.height(),
            consensus: consensus.height(),
            ended: wal.ended,
        };
        // It may be ahead, as after a restore: such a validator follows and does not sign again
        // what it has signed.
        let signed = read_signed(&dir.join("priv_validator_state.json"))?;
        heights
            .check()
            .map_err(|what| StoreError::mismatch(dir, what))?;
        if wal.ended.is_some_and(|ended| ended < heights.blocks) {
            wal.end_height(heights.blocks)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            blocks,
            app,
            consensus,
            wal,
            state,
            tip,
            signed,
            _lock: lock,
        })
    }

    /// Where this is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The height of the block store.
    pub(crate) fn height(&self) -> u64 {
        self.blocks.height()
    }

    /// The lowest block that is kept.
    pub(crate) fn base(&self) -> u64 {
        self.blocks.base()
    }

    /// The block at `height`.
    pub(crate) fn block(&self, height: u64) -> Result<Option<Block>, DataError> {
        let dir = self.dir.join("blockstore.db");
        let bytes = self.blocks.get(height)?;
        let block = bytes.map(|bytes| serde_json::from_slice(&bytes));
        block.transpose().map_err(record_error(&dir))
    }

    /// Signs the next block and puts it into the block store.
    pub(crate) fn save_block(&mut self, time: &str, size: usize) -> Result<Block, DataError> {
        let mut block = Block {
            height: self.height() + 1,
            time: time.to_owned(),
            parent: self.tip.as_ref().map(Block::hash).unwrap_or_default(),
            filler: String::new(),
        };
        let height = block.height;
        let bytes = to_json(&block);
        block.filler = "x".repeat(size.saturating_sub(bytes.len()));
        self.wal
            .write(&format!("proposal {height} {}\n", block.hash()))?;
        if height > self.signed {
            let signed =
                format!("{{\n  \"height\": \"{height}\",\n  \"round\": 0,\n  \"step\": 3\n}}");
            let path = self.dir.join("priv_validator_state.json");
            disk::swap(&path, signed.as_bytes(), 0o600).map_err(io_error(&path))?;
            self.signed = height;
        }
        self.blocks.append(height, &to_json(&block))?;
        self.wal.end_height(height)?;
        block.filler = String::new();
        self.tip = Some(block.clone());
        Ok(block)
    }

    /// Commits the application's state after the next block.
    pub(crate) fn commit(&mut self, state: AppState) -> Result<(), DataError> {
        self.app.append(state.height, &to_json(&state))?;
        self.state = state;
        self.catch_up()
    }

    /// Brings consensus' state to where the application is.
    pub(crate) fn catch_up(&mut self) -> Result<(), DataError> {
        let height = self.app.height();
        if self.consensus.height() < height {
            let note = format!("{{\"height\":{height}}}");
            self.consensus.append(height, note.as_bytes())?;
        }
        Ok(())
    }

    /// Adds a table of filler to the application's store.
    pub(crate) fn fill(&mut self, size: u64) -> Result<(), DataError> {
        Ok(self.app.fill(size)?)
    }

    /// Leaves everything whole.
    pub(crate) fn close(self) -> Result<(), DataError> {
        self.blocks.close()?;
        self.app.close()?;
        Ok(self.consensus.close()?)
    }
}

pub(crate) fn io_error(path: &Path) -> impl Fn(io::Error) -> DataError {
    move |source| DataError::Io {
        path: path.to_owned(),
        source,
    }
}

fn record_error(path: &Path) -> impl Fn(serde_json::Error) -> DataError {
    move |source| DataError::Record {
        path: path.to_owned(),
        source,
    }
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structures of strings and numbers")
}

/// Takes the lock, writing our process id into it for the one who finds it taken.
fn lock(path: &Path) -> Result<File, DataError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io_error(path))?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(io_error(path)(error.into()));
        }
        let mut holder = String::new();
        let _ = (&mut file).take(20).read_to_string(&mut holder);
        let pid = holder.trim();
        let holder = if pid.is_empty() {
            String::new()
        } else {
            format!(" ({pid})")
        };
        return Err(DataError::Locked {
            path: path.to_owned(),
            holder,
        });
    }
    file.set_len(0)
        .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
        .map_err(io_error(path))?;
    Ok(file)
}

/// The last height that was signed; 0 if nothing was.
fn read_signed(path: &Path) -> Result<u64, DataError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.map_err(io_error(path))?,
    };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(record_error(path))?;
    Ok(value["height"]
        .as_str()
        .and_then(|h| h.parse().ok())
        .unwrap_or(0))
}

/// How far each part of the directory is.
#[derive(Clone, Copy, Debug)]
struct Heights {
    blocks: u64,
    app: u64,
    consensus: u64,
    /// `None` if the log of consensus says nothing.
    ended: Option<u64>,
}

impl Heights {
    /// Can these heights be of one moment?
    fn check(&self) -> Result<(), String> {
        let Self {
            blocks,
            app,
            consensus,
            ended,
        } = *self;
        let within_one = |low: u64, high: u64| low <= high && high - low <= 1;
        if !within_one(app, blocks) {
            return Err(format!(
                "has application.db at {app}, but blockstore.db at {blocks}"
            ));
        }
        if !within_one(consensus, app) {
            return Err(format!(
                "has state.db at {consensus}, but application.db at {app}"
            ));
        }
        match ended {
            Some(ended) if !within_one(ended, blocks) => Err(format!(
                "has cs.wal at {ended}, but blockstore.db at {blocks}"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn behaviour() -> Behaviour {
        Behaviour::from(&Settings {
            sst_every: Some(3),
            ..Settings::default()
        })
    }

    fn open(dir: &Path) -> Result<Data, DataError> {
        Data::open(dir, &behaviour(), true)
    }

    fn grow(data: &mut Data, to: u64) {
        while data.height() < to {
            let block = data.save_block("now", 100).unwrap();
            let state = data
                .state
                .after(block.height, &crate::chain::Begin::Execute);
            data.commit(state).unwrap();
        }
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap();
        let error = open(dir.path()).err().unwrap().to_string();
        let me = format!("another process ({}) has", std::process::id());
        assert!(error.contains(&me), "{error}");
        drop(first);
        open(dir.path()).unwrap();
    }

    #[test]
    fn blocks_are_chained_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = open(dir.path()).unwrap();
        grow(&mut data, 10);
        data.close().unwrap();
        let data = open(dir.path()).unwrap();
        assert_eq!((data.height(), data.state.height, data.base()), (10, 10, 1));
        for height in 2..=10 {
            let (parent, block) = (data.block(height - 1), data.block(height));
            assert_eq!(
                parent.unwrap().unwrap().hash(),
                block.unwrap().unwrap().parent
            );
        }
        assert_eq!(data.tip.as_ref().unwrap().height, 10);
    }

    #[test]
    fn a_kill_between_saving_and_committing_is_survived() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = open(dir.path()).unwrap();
        grow(&mut data, 4);
        data.save_block("now", 100).unwrap();
        drop(data);
        let mut data = open(dir.path()).unwrap();
        assert_eq!((data.height(), data.state.height), (5, 4));
        let state = data.state.after(5, &crate::chain::Begin::Execute);
        data.commit(state).unwrap();
        data.save_block("now", 100).unwrap();
        drop(data);
        // the mark of the last block's end is lost, and half a line is there instead
        let wal = dir.path().join("cs.wal/wal");
        let text = fs::read_to_string(&wal).unwrap();
        fs::write(&wal, text.replace("#ENDHEIGHT: 6", "proposal 7 AB")).unwrap();
        let data = open(dir.path()).unwrap();
        assert_eq!(data.height(), 6);
        drop(data);
        assert!(
            fs::read_to_string(&wal)
                .unwrap()
                .ends_with("#ENDHEIGHT: 6\n")
        );
    }

    /// Each part replaced by one of another moment, as a backup of a running node has it.
    #[test]
    fn parts_of_different_moments_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = open(dir.path()).unwrap();
        grow(&mut data, 5);
        data.close().unwrap();
        let early = tempfile::tempdir().unwrap();
        copy(dir.path(), early.path());
        let mut data = open(dir.path()).unwrap();
        grow(&mut data, 12);
        data.close().unwrap();
        for part in ["blockstore.db", "application.db", "state.db", "cs.wal"] {
            let mixed = tempfile::tempdir().unwrap();
            copy(dir.path(), mixed.path());
            fs::remove_dir_all(mixed.path().join(part)).unwrap();
            copy(&early.path().join(part), &mixed.path().join(part));
            let error = open(mixed.path()).err().expect(part).to_string();
            assert!(error.starts_with("store version mismatch"), "{error}");
        }
        let signed = "priv_validator_state.json";
        fs::copy(dir.path().join(signed), early.path().join(signed)).unwrap();
        open(early.path()).unwrap();
    }
}
