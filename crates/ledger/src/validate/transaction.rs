//! Whether a transaction is valid in a block, as far as that can be told without the outputs it spends.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::gas::{GasStatus, Meter};
use super::outputs::View;
use super::rejection::{CoinbaseFault, Place, ProgramFailure, Rejection};
use crate::codec::MAX_ENCODED_BYTES;
use crate::entry::{Mapped, ResultKind};
use crate::hash::AssetId;
use crate::params::{Params, XPUB_LEN};
use crate::program::executed_form;
use crate::transaction::{Input, InputKind, OutputKind};
use crate::vm::{self, VM_VERSION};

/// The contracts that are registered.
pub trait Contracts {
    /// The contract with this hash (see [`crate::program::script_hash`]), if there is one.
    fn contract(&self, hash: &[u8; 32]) -> Option<Vec<u8>>;
}

impl Contracts for BTreeMap<[u8; 32], Vec<u8>> {
    fn contract(&self, hash: &[u8; 32]) -> Option<Vec<u8>> {
        self.get(hash).cloned()
    }
}

/// The block that a transaction is validated for.
#[derive(Clone, Copy)]
pub struct BlockContext<'a> {
    /// The version of the block, 1.
    pub version: u64,
    /// Its height. For a transaction that is not in a block yet, that of the next block.
    pub height: u64,
    /// Whether the transaction is the block's first.
    pub first: bool,
    /// What the network has decided.
    pub params: &'a Params,
    /// The contracts registered in earlier blocks.
    pub contracts: &'a dyn Contracts,
}

/// Finds out whether a transaction is valid in a block, and what gas it takes.
///
/// Whether the outputs it spends exist, are unspent and mature is not looked at: that is for
/// [`apply`](crate::state::apply). The order of the checks is bytomd's, so that a transaction with several faults is
/// rejected for the same one.
pub fn validate_transaction(
    transaction: &Mapped,
    context: &BlockContext<'_>,
) -> Result<GasStatus, Rejection> {
    check_envelope(transaction, context)?;
    check_repeated_inputs(transaction)?;
    if transaction.transaction().outputs.is_empty() {
        return Err(Rejection::EmptyResults);
    }
    // values flow through the mux, which is looked at on the way to the first output
    check_vote_key(transaction, 0)?;
    let fee_neu = check_balance(transaction)?;
    let mut gas = Meter::buy(fee_neu, transaction.size(), context.params);
    for index in 0..transaction.transaction().inputs.len() {
        check_input(transaction, index, context, &mut gas)?;
    }
    let gas = gas.finish()?;
    for position in 0..transaction.transaction().outputs.len() {
        check_vote_key(transaction, position)?;
        check_vote(transaction, position, context.params)?;
    }
    Ok(gas)
}

fn check_envelope(mapped: &Mapped, context: &BlockContext<'_>) -> Result<(), Rejection> {
    let transaction = mapped.transaction();
    if context.version == 1 && transaction.version != 1 {
        return Err(Rejection::Version {
            block: context.version,
            transaction: transaction.version,
        });
    }
    // a decoded transaction is not longer, but one that was built may be
    if mapped.size() > MAX_ENCODED_BYTES {
        return Err(Rejection::Size {
            size: mapped.size(),
            limit: MAX_ENCODED_BYTES,
        });
    }
    check_time_range(transaction.time_range, context.height)
}

/// Whether a transaction with that time range may be in a block at `height`.
pub fn check_time_range(last: u64, height: u64) -> Result<(), Rejection> {
    if last != 0 && last < height {
        return Err(Rejection::TimeRange { last, height });
    }
    Ok(())
}

fn check_repeated_inputs(mapped: &Mapped) -> Result<(), Rejection> {
    let mut ids: Vec<_> = mapped
        .entries()
        .inputs
        .iter()
        .map(|input| input.id)
        .collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Rejection::DoubleSpend { id: pair[0] }),
        None => Ok(()),
    }
}

/// Adds up what the inputs bring and the outputs take; the fee in neu.
fn check_balance(mapped: &Mapped) -> Result<u64, Rejection> {
    let mut sums: BTreeMap<AssetId, i64> = BTreeMap::new();
    for (index, input) in mapped.entries().inputs.iter().enumerate() {
        let sum = sums.entry(input.asset_id).or_default();
        *sum = i64::try_from(input.amount)
            .ok()
            .and_then(|amount| sum.checked_add(amount))
            .ok_or(Rejection::Overflow {
                asset: input.asset_id,
                place: Place::Input(index),
            })?;
    }
    for (index, output) in mapped.transaction().outputs.iter().enumerate() {
        let asset = output.asset_id;
        let Entry::Occupied(mut sum) = sums.entry(asset) else {
            return Err(Rejection::NoSource {
                output: index,
                asset,
            });
        };
        let rest = i64::try_from(output.amount)
            .ok()
            .and_then(|amount| sum.get().checked_sub(amount))
            .ok_or(Rejection::Overflow {
                asset,
                place: Place::Output(index),
            })?;
        sum.insert(rest);
    }
    // bytomd takes the assets in no certain order
    let fee = sums.remove(&AssetId::BTM).unwrap_or(0);
    let fee_neu = u64::try_from(fee).map_err(|_| Rejection::NegativeFee {
        missing_neu: fee.unsigned_abs(),
    })?;
    match sums.into_iter().find(|(_, difference)| *difference != 0) {
        Some((asset, difference)) => Err(Rejection::Unbalanced { asset, difference }),
        None => Ok(fee_neu),
    }
}

