//! The bytes of a transaction.

use super::{
    Coinbase, Input, InputKind, Issuance, Output, OutputKind, Spend, SpentOutput, Transaction, Veto,
};
use crate::asset::VM_VERSION;
use crate::codec::{DecodeError, Reader, Writer};

/// The first byte of a transaction.
const FLAGS: u8 = 7;

/// The only version of assets.
const ASSET_VERSION: u64 = 1;

const ISSUANCE: u8 = 0;
const SPEND: u8 = 1;
const COINBASE: u8 = 2;
const VETO: u8 = 3;

const ORIGINAL: u8 = 0;
const VOTE: u8 = 1;

pub(super) fn decode(bytes: &[u8]) -> Result<Transaction, DecodeError> {
    let mut reader = Reader::new("transaction", bytes)?;
    let transaction = Transaction::read(&mut reader)?;
    reader.finish("transaction")?;
    Ok(transaction)
}

impl Transaction {
    /// Reads a transaction with others after it.
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let found = r.byte("serialization flags of a transaction")?;
        if found != FLAGS {
            return Err(DecodeError::Flags {
                what: "transaction",
                found,
                wanted: FLAGS,
            });
        }
        let version = r.varint63("transaction version")?;
        let time_range = r.varint63("time range")?;
        let inputs = r.varint31("number of inputs")?;
        let inputs = r.parts("input", inputs, read_input)?;
        let outputs = r.varint31("number of outputs")?;
        let outputs = r.parts("output", outputs, read_output)?;
        Ok(Self {
            version,
            time_range,
            inputs,
            outputs,
        })
    }

    /// Writes a transaction.
    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        write(self, w);
    }
}

fn read_asset_version(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    match r.varint63("asset version")? {
        ASSET_VERSION => Ok(()),
        other => Err(DecodeError::AssetVersion(other)),
    }
}

fn read_vm_version(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    match r.varint63("VM version")? {
        VM_VERSION => Ok(()),
        other => Err(DecodeError::VmVersion(other)),
    }
}

/// What the commitment of an input says; the rest of the value is in its witness.
enum Commitment {
    Issuance {
        nonce: Vec<u8>,
        asset_id: crate::AssetId,
        amount: u64,
    },
    Spend(SpentOutput),
    Coinbase(Coinbase),
    Veto(SpentOutput, Vec<u8>),
}

fn read_input(r: &mut Reader<'_>) -> Result<Input, DecodeError> {
    read_asset_version(r)?;
    let (commitment, commitment_suffix) = r.extensible("input commitment", read_commitment)?;
    let (kind, witness_suffix) = r.extensible("input witness", |r| read_witness(commitment, r))?;
    Ok(Input {
        kind,
        commitment_suffix,
        witness_suffix,
    })
}

fn read_commitment(r: &mut Reader<'_>) -> Result<Commitment, DecodeError> {
    Ok(match r.byte("input type")? {
        ISSUANCE => Commitment::Issuance {
            nonce: r.varstr("nonce of an issuance")?.to_vec(),
            asset_id: r.asset_id("asset id of an issuance")?,
            amount: r.varint63("amount of an issuance")?,
        },
        SPEND => Commitment::Spend(read_spent_output(r)?),
        COINBASE => Commitment::Coinbase(Coinbase {
            arbitrary: r.varstr("arbitrary of a coinbase")?.to_vec(),
        }),
        VETO => Commitment::Veto(
            read_spent_output(r)?,
            r.varstr("vote of a veto input")?.to_vec(),
        ),
        other => return Err(DecodeError::InputType(other)),
    })
}

fn read_witness(commitment: Commitment, r: &mut Reader<'_>) -> Result<InputKind, DecodeError> {
    Ok(match commitment {
        Commitment::Issuance {
            nonce,
            asset_id: stated,
            amount,
        } => {
            let issuance = Issuance {
                nonce,
                amount,
                asset_definition: r.varstr("asset definition")?.to_vec(),
                vm_version: r.varint63("VM version of an issuance program")?,
                issuance_program: r.varstr("issuance program")?.to_vec(),
                arguments: r.varstr_list("arguments of an issuance")?,
            };
            let computed = issuance.asset_id();
            if computed != stated {
                return Err(DecodeError::AssetMismatch { stated, computed });
            }
            InputKind::Issuance(issuance)
        }
        Commitment::Spend(output) => InputKind::Spend(Spend {
            output,
            arguments: r.varstr_list("arguments of a spend")?,
        }),
        Commitment::Coinbase(coinbase) => InputKind::Coinbase(coinbase),
        Commitment::Veto(output, vote) => InputKind::Veto(Veto {
            output,
            vote,
            arguments: r.varstr_list("arguments of a veto input")?,
        }),
    })
}

