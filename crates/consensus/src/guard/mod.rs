//! The sign guard: never two different signatures for one height, round and step.
//!
//! Before a signature leaves, what it is for is written to a file and flushed, under one lock. The same request again
//! yields the same signature from memory; a different one for the same step, or one for an earlier step of which
//! nothing is remembered, is refused. What was signed for the last [`HEIGHTS_KEPT`] heights is remembered, so that a
//! replay of the write-ahead log gets what it got before.
//!
//! The guard belongs to a key and a chain. Its file is read completely when it is opened; if it cannot be understood
//! nothing is signed. See [`file`] for the format and for what a crash can do to it.

mod file;
mod mark;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{info, warn};

use crate::context::{BlockId, Domain, Signature};
use crate::key::NodeKey;
use file::GuardFile;
pub(crate) use mark::{Mark, Place, Step};

/// How many heights are remembered signature by signature.
pub(crate) const HEIGHTS_KEPT: u64 = 2;

/// Why the guard could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The system said no.
    #[error("sign guard {path}: {action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged.
    #[error(
        "sign guard {path} is damaged ({what}); this node does not sign, as it cannot know what it has signed. Restore the file from \
         before the damage only if the node has not run since. Otherwise move it away: the node then starts a new one that never signs \
         for the next height, and make sure that no other machine signs with this key"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The file is of another key or chain.
    #[error(
        "sign guard {path} belongs to the {what} {theirs}, this node's is {ours}: this home's data is not of this node. Put the right \
         key or data in place; never reuse the guard of another key"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Key or chain.
        what: &'static str,
        /// Whose it is.
        theirs: String,
        /// Whose it should be.
        ours: String,
    },
    /// Another process has it open.
    #[error(
        "sign guard {path} is held by another process: two processes must not sign with one key"
    )]
    Held {
        /// The file.
        path: PathBuf,
    },
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Something else was signed for this step.
    #[error("refusing to sign {asked}: {signed} was signed already")]
    Conflict {
        /// What was asked for.
        asked: String,
        /// What was signed.
        signed: String,
    },
    /// The step lies before what was signed last.
    #[error("refusing to sign {asked}: the last signature was for {last}")]
    Past {
        /// What was asked for.
        asked: String,
        /// The last step.
        last: String,
    },
    /// The height is one at which this node may have signed elsewhere.
    #[error("refusing to sign {asked}: nothing is signed up to height {floor}")]
    Floor {
        /// What was asked for.
        asked: String,
        /// The height.
        floor: u64,
    },
    /// The guard was closed.
    #[error("refusing to sign {asked}: the sign guard is closed")]
    Closed {
        /// What was asked for.
        asked: String,
    },
    /// Its file was full, and could not be written anew; what is on the disk is as it was.
    #[error(transparent)]
    Unwritten(GuardError),
    /// It could not be written down.
    #[error(transparent)]
    Guard(#[from] GuardError),
}

/// How much the guard did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuardCounts {
    /// Signatures made.
    pub signed: u64,
    /// Signatures given again.
    pub repeated: u64,
    /// Requests refused.
    pub refused: u64,
    /// Flushes to the disk.
    pub flushes: u64,
}

/// The guard of one key on one chain.
#[derive(Debug)]
pub(crate) struct Guard {
    inner: Mutex<Inner>,
    signed: AtomicU64,
    repeated: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    /// None once it is closed.
    file: Option<GuardFile>,
    memory: Memory,
}

/// What is remembered: pure, no file.
#[derive(Debug, Default)]
struct Memory {
    marks: BTreeMap<Place, (Mark, Signature)>,
    floor: u64,
}

/// What to do with a request.
#[derive(Debug)]
enum Ruling {
    Sign,
    Repeat(Signature),
    Refuse(Refusal),
}

impl Memory {
    fn rule(&self, asked: &Mark) -> Ruling {
        if let Some((mark, signature)) = self.marks.get(&asked.place) {
            return if mark == asked {
                Ruling::Repeat(*signature)
            } else {
                Ruling::Refuse(Refusal::Conflict {
                    asked: asked.to_string(),
                    signed: mark.to_string(),
                })
            };
        }
        if asked.place.height <= self.floor {
            return Ruling::Refuse(Refusal::Floor {
                asked: asked.to_string(),
                floor: self.floor,
            });
        }
        match self.marks.last_key_value() {
            Some((last, (mark, _))) if asked.place < *last => Ruling::Refuse(Refusal::Past {
                asked: asked.to_string(),
                last: mark.to_string(),
            }),
            _ => Ruling::Sign,
        }
    }

    fn remember(&mut self, mark: Mark, signature: Signature) {
        let oldest = mark.place.height.saturating_sub(HEIGHTS_KEPT - 1);
        self.marks = self.marks.split_off(&Place::first_of(oldest));
        self.marks.insert(mark.place, (mark, signature));
    }

    fn highest(&self) -> u64 {
        let last = self.marks.last_key_value();
        last.map_or(0, |(place, _)| place.height).max(self.floor)
    }
}

