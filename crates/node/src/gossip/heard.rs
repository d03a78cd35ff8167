//! What peers told lately, and need not be told.

use std::collections::{HashSet, VecDeque};

use baton_ledger::Hash;

/// Transactions that are remembered; the oldest are forgotten first.
const MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Heard {
    ids: HashSet<Hash>,
    order: VecDeque<Hash>,
}

impl Heard {
    pub(super) fn has(&self, id: &Hash) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn note(&mut self, id: Hash) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut heard = Heard::default();
        let id = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
            Hash(bytes)
        };
        for number in 0..=MAX {
            heard.note(id(number));
            heard.note(id(number));
        }
        assert_eq!(heard.ids.len(), MAX);
        assert!(!heard.has(&id(0)) && heard.has(&id(MAX)));
    }
}
