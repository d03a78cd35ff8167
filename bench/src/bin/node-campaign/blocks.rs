//! The chain as a client sees it: what was in a block once has to stay there.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use baton_bench::node::Client;
use baton_consensus::context::BlockId;
use baton_ledger::{Block, Hash, Mapped};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::load::Book;

/// How often a node is asked whether it has another block.
const LOOK: Duration = Duration::from_millis(30);

/// All blocks that a client was given.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// What validators vote on: the hash of all bytes.
    pub(crate) ids: BTreeMap<u64, BlockId>,
    /// In which block a transaction is.
    pub(crate) transactions: HashMap<Hash, u64>,
    pub(crate) faults: Vec<String>,
    last: Option<Instant>,
    stall: Duration,
}

impl Blocks {
    /// How high the chain was seen to be.
    pub(crate) fn height(&self) -> u64 {
        self.ids.last_key_value().map_or(0, |(height, _)| *height)
    }

    /// The longest time without a new block so far, the one that runs now with it; begins anew.
    pub(crate) fn take_stall(&mut self) -> Duration {
        let now = self.last.map_or(Duration::ZERO, |last| last.elapsed());
        std::mem::take(&mut self.stall).max(now)
    }

    /// Takes a block.
    fn add(&mut self, bytes: &[u8]) -> Result<Vec<Hash>> {
        let block = Block::decode(bytes)?;
        let height = block.header.height;
        let mut ids = Vec::new();
        for transaction in block.transactions {
            let id = Mapped::from(transaction).id();
            if let Some(other) = self.transactions.insert(id, height) {
                let what = format!("{id} is in the blocks {other} and {height}");
                self.faults.push(what);
            }
            ids.push(id);
        }
        if let Some(last) = self.last {
            self.stall = self.stall.max(last.elapsed());
        }
        self.last = Some(Instant::now());
        self.ids.insert(height, BlockId::of(bytes));
        Ok(ids)
    }
}

/// Reads one block after the other from whichever node answers; ends when it is dropped.
pub(crate) struct Watcher(JoinHandle<()>);

impl Watcher {
    pub(crate) fn start(
        nodes: Vec<SocketAddr>,
        blocks: Arc<Mutex<Blocks>>,
        book: Arc<Mutex<Book>>,
    ) -> Self {
        Self(tokio::spawn(async move {
            for node in (0..nodes.len()).cycle() {
                let mut client = Client::new(nodes[node]);
                // it ends when the node does not answer: then the next one is asked
                let _gone = follow(&mut client, &blocks, &book).await;
                tokio::time::sleep(LOOK).await;
            }
        }))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(client: &mut Client, blocks: &Mutex<Blocks>, book: &Mutex<Book>) -> Result<()> {
    let mut idle = Instant::now();
    loop {
        let next = locked(blocks).height() + 1;
        if height(client).await? < next {
            // one that is cut off answers and has nothing new
            anyhow::ensure!(idle.elapsed() < Duration::from_secs(2), "nothing new");
            tokio::time::sleep(LOOK).await;
            continue;
        }
        idle = Instant::now();
        let answer = client
            .ask("get-raw-block", &json!({ "block_height": next }))
            .await?;
        let text = answer["raw_block"].as_str().context("no raw_block")?;
        let ids = locked(blocks).add(&hex::decode(text)?)?;
        locked(book).committed(&ids);
    }
}

/// How high a node's chain is.
pub(crate) async fn height(client: &mut Client) -> Result<u64> {
    let answer = client.ask("get-block-count", &Value::Null).await?;
    answer["block_count"].as_u64().context("no block_count")
}

/// What is under the lock; one that died while it held it has failed the campaign already.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
