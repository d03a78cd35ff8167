//! The first block: values that come from nowhere, because everyone agrees on it beforehand.

use crate::asset::VM_VERSION;
use crate::block::{Block, Header};
use crate::hash::AssetId;
use crate::merkle;
use crate::transaction::{Coinbase, Input, InputKind, Issuance, Output, Transaction};

/// The BTM in Bytom's genesis block, in neu (bytomd v2, `consensus.InitBTMSupply`): what there was on the first
/// chain, and 500 BTM.
pub const BYTOM_SUPPLY_NEU: u64 = 169_290_721_678_579_170 + 50_000_000_000;

/// What the coinbase of Bytom's genesis block says.
const BYTOM_MESSAGE: &str =
    "Information is power. -- Jan/11/2013. Computing is power. -- Apr/24/2018.";

/// The control program that gets everything in Bytom's genesis block.
const BYTOM_PROGRAM: [u8; 22] = [
    0x00, 0x14, 0x8d, 0xea, 0x80, 0x4c, 0x8f, 0x5a, 0x27, 0x51, 0x8b, 0xe2, 0x69, 0x6e, 0x43, 0xdc,
    0xa0, 0x35, 0x2b, 0x9a, 0x93, 0xcc,
];

/// An asset of the first chain that Bytom's genesis block issues again.
struct BytomAsset {
    nonce: [u8; 8],
    amount: u64,
    /// In hexadecimal.
    issuance_program: &'static str,
    definition: &'static str,
}

const BYTOM_ASSETS: [BytomAsset; 2] = [
    BytomAsset {
        nonce: [0x8e, 0x97, 0x23, 0x59, 0xc6, 0x44, 0x12, 0x99],
        amount: 100_000_000_000_000,
        issuance_program: "ae20d66ab117eca2bba6aefed569e52d6bf68a7a4ad7d775cbc01f7b2cfcd798f7b22031ab3c2147c330c5e360b4e585047d1dea5f529476ad5aff475ecdd55541923120851b4a24975df6dbeb4f8e5348542764f85bed67b763875325aa5e45116751b35253ad",
        definition: r#"{
  "decimals": 8,
  "description": {},
  "name": "MAG",
  "quorum": 2,
  "reissue": "true",
  "symbol": "MAG"
}"#,
    },
    BytomAsset {
        nonce: [0xf5, 0x7f, 0x15, 0xfb, 0xbd, 0xf5, 0xf7, 0x0d],
        amount: 9_866_701_291_045,
        issuance_program: "0354df07cda069ae203c939b7ba615a49adf57b5b4c9c37e80666436970f8507d56a272539cabcb9e15151ad",
        definition: r#"{
  "decimals": 8,
  "description": {},
  "name": "SUP",
  "quorum": 1,
  "reissue": "false",
  "symbol": "SUP"
}"#,
    },
];

/// The block at height 0 with these transactions.
pub fn block(timestamp_ms: u64, transactions: Vec<Transaction>) -> Block {
    let ids: Vec<_> = transactions.iter().map(Transaction::id).collect();
    Block {
        header: Header {
            version: 1,
            timestamp_ms,
            transactions_merkle_root: merkle::root(&ids),
            ..Header::default()
        },
        transactions,
    }
}

/// The transactions in the genesis block of all three networks of Bytom v2: BTM, and two assets of the first chain.
/// (bytomd v2, `config/genesis_tx.go`.)
pub fn bytom_transactions() -> Vec<Transaction> {
    let program = BYTOM_PROGRAM.to_vec();
    let coinbase = Coinbase {
        arbitrary: BYTOM_MESSAGE.as_bytes().to_vec(),
    };
    let supply = Transaction {
        version: 1,
        time_range: 0,
        inputs: vec![Input::from(InputKind::Coinbase(coinbase))],
        outputs: vec![Output::original(
            AssetId::BTM,
            BYTOM_SUPPLY_NEU,
            program.clone(),
        )],
    };
    let issuances = BYTOM_ASSETS.map(|asset| Issuance {
        nonce: asset.nonce.to_vec(),
        amount: asset.amount,
        asset_definition: asset.definition.as_bytes().to_vec(),
        vm_version: VM_VERSION,
        issuance_program: hex::decode(asset.issuance_program).expect("the constants are hex"),
        arguments: Vec::new(),
    });
    let outputs = issuances
        .iter()
        .map(|issuance| Output::original(issuance.asset_id(), issuance.amount, program.clone()))
        .collect();
    let assets = Transaction {
        version: 1,
        time_range: 0,
        inputs: issuances
            .into_iter()
            .map(|issuance| Input::from(InputKind::Issuance(issuance)))
            .collect(),
        outputs,
    };
    vec![supply, assets]
}
