//! Choosing the outputs that a transaction spends, and reserving them.
//!
//! The choice is bytomd's, and depends on nothing but the outputs: the greatest first until there is enough; then,
//! as long as there are at most [`FEW`] inputs, the greatest one is replaced by smaller ones that do as well, which
//! keeps the number of small outputs down. Outputs of the same amount are taken in the order of their ids.

use std::cmp::Reverse;

use baton_ledger::{AssetId, Hash};
use jiff::Timestamp;

use crate::{
    error::WalletError,
    follow, holdings, layout,
    reservation::MAX_RESERVATIONS,
    store::{Draft, Order, pages},
    unspent::Unspent,
    wallet::Wallet,
};

/// So many inputs are as good as one: the number up to which small outputs are gathered.
pub const FEW: usize = 5;

/// So many outputs are looked at for smaller ones, so that a choice among very many takes no longer.
pub const LOOKED_AT: usize = 512;

/// Why outputs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// All outputs together are not enough.
    #[error("reservation found insufficient funds: {amount} of {asset} wanted, {there} there")]
    Insufficient {
        /// The asset.
        asset: AssetId,
        /// What is wanted.
        amount: u64,
        /// What there is, whether it can be spent now or not.
        there: u128,
    },
    /// There would be enough, but some of it cannot be spent yet.
    #[error(
        "reservation found immature funds: {amount} of {asset} wanted, {mature} mature at height {height}"
    )]
    Immature {
        /// The asset.
        asset: AssetId,
        /// What is wanted.
        amount: u64,
        /// What could be spent if nothing were reserved.
        mature: u128,
        /// The wallet's height.
        height: u64,
    },
    /// There would be enough, but some of it is reserved, or spent by a transaction in the pool.
    #[error("reservation found outputs already reserved: {amount} of {asset} wanted, {free} free")]
    Reserved {
        /// The asset.
        asset: AssetId,
        /// What is wanted.
        amount: u64,
        /// What can be spent now.
        free: u128,
    },
    /// The wallet has no such output.
    #[error("can't find utxo with given hash: {0}")]
    NotFound(Hash),
    /// The output cannot be spent yet.
    #[error(
        "reservation found immature funds: output {id} can be spent from height {valid_height} on, this is {height}"
    )]
    OutputImmature {
        /// The output.
        id: Hash,
        /// When it can be spent.
        valid_height: u64,
        /// The wallet's height.
        height: u64,
    },
    /// The output is reserved, or spent by a transaction in the pool.
    #[error("reservation found outputs already reserved: {0}")]
    OutputReserved(Hash),
    /// There are as many reservations as there can be.
    #[error("{MAX_RESERVATIONS} reservations are held already, the limit: release some")]
    Full,
    /// The wallet failed.
    #[error(transparent)]
    Wallet(#[from] WalletError),
}

impl SelectError {
    /// The code of the answer.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Insufficient { .. } => "BTM700",
            Self::Immature { .. } | Self::OutputImmature { .. } => "BTM701",
            Self::Reserved { .. } | Self::OutputReserved(_) => "BTM702",
            Self::NotFound(_) => "BTM703",
            Self::Full => "BTM000",
            Self::Wallet(error) => error.code(),
        }
    }
}

/// What outputs are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Want<'w> {
    /// The id of the account that spends.
    pub account: &'w str,
    /// The asset.
    pub asset: AssetId,
    /// Units of it.
    pub amount: u64,
    /// The validator whose votes are taken back; empty for outputs that are no votes.
    pub vote: &'w [u8],
    /// Whether outputs of transactions in the pool may be taken.
    pub unconfirmed: bool,
}

/// Outputs that were reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The reservation, to release it.
    pub reservation: u64,
    /// The outputs, in the order in which they are to be spent.
    pub outputs: Vec<Unspent>,
    /// What they are more than was wanted.
    pub change: u64,
}

