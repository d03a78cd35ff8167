//! The closing of a namespace, part by part, in the reverse of the order in which they were opened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use baton_api::Phase;
use baton_chain::Pool;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::legacy::Legacy;
use super::open::Namespace;

/// Why a namespace is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// It is to stop.
    Stop,
    /// Another process is to open it, or this one again.
    HandOver,
}

impl Namespace {
    /// From now on it says that it cannot be sent work.
    pub(super) fn refuse_work(&self) {
        self.troubles.phase(Phase::Stopping);
        self.proposer.set(false);
    }

    /// Closes all parts; when this returns another process may open them. What is only in memory is given back.
    pub(super) async fn close(mut self, why: Closing) -> Legacy {
        let mining = match &self.beginning {
            Some(beginning) => beginning.mining,
            None => self.proposer.is_on(),
        };
        self.refuse_work();
        let patience = self.patience;
        if why == Closing::Stop {
            patience.end("api", self.api.close()).await;
        }
        let signs = self.beginning.is_none() && self.engine.status().abstains.is_none();
        let consensus = async {
            self.engine.stop().await;
        };
        patience.end("consensus", consensus).await;
        self.tasks.end(patience.grace()).await;
        if why == Closing::HandOver {
            let retired = async {
                if !self.api.retire().await {
                    warn!("requests or WebSockets still use the stores");
                }
            };
            patience.end("api", retired).await;
        }
        patience.end("peers", self.network.shutdown()).await;
        drop(self.view);
        // of a namespace that had not begun this is what it was given
        drop(self.beginning);
        // the API has stores of its own; each waits for the disk, so all are closed at once
        let legacy = Legacy::of(&self.pool, self.wallet.as_deref(), mining, signs);
        let (api, tracer, chain) = (self.api, self.tracer, self.chain);
        let (pool, kept) = (self.pool, self.paths.pool());
        let others = vec![
            spawn_blocking(move || drop(api)),
            // whoever still has a view of them finds these closed
            spawn_blocking(move || tracer.close()),
            spawn_blocking(move || chain.close()),
            spawn_blocking(move || keep(&pool, &kept)),
        ];
        if let Some(keys) = &self.keys {
            keys.wipe();
        }
        if let Some(wallet) = self.wallet.take() {
            patience.end("wallet", last(wallet)).await;
        }
        for other in others {
            if let Err(error) = other.await {
                warn!(%error, "a store was not closed in order");
            }
        }
        info!("the chain is closed");
        legacy
    }
}

fn keep(pool: &Pool, path: &Path) {
    match pool.keep(path) {
        Ok(kept) => info!(transactions = kept, "kept the transaction pool"),
        Err(error) => warn!(%error, "the transaction pool was not kept"),
    }
}

/// Waits until nobody else has it, and drops it.
async fn last<T: Send + Sync + 'static>(shared: Arc<T>) {
    while Arc::strong_count(&shared) > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // a panic was told where it happened
    let _ = spawn_blocking(move || drop(shared)).await;
}
