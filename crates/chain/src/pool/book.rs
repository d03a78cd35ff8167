//! Who waits for a block, in the order of arrival, and how they depend on each other. No transaction here spends what
//! another here spends, and whoever spends what another makes came after it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use baton_ledger::entry::ResultKind;
use baton_ledger::{GasStatus, Hash, Mapped};

use super::pooled::{Pooled, spent};

/// How many transactions that do not fit into what is left of a block are passed over before the block is full.
const MAX_MISFITS: usize = 1_000;

/// The number of a transaction: they are given in the order of arrival.
type Ticket = u64;

/// Transactions that wait for a block.
#[derive(Default)]
pub(super) struct Book {
    waiting: BTreeMap<Ticket, Arc<Pooled>>,
    tickets: HashMap<Hash, Ticket>,
    /// Who makes an output that can be spent, and the number of the output.
    makers: HashMap<Hash, (Ticket, usize)>,
    /// Who spends an output.
    spenders: HashMap<Hash, Ticket>,
    /// Those that have a last height, by it.
    ranged: BTreeSet<(u64, Ticket)>,
    /// Who decides on the upgrade plan.
    plan: Option<Ticket>,
    next: Ticket,
    bytes: usize,
}

/// The outputs of a transaction that can be spent, with their numbers.
pub(super) fn made(transaction: &Mapped) -> impl Iterator<Item = (usize, Hash)> {
    let outputs = &transaction.transaction().outputs;
    let entries = transaction.entries().outputs.iter().enumerate();
    entries
        .filter(|(position, entry)| {
            entry.kind != ResultKind::Retirement && outputs[*position].amount > 0
        })
        .map(|(position, entry)| (position, entry.id))
}

impl Book {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn contains(&self, id: &Hash) -> bool {
        self.tickets.contains_key(id)
    }

    pub(super) fn get(&self, id: &Hash) -> Option<&Arc<Pooled>> {
        self.waiting.get(self.tickets.get(id)?)
    }

    /// All, in the order of arrival.
    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = &Arc<Pooled>> {
        self.waiting.values()
    }

    /// Who makes an output, and the number of the output.
    pub(super) fn maker(&self, output: &Hash) -> Option<(&Arc<Pooled>, usize)> {
        let (ticket, position) = self.makers.get(output)?;
        Some((self.waiting.get(ticket)?, *position))
    }

    /// Who spends an output.
    pub(super) fn spender(&self, output: &Hash) -> Option<Hash> {
        Some(self.waiting.get(self.spenders.get(output)?)?.id())
    }

    /// An output of a transaction that is spent here already, and who spends it.
    pub(super) fn conflict(&self, transaction: &Mapped) -> Option<(Hash, Hash)> {
        spent(transaction).find_map(|output| Some((output, self.spender(&output)?)))
    }

    /// Who decides on the upgrade plan.
    pub(super) fn plan(&self) -> Option<Hash> {
        Some(self.waiting.get(&self.plan?)?.id())
    }

