//! Building transactions from actions: JSON in, as clients send it, and a template out.
//!
//! A request lists actions that bring value (spend, issue, veto) and actions that take it. Outputs that are spent
//! are reserved for the time to live of the request; if anything fails, everything reserved for it is released.
//! What is over goes back to the program of the first output spent, as in bytomd. BTM that nobody takes is the fee.

mod action;
mod arguments;
mod assembly;
mod chain;
mod error;

use baton_ledger::Transaction;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use self::{action::Action, assembly::Assembly};
pub use self::{chain::MERGE_INPUTS, error::BuildError};
use crate::{template::Template, wallet::Wallet};

/// Most actions in a request.
pub const MAX_ACTIONS: usize = 1_000;
/// How long outputs are reserved if the request does not say.
pub const DEFAULT_TTL: SignedDuration = SignedDuration::from_mins(30);
/// How long outputs can be reserved.
pub const MAX_TTL: SignedDuration = SignedDuration::from_hours(24);

/// What `build-transaction` is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BuildRequest {
    /// A transaction to which inputs and outputs are added.
    #[serde(deserialize_with = "optional_transaction")]
    pub base_transaction: Option<Transaction>,
    /// What to add, each with its `type`.
    pub actions: Vec<Map<String, Value>>,
    /// How long outputs stay reserved: milliseconds, or a text such as `10m`. 0 for [`DEFAULT_TTL`].
    #[serde(deserialize_with = "ttl")]
    pub ttl: SignedDuration,
    /// The last height at which the transaction may be in a block; 0 for none.
    pub time_range: u64,
}

/// Makes the bytes that tell issues of the same amount apart.
type Nonces<'n> = &'n mut dyn FnMut() -> Result<[u8; 8], BuildError>;

impl Wallet {
    /// Builds a transaction. `now` is the beginning of its reservations' time.
    pub fn build(&self, request: &BuildRequest, now: Timestamp) -> Result<Template, BuildError> {
        self.build_with(request, now, &mut random)
    }

    /// Builds a transaction with nonces of the caller's choice.
    pub fn build_with(
        &self,
        request: &BuildRequest,
        now: Timestamp,
        nonces: Nonces<'_>,
    ) -> Result<Template, BuildError> {
        let actions = self.actions(request)?;
        let mut assembly = Assembly::new(self, request, now)?;
        for (index, action) in actions.iter().enumerate() {
            action
                .add_to(&mut assembly, nonces)
                .map_err(|error| error.of_action(index))?;
        }
        assembly.finish()
    }

    /// Builds a transaction that spends BTM of many outputs, and before it those that merge them, in order.
    pub fn build_chain(
        &self,
        request: &BuildRequest,
        now: Timestamp,
    ) -> Result<Vec<Template>, BuildError> {
        let actions = self.actions(request)?;
        let mut assembly = Assembly::new(self, request, now)?;
        let mut templates = Vec::new();
        for (index, action) in actions.iter().enumerate() {
            let added = match action {
                Action::SpendAccount(spend) => {
                    chain::spend(&mut assembly, spend).map(|mut merging| {
                        templates.append(&mut merging);
                    })
                }
                other => other.add_to(&mut assembly, &mut random),
            };
            added.map_err(|error| error.of_action(index))?;
        }
        templates.push(assembly.finish()?);
        Ok(templates)
    }

    /// The actions of a request, with ids for aliases, and spends of the same asset and account as one.
    fn actions(&self, request: &BuildRequest) -> Result<Vec<Action>, BuildError> {
        if request.actions.len() > MAX_ACTIONS {
            return Err(BuildError::TooManyActions(request.actions.len()));
        }
        let completed = request
            .actions
            .iter()
            .enumerate()
            .map(|(index, action)| action::complete(self, action.clone(), index))
            .collect::<Result<Vec<_>, _>>()?;
        if action::bring_only(&completed)? {
            return Err(BuildError::OnlyInputs);
        }
        let actions = completed
            .into_iter()
            .enumerate()
            .map(|(index, action)| Action::parse(action, index))
            .collect::<Result<Vec<_>, _>>()?;
        action::merge(actions)
    }
}

fn random() -> Result<[u8; 8], BuildError> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(BuildError::Random)?;
    Ok(nonce)
}

fn optional_transaction<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Transaction>, D::Error> {
    let text = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty());
    text.map(|text| Transaction::from_hex(&text).map_err(serde::de::Error::custom))
        .transpose()
}

/// Milliseconds, or a text of a number and a unit, as Go writes durations.
fn ttl<'de, D: Deserializer<'de>>(from: D) -> Result<SignedDuration, D::Error> {
    use serde::de::Error;
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Ttl {
        Millis(i64),
        Text(String),
    }
    match Option::<Ttl>::deserialize(from)? {
        None => Ok(SignedDuration::ZERO),
        Some(Ttl::Millis(millis)) => Ok(SignedDuration::from_millis(millis)),
        Some(Ttl::Text(text)) => text.parse().map_err(Error::custom),
    }
}
