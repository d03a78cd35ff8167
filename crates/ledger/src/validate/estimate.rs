//! What gas a transaction will take once it is signed, told from its template.
//!
//! Nothing is run: what the standard programs cost and how long their witnesses are is known beforehand. The estimate
//! is above the truth, and leaves room for one more input that pays the fee (`flexible_neu`). Constants and figures are
//! those of bytomd v2 (`blockchain/txbuilder/estimate.go`), which gives the estimate in neu.

use crate::params::Params;
use crate::program::{Standard, limit_height};
use crate::transaction::{InputKind, Transaction};

/// The size of an unsigned spend, 112 bytes, and of an output, 64.
const BASE_BYTES: u64 = 176;
/// The witness of a P2WPKH: a signature, a key and their lengths.
const KEY_WITNESS_BYTES: u64 = 98;
/// The gas of a P2WPKH.
const KEY_GAS: u64 = 1409;
/// A signature and its length.
const SIGNATURE_BYTES: u64 = 65;
/// A public key in a script and its push.
const PUBLIC_KEY_BYTES: u64 = 33;
/// The gas of comparing the height of an issuance's limit.
const HEIGHT_GAS: u64 = 5;
/// What each transaction in a chain of them pays for merging outputs, in neu.
const CHAIN_NEU: u64 = 6_000_000;

/// A group of keys that sign an input together: a component `raw_tx_signature` of its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signers {
    /// How many keys there are.
    pub keys: u64,
    /// How many of them sign.
    pub quorum: u64,
}

/// What a transaction will take, in neu; `estimate-transaction-gas`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// All of it.
    pub total_neu: u64,
    /// What one more input and output would take; part of the total.
    pub flexible_neu: u64,
    /// What the encoding takes.
    pub storage_neu: u64,
    /// What the programs take.
    pub vm_neu: u64,
    /// What merging outputs beforehand takes; not part of the total.
    pub chain_tx_neu: u64,
}

/// Size and gas of a witness that is not there yet.
#[derive(Debug, Clone, Copy, Default)]
struct Witness {
    bytes: u64,
    gas: u64,
}

impl Witness {
    fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.gas = self.gas.saturating_add(other.gas);
    }
}

/// Estimates the gas of a transaction without witnesses; `signers` of input i are at `signers[i]`.
pub fn estimate_gas(
    transaction: &Transaction,
    signers: &[Vec<Signers>],
    params: &Params,
) -> Estimate {
    let groups = |index| signers.get(index).map_or(&[] as &[Signers], Vec::as_slice);
    let (mut key, mut script, mut issue) = Default::default();
    let mut last_script = Witness::default();
    for (index, input) in transaction.inputs.iter().enumerate() {
        match &input.kind {
            InputKind::Spend(_) => match Standard::of(input.program()) {
                Some(Standard::P2wpkh(_)) => Witness::add(&mut key, KEY_WITNESS),
                Some(Standard::P2wsh(_)) => {
                    last_script = sum(groups(index), of_script);
                    Witness::add(&mut script, last_script);
                }
                _ => {}
            },
            InputKind::Issuance(_) => {
                let height = limit_height(input.program()).map_or(0, |_| HEIGHT_GAS);
                Witness::add(
                    &mut issue,
                    Witness {
                        bytes: 0,
                        gas: height,
                    },
                );
                Witness::add(&mut issue, sum(groups(index), of_issuance));
            }
            // bytomd counts nothing for a vote that is taken back
            InputKind::Veto(_) | InputKind::Coinbase(_) => {}
        }
    }
    let storage = |bytes: u64| bytes.saturating_mul(params.storage_gas_per_byte);
    let another = |witness: Witness| {
        let bytes = BASE_BYTES.saturating_add(witness.bytes);
        witness.gas.saturating_add(storage(bytes))
    };
    let mut flexible = 0;
    if key.gas > 0 {
        flexible = another(KEY_WITNESS);
    } else if script.gas > 0 {
        flexible = another(last_script);
    } else if issue.gas > 0 {
        // an issuance cannot pay: an input that does will be added
        issue.add(Witness {
            bytes: BASE_BYTES + KEY_WITNESS.bytes,
            gas: KEY_WITNESS.gas,
        });
    }
    let mut all = key;
    all.add(script);
    all.add(issue);
    let stored = storage((transaction.size() as u64).saturating_add(all.bytes));
    let total = stored.saturating_add(all.gas).saturating_add(flexible);
    let neu = |gas: u64| gas.saturating_mul(params.gas_price_neu);
    Estimate {
        total_neu: neu(total),
        flexible_neu: neu(flexible),
        storage_neu: neu(stored),
        vm_neu: neu(all.gas),
        chain_tx_neu: 0,
    }
}

/// Estimates the last of a chain of transactions, of which `before` merge outputs for it.
pub fn estimate_chain_gas(
    last: &Transaction,
    signers: &[Vec<Signers>],
    before: u64,
    params: &Params,
) -> Estimate {
    Estimate {
        chain_tx_neu: before.saturating_mul(CHAIN_NEU),
        ..estimate_gas(last, signers, params)
    }
}

const KEY_WITNESS: Witness = Witness {
    bytes: KEY_WITNESS_BYTES,
    gas: KEY_GAS,
};

fn sum(groups: &[Signers], witness: fn(Signers) -> Witness) -> Witness {
    let mut all = Witness::default();
    for group in groups {
        all.add(witness(*group));
    }
    all
}

fn weigh(signers: Signers, per_key: u64, per_signature: u64, more: u64) -> u64 {
    let keys = signers.keys.saturating_mul(per_key);
    let signatures = signers.quorum.saturating_mul(per_signature);
    keys.saturating_add(signatures).saturating_add(more)
}

fn of_script(signers: Signers) -> Witness {
    let single = signers.keys == 1 && signers.quorum == 1;
    Witness {
        bytes: weigh(signers, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, 0),
        gas: weigh(signers, 1131, 72, if single { 686 } else { 659 }),
    }
}

fn of_issuance(signers: Signers) -> Witness {
    Witness {
        bytes: weigh(signers, 0, SIGNATURE_BYTES, 0),
        gas: weigh(signers, 1065, 72, 316),
    }
}
