//! The write-ahead log: what consensus was told at the current height, for a node that comes back.
//!
//! Malachite's file format, entries and rules, in an actor of our own for three reasons: a flush with nothing to write
//! costs nothing, the file is closed when the actor has stopped, and no thread outlives it. Malachite appends an input
//! before it acts on it and has the log flushed before a message leaves, a round begins or a decision is told; our
//! signer has it flushed before it signs.

mod salvage;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use fail::fail_point;
use malachite::consensus::Input;
use malachite::engine::wal::{Msg, WalRef, decode_entry, encode_entry};
use malachite::wal::Log;
use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::codec::Codec;
use crate::context::{Baton, Height};
use crate::parts::Parts;
use crate::run::Role;
use crate::status::Board;
use crate::swarm::Swarm;
use crate::work::Work;
pub(crate) use salvage::{heed, salvage};

/// The actor.
pub(crate) struct Wal {
    path: PathBuf,
    work: Work,
    board: Arc<Board>,
}

/// The open log.
pub(crate) struct Open {
    /// Away while a blocking task has it.
    log: Option<Log>,
    height: Height,
    /// Whether something was written since the last flush.
    dirty: bool,
}

impl Wal {
    /// Opens the log.
    pub(crate) async fn spawn<S: Swarm>(
        parts: &Parts<S>,
        role: Role,
    ) -> Result<(WalRef<Baton>, JoinHandle<()>), SpawnErr> {
        let wal = Self {
            path: parts.settings.wal(role),
            work: parts.work.clone(),
            board: parts.board.clone(),
        };
        Actor::spawn(None, wal, ()).await
    }

    /// Does something that may wait for the disk on a thread made for that.
    async fn blocking<T: Send + 'static>(
        &self,
        state: &mut Open,
        work: impl FnOnce(&mut Log) -> eyre::Result<T> + Send + 'static,
    ) -> eyre::Result<T> {
        let mut log = state
            .log
            .take()
            .ok_or_else(|| eyre::eyre!("the write-ahead log was lost to a panic"))?;
        let work = move || {
            let result = work(&mut log);
            (log, result)
        };
        let (log, result) = self.work.run("writing the write-ahead log", work).await?;
        state.log = Some(log);
        self.board.count(|figures| figures.wal_flushes += 1);
        result
    }

    async fn started(
        &self,
        state: &mut Open,
        height: Height,
    ) -> eyre::Result<Vec<std::io::Result<Input<Baton>>>> {
        if state.height == height {
            return Ok(Vec::new());
        }
        state.height = height;
        state.dirty = false;
        self.blocking(state, move |log| {
            if log.sequence() == height.0 {
                entries(log)
            } else {
                log.reset(height.0)?;
                Ok(Vec::new())
            }
        })
        .await
    }

    async fn reset(&self, state: &mut Open, height: Height) -> eyre::Result<()> {
        let already = state.height == height
            && state
                .log
                .as_ref()
                .is_some_and(|log| log.sequence() == height.0 && log.is_empty());
        state.height = height;
        state.dirty = false;
        if already {
            return Ok(());
        }
        self.blocking(state, move |log| Ok(log.reset(height.0)?))
            .await
    }

    fn append(state: &mut Open, height: Height, input: Input<Baton>) -> eyre::Result<()> {
        if height != state.height {
            info!(%height, at = %state.height, "an entry of another height was not logged");
            return Ok(());
        }
        let log = state
            .log
            .as_mut()
            .ok_or_else(|| eyre::eyre!("the write-ahead log was lost to a panic"))?;
        let mut entry = Vec::new();
        encode_entry(input, &Codec, &mut entry)?;
        state.dirty = true;
        Ok(log.append(&entry)?)
    }

    async fn flush(&self, state: &mut Open) -> eyre::Result<()> {
        if !state.dirty {
            return Ok(());
        }
        fail_point!("wal::before_flush");
        self.blocking(state, |log| Ok(log.flush()?)).await?;
        fail_point!("wal::after_flush");
        state.dirty = false;
        Ok(())
    }
}

/// What is to be replayed. From the first entry that cannot be read on the log is cut off: after a power loss its end may
/// be anything, but nothing was acted on that was not flushed. Should a disk have eaten what was flushed, the sign guard
/// still knows what was signed.
fn entries(log: &mut Log) -> eyre::Result<Vec<std::io::Result<Input<Baton>>>> {
    if log.is_empty() {
        return Ok(Vec::new());
    }
    let raw: Vec<_> = log.iter()?.collect();
    let mut entries = Vec::with_capacity(raw.len());
    for (index, bytes) in raw.into_iter().enumerate() {
        match bytes.and_then(|bytes| decode_entry(&Codec, bytes.as_slice())) {
            Ok(input) => entries.push(Ok(input)),
            Err(cause) => {
                error!(index, of = log.len(), %cause, "the end of the write-ahead log is unreadable; cut off");
                log.truncate(index as u64)?;
                break;
            }
        }
    }
    Ok(entries)
}

#[async_trait]
impl Actor for Wal {
    type Msg = Msg<Baton>;
    type State = Open;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (): (),
    ) -> Result<Open, ActorProcessingErr> {
        let opened = Log::open(&self.path);
        let log =
            opened.map_err(|error| format!("cannot open {}: {error}", self.path.display()))?;
        Ok(Open {
            log: Some(log),
            height: Height::default(),
            dirty: false,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Open,
    ) -> Result<(), ActorProcessingErr> {
        // whoever asked may be gone by now, which is no matter
        match message {
            Msg::StartedHeight(height, reply) => {
                let _ = reply.send(self.started(state, height).await);
            }
            Msg::Reset(height, reply) => {
                let _ = reply.send(self.reset(state, height).await);
            }
            Msg::Append(height, input, reply) => {
                let _ = reply.send(Self::append(state, height, input));
            }
            Msg::Flush(reply) => {
                let _ = reply.send(self.flush(state).await);
            }
            Msg::Dump => {}
        }
        Ok(())
    }
}
