//! Numbers as items: little endian, without trailing zeros, below 2²⁵⁵.
//!
//! Bytom v2 holds them in 256 bits and takes the highest bit for a sign that makes the number out of range, so that a
//! difference below zero is an error and negative numbers do not exist.

use ruint::aliases::U256;

use super::error::Error;

/// The longest item that is taken for a number, in bytes.
const MAX_BYTES: usize = 32;

/// Reads an item as a number: missing high bytes are zero.
pub(super) fn decode(item: &[u8]) -> Result<U256, Error> {
    if item.len() > MAX_BYTES {
        return Err(Error::BadValue);
    }
    in_range(U256::from_le_slice(item))
}

/// The number as the shortest item; zero is the empty one.
pub(crate) fn encode(number: U256) -> Vec<u8> {
    let bytes = number.to_le_bytes::<MAX_BYTES>();
    let length = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    bytes[..length].to_vec()
}

/// Passes on a result that leaves the highest bit clear.
pub(super) fn in_range(number: U256) -> Result<U256, Error> {
    if number.bit(255) {
        Err(Error::Range)
    } else {
        Ok(number)
    }
}

/// A count, a size or a limit: below 2⁶³.
pub(super) fn to_count(number: U256) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::BadValue)
}

/// The lowest 64 bits, where bytomd ignores the others.
pub(super) fn low_64(number: U256) -> u64 {
    number.as_limbs()[0]
}

/// Whether an item counts as true: any byte is not zero, whatever its length.
pub(super) fn is_true(item: &[u8]) -> bool {
    item.iter().any(|byte| *byte != 0)
}
