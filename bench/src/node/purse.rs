//! Money that a benchmark has of its own: outputs of the genesis to a key of its own, and transfers of them.

use baton_ledger::address::Prefix;
use baton_ledger::transaction::{Spend, SpentOutput};
use baton_ledger::{
    Address, AssetId, Hash, Input, InputKind, Mapped, Output, Transaction, program,
};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

/// What a transfer pays for its gas, in neu.
pub const FEE_NEU: u64 = 1_000_000;

/// An output that the purse can spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coin {
    /// The id of the entry that it comes from.
    pub source: Hash,
    /// Its number among the outputs.
    pub position: u64,
    /// In neu.
    pub amount_neu: u64,
}

/// A key, and what follows from it.
#[derive(Debug, Clone)]
pub struct Purse {
    key: SigningKey,
    program: Vec<u8>,
}

impl Purse {
    /// The purse of this number; the same number has the same key.
    pub fn new(number: u64) -> Self {
        let mut seed = [0x5b; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let key = SigningKey::from_bytes(&seed);
        let program = program::p2wpkh(&program::key_hash(&key.verifying_key().to_bytes()));
        Self { key, program }
    }

    /// The program that it is paid to.
    pub fn program(&self) -> &[u8] {
        &self.program
    }

    /// The address that it is paid to, on a network whose addresses begin so.
    pub fn address(&self, prefix: Prefix) -> String {
        let address = Address::from_program(&self.program).expect("a program of a key has one");
        address.encode(prefix)
    }

    /// The `outputs` of a `genesis.json` that give this purse so many coins.
    pub fn outputs(&self, coins: u64, amount_neu: u64) -> Vec<Value> {
        let program = hex::encode(&self.program);
        (0..coins)
            .map(|_| json!({ "program": program, "amount_neu": amount_neu }))
            .collect()
    }

    /// The coins of the first so many outputs of a transaction.
    pub fn coins(transaction: &Mapped, count: usize) -> Vec<Coin> {
        let source = transaction.entries().mux_id;
        let outputs = transaction.transaction().outputs.iter().take(count);
        outputs
            .enumerate()
            .map(|(position, output)| Coin {
                source,
                position: position as u64,
                amount_neu: output.amount,
            })
            .collect()
    }

    /// Pays coins on to programs, less the fee, which the last of them bears.
    pub fn pay(&self, coins: &[Coin], to: &[(Vec<u8>, u64)]) -> Mapped {
        let outputs = to
            .iter()
            .map(|(program, amount)| Output::original(AssetId::BTM, *amount, program.clone()));
        let unsigned = Mapped::from(Transaction {
            version: 1,
            time_range: 0,
            inputs: coins.iter().map(|coin| self.input(*coin)).collect(),
            outputs: outputs.collect(),
        });
        let entries = unsigned.entries().clone();
        let mut transaction = unsigned.into_transaction();
        for index in 0..coins.len() {
            let message = entries
                .signature_hash(index)
                .expect("every input of a spend has one");
            let signature = self.key.sign(message.as_bytes()).to_bytes().to_vec();
            let public = self.key.verifying_key().to_bytes().to_vec();
            if let Some(arguments) = transaction.inputs[index].arguments_mut() {
                *arguments = vec![signature, public];
            }
        }
        Mapped::from(transaction)
    }

    /// One coin to one program.
    pub fn transfer(&self, coin: Coin, to: &[u8]) -> Mapped {
        self.pay(&[coin], &[(to.to_vec(), coin.amount_neu - FEE_NEU)])
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
