//! The virtual machine, from outside: each opcode, the rules, real spends, bytomd's verdicts, and what holds for any
//! program.

mod failures;
mod opcodes;
mod properties;
mod rules;
mod signatures;
mod spends;
mod verdicts;

use baton_ledger::program::assemble;
use baton_ledger::vm::{Context, Error, Op, OutputCheck, TxView, verify};

pub(crate) const GAS: u64 = 100_000;
const HASH: [u8; 32] = [0x51; 32];

pub(crate) struct Tx;

impl TxView for Tx {
    fn signature_hash(&self) -> [u8; 32] {
        HASH
    }

    /// Output 1 holds 7 of asset aa… under `TRUE` with the state 01, 02; output 2 the same without state; output 3 is
    /// a retirement.
    fn check_output(&self, wanted: &OutputCheck<'_>) -> Result<bool, Error> {
        let value = wanted.amount == 7 && wanted.asset_id == [0xaa; 32] && wanted.vm_version == 1;
        let program = wanted.program == [Op::TRUE.0];
        match wanted.index {
            1 => Ok(value && program && wanted.state_is(&[vec![1], vec![2]])),
            2 => Ok(value && program && wanted.state_is(&[])),
            3 => Ok(value && wanted.any_retirement && wanted.state_is_retired()),
            _ => Err(Error::BadValue),
        }
    }
}

pub(crate) fn context(program: &[u8]) -> Context<'_> {
    Context {
        entry_id: [0xee; 32],
        tx_version: Some(1),
        block_height: Some(1000),
        asset_id: Some([0xaa; 32]),
        amount: Some(500),
        destination: Some(0),
        spent_output_id: Some([0xdd; 32]),
        tx: Some(&Tx),
        ..Context::new(program, &[])
    }
}

pub(crate) fn run(text: &str) -> Result<i64, Error> {
    let program = assemble(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let left = verify(&context(&program), GAS)?;
    Ok(i64::try_from(GAS - left).unwrap())
}
