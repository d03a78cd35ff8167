//! Telling the standard programs apart.

use std::borrow::Cow;

use super::{BCRP, BCRP_VERSION};
use crate::vm::{Instruction, Op, instructions};

/// What kind a program is, with what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standard<'p> {
    /// Pays to the key with this RIPEMD-160 hash.
    P2wpkh(&'p [u8; 20]),
    /// Pays to the program with this SHA3-256 hash.
    P2wsh(&'p [u8; 32]),
    /// `TRUE`: pays to anyone.
    Anyone,
    /// Registers this contract; destroys what is sent to it.
    RegisterContract(&'p [u8]),
    /// Is guarded by the registered contract with this hash.
    CallContract(&'p [u8; 32]),
    /// Wants signatures by some of its keys.
    Multisig(Multisig),
    /// Begins with `FAIL`, so that nothing sent to it can be spent.
    Retire,
}

/// The keys that may sign, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multisig {
    /// The public keys, in the order in which their signatures must come.
    pub keys: Vec<[u8; 32]>,
    /// How many signatures it takes.
    pub quorum: usize,
    /// The height below which it holds; 0 for always.
    pub limit_height: u64,
}

impl<'p> Standard<'p> {
    /// The kind of a control or issuance program, if it is a standard one.
    pub fn of(program: &'p [u8]) -> Option<Self> {
        if let Some(hash) = p2wpkh_hash(program) {
            Some(Standard::P2wpkh(hash))
        } else if let Some(hash) = p2wsh_hash(program) {
            Some(Standard::P2wsh(hash))
        } else if let Some(hash) = called_contract(program) {
            Some(Standard::CallContract(hash))
        } else if let Some(contract) = registered_contract(program) {
            Some(Standard::RegisterContract(contract))
        } else if program == [Op::TRUE.0] {
            Some(Standard::Anyone)
        } else if is_unspendable(program) {
            Some(Standard::Retire)
        } else {
            multisig(program).map(Standard::Multisig)
        }
    }

    /// Whether a wallet may pay to it as an address does: P2WPKH, P2WSH, `TRUE` or a lone `FAIL`.
    ///
    /// Bytomd calls these "P2W scripts" (`segwit.IsP2WScript`).
    pub fn is_witness(program: &[u8]) -> bool {
        p2wpkh_hash(program).is_some()
            || p2wsh_hash(program).is_some()
            || program == [Op::TRUE.0]
            || program == [Op::FAIL.0]
    }
}

fn p2wpkh_hash(program: &[u8]) -> Option<&[u8; 20]> {
    program
        .strip_prefix(&[Op::FALSE.0, Op::DATA_20.0])?
        .try_into()
        .ok()
}

fn p2wsh_hash(program: &[u8]) -> Option<&[u8; 32]> {
    program
        .strip_prefix(&[Op::FALSE.0, Op::DATA_32.0])?
        .try_into()
        .ok()
}

fn called_contract(program: &[u8]) -> Option<&[u8; 32]> {
    let hash = program.strip_prefix(&[4])?.strip_prefix(BCRP)?;
    hash.strip_prefix(&[Op::DATA_32.0])?.try_into().ok()
}

/// The contract may be pushed by whatever instruction has an operand or is a small number; bytomd does not look.
fn registered_contract(program: &[u8]) -> Option<&[u8]> {
    let rest = program.strip_prefix(&[Op::FAIL.0, 4])?.strip_prefix(BCRP)?;
    let mut rest = instructions(rest.strip_prefix(&[1, BCRP_VERSION])?);
    let contract = rest.next()?.ok()?.data;
    (rest.next().is_none() && !contract.is_empty()).then_some(contract)
}

/// Whether no spend of the program can succeed: it begins with `FAIL`.
pub fn is_unspendable(program: &[u8]) -> bool {
    program.first() == Some(&Op::FAIL.0)
}

/// The program as the machine runs it.
///
/// * P2WPKH: `DUP HASH160 <hash> EQUALVERIFY TXSIGHASH SWAP CHECKSIG`, for a signature and a key.
/// * P2WSH: `DUP SHA3 <hash> EQUALVERIFY 0 SWAP 0 CHECKPREDICATE`, for what the program wants and the program.
/// * A call of a contract: the contract that `contract` finds by its hash. If there is none, the program itself is
///   run, which lets everyone pass: do not pay to a contract that is not registered.
/// * Any other: itself.
pub fn executed_form(
    program: &[u8],
    contract: impl FnOnce(&[u8; 32]) -> Option<Vec<u8>>,
) -> Cow<'_, [u8]> {
    if let Some(hash) = p2wpkh_hash(program) {
        let before = [Op::DUP.0, Op::HASH160.0, Op::DATA_20.0];
        let after = [
            Op::EQUALVERIFY.0,
            Op::TXSIGHASH.0,
            Op::SWAP.0,
            Op::CHECKSIG.0,
        ];
        Cow::Owned([before.as_slice(), hash, &after].concat())
    } else if let Some(hash) = p2wsh_hash(program) {
        let before = [Op::DUP.0, Op::SHA3.0, Op::DATA_32.0];
        let after = [
            Op::EQUALVERIFY.0,
            Op::FALSE.0,
            Op::SWAP.0,
            Op::FALSE.0,
            Op::CHECKPREDICATE.0,
        ];
        Cow::Owned([before.as_slice(), hash, &after].concat())
    } else if let Some(contract) = called_contract(program).and_then(contract) {
        Cow::Owned(contract)
    } else {
        Cow::Borrowed(program)
    }
}

/// The height below which an issuance program issues; `None` if it has no such limit.
pub fn limit_height(program: &[u8]) -> Option<u64> {
    let parsed: Vec<Instruction<'_>> = instructions(program).collect::<Result<_, _>>().ok()?;
    split_limit(&parsed).map(|(height, _)| height)
}

fn split_limit<'i, 'p>(parsed: &'i [Instruction<'p>]) -> Option<(u64, &'i [Instruction<'p>])> {
    let [height, rest @ ..] = parsed else {
        return None;
    };
    let (check, rest) = rest.split_first_chunk::<3>()?;
    let limits =
        check.map(|instruction| instruction.op) == [Op::BLOCKHEIGHT, Op::GREATERTHAN, Op::VERIFY];
    let height = height.op.is_push().then(|| number(height.data)).flatten()?;
    (limits && height > 0).then_some((height, rest))
}

