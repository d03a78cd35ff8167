//! Following instances from block to block.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use baton_ledger::hash::sha3_256;
use baton_ledger::{Hash, Mapped};

use super::instance::{Instance, Status, calling};
use crate::pool::spent;

/// Instances, and which outputs are theirs.
#[derive(Debug, Default)]
pub(super) struct Followed {
    instances: BTreeMap<Hash, Instance>,
    /// Who has an output: instances that are followed from different transactions on may be the same later.
    owners: HashMap<Hash, BTreeSet<Hash>>,
}

/// The instances that begin with a transaction, or go on with it: one for each contract that its outputs call.
pub(super) fn begin(transaction: &Mapped, height: u64) -> Vec<Instance> {
    let mut outputs: BTreeMap<[u8; 32], Vec<_>> = BTreeMap::new();
    for (contract, output) in calling(transaction) {
        outputs.entry(contract).or_default().push(output);
    }
    let origin = transaction.id();
    let instances = outputs.into_iter();
    instances
        .map(|(contract, unspent)| Instance {
            trace_id: sha3_256(&[b"baton trace", origin.as_bytes(), &contract]),
            contract,
            origin,
            origin_height: height,
            transaction_id: origin,
            height,
            unspent,
            spent: Vec::new(),
            status: Status::Active,
        })
        .collect()
}

impl Followed {
    pub(super) fn len(&self) -> usize {
        self.instances.len()
    }

    pub(super) fn get(&self, trace_id: &Hash) -> Option<&Instance> {
        self.instances.get(trace_id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    pub(super) fn add(&mut self, instance: Instance) {
        for output in &instance.unspent {
            let owners = self.owners.entry(output.id).or_default();
            owners.insert(instance.trace_id);
        }
        self.instances.insert(instance.trace_id, instance);
    }

    pub(super) fn remove(&mut self, trace_id: &Hash) -> Option<Instance> {
        let instance = self.instances.remove(trace_id)?;
        for output in &instance.unspent {
            self.disown(&output.id, trace_id);
        }
        Some(instance)
    }

    fn disown(&mut self, output: &Hash, trace_id: &Hash) {
        if let Some(owners) = self.owners.get_mut(output) {
            owners.remove(trace_id);
            if owners.is_empty() {
                self.owners.remove(output);
            }
        }
    }

    /// Follows the transactions of the block at a height; whose outputs they spent.
    pub(super) fn block(&mut self, transactions: &[Arc<Mapped>], height: u64) -> BTreeSet<Hash> {
        let mut moved = BTreeSet::new();
        if self.owners.is_empty() {
            return moved;
        }
        for transaction in transactions {
            let touched: BTreeSet<Hash> = spent(transaction)
                .filter_map(|output| self.owners.get(&output))
                .flatten()
                .copied()
                .collect();
            for trace_id in &touched {
                self.step(trace_id, transaction, height);
            }
            moved.extend(touched);
        }
        moved
    }

    /// Moves an instance on by a transaction that spends outputs of it.
    fn step(&mut self, trace_id: &Hash, transaction: &Mapped, height: u64) {
        let Some(mut instance) = self.remove(trace_id) else {
            return;
        };
        let gone: BTreeSet<Hash> = spent(transaction).collect();
        let outputs = std::mem::take(&mut instance.unspent).into_iter();
        (instance.spent, instance.unspent) = outputs.partition(|output| gone.contains(&output.id));
        let made = calling(transaction).filter(|(contract, _)| *contract == instance.contract);
        instance.unspent.extend(made.map(|(_, output)| output));
        if instance.unspent.is_empty() {
            instance.status = Status::Ended;
        }
        instance.transaction_id = transaction.id();
        instance.height = height;
        self.add(instance);
    }
}
