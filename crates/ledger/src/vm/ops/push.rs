//! Opcodes that push what stands in the program.

use std::borrow::Cow;

use super::super::error::Error;
use super::super::instruction;
use super::super::machine::Machine;

pub(in crate::vm) fn empty(vm: &mut Machine<'_>) -> Result<(), Error> {
    vm.push_now(Cow::Borrowed(&[]))
}

pub(in crate::vm) fn operand(vm: &mut Machine<'_>) -> Result<(), Error> {
    let item = vm.operand();
    vm.push_now(item)
}

pub(in crate::vm) fn small_number(vm: &mut Machine<'_>) -> Result<(), Error> {
    let item = instruction::small_number(vm.op()).expect("the table leads only small numbers here");
    vm.push_now(Cow::Borrowed(item))
}

pub(in crate::vm) fn nothing(_: &mut Machine<'_>) -> Result<(), Error> {
    Ok(())
}
