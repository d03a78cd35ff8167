//! What all runs of an engine have in common: what is opened once and closed once.

use std::sync::Arc;
use std::time::Duration;

use baton_chain::{Chain, Pool};
use malachite::engine::network::NetworkRef;
use tracing::{info, warn};

use crate::context::{Baton, Domain, Seats};
use crate::elsewhere::Elsewhere;
use crate::error::ConsensusError;
use crate::guard::Guard;
use crate::host::{App, Proposals};
use crate::key::NodeKey;
use crate::proposer::ProposerHandle;
use crate::run::Role;
use crate::settings::EngineSettings;
use crate::signing::{Checker, Hand};
use crate::status::Board;
use crate::swarm::Swarm;
use crate::wal;
use crate::work::Work;

/// A chain that has no block for so long after its interval stands.
const STANDS: Duration = Duration::from_secs(10);

/// Stores, keys and handles.
pub(crate) struct Parts<S: Swarm> {
    pub(crate) settings: EngineSettings,
    pub(crate) chain: Chain,
    pub(crate) pool: Pool,
    pub(crate) swarm: S,
    pub(crate) proposer: ProposerHandle,
    pub(crate) hand: Option<Hand>,
    pub(crate) checker: Checker,
    pub(crate) proposals: Arc<Proposals>,
    pub(crate) board: Arc<Board>,
    pub(crate) elsewhere: Arc<Elsewhere>,
    pub(crate) work: Work,
    /// Whether this node is the only validator of the next block.
    pub(crate) alone: bool,
}

impl<S: Swarm> Parts<S> {
    /// Opens the stores. Blocks on the disk.
    pub(crate) fn open(
        settings: EngineSettings,
        chain: Chain,
        pool: Pool,
        swarm: S,
        signer: Option<NodeKey>,
        proposer: ProposerHandle,
    ) -> Result<Self, ConsensusError> {
        std::fs::create_dir_all(&settings.directory).map_err(|source| {
            ConsensusError::Directory {
                path: settings.directory.clone(),
                source,
            }
        })?;
        let domain = Domain(*chain.genesis_hash().as_bytes());
        let tip = chain.tip().height;
        let seats = Seats::new(&chain.validators())?;
        let proposals = Proposals::open(&settings.fastsync)?;
        // a crash may have left those of heights that are decided
        proposals.forget_through(tip)?;
        let unopened = |path: &std::path::Path| {
            let path = path.to_owned();
            move |source| ConsensusError::Wal { path, source }
        };
        let following = settings.wal(Role::Following);
        wal::salvage(&following).map_err(unopened(&following))?;
        let log = settings.wal(Role::Signing);
        let found = wal::salvage(&log).map_err(unopened(&log))?;
        let hand = signer
            .map(|key| -> Result<Hand, ConsensusError> {
                let alone = seats.is_alone() && seats.contains(&key.address());
                let guard = Guard::open(&settings.guard(), &key, domain, tip, alone)?;
                if guard.highest() > tip + 1 {
                    warn!(
                        tip, signed = guard.highest(),
                        "this key has signed at heights beyond the chain's tip: the chain's data is older than the sign guard. Nothing is \
                         signed twice; blocks are fetched from peers"
                    );
                }
                if !alone {
                    wal::heed(&found, &guard, tip)?;
                }
                Ok(Hand {
                    key: Arc::new(key),
                    guard: Arc::new(guard),
                    domain,
                })
            })
            .transpose()?;
        let validator = hand
            .as_ref()
            .is_some_and(|hand| seats.contains(&hand.key.address()));
        let alone = validator && seats.is_alone();
        info!(
            moniker = settings.moniker,
            tip, validator, alone, "consensus opens"
        );
        let checker = Checker { domain };
        Ok(Self {
            settings,
            chain,
            pool,
            swarm,
            proposer,
            elsewhere: Arc::new(Elsewhere::new(hand.as_ref(), checker)),
            hand,
            checker,
            proposals: Arc::new(proposals),
            board: Arc::new(Board::new()),
            work: Work::new(),
            alone,
        })
    }

    /// The application of a run.
    pub(crate) fn app(&self, network: NetworkRef<Baton>, role: Role) -> App {
        App {
            chain: self.chain.clone(),
            pool: self.pool.clone(),
            proposer: self.proposer.clone(),
            hand: self.hand.clone().filter(|_| role == Role::Signing),
            checker: self.checker,
            proposals: self.proposals.clone(),
            board: self.board.clone(),
            elsewhere: self.elsewhere.clone(),
            work: self.work.clone(),
            network,
            patience: self.settings.patience,
            empty_blocks: self.settings.empty_blocks,
            response_bytes: self.settings.sync.response_bytes,
        }
    }

    /// Waits until the chain has a height.
    pub(crate) async fn reaches(&self, height: u64) {
        let mut tips = self.chain.watch();
        if tips.wait_for(|tip| tip.height >= height).await.is_err() {
            // the chain was closed under us
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a block after `tip`, and gives up when others would long have decided one.
    pub(crate) async fn stands_at(&self, tip: u64) -> bool {
        let interval = Duration::from_millis(self.chain.params().block_interval_ms);
        let next = self.reaches(tip + 1);
        tokio::time::timeout(STANDS + interval, next).await.is_err()
    }

    /// Waits for what is under way and closes the stores.
    pub(crate) async fn close(&self) {
        self.work.idle().await;
        self.proposals.close();
        if let Some(hand) = &self.hand {
            hand.guard.close();
        }
    }
}
