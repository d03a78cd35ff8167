//! Money of the demo's own: outputs that the genesis gives to a key, and transfers of them.

use baton_ledger::transaction::{Spend, SpentOutput};
use baton_ledger::{AssetId, Hash, Input, InputKind, Mapped, Output, Transaction, program};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

/// What a transfer pays for its gas, in neu.
const FEE_NEU: u64 = 1_000_000;

/// What each coin has at first: enough for the fees of many transfers.
const AMOUNT_NEU: u64 = 100_000_000_000;

/// A key that lives as long as the demo.
pub(super) struct Purse {
    key: SigningKey,
    program: Vec<u8>,
}

/// An output that can be spent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coin {
    source: Hash,
    position: u64,
    amount_neu: u64,
}

/// A transfer of a coin, ready to be submitted.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) id: Hash,
    pub(super) raw: String,
    /// What it makes, once it is in a block.
    pub(super) then: Coin,
}

impl Purse {
    /// The money is worth nothing outside of the demo, so the key is no secret.
    pub(super) fn new() -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let program = program::p2wpkh(&program::key_hash(&key.verifying_key().to_bytes()));
        Self { key, program }
    }

    /// What a `genesis.json` has to list among its outputs for so many coins.
    pub(super) fn outputs(&self, coins: usize) -> Vec<Value> {
        let program = hex::encode(&self.program);
        let output = json!({ "program": program, "amount_neu": AMOUNT_NEU });
        vec![output; coins]
    }

    /// The purse's coins among the outputs of a transaction.
    pub(super) fn coins(&self, transaction: &Mapped) -> Vec<Coin> {
        let source = transaction.entries().mux_id;
        let outputs = transaction.transaction().outputs.iter().zip(0..);
        let own = outputs.filter(|(output, _)| output.control_program == self.program);
        own.map(|(output, position)| Coin {
            source,
            position,
            amount_neu: output.amount,
        })
        .collect()
    }

    /// Pays a coin to the purse itself, less the fee.
    pub(super) fn transfer(&self, coin: Coin) -> Transfer {
        let amount = coin.amount_neu - FEE_NEU;
        let output = Output::original(AssetId::BTM, amount, self.program.clone());
        let unsigned = Mapped::from(Transaction {
            version: 1,
            time_range: 0,
            inputs: vec![self.input(coin)],
            outputs: vec![output],
        });
        let message = unsigned
            .entries()
            .signature_hash(0)
            .expect("the input of a spend has one");
        let mut transaction = unsigned.into_transaction();
        if let Some(arguments) = transaction.inputs[0].arguments_mut() {
            let signature = self.key.sign(message.as_bytes()).to_bytes().to_vec();
            let public = self.key.verifying_key().to_bytes().to_vec();
            *arguments = vec![signature, public];
        }
        let signed = Mapped::from(transaction);
        Transfer {
            id: signed.id(),
            raw: hex::encode(signed.transaction().encode()),
            then: self.coins(&signed)[0],
        }
    }

    fn input(&self, coin: Coin) -> Input {
        let output = SpentOutput {
            source_id: coin.source,
            asset_id: AssetId::BTM,
            amount: coin.amount_neu,
            source_position: coin.position,
            control_program: self.program.clone(),
            state_data: Vec::new(),
            suffix: Vec::new(),
        };
        Input::from(InputKind::Spend(Spend {
            output,
            arguments: Vec::new(),
        }))
    }
}
