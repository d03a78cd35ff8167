//! Opcodes that tell a program about the transaction it guards.

use std::borrow::Cow;

use ruint::aliases::U256;

use super::super::context::OutputCheck;
use super::super::error::Error;
use super::super::machine::Machine;
use super::super::number::low_64;

/// `… index amount asset version program CHECKOUTPUT`, with the output's state data on the alternative stack.
pub(in crate::vm) fn check_output(vm: &mut Machine<'_>) -> Result<(), Error> {
    let program = vm.pop_later()?;
    let vm_version = low_64(vm.pop_number_later()?);
    let asset_id = vm.pop_later()?;
    let amount = u64::try_from(vm.pop_number_later()?).map_err(|_| Error::BadValue)?;
    let index = low_64(vm.pop_number_later()?);
    let tx = vm.context.tx.ok_or(Error::WrongContext)?;
    let (state, state_used) = vm.alt();
    let found = tx.check_output(&OutputCheck {
        index,
        amount,
        asset_id: &asset_id,
        vm_version,
        program: &program,
        any_retirement: vm.expansion_reserved(),
        state,
        state_used,
    })?;
    vm.push_bool(found);
    Ok(())
}

fn push_id(vm: &mut Machine<'_>, id: Option<[u8; 32]>) -> Result<(), Error> {
    let id = id.ok_or(Error::WrongContext)?;
    vm.push_later(Cow::Owned(id.to_vec()));
    Ok(())
}

fn push_number(vm: &mut Machine<'_>, number: Option<u64>) -> Result<(), Error> {
    let number = number.ok_or(Error::WrongContext)?;
    vm.push_number(U256::from(number));
    Ok(())
}

pub(in crate::vm) fn asset(vm: &mut Machine<'_>) -> Result<(), Error> {
    push_id(vm, vm.context.asset_id)
}

pub(in crate::vm) fn amount(vm: &mut Machine<'_>) -> Result<(), Error> {
    push_number(vm, vm.context.amount)
}

/// The program of the entry, also within a predicate.
pub(in crate::vm) fn program(vm: &mut Machine<'_>) -> Result<(), Error> {
    vm.push_later(Cow::Borrowed(vm.context.program));
    Ok(())
}

pub(in crate::vm) fn index(vm: &mut Machine<'_>) -> Result<(), Error> {
    push_number(vm, vm.context.destination)
}

pub(in crate::vm) fn entry_id(vm: &mut Machine<'_>) -> Result<(), Error> {
    push_id(vm, Some(vm.context.entry_id))
}

pub(in crate::vm) fn output_id(vm: &mut Machine<'_>) -> Result<(), Error> {
    push_id(vm, vm.context.spent_output_id)
}

pub(in crate::vm) fn block_height(vm: &mut Machine<'_>) -> Result<(), Error> {
    push_number(vm, vm.context.block_height)
}
