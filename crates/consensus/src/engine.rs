//! The engine that a node holds.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Instant;

use baton_chain::{Chain, Pool};
use baton_network::{Lane, Network};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing::info;

use crate::error::ConsensusError;
use crate::guard::Guard;
use crate::host::Proposals;
use crate::key::NodeKey;
use crate::parts::Parts;
use crate::proposer::ProposerHandle;
use crate::run::{Role, Run};
use crate::settings::EngineSettings;
use crate::silence::{Silence, role};
use crate::status::{Board, Figures, Status};
use crate::supervise::supervise;
use crate::swarm::{Ear, Swarm, from_net};
use crate::voices::Missing;

/// The consensus of one chain. Stop it with [`Engine::stop`]; dropped, it is aborted where it stands, as by a crash.
///
/// It has two halves: [`Engine::open`] takes what only one process may have, and fails if something is wrong with it;
/// [`Engine::begin`] takes part. In between nothing is signed and nothing said, so that all of it can be given back.
#[derive(Debug)]
pub struct Engine(Driver<Network, Lane>);

/// An engine on any network.
pub(crate) struct Driver<S: Swarm, E> {
    chain: Chain,
    pub(crate) board: Arc<Board>,
    pub(crate) guard: Option<Arc<Guard>>,
    proposals: Arc<Proposals>,
    settings: EngineSettings,
    stage: Stage<S, E>,
}

/// How far an engine is.
enum Stage<S: Swarm, E> {
    /// It has all that it needs.
    Open(Box<Parts<S>>),
    /// It takes part.
    Running {
        stop: oneshot::Sender<()>,
        task: JoinHandle<E>,
    },
    /// It could not begin, or has stopped.
    Over,
}

impl Engine {
    /// Opens what consensus needs, after the tip of `chain`: the sign guard, the write-ahead log, the store of proposals.
    ///
    /// With a `signer` this node votes and proposes at heights at which it is one of the validators, and follows at all
    /// others; without one it follows. Blocks are committed to `chain` and taken out of `pool`
    /// ([`Pool::block_committed`]): nobody else need do either.
    pub async fn open(
        settings: EngineSettings,
        chain: Chain,
        pool: Pool,
        network: Network,
        signer: Option<NodeKey>,
        proposer: ProposerHandle,
    ) -> Result<Self, ConsensusError> {
        let driver = Driver::open(settings, chain, pool, network, signer, proposer).await?;
        Ok(Self(driver))
    }

    /// Takes part from now on; `events` is the consensus lane of the network.
    pub async fn begin(&mut self, events: Lane) -> Result<(), ConsensusError> {
        self.0.begin(events).await
    }

    /// How consensus is doing.
    pub fn status(&self) -> Status {
        self.0.board.status()
    }

    /// The status, and word of each change: also of a halt before an upgrade ([`Status::halted`]).
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.0.board.watch()
    }

    /// The highest block of which this node knows: its own or that of a peer.
    pub fn highest_height(&self) -> u64 {
        let own = self.0.chain.tip().height;
        self.status().peer_height.max(own)
    }

    /// Figures for metrics.
    pub fn figures(&self) -> Figures {
        self.0.figures()
    }

    /// What can be asked at any time, also by those who do not have the engine.
    pub fn outlook(&self) -> Outlook {
        Outlook {
            board: self.0.board.clone(),
            guard: self.0.guard.as_ref().map(Arc::downgrade),
            proposals: Arc::downgrade(&self.0.proposals),
            settings: self.0.settings.clone(),
        }
    }

    /// From now on signs nothing up to and with this height that was not signed before: for a key that has signed on
    /// another machine.
    pub async fn raise_guard(&self, height: u64) -> Result<(), ConsensusError> {
        let Some(guard) = self.0.guard.clone() else {
            return Ok(());
        };
        let raised = tokio::task::spawn_blocking(move || guard.raise(height)).await;
        raised.map_err(|error| ConsensusError::Part {
            part: "sign guard",
            reason: error.to_string(),
        })??;
        Ok(())
    }

    /// Stops. When it returns the write-ahead log, the sign guard and the store of proposals are closed, so that another
    /// process may open them; nothing is signed, committed or published any more. Gives the lane back for another start;
    /// `None` if the engine has panicked, or had not begun.
    pub async fn stop(self) -> Option<Lane> {
        self.0.stop().await
    }
}

/// What can be asked of an engine at any time. Cheap to clone; it does not keep the engine running.
#[derive(Clone)]
pub struct Outlook {
    board: Arc<Board>,
    guard: Option<Weak<Guard>>,
    proposals: Weak<Proposals>,
    settings: EngineSettings,
}

impl Outlook {
    /// The height of a peer's last block, if it has told.
    pub fn height_of(&self, peer: &baton_network::PeerId) -> Option<u64> {
        self.board.tip_of(&from_net(*peer))
    }

