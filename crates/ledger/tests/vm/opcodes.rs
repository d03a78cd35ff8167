//! What each opcode leaves on the stack, and what it costs.
//!
//! Costs are net of what memory is taken and refunded; they agree with bytomd's virtual machine (see `verdicts`).

use super::run;

/// `(before, opcode, cost, after)`: with the items of `before` on the stack, the last on top, it leaves those of
/// `after`.
const EFFECTS: &[(&str, &str, i64, &str)] = &[
    ("", "FALSE", 9, "0"),
    ("", "TRUE", 10, "1"),
    ("", "16", 10, "16"),
    ("", "17", 10, "0x11"),
    ("", "0x010203", 12, "0x010203"),
    ("1", "NOP", 1, "1"),
    ("", "JUMP:$past FAIL $past", 1, ""),
    ("0", "JUMPIF:$past 5 $past", 3, "5"),
    ("0x0001", "JUMPIF:$past FAIL $past", -9, ""),
    ("1", "VERIFY", -8, ""),
    ("7 1 2", "TOALTSTACK TOALTSTACK FROMALTSTACK", 6, "7 1"),
    ("1 2 3", "2DROP", -16, "1"),
    ("1 2", "2DUP", 20, "1 2 1 2"),
    ("1 2 3", "3DUP", 30, "1 2 3 1 2 3"),
    ("1 2 3 4", "2OVER", 20, "1 2 3 4 1 2"),
    ("1 2 3 4 5 6", "2ROT", 2, "3 4 5 6 1 2"),
    ("1 2 3 4", "2SWAP", 2, "3 4 1 2"),
    ("0", "IFDUP", 1, "0"),
    ("9", "IFDUP", 10, "9 9"),
    ("", "DEPTH", 9, "0"),
    ("5 6", "DEPTH", 10, "5 6 2"),
    ("1 2", "DROP", -8, "1"),
    ("0xabcd", "DUP", 11, "0xabcd 0xabcd"),
    ("1 2", "NIP", -8, "2"),
    ("1 2", "OVER", 10, "1 2 1"),
    ("1 2 3 0", "PICK", 3, "1 2 3 3"),
    ("1 2 3 2", "PICK", 2, "1 2 3 1"),
    ("1 2 3 2", "ROLL", -7, "2 3 1"),
    ("1 2 3", "ROT", 2, "2 3 1"),
    ("1 2", "SWAP", 1, "2 1"),
    ("1 2", "TUCK", 10, "2 1 2"),
    ("0xab 0xcdef", "CAT", -4, "0xabcdef"),
    ("0xab 0", "CAT", -4, "0xab"),
    ("0x0102030405 1 3", "SUBSTR", -16, "0x020304"),
    ("0x0102030405 5 0", "SUBSTR", -18, "0"),
    ("0x0102030405 2", "LEFT", -8, "0x0102"),
    ("0x0102030405 2", "RIGHT", -8, "0x0405"),
    ("0x0102030405", "SIZE", 10, "0x0102030405 5"),
    ("0xab 0xcdef", "CATPUSHDATA", -3, "0xab02cdef"),
    ("0xab 0", "CATPUSHDATA", -3, "0xab00"),
    ("0x00ff0f", "INVERT", 4, "0xff00f0"),
    ("0xffff 0x0f", "AND", -8, "0x0f"),
    ("0xf000 0x0f", "OR", -6, "0xff00"),
    ("0x0f 0xff10", "XOR", -6, "0xf010"),
    ("0xabcd 0xabcd", "EQUAL", -8, "1"),
    ("0xab 0xab00", "EQUAL", -9, "0"),
    ("0xabcd 0xabcd", "EQUALVERIFY", -17, ""),
    ("255", "1ADD", 3, "0x0001"),
    ("1", "1SUB", 1, "0"),
    ("128", "2MUL", 3, "0x0001"),
    ("3", "2DIV", 2, "1"),
    ("0x0000", "NOT", 1, "1"),
    ("2", "NOT", 1, "0"),
    ("2", "0NOTEQUAL", 2, "1"),
    ("2 3", "ADD", -7, "5"),
    ("0x0300 0x02", "SUB", -8, "1"),
    ("16 16", "MUL", 0, "0x0001"),
    ("7 2", "DIV", -1, "3"),
    ("7 2", "MOD", -1, "1"),
    ("1 8", "LSHIFT", 0, "0x0001"),
    ("1 256", "LSHIFT", -3, "0"),
    ("2 255", "LSHIFT", -2, "0"),
    ("256 8", "RSHIFT", -2, "1"),
    ("256 256", "RSHIFT", -4, "0"),
    ("1 0x0000", "BOOLAND", -9, "0"),
    ("1 0x0000", "BOOLOR", -8, "1"),
    ("2 0x0200", "NUMEQUAL", -8, "1"),
    ("2 0x0200", "NUMEQUALVERIFY", -17, ""),
    ("2 2", "NUMNOTEQUAL", -8, "0"),
    ("2 3", "LESSTHAN", -7, "1"),
    ("2 3", "GREATERTHAN", -8, "0"),
    ("3 3", "LESSTHANOREQUAL", -7, "1"),
    ("3 3", "GREATERTHANOREQUAL", -7, "1"),
    ("2 0x0300", "MIN", -8, "2"),
    ("2 0x0300", "MAX", -8, "3"),
    ("2 2 5", "WITHIN", -14, "1"),
    ("5 2 5", "WITHIN", -15, "0"),
    (
        "'abc'",
        "SHA256",
        93,
        "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ),
    (
        "'abc'",
        "SHA3",
        93,
        "0x3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
    ),
    (
        "'abc'",
        "HASH160",
        84,
        "0x8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    ),
    (
        "",
        "TXSIGHASH",
        296,
        "0x5151515151515151515151515151515151515151515151515151515151515151",
    ),
    ("5 1 2 2 0x93 0", "CHECKPREDICATE", 31, "5 1"),
    ("5 0 0x93 0", "CHECKPREDICATE", 49, "0"),
    ("5 1 0x51 9", "CHECKPREDICATE", 45, "0"),
    ("5 1 0x51 10", "CHECKPREDICATE", 38, "1"),
    (
        "",
        "ASSET",
        41,
        "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ),
    ("", "AMOUNT", 11, "500"),
    ("", "INDEX", 9, "0"),
    (
        "",
        "ENTRYID",
        41,
        "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
    ),
    (
        "",
        "OUTPUTID",
        41,
        "0xdddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
    ),
    ("", "BLOCKHEIGHT", 11, "1000"),
];

#[test]
fn each_opcode_leaves_what_it_should_for_its_cost() {
    for (before, opcode, cost, after) in EFFECTS {
        let base = run(&format!("{before} TRUE")).unwrap();
        let spent = run(&format!("{before} {opcode} TRUE"))
            .unwrap_or_else(|error| panic!("{before} {opcode}: {error}"));
        let checks: Vec<&str> = after
            .split_whitespace()
            .rev()
            .flat_map(|item| [item, "EQUALVERIFY"])
            .collect();
        let exact = run(&format!("{before} {opcode} {} DEPTH NOT", checks.join(" ")));
        assert!(
            exact.is_ok(),
            "{before} {opcode} does not leave {after}: {exact:?}"
        );
        assert_eq!(spent - base, *cost, "the cost of {before} {opcode}");
    }
}
