//! The engine that a node holds.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use baton_chain::{Chain, Pool};
use baton_network::{Lane, Network};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing::info;

use crate::error::ConsensusError;
use crate::guard::Guard;
use crate::key::NodeKey;
use crate::parts::Parts;
use crate::proposer::ProposerHandle;
use crate::run::Run;
use crate::settings::EngineSettings;
use crate::silence::{Silence, role};
use crate::status::{Board, Figures, Status};
use crate::supervise::supervise;
use crate::swarm::{Ear, Swarm, from_net};
use crate::voices::Missing;

/// The consensus of one chain, running. Stop it with [`Engine::stop`]; dropped, it is aborted where it stands, as by a
/// crash.
#[derive(Debug)]
pub struct Engine(Driver<Lane>);

/// An engine on any network.
pub(crate) struct Driver<E> {
    chain: Chain,
    pub(crate) board: Arc<Board>,
    pub(crate) guard: Option<Arc<Guard>>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<E>>,
}

impl Engine {
    /// Starts consensus after the tip of `chain`.
    ///
    /// `events` is the consensus lane of the network. With a `signer` this node votes and proposes at heights at which it
    /// is one of the validators, and follows at all others; without one it follows. Blocks are committed to `chain` and
    /// taken out of `pool` ([`Pool::block_committed`]): nobody else need do either.
    pub async fn start(
        settings: EngineSettings,
        chain: Chain,
        pool: Pool,
        network: Network,
        events: Lane,
        signer: Option<NodeKey>,
        proposer: ProposerHandle,
    ) -> Result<Self, ConsensusError> {
        let driver =
            Driver::start(settings, chain, pool, network, events, signer, proposer).await?;
        Ok(Self(driver))
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
    /// `None` if the engine has panicked.
    pub async fn stop(self) -> Option<Lane> {
        self.0.stop().await
    }
}

/// What can be asked of an engine at any time. Cheap to clone; it does not keep the engine running.
#[derive(Clone)]
pub struct Outlook {
    board: Arc<Board>,
    guard: Option<Weak<Guard>>,
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

impl<E> Driver<E> {
    pub(crate) async fn start<S: Swarm>(
        settings: EngineSettings,
        chain: Chain,
        pool: Pool,
        swarm: S,
        ear: E,
        signer: Option<NodeKey>,
        proposer: ProposerHandle,
    ) -> Result<Self, ConsensusError>
    where
        E: Ear<S>,
    {
        let opening = {
            let chain = chain.clone();
            move || Parts::open(settings, chain, pool, swarm, signer, proposer)
        };
        let opened = tokio::task::spawn_blocking(opening).await;
        let parts = opened.map_err(|error| ConsensusError::Part {
            part: "stores",
            reason: error.to_string(),
        })??;
        let board = parts.board.clone();
        let guard = parts.hand.as_ref().map(|hand| hand.guard.clone());
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
        let task = tokio::spawn(supervise(parts, first, ear, stopped));
        Ok(Self {
            chain,
            board,
            guard,
            stop: Some(stop),
            task: Some(task),
        })
    }

    pub(crate) fn figures(&self) -> Figures {
        let mut figures = self.board.figures();
        if let Some(guard) = &self.guard {
            figures.guard = guard.counts();
        }
        figures
    }

    pub(crate) async fn stop(mut self) -> Option<E> {
        // it fails only if the task has ended already
        let _ = self.stop.take().map(|stop| stop.send(()));
        let ear = match self.task.take() {
            Some(task) => task.await.ok(),
            None => None,
        };
        info!(tip = self.chain.tip().height, "consensus has stopped");
        ear
    }
}

impl<E> Drop for Driver<E> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl<E> fmt::Debug for Driver<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("status", &self.board.status())
            .finish_non_exhaustive()
    }
}
