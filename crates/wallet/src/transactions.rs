//! Transactions in the chain that concern the wallet, by their place, so that the newest are read first.

use baton_ledger::{Hash, Transaction, entry::spent_output_id};
use serde::{Deserialize, Serialize};

use crate::{
    error::WalletError,
    layout::{self, Place},
    store::{Draft, Order, pages},
    text::as_bytes,
};

/// A transaction of the wallet, as it was in its block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(with = "as_bytes")]
    pub(crate) id: Hash,
    #[serde(with = "as_bytes")]
    pub(crate) block_hash: Hash,
    pub(crate) block_time_ms: u64,
    /// How many transactions the block has.
    pub(crate) block_transactions: u32,
    /// The transaction's encoding.
    pub(crate) bytes: Vec<u8>,
    /// The accounts it takes from or pays to, each once.
    pub(crate) accounts: Vec<String>,
}

impl Kept {
    pub(crate) fn transaction(&self, place: Place) -> Result<Transaction, WalletError> {
        Transaction::decode(&self.bytes).map_err(|_| WalletError::Damaged {
            key: hex::encode(layout::transaction(place)),
            source: postcard::Error::SerdeDeCustom,
        })
    }
}

pub(crate) fn put(draft: &mut Draft<'_>, place: Place, kept: &Kept) {
    draft.put(layout::transaction(place), kept);
    draft.put(layout::transaction_id(&kept.id), &place);
    draft.set(layout::transaction_of(None, place), Some(Vec::new()));
    for account in &kept.accounts {
        draft.set(
            layout::transaction_of(Some(account), place),
            Some(Vec::new()),
        );
    }
}

pub(crate) fn remove(draft: &mut Draft<'_>, place: Place, kept: &Kept) {
    draft.remove(layout::transaction(place));
    draft.remove(layout::transaction_id(&kept.id));
    draft.remove(layout::transaction_of(None, place));
    for account in &kept.accounts {
        draft.remove(layout::transaction_of(Some(account), place));
    }
}

/// Removes an account from all transactions, and those that concern no other.
pub(crate) fn forget(draft: &mut Draft<'_>, account: &str) -> Result<(), WalletError> {
    let prefix = layout::transactions_of(Some(account));
    for record in pages(draft.snapshot(), &prefix, Order::Ascending) {
        let (key, _) = record?;
        let place = layout::place(&key).ok_or(WalletError::Missing("transaction"))?;
        let mut kept: Kept = draft
            .get(&layout::transaction(place))?
            .ok_or(WalletError::Missing("transaction"))?;
        for input in &kept.transaction(place)?.inputs {
            if let Some(id) = spent_output_id(input) {
                let key = layout::spent(&id);
                let spent: Option<crate::holdings::Spent> = draft.get(&key)?;
                if spent.is_some_and(|spent| spent.output.account == account) {
                    draft.remove(key);
                }
            }
        }
        remove(draft, place, &kept);
        kept.accounts.retain(|other| other != account);
        if !kept.accounts.is_empty() {
            put(draft, place, &kept);
        }
    }
    Ok(())
}
