//! What a node takes for its pool: more is asked of a transaction than that it is valid.

use super::rejection::NO_CODE;
use crate::entry::Mapped;
use crate::hash::AssetId;
use crate::params::Params;
use crate::program::Standard;

/// The most a transaction may pay by default, in neu: 10 BTM (bytomd v2, `wallet.max_tx_fee`).
pub const DEFAULT_MAX_FEE_NEU: u64 = 1_000_000_000;

/// Why a valid transaction is not taken for the pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It pays so much that it must be a mistake.
    #[error("{fee_neu} neu, more than the limit of {limit_neu}: transaction fee exceed max limit")]
    Fee {
        /// What it pays, in neu.
        fee_neu: u64,
        /// The most that a transaction may pay, in neu.
        limit_neu: u64,
    },
    /// No input brings BTM, of which gas is bought. bytomd says "transaction is dust tx" and gives no code.
    #[error("transaction has no gas input")]
    NoGas,
    /// An output is of nothing.
    #[error("output {output} has the amount 0: transaction is dust tx")]
    Dust {
        /// The number of the output.
        output: usize,
    },
    /// An output would register a contract if there were enough BTM in it. bytomd relays no registration at all.
    #[error(
        "output {output} has not the {least_neu} neu that register a contract: transaction is dust tx"
    )]
    Contract {
        /// The number of the output.
        output: usize,
        /// The least amount in neu.
        least_neu: u64,
    },
}

impl Refusal {
    /// The number in the code of bytomd's API; 0 where bytomd has no code of its own.
    pub fn code(&self) -> u16 {
        match self {
            Self::Fee { .. } => 713,
            Self::NoGas => 714,
            Self::Dust { .. } | Self::Contract { .. } => 0,
        }
    }

    /// The sentence bytomd's API gives with the code.
    pub fn summary(&self) -> &'static str {
        match self {
            Self::Fee { .. } => "Transaction fee exceeded max limit",
            Self::NoGas => "Transaction has no gas input",
            Self::Dust { .. } | Self::Contract { .. } => NO_CODE,
        }
    }
}

/// Whether the pool takes a transaction, before it is validated. (bytomd v2, `protocol/txpool.go` and `txbuilder`.)
pub fn check_relay(transaction: &Mapped, max_fee_neu: u64, params: &Params) -> Result<(), Refusal> {
    let fee_neu = transaction.transaction().fee_neu();
    if fee_neu > max_fee_neu {
        return Err(Refusal::Fee {
            fee_neu,
            limit_neu: max_fee_neu,
        });
    }
    let inputs = &transaction.transaction().inputs;
    if !inputs.iter().any(|input| input.asset_id() == AssetId::BTM) {
        return Err(Refusal::NoGas);
    }
    for (output, value) in transaction.transaction().outputs.iter().enumerate() {
        if value.amount == 0 {
            return Err(Refusal::Dust { output });
        }
        let registers = matches!(
            Standard::of(&value.control_program),
            Some(Standard::RegisterContract(_))
        );
        let least_neu = params.min_contract_output_neu;
        if registers && (value.asset_id != AssetId::BTM || value.amount < least_neu) {
            return Err(Refusal::Contract { output, least_neu });
        }
    }
    Ok(())
}
