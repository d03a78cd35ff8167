//! Unspent outputs, one by one.

use baton_ledger::{AssetId, Hash};
use serde::{Deserialize, Serialize};

use super::asset_or_id;
use crate::{
    account::{self, AccountName},
    error::WalletError,
    holdings, layout,
    store::{Draft, Order, Snapshot, pages},
    text::as_text,
    unspent::Unspent,
    wallet::{Page, Wallet},
};

/// What `list-unspent-outputs` is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct UnspentFilter {
    pub account_id: String,
    pub account_alias: String,
    /// One output; its id or the beginning of it.
    pub id: String,
    /// Whether outputs of transactions in the pool are shown too, last.
    pub unconfirmed: bool,
    /// Outputs that belong to no address; the wallet follows none.
    pub smart_contract: bool,
    #[serde(flatten)]
    pub page: Page,
}

/// An answer to `list-unspent-outputs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnspentInfo {
    pub account_alias: String,
    #[serde(with = "as_text")]
    pub id: Hash,
    #[serde(with = "as_text")]
    pub asset_id: AssetId,
    pub asset_alias: String,
    pub amount: u64,
    pub account_id: String,
    pub address: String,
    pub control_program_index: u64,
    #[serde(with = "hex::serde")]
    pub program: Vec<u8>,
    #[serde(with = "as_text")]
    pub source_id: Hash,
    pub source_pos: u64,
    pub valid_height: u64,
    pub change: bool,
    /// Always 0, as in bytomd.
    pub derive_rule: u8,
}

impl Wallet {
    /// Unspent outputs: of an account, by asset and amount, or all, by their ids from the last on.
    pub fn unspent_outputs(&self, filter: &UnspentFilter) -> Result<Vec<UnspentInfo>, WalletError> {
        if filter.smart_contract {
            return Ok(Vec::new());
        }
        let snapshot = self.read()?;
        let draft = Draft::new(&*snapshot);
        let account = match AccountName::given(&filter.account_id, &filter.account_alias) {
            Some(AccountName::Alias(alias)) => {
                Some(account::find(&*snapshot, AccountName::Alias(alias))?.id)
            }
            Some(AccountName::Id(id)) => Some(id.to_owned()),
            None => None,
        };
        let wanted = |output: &Unspent| {
            account
                .as_ref()
                .is_none_or(|account| *account == output.account)
                && output.id.to_string().starts_with(&filter.id)
        };
        let confirmed = confirmed(&*snapshot, account.as_deref(), &filter.id)
            .filter(|output| output.as_ref().is_ok_and(&wanted) || output.is_err());
        let pending: Vec<Unspent> = if filter.unconfirmed {
            let pool = self.pool();
            pool.outputs()
                .filter(|output| wanted(output))
                .cloned()
                .collect()
        } else {
            Vec::new()
        };
        filter
            .page
            .of(confirmed.chain(pending.into_iter().map(Ok)))
            .map(|output| self.unspent_info(&draft, output?))
            .collect()
    }

    /// An output of the wallet, confirmed or in the pool.
    pub fn unspent_output(&self, id: &Hash) -> Result<Option<Unspent>, WalletError> {
        let snapshot = self.read()?;
        let confirmed = holdings::get(&Draft::new(&*snapshot), id)?;
        Ok(confirmed.or_else(|| self.pool().output(id).cloned()))
    }

    fn unspent_info(&self, draft: &Draft<'_>, output: Unspent) -> Result<UnspentInfo, WalletError> {
        let account: Option<account::Account> = draft.get(&layout::account(&output.account))?;
        Ok(UnspentInfo {
            account_alias: account.map(|account| account.alias).unwrap_or_default(),
            id: output.id,
            asset_id: output.asset_id,
            asset_alias: asset_or_id(draft, &output.asset_id)?.0,
            amount: output.amount,
            account_id: output.account,
            address: self.address_of(&output.program),
            control_program_index: output.number,
            program: output.program,
            source_id: output.source_id,
            source_pos: output.source_position,
            valid_height: output.valid_height,
            change: output.change,
            derive_rule: 0,
        })
    }
}

type Outputs<'s> = Box<dyn Iterator<Item = Result<Unspent, WalletError>> + 's>;

fn confirmed<'s>(snapshot: &'s dyn Snapshot, account: Option<&str>, id: &str) -> Outputs<'s> {
    if let Ok(id) = id.parse::<Hash>() {
        return Box::new(
            holdings::get(&Draft::new(snapshot), &id)
                .transpose()
                .into_iter(),
        );
    }
    match account {
        Some(account) => {
            let prefix = layout::unspent_of_account(account);
            Box::new(
                pages(snapshot, &prefix, Order::Ascending).map(move |record| {
                    let (key, _) = record?;
                    let id = layout::unspent_id(&key).ok_or(WalletError::Missing("output"))?;
                    holdings::get(&Draft::new(snapshot), &id)?.ok_or(WalletError::Missing("output"))
                }),
            )
        }
        None => Box::new(
            pages(snapshot, layout::UNSPENT, Order::Descending).map(|record| {
                let (key, value) = record?;
                layout::decode(&key, &value)
            }),
        ),
    }
}
