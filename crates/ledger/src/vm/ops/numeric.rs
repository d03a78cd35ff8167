//! Opcodes on numbers (see `number`): a result of 2²⁵⁵ or more, or below zero, is [`Error::Range`].

use ruint::aliases::U256;

use super::super::error::Error;
use super::super::machine::Machine;
use super::super::number::{in_range, is_true};

type Done = Result<(), Error>;

fn unary(vm: &mut Machine<'_>, of: impl Fn(U256) -> U256) -> Done {
    let result = in_range(of(vm.pop_number_later()?))?;
    vm.push_number(result);
    Ok(())
}

/// Applies `of` to the item below the top and the top.
fn binary(vm: &mut Machine<'_>, of: impl Fn(U256, U256) -> Result<U256, Error>) -> Done {
    let (x, y) = pop_pair(vm)?;
    let result = in_range(of(x, y)?)?;
    vm.push_number(result);
    Ok(())
}

fn compare(vm: &mut Machine<'_>, holds: impl Fn(&U256, &U256) -> bool) -> Done {
    let (x, y) = pop_pair(vm)?;
    vm.push_bool(holds(&x, &y));
    Ok(())
}

fn pop_pair(vm: &mut Machine<'_>) -> Result<(U256, U256), Error> {
    let y = vm.pop_number_later()?;
    let x = vm.pop_number_later()?;
    Ok((x, y))
}

// Below zero the wrapped result has its highest bit set, which is out of range.
pub(in crate::vm) fn increment(vm: &mut Machine<'_>) -> Done {
    unary(vm, |n| n.wrapping_add(U256::ONE))
}

pub(in crate::vm) fn decrement(vm: &mut Machine<'_>) -> Done {
    unary(vm, |n| n.wrapping_sub(U256::ONE))
}

pub(in crate::vm) fn double(vm: &mut Machine<'_>) -> Done {
    unary(vm, |n| n.wrapping_shl(1))
}

pub(in crate::vm) fn halve(vm: &mut Machine<'_>) -> Done {
    unary(vm, |n| n.wrapping_shr(1))
}

pub(in crate::vm) fn not(vm: &mut Machine<'_>) -> Done {
    let zero = vm.pop_number_later()?.is_zero();
    vm.push_bool(zero);
    Ok(())
}

pub(in crate::vm) fn not_zero(vm: &mut Machine<'_>) -> Done {
    let zero = vm.pop_number_later()?.is_zero();
    vm.push_bool(!zero);
    Ok(())
}

pub(in crate::vm) fn add(vm: &mut Machine<'_>) -> Done {
    binary(vm, |x, y| Ok(x.wrapping_add(y)))
}

pub(in crate::vm) fn sub(vm: &mut Machine<'_>) -> Done {
    binary(vm, |x, y| Ok(x.wrapping_sub(y)))
}

pub(in crate::vm) fn mul(vm: &mut Machine<'_>) -> Done {
    binary(vm, |x, y| x.checked_mul(y).ok_or(Error::Range))
}

pub(in crate::vm) fn div(vm: &mut Machine<'_>) -> Done {
    binary(vm, |x, y| x.checked_div(y).ok_or(Error::DivisionByZero))
}

pub(in crate::vm) fn modulo(vm: &mut Machine<'_>) -> Done {
    binary(vm, |x, y| x.checked_rem(y).ok_or(Error::DivisionByZero))
}

// Bits shifted out at either end are lost, by 256 and more all of them.
pub(in crate::vm) fn left_shift(vm: &mut Machine<'_>) -> Done {
    binary(vm, |x, y| {
        Ok(shift(y).map_or(U256::ZERO, |bits| x.wrapping_shl(bits)))
    })
}

pub(in crate::vm) fn right_shift(vm: &mut Machine<'_>) -> Done {
    binary(vm, |x, y| {
        Ok(shift(y).map_or(U256::ZERO, |bits| x.wrapping_shr(bits)))
    })
}

fn shift(by: U256) -> Option<usize> {
    usize::try_from(by).ok().filter(|bits| *bits < U256::BITS)
}

pub(in crate::vm) fn bool_and(vm: &mut Machine<'_>) -> Done {
    let (b, a) = (vm.pop_later()?, vm.pop_later()?);
    vm.push_bool(is_true(&a) && is_true(&b));
    Ok(())
}

pub(in crate::vm) fn bool_or(vm: &mut Machine<'_>) -> Done {
    let (b, a) = (vm.pop_later()?, vm.pop_later()?);
    vm.push_bool(is_true(&a) || is_true(&b));
    Ok(())
}

pub(in crate::vm) fn equal(vm: &mut Machine<'_>) -> Done {
    compare(vm, U256::eq)
}

pub(in crate::vm) fn equal_verify(vm: &mut Machine<'_>) -> Done {
    let (x, y) = pop_pair(vm)?;
    if x == y {
        Ok(())
    } else {
        Err(Error::VerifyFailed)
    }
}

pub(in crate::vm) fn not_equal(vm: &mut Machine<'_>) -> Done {
    compare(vm, U256::ne)
}

pub(in crate::vm) fn less(vm: &mut Machine<'_>) -> Done {
    compare(vm, U256::lt)
}

pub(in crate::vm) fn greater(vm: &mut Machine<'_>) -> Done {
    compare(vm, U256::gt)
}

pub(in crate::vm) fn less_or_equal(vm: &mut Machine<'_>) -> Done {
    compare(vm, U256::le)
}

pub(in crate::vm) fn greater_or_equal(vm: &mut Machine<'_>) -> Done {
    compare(vm, U256::ge)
}

pub(in crate::vm) fn min(vm: &mut Machine<'_>) -> Done {
    binary(vm, |x, y| Ok(x.min(y)))
}

pub(in crate::vm) fn max(vm: &mut Machine<'_>) -> Done {
    binary(vm, |x, y| Ok(x.max(y)))
}

/// `… x min max WITHIN`: `min` is within, `max` is not.
pub(in crate::vm) fn within(vm: &mut Machine<'_>) -> Done {
    let (min, max) = pop_pair(vm)?;
    let x = vm.pop_number_later()?;
    vm.push_bool((min..max).contains(&x));
    Ok(())
}