fn read_spent_output(r: &mut Reader<'_>) -> Result<SpentOutput, DecodeError> {
    let (mut output, suffix) = r.extensible("spent output", |r| {
        let source_id = r.hash("source id")?;
        let asset_id = r.asset_id("asset id of a spent output")?;
        let amount = r.varint63("amount of a spent output")?;
        let source_position = r.varint63("source position")?;
        read_vm_version(r)?;
        Ok(SpentOutput {
            source_id,
            asset_id,
            amount,
            source_position,
            control_program: r.varstr("control program of a spent output")?.to_vec(),
            state_data: r.varstr_list("state data of a spent output")?,
            suffix: Vec::new(),
        })
    })?;
    output.suffix = suffix;
    Ok(output)
}

fn read_output(r: &mut Reader<'_>) -> Result<Output, DecodeError> {
    read_asset_version(r)?;
    let kind = match r.byte("output type")? {
        kind @ (ORIGINAL | VOTE) => kind,
        other => return Err(DecodeError::OutputType(other)),
    };
    let (mut output, suffix) = r.extensible("output commitment", |r| {
        let kind = match kind {
            VOTE => OutputKind::Vote(r.varstr("vote")?.to_vec()),
            _ => OutputKind::Original,
        };
        let asset_id = r.asset_id("asset id of an output")?;
        let amount = r.varint63("amount of an output")?;
        read_vm_version(r)?;
        Ok(Output {
            kind,
            asset_id,
            amount,
            control_program: r.varstr("control program")?.to_vec(),
            state_data: r.varstr_list("state data")?,
            commitment_suffix: Vec::new(),
        })
    })?;
    output.commitment_suffix = suffix;
    // nothing is defined to be here, and bytomd forgets what is
    r.varstr("output witness")?;
    Ok(output)
}

pub(super) fn write(transaction: &Transaction, w: &mut Writer<'_>) {
    w.bytes(&[FLAGS]);
    w.varint(transaction.version);
    w.varint(transaction.time_range);
    w.count(transaction.inputs.len());
    for input in &transaction.inputs {
        write_input(input, w);
    }
    w.count(transaction.outputs.len());
    for output in &transaction.outputs {
        write_output(output, w);
    }
}

fn write_input(input: &Input, w: &mut Writer<'_>) {
    w.varint(ASSET_VERSION);
    // it is hashed, so once is enough
    let asset_id = input.asset_id();
    w.extensible(&input.commitment_suffix, |w| match &input.kind {
        InputKind::Issuance(issuance) => {
            w.bytes(&[ISSUANCE]);
            w.varstr(&issuance.nonce);
            w.bytes(asset_id.as_bytes());
            w.varint(issuance.amount);
        }
        InputKind::Spend(spend) => {
            w.bytes(&[SPEND]);
            write_spent_output(&spend.output, w);
        }
        InputKind::Coinbase(coinbase) => {
            w.bytes(&[COINBASE]);
            w.varstr(&coinbase.arbitrary);
        }
        InputKind::Veto(veto) => {
            w.bytes(&[VETO]);
            write_spent_output(&veto.output, w);
            w.varstr(&veto.vote);
        }
    });
    w.extensible(&input.witness_suffix, |w| match &input.kind {
        InputKind::Issuance(issuance) => {
            w.varstr(&issuance.asset_definition);
            w.varint(issuance.vm_version);
            w.varstr(&issuance.issuance_program);
            w.varstr_list(&issuance.arguments);
        }
        InputKind::Spend(Spend { arguments, .. }) | InputKind::Veto(Veto { arguments, .. }) => {
            w.varstr_list(arguments);
        }
        InputKind::Coinbase(_) => {}
    });
}

fn write_spent_output(output: &SpentOutput, w: &mut Writer<'_>) {
    w.extensible(&output.suffix, |w| {
        w.bytes(output.source_id.as_bytes());
        w.bytes(output.asset_id.as_bytes());
        w.varint(output.amount);
        w.varint(output.source_position);
        w.varint(VM_VERSION);
        w.varstr(&output.control_program);
        w.varstr_list(&output.state_data);
    });
}