fn check_input(
    mapped: &Mapped,
    index: usize,
    context: &BlockContext<'_>,
    gas: &mut Meter,
) -> Result<(), Rejection> {
    let input = &mapped.transaction().inputs[index];
    match &input.kind {
        InputKind::Coinbase(coinbase) => {
            if !context.first {
                let fault = CoinbaseFault::Place;
                return Err(Rejection::Coinbase { fault });
            }
            let (len, limit) = (
                coinbase.arbitrary.len(),
                context.params.max_coinbase_arbitrary_bytes,
            );
            if len > limit {
                return Err(Rejection::CoinbaseArbitrary { len, limit });
            }
            // bytomd takes inputs after a coinbase, which then pay nothing for their storage
            if mapped.transaction().inputs.len() > 1 {
                let fault = CoinbaseFault::Company;
                return Err(Rejection::Coinbase { fault });
            }
            gas.waive_storage();
            return Ok(());
        }
        InputKind::Veto(veto) if veto.vote.len() != XPUB_LEN => {
            return Err(Rejection::VoteKey {
                len: veto.vote.len(),
            });
        }
        InputKind::Issuance(_) | InputKind::Spend(_) | InputKind::Veto(_) => {}
    }
    let left = run_program(mapped, index, context, gas.left())?;
    gas.after_program(left)
}

/// Runs the program of an input; the gas that is left.
fn run_program(
    mapped: &Mapped,
    index: usize,
    context: &BlockContext<'_>,
    gas: u64,
) -> Result<u64, Rejection> {
    let input = &mapped.transaction().inputs[index];
    let entry = &mapped.entries().inputs[index];
    let program = executed_form(input.program(), |hash| context.contracts.contract(hash));
    let view = View {
        transaction: mapped,
        input: index,
    };
    // a program under a veto is told less
    let valued = !matches!(input.kind, InputKind::Veto(_));
    let spent = matches!(input.kind, InputKind::Spend(_));
    let vm_context = vm::Context {
        vm_version: vm_version(input),
        program: &program,
        state: input
            .spent_output()
            .map_or(&[], |output| &output.state_data),
        arguments: input.arguments().unwrap_or_default(),
        entry_id: entry.id.0,
        tx_version: Some(mapped.transaction().version),
        block_height: Some(context.height),
        asset_id: valued.then_some(entry.asset_id.0),
        amount: valued.then_some(entry.amount),
        destination: valued.then_some(index as u64),
        spent_output_id: entry.spent_output_id.filter(|_| spent).map(|id| id.0),
        tx: Some(&view),
    };
    vm::verify(&vm_context, gas).map_err(|error| Rejection::Program {
        input: index,
        failure: Box::new(ProgramFailure {
            program: program.to_vec(),
            arguments: vm_context.arguments.to_vec(),
            error,
        }),
    })
}

fn vm_version(input: &Input) -> u64 {
    match &input.kind {
        InputKind::Issuance(issuance) => issuance.vm_version,
        InputKind::Spend(_) | InputKind::Veto(_) | InputKind::Coinbase(_) => VM_VERSION,
    }
}

/// The key that output `position` votes for, if it is a vote.
fn vote(mapped: &Mapped, position: usize) -> Option<&[u8]> {
    let is_vote = mapped.entries().outputs[position].kind == ResultKind::Vote;
    match &mapped.transaction().outputs[position].kind {
        OutputKind::Vote(key) if is_vote => Some(key),
        OutputKind::Vote(_) | OutputKind::Original => None,
    }
}

fn check_vote_key(mapped: &Mapped, position: usize) -> Result<(), Rejection> {
    match vote(mapped, position) {
        Some(key) if key.len() != XPUB_LEN => Err(Rejection::VoteKey { len: key.len() }),
        _ => Ok(()),
    }
}

fn check_vote(mapped: &Mapped, position: usize, params: &Params) -> Result<(), Rejection> {
    if vote(mapped, position).is_none() {
        return Ok(());
    }
    let output = &mapped.transaction().outputs[position];
    if output.amount < params.min_vote_output_neu {
        return Err(Rejection::VoteAmount {
            amount: output.amount,
            least: params.min_vote_output_neu,
        });
    }
    if output.asset_id != AssetId::BTM {
        return Err(Rejection::VoteAsset {
            asset: output.asset_id,
        });
    }
    Ok(())
}
