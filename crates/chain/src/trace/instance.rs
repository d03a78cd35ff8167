//! What is known of an instance.

use baton_ledger::codec::{DecodeError, Reader, Writer};
use baton_ledger::program::Standard;
use baton_ledger::state::Record;
use baton_ledger::{AssetId, Hash, Mapped};

/// Whether an instance goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// There are outputs of it.
    Active,
    /// Its last output was spent by a transaction that made no other.
    Ended,
}

/// An output that calls a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceOutput {
    /// Its id.
    pub id: Hash,
    /// The mux of its transaction.
    pub source_id: Hash,
    /// Its number in its transaction.
    pub source_position: u64,
    /// The asset.
    pub asset_id: AssetId,
    /// Units of the asset.
    pub amount: u64,
    /// The program that calls the contract.
    pub control_program: Vec<u8>,
    /// The state of the contract.
    pub state_data: Vec<Vec<u8>>,
}

/// An instance of a contract: its outputs, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// What it is known by.
    pub trace_id: Hash,
    /// The contract: SHA3-256 of its program.
    pub contract: [u8; 32],
    /// The transaction from which on it is followed.
    pub origin: Hash,
    /// The height of that transaction.
    pub origin_height: u64,
    /// The last transaction that made or spent outputs of it.
    pub transaction_id: Hash,
    /// The height of that transaction.
    pub height: u64,
    /// Its outputs.
    pub unspent: Vec<InstanceOutput>,
    /// The outputs that the last transaction spent.
    pub spent: Vec<InstanceOutput>,
    /// Whether it goes on.
    pub status: Status,
}

/// The contract that a program calls.
pub(super) fn called(program: &[u8]) -> Option<[u8; 32]> {
    match Standard::of(program) {
        Some(Standard::CallContract(hash)) => Some(*hash),
        _ => None,
    }
}

/// The outputs of a transaction that call a contract, with the contract.
pub(super) fn calling(transaction: &Mapped) -> impl Iterator<Item = ([u8; 32], InstanceOutput)> {
    let entries = transaction.entries();
    let outputs = (0_u64..).zip(&transaction.transaction().outputs);
    outputs
        .zip(&entries.outputs)
        .filter_map(|((position, output), entry)| {
            let contract = called(&output.control_program)?;
            let found = InstanceOutput {
                id: entry.id,
                source_id: entries.mux_id,
                source_position: position,
                asset_id: output.asset_id,
                amount: output.amount,
                control_program: output.control_program.clone(),
                state_data: output.state_data.clone(),
            };
            (output.amount > 0).then_some((contract, found))
        })
}

fn write_outputs(outputs: &[InstanceOutput], w: &mut Writer<'_>) {
    w.count(outputs.len());
    for output in outputs {
        w.bytes(output.id.as_bytes());
        w.bytes(output.source_id.as_bytes());
        w.varint(output.source_position);
        w.bytes(output.asset_id.as_bytes());
        w.varint(output.amount);
        w.varstr(&output.control_program);
        w.varstr_list(&output.state_data);
    }
}

fn read_outputs(r: &mut Reader<'_>) -> Result<Vec<InstanceOutput>, DecodeError> {
    let count = r.varint31("number of outputs")?;
    r.parts("output", count, |r| {
        Ok(InstanceOutput {
            id: r.hash("id of an output")?,
            source_id: r.hash("mux of an output")?,
            source_position: r.varint63("position of an output")?,
            asset_id: r.asset_id("asset of an output")?,
            amount: r.varint63("amount of an output")?,
            control_program: r.varstr("program of an output")?.to_vec(),
            state_data: r.varstr_list("state of an output")?,
        })
    })
}

impl Record for Instance {
    const NAME: &'static str = "contract instance";

    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(self.trace_id.as_bytes());
        w.bytes(&self.contract);
        w.bytes(self.origin.as_bytes());
        w.varint(self.origin_height);
        w.bytes(self.transaction_id.as_bytes());
        w.varint(self.height);
        write_outputs(&self.unspent, w);
        write_outputs(&self.spent, w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut instance = Self {
            trace_id: r.hash("id of an instance")?,
            contract: r.hash("contract of an instance")?.0,
            origin: r.hash("origin of an instance")?,
            origin_height: r.varint63("height of an origin")?,
            transaction_id: r.hash("transaction of an instance")?,
            height: r.varint63("height of an instance")?,
            unspent: read_outputs(r)?,
            spent: read_outputs(r)?,
            status: Status::Active,
        };
        if instance.unspent.is_empty() {
            instance.status = Status::Ended;
        }
        Ok(instance)
    }
}
