//! Transactions that wait for a block.
//!
//! A transaction is judged by itself without anybody waiting for it ([`judge`]: its signatures take most of the time),
//! on all cores if there are many. Then it is placed among the others ([`place`]) under a lock that is held for moments: whoever
//! has much to do under it, as after a block, does so in slices, and those who wait come in between.
//!
//! What is taken is what bytomd takes, see [`baton_ledger::validate::check_relay`], and: an output is spent once (the
//! first to arrive spends it; there is no replacement), outputs of transactions that wait may be spent, an output that
//! cannot be spent in the next block is not waited for, and an upgrade plan is decided on by one transaction at a time.
//! Unlike bytomd's a pool does not remember ids of what was not good: a transaction's id does not cover its
//! signatures, so that whoever spoilt them would keep the good one out.

mod book;
mod judge;
mod keep;
mod orphans;
mod place;
mod pooled;
mod refusal;
mod settings;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use baton_ledger::{GasStatus, Hash, Mapped, Transaction};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::broadcast;

use crate::block::Committed;
use crate::chain::Chain;
use crate::error::ChainError;
use crate::parallel;
use crate::reader::Reader;

use judge::{Judged, judge};
use place::Places;

pub use keep::Packed;
pub(crate) use pooled::spent;
pub use pooled::{Admission, Origin, PoolEvent, PoolStats, Pooled};
pub use refusal::{PoolError, Reason, Refusal};
pub use settings::PoolSettings;

/// How many events a slow listener may be behind.
const EVENTS_CAPACITY: usize = 65_536;

/// How many transactions are placed, or taken out, before others get a turn.
const AT_ONCE: usize = 256;

/// The pool of a chain. Cheap to clone; all clones are the same pool.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    chain: Chain,
    settings: PoolSettings,
    /// This lock is passed on to who has waited for long: the standard library's would be had again at once by who gave it back.
    places: Mutex<Places>,
    events: broadcast::Sender<PoolEvent>,
}

impl Pool {
    /// A pool for a chain, with what is still good of what [`Self::keep`] wrote to `kept` at the last stop.
    ///
    /// A file that makes no sense is told of in the log and taken for an empty one.
    pub fn open(
        chain: &Chain,
        settings: PoolSettings,
        kept: Option<&Path>,
    ) -> Result<Self, PoolError> {
        let (events, _) = broadcast::channel(EVENTS_CAPACITY);
        let pool = Self {
            shared: Arc::new(Shared {
                chain: chain.clone(),
                settings,
                places: Mutex::default(),
                events,
            }),
        };
        if let Some(kept) = kept {
            pool.load(kept)?;
        }
        Ok(pool)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.shared.places.lock()
    }

    /// Its limits.
    pub fn settings(&self) -> &PoolSettings {
        &self.shared.settings
    }

    /// Takes a transaction, if it is good.
    pub fn submit(&self, transaction: Transaction, origin: Origin) -> Result<Admission, Refusal> {
        let mut answers = self.submit_many(vec![transaction], origin);
        answers.pop().expect("one answer for one transaction")
    }

    /// Takes those of the transactions that are good, in order. They are judged on all cores.
    pub fn submit_many(
        &self,
        transactions: Vec<Transaction>,
        origin: Origin,
    ) -> Vec<Result<Admission, Refusal>> {
        let now = SystemTime::now();
        let transactions = transactions.into_iter().map(|each| (each, now)).collect();
        self.admit(transactions, origin, true, &[])
    }

