//! Transactions that are in the pool and not yet in a block: what they bring, and what they will take.
//!
//! In memory only: the node keeps its pool itself and tells it again after a start.

use std::collections::{BTreeMap, HashMap, HashSet};

use baton_ledger::{Entries, Hash, Transaction, entry::spent_output_id};
use jiff::Timestamp;

use crate::{
    error::WalletError, follow, holdings, layout, receiver, store::Draft, unspent::Unspent,
    wallet::Wallet,
};

/// Most transactions that are watched; as many as the pool has.
pub const MAX_UNCONFIRMED: usize = 10_000;

/// A transaction that concerns the wallet.
#[derive(Debug, Clone)]
pub(crate) struct Unconfirmed {
    pub(crate) transaction: Transaction,
    pub(crate) entries: Entries,
    pub(crate) since: Timestamp,
    /// Sorted, each once.
    pub(crate) accounts: Vec<String>,
    outputs: Vec<Hash>,
    spends: Vec<Hash>,
}

/// The wallet's part of the pool.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    transactions: HashMap<Hash, Unconfirmed>,
    outputs: BTreeMap<Hash, Unspent>,
    /// By output, the transaction that spends it.
    spent: HashMap<Hash, Hash>,
}

impl Pool {
    /// Outputs that pool transactions made, in the order of their ids.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &Unspent> {
        self.outputs.values()
    }

    pub(crate) fn output(&self, id: &Hash) -> Option<&Unspent> {
        self.outputs.get(id)
    }

    /// Whether a transaction of the pool spends the output.
    pub(crate) fn spends(&self, id: &Hash) -> bool {
        self.spent.contains_key(id)
    }

    pub(crate) fn get(&self, id: &Hash) -> Option<&Unconfirmed> {
        self.transactions.get(id)
    }

    /// The transactions, newest first.
    pub(crate) fn newest_first(&self) -> Vec<(&Hash, &Unconfirmed)> {
        let mut all: Vec<_> = self.transactions.iter().collect();
        all.sort_unstable_by(|a, b| b.1.since.cmp(&a.1.since).then(a.0.cmp(b.0)));
        all
    }

    fn remove(&mut self, id: &Hash) {
        let Some(gone) = self.transactions.remove(id) else {
            return;
        };
        for output in &gone.outputs {
            self.outputs.remove(output);
        }
        for output in &gone.spends {
            self.spent.remove(output);
        }
    }

    /// Removes what a block took: its transactions, and those it made impossible by what it `spent`.
    pub(crate) fn confirm(&mut self, ids: &[Hash], spent: &[Hash]) {
        for id in ids {
            self.remove(id);
        }
        for output in spent {
            if let Some(rival) = self.spent.get(output).copied() {
                self.remove(&rival);
            }
        }
    }

    /// Forgets an account's outputs.
    pub(crate) fn forget(&mut self, account: &str) {
        let concerned: HashSet<Hash> = self
            .transactions
            .iter()
            .filter(|(_, one)| one.accounts.iter().any(|other| other == account))
            .map(|(id, _)| *id)
            .collect();
        for id in concerned {
            self.remove(&id);
        }
    }
}

impl Wallet {
    /// Takes note of a transaction that came into the pool; `true` if it concerns the wallet.
    pub fn add_unconfirmed(
        &self,
        transaction: &Transaction,
        now: Timestamp,
    ) -> Result<bool, WalletError> {
        // The pool first: a block that is attached meanwhile waits for it, or is in the snapshot.
        let mut pool = self.pool();
        let snapshot = self.read()?;
        let draft = Draft::new(&*snapshot);
        let (mut accounts, mut spends) = (Vec::new(), Vec::new());
        for input in &transaction.inputs {
            let Some(id) = spent_output_id(input) else {
                continue;
            };
            let output = match pool.output(&id) {
                Some(output) => Some(output.clone()),
                None => holdings::get(&draft, &id)?,
            };
            if let Some(output) = output {
                accounts.push(output.account);
                spends.push(id);
            }
        }
        let mut receivers = Vec::new();
        for (position, output) in transaction.outputs.iter().enumerate() {
            if let Some(receiver) = receiver::find(&*snapshot, &output.control_program)? {
                accounts.push(receiver.account.clone());
                receivers.push((position, receiver));
            }
        }
        if accounts.is_empty() {
            return Ok(false);
        }
        let entries = Entries::of(transaction);
        let id = entries.transaction_id;
        if pool.transactions.contains_key(&id) {
            return Ok(true);
        }
        if draft.contains(&layout::transaction_id(&id))? {
            // A block was quicker.
            return Ok(false);
        }
        if pool.transactions.len() >= MAX_UNCONFIRMED {
            return Err(WalletError::PoolFull(MAX_UNCONFIRMED));
        }
        let mut outputs = Vec::new();
        // The next block is the first that may have it: from there on votes are locked.
        let next = follow::best(&draft)?.map_or(0, |best| best.height + 1);
        for (position, receiver) in receivers {
            let made = Unspent::of(
                transaction,
                &entries,
                position,
                &receiver,
                next,
                self.params(),
            );
            if let Some(mut output) = made {
                output.height = 0;
                outputs.push(output.id);
                pool.outputs.insert(output.id, output);
            }
        }
        for output in &spends {
            pool.spent.insert(*output, id);
        }
        accounts.sort_unstable();
        accounts.dedup();
        pool.transactions.insert(
            id,
            Unconfirmed {
                transaction: transaction.clone(),
                entries,
                since: now,
                accounts,
                outputs,
                spends,
            },
        );
        self.changed();
        Ok(true)
    }

    /// Takes note of a transaction that left the pool.
    pub fn remove_unconfirmed(&self, id: &Hash) {
        self.pool().remove(id);
        self.changed();
    }
}
