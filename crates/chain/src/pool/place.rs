//! Finding a transaction its place among those that wait.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use baton_ledger::entry::ResultKind;
use baton_ledger::state::{Utxo, UtxoKind, check_spendable};
use baton_ledger::{Hash, Mapped};
use parking_lot::MutexGuard;
use tokio::sync::broadcast;

use super::book::{Book, made};
use super::judge::{Judged, check_plan, unspent};
use super::orphans::Orphans;
use super::pooled::{Admission, PoolEvent, Pooled, spent};
use super::refusal::{Reason, Refusal};
use super::{Pool, Shared, known};
use crate::error::ChainError;
use crate::reader::Reader;

/// How many ids of committed transactions are remembered: those that come late are known.
const MAX_PAST: usize = 200_000;

/// Who waits, who waits for somebody else to come, and who was in the last blocks.
#[derive(Default)]
pub(super) struct Places {
    pub(super) book: Book,
    pub(super) orphans: Orphans,
    past: Past,
}

/// The ids of the last transactions that were committed.
#[derive(Default)]
struct Past {
    ids: HashSet<Hash>,
    order: VecDeque<Hash>,
}

impl Past {
    fn add(&mut self, id: Hash) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > MAX_PAST
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

impl Places {
    pub(super) fn knows(&self, id: &Hash) -> bool {
        self.book.contains(id) || self.orphans.contains(id) || self.past.ids.contains(id)
    }

    /// Removes a transaction for a reason, and with it those that spend its outputs.
    pub(super) fn dismiss(
        &mut self,
        id: &Hash,
        reason: Reason,
        events: &broadcast::Sender<PoolEvent>,
    ) {
        let mut reason = Some(reason);
        for pooled in self.book.remove_family(id) {
            let reason = reason.take().unwrap_or(Reason::Parent(*id));
            // nobody need listen
            let _ = events.send(PoolEvent::Removed(pooled.id(), reason));
        }
    }
}

/// The pool, locked, and a snapshot of the state that is not older than the last block.
pub(super) struct Placing<'p> {
    shared: &'p Shared,
    places: MutexGuard<'p, Places>,
    reader: Fresh<'p>,
}

/// A snapshot that was good enough, or a newer one.
enum Fresh<'p> {
    Given(&'p Reader),
    New(Box<Reader>),
}

impl Pool {
    /// Locks the pool. Blocks that were committed since `reader` was made are seen.
    pub(super) fn placing<'p>(&'p self, reader: &'p Reader) -> Result<Placing<'p>, ChainError> {
        let places = self.places();
        let chain = &self.shared.chain;
        let reader = if chain.tip().height > reader.tip().height {
            Fresh::New(Box::new(chain.read()?))
        } else {
            Fresh::Given(reader)
        };
        Ok(Placing {
            shared: &self.shared,
            places,
            reader,
        })
    }
}

