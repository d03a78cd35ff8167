//! Opcodes on the bytes of items. Each costs one gas for every byte it looks at.

use std::borrow::Cow;

use super::super::error::Error;
use super::super::machine::{Item, Machine, length};

pub(in crate::vm) fn invert(vm: &mut Machine<'_>) -> Result<(), Error> {
    let cost = length(vm.top()?);
    vm.charge(cost)?;
    let item = vm.take()?;
    let inverted = item.iter().map(|byte| !byte).collect();
    vm.put(Cow::Owned(inverted));
    Ok(())
}

fn pop_pair<'a>(vm: &mut Machine<'a>) -> Result<(Item<'a>, Item<'a>), Error> {
    let b = vm.pop_later()?;
    let a = vm.pop_later()?;
    Ok((a, b))
}

/// As long as the shorter item.
pub(in crate::vm) fn and(vm: &mut Machine<'_>) -> Result<(), Error> {
    let (a, b) = pop_pair(vm)?;
    vm.charge(length(&a).min(length(&b)))?;
    let result = a.iter().zip(b.iter()).map(|(a, b)| a & b).collect();
    vm.push_later(Cow::Owned(result));
    Ok(())
}

pub(in crate::vm) fn or(vm: &mut Machine<'_>) -> Result<(), Error> {
    combine(vm, |to, from| *to |= from)
}

pub(in crate::vm) fn xor(vm: &mut Machine<'_>) -> Result<(), Error> {
    combine(vm, |to, from| *to ^= from)
}

/// As long as the longer item; the shorter one is continued with zeros.
fn combine(vm: &mut Machine<'_>, with: impl Fn(&mut u8, u8)) -> Result<(), Error> {
    let (a, b) = pop_pair(vm)?;
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    vm.charge(length(&long))?;
    let mut result = long.into_owned();
    for (to, from) in result.iter_mut().zip(short.iter()) {
        with(to, *from);
    }
    vm.push_later(Cow::Owned(result));
    Ok(())
}

pub(in crate::vm) fn equal(vm: &mut Machine<'_>) -> Result<(), Error> {
    let equal = compare(vm)?;
    vm.push_bool(equal);
    Ok(())
}

pub(in crate::vm) fn equal_verify(vm: &mut Machine<'_>) -> Result<(), Error> {
    if compare(vm)? {
        Ok(())
    } else {
        Err(Error::VerifyFailed)
    }
}

fn compare(vm: &mut Machine<'_>) -> Result<bool, Error> {
    let (a, b) = pop_pair(vm)?;
    vm.charge(length(&a).min(length(&b)))?;
    Ok(a == b)
}
