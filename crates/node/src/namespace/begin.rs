//! The second half of a namespace's opening: from here on it signs, says and writes what cannot be taken back.

use std::sync::Arc;
use std::time::Duration;

use baton_api::Phase;
use baton_chain::Pool;
use baton_network::Lane;
use baton_wallet::keystore::KeyStore;
use tokio::sync::watch;
use tracing::warn;

use super::Name;
use super::election::{self, Coming};
use super::health;
use super::miner::Miner;
use super::open::Namespace;
use crate::follow::{self, Follower};
use crate::gossip;
use crate::step::{Step, StepError, take, take_now};

/// How often what waits too long is looked for.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// What is needed to begin.
pub(super) struct Beginning {
    pub(super) name: Name,
    pub(super) watched: health::Watched,
    /// Where it is told who is about to be elected.
    pub(super) coming: watch::Sender<Option<Coming>>,
    pub(super) consensus: Lane,
    pub(super) transactions: Lane,
    pub(super) follower: Option<Follower>,
    pub(super) miner: Arc<Miner>,
    /// Whether it is to propose blocks.
    pub(super) mining: bool,
}

impl Namespace {
    /// Takes part from now on. A second time it does nothing.
    pub(super) async fn begin(&mut self) -> Result<(), StepError> {
        let Some(beginning) = self.beginning.take() else {
            return Ok(());
        };
        let Beginning {
            name,
            watched,
            coming,
            consensus,
            transactions,
            follower,
            miner,
            mining,
        } = beginning;
        take(Step::Consensus, self.engine.begin(consensus)).await?;
        take_now(Step::Proposer, || {
            miner.begin(mining);
            Ok::<_, std::convert::Infallible>(())
        })?;
        let tasks = &mut self.tasks;
        gossip::start(tasks, &self.pool, &self.network, transactions);
        if let (Some(wallet), Some(follower)) = (&self.wallet, follower) {
            follow::start(tasks, follower, &self.pool, wallet);
            let paying =
                miner.follow_wallet(Arc::clone(wallet), self.chain.watch(), tasks.ending());
            tasks.spawn("mining address", paying);
        }
        let tracing = health::trace(
            self.tracer.clone(),
            self.chain.watch(),
            self.troubles.clone(),
            tasks.ending(),
        );
        tasks.spawn("contract instances", tracing);
        let elections = election::watch(
            self.chain.clone(),
            self.chain.watch(),
            coming,
            tasks.ending(),
        );
        tasks.spawn("elections", elections);
        let watching = health::watch(watched, self.troubles.clone(), tasks.ending());
        tasks.spawn("health", watching);
        let tidying = tidy(name, self.pool.clone(), self.keys.clone(), tasks.ending());
        tasks.spawn("tidying", tidying);
        self.troubles.phase(Phase::Serving);
        Ok(())
    }
}

/// Forgets what waited too long: transactions, and keys that were opened.
async fn tidy(
    name: Name,
    pool: Pool,
    keys: Option<Arc<KeyStore>>,
    mut ending: crate::tasks::Ending,
) {
    fail::fail_point!(&format!("node::tidying-of-{name}"));
    loop {
        tokio::select! {
            () = ending.begun() => return,
            () = tokio::time::sleep(TIDY_EVERY) => {}
        }
        let (pool, keys) = (pool.clone(), keys.clone());
        let tidied = tokio::task::spawn_blocking(move || {
            pool.expire(std::time::SystemTime::now());
            if let Some(keys) = keys {
                keys.wipe_expired();
            }
        });
        if let Err(error) = tidied.await {
            warn!(namespace = %name, %error, "tidying failed");
        }
    }
}
