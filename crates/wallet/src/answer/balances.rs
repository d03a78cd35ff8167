//! Sums: balances and votes of accounts.

use baton_ledger::AssetId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asset_or_id;
use crate::{
    account::{self, Account, AccountName},
    error::WalletError,
    layout,
    store::{Draft, Order, Snapshot, pages},
    text::as_text,
    wallet::Wallet,
};

/// An answer to `list-balances`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    pub account_id: String,
    pub account_alias: String,
    pub asset_alias: String,
    #[serde(with = "as_text")]
    pub asset_id: AssetId,
    /// Units, whether they can be spent now or not; 2^64 - 1 if there are more.
    pub amount: u64,
    pub asset_definition: Value,
}

/// An answer to `list-account-votes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountVotes {
    pub account_id: String,
    pub account_alias: String,
    pub total_vote_number: u64,
    pub vote_details: Vec<VoteDetail>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteDetail {
    #[serde(with = "hex::serde")]
    pub vote: Vec<u8>,
    pub vote_number: u64,
}

impl Wallet {
    /// What accounts have, by account and asset; of one account if it is named.
    pub fn balances(&self, name: Option<AccountName<'_>>) -> Result<Vec<Balance>, WalletError> {
        let snapshot = self.read()?;
        let draft = Draft::new(&*snapshot);
        let mut balances = Vec::new();
        for account in accounts(&*snapshot, name)? {
            let prefix = layout::balances_of(&account.id);
            for record in pages(&*snapshot, &prefix, Order::Ascending) {
                let (key, value) = record?;
                let asset_id = AssetId(*key.last_chunk().ok_or(WalletError::Missing("asset"))?);
                let (asset_alias, asset_definition) = asset_or_id(&draft, &asset_id)?;
                balances.push(Balance {
                    account_id: account.id.clone(),
                    account_alias: account.alias.clone(),
                    asset_alias,
                    asset_id,
                    amount: shown(layout::decode(&key, &value)?),
                    asset_definition,
                });
            }
        }
        Ok(balances)
    }

    /// The votes of accounts, by account and validator; of one account if it is named.
    pub fn votes(&self, name: Option<AccountName<'_>>) -> Result<Vec<AccountVotes>, WalletError> {
        let snapshot = self.read()?;
        let mut votes = Vec::new();
        for account in accounts(&*snapshot, name)? {
            let prefix = layout::votes_of(&account.id);
            let (mut total, mut vote_details) = (0_u128, Vec::new());
            for record in pages(&*snapshot, &prefix, Order::Ascending) {
                let (key, value) = record?;
                let sum: u128 = layout::decode(&key, &value)?;
                total += sum;
                vote_details.push(VoteDetail {
                    vote: key[prefix.len()..].to_vec(),
                    vote_number: shown(sum),
                });
            }
            if !vote_details.is_empty() {
                votes.push(AccountVotes {
                    account_id: account.id,
                    account_alias: account.alias,
                    total_vote_number: shown(total),
                    vote_details,
                });
            }
        }
        Ok(votes)
    }
}

fn accounts(
    snapshot: &dyn Snapshot,
    name: Option<AccountName<'_>>,
) -> Result<Vec<Account>, WalletError> {
    match name {
        // bytomd answers an empty list for an id that it does not know.
        Some(name @ AccountName::Id(_)) => match account::find(snapshot, name) {
            Err(WalletError::NoAccount(_)) => Ok(Vec::new()),
            found => found.map(|account| vec![account]),
        },
        Some(name) => Ok(vec![account::find(snapshot, name)?]),
        None => account::all(snapshot),
    }
}

fn shown(sum: u128) -> u64 {
    u64::try_from(sum).unwrap_or(u64::MAX)
}
