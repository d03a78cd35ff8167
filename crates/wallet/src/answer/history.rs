//! Transactions of the wallet: in the pool and in the chain, newest first, page by page.

use baton_ledger::{AssetId, Entries, Hash, Mapped, Transaction};
use serde::{Deserialize, Serialize};

use super::{AnnotatedInput, AnnotatedOutput, is_none_or_empty};
use crate::{
    error::WalletError,
    layout::{self, Place},
    pool::Unconfirmed,
    store::{Draft, Order, pages},
    text::as_text,
    transactions::Kept,
    wallet::{Page, Wallet},
};

/// The answer to `get-transaction`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransactionInfo {
    #[serde(with = "as_text")]
    pub tx_id: Hash,
    /// Milliseconds since 1970; while it is in the pool, seconds.
    pub block_time: u64,
    #[serde(with = "as_text")]
    pub block_hash: Hash,
    pub block_height: u64,
    pub block_index: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub block_transactions_count: u32,
    pub inputs: Vec<AnnotatedInput>,
    pub outputs: Vec<AnnotatedOutput>,
    pub size: usize,
}

/// A transaction in short, as in `list-transactions` without `detail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionSummary {
    #[serde(with = "as_text")]
    pub tx_id: Hash,
    pub block_time: u64,
    pub inputs: Vec<Summary>,
    pub outputs: Vec<Summary>,
}

/// An input or output in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub r#type: String,
    #[serde(with = "as_text")]
    pub asset_id: AssetId,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub asset_alias: String,
    #[serde(default, skip_serializing_if = "is_none")]
    pub amount: u64,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub account_id: String,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub account_alias: String,
    #[serde(default, with = "hex::serde", skip_serializing_if = "Vec::is_empty")]
    pub arbitrary: Vec<u8>,
}

/// What `list-transactions` is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct HistoryFilter {
    /// One transaction.
    pub id: String,
    pub account_id: String,
    pub detail: bool,
    /// Whether transactions in the pool are shown too, first.
    pub unconfirmed: bool,
    #[serde(flatten)]
    pub page: Page,
}

/// The answer to `list-transactions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum History {
    /// With `detail`.
    Details(Vec<TransactionInfo>),
    /// Without.
    Summaries(Vec<TransactionSummary>),
}

impl Wallet {
    /// A transaction that concerns the wallet, in the chain or in the pool.
    pub fn transaction(&self, id: &Hash) -> Result<TransactionInfo, WalletError> {
        self.find_transaction(id, true)
    }

    /// Says what any transaction is, with the names that the wallet has for its assets and accounts. Where it is in the chain, the
    /// caller adds.
    pub fn describe(&self, mapped: &Mapped) -> Result<TransactionInfo, WalletError> {
        let snapshot = self.read()?;
        self.info(
            &Draft::new(&*snapshot),
            mapped.transaction(),
            mapped.entries(),
        )
    }

    /// Transactions that concern the wallet, newest first.
    pub fn transactions(&self, filter: &HistoryFilter) -> Result<History, WalletError> {
        let details = if filter.id.is_empty() {
            self.page_of_transactions(filter)?
        } else {
            let id = filter
                .id
                .parse()
                .map_err(|_| WalletError::NoTransaction(Hash::ZERO))?;
            vec![self.find_transaction(&id, filter.unconfirmed)?]
        };
        Ok(if filter.detail {
            History::Details(details)
        } else {
            History::Summaries(details.into_iter().map(summary).collect())
        })
    }

    /// A transaction in the pool that concerns the wallet.
    pub fn unconfirmed_transaction(&self, id: &Hash) -> Result<TransactionInfo, WalletError> {
        let pool = self.pool();
        let unconfirmed = pool.get(id).ok_or(WalletError::NoTransaction(*id))?;
        self.unconfirmed_info(&Draft::new(&*self.read()?), unconfirmed)
    }

    fn find_transaction(
        &self,
        id: &Hash,
        unconfirmed: bool,
    ) -> Result<TransactionInfo, WalletError> {
        let snapshot = self.read()?;
        let draft = Draft::new(&*snapshot);
        match draft.get::<Place>(&layout::transaction_id(id))? {
            Some(place) => self.confirmed_info(&draft, place),
            None if unconfirmed => self.unconfirmed_transaction(id),
            None => Err(WalletError::NoTransaction(*id)),
        }
    }

