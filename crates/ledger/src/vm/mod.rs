//! The virtual machine: runs the program that guards an output or an asset and says whether it lets a transaction pass.
//!
//! [`verify`] is a pure function of a [`Context`] and of the gas at hand. Rules, costs and errors are those of bytomd
//! v2 (`protocol/vm`), with two differences, both outside of what standard programs do:
//!
//! * Items are values. In bytomd `CAT` may write into the array of an item that `LEFT`, `SUBSTR` or `DUP` shares with
//!   it, so that another item changes as well.
//! * A predicate that runs out of gas returns the memory it paid for. In bytomd it also returns the memory of the item
//!   it could not pay, so that a program can make gas and never end.

mod context;
mod error;
mod instruction;
mod machine;
mod number;
mod opcode;
mod ops;

pub use context::{Context, OutputCheck, TxView};
pub use error::Error;
pub use instruction::{Instruction, Instructions, MAX_PROGRAM_LENGTH, instructions};
pub(crate) use number::encode as encode_number;
pub use opcode::Op;

/// The only version of the machine.
pub const VM_VERSION: u64 = 1;

/// Runs the program with at most `gas_limit` gas; the gas that is left if it ends with a true item on top.
pub fn verify(context: &Context<'_>, gas_limit: u64) -> Result<u64, Error> {
    if context.vm_version != VM_VERSION {
        return Err(Error::UnsupportedVm);
    }
    machine::Machine::new(context, gas_limit)?.run()
}
