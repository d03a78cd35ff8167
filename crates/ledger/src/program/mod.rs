//! Programs: building the standard ones, telling them apart, and reading and writing them as text.
//!
//! Control programs of the segregated-witness kind hold a hash only; [`executed_form`] is what the machine runs.
//! Source of the forms: bytomd v2's `vmutil`, `segwit` and `bcrp`.

mod build;
mod standard;
mod text;

pub use build::{
    MultisigError, anyone, call_contract, issuance, key_hash, multisig, p2wpkh, p2wsh, push_data,
    push_number, register_contract, retire, script_hash,
};
pub use standard::{Multisig, Standard, executed_form, is_unspendable, limit_height};
pub use text::{AssembleError, assemble, disassemble, listing};

/// What marks programs of the contract register, "Bytom contract register protocol".
const BCRP: &[u8; 4] = b"bcrp";
/// The only version of that protocol.
const BCRP_VERSION: u8 = 1;
