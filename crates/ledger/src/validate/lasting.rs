//! Which verdicts hold at any height.

use crate::program::{Multisig, Standard};
use crate::transaction::{InputKind, Transaction};

/// Whether a valid transaction is so at any height within its time range, whatever contracts there are.
///
/// That is so if its programs ask for signatures only: P2WPKH, P2WSH with a multi-signature script, and issuance by
/// multi-signature without a limit. Of other programs it is not known.
pub fn is_lasting(transaction: &Transaction) -> bool {
    transaction.inputs.iter().all(|input| match &input.kind {
        InputKind::Issuance(_) => is_multisig(input.program()),
        InputKind::Spend(_) | InputKind::Veto(_) => match Standard::of(input.program()) {
            Some(Standard::P2wpkh(_) | Standard::Anyone) => true,
            Some(Standard::P2wsh(_)) => {
                let script = input.arguments().and_then(<[_]>::last);
                script.is_some_and(|script| is_multisig(script))
            }
            _ => false,
        },
        InputKind::Coinbase(_) => false,
    })
}

fn is_multisig(program: &[u8]) -> bool {
    matches!(
        Standard::of(program),
        Some(Standard::Multisig(Multisig {
            limit_height: 0,
            ..
        }))
    )
}
