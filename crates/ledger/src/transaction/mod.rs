//! A transaction: values taken from earlier outputs, issued or minted, and put under new control programs.
//!
//! These are plain values. What is derived from them (ids, signature hashes) is in [`crate::entry`].
//!
//! # Encoding
//! Byte `07`, version, time range, the inputs and the outputs, each list with its count. Every input and output
//! begins with asset version 1. An input is two extensible strings, its commitment (a kind byte and what is
//! committed to) and its witness; an output a kind byte, an extensible string and an empty witness.
//! (bytomd v2, `protocol/bc/types`.)
//!
//! What is not canonical is taken as bytomd takes it: suffixes of extensible strings are kept and written again;
//! the contents of an output's witness are dropped; numbers may be spelt long (see [`crate::codec`]). Two things
//! are refused that bytomd decodes: an asset version other than 1, on which it then crashes, and more than
//! [`MAX_ENCODED_BYTES`](crate::codec::MAX_ENCODED_BYTES).

//!
//! ```
//! use baton_ledger::{Mapped, Transaction, genesis};
//!
//! let bytes = genesis::bytom_transactions()[0].encode();
//! let transaction = Mapped::from(Transaction::decode(&bytes)?);
//! assert_eq!(
//!     transaction.id().to_string(),
//!     "3ba39aee3b00fc2c92c92d63993682db81a3d3fc9de0646f7d0316c66edc0f5a"
//! );
//! assert_eq!(transaction.size(), 153);
//! # Ok::<(), baton_ledger::DecodeError>(())
//! ```

mod wire;

use crate::asset;
use crate::codec::{Counter, DecodeError, Writer, from_hex};
use crate::entry::Entries;
use crate::hash::{AssetId, Hash};

/// A transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The version of its rules, 1.
    pub version: u64,
    /// The last height at which it may be in a block; 0 for no limit.
    pub time_range: u64,
    /// Where its values come from.
    pub inputs: Vec<Input>,
    /// Where its values go.
    pub outputs: Vec<Output>,
}

/// A source of value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What kind of source.
    pub kind: InputKind,
    /// Unknown bytes at the end of the commitment, kept for versions to come; not part of any id.
    pub commitment_suffix: Vec<u8>,
    /// Unknown bytes at the end of the witness, kept likewise.
    pub witness_suffix: Vec<u8>,
}

/// The kinds of input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputKind {
    /// Makes new units of an asset (kind 0).
    Issuance(Issuance),
    /// Spends an original output (kind 1).
    Spend(Spend),
    /// Mints the reward of a block (kind 2).
    Coinbase(Coinbase),
    /// Spends a vote output, taking the vote back (kind 3).
    Veto(Veto),
}

/// Makes new units of an asset.
///
/// The asset's id is stated in the bytes too; it is not a field because it follows, see [`Issuance::asset_id`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuance {
    /// Makes issuances of the same amount differ.
    pub nonce: Vec<u8>,
    /// Units of the asset.
    pub amount: u64,
    /// What the asset is: JSON text, by custom.
    pub asset_definition: Vec<u8>,
    /// The virtual machine of the issuance program.
    pub vm_version: u64,
    /// Decides who may issue.
    pub issuance_program: Vec<u8>,
    /// Witness: what the program is given to run on.
    pub arguments: Vec<Vec<u8>>,
}

impl Issuance {
    /// The asset that is issued.
    pub fn asset_id(&self) -> AssetId {
        asset::asset_id(
            &self.issuance_program,
            self.vm_version,
            &asset::definition_hash(&self.asset_definition),
        )
    }
}

/// What an input says of the output it spends: enough to compute that output's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentOutput {
    /// The mux of the transaction that made the output.
    pub source_id: Hash,
    /// The asset.
    pub asset_id: AssetId,
    /// Units of the asset.
    pub amount: u64,
    /// The output's number in its transaction.
    pub source_position: u64,
    /// The program that must be satisfied, run by virtual machine 1.
    pub control_program: Vec<u8>,
    /// The state of the contract.
    pub state_data: Vec<Vec<u8>>,
    /// Unknown bytes at the end, kept for versions to come; not part of any id.
    pub suffix: Vec<u8>,
}

/// Spends an original output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// The output.
    pub output: SpentOutput,
    /// Witness: what its control program is given to run on.
    pub arguments: Vec<Vec<u8>>,
}

/// Spends a vote output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veto {
    /// The output.
    pub output: SpentOutput,
    /// The extended public key it voted for.
    pub vote: Vec<u8>,
    /// Witness: what its control program is given to run on.
    pub arguments: Vec<Vec<u8>>,
}

/// Mints the reward of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coinbase {
    /// Free bytes; bytomd writes `00` and the height in decimal digits, which makes the id unique.
    pub arbitrary: Vec<u8>,
}

impl From<InputKind> for Input {
    fn from(kind: InputKind) -> Self {
        Self {
            kind,
            commitment_suffix: Vec::new(),
            witness_suffix: Vec::new(),
        }
    }
}

impl Input {
    /// The asset it brings: zeros for a coinbase, as bytomd has it.
    pub fn asset_id(&self) -> AssetId {
        match &self.kind {
            InputKind::Issuance(issuance) => issuance.asset_id(),
            InputKind::Spend(Spend { output, .. }) | InputKind::Veto(Veto { output, .. }) => {
                output.asset_id
            }
            InputKind::Coinbase(_) => AssetId::ZERO,
        }
    }

