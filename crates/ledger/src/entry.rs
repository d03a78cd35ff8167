//! Entries: the parts of a transaction as they are hashed, which gives the ids of everything.
//!
//! An entry's id is SHA3-256 of `entryid:`, its kind, `:` and SHA3-256 of its body. In a body numbers are eight
//! bytes, least significant first, hashes 32 bytes, and byte strings and lists carry a varint31 count.
//! (bytomd v2, `protocol/bc`; the model is that of the Chain protocol.)
//!
//! Values flow from inputs through one *mux* to outputs:
//!
//! | part | kind | body |
//! |---|---|---|
//! | issuance | `issuance1` | SHA3-256 of the nonce, asset, amount |
//! | spend | `spend1` | id of the spent output |
//! | veto | `vetoInput1` | id of the spent output |
//! | coinbase | `coinbase1` | arbitrary bytes |
//! | mux | `mux1` | list of sources, one per input: its id, asset, amount, position 0; VM version 1, program `51` |
//! | original output | `originalOutput1` | source: mux id, asset, amount, position; VM version 1, program, state data |
//! | vote output | `voteOutput1` | source, VM version 1, program, vote, state data |
//! | retirement | `retirement1` | source |
//! | transaction | `txheader` | version, time range, list of output ids |
//! | block | `blockheader` | version, height, previous hash, timestamp, merkle root |
//!
//! A coinbase brings as much BTM as the outputs take of any asset. An output whose program begins with `FAIL` is a
//! retirement, whatever its kind. No witness is in any body, so signatures do not change ids.

use sha3::{Digest, Sha3_256};

use crate::asset::VM_VERSION;
use crate::codec::Writer;
use crate::hash::{AssetId, Hash, sha3_256};
use crate::transaction::{Input, InputKind, Output, OutputKind, SpentOutput, Transaction};

/// The mux's program, `TRUE`.
const MUX_PROGRAM: [u8; 1] = [0x51];

/// The id of the entry of kind `kind` whose body `body` writes.
pub(crate) fn entry_id(kind: &str, body: impl FnOnce(&mut Writer<'_>)) -> Hash {
    let mut hasher = Sha3_256::new();
    body(&mut Writer::new(&mut hasher));
    sha3_256(&[
        b"entryid:",
        kind.as_bytes(),
        b":",
        hasher.finalize().as_slice(),
    ])
}

/// An amount of an asset and where it comes from.
#[derive(Clone, Copy)]
struct Source {
    id: Hash,
    asset_id: AssetId,
    amount: u64,
    position: u64,
}

impl Source {
    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(self.id.as_bytes());
        w.bytes(self.asset_id.as_bytes());
        w.u64_le(self.amount);
        w.u64_le(self.position);
    }
}

fn write_program(program: &[u8], w: &mut Writer<'_>) {
    w.u64_le(VM_VERSION);
    w.varstr(program);
}

fn original_output_id(source: Source, program: &[u8], state_data: &[Vec<u8>]) -> Hash {
    entry_id("originalOutput1", |w| {
        source.write(w);
        write_program(program, w);
        w.varstr_list(state_data);
    })
}

fn vote_output_id(source: Source, program: &[u8], vote: &[u8], state_data: &[Vec<u8>]) -> Hash {
    entry_id("voteOutput1", |w| {
        source.write(w);
        write_program(program, w);
        w.varstr(vote);
        w.varstr_list(state_data);
    })
}

impl SpentOutput {
    fn source(&self) -> Source {
        Source {
            id: self.source_id,
            asset_id: self.asset_id,
            amount: self.amount,
            position: self.source_position,
        }
    }
}

/// The id of the output that `input` spends; `None` if it spends none.
pub fn spent_output_id(input: &Input) -> Option<Hash> {
    match &input.kind {
        InputKind::Spend(spend) => Some(original_output_id(
            spend.output.source(),
            &spend.output.control_program,
            &spend.output.state_data,
        )),
        InputKind::Veto(veto) => Some(vote_output_id(
            veto.output.source(),
            &veto.output.control_program,
            &veto.vote,
            &veto.output.state_data,
        )),
        InputKind::Issuance(_) | InputKind::Coinbase(_) => None,
    }
}

