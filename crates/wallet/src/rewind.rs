//! Going back: undoing what blocks did to the wallet, from the newest on.
//!
//! Each block that has transactions of the wallet is undone in one batch that also lowers the best height. A crash
//! between two of them leaves the wallet in the state of an earlier block, from which it goes on as usual.

use baton_ledger::{Entries, Hash, entry::spent_output_id};

use crate::{
    error::WalletError,
    follow::{BEST, Best, best},
    holdings,
    layout::{self, Place},
    store::{Draft, Order, pages},
    transactions::{self, Kept},
    wallet::Wallet,
};

/// Goes back until the block at `next_height` comes next. Does nothing if the wallet is not that far.
pub(crate) fn to_height(wallet: &Wallet, next_height: u64) -> Result<(), WalletError> {
    loop {
        let done = wallet.change(|draft| {
            let Some(now) = best(draft)? else {
                return Ok(true);
            };
            if now.height < next_height {
                return Ok(true);
            }
            let newest = newest(draft)?;
            let (down_to, done) = match newest {
                Some(height) if height >= next_height => {
                    undo(draft, height)?;
                    (height, height == next_height)
                }
                _ => (next_height, true),
            };
            set_best(draft, now.height, down_to)?;
            Ok(done)
        })?;
        if done {
            return Ok(());
        }
    }
}

/// The height of the newest transaction of the wallet.
fn newest(draft: &Draft<'_>) -> Result<Option<u64>, WalletError> {
    let record = pages(draft.snapshot(), layout::TRANSACTIONS, Order::Descending).next();
    Ok(match record {
        Some(record) => layout::place(&record?.0).map(|(height, _)| height),
        None => None,
    })
}

/// Makes the block before `down_to` the best one.
fn set_best(draft: &mut Draft<'_>, from: u64, down_to: u64) -> Result<(), WalletError> {
    let kept = from.saturating_sub(crate::follow::REMEMBERED_BLOCKS + 1);
    for height in down_to.max(kept)..=from {
        draft.remove(layout::block_hash(height));
    }
    match down_to.checked_sub(1) {
        None => draft.remove(layout::meta(BEST)),
        Some(height) => {
            let hash: Option<[u8; 32]> = draft.get(&layout::block_hash(height))?;
            draft.put(
                layout::meta(BEST),
                &Best {
                    height,
                    hash: hash.map(Hash),
                },
            );
        }
    }
    Ok(())
}

/// Undoes the wallet's transactions in the block at `height`, the last first.
fn undo(draft: &mut Draft<'_>, height: u64) -> Result<(), WalletError> {
    let mut places: Vec<(Place, Kept)> = Vec::new();
    for record in pages(draft.snapshot(), layout::TRANSACTIONS, Order::Descending) {
        let (key, value) = record?;
        let place = layout::place(&key).ok_or(WalletError::Missing("transaction"))?;
        if place.0 < height {
            break;
        }
        places.push((place, layout::decode(&key, &value)?));
    }
    for (place, kept) in places {
        let transaction = kept.transaction(place)?;
        for output in &Entries::of(&transaction).outputs {
            if let Some(output) = holdings::get(draft, &output.id)? {
                holdings::take(draft, &output)?;
            }
        }
        for input in &transaction.inputs {
            if let Some(id) = spent_output_id(input) {
                holdings::unspend(draft, &id, height)?;
            }
        }
        transactions::remove(draft, place, &kept);
    }
    Ok(())
}
