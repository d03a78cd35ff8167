//! What happened when, by one clock for all processes: lines in a file that each process of the
//! node appends to.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// How often a file of stamps is looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// Nanoseconds on a clock that all processes of this machine share, and that nobody sets.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// One thing that happened in a process of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// See [`now`].
    pub(crate) at_ns: u64,
    /// The release: `v1` or `v2`.
    pub(crate) release: String,
    /// What.
    pub(crate) what: String,
}

/// Appends a stamp; a line is written whole or not at all.
pub(crate) fn append(path: &Path, at_ns: u64, release: &str, what: &str) -> std::io::Result<()> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?
        .write_all(format!("{at_ns} {release} {what}\n").as_bytes())
}

/// The stamps of one run.
#[derive(Debug)]
pub(crate) struct Stamps {
    path: PathBuf,
}

impl Stamps {
    /// The stamps in this file, which need not be there yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where they are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All that were left so far.
    pub(crate) fn all(&self) -> Vec<Stamp> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .filter_map(|line| {
                let mut words = line.trim_end().splitn(3, ' ');
                Some(Stamp {
                    at_ns: words.next()?.parse().ok()?,
                    release: words.next()?.to_owned(),
                    what: words.next()?.to_owned(),
                })
            })
            .collect()
    }

    /// When this release did this, for the first time.
    pub(crate) fn find(&self, release: &str, what: &str) -> Option<u64> {
        self.all()
            .into_iter()
            .find(|stamp| stamp.release == release && stamp.what == what)
            .map(|stamp| stamp.at_ns)
    }

    /// The same, and an error if it did not.
    pub(crate) fn get(&self, release: &str, what: &str) -> Result<u64> {
        self.find(release, what)
            .with_context(|| format!("{release} did not get to: {what}; it did {:?}", self.all()))
    }

    /// Waits for a stamp, as long as `alive` has no objection.
    pub(crate) fn wait(
        &self,
        release: &str,
        what: &str,
        within: Duration,
        mut alive: impl FnMut() -> Result<()>,
    ) -> Result<u64> {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.find(release, what) {
                return Ok(at);
            }
            alive()?;
            anyhow::ensure!(
                begun.elapsed() < within,
                "{release} did not get to: {what}, within {} s; it did {:?}",
                within.as_secs(),
                self.all()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("removing {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}
