//! Why a transaction cannot be built, and the codes by which Bytom's clients know it.

use baton_ledger::{address::AddressError, codec::VARINT63_MAX};

use super::{MAX_ACTIONS, MAX_TTL};
use crate::{error::WalletError, select::SelectError};

/// Why a transaction cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An action failed.
    #[error("action index {index}: {source}")]
    Action {
        /// Its number.
        index: usize,
        /// Why.
        source: Box<BuildError>,
    },
    /// There are more than [`MAX_ACTIONS`] actions.
    #[error("a request has at most {MAX_ACTIONS} actions, this has {0}")]
    TooManyActions(usize),
    /// The action has no type.
    #[error("no action type provided on action {0}")]
    NoType(usize),
    /// The action has a type that is not known.
    #[error("unknown action type {kind:?} on action {index}")]
    UnknownType {
        /// The type.
        kind: String,
        /// The action's number.
        index: usize,
    },
    /// The action's fields are not what they should be.
    #[error("{source} on action {index}")]
    Malformed {
        /// The action's number.
        index: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Every action brings value and none takes it.
    #[error("transaction contains only input actions and no output actions")]
    OnlyInputs,
    /// Fields are missing.
    #[error("required field is missing: {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// An amount is more than 2^63 - 1.
    #[error("bad asset amount: {0} exceeds {VARINT63_MAX}")]
    Amount(u128),
    /// An argument of a contract has a type that is not known.
    #[error("invalid contract argument type {0:?}")]
    ArgumentType(String),
    /// An argument of a contract is not what its type says.
    #[error("contract argument of type {kind:?}: {source}")]
    Argument {
        /// The type.
        kind: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The time to live is negative or above [`MAX_TTL`].
    #[error("ttl must be between 0 and {} ms", MAX_TTL.as_millis())]
    Ttl,
    /// Outputs could not be had.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The wallet refused or failed.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The text is no address of the network.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Contracts are registered with BTM only.
    #[error("register contract action asset must be BTM")]
    RegisterAsset,
    /// Registering a contract takes more BTM.
    #[error("less than BCRP required BTM amount: {amount} neu, {wanted} wanted")]
    RegisterAmount {
        /// What was given, in neu.
        amount: u64,
        /// What it takes, in neu.
        wanted: u64,
    },
    /// Chains merge BTM only.
    #[error("spend chain action only support BTM")]
    ChainAsset,
    /// The outputs are worth less than merging them costs.
    #[error("merging outputs of {amount} neu would cost {cost} neu")]
    Dust {
        /// What they are worth, in neu.
        amount: u64,
        /// What merging costs, in neu.
        cost: u64,
    },
    /// The transaction would need more gas than any can have.
    #[error(
        "{inputs} inputs need about {gas} gas, and no transaction has more than {limit}: spend less at once, or merge outputs with build-chain-transactions"
    )]
    TooManyInputs {
        /// How many inputs it would have.
        inputs: usize,
        /// The gas they need.
        gas: u64,
        /// The most gas there can be.
        limit: u64,
    },
    /// The system gave no random bytes.
    #[error("could not draw random bytes from the system")]
    Random(#[source] getrandom::Error),
}

impl BuildError {
    pub(super) fn of_action(self, index: usize) -> Self {
        Self::Action {
            index,
            source: Box::new(self),
        }
    }

    /// The code of the answer; `BTM000` is the one of faults without their own.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Action { source, .. } => source.code(),
            Self::NoType(_) | Self::UnknownType { .. } => "BTM704",
            Self::Malformed { .. } => "BTM705",
            Self::OnlyInputs | Self::TooManyActions(_) | Self::TooManyInputs { .. } => "BTM706",
            Self::Missing(_) => "BTM707",
            Self::Amount(_) => "BTM708",
            Self::ArgumentType(_) => "BTM711",
            Self::Select(error) => error.code(),
            Self::Wallet(error) => error.code(),
            Self::Dust { .. } => "BTM700",
            _ => "BTM000",
        }
    }
}
