//! What a namespace that is closed leaves to the next process, or to itself, in memory.

use baton_chain::{Packed, Pool};
use baton_wallet::Wallet;
use baton_wallet::reservation::Reserved;
use serde::{Deserialize, Serialize};

/// What is not on the disk, or not only there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Legacy {
    /// Whether blocks are proposed; `None`: as the settings say.
    pub(super) mining: Option<bool>,
    /// Whether it signed, or was free to: then its sign guard has all that its key has signed, and nobody need listen first.
    pub(super) signs: bool,
    /// Transactions that wait for a block; `None`: those of the file that is written at each stop.
    pool: Option<Waiting>,
    /// Outputs that transactions in the making spend. It travels as a state of its own.
    #[serde(skip)]
    reserved: Reserved,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    transactions: Vec<u8>,
    numbers: Vec<u64>,
    next: u64,
    orphans: Vec<u8>,
}

impl Legacy {
    pub(super) fn of(pool: &Pool, wallet: Option<&Wallet>, mining: bool, signs: bool) -> Self {
        let Packed {
            waiting,
            numbers,
            next,
            orphans,
        } = pool.pack();
        Self {
            mining: Some(mining),
            signs,
            pool: Some(Waiting {
                transactions: waiting,
                numbers,
                next,
                orphans,
            }),
            reserved: wallet.map(Wallet::reserved).unwrap_or_default(),
        }
    }

    pub(crate) fn reserved(&self) -> &Reserved {
        &self.reserved
    }

    #[must_use]
    pub(crate) fn with_reserved(self, reserved: Reserved) -> Self {
        Self { reserved, ..self }
    }

    /// Whether it is that of a namespace that begins afresh.
    pub(super) fn is_nothing(&self) -> bool {
        self.mining.is_none() && self.pool.is_none()
    }

    /// The pool, if it was left.
    pub(super) fn pool(self) -> Option<Packed> {
        self.pool.map(|waiting| Packed {
            waiting: waiting.transactions,
            numbers: waiting.numbers,
            next: waiting.next,
            orphans: waiting.orphans,
        })
    }
}
