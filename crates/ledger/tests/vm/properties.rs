//! What holds for any program: it ends, within its gas, without a panic, and always in the same way.

use baton_ledger::program::{
    Standard, assemble, disassemble, executed_form, is_unspendable, limit_height, listing,
};
use baton_ledger::vm::{Context, Error, Op, OutputCheck, TxView, instructions, verify};
use proptest::collection::vec;
use proptest::prelude::*;

struct Tx;

impl TxView for Tx {
    fn signature_hash(&self) -> [u8; 32] {
        [7; 32]
    }

    fn check_output(&self, wanted: &OutputCheck<'_>) -> Result<bool, Error> {
        Ok(wanted.state_is(&[vec![1]]) || wanted.state_is_retired())
    }
}

fn run(
    program: &[u8],
    arguments: &[Vec<u8>],
    state: &[Vec<u8>],
    gas: u64,
    tx_version: u64,
) -> Result<u64, Error> {
    let context = Context {
        state,
        entry_id: [1; 32],
        tx_version: Some(tx_version),
        block_height: Some(u64::MAX),
        asset_id: Some([2; 32]),
        amount: Some(u64::MAX),
        destination: Some(3),
        spent_output_id: Some([4; 32]),
        tx: Some(&Tx),
        ..Context::new(program, arguments)
    };
    verify(&context, gas)
}

fn item() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(0..4u8, 0..2),
        2 => vec(any::<u8>(), 0..34),
        1 => (0usize..35).prop_map(|length| vec![0xff; length]),
        1 => vec(any::<u8>(), 60..300),
    ]
}

/// Instructions that are whole, with predicates among the data.
fn program() -> impl Strategy<Value = Vec<u8>> {
    let push = |data: Vec<u8>| {
        let mut bytes = Vec::new();
        baton_ledger::program::push_data(&mut bytes, &data);
        bytes
    };
    let jump = (any::<bool>(), 0..200u32).prop_map(|(always, to)| {
        let mut bytes = vec![if always { Op::JUMP.0 } else { Op::JUMPIF.0 }];
        bytes.extend(to.to_le_bytes());
        bytes
    });
    let flat = prop_oneof![
        8 => (0x61..=0xcdu8).prop_filter("has no operand", |op| !(0x63..=0x64).contains(op)).prop_map(|op| vec![op]),
        2 => (0x51..=0x60u8).prop_map(|op| vec![op]),
        2 => item().prop_map(push),
        1 => jump,
    ];
    let flat = vec(flat, 1..30).prop_map(|parts| parts.concat());
    flat.prop_recursive(3, 40, 4, move |inner| {
        let predicate = (
            0..4u64,
            inner.clone(),
            prop_oneof![Just(0), Just(1), 1..500u64],
        )
            .prop_map(move |(count, program, limit)| {
                let mut bytes = Vec::new();
                baton_ledger::program::push_number(&mut bytes, count);
                baton_ledger::program::push_data(&mut bytes, &program);
                baton_ledger::program::push_number(&mut bytes, limit);
                bytes.push(Op::CHECKPREDICATE.0);
                bytes
            });
        vec(prop_oneof![inner, predicate], 1..4).prop_map(|parts| parts.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_end_within_their_gas_and_alike(
        program in prop_oneof![vec(any::<u8>(), 0..200), program()],
        arguments in vec(item(), 0..6),
        state in vec(item(), 0..3),
        gas in prop_oneof![0..500u64, 0..30_000u64],
        tx_version in 1..3u64,
    ) {
        let verdict = run(&program, &arguments, &state, gas, tx_version);
        if let Ok(left) = verdict {
            prop_assert!(left <= gas);
        }
        prop_assert_eq!(verdict, run(&program, &arguments, &state, gas, tx_version));
    }

    /// Who passes with some gas passes with more, and uses no more, unless the program looks at what it has left
    /// through a predicate without a limit of its own.
    #[test]
    fn more_gas_never_hurts(
        program in program().prop_filter("has no predicate", |program| !program.contains(&Op::CHECKPREDICATE.0)),
        arguments in vec(item(), 0..6),
        gas in 0..5_000u64,
        more in 1..5_000u64,
    ) {
        if let Ok(left) = run(&program, &arguments, &[], gas, 1) {
            prop_assert_eq!(run(&program, &arguments, &[], gas + more, 1), Ok(left + more));
        }
    }

    #[test]
    fn any_bytes_are_read(program in prop_oneof![vec(any::<u8>(), 0..200), program()]) {
        let whole = instructions(&program).all(|instruction| instruction.is_ok());
        prop_assert_eq!(listing(&program).is_ok(), whole);
        prop_assert_eq!(disassemble(&program).is_ok(), whole);
        let executed = executed_form(&program, |_| None);
        prop_assert!(!executed.is_empty() || program.is_empty());
        let unspendable = matches!(Standard::of(&program), Some(Standard::Retire | Standard::RegisterContract(_)));
        prop_assert_eq!(unspendable, is_unspendable(&program));
        let _ = limit_height(&program);
    }

    /// Text read and written again is the same text, as long as every jump leads to an instruction.
    #[test]
    fn text_is_read_as_it_was_written(program in program()) {
        let text = disassemble(&program).unwrap();
        if let Ok(again) = assemble(&text) {
            prop_assert_eq!(disassemble(&again).unwrap(), text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in r"(\PC{0,6} ?|[A-Z0-9:$']{1,8} ){0,8}") {
        if let Ok(program) = assemble(&text) {
            let _ = disassemble(&program);
        }
    }
}
