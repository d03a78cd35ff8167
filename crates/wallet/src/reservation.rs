//! Reservations: outputs promised to a transaction that is being made.
//!
//! Building takes time (other signers, other machines), and what one build took the next must not take. A
//! reservation holds its outputs until it is released or its time is over; what time it is, the caller says.
//! Reservations are kept in memory: after a start nothing is reserved. A process that hands the wallet over to another tells it
//! ([`Wallet::reserved`]).

use std::collections::{BTreeMap, HashMap};

use baton_ledger::{AssetId, Hash};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{text::as_text, unspent::Unspent, wallet::Wallet};

/// Most reservations at a time.
pub const MAX_RESERVATIONS: usize = 10_000;

/// Outputs held for a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its number, to release it.
    pub id: u64,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// What it holds.
    pub outputs: Vec<ReservedOutput>,
}

/// An output that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedOutput {
    /// The output.
    #[serde(with = "as_text")]
    pub id: Hash,
    /// The account it pays to.
    pub account_id: String,
    /// The asset.
    #[serde(with = "as_text")]
    pub asset_id: AssetId,
    /// Units of it.
    pub amount: u64,
}

/// All reservations of a wallet, written down for another process that opens it next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The number of the last one that was made.
    last: u64,
    held: Vec<Reservation>,
}

impl Reserved {
    /// Whether there never was one.
    pub fn is_nothing(&self) -> bool {
        self.last == 0
    }
}

/// The reservations of a wallet.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    last: u64,
    by_id: BTreeMap<u64, Reservation>,
    by_output: HashMap<Hash, u64>,
}

impl Reservations {
    /// Ends those whose time is over at `now`.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let over: Vec<u64> = self
            .by_id
            .values()
            .filter(|reservation| reservation.expires_at <= now)
            .map(|reservation| reservation.id)
            .collect();
        for id in over {
            self.release(id);
        }
    }

    pub(crate) fn holds(&self, output: &Hash) -> bool {
        self.by_output.contains_key(output)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.by_id.len() >= MAX_RESERVATIONS
    }

    /// Holds outputs, none of which is held.
    pub(crate) fn hold(&mut self, outputs: &[Unspent], expires_at: Timestamp) -> u64 {
        self.last += 1;
        let id = self.last;
        let outputs = outputs
            .iter()
            .map(|output| ReservedOutput {
                id: output.id,
                account_id: output.account.clone(),
                asset_id: output.asset_id,
                amount: output.amount,
            })
            .collect();
        self.enter(Reservation {
            id,
            expires_at,
            outputs,
        });
        id
    }

    fn enter(&mut self, reservation: Reservation) {
        let id = reservation.id;
        for output in &reservation.outputs {
            let before = self.by_output.insert(output.id, id);
            debug_assert!(before.is_none(), "output {} is held twice", output.id);
        }
        self.by_id.insert(id, reservation);
    }

    pub(crate) fn release(&mut self, id: u64) -> bool {
        let Some(released) = self.by_id.remove(&id) else {
            return false;
        };
        for output in released.outputs {
            self.by_output.remove(&output.id);
        }
        true
    }
}

impl Wallet {
    /// What is reserved at `now`, the oldest first.
    pub fn list_reservations(&self, now: Timestamp) -> Vec<Reservation> {
        let mut reservations = self.reservations();
        reservations.expire(now);
        reservations.by_id.values().cloned().collect()
    }

    /// What is reserved, for [`Self::reserve_again`].
    pub fn reserved(&self) -> Reserved {
        let reservations = self.reservations();
        Reserved {
            last: reservations.last,
            held: reservations.by_id.values().cloned().collect(),
        }
    }

    /// Holds what another process of this wallet had reserved, under the same numbers and for as long. To be called before anything
    /// is reserved here; what contradicts itself, or is more than there can be, is passed over.
    pub fn reserve_again(&self, reserved: Reserved) {
        let mut reservations = self.reservations();
        for reservation in reserved.held {
            let mut outputs = reservation.outputs.iter();
            let is_free = !outputs.any(|output| reservations.holds(&output.id));
            if is_free && !reservations.is_full() && reservation.id <= reserved.last {
                reservations.enter(reservation);
            }
        }
        reservations.last = reservations.last.max(reserved.last);
    }

    /// Ends a reservation; `false` if there is none with this number.
    pub fn release_reservation(&self, id: u64) -> bool {
        self.reservations().release(id)
    }

    /// Ends the reservation that holds an output; `false` if none does.
    pub fn release_output(&self, output: &Hash) -> bool {
        let mut reservations = self.reservations();
        match reservations.by_output.get(output).copied() {
            Some(id) => reservations.release(id),
            None => false,
        }
    }
}