impl Guard {
    /// Opens the guard, or begins a new one.
    ///
    /// A new one does not know what its key has signed before. If the chain is past its genesis (`tip` > 0) and the key is
    /// not the only validator, it therefore signs nothing for the next height.
    pub(crate) fn open(
        path: &Path,
        key: &NodeKey,
        domain: Domain,
        tip: u64,
        alone: bool,
    ) -> Result<Self, GuardError> {
        let (mut file, records) = GuardFile::open(path, key.address(), domain)?;
        let mut memory = Memory::default();
        match records {
            Some(records) => {
                for record in records {
                    match record {
                        file::Entry::Mark(mark, signature) => memory.remember(mark, signature),
                        file::Entry::Floor(height) => memory.floor = memory.floor.max(height),
                    }
                }
                info!(path = %path.display(), highest = memory.highest(), "sign guard opened");
            }
            None if tip > 0 && !alone => {
                memory.floor = tip + 1;
                file.append(&file::Entry::Floor(memory.floor))?;
                warn!(
                    path = %path.display(), tip, floor = memory.floor,
                    "no sign guard found though the chain has blocks: began one that signs nothing up to the floor. If this key is in \
                     use on another machine, stop one of them now"
                );
            }
            None => info!(path = %path.display(), "sign guard begun"),
        }
        Ok(Self {
            inner: Mutex::new(Inner {
                file: Some(file),
                memory,
            }),
            signed: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Signs `message`, which is what `mark` describes, or gives the signature that was made for it before.
    ///
    /// When it returns a signature, the mark is on the disk.
    pub(crate) fn sign(
        &self,
        key: &NodeKey,
        mark: Mark,
        message: &[u8],
    ) -> Result<Signature, Refusal> {
        let mut inner = self.lock();
        match inner.memory.rule(&mark) {
            Ruling::Repeat(signature) => {
                self.repeated.fetch_add(1, Ordering::Relaxed);
                Ok(signature)
            }
            Ruling::Refuse(refusal) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(refusal)
            }
            Ruling::Sign => {
                let Inner { file, memory } = &mut *inner;
                let Some(file) = file else {
                    let asked = mark.to_string();
                    return Err(Refusal::Closed { asked });
                };
                let signature = key.sign(message);
                if file.is_full() {
                    let marks = memory.marks.values().copied();
                    file.rewrite(memory.floor, marks)
                        .map_err(Refusal::Unwritten)?;
                }
                file.append(&file::Entry::Mark(mark, signature))?;
                memory.remember(mark, signature);
                self.signed.fetch_add(1, Ordering::Relaxed);
                Ok(signature)
            }
        }
    }

    /// From now on signs nothing up to and with this height that was not signed before: for a key that has signed
    /// elsewhere.
    pub(crate) fn raise(&self, floor: u64) -> Result<(), GuardError> {
        let mut inner = self.lock();
        let Inner { file, memory } = &mut *inner;
        if let Some(file) = file
            && floor > memory.floor
        {
            if file.is_full() {
                file.rewrite(memory.floor, memory.marks.values().copied())?;
            }
            file.append(&file::Entry::Floor(floor))?;
            memory.floor = floor;
        }
        Ok(())
    }

    /// The block that was precommitted last at this height, if one was: the key may be locked on it.
    pub(crate) fn precommitted(&self, height: u64) -> Option<BlockId> {
        let inner = self.lock();
        let marks = inner.memory.marks.range(Place::first_of(height)..);
        marks
            .filter(|(place, _)| place.height == height && place.step == Step::Precommit)
            .filter_map(|(_, (mark, _))| mark.block)
            .next_back()
    }

    /// Copies the file as it is between two signatures.
    pub(crate) fn copy_to(&self, path: &Path) -> std::io::Result<()> {
        match &self.lock().file {
            Some(file) => std::fs::copy(file.path(), path).map(drop),
            None => Err(std::io::Error::other("the sign guard is closed")),
        }
    }

    /// The height of the last signature; 0 if there is none.
    pub(crate) fn last_signed(&self) -> u64 {
        let inner = self.lock();
        let last = inner.memory.marks.last_key_value();
        last.map_or(0, |(place, _)| place.height)
    }

    /// The highest height of which it knows.
    pub(crate) fn highest(&self) -> u64 {
        self.lock().memory.highest()
    }

    /// The height up to which nothing is signed.
    pub(crate) fn floor(&self) -> u64 {
        self.lock().memory.floor
    }

    /// Closes the file: another process may open it. Nothing is signed any more.
    pub(crate) fn close(&self) {
        self.lock().file = None;
    }

    pub(crate) fn counts(&self) -> GuardCounts {
        let flushes = self.lock().file.as_ref().map_or(0, GuardFile::flushes);
        GuardCounts {
            signed: self.signed.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            flushes,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // a panic while signing leaves the file no worse than a crash, which it is made for; memory is changed last
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
