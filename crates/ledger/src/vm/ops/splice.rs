//! Opcodes that join and cut items. What they copy must be affordable, and is not charged in the end.

use std::borrow::Cow;

use ruint::aliases::U256;

use super::super::error::Error;
use super::super::machine::{Item, Machine, length};
use crate::program::push_data;

pub(in crate::vm) fn cat(vm: &mut Machine<'_>) -> Result<(), Error> {
    let (a, b) = pop_pair(vm)?;
    let mut joined = a.into_owned();
    joined.extend_from_slice(&b);
    vm.push_later(Cow::Owned(joined));
    Ok(())
}

/// Appends an instruction that pushes the topmost item to the item below it.
pub(in crate::vm) fn cat_pushdata(vm: &mut Machine<'_>) -> Result<(), Error> {
    let (a, b) = pop_pair(vm)?;
    let mut joined = a.into_owned();
    push_data(&mut joined, &b);
    vm.push_later(Cow::Owned(joined));
    Ok(())
}

fn pop_pair<'a>(vm: &mut Machine<'a>) -> Result<(Item<'a>, Item<'a>), Error> {
    let b = vm.pop_later()?;
    let a = vm.pop_later()?;
    hold(vm, length(&a) + length(&b))?;
    Ok((a, b))
}

/// Checks that there is gas for copying, and returns it after the instruction.
fn hold(vm: &mut Machine<'_>, cost: i64) -> Result<(), Error> {
    vm.charge(cost)?;
    vm.charge_later(-cost);
    Ok(())
}

fn pop_size(vm: &mut Machine<'_>) -> Result<i64, Error> {
    let size = vm.pop_count_later()?;
    hold(vm, size)?;
    Ok(size)
}

/// `… bytes offset size SUBSTR`.
pub(in crate::vm) fn substr(vm: &mut Machine<'_>) -> Result<(), Error> {
    let size = pop_size(vm)?;
    let offset = vm.pop_count_later()?;
    let item = vm.pop_later()?;
    let end = offset.checked_add(size).ok_or(Error::BadValue)?;
    slice(vm, item, offset, end)
}

pub(in crate::vm) fn left(vm: &mut Machine<'_>) -> Result<(), Error> {
    let size = pop_size(vm)?;
    let item = vm.pop_later()?;
    slice(vm, item, 0, size)
}

pub(in crate::vm) fn right(vm: &mut Machine<'_>) -> Result<(), Error> {
    let size = pop_size(vm)?;
    let item = vm.pop_later()?;
    let end = length(&item);
    slice(vm, item, end - size, end)
}

fn slice<'a>(vm: &mut Machine<'a>, item: Item<'a>, start: i64, end: i64) -> Result<(), Error> {
    let start = usize::try_from(start).map_err(|_| Error::BadValue)?;
    let end = usize::try_from(end).map_err(|_| Error::BadValue)?;
    if end > item.len() {
        return Err(Error::BadValue);
    }
    vm.push_later(match item {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[start..end]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(end);
            bytes.drain(..start);
            Cow::Owned(bytes)
        }
    });
    Ok(())
}

pub(in crate::vm) fn size(vm: &mut Machine<'_>) -> Result<(), Error> {
    let size = U256::from(vm.top()?.len());
    vm.push_number(size);
    Ok(())
}