/// What is derived from an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputEntry {
    /// Its id.
    pub id: Hash,
    /// The id of the output it spends.
    pub spent_output_id: Option<Hash>,
    /// The asset it brings into the mux: BTM for a coinbase.
    pub asset_id: AssetId,
    /// The units it brings into the mux: for a coinbase the sum of all outputs, modulo 2^64.
    pub amount: u64,
}

/// What an output is once its control program is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKind {
    /// An original output, to be spent.
    Original,
    /// A vote output, to be vetoed.
    Vote,
    /// A retirement: never to be spent, whatever kind of output it was.
    Retirement,
}

/// What is derived from an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputEntry {
    /// Its id.
    pub id: Hash,
    /// What became of it.
    pub kind: ResultKind,
}

/// Everything that is derived from a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    /// The id of the transaction.
    pub transaction_id: Hash,
    /// The id of the mux, the source of every output.
    pub mux_id: Hash,
    /// One for each input, in order.
    pub inputs: Vec<InputEntry>,
    /// One for each output, in order.
    pub outputs: Vec<OutputEntry>,
}

impl Entries {
    /// Derives the entries of `transaction`.
    pub fn of(transaction: &Transaction) -> Self {
        let inputs: Vec<InputEntry> = transaction
            .inputs
            .iter()
            .map(|input| input_entry(input, transaction))
            .collect();
        let mux_id = entry_id("mux1", |w| {
            w.count(inputs.len());
            for input in &inputs {
                let source = Source {
                    id: input.id,
                    asset_id: input.asset_id,
                    amount: input.amount,
                    position: 0,
                };
                source.write(w);
            }
            write_program(&MUX_PROGRAM, w);
        });
        let outputs: Vec<OutputEntry> = (0_u64..)
            .zip(&transaction.outputs)
            .map(|(position, output)| output_entry(output, mux_id, position))
            .collect();
        let transaction_id = entry_id("txheader", |w| {
            w.u64_le(transaction.version);
            w.u64_le(transaction.time_range);
            w.count(outputs.len());
            for output in &outputs {
                w.bytes(output.id.as_bytes());
            }
        });
        Self {
            transaction_id,
            mux_id,
            inputs,
            outputs,
        }
    }

    /// What is signed for input `index`: SHA3-256 of its id and the transaction's. `None` if there is no such input.
    ///
    /// It is defined for a coinbase too, though nothing signs it and bytomd's API shows zeros there.
    pub fn signature_hash(&self, index: usize) -> Option<Hash> {
        let input = self.inputs.get(index)?;
        Some(sha3_256(&[
            input.id.as_bytes(),
            self.transaction_id.as_bytes(),
        ]))
    }
}

fn input_entry(input: &Input, transaction: &Transaction) -> InputEntry {
    let spent_output_id = spent_output_id(input);
    let spends = |kind| {
        let output = spent_output_id.expect("a spend and a veto have an output");
        entry_id(kind, |w| w.bytes(output.as_bytes()))
    };
    let (id, asset_id, amount) = match &input.kind {
        InputKind::Issuance(issuance) => {
            let asset_id = issuance.asset_id();
            let id = entry_id("issuance1", |w| {
                w.bytes(sha3_256(&[&issuance.nonce]).as_bytes());
                w.bytes(asset_id.as_bytes());
                w.u64_le(issuance.amount);
            });
            (id, asset_id, issuance.amount)
        }
        InputKind::Spend(spend) => (spends("spend1"), spend.output.asset_id, spend.output.amount),
        InputKind::Veto(veto) => (
            spends("vetoInput1"),
            veto.output.asset_id,
            veto.output.amount,
        ),
        InputKind::Coinbase(coinbase) => {
            let id = entry_id("coinbase1", |w| w.varstr(&coinbase.arbitrary));
            let minted = transaction
                .outputs
                .iter()
                .fold(0_u64, |sum, output| sum.wrapping_add(output.amount));
            (id, AssetId::BTM, minted)
        }
    };
    InputEntry {
        id,
        spent_output_id,
        asset_id,
        amount,
    }
}

