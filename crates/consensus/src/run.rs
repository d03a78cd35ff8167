//! One run of consensus: Malachite's actors and ours, from start to stop.

use std::sync::Arc;
use std::time::Duration;

use malachite::config::ConsensusConfig;
use malachite::engine::consensus::{ConsensusMsg, ConsensusRef};
use malachite::engine::network::{
    Multiaddr, NetworkEvent, NetworkMsg, NetworkRef, Status as NetworkStatus,
};
use malachite::engine::node::NodeRef;
use malachite::engine::sync::{SyncMsg, SyncRef};
use malachite::engine::util::events::TxEvent;
use malachite::engine::util::output_port::{OutputPort, OutputPortSubscriberTrait};
use malachite::metrics::{Metrics, SharedRegistry};
use malachite::spawn::{spawn_consensus_actor, spawn_node_actor, spawn_sync_actor};
use malachite_signing::Signer;
use ractor::{ActorCell, ActorStatus};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::codec::Codec;
use crate::context::{Address, Baton, Height};
use crate::error::ConsensusError;
use crate::host::Host;
use crate::network::{self, Pump};
use crate::parts::Parts;
use crate::signing::ConsensusHand;
use crate::silence::Silence;
use crate::swarm::Swarm;
use crate::wal::Wal;

/// How long the actors may take to end what they are at before they are aborted where they stand.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait for word of an actor's end before looking again.
const GLANCE: Duration = Duration::from_millis(20);
/// No validator's address: no point of the curve has this key.
const NOBODY: Address = Address([0xff; 32]);
/// Messages from consensus to sync that may wait.
const SYNC_MESSAGES: usize = 1024;

/// Who this node is in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A validator at heights at which it is one.
    Signing,
    /// One that follows, whatever its key.
    Following,
}

/// The actors of a run.
pub(crate) struct Run<S: Swarm> {
    pump: Pump<S>,
    consensus: ConsensusRef<Baton>,
    /// What the sign guard refused, if it did.
    pub(crate) refused: watch::Receiver<Option<Silence>>,
    actors: Actors,
    /// Ends when any of the actors has failed.
    application: Option<JoinHandle<()>>,
}

/// Actors outlive what refers to them; these do not.
struct Actors {
    node: NodeRef,
    cells: Vec<ActorCell>,
    tasks: Vec<JoinHandle<()>>,
}

impl Actors {
    fn add(&mut self, cell: ActorCell) {
        cell.link(self.node.get_cell());
        self.cells.push(cell);
    }

    fn kill(&self) {
        self.node.kill();
        self.cells.iter().for_each(ActorCell::kill);
    }
}

impl Drop for Actors {
    fn drop(&mut self) {
        self.kill();
    }
}

impl<S: Swarm> Run<S> {
    /// Starts the actors. Consensus begins after the tip of the chain.
    pub(crate) async fn start(parts: &Parts<S>, role: Role) -> Result<Self, ConsensusError> {
        // figures of Malachite's own stay in here: its global registry would keep those of former runs for ever
        let registry = SharedRegistry::new(malachite::metrics::Registry::default(), None);
        let metrics = Metrics::register(&registry);
        let (node, node_task) = spawn_node_actor(metrics.clone())
            .await
            .map_err(failed("supervisor"))?;
        let mut actors = Actors {
            node: node.clone(),
            cells: Vec::new(),
            tasks: vec![node_task],
        };
        let (network, task, pump) = network::spawn(
            parts.swarm.clone(),
            parts.board.clone(),
            parts.elsewhere.clone(),
            parts.checker,
        )
        .await
        .map_err(failed("network adapter"))?;
        actors.add(network.get_cell());
        actors.tasks.push(task);
        let (wal, task) = Wal::spawn(parts, role)
            .await
            .map_err(failed("write-ahead log"))?;
        actors.add(wal.get_cell());
        actors.tasks.push(task);
        let app = Arc::new(parts.app(network.clone(), role));
        let (host, application) = Host::spawn(app).await.map_err(failed("application"))?;
        actors.add(host.get_cell());

        let (refusals, refused) = watch::channel(None);
        let hand = parts.hand.clone().filter(|_| role == Role::Signing);
        let address = hand.as_ref().map_or(NOBODY, |hand| hand.key.address());
        let signer = hand.map(|hand| -> Box<dyn Signer<Baton>> {
            Box::new(ConsensusHand {
                hand,
                wal: wal.clone(),
                work: parts.work.clone(),
                refused: refusals,
            })
        });
        let port = Arc::new(OutputPort::with_capacity(SYNC_MESSAGES));
        let consensus = spawn_consensus_actor(
            Baton,
            address,
            ConsensusConfig {
                enabled: role == Role::Signing,
                ..ConsensusConfig::default()
            },
            Box::new(parts.checker),
            signer,
            network.clone(),
            host.clone(),
            wal,
            port.clone(),
            metrics,
            TxEvent::new(),
            node,
        )
        .await
        .map_err(failed("core"))?;
        actors.add(consensus.get_cell());
        let sync = spawn_sync_actor(
            Baton,
            network.clone(),
            host,
            consensus.clone(),
            Codec,
            &parts
                .settings
                .sync
                .to_malachite(parts.settings.status_interval),
            &registry,
        )
        .await
        .map_err(failed("sync"))?;
        if let Some(sync) = sync {
            actors.add(sync.get_cell());
            sync.subscribe_to_port(&port);
            announce(&network, &sync, parts);
        }
        begin(&consensus);
        Ok(Self {
            pump,
            consensus,
            refused,
            actors,
            application: Some(application),
        })
    }