fn write_output(output: &Output, w: &mut Writer<'_>) {
    w.varint(ASSET_VERSION);
    w.bytes(&[match output.kind {
        OutputKind::Original => ORIGINAL,
        OutputKind::Vote(_) => VOTE,
    }]);
    w.extensible(&output.commitment_suffix, |w| {
        if let OutputKind::Vote(xpub) = &output.kind {
            w.varstr(xpub);
        }
        w.bytes(output.asset_id.as_bytes());
        w.varint(output.amount);
        w.varint(VM_VERSION);
        w.varstr(&output.control_program);
        w.varstr_list(&output.state_data);
    });
    w.count(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AssetId, Hash};

    fn spend() -> Transaction {
        let output = SpentOutput {
            source_id: Hash([7; 32]),
            asset_id: AssetId::BTM,
            amount: 300,
            source_position: 1,
            control_program: vec![0x51],
            state_data: Vec::new(),
            suffix: Vec::new(),
        };
        Transaction {
            version: 1,
            time_range: 0,
            inputs: vec![Input::from(InputKind::Spend(Spend {
                output,
                arguments: vec![vec![1]],
            }))],
            outputs: vec![Output::original(AssetId::BTM, 299, vec![0x51])],
        }
    }

    /// The bytes of a transaction with the byte at `at` replaced.
    fn with(transaction: &Transaction, at: usize, byte: u8) -> Vec<u8> {
        let mut bytes = transaction.encode();
        bytes[at] = byte;
        bytes
    }

    fn refusal(bytes: &[u8]) -> String {
        decode(bytes).unwrap_err().to_string()
    }

    #[test]
    fn refusals_name_the_place() {
        let spend = spend();
        assert_eq!(
            refusal(&with(&spend, 0, 0)),
            "unsupported serflags 0x0: a transaction starts with 0x7"
        );
        assert_eq!(
            refusal(&with(&spend, 4, 2)),
            "reading input 0: unsupported asset version 2, only 1 is known"
        );
        assert_eq!(
            refusal(&with(&spend, 6, 4)),
            "reading input 0: unsupported input type 4"
        );
        let vm_version = 8 + 32 + 32 + 2 + 1;
        assert_eq!(
            refusal(&with(&spend, vm_version, 2)),
            "reading input 0: unrecognized VM version 2 for asset version 1"
        );
        let output = spend.size() - 42;
        assert_eq!(
            refusal(&with(&spend, output, 0)),
            "reading output 0: unsupported asset version 0, only 1 is known"
        );
        assert_eq!(
            refusal(&with(&spend, output + 1, 2)),
            "reading output 0: unsupported output type 2"
        );
        assert_eq!(
            refusal(&spend.encode()[..50]),
            "reading input 0: reading input commitment: 29 more bytes wanted at byte 50, where the input ends"
        );
        assert_eq!(
            Transaction::from_hex("07zz").unwrap_err().to_string(),
            "the transaction is not hexadecimal: Invalid character 'z' at position 2"
        );
    }

    #[test]
    fn an_issuance_must_state_its_asset() {
        let issuance = Issuance {
            nonce: vec![1],
            amount: 5,
            asset_definition: b"{}".to_vec(),
            vm_version: 1,
            issuance_program: vec![0x51],
            arguments: Vec::new(),
        };
        let transaction = Transaction {
            version: 1,
            inputs: vec![Input::from(InputKind::Issuance(issuance))],
            ..Transaction::default()
        };
        assert_eq!(decode(&transaction.encode()), Ok(transaction.clone()));
        let error = refusal(&with(&transaction, 10, 0xee));
        assert!(
            error.starts_with("reading input 0: asset ID does not match other issuance parameters"),
            "{error}"
        );
    }

    #[test]
    fn what_an_output_witness_holds_is_dropped() {
        let spend = spend();
        let mut bytes = spend.encode();
        assert_eq!(bytes.pop(), Some(0));
        bytes.extend([3, 1, 2, 3]);
        assert_eq!(decode(&bytes), Ok(spend));
    }

    #[test]
    fn numbers_spelt_long_have_the_same_value() {
        let spend = spend();
        let mut bytes = spend.encode();
        // the version as 8100 in place of 01
        bytes.splice(1..2, [0x81, 0]);
        assert_eq!(decode(&bytes), Ok(spend));
    }
}
