//! The actions: what each is given, and what it adds to a transaction.

use baton_ledger::{
    AssetId, Hash, Input, InputKind, Output,
    asset::VM_VERSION,
    program,
    transaction::{Issuance, OutputKind},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    BuildError, Nonces,
    arguments::{self, Argument},
    assembly::{Assembly, witness_of},
};
use crate::{account::AccountName, asset::Issuer, path::KeyPath, select::Want, wallet::Wallet};

/// What a request may ask for.
#[derive(Debug, Clone)]
pub(super) enum Action {
    SpendAccount(SpendAccount),
    SpendOutput(SpendOutput),
    Issue(Issue),
    ControlAddress(ControlAddress),
    ControlProgram(ControlProgram),
    Retire(Retire),
    Register(Register),
    Vote(VoteOutput),
    Veto(Veto),
}

/// An amount of an asset. Absent fields are told as missing, all of them together.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Amount {
    #[serde(deserialize_with = "optional_asset::deserialize")]
    asset_id: Option<AssetId>,
    amount: u64,
}

macro_rules! action {
    ($name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? }) => {
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            #[serde(flatten)]
            pub(super) what: Amount,
            $($(#[$attr])* pub(super) $field: $type,)*
        }
    };
}

action!(SpendAccount {
    account_id: String,
    use_unconfirmed: bool
});
action!(Issue { arguments: Option<Vec<Argument>> });
action!(ControlAddress { address: String });
action!(ControlProgram { #[serde(with = "hex::serde")] control_program: Vec<u8> });
action!(Retire { #[serde(with = "hex::serde")] arbitrary: Vec<u8> });
action!(Register { #[serde(with = "hex::serde")] contract: Vec<u8> });
action!(VoteOutput { address: String, #[serde(with = "hex::serde")] vote: Vec<u8> });
action!(Veto {
    account_id: String,
    #[serde(with = "hex::serde")] vote: Vec<u8>,
    use_unconfirmed: bool,
});

/// Spends one output.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct SpendOutput {
    #[serde(deserialize_with = "optional_hash::deserialize")]
    output_id: Option<Hash>,
    use_unconfirmed: bool,
    arguments: Option<Vec<Argument>>,
}

/// Puts ids where an action has aliases.
pub(super) fn complete(
    wallet: &Wallet,
    mut action: Map<String, Value>,
    index: usize,
) -> Result<Map<String, Value>, BuildError> {
    let text = |action: &Map<String, Value>, field: &str| -> String {
        let value = action.get(field).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let alias = text(&action, "asset_alias");
    if text(&action, "asset_id").is_empty() && !alias.is_empty() {
        let asset = wallet
            .asset_by_alias(&alias)
            .map_err(|error| BuildError::from(error).of_action(index))?;
        action.insert("asset_id".to_owned(), asset.id.to_string().into());
    }
    let alias = text(&action, "account_alias");
    if text(&action, "account_id").is_empty() && !alias.is_empty() {
        let account = wallet
            .account(AccountName::Alias(&alias))
            .map_err(|error| BuildError::from(error).of_action(index))?;
        action.insert("account_id".to_owned(), account.id.into());
    }
    Ok(action)
}

fn kind(action: &Map<String, Value>, index: usize) -> Result<&str, BuildError> {
    let kind = action.get("type").and_then(Value::as_str);
    kind.ok_or(BuildError::NoType(index))
}

/// Whether all actions bring value.
pub(super) fn bring_only(actions: &[Map<String, Value>]) -> Result<bool, BuildError> {
    let mut all = true;
    for (index, action) in actions.iter().enumerate() {
        let kind = kind(action, index)?;
        all &= kind.starts_with("spend") || kind == "issue" || kind == "veto";
    }
    Ok(all)
}

/// Makes one of the spends of the same asset from the same account, at the place of the first.
pub(super) fn merge(actions: Vec<Action>) -> Result<Vec<Action>, BuildError> {
    let mut merged: Vec<Action> = Vec::new();
    for action in actions {
        if let Action::SpendAccount(spend) = &action {
            let same = merged.iter_mut().find_map(|other| match other {
                Action::SpendAccount(other)
                    if other.account_id == spend.account_id
                        && other.what.asset_id == spend.what.asset_id =>
                {
                    Some(other)
                }
                _ => None,
            });
            if let Some(same) = same {
                let sum = u128::from(same.what.amount) + u128::from(spend.what.amount);
                same.what.amount = u64::try_from(sum).map_err(|_| BuildError::Amount(sum))?;
                same.use_unconfirmed |= spend.use_unconfirmed;
                continue;
            }
        }
        merged.push(action);
    }
    Ok(merged)
}

impl Amount {
    /// The asset and the amount; or the names of all fields that are missing, with those `others` that are.
    fn given(&self, others: &[(&'static str, bool)]) -> Result<(AssetId, u64), BuildError> {
        let asset = self.asset_id.filter(|asset| !asset.is_zero());
        let fields = [("asset_id", asset.is_some()), ("amount", self.amount > 0)];
        let missing: Vec<_> = others
            .iter()
            .chain(&fields)
            .filter(|(_, given)| !given)
            .map(|(name, _)| *name)
            .collect();
        match asset {
            Some(asset) if missing.is_empty() => Ok((asset, self.amount)),
            _ => Err(BuildError::Missing(missing)),
        }
    }
}

impl SpendAccount {
    pub(super) fn given(&self) -> Result<(AssetId, u64), BuildError> {
        self.what
            .given(&[("account_id", !self.account_id.is_empty())])
    }
}

impl Action {
    pub(super) fn parse(action: Map<String, Value>, index: usize) -> Result<Self, BuildError> {
        let kind = kind(&action, index)?.to_owned();
        let fields = Value::Object(action);
        let parsed = match kind.as_str() {
            "spend_account" => SpendAccount::deserialize(fields).map(Self::SpendAccount),
            "spend_account_unspent_output" => {
                SpendOutput::deserialize(fields).map(Self::SpendOutput)
            }
            "issue" => Issue::deserialize(fields).map(Self::Issue),
            "control_address" => ControlAddress::deserialize(fields).map(Self::ControlAddress),
            "control_program" => ControlProgram::deserialize(fields).map(Self::ControlProgram),
            "retire" => Retire::deserialize(fields).map(Self::Retire),
            "register_contract" => Register::deserialize(fields).map(Self::Register),
            "vote_output" => VoteOutput::deserialize(fields).map(Self::Vote),
            "veto" => Veto::deserialize(fields).map(Self::Veto),
            _ => return Err(BuildError::UnknownType { kind, index }),
        };
        parsed.map_err(|source| BuildError::Malformed { index, source })
    }

    pub(super) fn add_to(
        &self,
        assembly: &mut Assembly<'_>,
        nonces: Nonces<'_>,
    ) -> Result<(), BuildError> {
        match self {
            Self::SpendAccount(action) => {
                let (asset, amount) = action.given()?;
                let want = Want {
                    account: &action.account_id,
                    asset,
                    amount,
                    vote: &[],
                    unconfirmed: action.use_unconfirmed,
                };
                spend(assembly, &want)
            }
            Self::Veto(action) => {
                let (asset, amount) = action.what.given(&[
                    ("account_id", !action.account_id.is_empty()),
                    ("vote", !action.vote.is_empty()),
                ])?;
                let want = Want {
                    account: &action.account_id,
                    asset,
                    amount,
                    vote: &action.vote,
                    unconfirmed: action.use_unconfirmed,
                };
                spend(assembly, &want)
            }
            Self::SpendOutput(action) => action.add_to(assembly),
            Self::Issue(action) => action.add_to(assembly, nonces),
            Self::ControlAddress(action) => {
                let address = ("address", !action.address.is_empty());
                let (asset, amount) = action.what.given(&[address])?;
                let program = assembly.program(&action.address)?;
                assembly.add_output(Output::original(asset, amount, program))
            }
            Self::ControlProgram(action) => {
                let program = ("control_program", !action.control_program.is_empty());
                let (asset, amount) = action.what.given(&[program])?;
                let program = action.control_program.clone();
                assembly.add_output(Output::original(asset, amount, program))
            }
            Self::Retire(action) => {
                let (asset, amount) = action.what.given(&[])?;
                let program = program::retire(&action.arbitrary);
                assembly.add_output(Output::original(asset, amount, program))
            }
            Self::Register(action) => action.add_to(assembly),
            Self::Vote(action) => {
                let (asset_id, amount) = action.what.given(&[
                    ("address", !action.address.is_empty()),
                    ("vote", !action.vote.is_empty()),
                ])?;
                let program = assembly.program(&action.address)?;
                assembly.add_output(Output {
                    kind: OutputKind::Vote(action.vote.clone()),
                    ..Output::original(asset_id, amount, program)
                })
            }
        }
    }
}

/// Adds the inputs that bring what is wanted, and what is over to the program of the first.
fn spend(assembly: &mut Assembly<'_>, want: &Want<'_>) -> Result<(), BuildError> {
    let account = assembly.account(want.account)?;
    let selected = assembly.reserve(want)?;
    for output in &selected.outputs {
        let witness = witness_of(&account, output)?;
        assembly.add_input(output.input(), witness)?;
    }
    match selected.outputs.first() {
        Some(first) if selected.change > 0 => assembly.add_output(Output::original(
            want.asset,
            selected.change,
            first.program.clone(),
        )),
        _ => Ok(()),
    }
}

impl SpendOutput {
    fn add_to(&self, assembly: &mut Assembly<'_>) -> Result<(), BuildError> {
        let id = self
            .output_id
            .ok_or(BuildError::Missing(vec!["output_id"]))?;
        let output = assembly.reserve_output(&id, self.use_unconfirmed)?;
        let witness = match &self.arguments {
            Some(arguments) => arguments::components(arguments)?,
            None => witness_of(&assembly.account(&output.account)?, &output)?,
        };
        assembly.add_input(output.input(), witness)
    }
}

impl Issue {
    fn add_to(&self, assembly: &mut Assembly<'_>, nonces: Nonces<'_>) -> Result<(), BuildError> {
        let asset_id = self.what.asset_id.filter(|asset| !asset.is_zero());
        let asset_id = asset_id.ok_or(BuildError::Missing(vec!["asset_id"]))?;
        let asset = assembly.wallet.asset(&asset_id)?;
        let witness = match (&asset.issuer, &self.arguments) {
            (Issuer::Native, _) => {
                let unknown = crate::WalletError::NoAsset(asset_id.to_string());
                return Err(unknown.into());
            }
            (
                Issuer::Keys {
                    xpubs,
                    quorum,
                    key_index,
                },
                _,
            ) => vec![crate::template::WitnessComponent::by(
                xpubs,
                &KeyPath::of_asset(*key_index),
                *quorum,
            )],
            (_, Some(arguments)) => arguments::components(arguments)?,
            (_, None) => Vec::new(),
        };
        let issuance = Issuance {
            nonce: nonces()?.to_vec(),
            amount: self.what.amount,
            asset_definition: asset.definition,
            vm_version: VM_VERSION,
            issuance_program: asset.issuance_program,
            arguments: Vec::new(),
        };
        assembly.add_input(Input::from(InputKind::Issuance(issuance)), witness)
    }
}

impl Register {
    fn add_to(&self, assembly: &mut Assembly<'_>) -> Result<(), BuildError> {
        let contract = ("contract", !self.contract.is_empty());
        let (asset, amount) = self.what.given(&[contract])?;
        if asset != AssetId::BTM {
            return Err(BuildError::RegisterAsset);
        }
        let wanted = assembly.wallet.params().min_contract_output_neu;
        if amount < wanted {
            return Err(BuildError::RegisterAmount { amount, wanted });
        }
        let program = program::register_contract(&self.contract);
        assembly.add_output(Output::original(asset, amount, program))
    }
}

macro_rules! optional_name {
    ($module:ident, $type:ty) => {
        /// A name; absent, `null` or empty is none.
        mod $module {
            use serde::{Deserialize, Deserializer, de::Error};

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<Option<$type>, D::Error> {
                let text = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty());
                text.map(|text| text.parse().map_err(Error::custom))
                    .transpose()
            }
        }
    };
}

optional_name!(optional_asset, baton_ledger::AssetId);
optional_name!(optional_hash, baton_ledger::Hash);
