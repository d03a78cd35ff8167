//! Building the standard programs.

use ripemd::Ripemd160;
use ruint::aliases::U256;
use sha3::{Digest, Sha3_256};

use super::{BCRP, BCRP_VERSION};
use crate::vm::{Op, encode_number};

/// Appends the shortest `DATA_n` or `PUSHDATAn` that pushes the bytes; no bytes are `FALSE`.
///
/// A single byte from 1 to 16 becomes `DATA_1`, not the opcode of that number.
pub fn push_data(program: &mut Vec<u8>, data: &[u8]) {
    let length = data.len().to_le_bytes();
    match data.len() {
        0 => program.push(Op::FALSE.0),
        1..=75 => program.push(length[0]),
        76..=0xff => program.extend([Op::PUSHDATA1.0, length[0]]),
        0x100..=0xffff => program.extend([Op::PUSHDATA2.0, length[0], length[1]]),
        // Beyond 32 bits no program can be run; the cut length makes it a broken one.
        _ => program.extend([Op::PUSHDATA4.0, length[0], length[1], length[2], length[3]]),
    }
    program.extend_from_slice(data);
}

/// Appends the shortest instruction that pushes the number.
pub fn push_number(program: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(small @ 1..=16) => program.push(Op::TRUE.0 + small - 1),
        _ => push_data(program, &encode_number(U256::from(number))),
    }
}

/// The hash of a public key in a P2WPKH program: RIPEMD-160.
pub fn key_hash(public_key: &[u8; 32]) -> [u8; 20] {
    Ripemd160::digest(public_key).into()
}

/// The hash of a program in a P2WSH program, and of a contract in a call: SHA3-256.
pub fn script_hash(program: &[u8]) -> [u8; 32] {
    Sha3_256::digest(program).into()
}

/// Pay to the key with that hash (see [`key_hash`]): `0 <hash>`.
pub fn p2wpkh(hash: &[u8; 20]) -> Vec<u8> {
    witness(hash)
}

/// Pay to the program with that hash (see [`script_hash`]): `0 <hash>`.
pub fn p2wsh(hash: &[u8; 32]) -> Vec<u8> {
    witness(hash)
}

fn witness(hash: &[u8]) -> Vec<u8> {
    let mut program = vec![Op::FALSE.0];
    push_data(&mut program, hash);
    program
}

/// `TRUE`: whoever wants may spend it. Coinbases without a mining address pay to it.
pub fn anyone() -> Vec<u8> {
    vec![Op::TRUE.0]
}

/// Destroys what is sent to it, with a remark of any length: `FAIL <remark>`.
pub fn retire(remark: &[u8]) -> Vec<u8> {
    let mut program = vec![Op::FAIL.0];
    if !remark.is_empty() {
        push_data(&mut program, remark);
    }
    program
}

/// Registers a contract: `FAIL "bcrp" <version> <contract>`.
pub fn register_contract(contract: &[u8]) -> Vec<u8> {
    let mut program = vec![Op::FAIL.0];
    push_data(&mut program, BCRP);
    push_data(&mut program, &[BCRP_VERSION]);
    push_data(&mut program, contract);
    program
}

/// Is guarded by the registered contract with that hash (see [`script_hash`]): `"bcrp" <hash>`.
pub fn call_contract(hash: &[u8; 32]) -> Vec<u8> {
    let mut program = Vec::with_capacity(38);
    push_data(&mut program, BCRP);
    push_data(&mut program, hash);
    program
}

/// Why keys and a quorum make no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultisigError {
    /// More signatures are asked for than there are keys.
    #[error("building a program for {keys} keys: a quorum of {quorum} can never sign")]
    QuorumTooBig {
        /// How many keys there are.
        keys: usize,
        /// How many must sign.
        quorum: usize,
    },
    /// No signature is asked for although there are keys.
    #[error("building a program for {keys} keys: a quorum of 0 would need no signature")]
    QuorumEmpty {
        /// How many keys there are.
        keys: usize,
    },
}

/// Wants signatures of the transaction by `quorum` of the keys:
/// `TXSIGHASH <key>… <quorum> <number of keys> CHECKMULTISIG`.
///
/// It is put in a witness and paid to by its hash ([`p2wsh`]), or issues an asset.
pub fn multisig(keys: &[[u8; 32]], quorum: usize) -> Result<Vec<u8>, MultisigError> {
    if quorum > keys.len() {
        return Err(MultisigError::QuorumTooBig {
            keys: keys.len(),
            quorum,
        });
    }
    if quorum == 0 && !keys.is_empty() {
        return Err(MultisigError::QuorumEmpty { keys: keys.len() });
    }
    let mut program = vec![Op::TXSIGHASH.0];
    for key in keys {
        push_data(&mut program, key);
    }
    push_number(&mut program, quorum as u64);
    push_number(&mut program, keys.len() as u64);
    program.push(Op::CHECKMULTISIG.0);
    Ok(program)
}

/// Issues an asset with [`multisig`], below the height `limit_height` if that is not 0:
/// `<height> BLOCKHEIGHT GREATERTHAN VERIFY …`.
pub fn issuance(
    keys: &[[u8; 32]],
    quorum: usize,
    limit_height: u64,
) -> Result<Vec<u8>, MultisigError> {
    let mut program = Vec::new();
    if limit_height > 0 {
        push_number(&mut program, limit_height);
        program.extend([Op::BLOCKHEIGHT.0, Op::GREATERTHAN.0, Op::VERIFY.0]);
    }
    program.extend(multisig(keys, quorum)?);
    Ok(program)
}
