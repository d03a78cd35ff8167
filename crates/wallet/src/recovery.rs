//! Finding again what was used before: addresses of accounts, and accounts of keys.
//!
//! An account knows its addresses by their numbers, but not how many were given out elsewhere. While a recovery
//! runs, the wallet looks out for the programs of the next [`GAP`] numbers of each branch; one that is paid to
//! makes all up to it addresses of the account, and the look-out goes on from there. In the same way some keys may
//! have had accounts: the next [`ACCOUNT_GAP`] numbers are looked out for, as accounts that nobody sees until one
//! of their addresses is paid to. A recovery ends at the height that the chain had when it began.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    account::{self, Account, MAX_NUMBER, check_keys, keys_hash},
    chainkd::XPub,
    error::WalletError,
    layout,
    path::DeriveRule,
    receiver,
    store::{Draft, Order, pages},
    wallet::Wallet,
};

/// How many numbers of addresses in a row may be unused.
pub const GAP: u64 = 128;
/// How many numbers of accounts in a row may be unused.
pub const ACCOUNT_GAP: u64 = 6;

/// What is being recovered of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The greatest number looked out for, of each branch.
    horizon: [u64; 2],
    /// The block after which the recovery is over.
    until_height: u64,
}

/// A program that is looked out for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lookout {
    account: String,
    number: u64,
    change: bool,
}

/// Keys whose accounts are looked out for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Keys {
    xpubs: Vec<XPub>,
    /// The greatest account number looked out for.
    horizon: u64,
    /// The block after which the recovery is over.
    until_height: u64,
}

impl Wallet {
    /// Looks through the chain from its beginning up to `chain_height` for accounts that all of these keys together
    /// had, and for the addresses of those. A found account is called by its keys and its number.
    pub fn recover_accounts(&self, xpubs: &[XPub], chain_height: u64) -> Result<(), WalletError> {
        check_keys(xpubs, xpubs.len())?;
        self.change(|draft| {
            let key = layout::recovered_keys(&keys_hash(xpubs));
            let mut keys = draft.get(&key)?.unwrap_or(Keys {
                xpubs: xpubs.to_vec(),
                horizon: 0,
                until_height: 0,
            });
            keys.until_height = keys.until_height.max(chain_height);
            keys.extend(draft, 0)?;
            draft.put(key, &keys);
            Ok(())
        })?;
        self.rescan(0)
    }
}

impl Keys {
    /// Looks out for the [`ACCOUNT_GAP`] accounts after `used`.
    fn extend(&mut self, draft: &mut Draft<'_>, used: u64) -> Result<(), WalletError> {
        let known = account::all(draft.snapshot())?;
        let end = used.saturating_add(ACCOUNT_GAP).min(MAX_NUMBER);
        for key_index in self.horizon + 1..=end {
            let same = known.iter().find(|known| {
                known.key_index == key_index && keys_hash(&known.xpubs) == keys_hash(&self.xpubs)
            });
            if let Some(known) = same {
                begin(draft, known, self.until_height)?;
                continue;
            }
            let account = Account {
                id: Uuid::new_v4().to_string(),
                alias: alias(&self.xpubs, key_index),
                xpubs: self.xpubs.clone(),
                quorum: self.xpubs.len(),
                key_index,
                derive_rule: DeriveRule::Bip44,
            };
            draft.put(layout::hidden_account(&account.id), &account);
            begin(draft, &account, self.until_height)?;
        }
        self.horizon = self.horizon.max(end);
        Ok(())
    }
}

/// The alias of a recovered account: the beginnings of its keys, and its number.
fn alias(xpubs: &[XPub], key_index: u64) -> String {
    let beginnings: String = xpubs
        .iter()
        .map(|xpub| hex::encode(&xpub.as_bytes()[..6]))
        .collect();
    format!("{beginnings}:{key_index}")
}

/// Begins to look out for the addresses of an account, up to the block at `until_height`.
pub(crate) fn begin(
    draft: &mut Draft<'_>,
    account: &Account,
    until_height: u64,
) -> Result<(), WalletError> {
    let key = layout::recovery(&account.id);
    let mut state = draft.get(&key)?.unwrap_or(State {
        horizon: [0; 2],
        until_height,
    });
    state.until_height = state.until_height.max(until_height);
    for change in [false, true] {
        if account.branch(change) == change {
            let last = receiver::last_number(draft, account, change)?;
            state.extend(draft, account, change, last)?;
        }
    }
    draft.put(key, &state);
    Ok(())
}

