//! Why a transaction was rejected, under the codes clients of Bytom know.

use crate::hash::{AssetId, Hash};
use crate::program::disassemble;
use crate::vm;

/// Why a transaction is not valid.
///
/// `Display` ends with the text that bytomd puts in `error_detail`; [`Rejection::code`] and [`Rejection::summary`] give
/// what it puts in `code` and `msg`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A block of version 1 holds transactions of version 1 only.
    #[error(
        "block version {block}, transaction version {transaction}: invalid transaction version"
    )]
    Version {
        /// The version of the block.
        block: u64,
        /// The version of the transaction.
        transaction: u64,
    },
    /// The encoding is longer than anything that is read.
    #[error("{size} bytes, more than the limit of {limit}: invalid transaction size")]
    Size {
        /// The length of the encoding in bytes.
        size: usize,
        /// The longest encoding in bytes.
        limit: usize,
    },
    /// The last height at which the transaction may be in a block has gone by.
    #[error("valid until height {last}, the block's is {height}: invalid transaction time range")]
    TimeRange {
        /// The last height.
        last: u64,
        /// The height of the block.
        height: u64,
    },
    /// Two inputs are the same.
    #[error("input {id} stands twice: got the double spend input")]
    DoubleSpend {
        /// The id of the input.
        id: Hash,
    },
    /// A coinbase input where there can be none.
    #[error("{fault}: wrong coinbase transaction")]
    Coinbase {
        /// What is wrong with it.
        fault: CoinbaseFault,
    },
    /// The arbitrary bytes of a coinbase are too many.
    #[error(
        "{len} bytes, more than the limit of {limit}: coinbase arbitrary size is larger than limit"
    )]
    CoinbaseArbitrary {
        /// How many bytes there are.
        len: usize,
        /// How many there may be.
        limit: usize,
    },
    /// There are no outputs.
    #[error("transaction has no results")]
    EmptyResults,
    /// An output is of an asset that no input brings.
    #[error(
        "mux destination {output}, asset {asset}, has no corresponding source: no source for value"
    )]
    NoSource {
        /// The number of the output.
        output: usize,
        /// Its asset.
        asset: AssetId,
    },
    /// An amount, or a sum of amounts, is 2^63 or more.
    #[error("adding up {asset} at {place}: arithmetic overflow/underflow")]
    Overflow {
        /// The asset.
        asset: AssetId,
        /// Where the limit is passed.
        place: Place,
    },
    /// More goes in than comes out, or less.
    #[error(
        "asset {asset} sources - destinations = {difference} (should be 0): unbalanced asset amount between input and output"
    )]
    Unbalanced {
        /// The asset.
        asset: AssetId,
        /// What goes in less what comes out.
        difference: i64,
    },
    /// The gas that is left does not pay for storage.
    #[error(
        "{left} gas left after a program, storage takes {storage}: all gas credit has been spend"
    )]
    GasCredit {
        /// The gas left.
        left: u64,
        /// The gas for storage.
        storage: u64,
    },
    /// More BTM comes out than goes in.
    #[error(
        "the outputs take {missing_neu} neu more than the inputs bring: gas usage calculate got a math error"
    )]
    NegativeFee {
        /// How much more, in neu.
        missing_neu: u64,
    },
    /// The fee does not pay for storage.
    #[error("{left} gas left, storage takes {storage}: gas usage calculate got a math error")]
    StorageGas {
        /// The gas left.
        left: u64,
        /// The gas for storage.
        storage: u64,
    },
    /// A vote is not for an extended public key.
    #[error("{len} bytes instead of 64: invalid public key of vote")]
    VoteKey {
        /// How many bytes the key has.
        len: usize,
    },
    /// A vote is of too little.
    #[error("{amount} neu, less than {least}: invalid vote amount")]
    VoteAmount {
        /// The amount.
        amount: u64,
        /// The least amount.
        least: u64,
    },
    /// A vote is not of BTM.
    #[error("{asset}: incorrect asset_id while checking vote asset")]
    VoteAsset {
        /// The asset.
        asset: AssetId,
    },
    /// The program of an input does not let the transaction pass.
    #[error("checking mux source {input}: {failure}")]
    Program {
        /// The number of the input.
        input: usize,
        /// How the program failed.
        failure: Box<ProgramFailure>,
    },
}

