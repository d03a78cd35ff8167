//! Accounts: some keys, of which a quorum must sign, and the addresses derived from them.
//!
//! An account has no secrets: it is made of the extended public keys of its holders, and a number under them. Its
//! alias is folded (trimmed, small letters) wherever it enters, so that no two differ by case only.

use std::collections::HashSet;

use baton_ledger::hash::{Hash, sha3_256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    chainkd::XPub,
    error::WalletError,
    holdings, layout,
    path::DeriveRule,
    receiver, recovery,
    store::{Draft, Order, Snapshot, pages},
    transactions,
    wallet::Wallet,
};

/// Most keys that share an account or asset.
pub const MAX_KEYS: usize = 64;
/// Most bytes in an alias.
pub const MAX_ALIAS_LEN: usize = 256;
/// Most bytes in an account's id; those made here have 36.
pub const MAX_ID_LEN: usize = 64;
/// The greatest number of an account under its keys, and of an address in its account: those above are BIP 44's
/// hardened ones.
pub const MAX_NUMBER: u64 = 0x7fff_ffff;

/// An account. In JSON as `list-accounts` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Names the account for ever.
    pub id: String,
    /// Names the account for now.
    pub alias: String,
    /// The root keys of its holders, in the order in which signatures go into a witness.
    pub xpubs: Vec<XPub>,
    /// How many of them must sign.
    pub quorum: usize,
    /// Its number under these keys, from 1 on.
    pub key_index: u64,
    /// How the keys of its addresses are derived.
    pub derive_rule: DeriveRule,
}

