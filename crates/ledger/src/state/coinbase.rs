//! The coinbase: the first transaction of a block, which names who made it and pays what is due.
//!
//! It has one input, whose arbitrary bytes are `00`, the height in decimal digits, and up to the limit of
//! [`Params::max_coinbase_arbitrary_bytes`] a note that does not begin with a digit: so no two coinbases of a chain, and
//! no two of their outputs, are the same. Its first output pays to the proposer's program.
//!
//! It pays in the first block of an epoch only, what was earned in the epoch before: the first output what the
//! proposer's own program earned, then one output for each other program, in ascending order of the programs. In all
//! other blocks it has one output, of 0. (So does bytomd, but for the order; block 1 pays nothing.)

use std::collections::BTreeMap;

use super::error::{BlockRejection, StateError};
use super::{State, rewards};
use crate::hash::AssetId;
use crate::params::Params;
use crate::transaction::{Coinbase, Input, InputKind, Output, Transaction};

/// The longest program that a proposer may be paid to: any address is shorter.
pub const MAX_PROGRAM_BYTES: usize = 128;

/// What the arbitrary bytes of a coinbase need at any height: `00` and the digits of the greatest number.
pub(super) const MIN_ARBITRARY_BYTES: u64 = 1 + 20;

/// Whether the block at `height` pays what the epoch before it earned.
pub fn is_payday(height: u64, params: &Params) -> bool {
    height > 1 && (height - 1).is_multiple_of(params.epoch_blocks.max(1))
}

/// The coinbase of the block after the state's tip, made by who is paid to `program`.
///
/// `note` must not begin with a digit. Fails if the state cannot be read.
pub fn coinbase<S: State>(
    state: &S,
    params: &Params,
    program: &[u8],
    note: &[u8],
) -> Result<Transaction, StateError<S::Error>> {
    let height = state.tip().map_err(StateError::Read)?.height + 1;
    let due = if is_payday(height, params) {
        rewards(state)?
    } else {
        BTreeMap::new()
    };
    let mut arbitrary = arbitrary(height);
    arbitrary.extend_from_slice(note);
    Ok(Transaction {
        version: 1,
        time_range: 0,
        inputs: vec![Input::from(InputKind::Coinbase(Coinbase { arbitrary }))],
        outputs: outputs(due, program),
    })
}

/// What the arbitrary bytes begin with.
fn arbitrary(height: u64) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(height.to_string().as_bytes());
    bytes
}

fn outputs(mut due: BTreeMap<Vec<u8>, u64>, program: &[u8]) -> Vec<Output> {
    let own = due.remove(program).unwrap_or(0);
    let others = due
        .into_iter()
        .map(|(program, amount)| Output::original(AssetId::BTM, amount, program));
    std::iter::once(Output::original(AssetId::BTM, own, program.to_vec()))
        .chain(others)
        .collect()
}

/// Checks the form of a block's first transaction and that it pays what is `due`; the proposer's program.
pub(super) fn check(
    transaction: &Transaction,
    height: u64,
    due: BTreeMap<Vec<u8>, u64>,
) -> Result<&[u8], BlockRejection> {
    let refuse = |why| Err(BlockRejection::Coinbase(why));
    let [input] = transaction.inputs.as_slice() else {
        return refuse("the first transaction has not one input");
    };
    let InputKind::Coinbase(coinbase) = &input.kind else {
        return refuse("the first transaction mints nothing");
    };
    if !input.commitment_suffix.is_empty() || !input.witness_suffix.is_empty() {
        return refuse("its input has a suffix");
    }
    let note = coinbase
        .arbitrary
        .strip_prefix(arbitrary(height).as_slice());
    if note.is_none_or(|note| note.first().is_some_and(u8::is_ascii_digit)) {
        return refuse("its arbitrary bytes do not tell the height");
    }
    if transaction.time_range != 0 {
        return refuse("it has a time range");
    }
    let Some(Output {
        control_program, ..
    }) = transaction.outputs.first()
    else {
        return refuse("it has no output");
    };
    if control_program.len() > MAX_PROGRAM_BYTES {
        return refuse("the proposer's program has more than 128 bytes");
    }
    if transaction.outputs != outputs(due, control_program) {
        return refuse("dismatch output amount");
    }
    Ok(control_program)
}