    /// The units it brings: 0 for a coinbase, which brings what the outputs take.
    pub fn amount(&self) -> u64 {
        match &self.kind {
            InputKind::Issuance(issuance) => issuance.amount,
            InputKind::Spend(Spend { output, .. }) | InputKind::Veto(Veto { output, .. }) => {
                output.amount
            }
            InputKind::Coinbase(_) => 0,
        }
    }

    /// The program that decides: a control program, an issuance program, or none for a coinbase.
    pub fn program(&self) -> &[u8] {
        match &self.kind {
            InputKind::Issuance(issuance) => &issuance.issuance_program,
            InputKind::Spend(Spend { output, .. }) | InputKind::Veto(Veto { output, .. }) => {
                &output.control_program
            }
            InputKind::Coinbase(_) => &[],
        }
    }

    /// The output it spends, if it spends one.
    pub fn spent_output(&self) -> Option<&SpentOutput> {
        match &self.kind {
            InputKind::Spend(Spend { output, .. }) | InputKind::Veto(Veto { output, .. }) => {
                Some(output)
            }
            InputKind::Issuance(_) | InputKind::Coinbase(_) => None,
        }
    }

    /// The witness; `None` for a coinbase, which has none.
    pub fn arguments(&self) -> Option<&[Vec<u8>]> {
        match &self.kind {
            InputKind::Issuance(Issuance { arguments, .. })
            | InputKind::Spend(Spend { arguments, .. })
            | InputKind::Veto(Veto { arguments, .. }) => Some(arguments),
            InputKind::Coinbase(_) => None,
        }
    }

    /// The witness, to be filled in; `None` for a coinbase. No id depends on it.
    pub fn arguments_mut(&mut self) -> Option<&mut Vec<Vec<u8>>> {
        match &mut self.kind {
            InputKind::Issuance(Issuance { arguments, .. })
            | InputKind::Spend(Spend { arguments, .. })
            | InputKind::Veto(Veto { arguments, .. }) => Some(arguments),
            InputKind::Coinbase(_) => None,
        }
    }
}

/// A destination of value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What kind of destination.
    pub kind: OutputKind,
    /// The asset.
    pub asset_id: AssetId,
    /// Units of the asset.
    pub amount: u64,
    /// The program that must be satisfied to spend it, run by virtual machine 1.
    pub control_program: Vec<u8>,
    /// The state of a contract.
    pub state_data: Vec<Vec<u8>>,
    /// Unknown bytes at the end of the commitment, kept for versions to come; not part of any id.
    pub commitment_suffix: Vec<u8>,
}

/// The kinds of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputKind {
    /// To be spent (kind 0).
    Original,
    /// Votes for a validator until it is vetoed (kind 1): the extended public key, 64 bytes if it is valid.
    Vote(Vec<u8>),
}

/// The instruction `FAIL`: a control program that begins with it can never be satisfied.
const FAIL: u8 = 0x6a;

impl Output {
    /// An original output without state.
    pub fn original(asset_id: AssetId, amount: u64, control_program: Vec<u8>) -> Self {
        Self {
            kind: OutputKind::Original,
            asset_id,
            amount,
            control_program,
            state_data: Vec::new(),
            commitment_suffix: Vec::new(),
        }
    }

    /// A vote for `xpub` with `amount_neu` of BTM.
    pub fn vote(amount_neu: u64, control_program: Vec<u8>, xpub: Vec<u8>) -> Self {
        Self {
            kind: OutputKind::Vote(xpub),
            ..Self::original(AssetId::BTM, amount_neu, control_program)
        }
    }

    /// Whether its value is destroyed: its program begins with `FAIL`, whatever its kind.
    pub fn is_retirement(&self) -> bool {
        self.control_program.first() == Some(&FAIL)
    }
}

impl Transaction {
    /// Reads a transaction.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        wire::decode(bytes)
    }

    /// Reads a transaction from hexadecimal text, as in `raw_transaction`.
    pub fn from_hex(text: &str) -> Result<Self, DecodeError> {
        Self::decode(&from_hex("transaction", text)?)
    }

    /// Its bytes. A number above 2^63 - 1 is written although nothing reads it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        wire::write(self, &mut Writer::new(&mut bytes));
        bytes
    }

    /// Its bytes as hexadecimal text, as in `raw_transaction`.
    pub fn to_hex(&self) -> String {
        hex::encode(self.encode())
    }

    /// The length of its encoding in bytes, for which storage gas is paid.
    ///
    /// bytomd takes the length of the bytes it happened to receive, which is longer when they are not canonical;
    /// here it follows from the value alone.
    pub fn size(&self) -> usize {
        let mut counter = Counter::default();
        wire::write(self, &mut Writer::new(&mut counter));
        counter.0
    }

    /// Its id. Use [`crate::Mapped`] where more than the id is wanted.
    pub fn id(&self) -> Hash {
        Entries::of(self).transaction_id
    }

    /// BTM that goes in and does not come out, in neu; 0 if more comes out, as in a coinbase transaction.
    pub fn fee_neu(&self) -> u64 {
        let sum = |values: &mut dyn Iterator<Item = (AssetId, u64)>| {
            values
                .filter(|(asset, _)| *asset == AssetId::BTM)
                .fold(0_u64, |sum, (_, amount)| sum.saturating_add(amount))
        };
        let inputs = sum(&mut self.inputs.iter().map(|i| (i.asset_id(), i.amount())));
        let outputs = sum(&mut self.outputs.iter().map(|o| (o.asset_id, o.amount)));
        inputs.saturating_sub(outputs)
    }
}
