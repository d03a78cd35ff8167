//! Programs built, told apart and converted; against pybytom (`data/vm/make-programs.py`) and against what a bytomd
//! v2.0.6 answered.

use std::borrow::Cow;

use baton_ledger::program::{
    AssembleError, Multisig, MultisigError, Standard, anyone, assemble, call_contract, disassemble,
    executed_form, is_unspendable, issuance, key_hash, limit_height, listing, multisig, p2wpkh,
    p2wsh, push_data, push_number, register_contract, retire, script_hash,
};
use baton_ledger::vm::{Context, Error, Op, instructions, verify};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn data() -> Value {
    serde_json::from_str(&std::fs::read_to_string("tests/data/vm/programs.json").unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn rows(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn no_contract(_: &[u8; 32]) -> Option<Vec<u8>> {
    None
}

#[test]
fn programs_of_keys_are_pybytoms() {
    for row in rows(&data()["keys"]) {
        let hash = key_hash(&array(&row["public_key"]));
        assert_eq!(hash, array(&row["hash"]));
        let program = p2wpkh(&hash);
        assert_eq!(program, bytes(&row["program"]));
        assert_eq!(Standard::of(&program), Some(Standard::P2wpkh(&hash)));
        assert_eq!(
            executed_form(&program, no_contract),
            bytes(&row["executed"])
        );
    }
}

#[test]
fn programs_of_scripts_are_pybytoms() {
    for row in rows(&data()["scripts"]) {
        let keys: Vec<[u8; 32]> = rows(&row["public_keys"]).iter().map(array).collect();
        let quorum = usize::try_from(row["quorum"].as_u64().unwrap()).unwrap();
        let script = multisig(&keys, quorum).unwrap();
        assert_eq!(script, bytes(&row["script"]));
        let hash = script_hash(&script);
        assert_eq!(hash, array(&row["hash"]));
        assert_eq!(p2wsh(&hash), bytes(&row["program"]));
        assert_eq!(Standard::of(&p2wsh(&hash)), Some(Standard::P2wsh(&hash)));
        assert_eq!(
            Standard::of(&script),
            Some(Standard::Multisig(Multisig {
                keys,
                quorum,
                limit_height: 0
            }))
        );
    }
}

#[test]
fn pushes_and_opcodes_are_pybytoms() {
    let data = data();
    for (number, program) in data["numbers"].as_object().unwrap() {
        let mut pushed = Vec::new();
        push_number(&mut pushed, number.parse().unwrap());
        assert_eq!(pushed, bytes(program), "{number}");
    }
    for row in rows(&data["pushes"]) {
        let length = row["length"].as_u64().unwrap();
        let data: Vec<u8> = (0..length)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut pushed = Vec::new();
        push_data(&mut pushed, &data);
        assert_eq!(
            Sha256::digest(&pushed).as_slice(),
            bytes(&row["sha256"]),
            "{length}"
        );
    }
    for (name, number) in data["opcodes"].as_object().unwrap() {
        let op = Op(u8::try_from(number.as_u64().unwrap()).unwrap());
        // Bytom v2 has no negative numbers.
        if ["1NEGATE", "NEGATE", "ABS"].contains(&name.as_str()) {
            assert!(op.is_expansion());
        } else {
            assert_eq!(Op::from_name(name), Some(op), "{name}");
        }
    }
}

#[test]
fn every_opcode_is_found_by_its_name_only() {
    for number in 0..=255 {
        let op = Op(number);
        assert_eq!(Op::from_name(&op.to_string()), Some(op));
    }
    for name in [
        "",
        "dup",
        "DUP ",
        "17",
        "01",
        "DATA_0",
        "DATA_76",
        "DATA_05",
        "NOPx76",
        "NOPx5",
        "PUSHDATA3",
    ] {
        assert_eq!(Op::from_name(name), None, "{name}");
    }
}

/// From `v2-more-receiver-multi.json`, `v2-more-spend-multi-2of3.json` and `v2-more-asset-2of2.json`.
#[test]
fn recorded_programs_are_understood() {
    let script = "ae20f40c563b6620cb9874ef4fe2af834e1e5b51ab625c2c6bb4b9ff89d9dd4220b12004f4d3df340485c9cec078ba2bc267f96b6df233c38cde875433f11d483e310620147966155de10c34805d32e2f85cf71974f95b0c63f060246b871ab94f9c288d5253ad";
    let script = hex::decode(script).unwrap();
    let program = "002063aab49ae78432fa36102ab0887254094009d37bc819d59b8e9b7784faedf81c";
    assert_eq!(hex::encode(p2wsh(&script_hash(&script))), program);
    let Some(Standard::Multisig(found)) = Standard::of(&script) else {
        panic!("a 2-of-3")
    };
    assert_eq!((found.keys.len(), found.quorum), (3, 2));
    assert_eq!(multisig(&found.keys, found.quorum).unwrap(), script);

    let issue = "ae2029e3d0c9cccace87443b6cc890a2d49f35deea7c95082dde9d679be9b92faa5a2072009c5ddb1b4b1d3c519bf4a5f9bf1a10e5c74a179301570a00fb75079959745252ad";
    let issue = hex::decode(issue).unwrap();
    let Some(Standard::Multisig(found)) = Standard::of(&issue) else {
        panic!("a 2-of-2")
    };
    assert_eq!(issuance(&found.keys, found.quorum, 0).unwrap(), issue);
    assert_eq!(limit_height(&issue), None);
}

/// From `v2-list-contracts.json`.
#[test]
fn a_contract_is_registered_and_called_as_recorded() {
    let contract = [0x51];
    let hash = script_hash(&contract);
    let (register, call) = (register_contract(&contract), call_contract(&hash));
    assert_eq!(hex::encode(&register), "6a046263727001010151");
    assert_eq!(
        hex::encode(&call),
        "046263727020ba86a2a6dac23e336a34b4337eb740d40d900fae703bf55dcde8430208bb82e8"
    );
    assert_eq!(
        Standard::of(&register),
        Some(Standard::RegisterContract(&contract))
    );
    assert_eq!(Standard::of(&call), Some(Standard::CallContract(&hash)));
}

#[test]
fn a_call_runs_the_registered_contract() {
    let contract = assemble("DEPTH 2 EQUALVERIFY ADD 5 EQUAL").unwrap();
    let call = call_contract(&script_hash(&contract));
    let executed = executed_form(&call, |hash| {
        assert_eq!(*hash, script_hash(&contract));
        Some(contract.clone())
    });
    let run = |arguments: &[Vec<u8>]| verify(&Context::new(&executed, arguments), 1000).map(|_| ());
    assert_eq!(run(&[vec![2], vec![3]]), Ok(()));
    assert_eq!(run(&[vec![2], vec![4]]), Err(Error::FalseResult));
    // Without the contract the call is run itself, and anyone passes.
    let executed = executed_form(&call, no_contract);
    assert!(matches!(executed, Cow::Borrowed(_)));
    assert!(verify(&Context::new(&executed, &[]), 1000).is_ok());
}

#[test]
fn long_contracts_are_registered() {
    for length in [75, 76, 255, 256, 65535, 65536] {
        let contract = vec![0x61; length];
        let program = register_contract(&contract);
        assert_eq!(
            Standard::of(&program),
            Some(Standard::RegisterContract(&contract))
        );
        assert!(is_unspendable(&program));
    }
}

#[test]
fn what_is_almost_standard_is_not() {
    let hash = [9; 20];
    let mut longer = p2wpkh(&hash);
    longer.push(Op::NOP.0);
    assert_eq!(Standard::of(&longer), None);
    assert_eq!(Standard::of(&p2wpkh(&hash)[..21]), None);
    assert_eq!(Standard::of(&[]), None);
    // Another version, no contract, or more than a contract: retirements.
    for program in [
        "6a046263727001020151",
        "6a0462637270010100",
        "6a0462637270010101",
        "6a046263727001015161",
    ] {
        let program = hex::decode(program).unwrap();
        assert_eq!(Standard::of(&program), Some(Standard::Retire));
    }
    // Three keys said to be two.
    let mut script = multisig(&[[1; 32], [2; 32], [3; 32]], 2).unwrap();
    let count = script.len() - 2;
    script[count] = Op::TRUE.0 + 1;
    assert_eq!(Standard::of(&script), None);
}

#[test]
fn retirements_carry_a_remark() {
    assert_eq!(retire(b""), [0x6a]);
    // From `v2-more-retire.json`.
    assert_eq!(
        hex::encode(retire(b"hello bat\xf6")),
        "6a0a68656c6c6f20626174f6"
    );
    assert_eq!(Standard::of(&retire(b"x")), Some(Standard::Retire));
    assert_eq!(
        verify(&Context::new(&retire(b"x"), &[]), 1000),
        Err(Error::Return)
    );
}

#[test]
fn witness_programs_are_those_an_address_may_stand_for() {
    for program in [p2wpkh(&[1; 20]), p2wsh(&[1; 32]), anyone(), retire(b"")] {
        assert!(Standard::is_witness(&program));
    }
    for program in [
        retire(b"x"),
        call_contract(&[1; 32]),
        vec![],
        multisig(&[[1; 32]], 1).unwrap(),
    ] {
        assert!(!Standard::is_witness(&program));
    }
}

#[test]
fn quorums_that_make_no_sense_are_refused() {
    let key = [1; 32];
    assert_eq!(
        multisig(&[key], 2),
        Err(MultisigError::QuorumTooBig { keys: 1, quorum: 2 })
    );
    assert_eq!(
        multisig(&[key], 0),
        Err(MultisigError::QuorumEmpty { keys: 1 })
    );
    assert_eq!(
        multisig(&[], 0).unwrap(),
        assemble("TXSIGHASH 0 0 CHECKMULTISIG").unwrap()
    );
}

#[test]
fn issuance_ends_at_its_height() {
    for height in [1, 16, 17, 300, u64::MAX] {
        let program = issuance(&[], 0, height).unwrap();
        assert_eq!(limit_height(&program), Some(height));
        let Some(Standard::Multisig(found)) = Standard::of(&program) else {
            panic!("signatures")
        };
        assert_eq!(found.limit_height, height);
        // The check alone, without the signatures.
        let check = &program[..program.len() - 4];
        let run = |block_height| {
            let context = Context {
                block_height: Some(block_height),
                ..Context::new(check, &[])
            };
            verify(&context, 1000)
        };
        assert_eq!(run(height - 1), Err(Error::FalseResult));
        assert_eq!(run(height), Err(Error::VerifyFailed));
    }
    for text in [
        "",
        "5",
        "5 BLOCKHEIGHT GREATERTHAN",
        "DEPTH BLOCKHEIGHT GREATERTHAN VERIFY",
        "0 BLOCKHEIGHT GREATERTHAN VERIFY",
    ] {
        assert_eq!(limit_height(&assemble(text).unwrap()), None, "{text}");
    }
}

/// From the answer of `decode-program` to the program of one key.
#[test]
fn the_listing_is_that_of_decode_program() {
    let program = hex::decode("0014132ecd507a05834f267427d0175b5b10c8fb521f").unwrap();
    assert_eq!(
        listing(&executed_form(&program, no_contract)).unwrap(),
        "DUP \nHASH160 \nDATA_20 132ecd507a05834f267427d0175b5b10c8fb521f\nEQUALVERIFY \nTXSIGHASH \nSWAP \nCHECKSIG \n"
    );
    assert_eq!(
        listing(&[0x51, 0x00, 0x50]).unwrap(),
        "1 01\nFALSE \nNOPx50 \n"
    );
    assert_eq!(listing(&[0x02, 0x00]), Err(Error::ShortProgram));
}

#[test]
fn the_executed_form_of_a_script_is_that_of_v2() {
    let program = p2wsh(&[0xab; 32]);
    let text = disassemble(&executed_form(&program, no_contract)).unwrap();
    let hash = "ab".repeat(32);
    assert_eq!(
        text,
        format!("DUP SHA3 0x{hash} EQUALVERIFY FALSE SWAP FALSE CHECKPREDICATE")
    );
    // That of v1 takes -1 for the count of items, which v2 does not know.
    let v1 = assemble("1 0x51 0xffffffffffffffff SWAP 0 CHECKPREDICATE").unwrap();
    assert_eq!(verify(&Context::new(&v1, &[]), 1000), Err(Error::BadValue));
}

#[test]
fn text_becomes_a_program() {
    let cases = [
        ("2 3 ADD 5 NUMEQUAL", "525393559c"),
        ("0 TRUE 16 17 255 256", "0051600111 01ff 020001"),
        ("0x 0xdeadBEEF", "00 04deadbeef"),
        ("'' 'a b' 'it\\'s' '\\\\'", "00 03612062 0469742773 015c"),
        ("'a'DUP", "016176"),
        (
            "-1",
            "20ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ),
        ("+5 007 -0", "0105 0107 00"),
        (
            "JUMP:$end $start 1 $end JUMPIF:$start JUMP:7",
            "6306000000 51 6405000000 6307000000",
        ),
        ("  \n\tDUP\u{a0}DROP ", "7675"),
        ("NOPx50 NOPxff", "50ff"),
        ("", ""),
    ];
    for (text, program) in cases {
        assert_eq!(
            hex::encode(assemble(text).unwrap()),
            program.replace(' ', ""),
            "{text}"
        );
    }
}

#[test]
fn bad_text_is_told() {
    let unknown = |word: &str| AssembleError::UnknownWord(word.to_owned());
    let big = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    let cases = [
        ("1 FOO", unknown("FOO")),
        ("PUSHDATA1", unknown("PUSHDATA1")),
        ("JUMP", unknown("JUMP")),
        ("-", unknown("-")),
        ("1_0", unknown("1_0")),
        (big, unknown(big)),
        ("0xabc", AssembleError::BadHex("0xabc".to_owned())),
        ("JUMP:x", AssembleError::BadAddress("x".to_owned())),
        ("JUMP:+5", AssembleError::BadAddress("+5".to_owned())),
        (
            "JUMPIF:4294967296",
            AssembleError::BadAddress("4294967296".to_owned()),
        ),
        ("$a 1 $a", AssembleError::LabelRedefined("$a".to_owned())),
        ("JUMP:$a", AssembleError::UndefinedLabel("$a".to_owned())),
        ("1 'abc", AssembleError::UnclosedQuote("'abc".to_owned())),
    ];
    for (text, error) in cases {
        assert_eq!(assemble(text), Err(error), "{text}");
    }
    assert_eq!(unknown("FOO").code(), 772);
}

#[test]
fn labels_are_named_in_the_order_of_their_jumps() {
    let program = assemble("$a JUMPIF:$b JUMP:$a 5 $b JUMP:$b").unwrap();
    assert_eq!(
        disassemble(&program).unwrap(),
        "$bravo JUMPIF:$alpha JUMP:$bravo 0x05 $alpha JUMP:$alpha"
    );
    // The 27th begins again.
    let many: Vec<String> = (0..27).map(|n| format!("JUMP:{}", 5 * n)).collect();
    let text = disassemble(&assemble(&many.join(" ")).unwrap()).unwrap();
    assert!(text.ends_with("$alpha2 JUMP:$alpha2"), "{text}");
}

#[test]
fn instructions_end_with_the_broken_one() {
    let mut parsed = instructions(&[0x51, 0x02, 0x00]);
    assert_eq!(parsed.next().unwrap().unwrap().data, [1]);
    assert_eq!(parsed.position(), 1);
    assert_eq!(parsed.next(), Some(Err(Error::ShortProgram)));
    assert_eq!(parsed.next(), None);
}

#[test]
fn a_failure_is_explained_as_bytomd_does() {
    let arguments = [vec![1], vec![0xab, 0xcd]];
    let context = Context::new(&[0x76, 0x69, 0x00], &arguments);
    let error = verify(&context, 1000).unwrap_err();
    assert_eq!(error.code(), 766);
    assert_eq!(
        context.explain(error),
        "false VM result [prog 766900 = DUP VERIFY FALSE; args 01 abcd]: false VM result"
    );
    assert!(
        Context::new(&[0x01], &[])
            .explain(Error::ShortProgram)
            .contains("prog 01 = ???; args ]")
    );
}
