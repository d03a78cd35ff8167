//! What a transaction will cost, before it is signed.
//!
//! The estimate is bytomd's, which clients turn into fees: fixed amounts of gas for what each kind of input runs,
//! the bytes of the transaction with the witnesses to come, and one more input of the same kind to spare, since
//! paying the fee may need one (`blockchain/txbuilder/estimate.go`). A vote that is taken back is not counted; the
//! spare input pays for it.

use std::collections::HashMap;

use baton_ledger::{
    Params, Transaction,
    program::{self, Standard},
    transaction::InputKind,
};
use serde::{Deserialize, Serialize};

use crate::template::{SigningInstruction, Template, WitnessComponent};

/// What one merging transaction of a chain pays, in neu.
pub const MERGE_NEU: u64 = 6_000_000;

/// Bytes of one more input and one more output, without the witness.
const SPARE_BYTES: u64 = 112 + 64;
/// Bytes of the witness for one key: a signature, a key, and their lengths.
const P2WPKH_BYTES: u64 = 98;
/// Gas that the program of one key runs.
const P2WPKH_GAS: u64 = 1409;
/// Gas that checking an asset's height limit runs.
const HEIGHT_LIMIT_GAS: u64 = 5;

/// The answer to `estimate-transaction-gas`, in neu.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasEstimate {
    /// What to pay.
    pub total_neu: u64,
    /// Of that, for one more input to pay the fee with.
    pub flexible_neu: u64,
    /// Of that, for bytes.
    pub storage_neu: u64,
    /// Of that, for programs.
    pub vm_neu: u64,
    /// For the merging transactions of a chain before this one; not in the total.
    pub chain_tx_neu: u64,
}

/// Bytes of witness and gas of programs.
#[derive(Clone, Copy, Default)]
struct Cost {
    bytes: u64,
    gas: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.gas = self.gas.saturating_add(other.gas);
    }
}

/// Estimates a transaction.
pub fn estimate(template: &Template, params: &Params) -> GasEstimate {
    let (mut single, mut shared, mut issued) = (Cost::default(), Cost::default(), Cost::default());
    let mut last_shared = Cost::default();
    let instructions: HashMap<usize, &SigningInstruction> = template
        .signing_instructions
        .iter()
        .map(|instruction| (instruction.position, instruction))
        .collect();
    for (position, input) in template.raw_transaction.inputs.iter().enumerate() {
        let instruction = instructions.get(&position).copied();
        match (&input.kind, Standard::of(input.program())) {
            (InputKind::Spend(_), Some(Standard::P2wpkh(_))) => {
                single += Cost {
                    bytes: P2WPKH_BYTES,
                    gas: P2WPKH_GAS,
                };
            }
            (InputKind::Spend(_), Some(Standard::P2wsh(_))) => {
                last_shared = signatures(instruction, shared_cost);
                shared += last_shared;
            }
            (InputKind::Issuance(issuance), _) => {
                if program::limit_height(&issuance.issuance_program).is_some() {
                    issued.gas += HEIGHT_LIMIT_GAS;
                }
                issued += signatures(instruction, issuance_cost);
            }
            _ => {}
        }
    }
    let byte = params.storage_gas_per_byte;
    let mut spare = 0;
    if single.gas > 0 {
        spare = P2WPKH_GAS + (SPARE_BYTES + P2WPKH_BYTES) * byte;
    } else if shared.gas > 0 {
        spare = last_shared.gas + (SPARE_BYTES + last_shared.bytes) * byte;
    } else if issued.gas > 0 {
        issued += Cost {
            bytes: SPARE_BYTES + P2WPKH_BYTES,
            gas: P2WPKH_GAS,
        };
    }
    let bytes = size(&template.raw_transaction) + single.bytes + shared.bytes + issued.bytes;
    let storage = bytes.saturating_mul(byte);
    let vm = single.gas + shared.gas + issued.gas;
    let neu = |gas: u64| gas.saturating_mul(params.gas_price_neu);
    GasEstimate {
        total_neu: neu(storage + vm + spare),
        flexible_neu: neu(spare),
        storage_neu: neu(storage),
        vm_neu: neu(vm),
        chain_tx_neu: 0,
    }
}

/// Estimates a chain of transactions: the last, and what those before it pay. `None` for no transaction.
pub fn estimate_chain(templates: &[Template], params: &Params) -> Option<GasEstimate> {
    let (last, merging) = templates.split_last()?;
    Some(GasEstimate {
        chain_tx_neu: MERGE_NEU.saturating_mul(merging.len() as u64),
        ..estimate(last, params)
    })
}

fn size(transaction: &Transaction) -> u64 {
    transaction.size() as u64
}

/// The cost of each component of signatures: from the number of keys and the quorum.
fn signatures(instruction: Option<&SigningInstruction>, cost: impl Fn(u64, u64) -> Cost) -> Cost {
    let mut sum = Cost::default();
    let components = instruction.map(|instruction| &instruction.witness_components);
    for component in components.into_iter().flatten() {
        if let WitnessComponent::RawTxSignature { quorum, keys, .. } = component {
            sum += cost(keys.len() as u64, (*quorum).min(keys.len()) as u64);
        }
    }
    sum
}

fn shared_cost(keys: u64, quorum: u64) -> Cost {
    let alone = if keys == 1 && quorum == 1 { 27 } else { 0 };
    Cost {
        bytes: 33 * keys + 65 * quorum,
        gas: 1131 * keys + 72 * quorum + 659 + alone,
    }
}

fn issuance_cost(keys: u64, quorum: u64) -> Cost {
    Cost {
        bytes: 65 * quorum,
        gas: 1065 * keys + 72 * quorum + 316,
    }
}
