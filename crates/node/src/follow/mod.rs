//! The wallet follows the chain: by itself, from wherever it is, whatever was lost.
//!
//! One task brings blocks, another what waits in the pool. An error is told in `status`, and tried again after a while
//! that grows; it never ends the following.

mod blocks;
mod pool;

use std::sync::Arc;

use baton_chain::Pool;
use baton_wallet::Wallet;
use tokio::sync::mpsc;

use crate::tasks::Tasks;

pub(crate) use blocks::Follower;

/// How far the wallet is, for those who watch.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Following {
    /// The wallet's best height; `None` before the first block.
    pub height: Option<u64>,
    /// The chain's.
    pub tip: u64,
    /// The last block of a rescan that goes on.
    pub rescan_to: Option<u64>,
    /// What went wrong last, until it goes on.
    pub error: Option<String>,
}

/// Tells the follower to look at blocks again.
#[derive(Debug, Clone)]
pub(crate) struct Rescanner(mpsc::Sender<u64>);

impl Rescanner {
    /// From this height on.
    pub(crate) fn from(&self, height: u64) -> Result<(), String> {
        self.0.try_send(height).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                "several rescans wait already; try again when one is done".to_owned()
            }
            mpsc::error::TrySendError::Closed(_) => "the node is stopping".to_owned(),
        })
    }
}

/// Starts the following.
pub(crate) fn start(tasks: &mut Tasks, follower: Follower, pool: &Pool, wallet: &Arc<Wallet>) {
    tasks.spawn("wallet", follower.run(tasks.ending()));
    let unconfirmed = pool::run(pool.clone(), Arc::clone(wallet), tasks.ending());
    tasks.spawn("wallet's pool", unconfirmed);
}