fn number(data: &[u8]) -> Option<u64> {
    // A number of more than 32 bytes is none, even if its high bytes are zero.
    let (low, high) = data.split_at(data.len().min(8));
    if data.len() > 32 || high.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some(
        low.iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

fn multisig(program: &[u8]) -> Option<Multisig> {
    let parsed: Vec<Instruction<'_>> = instructions(program).collect::<Result<_, _>>().ok()?;
    let (limit_height, parsed) = split_limit(&parsed).unwrap_or((0, &parsed));
    let [first, keys @ .., quorum, count, last] = parsed else {
        return None;
    };
    let count_of = |instruction: &Instruction<'_>| {
        let number = instruction
            .op
            .is_push()
            .then(|| number(instruction.data))??;
        usize::try_from(number).ok()
    };
    let (quorum, count) = (count_of(quorum)?, count_of(count)?);
    let fits = first.op == Op::TXSIGHASH
        && last.op == Op::CHECKMULTISIG
        && keys.len() == count
        && quorum <= count
        && (quorum > 0 || count == 0);
    let keys: Option<Vec<[u8; 32]>> = keys
        .iter()
        .map(|key| key.op.is_push().then_some(key.data)?.try_into().ok())
        .collect();
    Some(Multisig {
        keys: keys.filter(|_| fits)?,
        quorum,
        limit_height,
    })
}
