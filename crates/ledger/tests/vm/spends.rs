//! The inputs of real transactions: each is let through, for the gas bytomd counts.
//!
//! The data were taken from the answers of a bytomd v2.0.6 by `data/vm/extract-spends.py`.

use std::collections::HashMap;

use baton_ledger::program::{self, Standard};
use baton_ledger::vm::{Context, Error, OutputCheck, TxView, verify};
use serde_json::Value;

/// What one gas costs, in neu.
const NEU_PER_GAS: u64 = 200;
const GAS: u64 = 300_000;

struct Spend {
    entry_id: [u8; 32],
    program: Vec<u8>,
    state: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
    sighash: [u8; 32],
}

struct Tx([u8; 32]);

impl TxView for Tx {
    fn signature_hash(&self) -> [u8; 32] {
        self.0
    }

    fn check_output(&self, _: &OutputCheck<'_>) -> Result<bool, Error> {
        Err(Error::WrongContext)
    }
}

impl Spend {
    fn run(&self, gas: u64) -> Result<u64, Error> {
        let tx = Tx(self.sighash);
        let executed = program::executed_form(&self.program, |_| None);
        let context = Context {
            state: &self.state,
            entry_id: self.entry_id,
            tx_version: Some(1),
            block_height: Some(159),
            tx: Some(&tx),
            ..Context::new(&executed, &self.arguments)
        };
        verify(&context, gas)
    }

    fn gas_used(&self) -> u64 {
        GAS - self.run(GAS).expect("a real spend passes")
    }
}

fn data() -> Value {
    let text = std::fs::read_to_string("tests/data/vm/spends.json").unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

fn spends() -> Vec<Spend> {
    let spends: Vec<Spend> = data()["spends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|spend| Spend {
            entry_id: bytes(&spend["entry_id"]).try_into().unwrap(),
            program: bytes(&spend["program"]),
            state: list(&spend["state"]),
            arguments: list(&spend["arguments"]),
            sighash: bytes(&spend["sighash"]).try_into().unwrap(),
        })
        .collect();
    assert!(spends.len() > 10);
    spends
}

/// The least gas the spend passes with, found by trying: refunds come after what they are for is paid.
fn gas_needed(spend: &Spend) -> u64 {
    let (mut fails, mut passes) = (0, GAS);
    while passes - fails > 1 {
        let middle = u64::midpoint(fails, passes);
        if spend.run(middle).is_ok() {
            passes = middle;
        } else {
            fails = middle;
        }
    }
    passes
}

fn multisig(program: &[u8]) -> (u64, u64) {
    let Some(Standard::Multisig(multisig)) = Standard::of(program) else {
        panic!("{} wants no signatures", hex::encode(program));
    };
    (multisig.keys.len() as u64, multisig.quorum as u64)
}

#[test]
fn every_real_input_passes() {
    for spend in spends() {
        assert_eq!(
            spend.run(gas_needed(&spend)),
            Ok(gas_needed(&spend) - spend.gas_used())
        );
    }
}

#[test]
fn no_real_input_passes_with_another_signature_key_or_transaction() {
    for mut spend in spends() {
        spend.sighash[0] ^= 1;
        assert_eq!(spend.run(GAS), Err(Error::FalseResult));
        spend.sighash[0] ^= 1;
        spend.arguments[0][0] ^= 1;
        assert_eq!(spend.run(GAS), Err(Error::FalseResult));
        spend.arguments[0][0] ^= 1;
        assert!(spend.run(GAS).is_ok());
        // What a control program pays to stands last: a key or a script.
        if !matches!(Standard::of(&spend.program), Some(Standard::Multisig(_))) {
            spend.arguments.last_mut().unwrap()[5] ^= 1;
            assert_eq!(spend.run(GAS), Err(Error::VerifyFailed));
        }
    }
}

#[test]
fn too_little_gas_is_told() {
    for spend in spends() {
        let short = spend.run(gas_needed(&spend) - 1);
        match Standard::of(&spend.program).unwrap() {
            // The script is a predicate, which is false when it runs out of gas.
            Standard::P2wsh(_) => assert_eq!(short, Err(Error::FalseResult)),
            _ => assert_eq!(short, Err(Error::RunLimitExceeded)),
        }
    }
}

#[test]
fn gas_follows_from_the_kind_of_program() {
    for spend in spends() {
        let (used, needed) = (spend.gas_used(), gas_needed(&spend));
        match Standard::of(&spend.program).unwrap() {
            Standard::P2wpkh(_) => assert_eq!((used, needed), (1409, 1552)),
            Standard::P2wsh(_) => {
                let (keys, quorum) = multisig(spend.arguments.last().unwrap());
                assert_eq!((keys, quorum), (3, 2));
                assert_eq!(used, 3547);
                assert_eq!(needed, 1131 * keys + 72 * quorum + 642);
            }
            Standard::Multisig(_) => {
                let (keys, quorum) = multisig(&spend.program);
                assert_eq!(used, 1025 * keys + 267);
                assert_eq!(needed, 1065 * keys + 72 * quorum + 316);
            }
            other => panic!("not recorded: {other:?}"),
        }
    }
}

/// What bytomd's estimate counts for a program: the gas a P2WPKH spends, the gas a multi-signature needs, and for P2WSH
/// 17 more than that.
fn estimated(spend: &Spend) -> u64 {
    match Standard::of(&spend.program).unwrap() {
        Standard::P2wpkh(_) => spend.gas_used(),
        Standard::P2wsh(_) => gas_needed(spend) + 17,
        _ => gas_needed(spend),
    }
}

#[test]
fn recorded_estimates_are_reproduced() {
    let spends: HashMap<[u8; 32], Spend> = spends()
        .into_iter()
        .map(|spend| (spend.entry_id, spend))
        .collect();
    let data = data();
    let estimates = data["estimates"].as_array().unwrap();
    assert_eq!(estimates.len(), 4);
    for estimate in estimates {
        let gas: u64 = list(&estimate["entry_ids"])
            .into_iter()
            .map(|id| estimated(&spends[&<[u8; 32]>::try_from(id).unwrap()]))
            .sum();
        assert_eq!(
            gas * NEU_PER_GAS,
            estimate["vm_neu"].as_u64().unwrap(),
            "{}",
            estimate["source"]
        );
    }
}

/// The transaction of `v2-decode-raw.json`, a spend and an issuance, was estimated at 572400 neu for the machine.
#[test]
fn the_estimate_of_a_spend_and_an_issuance_is_reproduced() {
    let ids = [
        "413dc626473a9112014024094cc09e7d37d5e7c428cec492d88d7fe4bcf9ef6d",
        "83ef7ce39de9b3aeb57401f2e79eb1065504148380509c1bcb4b3f0a16d06967",
    ];
    let gas: u64 = spends()
        .iter()
        .filter(|spend| ids.contains(&hex::encode(spend.entry_id).as_str()))
        .map(estimated)
        .sum();
    assert_eq!(gas * NEU_PER_GAS, 572_400);
}
