//! Opcodes that decide what runs next, or whether anything does.

use super::super::error::Error;
use super::super::machine::Machine;
use super::super::number::is_true;

/// What a predicate costs once it is done; the rest of the base cost is returned.
const PREDICATE_COST: i64 = 64;
const PREDICATE_DEPOSIT: i64 = 256;

pub(in crate::vm) fn jump(vm: &mut Machine<'_>) -> Result<(), Error> {
    vm.jump();
    Ok(())
}

pub(in crate::vm) fn jump_if(vm: &mut Machine<'_>) -> Result<(), Error> {
    if is_true(&vm.pop_later()?) {
        vm.jump();
    }
    Ok(())
}

pub(in crate::vm) fn verify(vm: &mut Machine<'_>) -> Result<(), Error> {
    if is_true(&vm.pop_later()?) {
        Ok(())
    } else {
        Err(Error::VerifyFailed)
    }
}

pub(in crate::vm) fn fail(_: &mut Machine<'_>) -> Result<(), Error> {
    Err(Error::Return)
}

/// Runs an item as a program: `… count program limit CHECKPREDICATE`.
///
/// It gets the `count` topmost items (0: all) and `limit` gas (0: all); the result replaces them, and what is left of
/// its gas and memory is refunded.
pub(in crate::vm) fn check_predicate(vm: &mut Machine<'_>) -> Result<(), Error> {
    vm.charge_later(PREDICATE_COST - PREDICATE_DEPOSIT);
    let limit = vm.pop_count_later()?;
    let predicate = vm.pop_later()?;
    let count = vm.pop_count_later()?;
    let count = match usize::try_from(count) {
        Ok(0) => vm.depth(),
        Ok(count) if count <= vm.depth() => count,
        _ => return Err(Error::DataStackUnderflow),
    };
    let limit = if limit == 0 { vm.gas() } else { limit };
    vm.charge(limit)?;
    vm.call(predicate, count, limit);
    Ok(())
}
