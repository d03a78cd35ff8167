//! Keys, and transactions that they sign.
#![allow(dead_code, unreachable_pub)] // each test program has its own copy and uses a part of it

pub mod chain;

use baton_ledger::transaction::{Issuance, Spend, SpentOutput, Veto};
use baton_ledger::{
    AssetId, Hash, Input, InputKind, Mapped, Output, OutputKind, Transaction, program,
};
use ed25519_dalek::{Signer, SigningKey};

/// A key that is always the same for a seed.
pub struct Key(pub SigningKey);

impl Key {
    pub fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The program that pays to it.
    pub fn program(&self) -> Vec<u8> {
        program::p2wpkh(&program::key_hash(&self.public()))
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}

/// A script that wants signatures of `quorum` of the keys.
pub fn script(keys: &[Key], quorum: usize) -> Vec<u8> {
    let keys: Vec<[u8; 32]> = keys.iter().map(Key::public).collect();
    program::multisig(&keys, quorum).unwrap()
}

/// An output that never was: enough to spend it as far as validation alone sees.
pub fn made_up(amount: u64, program: Vec<u8>) -> SpentOutput {
    SpentOutput {
        source_id: Hash([7; 32]),
        asset_id: AssetId::BTM,
        amount,
        source_position: 0,
        control_program: program,
        state_data: Vec::new(),
        suffix: Vec::new(),
    }
}

/// What it takes to spend an output of a transaction.
pub fn outpoint(transaction: &Mapped, position: usize) -> SpentOutput {
    let output = &transaction.transaction().outputs[position];
    SpentOutput {
        source_id: transaction.entries().mux_id,
        asset_id: output.asset_id,
        amount: output.amount,
        source_position: position as u64,
        control_program: output.control_program.clone(),
        state_data: output.state_data.clone(),
        suffix: Vec::new(),
    }
}

pub fn spend(output: SpentOutput) -> Input {
    Input::from(InputKind::Spend(Spend {
        output,
        arguments: Vec::new(),
    }))
}

pub fn veto(output: SpentOutput, vote: Vec<u8>) -> Input {
    Input::from(InputKind::Veto(Veto {
        output,
        vote,
        arguments: Vec::new(),
    }))
}

/// The input that spends an output of a transaction, be it a vote or not.
pub fn take(transaction: &Mapped, position: usize) -> Input {
    let output = outpoint(transaction, position);
    match &transaction.transaction().outputs[position].kind {
        OutputKind::Original => spend(output),
        OutputKind::Vote(key) => veto(output, key.clone()),
    }
}

pub fn issue(amount: u64, program: Vec<u8>) -> Input {
    Input::from(InputKind::Issuance(Issuance {
        nonce: vec![1, 2, 3],
        amount,
        asset_definition: b"{}".to_vec(),
        vm_version: 1,
        issuance_program: program,
        arguments: Vec::new(),
    }))
}

pub fn pay(amount: u64, program: Vec<u8>) -> Output {
    Output::original(AssetId::BTM, amount, program)
}

pub fn transaction(inputs: Vec<Input>, outputs: Vec<Output>) -> Transaction {
    Transaction {
        version: 1,
        time_range: 0,
        inputs,
        outputs,
    }
}

/// Fills in the witnesses of all inputs that pay to the key.
pub fn sign(transaction: Transaction, key: &Key) -> Mapped {
    let mapped = Mapped::from(transaction);
    let entries = mapped.entries().clone();
    let mut transaction = mapped.into_transaction();
    for (index, input) in transaction.inputs.iter_mut().enumerate() {
        if input.program() == key.program() {
            let hash = entries.signature_hash(index).unwrap();
            let witness = vec![key.sign(hash.as_bytes()), key.public().to_vec()];
            *input.arguments_mut().unwrap() = witness;
        }
    }
    Mapped::from(transaction)
}

/// Fills in the witness of an input that pays to a script, or that issues under it.
pub fn sign_script(
    transaction: Transaction,
    index: usize,
    keys: &[&Key],
    script: Option<&[u8]>,
) -> Mapped {
    let mapped = Mapped::from(transaction);
    let hash = mapped.entries().signature_hash(index).unwrap();
    let mut transaction = mapped.into_transaction();
    let mut witness: Vec<_> = keys.iter().map(|key| key.sign(hash.as_bytes())).collect();
    witness.extend(script.map(<[u8]>::to_vec));
    *transaction.inputs[index].arguments_mut().unwrap() = witness;
    Mapped::from(transaction)
}
