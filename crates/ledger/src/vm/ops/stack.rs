//! Opcodes that copy, move and drop items.

use ruint::aliases::U256;

use super::super::error::Error;
use super::super::machine::Machine;
use super::super::number::{encode, is_true, low_64};

pub(in crate::vm) fn to_alt(vm: &mut Machine<'_>) -> Result<(), Error> {
    let item = vm.take()?;
    vm.push_alt(item);
    Ok(())
}

pub(in crate::vm) fn from_alt(vm: &mut Machine<'_>) -> Result<(), Error> {
    let item = vm.pop_alt()?;
    vm.put(item);
    Ok(())
}

pub(in crate::vm) fn drop(vm: &mut Machine<'_>) -> Result<(), Error> {
    vm.pop_now().map(|_| ())
}

pub(in crate::vm) fn two_drop(vm: &mut Machine<'_>) -> Result<(), Error> {
    drop(vm)?;
    drop(vm)
}

/// Pushes copies of `count` items, the first of them `from` below the top.
fn copy(vm: &mut Machine<'_>, from: usize, count: usize) -> Result<(), Error> {
    vm.topmost(from)?;
    for _ in 0..count {
        // Each push moves the next one to the same distance from the top.
        let item = vm.topmost(from)?[0].clone();
        vm.push_now(item)?;
    }
    Ok(())
}

pub(in crate::vm) fn dup(vm: &mut Machine<'_>) -> Result<(), Error> {
    copy(vm, 1, 1)
}

pub(in crate::vm) fn two_dup(vm: &mut Machine<'_>) -> Result<(), Error> {
    copy(vm, 2, 2)
}

pub(in crate::vm) fn three_dup(vm: &mut Machine<'_>) -> Result<(), Error> {
    copy(vm, 3, 3)
}

pub(in crate::vm) fn over(vm: &mut Machine<'_>) -> Result<(), Error> {
    copy(vm, 2, 1)
}

pub(in crate::vm) fn two_over(vm: &mut Machine<'_>) -> Result<(), Error> {
    copy(vm, 4, 2)
}

pub(in crate::vm) fn if_dup(vm: &mut Machine<'_>) -> Result<(), Error> {
    if is_true(vm.top()?) {
        copy(vm, 1, 1)
    } else {
        Ok(())
    }
}

pub(in crate::vm) fn depth(vm: &mut Machine<'_>) -> Result<(), Error> {
    let depth = U256::from(vm.depth());
    vm.push_now(encode(depth).into())
}

pub(in crate::vm) fn nip(vm: &mut Machine<'_>) -> Result<(), Error> {
    let top = vm.take()?;
    vm.pop_now()?;
    vm.put(top);
    Ok(())
}

pub(in crate::vm) fn pick(vm: &mut Machine<'_>) -> Result<(), Error> {
    let distance = distance(vm)?;
    // bytomd indexes past the end of the stack here and stops the whole program.
    let distance = usize::try_from(distance)
        .ok()
        .filter(|d| *d > 0)
        .ok_or(Error::Unexpected)?;
    copy(vm, distance, 1)
}

pub(in crate::vm) fn roll(vm: &mut Machine<'_>) -> Result<(), Error> {
    let distance = distance(vm)?;
    let distance = usize::try_from(distance)
        .ok()
        .filter(|d| *d > 0)
        .ok_or(Error::BadValue)?;
    vm.topmost(distance)?.rotate_left(1);
    Ok(())
}

/// The operand of `PICK` and `ROLL`, counted from one: the lowest 64 bits, with sign.
fn distance(vm: &mut Machine<'_>) -> Result<i64, Error> {
    let index = low_64(vm.pop_number_now()?).cast_signed();
    index.checked_add(1).ok_or(Error::BadValue)
}

pub(in crate::vm) fn rot(vm: &mut Machine<'_>) -> Result<(), Error> {
    vm.topmost(3)?.rotate_left(1);
    Ok(())
}

pub(in crate::vm) fn two_rot(vm: &mut Machine<'_>) -> Result<(), Error> {
    vm.topmost(6)?.rotate_left(2);
    Ok(())
}

pub(in crate::vm) fn swap(vm: &mut Machine<'_>) -> Result<(), Error> {
    vm.topmost(2)?.swap(0, 1);
    Ok(())
}

pub(in crate::vm) fn two_swap(vm: &mut Machine<'_>) -> Result<(), Error> {
    vm.topmost(4)?.rotate_left(2);
    Ok(())
}

/// When the copy cannot be paid, both items are gone: a predicate does not return them.
pub(in crate::vm) fn tuck(vm: &mut Machine<'_>) -> Result<(), Error> {
    let top = vm.topmost(2)?[1].clone();
    let (second, below) = (vm.take()?, vm.take()?);
    vm.push_now(top)?;
    vm.put(below);
    vm.put(second);
    Ok(())
}