    fn page_of_transactions(
        &self,
        filter: &HistoryFilter,
    ) -> Result<Vec<TransactionInfo>, WalletError> {
        let snapshot = self.read()?;
        let draft = Draft::new(&*snapshot);
        let account = Some(filter.account_id.as_str()).filter(|id| !id.is_empty());
        let mut infos = Vec::new();
        let Page { from, .. } = filter.page;
        let mut before = 0;
        if filter.unconfirmed {
            let pool = self.pool();
            let pending: Vec<&Unconfirmed> = pool
                .newest_first()
                .into_iter()
                .map(|(_, one)| one)
                .filter(|one| account.is_none_or(|id| one.accounts.iter().any(|other| other == id)))
                .collect();
            before = pending.len();
            for one in filter.page.of(pending.into_iter()) {
                infos.push(self.unconfirmed_info(&draft, one)?);
            }
        }
        let prefix = layout::transactions_of(account);
        let places = pages(&*snapshot, &prefix, Order::Descending)
            .skip(from.saturating_sub(before))
            .take(filter.page.take().saturating_sub(infos.len()));
        for record in places {
            let (key, _) = record?;
            let place = layout::place(&key).ok_or(WalletError::Missing("transaction"))?;
            infos.push(self.confirmed_info(&draft, place)?);
        }
        Ok(infos)
    }

    fn confirmed_info(
        &self,
        draft: &Draft<'_>,
        place: Place,
    ) -> Result<TransactionInfo, WalletError> {
        let kept: Kept = draft
            .get(&layout::transaction(place))?
            .ok_or(WalletError::Missing("transaction"))?;
        let transaction = kept.transaction(place)?;
        let entries = Entries::of(&transaction);
        let mut info = self.info(draft, &transaction, &entries)?;
        info.block_time = kept.block_time_ms;
        info.block_hash = kept.block_hash;
        info.block_transactions_count = kept.block_transactions;
        (info.block_height, info.block_index) = place;
        Ok(info)
    }

    fn unconfirmed_info(
        &self,
        draft: &Draft<'_>,
        unconfirmed: &Unconfirmed,
    ) -> Result<TransactionInfo, WalletError> {
        let mut info = self.info(draft, &unconfirmed.transaction, &unconfirmed.entries)?;
        info.block_time = u64::try_from(unconfirmed.since.as_second()).unwrap_or(0);
        Ok(info)
    }

    fn info(
        &self,
        draft: &Draft<'_>,
        transaction: &Transaction,
        entries: &Entries,
    ) -> Result<TransactionInfo, WalletError> {
        let prefix = self.params().prefix;
        let mut inputs = AnnotatedInput::all(transaction, entries, prefix);
        let mut outputs = AnnotatedOutput::all(transaction, entries, prefix);
        inputs.iter_mut().try_for_each(|input| input.name(draft))?;
        outputs
            .iter_mut()
            .try_for_each(|output| output.name(draft))?;
        Ok(TransactionInfo {
            tx_id: entries.transaction_id,
            block_time: 0,
            block_hash: Hash::ZERO,
            block_height: 0,
            block_index: 0,
            block_transactions_count: 0,
            inputs,
            outputs,
            size: transaction.size(),
        })
    }
}

fn summary(info: TransactionInfo) -> TransactionSummary {
    TransactionSummary {
        tx_id: info.tx_id,
        block_time: info.block_time,
        inputs: info
            .inputs
            .into_iter()
            .map(|input| Summary {
                r#type: input.r#type,
                asset_id: input.asset_id,
                asset_alias: input.asset_alias,
                amount: input.amount,
                account_id: input.account_id,
                account_alias: input.account_alias,
                arbitrary: input.arbitrary,
            })
            .collect(),
        outputs: info
            .outputs
            .into_iter()
            .map(|output| Summary {
                r#type: output.r#type,
                asset_id: output.asset_id,
                asset_alias: output.asset_alias,
                amount: output.amount,
                account_id: output.account_id,
                account_alias: output.account_alias,
                arbitrary: Vec::new(),
            })
            .collect(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(amount: &u64) -> bool {
    *amount == 0
}