fn output_entry(output: &Output, mux_id: Hash, position: u64) -> OutputEntry {
    let source = Source {
        id: mux_id,
        asset_id: output.asset_id,
        amount: output.amount,
        position,
    };
    let program = &output.control_program;
    let (id, kind) = match &output.kind {
        _ if output.is_retirement() => (
            entry_id("retirement1", |w| source.write(w)),
            ResultKind::Retirement,
        ),
        OutputKind::Original => (
            original_output_id(source, program, &output.state_data),
            ResultKind::Original,
        ),
        OutputKind::Vote(vote) => (
            vote_output_id(source, program, vote, &output.state_data),
            ResultKind::Vote,
        ),
    };
    OutputEntry { id, kind }
}

/// A transaction with its entries and its size, each computed once.
///
/// It cannot be changed, so they cannot disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    transaction: Transaction,
    entries: Entries,
    size: usize,
}

impl Mapped {
    /// The transaction.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// What is derived from it.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Its id.
    pub fn id(&self) -> Hash {
        self.entries.transaction_id
    }

    /// The length of its encoding in bytes, see [`Transaction::size`].
    pub fn size(&self) -> usize {
        self.size
    }

    /// The transaction, to be changed.
    pub fn into_transaction(self) -> Transaction {
        self.transaction
    }
}

impl From<Transaction> for Mapped {
    fn from(transaction: Transaction) -> Self {
        Self {
            entries: Entries::of(&transaction),
            size: transaction.size(),
            transaction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::Coinbase;

    fn minting(outputs: Vec<Output>) -> Entries {
        let coinbase = InputKind::Coinbase(Coinbase {
            arbitrary: b"0".to_vec(),
        });
        Entries::of(&Transaction {
            version: 1,
            time_range: 0,
            inputs: vec![Input::from(coinbase)],
            outputs,
        })
    }

    #[test]
    fn a_failing_program_makes_a_retirement_of_any_output() {
        let retired = Output::original(AssetId::BTM, 5, vec![0x6a]);
        let vote = Output::vote(5, vec![0x6a, 1], vec![2; 64]);
        let entries = minting(vec![retired.clone(), vote]);
        let kinds: Vec<_> = entries.outputs.iter().map(|output| output.kind).collect();
        assert_eq!(kinds, [ResultKind::Retirement; 2]);
        // they differ by position only
        let twice = minting(vec![retired.clone(), retired]);
        assert_eq!(entries, twice);
        assert_ne!(twice.outputs[0].id, twice.outputs[1].id);
    }

    #[test]
    fn state_and_vote_are_in_the_id() {
        let plain = Output::original(AssetId::BTM, 5, vec![0x51]);
        let with_state = Output {
            state_data: vec![Vec::new()],
            ..plain.clone()
        };
        let vote = Output::vote(5, vec![0x51], Vec::new());
        let voting = Output::vote(5, vec![0x51], vec![1]);
        let entries = [plain, with_state, vote, voting].map(|output| minting(vec![output]));
        for (i, one) in entries.iter().enumerate() {
            for other in &entries[..i] {
                assert_eq!(one.mux_id, other.mux_id);
                assert_ne!(one.outputs[0].id, other.outputs[0].id);
            }
        }
    }

    #[test]
    fn a_coinbase_brings_what_the_outputs_take() {
        let output = |amount| Output::original(AssetId::BTM, amount, Vec::new());
        let entry = minting(vec![output(2), output(3)]).inputs[0];
        assert_eq!((entry.asset_id, entry.amount), (AssetId::BTM, 5));
        assert_eq!(entry.spent_output_id, None);
        let entry = minting(vec![output(u64::MAX), output(3)]).inputs[0];
        assert_eq!(entry.amount, 2);
    }

    #[test]
    fn there_is_something_to_sign_for_each_input_only() {
        let entries = minting(Vec::new());
        assert!(entries.signature_hash(0).is_some());
        assert_eq!(entries.signature_hash(1), None);
    }
}
