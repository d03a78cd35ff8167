//! Gossip of transactions: what clients bring is told to peers, what peers tell goes into the pool.
//!
//! Everything is bounded and batched. A message is passed on only if it brought something new and nothing that its
//! sender could have known to be bad. A peer that comes is told what waits in the pool, as far as that is allowed.

mod batch;
mod heard;

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_chain::{Origin, Pool, PoolEvent};
use baton_ledger::Transaction;
use baton_network::{Event, Lane, Message, Network, PublishError, Topic, Verdict};
use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::sync::broadcast::{self, error::RecvError};
use tracing::{debug, info, warn};

use crate::tasks::{Ending, Tasks};
use batch::Batch;
use heard::Heard;

/// How long transactions of clients wait for others to be told together with.
const GATHER: Duration = Duration::from_millis(10);
/// Messages of peers that are judged together.
const MAX_MESSAGES: usize = 32;
/// What newcomers are told at most, in transactions.
const MAX_RETOLD: usize = 4_096;
/// The pool is not told as a whole more often: several that come at once hear it together.
const RETELL_EVERY: Duration = Duration::from_secs(5);

/// Starts gossip over the network's lane of transactions.
pub(crate) fn start(tasks: &mut Tasks, pool: &Pool, network: &Network, lane: Lane) {
    let gossip = Gossip {
        pool: pool.clone(),
        network: network.clone(),
        heard: Arc::default(),
    };
    let tell = gossip.clone().tell(pool.events(), tasks.ending());
    tasks.spawn("gossip to peers", tell);
    let listen = gossip.listen(lane, tasks.ending());
    tasks.spawn("gossip from peers", listen);
}

#[derive(Clone)]
struct Gossip {
    pool: Pool,
    network: Network,
    /// Held while what peers told goes into the pool, so that nobody takes it for a client's meanwhile.
    heard: Arc<Mutex<Heard>>,
}

impl Gossip {
    /// Tells peers what comes into the pool from clients.
    async fn tell(self, mut events: broadcast::Receiver<PoolEvent>, mut ending: Ending) {
        loop {
            let event = tokio::select! {
                () = ending.begun() => return,
                event = events.recv() => event,
            };
            let mut some = Vec::new();
            match event {
                Ok(event) => some.push(event),
                Err(RecvError::Lagged(missed)) => {
                    info!(
                        missed,
                        "more came into the pool than could be told; peers are told all of it"
                    );
                    self.publish(&self.all()).await;
                    continue;
                }
                Err(RecvError::Closed) => return ending.begun().await,
            }
            tokio::time::sleep(GATHER).await;
            while let Ok(event) = events.try_recv() {
                some.push(event);
            }
            let heard = self.heard.lock().await;
            let fresh: Vec<Bytes> = some
                .into_iter()
                .filter_map(|event| match event {
                    PoolEvent::Added(pooled, _) => {
                        (!heard.has(&pooled.id())).then(|| pooled.bytes.clone())
                    }
                    PoolEvent::Removed(..) => None,
                })
                .collect();
            drop(heard);
            self.publish(&fresh).await;
        }
    }

    fn all(&self) -> Vec<Bytes> {
        let all = self.pool.all();
        let first = all.iter().take(MAX_RETOLD);
        first.map(|pooled| pooled.bytes.clone()).collect()
    }

    async fn publish(&self, transactions: &[Bytes]) {
        let mut rest = transactions.iter().peekable();
        while rest.peek().is_some() {
            let mut batch = Batch::new(salt());
            while let Some(transaction) = rest.peek() {
                if !batch.add(transaction) {
                    break;
                }
                rest.next();
            }
            let message = batch.finish();
            match self.network.publish(Topic::Transactions, message).await {
                Ok(()) => {}
                Err(PublishError::Closed) => return,
                Err(error) => debug!(%error, "transactions were not told to peers"),
            }
        }
    }

    /// Takes what peers tell, and tells newcomers what there is.
    async fn listen(self, mut lane: Lane, mut ending: Ending) {
        let mut retold: Option<Instant> = None;
        let mut newcomers = false;
        loop {
            let due = retold.map_or(Duration::ZERO, |at| {
                RETELL_EVERY.saturating_sub(at.elapsed())
            });
            let first = tokio::select! {
                () = ending.begun() => return,
                event = lane.next() => event,
                () = tokio::time::sleep(due), if newcomers => {
                    newcomers = false;
                    retold = Some(Instant::now());
                    self.publish(&self.all()).await;
                    continue;
                }
            };
            if first.is_none() {
                // the network is shut down, after which we are told to end
                return ending.begun().await;
            }
            let mut messages = Vec::new();
            let mut next = first;
            while let Some(event) = next {
                match event {
                    Event::Message(message) => messages.push(message),
                    Event::Subscribed(_, Topic::Transactions) => newcomers = true,
                    _ => {}
                }
                next = if messages.len() < MAX_MESSAGES {
                    lane.try_next()
                } else {
                    None
                };
            }
            if !messages.is_empty() {
                self.take(messages).await;
            }
        }
    }

    /// Puts messages into the pool, and says of each what is to become of it.
    async fn take(&self, messages: Vec<Message>) {
        let this = self.clone();
        let contents: Vec<Bytes> = messages
            .iter()
            .map(|message| message.bytes.clone())
            .collect();
        let judged = tokio::task::spawn_blocking(move || this.judge(&contents)).await;
        let verdicts = judged.unwrap_or_else(|error| {
            warn!(%error, "transactions of peers were not judged");
            vec![Verdict::Ignore; messages.len()]
        });
        for (message, verdict) in messages.into_iter().zip(verdicts) {
            let Message { id, from, .. } = message;
            self.network.verdict(id, from, verdict).await;
        }
    }

    /// Judges messages in one go, so that all their transactions are validated side by side.
    fn judge(&self, messages: &[Bytes]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(messages.len());
        let (mut all, mut owners) = (Vec::new(), Vec::new());
        for (index, message) in messages.iter().enumerate() {
            let transactions = batch::read(message).ok().and_then(|parts| {
                let decoded = parts.iter().map(|part| Transaction::decode(part));
                decoded.collect::<Result<Vec<_>, _>>().ok()
            });
            verdicts.push(match &transactions {
                Some(_) => Verdict::Ignore,
                None => Verdict::Reject,
            });
            for transaction in transactions.unwrap_or_default() {
                all.push(transaction);
                owners.push(index);
            }
        }
        let mut heard = self.heard.blocking_lock();
        let answers = self.pool.submit_many(all, Origin::Peer);
        for (index, answer) in owners.into_iter().zip(answers) {
            let verdict = &mut verdicts[index];
            match answer {
                Ok(admission) => {
                    heard.note(admission.id);
                    if !admission.already_known && *verdict == Verdict::Ignore {
                        *verdict = Verdict::Accept;
                    }
                }
                Err(refusal) => {
                    debug!(%refusal, "a transaction of a peer was not taken");
                    if refusal.is_fault() {
                        *verdict = Verdict::Reject;
                    }
                }
            }
        }
        verdicts
    }
}

/// A number that is another each time.
fn salt() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes once it has booted");
    u64::from_le_bytes(bytes)
}
