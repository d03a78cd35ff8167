//! A transaction in words: its inputs and outputs with everything that follows from them.

use baton_ledger::{
    Address, AssetId, Entries, Hash, Transaction,
    address::Prefix,
    program,
    transaction::{InputKind, OutputKind},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::is_none_or_empty;
use crate::{
    account::Account,
    asset,
    error::WalletError,
    layout,
    receiver::Receiver,
    store::Draft,
    text::{as_text, hex_list},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotatedInput {
    pub r#type: String,
    #[serde(with = "as_text")]
    pub asset_id: AssetId,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub asset_alias: String,
    pub asset_definition: Value,
    pub amount: u64,
    #[serde(default, with = "hex::serde", skip_serializing_if = "Vec::is_empty")]
    pub issuance_program: Vec<u8>,
    #[serde(default, with = "hex::serde", skip_serializing_if = "Vec::is_empty")]
    pub control_program: Vec<u8>,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_output_id: Option<String>,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub account_id: String,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub account_alias: String,
    #[serde(default, with = "hex::serde", skip_serializing_if = "Vec::is_empty")]
    pub arbitrary: Vec<u8>,
    #[serde(with = "as_text")]
    pub input_id: Hash,
    pub witness_arguments: Option<Vec<String>>,
    #[serde(with = "as_text")]
    pub sign_data: Hash,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub vote: String,
    #[serde(default, with = "hex_list", skip_serializing_if = "Vec::is_empty")]
    pub state_data: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotatedOutput {
    pub r#type: String,
    #[serde(with = "as_text")]
    pub id: Hash,
    pub position: usize,
    #[serde(with = "as_text")]
    pub asset_id: AssetId,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub asset_alias: String,
    pub asset_definition: Value,
    pub amount: u64,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub account_id: String,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub account_alias: String,
    #[serde(with = "hex::serde")]
    pub control_program: Vec<u8>,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub address: String,
    #[serde(default, skip_serializing_if = "is_none_or_empty")]
    pub vote: String,
    #[serde(default, with = "hex_list", skip_serializing_if = "Vec::is_empty")]
    pub state_data: Vec<Vec<u8>>,
}

/// The answer to `decode-raw-transaction`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecodedTransaction {
    #[serde(with = "as_text")]
    pub tx_id: Hash,
    pub version: u64,
    pub size: usize,
    pub time_range: u64,
    pub inputs: Vec<AnnotatedInput>,
    pub outputs: Vec<AnnotatedOutput>,
    pub fee: u64,
}

impl DecodedTransaction {
    /// Says what a transaction is, without any wallet.
    pub fn of(transaction: &Transaction, prefix: Prefix) -> Self {
        let entries = Entries::of(transaction);
        Self {
            tx_id: entries.transaction_id,
            version: transaction.version,
            size: transaction.size(),
            time_range: transaction.time_range,
            inputs: AnnotatedInput::all(transaction, &entries, prefix),
            outputs: AnnotatedOutput::all(transaction, &entries, prefix),
            fee: transaction.fee_neu(),
        }
    }
}

impl AnnotatedInput {
    /// The inputs of a transaction, without names of assets and accounts.
    pub fn all(transaction: &Transaction, entries: &Entries, prefix: Prefix) -> Vec<Self> {
        (0..transaction.inputs.len())
            .map(|index| Self::of(transaction, entries, index, prefix))
            .collect()
    }

    fn of(transaction: &Transaction, entries: &Entries, index: usize, prefix: Prefix) -> Self {
        let input = &transaction.inputs[index];
        let entry = &entries.inputs[index];
        let mut definition = empty();
        let (mut arbitrary, mut vote, mut issuance_program) =
            (Vec::new(), String::new(), Vec::new());
        let kind = match &input.kind {
            InputKind::Issuance(issuance) => {
                issuance_program.clone_from(&issuance.issuance_program);
                if let Ok(value) = serde_json::from_slice(&issuance.asset_definition) {
                    definition = value;
                }
                "issue"
            }
            InputKind::Spend(_) => "spend",
            InputKind::Coinbase(coinbase) => {
                arbitrary.clone_from(&coinbase.arbitrary);
                "coinbase"
            }
            InputKind::Veto(veto) => {
                vote = hex::encode(&veto.vote);
                "veto"
            }
        };
        let control_program = input
            .spent_output()
            .map(|output| output.control_program.clone())
            .unwrap_or_default();
        let minted = kind == "coinbase";
        Self {
            r#type: kind.to_owned(),
            asset_id: input.asset_id(),
            asset_alias: String::new(),
            asset_definition: definition,
            amount: input.amount(),
            issuance_program,
            address: address(&control_program, prefix),
            control_program,
            spent_output_id: entry.spent_output_id.map(|id| id.to_string()),
            account_id: String::new(),
            account_alias: String::new(),
            arbitrary,
            input_id: entry.id,
            witness_arguments: input
                .arguments()
                .filter(|arguments| !arguments.is_empty())
                .map(|arguments| arguments.iter().map(hex::encode).collect()),
            sign_data: entries
                .signature_hash(index)
                .filter(|_| !minted)
                .unwrap_or_default(),
            vote,
            state_data: Vec::new(),
        }
    }

    /// Adds the names that the wallet has for the asset and the account.
    pub(super) fn name(&mut self, draft: &Draft<'_>) -> Result<(), WalletError> {
        (self.asset_alias, self.asset_definition) = asset_names(draft, &self.asset_id)?;
        if self.spent_output_id.is_some() {
            (self.account_id, self.account_alias) = account_names(draft, &self.control_program)?;
        }
        Ok(())
    }
}

impl AnnotatedOutput {
    /// The outputs of a transaction, without names of assets and accounts.
    pub fn all(transaction: &Transaction, entries: &Entries, prefix: Prefix) -> Vec<Self> {
        transaction
            .outputs
            .iter()
            .zip(&entries.outputs)
            .enumerate()
            .map(|(position, (output, entry))| {
                let retired = program::is_unspendable(&output.control_program);
                let (kind, vote) = match &output.kind {
                    _ if retired => ("retire", String::new()),
                    OutputKind::Original => ("control", String::new()),
                    OutputKind::Vote(vote) => ("vote", hex::encode(vote)),
                };
                Self {
                    r#type: kind.to_owned(),
                    id: entry.id,
                    position,
                    asset_id: output.asset_id,
                    asset_alias: String::new(),
                    asset_definition: empty(),
                    amount: output.amount,
                    account_id: String::new(),
                    account_alias: String::new(),
                    control_program: output.control_program.clone(),
                    address: address(&output.control_program, prefix),
                    vote,
                    state_data: if retired {
                        Vec::new()
                    } else {
                        output.state_data.clone()
                    },
                }
            })
            .collect()
    }

    /// Adds the names that the wallet has for the asset and the account.
    pub(super) fn name(&mut self, draft: &Draft<'_>) -> Result<(), WalletError> {
        (self.asset_alias, self.asset_definition) = asset_names(draft, &self.asset_id)?;
        (self.account_id, self.account_alias) = account_names(draft, &self.control_program)?;
        Ok(())
    }
}

/// The alias and definition of an asset; nothing and `null` if it is unknown.
fn asset_names(draft: &Draft<'_>, id: &AssetId) -> Result<(String, Value), WalletError> {
    Ok(asset::known(draft, id)?.map_or_else(
        || (String::new(), Value::Null),
        |asset| (asset.alias.clone(), asset.definition_json()),
    ))
}

/// The id and alias of the account that has a program; nothing if none has.
fn account_names(draft: &Draft<'_>, program: &[u8]) -> Result<(String, String), WalletError> {
    let Some(receiver) = draft.get::<Receiver>(&layout::receiver(program))? else {
        return Ok(Default::default());
    };
    let account: Option<Account> = draft.get(&layout::account(&receiver.account))?;
    Ok(account
        .map(|account| (account.id, account.alias))
        .unwrap_or_default())
}

fn address(program: &[u8], prefix: Prefix) -> String {
    Address::from_program(program)
        .map(|address| address.encode(prefix))
        .unwrap_or_default()
}

fn empty() -> Value {
    Value::Object(Map::new())
}
