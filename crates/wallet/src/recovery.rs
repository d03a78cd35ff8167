//! Finding the addresses that an account used before it was restored.
//!
//! An account knows its addresses by their numbers, but not how many were given out elsewhere. While a recovery
//! runs, the wallet looks out for the programs of the next [`GAP`] numbers of each branch; one that is paid to
//! makes all up to it addresses of the account, and the look-out goes on from there. It ends at the height that the
//! chain had when it began.

use serde::{Deserialize, Serialize};

use crate::{
    account::{self, Account, AccountName, MAX_NUMBER},
    error::WalletError,
    layout, receiver,
    store::{Draft, Order, pages},
};

/// How many numbers in a row may be unused.
pub const GAP: u64 = 128;

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
            extend(draft, account, &mut state, change, last)?;
        }
    }
    draft.put(key, &state);
    Ok(())
}

/// Looks out for the [`GAP`] numbers after `used`.
fn extend(
    draft: &mut Draft<'_>,
    account: &Account,
    state: &mut State,
    change: bool,
    used: u64,
) -> Result<(), WalletError> {
    let horizon = &mut state.horizon[usize::from(change)];
    let end = used.saturating_add(GAP).min(MAX_NUMBER);
    for number in (*horizon).max(used) + 1..=end {
        let lookout = Lookout {
            account: account.id.clone(),
            number,
            change,
        };
        draft.put(layout::lookout(&account.program(change, number)?), &lookout);
    }
    *horizon = end.max(*horizon);
    Ok(())
}

/// Stops looking out for an account's addresses.
pub(crate) fn forget(draft: &mut Draft<'_>, account: &str) -> Result<(), WalletError> {
    let key = layout::recovery(account);
    if !draft.contains(&key)? {
        return Ok(());
    }
    draft.remove(key);
    for record in pages(draft.snapshot(), layout::LOOKOUTS, Order::Ascending) {
        let (key, value) = record?;
        let lookout: Lookout = layout::decode(&key, &value)?;
        if lookout.account == account {
            draft.remove(key);
        }
    }
    Ok(())
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

    /// Makes addresses of what is paid to for the first time.
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
        let account = account::find(draft.snapshot(), AccountName::Id(&found.account))?;
        let key = layout::recovery(&account.id);
        let mut state: State = draft.get(&key)?.ok_or(WalletError::Missing("recovery"))?;
        while receiver::last_number(draft, &account, found.change)? < found.number {
            let receiver = receiver::next(draft, &account, found.change)?;
            draft.remove(layout::lookout(&receiver.program));
        }
        extend(draft, &account, &mut state, found.change, found.number)?;
        draft.put(key, &state);
        Ok(())
    }

    /// Ends the recoveries that last until the block at `height`.
    pub(crate) fn finish(&self, draft: &mut Draft<'_>, height: u64) -> Result<(), WalletError> {
        if !self.running {
            return Ok(());
        }
        for record in pages(draft.snapshot(), layout::RECOVERIES, Order::Ascending) {
            let (key, value) = record?;
            let state: State = layout::decode(&key, &value)?;
            if state.until_height > height {
                continue;
            }
            let id = String::from_utf8_lossy(&key[1..]).into_owned();
            // Look-outs of this very block are in the draft only; they are removed by their numbers.
            let account = account::find(draft.snapshot(), AccountName::Id(&id))?;
            let state: State = draft.get(&key)?.unwrap_or(state);
            for change in [false, true] {
                let from = receiver::last_number(draft, &account, change)? + 1;
                for number in from..=state.horizon[usize::from(change)] {
                    draft.remove(layout::lookout(&account.program(change, number)?));
                }
            }
            draft.remove(key);
        }
        Ok(())
    }
}
