//! Clients that do not give up: a transfer is submitted again until it is in a block, and then what it made is moved on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use baton_bench::node::{Client, ClientError, Coin, Purse};
use baton_ledger::Hash;
use serde_json::json;
use tokio::task::JoinSet;

use super::blocks::locked;

/// Who submit.
pub(crate) const SUBMITTERS: usize = 4;
/// Coins that are moved at the same time.
pub(crate) const COINS: usize = 64;
/// What each has: enough for the fees of a long campaign.
pub(crate) const AMOUNT_NEU: u64 = 100_000_000_000;
/// A transfer that is in no block for so long is submitted again: a node that was killed forgets those that wait.
const AGAIN: Duration = Duration::from_secs(3);
/// Between two submissions of a submitter: the load is there, and does not take the machine.
const PAUSE: Duration = Duration::from_millis(40);
/// How long the last transfers may take.
const LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug, Clone)]
enum Slot {
    Free(Coin),
    Waiting(Hash),
}

#[derive(Debug)]
struct Waiting {
    slot: usize,
    raw: String,
    then: Coin,
    /// When it was submitted last.
    since: Instant,
}

/// Where all transfers stand.
#[derive(Debug)]
pub(crate) struct Book {
    purse: Purse,
    slots: Vec<Slot>,
    waiting: HashMap<Hash, Waiting>,
    /// Those that a node said yes to.
    pub(crate) accepted: HashSet<Hash>,
    /// Those that came into a block.
    pub(crate) committed: usize,
    /// Answers that say no, by code, with the last one's text: a transfer that was in the pool of a killed node, or is in a block that we have not read.
    pub(crate) refused: BTreeMap<String, (usize, String)>,
    /// Connections that broke or were refused.
    pub(crate) broken: usize,
    over: bool,
}

impl Book {
    pub(crate) fn new(purse: Purse, coins: Vec<Coin>) -> Self {
        Self {
            purse,
            slots: coins.into_iter().map(Slot::Free).collect(),
            waiting: HashMap::new(),
            accepted: HashSet::new(),
            committed: 0,
            refused: BTreeMap::new(),
            broken: 0,
            over: false,
        }
    }

    /// What to submit for a coin now, if anything.
    fn next(&mut self, slot: usize) -> Option<(Hash, String)> {
        match self.slots[slot].clone() {
            Slot::Free(_) if self.over => None,
            Slot::Free(coin) => {
                let transfer = self.purse.transfer(coin, self.purse.program());
                let id = transfer.id();
                let raw = hex::encode(transfer.transaction().encode());
                let then = Purse::coins(&transfer, 1)[0];
                let waiting = Waiting {
                    slot,
                    raw: raw.clone(),
                    then,
                    since: Instant::now(),
                };
                self.waiting.insert(id, waiting);
                self.slots[slot] = Slot::Waiting(id);
                Some((id, raw))
            }
            Slot::Waiting(id) => {
                let waiting = self.waiting.get_mut(&id)?;
                if waiting.since.elapsed() < AGAIN {
                    return None;
                }
                waiting.since = Instant::now();
                Some((id, waiting.raw.clone()))
            }
        }
    }

    fn answered(&mut self, id: Hash, answer: Result<(), ClientError>) {
        match answer {
            Ok(()) => {
                self.accepted.insert(id);
            }
            Err(ClientError::Refused { answer, .. }) => {
                let code = answer["code"].as_str().unwrap_or("no code");
                let why = answer["error_detail"].as_str().unwrap_or_default();
                let refused = self.refused.entry(code.to_owned()).or_default();
                *refused = (refused.0 + 1, why.to_owned());
            }
            Err(ClientError::Broken { .. }) => self.broken += 1,
        }
    }

    /// These are in a block.
    pub(crate) fn committed(&mut self, ids: &[Hash]) {
        for id in ids {
            if let Some(waiting) = self.waiting.remove(id) {
                self.slots[waiting.slot] = Slot::Free(waiting.then);
                self.committed += 1;
            }
        }
    }
}

/// The submitters; they end when this is dropped.
pub(crate) struct Load {
    book: Arc<Mutex<Book>>,
    over: Arc<AtomicBool>,
    _submitters: JoinSet<()>,
}

impl Load {
    /// Each submits to all nodes in turn.
    pub(crate) fn start(nodes: &[SocketAddr], book: Arc<Mutex<Book>>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut submitters = JoinSet::new();
        for number in 0..SUBMITTERS {
            let nodes = nodes.to_vec();
            submitters.spawn(submit(number, nodes, Arc::clone(&book), Arc::clone(&over)));
        }
        Self {
            book,
            over,
            _submitters: submitters,
        }
    }

    /// Begins no more transfers, and waits until all that were begun are in blocks.
    pub(crate) async fn finish(self) -> Result<()> {
        locked(&self.book).over = true;
        let begun = Instant::now();
        loop {
            let waiting = locked(&self.book).waiting.len();
            if waiting == 0 {
                self.over.store(true, Ordering::Relaxed);
                return Ok(());
            }
            ensure!(
                begun.elapsed() < LIMIT,
                "{waiting} transfers are in no block after {LIMIT:?}, though they are submitted again each {AGAIN:?}: {:?}",
                locked(&self.book).refused
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn submit(
    number: usize,
    nodes: Vec<SocketAddr>,
    book: Arc<Mutex<Book>>,
    over: Arc<AtomicBool>,
) {
    let mut clients: Vec<Client> = nodes.into_iter().map(Client::new).collect();
    let mut turn = number;
    let count = locked(&book).slots.len();
    while !over.load(Ordering::Relaxed) {
        for slot in (number..count).step_by(SUBMITTERS) {
            let Some((id, raw)) = locked(&book).next(slot) else {
                continue;
            };
            let at = turn % clients.len();
            turn += 1;
            let body = json!({ "raw_transaction": raw });
            let answer = clients[at].ask("submit-transaction", &body).await;
            locked(&book).answered(id, answer.map(drop));
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
