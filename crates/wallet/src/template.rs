//! Templates: a transaction with directions for signing it. In JSON as bytomd's, so that either signs the other's.
//!
//! For each input that needs a witness there is an instruction: the components of the witness in order, either data
//! that is there already, or signatures by a quorum of keys, each with the path from its root.

use baton_ledger::Transaction;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{chainkd::XPub, path::KeyPath};

/// A transaction and how to sign it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// The transaction, with the witnesses made so far.
    #[serde(with = "raw")]
    pub raw_transaction: Transaction,
    /// One for each input that is to be signed.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub signing_instructions: Vec<SigningInstruction>,
    /// What it pays, in neu.
    #[serde(default)]
    pub fee: u64,
    /// Always false: signatures are of the whole transaction.
    #[serde(default)]
    pub allow_additional_actions: bool,
}

/// How to make the witness of one input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningInstruction {
    /// The input's number.
    pub position: usize,
    /// What the witness is made of, in order.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_empty"
    )]
    pub witness_components: Vec<WitnessComponent>,
}

/// A part of a witness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WitnessComponent {
    /// Signatures of the transaction.
    RawTxSignature {
        /// How many are wanted.
        quorum: usize,
        /// Who may sign, in the order in which signatures go into the witness.
        keys: Vec<KeyId>,
        /// For each key its signature, empty where there is none; `None` before the first attempt.
        #[serde(default, with = "signatures")]
        signatures: Option<Vec<Vec<u8>>>,
    },
    /// Something known beforehand: a public key, a script, an argument.
    Data {
        /// It.
        #[serde(with = "hex::serde")]
        value: Vec<u8>,
    },
}

/// A key that can sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyId {
    /// The root key.
    pub xpub: XPub,
    /// The way from there.
    pub derivation_path: KeyPath,
}

impl WitnessComponent {
    /// Signatures by a quorum of these root keys, all on the same path.
    pub fn by(xpubs: &[XPub], path: &KeyPath, quorum: usize) -> Self {
        let keys = xpubs.iter().map(|xpub| KeyId {
            xpub: *xpub,
            derivation_path: path.clone(),
        });
        Self::RawTxSignature {
            quorum,
            keys: keys.collect(),
            signatures: None,
        }
    }
}

fn null_is_empty<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

mod raw {
    use baton_ledger::Transaction;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        transaction: &Transaction,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&transaction.to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Transaction, D::Error> {
        Transaction::from_hex(&String::deserialize(from)?).map_err(Error::custom)
    }
}

mod signatures {
    use serde::{Deserializer, Serialize, Serializer};

    use crate::text::hex_list;

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        list: &Option<Vec<Vec<u8>>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match list {
            Some(list) => hex_list::serialize(list, to),
            None => None::<()>.serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Vec<Vec<u8>>>, D::Error> {
        let list = hex_list::deserialize(from)?;
        Ok((!list.is_empty()).then_some(list))
    }
}
