//! How opcodes fail, each with its own error.

use baton_ledger::program::assemble;
use baton_ledger::vm::{Error, verify};

use super::{GAS, context, run};

/// `(program, gas, error)`.
const FAILURES: &[(&str, u64, Error)] = &[
    ("FAIL", GAS, Error::Return),
    ("0", GAS, Error::FalseResult),
    ("", GAS, Error::FalseResult),
    ("1 DROP", GAS, Error::FalseResult),
    ("0x0000", GAS, Error::FalseResult),
    ("0 VERIFY 1", GAS, Error::VerifyFailed),
    ("1 2 EQUALVERIFY", GAS, Error::VerifyFailed),
    ("1 2 NUMEQUALVERIFY", GAS, Error::VerifyFailed),
    ("FROMALTSTACK", GAS, Error::AltStackUnderflow),
    (
        "1 TOALTSTACK FROMALTSTACK FROMALTSTACK",
        GAS,
        Error::AltStackUnderflow,
    ),
    ("NOPx50 1", GAS, Error::DisallowedOpcode),
    ("1 0 DIV", GAS, Error::DivisionByZero),
    ("1 0x0000 MOD", GAS, Error::DivisionByZero),
    ("0 1SUB", GAS, Error::Range),
    ("1 2 SUB", GAS, Error::Range),
    ("1 255 LSHIFT", GAS, Error::Range),
    ("1 254 LSHIFT 2MUL", GAS, Error::Range),
    ("1 254 LSHIFT DUP ADD", GAS, Error::Range),
    ("1 254 LSHIFT DUP MUL", GAS, Error::Range),
    ("-1 NOT", GAS, Error::Range),
    ("1 254 LSHIFT DUP 1SUB ADD 1ADD", GAS, Error::Range),
    // 33 bytes are no number, even if the last is zero.
    (
        "0x010000000000000000000000000000000000000000000000000000000000000000 NOT",
        GAS,
        Error::BadValue,
    ),
    ("0x0102 1 2 SUBSTR", GAS, Error::BadValue),
    ("0x0102 3 LEFT", GAS, Error::BadValue),
    ("0x0102 3 RIGHT", GAS, Error::BadValue),
    ("0x0102 0x0000000000000080 LEFT", GAS, Error::BadValue),
    (
        "0x0102 0xffffffffffffff7f LEFT",
        GAS,
        Error::RunLimitExceeded,
    ),
    ("1 2 PICK", GAS, Error::DataStackUnderflow),
    ("1 1 PICK", GAS, Error::DataStackUnderflow),
    ("1 0xffffffffffffff7f PICK", GAS, Error::BadValue),
    ("1 0xffffffffffffffff PICK", GAS, Error::Unexpected),
    ("1 1 ROLL", GAS, Error::DataStackUnderflow),
    ("1 0xffffffffffffff7f ROLL", GAS, Error::BadValue),
    ("1 0xffffffffffffffff ROLL", GAS, Error::BadValue),
    // What stops bytomd stops the whole program, not the predicate alone.
    (
        "1 0 0x5108ffffffffffffffff79 0 CHECKPREDICATE 1",
        GAS,
        Error::Unexpected,
    ),
    ("1 2 0x51 0 CHECKPREDICATE", GAS, Error::DataStackUnderflow),
    (
        "0 0x51 0x0000000000000080 CHECKPREDICATE",
        GAS,
        Error::BadValue,
    ),
    (
        "0 0x51 0xffffff CHECKPREDICATE",
        GAS,
        Error::RunLimitExceeded,
    ),
    ("0 1 0x51 CHECKSIG", GAS, Error::BadValue),
    ("1 0 0 0 CHECKMULTISIG", GAS, Error::BadValue),
    ("1 1 0 CHECKMULTISIG", GAS, Error::BadValue),
    ("1 0 1 CHECKMULTISIG", GAS, Error::BadValue),
    ("0xffffffffffffff7f CHECKMULTISIG", GAS, Error::BadValue),
    ("1 10000 CHECKMULTISIG", GAS, Error::RunLimitExceeded),
    (
        "TXSIGHASH 1 1 CHECKMULTISIG",
        GAS,
        Error::DataStackUnderflow,
    ),
    ("4 7 0xaa 1 0x51 CHECKOUTPUT", GAS, Error::BadValue),
    (
        "1 0x000000000000000001 0xaa 1 0x51 CHECKOUTPUT",
        GAS,
        Error::BadValue,
    ),
    ("TRUE", 9, Error::RunLimitExceeded),
    ("0x0102", 10, Error::RunLimitExceeded),
    ("1 DUP", 19, Error::RunLimitExceeded),
    ("SHA3", GAS, Error::DataStackUnderflow),
    ("1 SHA3", 95, Error::RunLimitExceeded),
    ("1 NOP", 10, Error::RunLimitExceeded),
    ("$again NOP JUMP:$again", GAS, Error::RunLimitExceeded),
    ("$again 1 JUMP:$again", GAS, Error::RunLimitExceeded),
];

