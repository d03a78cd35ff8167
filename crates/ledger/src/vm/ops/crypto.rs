//! Opcodes that hash and check signatures.

use std::borrow::Cow;

use ed25519_dalek::{Signature, VerifyingKey};
use ripemd::Ripemd160;
use sha2::Sha256;
use sha3::{Digest, Sha3_256};

use super::super::error::Error;
use super::super::machine::{Item, Machine, length};

/// The least a hash of 32 bytes costs; longer items cost a gas for each byte.
const MIN_HASH_COST: i64 = 64;
/// What `HASH160` costs besides one gas for each byte.
const HASH160_COST: i64 = 64;
/// What each key of a `CHECKMULTISIG` costs.
const KEY_COST: i64 = 1024;
/// The length of what is signed.
const MESSAGE_LENGTH: usize = 32;

pub(in crate::vm) fn sha256(vm: &mut Machine<'_>) -> Result<(), Error> {
    hash::<Sha256>(vm)
}

pub(in crate::vm) fn sha3(vm: &mut Machine<'_>) -> Result<(), Error> {
    hash::<Sha3_256>(vm)
}

fn hash<H: Digest>(vm: &mut Machine<'_>) -> Result<(), Error> {
    let item = vm.pop_now()?;
    vm.charge(length(&item).max(MIN_HASH_COST))?;
    vm.push_now(Cow::Owned(H::digest(&item).to_vec()))
}

/// RIPEMD-160 alone, despite the name, which elsewhere means RIPEMD-160 of SHA-256.
pub(in crate::vm) fn hash160(vm: &mut Machine<'_>) -> Result<(), Error> {
    let item = vm.pop_now()?;
    vm.charge(length(&item) + HASH160_COST)?;
    vm.push_now(Cow::Owned(Ripemd160::digest(&item).to_vec()))
}

pub(in crate::vm) fn tx_sig_hash(vm: &mut Machine<'_>) -> Result<(), Error> {
    let hash = vm.signature_hash()?;
    vm.push_now(Cow::Owned(hash.to_vec()))
}

/// `… signature message key CHECKSIG`.
pub(in crate::vm) fn check_sig(vm: &mut Machine<'_>) -> Result<(), Error> {
    let key = vm.pop_later()?;
    let message = vm.pop_later()?;
    let signature = vm.pop_later()?;
    if message.len() != MESSAGE_LENGTH {
        return Err(Error::BadValue);
    }
    vm.push_bool(is_signed(&key, &message, &signature));
    Ok(())
}

/// `… signatures message keys quorum count CHECKMULTISIG`: each signature by another key, in the order of the keys.
pub(in crate::vm) fn check_multi_sig(vm: &mut Machine<'_>) -> Result<(), Error> {
    let count = vm.pop_count_later()?;
    vm.charge(count.checked_mul(KEY_COST).ok_or(Error::BadValue)?)?;
    let quorum = vm.pop_count_later()?;
    if quorum > count || (count > 0 && quorum == 0) {
        return Err(Error::BadValue);
    }
    let keys = pop_many(vm, count)?;
    let message = vm.pop_later()?;
    if message.len() != MESSAGE_LENGTH {
        return Err(Error::BadValue);
    }
    let signatures = pop_many(vm, quorum)?;
    let sound = keys
        .iter()
        .all(|key| key.len() == ed25519_dalek::PUBLIC_KEY_LENGTH);
    vm.push_bool(sound && all_signed(&keys, &message, &signatures));
    Ok(())
}

/// Takes `count` items, the topmost first.
fn pop_many<'a>(vm: &mut Machine<'a>, count: i64) -> Result<Vec<Item<'a>>, Error> {
    // Checked as it goes, since an item short is only found after the others are taken.
    (0..count).map(|_| vm.pop_later()).collect()
}

fn all_signed(keys: &[Item<'_>], message: &[u8], signatures: &[Item<'_>]) -> bool {
    let mut keys = keys.iter();
    signatures
        .iter()
        .all(|signature| keys.any(|key| is_signed(key, message, signature)))
}

/// Ed25519 as Go's `crypto/ed25519` has it, on which bytomd's verdicts rest: no cofactor; the scalar of the signature
/// is below the order of the group; its point is compared as bytes, hence canonical; the key may be of small order or
/// not canonical. `verify` of ed25519-dalek does just that; `verify_strict` would refuse keys of small order as well.
fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (
        VerifyingKey::try_from(key),
        Signature::from_slice(signature),
    ) else {
        return false;
    };
    ed25519_dalek::Verifier::verify(&key, message, &signature).is_ok()
}