/// How a request names an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountName<'n> {
    /// By its id.
    Id(&'n str),
    /// By its alias, in whatever case.
    Alias(&'n str),
}

impl<'n> AccountName<'n> {
    /// As bytomd chooses between the two: by the alias if there is one.
    pub fn of(id: &'n str, alias: &'n str) -> Self {
        if alias.is_empty() {
            Self::Id(id)
        } else {
            Self::Alias(alias)
        }
    }

    /// The same, if either is given.
    pub fn given(id: &'n str, alias: &'n str) -> Option<Self> {
        (!id.is_empty() || !alias.is_empty()).then(|| Self::of(id, alias))
    }
}

impl Wallet {
    /// Makes an account of rule BIP 44 with the next number that these keys have.
    pub fn create_account(
        &self,
        xpubs: &[XPub],
        quorum: usize,
        alias: &str,
    ) -> Result<Account, WalletError> {
        check_keys(xpubs, quorum)?;
        let alias = fold(alias)?;
        self.change(|draft| {
            if draft.contains(&layout::account_alias(&alias))? {
                return Err(taken(alias));
            }
            let number_key = layout::account_number(&keys_hash(xpubs));
            let key_index = draft.get::<u64>(&number_key)?.unwrap_or(0) + 1;
            if key_index > MAX_NUMBER {
                return Err(WalletError::TooManyAccounts);
            }
            let account = Account {
                id: Uuid::new_v4().to_string(),
                alias,
                xpubs: xpubs.to_vec(),
                quorum,
                key_index,
                derive_rule: DeriveRule::Bip44,
            };
            put(draft, &account)?;
            Ok(account)
        })
    }

    /// All accounts, in the order of their ids.
    pub fn accounts(&self) -> Result<Vec<Account>, WalletError> {
        all(&*self.read()?)
    }

    /// The account with this name.
    pub fn account(&self, name: AccountName<'_>) -> Result<Account, WalletError> {
        find(&*self.read()?, name)
    }

    /// Gives an account another alias.
    pub fn rename_account(&self, name: AccountName<'_>, alias: &str) -> Result<(), WalletError> {
        let alias = fold(alias)?;
        self.change(|draft| {
            let mut account = find(draft.snapshot(), name)?;
            if alias == account.alias {
                return Ok(());
            }
            if draft.contains(&layout::account_alias(&alias))? {
                return Err(taken(alias));
            }
            draft.remove(layout::account_alias(&account.alias));
            account.alias = alias;
            draft.put(layout::account_alias(&account.alias), &account.id);
            draft.put(layout::account(&account.id), &account);
            Ok(())
        })
    }

    /// Forgets an account with its addresses, outputs, and the transactions that concern no other. Its number is not
    /// given out again; if blocks paid to it, they pay to the first account that is left.
    pub fn delete_account(&self, name: AccountName<'_>) -> Result<(), WalletError> {
        let id = self.change(|draft| {
            let account = find(draft.snapshot(), name)?;
            holdings::forget(draft, &account.id)?;
            transactions::forget(draft, &account.id)?;
            recovery::forget(draft, &account)?;
            let mining_key = layout::meta(receiver::MINING);
            let mining: Option<Vec<u8>> = draft.get(&mining_key)?;
            for record in pages(
                draft.snapshot(),
                &layout::receivers_of(&account.id),
                Order::Ascending,
            ) {
                let (key, value) = record?;
                let program: Vec<u8> = layout::decode(&key, &value)?;
                if mining.as_ref() == Some(&program) {
                    draft.remove(mining_key.clone());
                }
                draft.remove(layout::receiver(&program));
                draft.remove(key);
            }
            for change in [false, true] {
                draft.remove(layout::address_number(&account.id, change));
            }
            draft.remove(layout::account_alias(&account.alias));
            draft.remove(layout::account(&account.id));
            Ok(account.id)
        })?;
        self.pool().forget(&id);
        self.changed();
        Ok(())
    }
}

/// Writes a new account; its number is the last of its keys if it is the greatest.
pub(crate) fn put(draft: &mut Draft<'_>, account: &Account) -> Result<(), WalletError> {
    draft.put(layout::account(&account.id), account);
    draft.put(layout::account_alias(&account.alias), &account.id);
    let number_key = layout::account_number(&keys_hash(&account.xpubs));
    let last = draft.get::<u64>(&number_key)?.unwrap_or(0);
    draft.put(number_key, &account.key_index.max(last));
    Ok(())
}

pub(crate) fn all(snapshot: &dyn Snapshot) -> Result<Vec<Account>, WalletError> {
    pages(snapshot, layout::ACCOUNTS, Order::Ascending)
        .map(|record| {
            let (key, value) = record?;
            layout::decode(&key, &value)
        })
        .collect()
}

pub(crate) fn find(snapshot: &dyn Snapshot, name: AccountName<'_>) -> Result<Account, WalletError> {
    let draft = Draft::new(snapshot);
    let (id, given) = match name {
        AccountName::Id(id) => (Some(id.to_owned()), id),
        AccountName::Alias(alias) => {
            let folded = alias.trim().to_lowercase();
            (draft.get(&layout::account_alias(&folded))?, alias)
        }
    };
    let account = match id {
        Some(id) => draft.get(&layout::account(&id))?,
        None => None,
    };
    account.ok_or_else(|| WalletError::NoAccount(given.to_owned()))
}

/// The alias as it is kept: without white space around it, in small letters.
pub(crate) fn fold(alias: &str) -> Result<String, WalletError> {
    let alias = alias.trim().to_lowercase();
    if alias.is_empty() {
        return Err(WalletError::EmptyAlias("account"));
    }
    if alias.len() > MAX_ALIAS_LEN {
        return Err(WalletError::LongAlias(alias.len()));
    }
    Ok(alias)
}

pub(crate) fn taken(alias: String) -> WalletError {
    WalletError::DuplicateAlias {
        what: "account",
        alias,
    }
}

/// Refuses keys that cannot share an account or asset.
pub(crate) fn check_keys(xpubs: &[XPub], quorum: usize) -> Result<(), WalletError> {
    if xpubs.is_empty() {
        return Err(WalletError::NoKeys);
    }
    if xpubs.len() > MAX_KEYS {
        return Err(WalletError::TooManyKeys(xpubs.len()));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = xpubs.iter().find(|xpub| !seen.insert(**xpub)) {
        return Err(WalletError::DuplicateKey(*twice));
    }
    if quorum == 0 || quorum > xpubs.len() {
        return Err(WalletError::Quorum {
            quorum,
            keys: xpubs.len(),
        });
    }
    Ok(())
}

/// Names a set of keys, whatever their order.
pub(crate) fn keys_hash(xpubs: &[XPub]) -> Hash {
    let mut sorted = xpubs.to_vec();
    sorted.sort_unstable();
    let parts: Vec<&[u8]> = sorted
        .iter()
        .map(|xpub| xpub.as_bytes().as_slice())
        .collect();
    sha3_256(&parts)
}