impl Wallet {
    /// Chooses outputs and reserves them until `until`.
    pub fn reserve(
        &self,
        want: &Want<'_>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Selected, SelectError> {
        let mut reservations = self.reservations();
        reservations.expire(now);
        if reservations.is_full() {
            return Err(SelectError::Full);
        }
        // The pool first: what it spends is marked there until a block's spending is in the snapshot.
        let pool = self.pool();
        let snapshot = self.read()?;
        let height = follow::best(&Draft::new(&*snapshot))?.map_or(0, |best| best.height);

        let mut pending: Vec<Candidate> = pool
            .outputs()
            .filter(|output| want.unconfirmed && want.fits(output))
            .map(|output| Candidate {
                id: output.id,
                amount: output.amount,
                valid_height: output.valid_height,
            })
            .collect();
        pending.sort_unstable_by_key(Candidate::rank);
        let prefix = layout::unspent_alike(want.account, &want.asset, want.vote);
        let confirmed = pages(&*snapshot, &prefix, Order::Ascending).map(|record| {
            let (key, value) = record?;
            let missing = || WalletError::Missing("output");
            Ok::<_, WalletError>(Candidate {
                id: layout::unspent_id(&key).ok_or_else(missing)?,
                amount: layout::unspent_amount(&key).ok_or_else(missing)?,
                valid_height: layout::decode(&key, &value)?,
            })
        });

        let (mut immature, mut reserved) = (0_u128, 0_u128);
        let mut free = merge(confirmed, pending.into_iter()).filter(|output| {
            let Ok(output) = output else { return true };
            if output.valid_height > height {
                immature += u128::from(output.amount);
                false
            } else if reservations.holds(&output.id) || pool.spends(&output.id) {
                reserved += u128::from(output.amount);
                false
            } else {
                true
            }
        });
        let (chosen, sum) = choose(&mut free, want.amount)?;
        drop(free);

        let (asset, amount) = (want.asset, want.amount);
        let wanted = u128::from(amount);
        if sum + reserved + immature < wanted {
            let there = sum + reserved + immature;
            return Err(SelectError::Insufficient {
                asset,
                amount,
                there,
            });
        }
        if sum + reserved < wanted {
            return Err(SelectError::Immature {
                asset,
                amount,
                mature: sum + reserved,
                height,
            });
        }
        if sum < wanted {
            return Err(SelectError::Reserved {
                asset,
                amount,
                free: sum,
            });
        }
        let change = u64::try_from(sum - wanted).map_err(|_| {
            // More than any transaction can have; the outputs cannot be spent together.
            SelectError::Insufficient {
                asset,
                amount,
                there: sum,
            }
        })?;
        let draft = Draft::new(&*snapshot);
        let outputs = chosen
            .iter()
            .map(|chosen| {
                let confirmed = holdings::get(&draft, &chosen.id)?;
                confirmed
                    .or_else(|| pool.output(&chosen.id).cloned())
                    .ok_or(WalletError::Missing("output"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Selected {
            reservation: reservations.hold(&outputs, until),
            outputs,
            change,
        })
    }

    /// Reserves one output until `until`.
    pub fn reserve_output(
        &self,
        id: &Hash,
        unconfirmed: bool,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Selected, SelectError> {
        let mut reservations = self.reservations();
        reservations.expire(now);
        if reservations.is_full() {
            return Err(SelectError::Full);
        }
        let pool = self.pool();
        let snapshot = self.read()?;
        let draft = Draft::new(&*snapshot);
        if reservations.holds(id) || pool.spends(id) {
            return Err(SelectError::OutputReserved(*id));
        }
        let pending = pool.output(id).filter(|_| unconfirmed).cloned();
        let output = match pending {
            Some(output) => output,
            None => holdings::get(&draft, id)?.ok_or(SelectError::NotFound(*id))?,
        };
        let height = follow::best(&draft)?.map_or(0, |best| best.height);
        if output.valid_height > height {
            return Err(SelectError::OutputImmature {
                id: *id,
                valid_height: output.valid_height,
                height,
            });
        }
        let outputs = vec![output];
        Ok(Selected {
            reservation: reservations.hold(&outputs, until),
            outputs,
            change: 0,
        })
    }
}

impl Want<'_> {
    fn fits(&self, output: &Unspent) -> bool {
        output.account == self.account && output.asset_id == self.asset && output.vote == self.vote
    }
}

/// An output that might be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    id: Hash,
    amount: u64,
    valid_height: u64,
}

impl Candidate {
    /// The order in which outputs are taken.
    fn rank(&self) -> (Reverse<u64>, Hash) {
        (Reverse(self.amount), self.id)
    }
}

/// Two lists in the order of [`Candidate::rank`] as one; an output in both, which a block is just confirming, is there once.
fn merge<E>(
    confirmed: impl Iterator<Item = Result<Candidate, E>>,
    pending: impl Iterator<Item = Candidate>,
) -> impl Iterator<Item = Result<Candidate, E>> {
    let mut confirmed = confirmed.peekable();
    let mut pending = pending.peekable();
    std::iter::from_fn(move || match (confirmed.peek(), pending.peek()) {
        (Some(Ok(one)), Some(other)) if one.id == other.id => {
            pending.next();
            confirmed.next()
        }
        (Some(Ok(one)), Some(other)) if other.rank() < one.rank() => pending.next().map(Ok),
        (Some(_), _) => confirmed.next(),
        (None, _) => pending.next().map(Ok),
    })
}

/// Chooses from outputs in the order of [`Candidate::rank`]; all of them, if they are too few. Also their sum.
fn choose<E>(
    outputs: &mut impl Iterator<Item = Result<Candidate, E>>,
    amount: u64,
) -> Result<(Vec<Candidate>, u128), E> {
    let wanted = u128::from(amount);
    let (mut chosen, mut sum) = (Vec::new(), 0_u128);
    while sum < wanted {
        let Some(output) = outputs.next().transpose()? else {
            return Ok((chosen, sum));
        };
        sum += u128::from(output.amount);
        chosen.push(output);
    }
    let mut looked_at = 0;
    while !chosen.is_empty() && chosen.len() <= FEW && looked_at < LOOKED_AT {
        let mut smaller = Vec::new();
        let mut smaller_sum = sum - u128::from(chosen[0].amount);
        while smaller_sum < wanted && smaller.len() + chosen.len() <= FEW {
            let Some(output) = outputs.next().transpose()? else {
                return Ok((chosen, sum));
            };
            looked_at += 1;
            smaller_sum += u128::from(output.amount);
            smaller.push(output);
        }
        if smaller_sum < wanted {
            break;
        }
        chosen.remove(0);
        chosen.append(&mut smaller);
        sum = smaller_sum;
    }
    Ok((chosen, sum))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn output(amount: u64) -> Candidate {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&amount.to_be_bytes());
        Candidate {
            id: Hash(id),
            amount,
            valid_height: 0,
        }
    }

    fn chosen(amounts: &[u64], amount: u64) -> (Vec<u64>, u128) {
        let mut outputs = amounts
            .iter()
            .map(|amount| Ok::<_, Infallible>(output(*amount)));
        let (chosen, sum) = choose(&mut outputs, amount).unwrap();
        (chosen.iter().map(|output| output.amount).collect(), sum)
    }

    #[test]
    fn the_greatest_first_then_smaller_ones_that_do() {
        assert_eq!(chosen(&[10, 6, 5, 1], 16), (vec![10, 6], 16));
        assert_eq!(chosen(&[10, 6, 5, 1], 3), (vec![5], 5));
        assert_eq!(chosen(&[10, 2, 2, 2, 2, 1], 9), (vec![2, 2, 2, 2, 1], 9));
        assert_eq!(chosen(&[10, 1, 1, 1, 1, 1, 1], 6), (vec![10], 10));
        assert_eq!(chosen(&[3, 2], 9), (vec![3, 2], 5));
        assert_eq!(chosen(&[], 1), (vec![], 0));
        assert_eq!(chosen(&[1; 9], 7), (vec![1; 7], 7));
    }

    #[test]
    fn two_lists_become_one_in_order() {
        let confirmed = [9, 5, 5, 1].map(|amount| Ok::<_, Infallible>(output(amount)));
        let pending = [10, 5, 4].map(output);
        let merged: Vec<u64> = merge(confirmed.into_iter(), pending.into_iter())
            .map(|output| output.unwrap().amount)
            .collect();
        assert_eq!(merged, [10, 9, 5, 5, 4, 1]);
    }
}