#[test]
fn each_failure_is_told_apart() {
    for (text, gas, error) in FAILURES {
        let program = assemble(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            verify(&context(&program), *gas),
            Err(*error),
            "{text} with {gas} gas"
        );
    }
}

/// How many items an opcode needs at least.
#[test]
fn an_opcode_short_of_items_says_so() {
    let needs = [
        ("JUMPIF:0", 1),
        ("VERIFY", 1),
        ("CHECKPREDICATE", 3),
        ("TOALTSTACK", 1),
        ("2DROP", 2),
        ("2DUP", 2),
        ("3DUP", 3),
        ("2OVER", 4),
        ("2ROT", 6),
        ("2SWAP", 4),
        ("IFDUP", 1),
        ("DROP", 1),
        ("DUP", 1),
        ("NIP", 2),
        ("OVER", 2),
        ("PICK", 2),
        ("ROLL", 2),
        ("ROT", 3),
        ("SWAP", 2),
        ("TUCK", 2),
        ("CAT", 2),
        ("SUBSTR", 3),
        ("LEFT", 2),
        ("RIGHT", 2),
        ("SIZE", 1),
        ("CATPUSHDATA", 2),
        ("INVERT", 1),
        ("AND", 2),
        ("OR", 2),
        ("XOR", 2),
        ("EQUAL", 2),
        ("EQUALVERIFY", 2),
        ("1ADD", 1),
        ("1SUB", 1),
        ("2MUL", 1),
        ("2DIV", 1),
        ("NOT", 1),
        ("0NOTEQUAL", 1),
        ("ADD", 2),
        ("SUB", 2),
        ("MUL", 2),
        ("DIV", 2),
        ("MOD", 2),
        ("LSHIFT", 2),
        ("RSHIFT", 2),
        ("BOOLAND", 2),
        ("BOOLOR", 2),
        ("NUMEQUAL", 2),
        ("NUMEQUALVERIFY", 2),
        ("NUMNOTEQUAL", 2),
        ("LESSTHAN", 2),
        ("GREATERTHAN", 2),
        ("LESSTHANOREQUAL", 2),
        ("GREATERTHANOREQUAL", 2),
        ("MIN", 2),
        ("MAX", 2),
        ("WITHIN", 3),
        ("SHA256", 1),
        ("SHA3", 1),
        ("HASH160", 1),
        ("CHECKSIG", 3),
        ("CHECKMULTISIG", 3),
        ("CHECKOUTPUT", 5),
    ];
    for (opcode, least) in needs {
        for items in 0..least {
            let text = format!("{} {opcode}", "0 ".repeat(items));
            assert_eq!(run(&text), Err(Error::DataStackUnderflow), "{text}");
        }
        let text = format!("{} {opcode}", "0 ".repeat(least));
        assert_ne!(run(&text), Err(Error::DataStackUnderflow), "{text}");
    }
}
