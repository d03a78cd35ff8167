//! Rules of the machine beyond single opcodes.

use baton_ledger::program::assemble;
use baton_ledger::vm::{Context, Error, Op, verify};

use super::{GAS, context, run};

#[test]
fn a_fact_that_is_absent_is_the_wrong_context() {
    for text in [
        "ASSET",
        "AMOUNT",
        "INDEX",
        "OUTPUTID",
        "BLOCKHEIGHT",
        "TXSIGHASH",
        "1 1 1 1 1 CHECKOUTPUT",
    ] {
        let program = assemble(text).unwrap();
        assert_eq!(
            verify(&Context::new(&program, &[]), GAS),
            Err(Error::WrongContext),
            "{text}"
        );
    }
}

#[test]
fn broken_ends_are_found_when_they_are_reached() {
    let broken = [
        "02ff",
        "4c",
        "4c02ff",
        "4d",
        "4d01",
        "4d0200ff",
        "4e",
        "4e010000",
        "4e02000000ff",
        "63",
        "63000000",
        "64000000",
    ];
    for end in broken {
        let end = hex::decode(end).unwrap();
        assert_eq!(
            verify(&context(&end), GAS),
            Err(Error::ShortProgram),
            "{end:02x?}"
        );
        // Jumped over, it does no harm.
        let mut program = assemble("TRUE JUMP:100").unwrap();
        program.extend(&end);
        assert!(verify(&context(&program), GAS).is_ok());
    }
    let endless = [0x4e, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(verify(&context(&endless), GAS), Err(Error::Overflow));
}

#[test]
fn every_push_takes_its_whole_operand() {
    for length in [1, 75, 76, 255, 256, 65535, 65536] {
        let data = vec![7; length];
        let program = assemble(&format!("0x{} SIZE {length} EQUAL", hex::encode(&data))).unwrap();
        let used = GAS - verify(&context(&program), GAS).unwrap();
        // The datum stays; SIZE, the length and EQUAL leave one byte and cost a gas for each byte compared.
        let compared = u64::from((usize::BITS - length.leading_zeros()).div_ceil(8));
        assert_eq!(used, 1 + (8 + length as u64) + 3 + (8 + 1) + compared);
    }
}

#[test]
fn expansion_opcodes_do_nothing_in_later_versions_and_within_predicates() {
    let program = assemble("NOPx50 NOPxff TRUE").unwrap();
    assert_eq!(
        verify(&context(&program), GAS),
        Err(Error::DisallowedOpcode)
    );
    for tx_version in [None, Some(2)] {
        let context = Context {
            tx_version,
            ..context(&program)
        };
        assert_eq!(verify(&context, GAS), Ok(GAS - 12));
    }
    assert!(run("0 0x50ff51 0 CHECKPREDICATE").is_ok());
}

#[test]
fn a_jump_beyond_the_end_ends_the_program() {
    assert!(run("1 JUMP:4294967295 FAIL").is_ok());
    assert!(run("1 1 JUMPIF:4294967295 FAIL").is_ok());
}

#[test]
fn state_data_and_arguments_are_paid_for() {
    let (state, arguments) = (vec![vec![1; 3], vec![2; 4]], vec![vec![3; 5], vec![4; 6]]);
    let program = assemble(
        "0x040404040404 EQUALVERIFY 0x0303030303 EQUALVERIFY \
         FROMALTSTACK 0x02020202 EQUALVERIFY FROMALTSTACK 0x010101 EQUAL",
    )
    .unwrap();
    let context = Context {
        state: &state,
        arguments: &arguments,
        ..context(&program)
    };
    assert!(verify(&context, GAS).is_ok());
    for gas in [0, 10, 22, 34, 49] {
        assert_eq!(verify(&context, gas), Err(Error::RunLimitExceeded), "{gas}");
    }
}

#[test]
fn only_version_1_of_the_machine_exists() {
    let context = Context {
        vm_version: 2,
        ..context(&[0x51])
    };
    assert_eq!(verify(&context, GAS), Err(Error::UnsupportedVm));
}

#[test]
fn program_is_the_outermost_one() {
    // PROGRAM SIZE 9 EQUAL, in a program of nine bytes.
    assert!(run("0 0xc4825987 0 CHECKPREDICATE NOP").is_ok());
    assert_eq!(
        run("0 0xc4825487 0 CHECKPREDICATE NOP"),
        Err(Error::FalseResult)
    );
}

#[test]
fn check_output_sees_amount_asset_program_and_state() {
    let asset = format!("0x{}", "aa".repeat(32));
    let ask = |state: &str, index: u8, amount: &str| {
        run(&format!(
            "{state} {index} {amount} {asset} 1 0x51 CHECKOUTPUT"
        ))
    };
    assert!(ask("1 TOALTSTACK 2 TOALTSTACK", 1, "7").is_ok());
    assert_eq!(
        ask("2 TOALTSTACK 1 TOALTSTACK", 1, "7"),
        Err(Error::FalseResult)
    );
    assert_eq!(ask("", 1, "7"), Err(Error::FalseResult));
    assert_eq!(
        ask("1 TOALTSTACK 2 TOALTSTACK", 1, "8"),
        Err(Error::FalseResult)
    );
    // An output without state data fits an untouched alternative stack, a retirement an emptied one.
    let emptied = "1 TOALTSTACK FROMALTSTACK DROP";
    assert!(ask("", 2, "7").is_ok());
    assert_eq!(ask(emptied, 2, "7"), Err(Error::FalseResult));
    assert!(ask(emptied, 3, "7").is_ok());
    assert_eq!(ask("", 3, "7"), Err(Error::FalseResult));
}

/// A program that makes bytomd's machine run for ever: a predicate cannot pay for the item it pushed, and its memory
/// is refunded all the same.
#[test]
fn a_predicate_does_not_make_gas() {
    let mut program = assemble("$again 0 0xc4 1 CHECKPREDICATE DROP JUMP:$again").unwrap();
    program.extend([Op::NOP.0; 200]);
    assert_eq!(
        verify(&context(&program), GAS),
        Err(Error::RunLimitExceeded)
    );
}

/// In bytomd the copy made by `DUP` changes with what `CAT` appends to its beginning.
#[test]
fn items_are_values() {
    assert!(run("'abcdef' DUP 3 LEFT 'X' CAT DROP 'abcdef' EQUAL").is_ok());
}

/// Frames are on the heap: as deep as gas allows.
#[test]
fn predicates_nest_as_deep_as_gas_allows() {
    // The program on top of the stack runs itself on a copy of itself.
    let program = assemble("0x76007c00c0 DUP 0 SWAP 0 CHECKPREDICATE").unwrap();
    assert_eq!(
        verify(&context(&program), 100_000_000),
        Err(Error::FalseResult)
    );
}