    /// Adds a transaction that is not here, conflicts with none and whose parents are here or in the chain.
    pub(super) fn add(&mut self, pooled: Arc<Pooled>) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.bytes += pooled.bytes.len();
        self.tickets.insert(pooled.id(), ticket);
        for output in pooled.spent() {
            let before = self.spenders.insert(output, ticket);
            debug_assert!(before.is_none(), "{output} is spent twice");
        }
        for (position, output) in made(&pooled.transaction) {
            self.makers.insert(output, (ticket, position));
        }
        let last = pooled.transaction.transaction().time_range;
        if last != 0 {
            self.ranged.insert((last, ticket));
        }
        if pooled.plans {
            self.plan = Some(ticket);
        }
        self.waiting.insert(ticket, pooled);
        ticket
    }

    /// The number of the next one.
    pub(super) fn next(&self) -> Ticket {
        self.next
    }

    /// Leaves out numbers up to this one; a smaller one changes nothing.
    pub(super) fn set_next(&mut self, next: Ticket) {
        self.next = self.next.max(next);
    }

    /// Those with this number and later ones, with their numbers.
    pub(super) fn since(&self, ticket: Ticket) -> impl Iterator<Item = (Ticket, &Arc<Pooled>)> {
        let since = self.waiting.range(ticket..);
        since.map(|(ticket, pooled)| (*ticket, pooled))
    }

    /// Notes that a transaction was found valid for a block at `height`, and what gas it uses there.
    pub(super) fn confirm(&mut self, id: &Hash, height: u64, gas: GasStatus) {
        let ticket = self.tickets.get(id);
        if let Some(pooled) = ticket.and_then(|ticket| self.waiting.get_mut(ticket)) {
            let pooled = Arc::make_mut(pooled);
            pooled.valid_at = Some(height);
            pooled.gas = gas;
        }
    }

    /// Removes a transaction and leaves those that spend its outputs.
    pub(super) fn remove(&mut self, id: &Hash) -> Option<Arc<Pooled>> {
        let ticket = self.tickets.remove(id)?;
        let pooled = self.waiting.remove(&ticket)?;
        self.bytes -= pooled.bytes.len();
        for output in pooled.spent() {
            self.spenders.remove(&output);
        }
        for (_, output) in made(&pooled.transaction) {
            self.makers.remove(&output);
        }
        let last = pooled.transaction.transaction().time_range;
        self.ranged.remove(&(last, ticket));
        if self.plan == Some(ticket) {
            self.plan = None;
        }
        Some(pooled)
    }

    /// Removes a transaction and all that spend its outputs, or the outputs of those: it first.
    pub(super) fn remove_family(&mut self, id: &Hash) -> Vec<Arc<Pooled>> {
        let mut removed = Vec::new();
        let mut doomed = vec![*id];
        while let Some(id) = doomed.pop() {
            if let Some(pooled) = self.remove(&id) {
                let outputs = made(&pooled.transaction);
                doomed.extend(outputs.filter_map(|(_, output)| self.spender(&output)));
                removed.push(pooled);
            }
        }
        removed
    }

    /// Those that can be in no block from `height` on.
    pub(super) fn too_late(&self, height: u64) -> Vec<Hash> {
        let late = self.ranged.range(..(height, 0));
        let late = late.filter_map(|(_, ticket)| self.waiting.get(ticket));
        late.map(|pooled| pooled.id()).collect()
    }

    /// Those that arrived before.
    pub(super) fn arrived_before(&self, time: SystemTime) -> Vec<Hash> {
        let old = self.waiting.values();
        let old = old.take_while(|pooled| pooled.arrived < time);
        old.map(|pooled| pooled.id()).collect()
    }

    /// The first to arrive, as many as fit, none without its parents.
    pub(super) fn first(&self, max_gas: u64, max_bytes: usize) -> Vec<Arc<Pooled>> {
        let (mut gas, mut bytes) = (0_u64, 0_usize);
        let mut chosen = Vec::new();
        let mut passed_over: HashSet<Ticket> = HashSet::new();
        for (ticket, pooled) in &self.waiting {
            let gas_with = gas.saturating_add(pooled.gas.used);
            let bytes_with = bytes.saturating_add(pooled.bytes.len());
            let fits = gas_with <= max_gas && bytes_with <= max_bytes;
            // most of the time nobody is passed over, and nobody's parents are looked for
            let orphaned = !passed_over.is_empty()
                && pooled.spent().any(|output| {
                    let maker = self.makers.get(&output);
                    maker.is_some_and(|(maker, _)| passed_over.contains(maker))
                });
            if fits && !orphaned {
                (gas, bytes) = (gas_with, bytes_with);
                chosen.push(pooled.clone());
            } else {
                passed_over.insert(*ticket);
                if passed_over.len() == MAX_MISFITS {
                    break;
                }
            }
        }
        chosen
    }
}
