//! Transactions that spend outputs nobody knows yet: their parents may be on the way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use baton_ledger::Hash;

use super::pooled::Pooled;

/// Orphans, the oldest first to go when there are too many.
#[derive(Default)]
pub(super) struct Orphans {
    kept: HashMap<Hash, Orphan>,
    /// Who waits for an output.
    waiting: HashMap<Hash, Vec<Hash>>,
    /// By the order in which they came.
    order: BTreeMap<u64, Hash>,
    next: u64,
    bytes: usize,
}

struct Orphan {
    pooled: Arc<Pooled>,
    missing: Vec<Hash>,
    ticket: u64,
    since: SystemTime,
}

impl Orphans {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// In the order in which they came.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Pooled>> {
        let kept = self.order.values().filter_map(|id| self.kept.get(id));
        kept.map(|orphan| &orphan.pooled)
    }

    pub(super) fn contains(&self, id: &Hash) -> bool {
        self.kept.contains_key(id)
    }

    /// Keeps a transaction that waits for the outputs `missing`. If there are too many orphans then, the oldest go.
    pub(super) fn add(
        &mut self,
        pooled: Arc<Pooled>,
        missing: Vec<Hash>,
        now: SystemTime,
        max_count: usize,
        max_bytes: usize,
    ) {
        let id = pooled.id();
        let ticket = self.next;
        self.next += 1;
        self.bytes += pooled.bytes.len();
        for output in &missing {
            self.waiting.entry(*output).or_default().push(id);
        }
        self.order.insert(ticket, id);
        self.kept.insert(
            id,
            Orphan {
                pooled,
                missing,
                ticket,
                since: now,
            },
        );
        while self.kept.len() > max_count || self.bytes > max_bytes {
            let Some((_, oldest)) = self.order.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            self.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, id: &Hash) -> Option<Arc<Pooled>> {
        let orphan = self.kept.remove(id)?;
        self.order.remove(&orphan.ticket);
        self.bytes -= orphan.pooled.bytes.len();
        for output in &orphan.missing {
            if let Some(waiting) = self.waiting.get_mut(output) {
                waiting.retain(|other| other != id);
                if waiting.is_empty() {
                    self.waiting.remove(output);
                }
            }
        }
        Some(orphan.pooled)
    }

    /// Takes out those that wait for an output, to be looked at again.
    pub(super) fn take_waiting(&mut self, output: &Hash) -> Vec<Arc<Pooled>> {
        let waiting = self.waiting.get(output).cloned().unwrap_or_default();
        waiting.iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Forgets those that have waited for longer than `lifetime`.
    pub(super) fn expire(&mut self, now: SystemTime, lifetime: Duration) {
        let is_old = |orphan: &Orphan| {
            let waited = now.duration_since(orphan.since);
            waited.is_ok_and(|waited| waited > lifetime)
        };
        let old = self.kept.iter().filter(|(_, orphan)| is_old(orphan));
        let old: Vec<Hash> = old.map(|(id, _)| *id).collect();
        for id in old {
            self.remove(&id);
        }
    }
}
