//! Arguments of contracts, as requests give them.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::BuildError;
use crate::{chainkd::XPub, path::KeyPath, template::WitnessComponent};

/// An argument: its type, and what the type wants.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Argument {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    raw_data: Value,
}

#[derive(Deserialize)]
struct Signer {
    xpub: XPub,
    #[serde(default)]
    derivation_path: KeyPath,
}

#[derive(Deserialize)]
struct Bytes {
    #[serde(with = "hex::serde")]
    value: Vec<u8>,
}

#[derive(Deserialize)]
struct Of<T> {
    value: T,
}

/// The components of the witness that the arguments make, in order.
pub(super) fn components(arguments: &[Argument]) -> Result<Vec<WitnessComponent>, BuildError> {
    arguments.iter().map(component).collect()
}

fn component(argument: &Argument) -> Result<WitnessComponent, BuildError> {
    let data = match argument.r#type.as_str() {
        "raw_tx_signature" => {
            let signer: Signer = read(argument)?;
            return Ok(WitnessComponent::by(
                &[signer.xpub],
                &signer.derivation_path,
                1,
            ));
        }
        "data" => read::<Bytes>(argument)?.value,
        "string" => read::<Of<String>>(argument)?.value.into_bytes(),
        "integer" => number(read::<Of<u64>>(argument)?.value),
        "boolean" if read::<Of<bool>>(argument)?.value => vec![1],
        "boolean" => Vec::new(),
        other => return Err(BuildError::ArgumentType(other.to_owned())),
    };
    Ok(WitnessComponent::Data { value: data })
}

fn read<T: DeserializeOwned>(argument: &Argument) -> Result<T, BuildError> {
    T::deserialize(&argument.raw_data).map_err(|source| BuildError::Argument {
        kind: argument.r#type.clone(),
        source,
    })
}

/// A number as the virtual machine has it: least byte first, no zeros at the end.
fn number(number: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}
