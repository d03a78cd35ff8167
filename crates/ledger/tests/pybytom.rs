//! Addresses and entry ids are those of pybytom, which is no relation of bytomd's (`data/pybytom_vectors.py`).

use baton_ledger::address::Prefix;
use baton_ledger::transaction::{Coinbase, Issuance};
use baton_ledger::{Address, AssetId, Entries, Input, InputKind, Output, Transaction};
use serde_json::Value;

fn vectors(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("data/pybytom.json")).unwrap();
    let vectors = all[kind].as_array().unwrap().clone();
    assert!(vectors.len() >= 8, "{} {kind}", vectors.len());
    vectors
}

fn bytes(vector: &Value, key: &str) -> Vec<u8> {
    hex::decode(vector[key].as_str().unwrap()).unwrap()
}

fn check_address(address: Address, told: &Value) {
    assert_eq!(address.program(), bytes(told, "program"));
    assert_eq!(Address::from_program(&address.program()), Some(address));
    for (prefix, text) in told["addresses"].as_object().unwrap() {
        let prefix: Prefix = prefix.parse().unwrap();
        let text = text.as_str().unwrap();
        assert_eq!(address.encode(prefix), text);
        assert_eq!(Address::decode(text, prefix), Ok(address));
    }
}

#[test]
fn addresses() {
    for told in vectors("keys") {
        let key = bytes(&told, "public_key").try_into().unwrap();
        check_address(Address::of_public_key(&key), &told);
    }
    for told in vectors("scripts") {
        check_address(Address::of_script(&bytes(&told, "script")), &told);
    }
}

/// A transaction of one input that puts `amount` of `asset_id` into one output.
fn check_ids(kind: InputKind, asset_id: AssetId, told: &Value) {
    let amount = told["amount"].as_u64().unwrap();
    let transaction = Transaction {
        version: 1,
        time_range: 0,
        inputs: vec![Input::from(kind)],
        outputs: vec![Output::original(asset_id, amount, vec![0x51])],
    };
    let entries = Entries::of(&transaction);
    assert_eq!(
        entries.inputs[0].id.to_string(),
        told["input_id"].as_str().unwrap()
    );
    assert_eq!(entries.mux_id.to_string(), told["mux_id"].as_str().unwrap());
}

#[test]
fn issuances() {
    for told in vectors("issuances") {
        let issuance = Issuance {
            nonce: bytes(&told, "nonce"),
            amount: told["amount"].as_u64().unwrap(),
            asset_definition: bytes(&told, "definition"),
            vm_version: 1,
            issuance_program: bytes(&told, "program"),
            arguments: Vec::new(),
        };
        let asset_id = issuance.asset_id();
        assert_eq!(asset_id.to_string(), told["asset_id"].as_str().unwrap());
        check_ids(InputKind::Issuance(issuance), asset_id, &told);
    }
}

#[test]
fn coinbases() {
    for told in vectors("coinbases") {
        let arbitrary = bytes(&told, "arbitrary");
        let coinbase = InputKind::Coinbase(Coinbase { arbitrary });
        check_ids(coinbase, AssetId::BTM, &told);
    }
}
