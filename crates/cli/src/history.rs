//! Following the history of a home, in its files: over restarts of the supervisor, and without one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use baton_supervisor::telling::event::Record;
use baton_supervisor::telling::history::FILE;
use baton_supervisor::telling::reader::{Filter, Reader};
use baton_supervisor::watch::{self, Watch};
use tokio::sync::mpsc::Receiver;

/// How much of the history is read at a time, in bytes.
pub(crate) const CHUNK: usize = 256 << 10;

/// How often the history is looked at where there are no file-system events.
const POLL: Duration = Duration::from_secs(1);

/// A place in the history from which to go on.
pub(crate) struct History {
    baton: PathBuf,
    reader: Reader,
    filter: Filter,
    watch: Option<(Watch, Receiver<()>)>,
}

impl History {
    /// Goes on where the reader is, in `cosmovisor/.baton`, with what the filter keeps.
    pub(crate) fn new(baton: &Path, reader: Reader, filter: Filter) -> Self {
        Self {
            baton: baton.to_owned(),
            reader,
            filter,
            watch: None,
        }
    }

    /// The next records, at least one. May be dropped and called again without losing any.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Vec<Record>> {
        loop {
            // The directory may be made only now; looking now and then still shows everything.
            if self.watch.is_none() {
                self.watch = watch::watch(&self.baton, &[FILE]).ok();
            }
            let records = self
                .reader
                .next_records(CHUNK, &self.filter)
                .map_err(|e| unreadable(&self.baton, &e))?;
            if !records.is_empty() {
                return Ok(records);
            }
            let changed = async {
                match &mut self.watch {
                    Some((_, changes)) => changes.recv().await,
                    None => std::future::pending().await,
                }
            };
            if let Ok(None) = tokio::time::timeout(POLL, changed).await {
                self.watch = None;
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

/// The history cannot be read.
pub(crate) fn unreadable(baton: &Path, error: &io::Error) -> anyhow::Error {
    anyhow!("reading the history in {}: {error}", baton.display())
}