impl State {
    /// Looks out for the [`GAP`] numbers after `used`.
    fn extend(
        &mut self,
        draft: &mut Draft<'_>,
        account: &Account,
        change: bool,
        used: u64,
    ) -> Result<(), WalletError> {
        let horizon = &mut self.horizon[usize::from(change)];
        let end = used.saturating_add(GAP).min(MAX_NUMBER);
        let first = (*horizon).max(used) + 1;
        for (number, program) in (first..=end).zip(account.programs(change, first)?) {
            let lookout = Lookout {
                account: account.id.clone(),
                number,
                change,
            };
            draft.put(layout::lookout(&program?), &lookout);
        }
        *horizon = end.max(*horizon);
        Ok(())
    }

    /// Stops looking out.
    fn end(&self, draft: &mut Draft<'_>, account: &Account) -> Result<(), WalletError> {
        for change in [false, true] {
            let last = self.horizon[usize::from(change)];
            if last == 0 {
                continue;
            }
            let first = receiver::last_number(draft, account, change)? + 1;
            for (_, program) in (first..=last).zip(account.programs(change, first)?) {
                draft.remove(layout::lookout(&program?));
            }
        }
        draft.remove(layout::recovery(&account.id));
        draft.remove(layout::hidden_account(&account.id));
        Ok(())
    }
}

/// Stops looking out for an account's addresses.
pub(crate) fn forget(draft: &mut Draft<'_>, account: &Account) -> Result<(), WalletError> {
    match draft.get::<State>(&layout::recovery(&account.id))? {
        Some(state) => state.end(draft, account),
        None => Ok(()),
    }
}

/// The recoveries under way, while a block is taken.
pub(crate) struct Recovery {
    running: bool,
}

impl Recovery {
    pub(crate) fn load(draft: &Draft<'_>) -> Result<Self, WalletError> {
        let first = pages(draft.snapshot(), layout::RECOVERIES, Order::Ascending).next();
        Ok(Self {
            running: first.transpose()?.is_some(),
        })
    }

    /// Whether there are any.
    pub(crate) fn is_running(&self) -> bool {
        self.running
    }

    /// Makes addresses, and accounts, of what is paid to for the first time.
    pub(crate) fn look(
        &mut self,
        draft: &mut Draft<'_>,
        program: &[u8],
    ) -> Result<(), WalletError> {
        if !self.running {
            return Ok(());
        }
        let Some(found) = draft.get::<Lookout>(&layout::lookout(program))? else {
            return Ok(());
        };
        let hidden_key = layout::hidden_account(&found.account);
        let account = match draft.get::<Account>(&hidden_key)? {
            Some(account) => {
                draft.remove(hidden_key);
                show(draft, account)?
            }
            None => known(draft, &found.account)?,
        };
        let key = layout::recovery(&account.id);
        let mut state: State = draft.get(&key)?.ok_or(WalletError::Missing("recovery"))?;
        while receiver::last_number(draft, &account, found.change)? < found.number {
            let receiver = receiver::next(draft, &account, found.change)?;
            draft.remove(layout::lookout(&receiver.program));
        }
        state.extend(draft, &account, found.change, found.number)?;
        draft.put(key, &state);
        Ok(())
    }

    /// Ends the recoveries that last until the block at `height`.
    pub(crate) fn finish(&self, draft: &mut Draft<'_>, height: u64) -> Result<(), WalletError> {
        if !self.running {
            return Ok(());
        }
        let snapshot = draft.snapshot();
        for record in pages(snapshot, layout::RECOVERIES, Order::Ascending) {
            let (key, _) = record?;
            // This very block may have changed it.
            let state: State = draft.get(&key)?.ok_or(WalletError::Missing("recovery"))?;
            if state.until_height <= height {
                let id = String::from_utf8_lossy(&key[1..]).into_owned();
                let account = match draft.get(&layout::hidden_account(&id))? {
                    Some(account) => account,
                    None => known(draft, &id)?,
                };
                state.end(draft, &account)?;
            }
        }
        for record in pages(snapshot, layout::RECOVERED_KEYS, Order::Ascending) {
            let (key, value) = record?;
            let keys: Keys = layout::decode(&key, &value)?;
            if keys.until_height <= height {
                draft.remove(key);
            }
        }
        Ok(())
    }
}

/// Makes a found account one that everyone sees, and looks out for more of its keys.
fn show(draft: &mut Draft<'_>, mut account: Account) -> Result<Account, WalletError> {
    if draft.contains(&layout::account_alias(&account.alias))? {
        // Somebody took this very alias; the id is nobody else's.
        account.alias.clone_from(&account.id);
    }
    account::put(draft, &account)?;
    let key = layout::recovered_keys(&keys_hash(&account.xpubs));
    if let Some(mut keys) = draft.get::<Keys>(&key)? {
        keys.extend(draft, account.key_index)?;
        draft.put(key, &keys);
    }
    Ok(account)
}

fn known(draft: &Draft<'_>, id: &str) -> Result<Account, WalletError> {
    let account = draft.get(&layout::account(id))?;
    account.ok_or(WalletError::Missing("account"))
}
