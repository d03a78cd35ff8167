//! What a caller sees of a long procedure, and how it stops one.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Files are linked, cloned or copied.
    Copying,
    /// What was copied is made durable.
    Flushing,
    /// Files are read and compared with the manifest.
    Verifying,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copying => "copying",
            Self::Flushing => "flushing",
            Self::Verifying => "verifying",
        })
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Files done.
    pub files_done: u64,
    /// Files to do in this stage.
    pub files_total: u64,
    /// Bytes read or written.
    pub bytes_done: u64,
    /// Bytes to read or write in this stage. Linked and cloned files count for none.
    pub bytes_total: u64,
}

/// Who watches. Called on the thread that called the procedure, at the beginning and the end of a
/// stage and about ten times a second between.
pub trait Observer {
    /// It has come this far.
    fn progress(&self, _progress: Progress) {}

    /// Whether to stop. What was made so far is removed.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody watches.
impl Observer for () {}

/// What the worker threads count, and how they learn that they shall stop.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    stop: AtomicBool,
}

impl Meter {
    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
