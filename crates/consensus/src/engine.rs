//! The engine that a node holds.

use baton_chain::{Chain, Pool};
use baton_network::{Lane, Network};
use tokio::sync::watch;

use crate::error::ConsensusError;
use crate::key::NodeKey;
use crate::proposer::ProposerHandle;
use crate::settings::EngineSettings;
use crate::status::{Figures, Status};

/// The consensus of one chain, running. Stop it with [`Engine::stop`]; dropped, it is aborted.
#[derive(Debug)]
pub struct Engine {
    status: watch::Sender<Status>,
}

#[expect(
    clippy::unused_async,
    clippy::unused_self,
    unused_variables,
    reason = "the shape, to code against"
)]
impl Engine {
    /// Starts consensus after the tip of `chain`.
    ///
    /// `events` is the consensus lane of the network. With a `signer` this node votes and proposes at heights at which it
    /// is one of the validators, and follows at all others; without one it follows. Committed blocks are taken out of
    /// `pool`.
    pub async fn start(
        settings: EngineSettings,
        chain: Chain,
        pool: Pool,
        network: Network,
        events: Lane,
        signer: Option<NodeKey>,
        proposer: ProposerHandle,
    ) -> Result<Self, ConsensusError> {
        Err(ConsensusError::Part {
            part: "engine",
            reason: "it is not there yet".to_owned(),
        })
    }

    /// How consensus is doing.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The status, and word of each change: also of a halt before an upgrade ([`Status::halted`]).
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The highest block of which this node knows: its own or that of a peer.
    pub fn highest_height(&self) -> u64 {
        0
    }

    /// Figures for metrics.
    pub fn figures(&self) -> Figures {
        Figures::default()
    }

    /// From now on signs nothing up to and with this height that was not signed before: for a key that has signed on
    /// another machine.
    pub async fn raise_guard(&self, height: u64) -> Result<(), ConsensusError> {
        Ok(())
    }

    /// Stops. When it returns the write-ahead log, the sign guard and the store of proposals are closed, so that another
    /// process may open them; nothing is signed, committed or published any more. Gives the lane back for another start.
    pub async fn stop(self) -> Lane {
        unreachable!("it was not started")
    }
}
