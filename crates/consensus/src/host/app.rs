//! What the application works with: chain, pool, keys and stores, shared by everything that is under way.

use std::sync::Arc;
use std::time::Duration;

use baton_chain::{Chain, Pool};
use malachite::engine::network::NetworkRef;
use malachite_core::HeightParams;
use tokio::sync::broadcast::error::RecvError;
use tracing::{error, info};

use super::clock;
use super::proposals::Proposals;
use crate::context::{Baton, Height, Patience, Seats, Timing};
use crate::elsewhere::Elsewhere;
use crate::proposer::ProposerHandle;
use crate::signing::{Checker, Hand};
use crate::status::Board;
use crate::work::Work;

/// Cheap to clone through its [`Arc`].
pub(crate) struct App {
    pub(crate) chain: Chain,
    pub(crate) pool: Pool,
    pub(crate) proposer: ProposerHandle,
    /// None: this node follows.
    pub(crate) hand: Option<Hand>,
    pub(crate) checker: Checker,
    pub(crate) proposals: Arc<Proposals>,
    pub(crate) board: Arc<Board>,
    pub(crate) elsewhere: Arc<Elsewhere>,
    pub(crate) work: Work,
    pub(crate) network: NetworkRef<Baton>,
    pub(crate) patience: Patience,
    pub(crate) empty_blocks: bool,
    pub(crate) response_bytes: usize,
}

impl App {
    /// When the block after the tip is due.
    pub(super) fn due_ms(&self) -> u64 {
        let interval = self.chain.params().block_interval_ms;
        self.chain.tip().timestamp_ms.saturating_add(interval)
    }

    /// The longest that a node should have to wait for a block to be due.
    pub(super) fn usual_wait(&self) -> Duration {
        let params = self.chain.params();
        let longest = params
            .block_interval_ms
            .saturating_add(params.max_time_offset_ms);
        Duration::from_millis(longest)
    }

    /// Waits until the height after the tip may begin, and says how. Does not return if it never may.
    pub(super) async fn begin(&self) -> (Height, HeightParams<Baton>) {
        let height = self.chain.tip().height + 1;
        if let Some(plan) = self.chain.due_upgrade() {
            info!(
                name = plan.name,
                height = plan.height,
                "consensus halts: an upgrade is due that this program cannot do"
            );
            self.board.change(|status| {
                status.height = height;
                status.halted = Some(plan);
            });
            return std::future::pending().await;
        }
        let seats = match Seats::new(&self.chain.validators()) {
            Ok(seats) => seats,
            Err(error) => {
                return self
                    .give_up(&format!("consensus cannot go on: {error}"))
                    .await;
            }
        };
        if !self.empty_blocks {
            self.wanted(height).await;
        }
        let head_start = clock::until(self.due_ms());
        let timing = Timing::new(self.patience, head_start, seats.is_alone());
        (Height(height), HeightParams::new(seats, timing, None))
    }

    /// Waits until there is something to decide: a transaction, or word that others are at it.
    async fn wanted(&self, height: u64) {
        let mut events = self.pool.events();
        let transactions = async {
            while self.pool.is_empty() {
                match events.recv().await {
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    // the pool is gone with the node
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = transactions => {}
            () = self.board.hears_of(height) => {}
        }
    }

    /// Says why nothing can go on, and does not return.
    pub(super) async fn give_up<T>(&self, why: &str) -> T {
        error!(why, "consensus has stopped; reads go on");
        self.board
            .change(|status| status.last_error = Some(why.to_owned()));
        std::future::pending().await
    }
}
