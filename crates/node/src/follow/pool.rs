//! What waits in the pool, for the wallet: its balance to come, and what it must not spend twice.

use std::collections::HashSet;
use std::sync::Arc;

use baton_chain::{Pool, PoolEvent, Reason};
use baton_ledger::Hash;
use baton_wallet::Wallet;
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tracing::{info, warn};

use crate::tasks::Ending;

/// Events that are taken in one go.
const MAX_EVENTS: usize = 512;

/// Tells the wallet what comes into the pool and leaves it.
pub(super) async fn run(pool: Pool, wallet: Arc<Wallet>, mut ending: Ending) {
    let mut events = pool.events();
    let mut teller = Teller {
        wallet,
        concern: HashSet::new(),
    };
    teller = teller.everything(&pool).await;
    loop {
        let first = tokio::select! {
            () = ending.begun() => return,
            event = events.recv() => event,
        };
        match first {
            Ok(first) => {
                let mut some = vec![first];
                while some.len() < MAX_EVENTS
                    && let Ok(event) = events.try_recv()
                {
                    some.push(event);
                }
                teller = teller.tell(some).await;
            }
            Err(RecvError::Lagged(missed)) => {
                info!(
                    missed,
                    "the wallet looks at the whole pool again: more happened there than it could follow"
                );
                teller = teller.everything(&pool).await;
            }
            Err(RecvError::Closed) => return ending.begun().await,
        }
    }
}

/// Tells the wallet, and remembers what concerned it.
struct Teller {
    wallet: Arc<Wallet>,
    concern: HashSet<Hash>,
}

impl Teller {
    /// What is in the pool, and what is not any more.
    async fn everything(self, pool: &Pool) -> Self {
        let gone = self.concern.iter().filter(|id| pool.get(id).is_none());
        let gone = gone.map(|id| PoolEvent::Removed(*id, Reason::Expired));
        let there = pool
            .all()
            .into_iter()
            .map(|pooled| PoolEvent::Added(pooled, 0));
        let events = gone.chain(there).collect();
        self.tell(events).await
    }

    async fn tell(mut self, events: Vec<PoolEvent>) -> Self {
        let wallet = Arc::clone(&self.wallet);
        let work = move || {
            for event in events {
                self.event(event);
            }
            self
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| {
                warn!(%error, "the wallet was not told what is in the pool");
                Self {
                    wallet,
                    concern: HashSet::new(),
                }
            })
    }

    fn event(&mut self, event: PoolEvent) {
        match event {
            PoolEvent::Added(pooled, _) => {
                let transaction = pooled.transaction.transaction();
                match self.wallet.add_unconfirmed(transaction, Timestamp::now()) {
                    Ok(true) => {
                        self.concern.insert(pooled.id());
                    }
                    Ok(false) => {}
                    Err(error) => {
                        warn!(id = %pooled.id(), %error, "the wallet does not know a transaction in the pool");
                    }
                }
            }
            PoolEvent::Removed(id, _) => {
                if self.concern.remove(&id) {
                    self.wallet.remove_unconfirmed(&id);
                }
            }
        }
    }
}