/// What is wrong with a coinbase input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoinbaseFault {
    /// Only the first transaction of a block is a coinbase.
    #[error("a coinbase outside of the first transaction of a block")]
    Place,
    /// A coinbase has no other inputs.
    #[error("a coinbase beside another input")]
    Company,
}

/// Where in a transaction a sum went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Place {
    /// At the input of this number.
    #[error("mux source {0}")]
    Input(usize),
    /// At the output of this number.
    #[error("mux destination {0}")]
    Output(usize),
}

/// A program that did not let a transaction pass, with what it ran on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramFailure {
    /// The program as it was executed.
    pub program: Vec<u8>,
    /// The arguments of the witness.
    pub arguments: Vec<Vec<u8>>,
    /// What went wrong.
    pub error: vm::Error,
}

impl std::fmt::Display for ProgramFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            program,
            arguments,
            error,
        } = self;
        let text = disassemble(program).unwrap_or_else(|_| "???".to_owned());
        let program = hex::encode(program);
        write!(f, "{error} [prog {program} = {text}; args")?;
        for argument in arguments {
            write!(f, " {}", hex::encode(argument))?;
        }
        write!(f, "]: {error}")
    }
}

/// The sentence of bytomd's API for failures without a code of their own.
pub(super) const NO_CODE: &str = "Bytom API Error";

impl Rejection {
    /// The number in the code of bytomd's API: 730 is `BTM730`; 0 where bytomd has no code of its own.
    ///
    /// Source: the table of bytomd v2's `api/errors.go`.
    pub fn code(&self) -> u16 {
        match self {
            Self::Version { .. } => 730,
            Self::Size { .. } => 731,
            Self::TimeRange { .. } => 732,
            Self::Coinbase { .. } => 734,
            Self::CoinbaseArbitrary { .. } => 736,
            Self::EmptyResults => 737,
            Self::NoSource { .. } => 743,
            Self::Overflow { .. } => 744,
            Self::Unbalanced { .. } => 746,
            Self::GasCredit { .. } => 747,
            Self::NegativeFee { .. } | Self::StorageGas { .. } => 748,
            Self::Program { failure, .. } => failure.error.code(),
            Self::DoubleSpend { .. }
            | Self::VoteKey { .. }
            | Self::VoteAmount { .. }
            | Self::VoteAsset { .. } => 0,
        }
    }

    /// The sentence bytomd's API gives with the code.
    pub fn summary(&self) -> &'static str {
        match self {
            Self::Version { .. } => "Invalid transaction version",
            Self::Size { .. } => "Invalid transaction size",
            Self::TimeRange { .. } => "Invalid transaction time range",
            Self::Coinbase { .. } => "Invalid coinbase transaction",
            Self::CoinbaseArbitrary { .. } => "Invalid coinbase arbitrary size",
            Self::EmptyResults => "No results in the transaction",
            Self::NoSource { .. } => "No source for value",
            Self::Overflow { .. } => "Arithmetic overflow/underflow",
            Self::Unbalanced { .. } => "Unbalanced asset amount between input and output",
            Self::GasCredit { .. } => "Gas credit has been spent",
            Self::NegativeFee { .. } | Self::StorageGas { .. } => {
                "Gas usage calculate got a math error"
            }
            Self::Program { failure, .. } => failure.error.summary(),
            Self::DoubleSpend { .. }
            | Self::VoteKey { .. }
            | Self::VoteAmount { .. }
            | Self::VoteAsset { .. } => NO_CODE,
        }
    }
}
