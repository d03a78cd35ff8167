//! Gas: what a fee buys, and what a transaction spends of it.
//!
//! A fee buys gas at [`Params::gas_price_neu`], up to [`Params::max_transaction_gas`]. The programs of the inputs spend
//! from it one after the other; after each, what the encoding's storage costs must still be left, and is taken at the
//! end. Gas that is left is not paid back. (bytomd v2, `protocol/validation/tx.go`.)

use super::rejection::Rejection;
use crate::params::Params;

/// What a transaction paid and what of it was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GasStatus {
    /// The fee: BTM that goes in and does not come out, in neu.
    pub fee_neu: u64,
    /// Gas that was bought and not spent.
    pub left: u64,
    /// Gas that was spent, on programs and on storage.
    pub used: u64,
    /// What of it was spent on storage; 0 for a coinbase.
    pub storage: u64,
}

impl GasStatus {
    /// Gas that the programs of the inputs spent.
    pub fn vm(&self) -> u64 {
        self.used - self.storage
    }
}

/// The gas of a transaction while it is validated.
#[derive(Debug, Default)]
pub(super) struct Meter {
    fee_neu: u64,
    left: u64,
    used: u64,
    /// What storage will cost.
    storage: u64,
}

impl Meter {
    /// The gas that `fee_neu` buys for a transaction of `size` bytes.
    pub(super) fn buy(fee_neu: u64, size: usize, params: &Params) -> Self {
        // a price of 0 buys as much as there may be
        let bought = fee_neu
            .checked_div(params.gas_price_neu)
            .unwrap_or(params.max_transaction_gas);
        Self {
            fee_neu,
            left: bought.min(params.max_transaction_gas),
            used: 0,
            storage: params.storage_gas_per_byte.saturating_mul(size as u64),
        }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Takes note of what a program left.
    pub(super) fn after_program(&mut self, left: u64) -> Result<(), Rejection> {
        // a program may have been refunded more than it took: what it was given as arguments
        self.used = (self.used + self.left).saturating_sub(left);
        self.left = left;
        if self.storage > left {
            return Err(Rejection::GasCredit {
                left,
                storage: self.storage,
            });
        }
        Ok(())
    }

    /// The storage of a coinbase costs nothing.
    pub(super) fn waive_storage(&mut self) {
        self.storage = 0;
    }

    /// Takes the gas for storage.
    pub(super) fn finish(self) -> Result<GasStatus, Rejection> {
        let left = self
            .left
            .checked_sub(self.storage)
            .ok_or(Rejection::StorageGas {
                left: self.left,
                storage: self.storage,
            })?;
        Ok(GasStatus {
            fee_neu: self.fee_neu,
            left,
            used: self.used + self.storage,
            storage: self.storage,
        })
    }
}