impl Placing<'_> {
    fn reader(&self) -> &Reader {
        match &self.reader {
            Fresh::Given(reader) => reader,
            Fresh::New(reader) => reader,
        }
    }

    /// The height of the next block.
    fn height(&self) -> u64 {
        self.reader().tip().height + 1
    }

    /// The next one that is taken in has this number.
    pub(super) fn number(&mut self, next: u64) {
        self.places.book.set_next(next);
    }

    /// Takes a transaction in, and the orphans that waited for it.
    pub(super) fn place(&mut self, judged: Judged, orphans: bool) -> Result<Admission, Refusal> {
        let Judged { pooled, mut inputs } = judged;
        if let Fresh::New(reader) = &self.reader {
            // it was judged by an older state
            inputs = unspent(reader, &pooled.transaction)?;
        }
        let admission = self.place_one(&pooled, &inputs, orphans)?;
        if !admission.orphan && !admission.already_known {
            let outputs = made(&pooled.transaction);
            self.adopt(outputs.map(|(_, output)| output).collect())?;
        }
        Ok(admission)
    }

    fn place_one(
        &mut self,
        pooled: &Arc<Pooled>,
        inputs: &[(Hash, Option<Utxo>)],
        orphans: bool,
    ) -> Result<Admission, Refusal> {
        let id = pooled.id();
        if self.places.knows(&id) {
            return Ok(known(id));
        }
        if let Some((output, by)) = self.places.book.conflict(&pooled.transaction) {
            return Err(Refusal::Conflict { output, by });
        }
        if let Some(by) = self.places.book.plan().filter(|_| pooled.plans) {
            return Err(Refusal::PlanPending { by });
        }
        let mut missing = Vec::new();
        for (output, utxo) in inputs {
            let Some(utxo) = utxo.or_else(|| self.waiting(output)) else {
                missing.push(*output);
                continue;
            };
            let params = self.shared.chain.params();
            check_spendable(&utxo, self.height(), params).map_err(|fault| Refusal::Spend {
                output: *output,
                fault,
            })?;
        }
        let settings = &self.shared.settings;
        let mut admission = Admission {
            id,
            already_known: false,
            orphan: false,
        };
        if !missing.is_empty() {
            if orphans {
                self.places.orphans.add(
                    pooled.clone(),
                    missing,
                    SystemTime::now(),
                    settings.max_orphans,
                    settings.max_orphan_bytes,
                );
            }
            admission.orphan = true;
            return Ok(admission);
        }
        let book = &mut self.places.book;
        let (transactions, bytes) = (book.len(), book.bytes());
        if transactions >= settings.max_transactions
            || bytes + pooled.bytes.len() > settings.max_bytes
        {
            return Err(Refusal::Full {
                transactions,
                bytes,
                max_transactions: settings.max_transactions,
                max_bytes: settings.max_bytes,
            });
        }
        let number = book.add(pooled.clone());
        // nobody need listen
        let added = PoolEvent::Added(pooled.clone(), number);
        let _ = self.shared.events.send(added);
        Ok(admission)
    }

    /// An output that a waiting transaction makes, as it will be in the next block.
    fn waiting(&self, output: &Hash) -> Option<Utxo> {
        let (maker, position) = self.places.book.maker(output)?;
        let kind = match maker.transaction.entries().outputs[position].kind {
            ResultKind::Vote => UtxoKind::Vote,
            ResultKind::Original | ResultKind::Retirement => UtxoKind::Normal,
        };
        let height = self.height();
        Some(Utxo { kind, height })
    }

    /// Places the orphans that waited for these outputs, and those that waited for theirs.
    fn adopt(&mut self, outputs: Vec<Hash>) -> Result<(), ChainError> {
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            for orphan in self.places.orphans.take_waiting(&output) {
                let inputs = unspent(self.reader(), &orphan.transaction)?;
                match self.place_one(&orphan, &inputs, true) {
                    Ok(admission) if !admission.orphan && !admission.already_known => {
                        let made = made(&orphan.transaction);
                        outputs.extend(made.map(|(_, output)| output));
                    }
                    Ok(_) => {}
                    Err(Refusal::Failed(error)) => return Err(error),
                    Err(refusal) => {
                        tracing::debug!(id = %orphan.id(), %refusal, "an orphan is not taken");
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes transactions that are in a block, and those that spend what they spend.
    pub(super) fn settle(&mut self, transactions: &[Arc<Mapped>], height: u64) {
        for transaction in transactions {
            self.settle_one(transaction, height);
        }
    }

    /// Removes what cannot be in the next block, nor in a later one.
    pub(super) fn look_ahead(&mut self) -> Result<(), ChainError> {
        let next = self.height();
        for id in self.places.book.too_late(next) {
            self.dismiss(&id, Reason::TimeRange);
        }
        self.judge_plan()
    }

    /// Takes the orphans that waited for transactions which are in a block.
    pub(super) fn adopt_children(&mut self, parents: &[Arc<Mapped>]) -> Result<(), ChainError> {
        for transaction in parents {
            if self.places.orphans.is_empty() {
                break;
            }
            let outputs = made(transaction);
            self.adopt(outputs.map(|(_, output)| output).collect())?;
        }
        Ok(())
    }

    fn settle_one(&mut self, transaction: &Mapped, height: u64) {
        let id = transaction.id();
        let places = &mut *self.places;
        places.past.add(id);
        places.orphans.remove(&id);
        if places.book.remove(&id).is_some() {
            let event = PoolEvent::Removed(id, Reason::Committed(height));
            // nobody need listen
            let _ = self.shared.events.send(event);
            return;
        }
        for output in spent(transaction) {
            if let Some(other) = self.places.book.spender(&output) {
                self.dismiss(&other, Reason::Conflict(height));
            }
        }
    }

    /// Removes the transaction that decides on the upgrade plan if that cannot be decided any more.
    fn judge_plan(&mut self) -> Result<(), ChainError> {
        let Some(id) = self.places.book.plan() else {
            return Ok(());
        };
        let Some(pooled) = self.places.book.get(&id).cloned() else {
            return Ok(());
        };
        match check_plan(&self.shared.chain, self.reader(), &pooled.transaction) {
            Ok(_) => {}
            Err(Refusal::Failed(error)) => return Err(error),
            Err(refusal) => self.dismiss(&id, Reason::Invalid(refusal.to_string())),
        }
        Ok(())
    }

    fn dismiss(&mut self, id: &Hash, reason: Reason) {
        self.places.dismiss(id, reason, &self.shared.events);
    }
}