    /// What hears, what is told of it, and what ends when an actor has failed: then all are stopped, or about to be.
    pub(crate) fn watch(
        &mut self,
    ) -> (
        &Pump<S>,
        &ConsensusRef<Baton>,
        impl Future<Output = ()> + Send,
    ) {
        let application = &mut self.application;
        let failed = async {
            match application {
                // how it ended is in the log
                Some(task) => drop(task.await),
                None => std::future::pending().await,
            }
            *application = None;
        };
        (&self.pump, &self.consensus, failed)
    }

    /// Stops the actors. When it returns none of them runs.
    ///
    /// The core goes first: it takes the loss of any other for a failure.
    pub(crate) async fn stop(mut self) {
        let Actors { node, cells, .. } = &self.actors;
        for cell in cells {
            cell.unlink(node.get_cell());
        }
        let one_by_one = async {
            for cell in cells.iter().rev() {
                cell.stop(None);
                gone(cell).await;
            }
            node.stop(None);
        };
        if tokio::time::timeout(GRACE, one_by_one).await.is_err() {
            warn!(
                seconds = GRACE.as_secs(),
                "parts of consensus did not stop in time; aborting them"
            );
        }
        self.actors.kill();
        let mut tasks = std::mem::take(&mut self.actors.tasks);
        tasks.extend(self.application.take());
        for task in tasks {
            // an aborted task ends at its next wait
            let _ = task.await;
        }
        for cell in &self.actors.cells {
            gone(cell).await;
        }
        self.pump.hang_up().await;
    }
}

/// Waits until an actor has stopped.
async fn gone(cell: &ActorCell) {
    while cell.get_status() != ActorStatus::Stopped {
        // ractor tells only once that an actor has stopped, perhaps to another
        let _ = cell.wait(Some(GLANCE)).await;
    }
}

/// Lets consensus begin, which waits to hear that there is a network; where that listens is no matter to it. What it tells
/// sync before sync listens to it would be lost, and sync never start.
fn begin(consensus: &ConsensusRef<Baton>) {
    let listening = NetworkEvent::Listening(Multiaddr::empty());
    // it fails only when the actor has failed already
    let _ = consensus.cast(ConsensusMsg::NetworkEvent(listening));
}

/// Lets peers fetch the blocks that are here, and know of them, even if no height begins: consensus may be halted.
fn announce<S: Swarm>(network: &NetworkRef<Baton>, sync: &SyncRef<Baton>, parts: &Parts<S>) {
    let (tip, oldest) = (Height(parts.chain.tip().height), Height(1));
    // both fail only when the actors have failed already
    let _ = sync.cast(SyncMsg::Decided(tip));
    let status = NetworkStatus::new(tip, oldest);
    let _ = network.cast(NetworkMsg::BroadcastStatus(status));
}

fn failed<E: ToString>(part: &'static str) -> impl Fn(E) -> ConsensusError {
    move |error| ConsensusError::Part {
        part,
        reason: error.to_string(),
    }
}
