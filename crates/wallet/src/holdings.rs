//! What accounts hold: their unspent outputs, and the sums that follow from them.
//!
//! Outputs come and go through [`add`] and [`take`] only, which change the sums in the same batch. So a balance is
//! always the sum of the outputs. A sum has 128 bits: anyone may issue an asset again and again to an address.

use baton_ledger::Hash;
use serde::{Deserialize, Serialize};

use crate::{
    error::WalletError,
    layout,
    store::{Draft, Order, pages},
    unspent::Unspent,
};

/// An output that was spent, kept to undo the spending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) output: Unspent,
    /// The height of the spending block.
    pub(crate) height: u64,
}

pub(crate) fn get(draft: &Draft<'_>, id: &Hash) -> Result<Option<Unspent>, WalletError> {
    draft.get(&layout::unspent(id))
}

/// Adds an output that is not there.
pub(crate) fn add(draft: &mut Draft<'_>, output: &Unspent) -> Result<(), WalletError> {
    draft.put(layout::unspent(&output.id), output);
    draft.put(index_key(output), &output.valid_height);
    sums(draft, output, u128::checked_add)
}

/// Takes an output that is there away.
pub(crate) fn take(draft: &mut Draft<'_>, output: &Unspent) -> Result<(), WalletError> {
    draft.remove(layout::unspent(&output.id));
    draft.remove(index_key(output));
    sums(draft, output, u128::checked_sub)
}

/// Takes an output away that a block at `height` spends; `false` if it is not the wallet's.
pub(crate) fn spend(draft: &mut Draft<'_>, id: &Hash, height: u64) -> Result<bool, WalletError> {
    let Some(output) = get(draft, id)? else {
        return Ok(false);
    };
    take(draft, &output)?;
    draft.put(layout::spent(id), &Spent { output, height });
    Ok(true)
}

/// Brings an output back whose spending at `height` is undone.
pub(crate) fn unspend(draft: &mut Draft<'_>, id: &Hash, height: u64) -> Result<(), WalletError> {
    let key = layout::spent(id);
    if let Some(spent) = draft.get::<Spent>(&key)?
        && spent.height == height
    {
        draft.remove(key);
        add(draft, &spent.output)?;
    }
    Ok(())
}

/// Removes all outputs and sums of an account; spent ones go with its transactions.
pub(crate) fn forget(draft: &mut Draft<'_>, account: &str) -> Result<(), WalletError> {
    let snapshot = draft.snapshot();
    for record in pages(
        snapshot,
        &layout::unspent_of_account(account),
        Order::Ascending,
    ) {
        let (key, _) = record?;
        if let Some(id) = layout::unspent_id(&key) {
            draft.remove(layout::unspent(&id));
        }
        draft.remove(key);
    }
    for prefix in [layout::balances_of(account), layout::votes_of(account)] {
        for record in pages(snapshot, &prefix, Order::Ascending) {
            draft.remove(record?.0);
        }
    }
    Ok(())
}

fn index_key(output: &Unspent) -> Vec<u8> {
    layout::unspent_of(
        &output.account,
        &output.asset_id,
        &output.vote,
        output.amount,
        &output.id,
    )
}

fn sums(
    draft: &mut Draft<'_>,
    output: &Unspent,
    operation: fn(u128, u128) -> Option<u128>,
) -> Result<(), WalletError> {
    let mut keys = vec![layout::balance(&output.account, &output.asset_id)];
    if !output.vote.is_empty() {
        keys.push(layout::vote(&output.account, &output.vote));
    }
    for key in keys {
        let before = draft.get::<u128>(&key)?.unwrap_or(0);
        let after =
            operation(before, output.amount.into()).ok_or_else(|| WalletError::Balance {
                account: output.account.clone(),
                asset: output.asset_id,
            })?;
        if after == 0 {
            draft.remove(key);
        } else {
            draft.put(key, &after);
        }
    }
    Ok(())
}
