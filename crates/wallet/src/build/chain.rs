//! Spending more outputs than one transaction takes: transactions that merge them come first.
//!
//! Outputs are taken [`MERGE_INPUTS`] at a time and merged into one, which is put at the end of the list, until one
//! is left that is worth the amount. Each merging transaction pays [`MERGE_NEU`], and more outputs are reserved as
//! the merging gets more expensive.

use baton_ledger::{AssetId, Entries, Output, Transaction};

use super::{
    BuildError,
    action::SpendAccount,
    assembly::{Assembly, template, witness_of},
};
use crate::{
    account::Account,
    estimate::MERGE_NEU,
    select::Want,
    template::{SigningInstruction, Template},
    unspent::Unspent,
};

/// How many outputs one transaction merges.
pub const MERGE_INPUTS: usize = 5;

/// What merging so many outputs into one costs, in neu.
fn cost_neu(mut outputs: usize) -> u64 {
    let mut cost = 0_u64;
    while outputs > 1 {
        cost = cost.saturating_add(MERGE_NEU);
        outputs = outputs.saturating_sub(MERGE_INPUTS - 1);
    }
    cost
}

/// Adds one input worth the amount, and what is over; the transactions that make that input.
pub(super) fn spend(
    assembly: &mut Assembly<'_>,
    action: &SpendAccount,
) -> Result<Vec<Template>, BuildError> {
    let (asset, amount) = action.given()?;
    if asset != AssetId::BTM {
        return Err(BuildError::ChainAsset);
    }
    let account = assembly.account(&action.account_id)?;
    let outputs = reserve(assembly, action, amount)?;
    let (templates, last) = merge(&account, outputs)?;
    let witness = witness_of(&account, &last)?;
    assembly.add_input(last.input(), witness)?;
    let change = last.amount.checked_sub(amount).ok_or(BuildError::Dust {
        amount: last.amount,
        cost: amount,
    })?;
    if change > 0 {
        assembly.add_output(Output::original(asset, change, last.program.clone()))?;
    }
    Ok(templates)
}

/// Reserves outputs worth the amount and the merging of themselves.
fn reserve(
    assembly: &mut Assembly<'_>,
    action: &SpendAccount,
    amount: u64,
) -> Result<Vec<Unspent>, BuildError> {
    let mut outputs: Vec<Unspent> = Vec::new();
    let mut reserved = 0_u128;
    loop {
        let wanted = u128::from(amount) + u128::from(cost_neu(outputs.len()));
        let Some(more) = wanted.checked_sub(reserved).filter(|more| *more > 0) else {
            return Ok(outputs);
        };
        let want = Want {
            account: &action.account_id,
            asset: AssetId::BTM,
            amount: u64::try_from(more).map_err(|_| BuildError::Amount(more))?,
            vote: &[],
            unconfirmed: action.use_unconfirmed,
        };
        let selected = assembly.reserve(&want)?;
        reserved += more + u128::from(selected.change);
        outputs.extend(selected.outputs);
    }
}

/// Merges outputs until one is left.
fn merge(account: &Account, outputs: Vec<Unspent>) -> Result<(Vec<Template>, Unspent), BuildError> {
    let mut waiting = std::collections::VecDeque::from(outputs);
    let mut templates = Vec::new();
    while waiting.len() > 1 {
        let taken = waiting.len().min(MERGE_INPUTS);
        let inputs: Vec<Unspent> = waiting.drain(..taken).collect();
        let (template, merged) = merge_once(account, &inputs)?;
        templates.push(template);
        waiting.push_back(merged);
    }
    let last = waiting.pop_front();
    let nothing = BuildError::Wallet(crate::WalletError::Missing("output"));
    Ok((templates, last.ok_or(nothing)?))
}

fn merge_once(account: &Account, inputs: &[Unspent]) -> Result<(Template, Unspent), BuildError> {
    let sum: u128 = inputs.iter().map(|input| u128::from(input.amount)).sum();
    let sum = u64::try_from(sum).map_err(|_| BuildError::Amount(sum))?;
    let amount = sum
        .checked_sub(MERGE_NEU)
        .filter(|amount| *amount > 0)
        .ok_or(BuildError::Dust {
            amount: sum,
            cost: MERGE_NEU,
        })?;
    let first = &inputs[0];
    let transaction = Transaction {
        version: 1,
        time_range: 0,
        inputs: inputs.iter().map(Unspent::input).collect(),
        outputs: vec![Output::original(
            AssetId::BTM,
            amount,
            first.program.clone(),
        )],
    };
    let instructions = inputs
        .iter()
        .enumerate()
        .map(|(position, input)| {
            Ok(SigningInstruction {
                position,
                witness_components: witness_of(account, input)?,
            })
        })
        .collect::<Result<_, BuildError>>()?;
    let entries = Entries::of(&transaction);
    let merged = Unspent {
        id: entries.outputs[0].id,
        source_id: entries.mux_id,
        source_position: 0,
        amount,
        height: 0,
        valid_height: 0,
        state_data: Vec::new(),
        ..first.clone()
    };
    Ok((template(transaction, instructions), merged))
}