    /// How far this machine's clock is ahead of those of most other validators, in milliseconds, as the times of their
    /// blocks show; below zero: behind. Nothing before blocks of two others were seen.
    pub fn clock_offset_ms(&self) -> Option<i64> {
        self.board.clocks.offset_ms()
    }

    /// The validators of the height under way that have not been heard of at it, or not for more than a minute; this node
    /// does not hear itself. Of use once a height has lasted for some time.
    pub fn missing(&self) -> Vec<Missing> {
        self.board.voices.missing(Instant::now())
    }

    /// Writes copies of all files of consensus below `data`, laid out as [`EngineSettings::new`] has them, while it goes on.
    ///
    /// The sign guard's comes last: it knows of every signature of which the write-ahead log tells.
    pub fn copy_to(&self, data: &Path) -> Result<(), ConsensusError> {
        let closed = || ConsensusError::Part {
            part: "copy",
            reason: "it is stopped".to_owned(),
        };
        let to = EngineSettings::new(data);
        let failed = |path: PathBuf| {
            move |source| ConsensusError::Directory {
                path: path.clone(),
                source,
            }
        };
        std::fs::create_dir_all(&to.directory).map_err(failed(to.directory.clone()))?;
        self.proposals
            .upgrade()
            .ok_or_else(closed)?
            .copy_to(&to.fastsync)?;
        for role in [Role::Following, Role::Signing] {
            let (from, copy) = (self.settings.wal(role), to.wal(role));
            if from.exists() {
                std::fs::copy(&from, &copy).map_err(failed(copy))?;
            }
        }
        if let Some(guard) = &self.guard {
            let copy = to.guard();
            let guard = guard.upgrade().ok_or_else(closed)?;
            guard.copy_to(&copy).map_err(failed(copy))?;
        }
        Ok(())
    }

    /// Figures for metrics.
    pub fn figures(&self) -> Figures {
        let mut figures = self.board.figures();
        if let Some(guard) = self.guard.as_ref().and_then(Weak::upgrade) {
            figures.guard = guard.counts();
        }
        figures
    }
}

impl fmt::Debug for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlook").finish_non_exhaustive()
    }
}

impl<S: Swarm, E: Ear<S>> Driver<S, E> {
    pub(crate) async fn open(
        settings: EngineSettings,
        chain: Chain,
        pool: Pool,
        swarm: S,
        signer: Option<NodeKey>,
        proposer: ProposerHandle,
    ) -> Result<Self, ConsensusError> {
        let opening = {
            let chain = chain.clone();
            move || Parts::open(settings, chain, pool, swarm, signer, proposer)
        };
        let opened = tokio::task::spawn_blocking(opening).await;
        let parts = opened.map_err(|error| ConsensusError::Part {
            part: "stores",
            reason: error.to_string(),
        })??;
        Ok(Self {
            chain,
            board: parts.board.clone(),
            guard: parts.hand.as_ref().map(|hand| hand.guard.clone()),
            proposals: parts.proposals.clone(),
            settings: parts.settings.clone(),
            stage: Stage::Open(Box::new(parts)),
        })
    }

    pub(crate) async fn begin(&mut self, ear: E) -> Result<(), ConsensusError> {
        let Stage::Open(parts) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Err(ConsensusError::Part {
                part: "engine",
                reason: "it has begun before".to_owned(),
            });
        };
        let silence = Silence::first(&parts);
        let shown = silence.as_ref().map(|silence| silence.shown(parts.alone));
        parts.board.change(|status| status.abstains = shown);
        let first = match Run::start(&parts, role(silence.as_ref())).await {
            Ok(run) => (run, silence),
            Err(error) => {
                parts.close().await;
                return Err(error);
            }
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(supervise(*parts, first, ear, stopped));
        self.stage = Stage::Running { stop, task };
        Ok(())
    }

    pub(crate) async fn stop(mut self) -> Option<E> {
        let ear = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Open(parts) => {
                parts.close().await;
                None
            }
            Stage::Running { stop, task } => {
                // it fails only if the task has ended already
                let _ = stop.send(());
                task.await.ok()
            }
            Stage::Over => None,
        };
        info!(tip = self.chain.tip().height, "consensus has stopped");
        ear
    }
}

impl<S: Swarm, E> Driver<S, E> {
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = self.board.figures();
        if let Some(guard) = &self.guard {
            figures.guard = guard.counts();
        }
        figures
    }
}

impl<S: Swarm, E> Drop for Driver<S, E> {
    fn drop(&mut self) {
        if let Stage::Running { task, .. } = &self.stage {
            task.abort();
        }
    }
}

impl<S: Swarm, E> fmt::Debug for Driver<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("status", &self.board.status())
            .finish_non_exhaustive()
    }
}
