//! Signatures that tell one variant of Ed25519 from another: the verdict is that of Go's `crypto/ed25519`, on which
//! bytomd's rests.
//!
//! `data/vm/ed25519.jsonl` was made with Go 1.26: a sound signature, changed scalars (plus multiples of the order),
//! points off the curve, keys and points of small order in all their encodings, keys with a part of small order.

use baton_ledger::vm::{Context, Error, Op, verify};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

struct Case {
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
    valid: bool,
}

fn cases() -> Vec<Case> {
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let cases: Vec<Case> = std::fs::read_to_string("tests/data/vm/ed25519.jsonl")
        .unwrap()
        .lines()
        .map(|line| {
            let case: Value = serde_json::from_str(line).unwrap();
            Case {
                key: bytes(&case["key"]),
                message: bytes(&case["message"]),
                signature: bytes(&case["signature"]),
                valid: case["valid"].as_bool().unwrap(),
            }
        })
        .collect();
    assert!(cases.len() > 500);
    cases
}

fn verdict(program: &[Op], arguments: &[Vec<u8>]) -> Result<(), Error> {
    let program: Vec<u8> = program.iter().map(|op| op.0).collect();
    verify(&Context::new(&program, arguments), 10_000).map(|_| ())
}

#[test]
fn check_sig_accepts_what_go_accepts() {
    for Case {
        key,
        message,
        signature,
        valid,
    } in cases()
    {
        let expected = if valid {
            Ok(())
        } else {
            Err(Error::FalseResult)
        };
        let arguments = [signature.clone(), message.clone(), key.clone()];
        assert_eq!(
            verdict(&[Op::CHECKSIG], &arguments),
            expected,
            "{}",
            hex::encode(&signature)
        );
        let arguments = [signature.clone(), message, key, vec![1], vec![1]];
        assert_eq!(
            verdict(&[Op::CHECKMULTISIG], &arguments),
            expected,
            "{}",
            hex::encode(&signature)
        );
    }
}

/// The reason why the machine does not call `verify_strict`.
#[test]
fn strict_verification_refuses_what_go_accepts() {
    let refused = cases().into_iter().filter(|case| {
        let key = VerifyingKey::try_from(case.key.as_slice()).ok();
        let signature = Signature::from_slice(&case.signature).ok();
        let strict = key
            .zip(signature)
            .is_some_and(|(key, signature)| key.verify_strict(&case.message, &signature).is_ok());
        assert!(case.valid || !strict);
        case.valid && !strict
    });
    assert!(refused.count() > 100);
}

fn sound() -> Case {
    cases().into_iter().find(|case| case.valid).unwrap()
}

#[test]
fn signatures_of_many_come_in_the_order_of_the_keys() {
    let Case {
        key,
        message,
        signature,
        ..
    } = sound();
    let other = vec![9; 32];
    let ask = |signatures: &[&Vec<u8>], keys: &[&Vec<u8>]| {
        let mut arguments: Vec<Vec<u8>> = signatures.iter().map(|item| (*item).clone()).collect();
        arguments.push(message.clone());
        arguments.extend(keys.iter().map(|item| (*item).clone()));
        arguments.push(vec![u8::try_from(signatures.len()).unwrap()]);
        arguments.push(vec![u8::try_from(keys.len()).unwrap()]);
        verdict(&[Op::CHECKMULTISIG], &arguments)
    };
    assert_eq!(ask(&[&signature], &[&key, &other]), Ok(()));
    assert_eq!(ask(&[&signature], &[&other, &key]), Ok(()));
    assert_eq!(ask(&[&signature, &signature], &[&key, &key]), Ok(()));
    assert_eq!(
        ask(&[&signature, &signature], &[&other, &key]),
        Err(Error::FalseResult)
    );
    assert_eq!(
        ask(&[&signature], &[&other, &other]),
        Err(Error::FalseResult)
    );
    // One key that is no key spoils all.
    assert_eq!(
        ask(&[&signature], &[&key, &vec![9; 31]]),
        Err(Error::FalseResult)
    );
    assert_eq!(ask(&[], &[]), Ok(()));
}

#[test]
fn a_message_has_32_bytes_and_a_key_of_another_size_signs_nothing() {
    let Case {
        key,
        message,
        signature,
        ..
    } = sound();
    let check = |key: &[u8], message: &[u8], signature: &[u8]| {
        verdict(
            &[Op::CHECKSIG],
            &[signature.to_vec(), message.to_vec(), key.to_vec()],
        )
    };
    assert_eq!(check(&key, &message, &signature), Ok(()));
    assert_eq!(check(&key, &message[1..], &signature), Err(Error::BadValue));
    assert_eq!(
        check(&key[1..], &message, &signature),
        Err(Error::FalseResult)
    );
    assert_eq!(
        check(&key, &message, &signature[1..]),
        Err(Error::FalseResult)
    );
    assert_eq!(check(&key, &message, &[]), Err(Error::FalseResult));
}

/// Gas of checking signatures: 1024 for each key, and the memory of what is taken.
#[test]
fn checking_costs_by_the_key() {
    let Case {
        key,
        message,
        signature,
        ..
    } = sound();
    let gas = |op: Op, arguments: &[Vec<u8>]| {
        let before: i64 = arguments
            .iter()
            .map(|item| 8 + i64::try_from(item.len()).unwrap())
            .sum();
        let left = verify(&Context::new(&[op.0], arguments), 10_000).unwrap();
        10_000 - i64::try_from(left).unwrap() - before
    };
    let taken = 72 + 40 + 40;
    assert_eq!(
        gas(
            Op::CHECKSIG,
            &[signature.clone(), message.clone(), key.clone()]
        ),
        1024 - taken + 9
    );
    let two = [signature, message, key.clone(), key, vec![1], vec![2]];
    assert_eq!(
        gas(Op::CHECKMULTISIG, &two),
        2 * 1024 - taken - 40 - 9 - 9 + 9
    );
}