    /// Takes transactions that arrived when it is said; orphans only if they are wanted. They get these numbers, if any are
    /// given.
    fn admit(
        &self,
        transactions: Vec<(Transaction, SystemTime)>,
        origin: Origin,
        orphans: bool,
        numbers: &[u64],
    ) -> Vec<Result<Admission, Refusal>> {
        let count = transactions.len();
        let reader = match self.shared.chain.read() {
            Ok(reader) => reader,
            Err(error) => return failures(error, count),
        };
        let judged = self.judge_many(transactions, origin, &reader);
        let mut answers = Vec::with_capacity(count);
        let mut judged = judged.into_iter();
        while answers.len() < count {
            let mut placing = match self.placing(&reader) {
                Ok(placing) => placing,
                Err(error) => {
                    answers.extend(failures(error, count - answers.len()));
                    break;
                }
            };
            for judged in judged.by_ref().take(AT_ONCE) {
                if let Some(number) = numbers.get(answers.len()) {
                    placing.number(*number);
                }
                answers.push(judged.and_then(|judged| match judged {
                    Looked::Known(id) => Ok(known(id)),
                    Looked::Good(judged) => placing.place(judged, orphans),
                }));
            }
        }
        answers
    }

    /// Looks at each transaction by itself. The lock is taken here and not by the crew, which may be kept from giving it back.
    fn judge_many(
        &self,
        transactions: Vec<(Transaction, SystemTime)>,
        origin: Origin,
        reader: &Reader,
    ) -> Vec<Result<Looked, Refusal>> {
        let mapped = parallel::map(transactions, |(transaction, arrived)| {
            (Mapped::from(transaction), arrived)
        });
        let places = self.places();
        let knows = |(mapped, arrived): (Mapped, SystemTime)| {
            let knows = places.knows(&mapped.id());
            (mapped, arrived, knows)
        };
        let looked: Vec<_> = mapped.into_iter().map(knows).collect();
        drop(places);
        let Shared {
            chain, settings, ..
        } = &*self.shared;
        parallel::map(looked, |(mapped, arrived, known)| {
            if known {
                return Ok(Looked::Known(mapped.id()));
            }
            judge(chain, settings, reader, mapped, origin, arrived).map(Looked::Good)
        })
    }

    /// A transaction that waits, orphans left out.
    pub fn get(&self, id: &Hash) -> Option<Arc<Pooled>> {
        self.places().book.get(id).cloned()
    }

    /// All ids, in the order of arrival.
    pub fn ids(&self) -> Vec<Hash> {
        let places = self.places();
        places.book.all().map(|pooled| pooled.id()).collect()
    }

    /// All transactions, in the order of arrival.
    pub fn all(&self) -> Vec<Arc<Pooled>> {
        self.places().book.all().cloned().collect()
    }

    /// Those that wait and came with this number or later, with their numbers, and the number of the next one.
    pub fn since(&self, number: u64) -> (Vec<(u64, Arc<Pooled>)>, u64) {
        let places = self.places();
        let since = places.book.since(number);
        let since = since.map(|(number, pooled)| (number, pooled.clone()));
        (since.collect(), places.book.next())
    }

    /// All orphans, in the order of arrival.
    fn orphans(&self) -> Vec<Arc<Pooled>> {
        self.places().orphans.all().cloned().collect()
    }

    /// The transaction in the pool that makes an output, with the output's number.
    pub fn maker(&self, output: &Hash) -> Option<(Arc<Pooled>, usize)> {
        let places = self.places();
        let (pooled, position) = places.book.maker(output)?;
        Some((pooled.clone(), position))
    }

    /// The transaction in the pool that spends an output.
    pub fn spender(&self, output: &Hash) -> Option<Hash> {
        self.places().book.spender(output)
    }

