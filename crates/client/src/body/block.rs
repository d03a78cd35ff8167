//! Requests that name a block, by its hash or its height.

use serde_json::{Value, json};

use super::Complaint;
use super::field::hex;
use crate::input::Input;

/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 64;

/// One argument is the hash or the height.
pub(crate) fn block(input: &Input) -> Result<Value, Complaint> {
    let name = input.argument(0);
    if name.chars().any(|digit| !digit.is_ascii_hexdigit()) {
        return Err(Complaint::new("Invalid value for hash or height"));
    }
    // A hash may happen to have no letter in it; a height never has so many digits.
    if name.len() == HASH_DIGITS {
        return Ok(json!({ "block_height": 0, "block_hash": name.to_ascii_lowercase() }));
    }
    if name.chars().any(|digit| !digit.is_ascii_digit()) {
        return Err(Complaint::new("Invalid hash length"));
    }
    match name.parse::<u64>() {
        Ok(height) => Ok(json!({ "block_height": height, "block_hash": "" })),
        Err(_) => Err(Complaint::new("Invalid height value")),
    }
}

/// Two flags are the hash and the height; neither stands for the newest block.
pub(crate) fn block_of_flags(input: &Input) -> Result<Value, Complaint> {
    let height = super::field::amount(input.flag("height"))?;
    Ok(json!({ "block_height": height, "block_hash": hex(input.flag("hash"))? }))
}

/// A block, then transactions in it.
pub(crate) fn merkle_proof(input: &Input) -> Result<Value, Complaint> {
    let ids: Result<Vec<_>, _> = input.rest(1).iter().map(|id| hex(id)).collect();
    Ok(json!({ "tx_ids": ids?, "block_hash": hex(input.argument(0))? }))
}
