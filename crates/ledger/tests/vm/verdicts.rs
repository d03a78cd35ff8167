//! Programs with the verdict, the gas left and the text that bytomd's own virtual machine gave them.
//!
//! `data/vm/verdicts.jsonl` was made by running random programs through the virtual machine of bytomd v2.0.7
//! (`protocol/vm`), with the facts below about the transaction, and taking some for each opcode and outcome. Left out
//! are the few whose predicates are refunded what they did not pay (see the documentation of `vm`).

use baton_ledger::program::disassemble;
use baton_ledger::vm::{Context, Error, OutputCheck, TxView, verify};
use serde_json::Value;

struct Tx;

impl TxView for Tx {
    fn signature_hash(&self) -> [u8; 32] {
        [0x51; 32]
    }

    /// A sum of all that is asked for, so that a difference shows.
    fn check_output(&self, wanted: &OutputCheck<'_>) -> Result<bool, Error> {
        if wanted.index > 4 {
            return Err(Error::BadValue);
        }
        let state: u64 = wanted.state().map(|item| 1 + item.len() as u64).sum();
        let untouched = u64::from(wanted.state_is(&[]));
        let sum = wanted
            .index
            .wrapping_add(wanted.amount)
            .wrapping_add(wanted.vm_version)
            .wrapping_add(wanted.program.len() as u64)
            .wrapping_add(state)
            .wrapping_add(u64::from(wanted.any_retirement))
            .wrapping_add(2 * untouched);
        Ok(sum % 2 == 0 && !wanted.asset_id.is_empty())
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

#[test]
fn verdicts_are_bytomds() {
    let cases = std::fs::read_to_string("tests/data/vm/verdicts.jsonl").unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let program = bytes(&case["program"]);
        let (arguments, state) = (list(&case["arguments"]), list(&case["state"]));
        let mut context = Context {
            state: &state,
            entry_id: [0xe1; 32],
            tx_version: case["tx_version"].as_u64(),
            block_height: Some(1_234_567),
            ..Context::new(&program, &arguments)
        };
        if case["asset"] == true {
            context.asset_id = Some([0xa5; 32]);
            context.spent_output_id = Some([0x0d; 32]);
            context.amount = Some(5_000_000_000);
            context.destination = Some(3);
            context.tx = Some(&Tx);
        }
        let verdict = match verify(&context, case["gas"].as_u64().unwrap()) {
            Ok(left) => (String::new(), left),
            Err(error) => (error.to_string(), 0),
        };
        let text = disassemble(&program).unwrap_or_default();
        let expected = (
            case["error"].as_str().unwrap().to_owned(),
            case["left"].as_u64().unwrap(),
        );
        if verdict != expected || text != case["asm"] {
            wrong.push(format!("{line}\n  gave {verdict:?} {text:?}"));
        }
        count += 1;
    }
    assert!(count > 1000);
    assert!(
        wrong.is_empty(),
        "{} of {count} differ, as\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}