    /// How many transactions wait, without orphans.
    pub fn len(&self) -> usize {
        self.places().book.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of their encodings.
    pub fn total_bytes(&self) -> usize {
        self.places().book.bytes()
    }

    /// How full it is.
    pub fn stats(&self) -> PoolStats {
        let places = self.places();
        PoolStats {
            transactions: places.book.len(),
            bytes: places.book.bytes(),
            orphans: places.orphans.len(),
            orphan_bytes: places.orphans.bytes(),
        }
    }

    /// Whether a transaction is known: it waits, is an orphan or was in one of the last blocks.
    pub fn knows(&self, id: &Hash) -> bool {
        self.places().knows(id)
    }

    /// What happens in the pool from now on. Who lags behind by more than 65 536 events misses some.
    pub fn events(&self) -> broadcast::Receiver<PoolEvent> {
        self.shared.events.subscribe()
    }

    /// Forgets what a block made obsolete: its transactions, what spends the same outputs, what is too late now; takes
    /// the orphans whose parents it brought. Whoever commits a block calls this before anything else.
    pub fn block_committed(&self, committed: &Committed) {
        let done = self.shared.chain.read().and_then(|reader| {
            let transactions = committed.transactions();
            for some in transactions.chunks(AT_ONCE) {
                self.placing(&reader)?.settle(some, committed.height());
            }
            self.placing(&reader)?.look_ahead()?;
            for some in transactions.chunks(AT_ONCE) {
                self.placing(&reader)?.adopt_children(some)?;
            }
            Ok(())
        });
        if let Err(error) = done {
            // drafts find out for themselves what is not valid any more
            tracing::error!(%error, "the pool could not read the chain");
        }
    }

    /// Forgets what waits for too long; to be called once in a while.
    pub fn expire(&self, now: SystemTime) {
        let settings = &self.shared.settings;
        let mut places = self.places();
        places.orphans.expire(now, settings.orphan_lifetime);
        if let Some(time) = now.checked_sub(settings.lifetime) {
            for id in places.book.arrived_before(time) {
                places.dismiss(&id, Reason::Expired, &self.shared.events);
            }
        }
    }

    /// The first to arrive, as many as fit into a block, parents before children.
    pub(crate) fn first(&self, max_gas: u64, max_bytes: usize) -> Vec<Arc<Pooled>> {
        self.places().book.first(max_gas, max_bytes)
    }

    /// Forgets a transaction that turned out not to be valid, and those that spend its outputs.
    pub(crate) fn dismiss(&self, id: &Hash, why: String) {
        let events = &self.shared.events;
        self.places().dismiss(id, Reason::Invalid(why), events);
    }

    /// Notes that transactions were found valid for a block at `height`, and what gas they use there.
    pub(crate) fn confirm(&self, good: &HashMap<Hash, GasStatus>, height: u64) {
        let mut places = self.places();
        for (id, gas) in good {
            places.book.confirm(id, height, *gas);
        }
    }

    /// The gas of those transactions that were found valid for a block at `height`, with these very witnesses. Replaces
    /// them by the pool's own, so that each is in memory once.
    pub(crate) fn known(
        &self,
        transactions: &mut [Arc<Mapped>],
        height: u64,
    ) -> HashMap<Hash, GasStatus> {
        let places = self.places();
        let waiting = transactions.iter();
        let waiting: Vec<_> = waiting
            .map(|transaction| places.book.get(&transaction.id()).cloned())
            .collect();
        drop(places);
        let mut known = HashMap::new();
        for (transaction, pooled) in transactions.iter_mut().zip(waiting) {
            let Some(pooled) = pooled else {
                continue;
            };
            if pooled.is_valid_at(height) && *pooled.transaction == **transaction {
                *transaction = pooled.transaction.clone();
                known.insert(pooled.id(), pooled.gas);
            }
        }
        known
    }
}

/// What came out of looking at a transaction.
enum Looked {
    Known(Hash),
    Good(Judged),
}

fn known(id: Hash) -> Admission {
    Admission {
        id,
        already_known: true,
        orphan: false,
    }
}

/// The same failure for each: what failed was the reading of the chain.
fn failures(error: ChainError, count: usize) -> Vec<Result<Admission, Refusal>> {
    let told = error.to_string();
    let mut failures = vec![Err(Refusal::Failed(error))];
    failures.resize_with(count, || {
        Err(Refusal::Failed(ChainError::State(told.clone())))
    });
    failures.truncate(count);
    failures
}
