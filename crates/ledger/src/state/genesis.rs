//! Where a chain of ours begins: what was decided, who owns what, and the block and state that follow from it.

use std::collections::BTreeSet;

use super::changes::Changes;
use super::coinbase::MIN_ARBITRARY_BYTES;
use super::election::signing_key;
use super::error::{ApplyError, StateError};
use super::memory::MemoryState;
use super::record::Validators;
use super::work::Work;
use super::{Tip, validators};
use crate::block::Block;
use crate::entry::Mapped;
use crate::genesis;
use crate::hash::{AssetId, Hash};
use crate::params::{Params, XPUB_LEN, Xpub};
use crate::transaction::{Coinbase, Input, InputKind, Output, OutputKind, Transaction};

/// The longest epoch, in blocks: it bounds how many are paid by one coinbase.
pub const MAX_EPOCH_BLOCKS: u64 = 10_000;
/// The most that may be given out at the beginning, in neu: leaves room below 2^63 for a long life of rewards.
pub const MAX_SUPPLY_NEU: u64 = 1 << 62;
/// The longest id of a chain, in bytes.
pub const MAX_CHAIN_ID_BYTES: usize = 64;

/// What the coinbase of a genesis block of ours begins with; the hash of the parameters follows.
const MESSAGE: &[u8] = b"Baton genesis 1 ";

/// Everything that the nodes of a chain must agree on before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    params: Params,
    transactions: Vec<Transaction>,
}

/// Why no chain can begin so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The id of the chain is empty or too long.
    #[error("a chain id of {0} bytes: 1 to {MAX_CHAIN_ID_BYTES} wanted")]
    ChainId(usize),
    /// There is nobody to validate.
    #[error("a federation of {0} members: 1 to {1} wanted, no more than validators")]
    Federation(usize, usize),
    /// A member of the federation has a key that cannot sign, or that of another.
    #[error("member {0} of the federation has no key to sign with, or that of another")]
    Member(usize),
    /// No number of signatures would do.
    #[error("a quorum of {quorum} of a federation of {members}")]
    Quorum {
        /// How many must sign.
        quorum: usize,
        /// How many there are.
        members: usize,
    },
    /// A number is out of its range.
    #[error("{name} is {value}: {least} to {most} wanted")]
    Number {
        /// What it is.
        name: &'static str,
        /// Its value.
        value: u64,
        /// The least it can be.
        least: u64,
        /// The most it can be.
        most: u64,
    },
    /// Nobody has anything to begin with, so that nobody can pay for gas.
    #[error("a genesis without outputs")]
    Outputs,
    /// An output of the genesis is not of BTM.
    #[error("output {0} of the genesis is not of BTM")]
    Asset(usize),
    /// An output of the genesis is a vote that is not valid.
    #[error("output {0} of the genesis is a vote for no extended public key or of too little")]
    Vote(usize),
    /// A message in the genesis is not good.
    #[error("the genesis block: {0}")]
    Block(String),
}

/// The beginning of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The block at height 0.
    pub block: Block,
    /// What the state holds after it.
    pub changes: Changes,
    /// The tip, with the first `AppHash`.
    pub tip: Tip,
    /// The validators of the first epoch.
    pub validators: Validators,
}

impl Genesis {
    /// The genesis of a chain that gives `outputs` (payments and votes of BTM) to begin with.
    ///
    /// [`Params::initial_supply_neu`] is set to their sum. The coinbase of the genesis block holds the
    /// [hash of the parameters](Params::hash), so that chains with other parameters have other genesis blocks.
    pub fn new(mut params: Params, outputs: Vec<Output>) -> Result<Self, GenesisError> {
        let amounts = outputs.iter().map(|output| u128::from(output.amount));
        params.initial_supply_neu = u64::try_from(amounts.sum::<u128>()).unwrap_or(u64::MAX);
        check(&params)?;
        if outputs.is_empty() {
            return Err(GenesisError::Outputs);
        }
        for (index, output) in outputs.iter().enumerate() {
            check_output(index, output, &params)?;
        }
        let arbitrary = [MESSAGE, params.hash().as_bytes()].concat();
        let supply = Transaction {
            version: 1,
            time_range: 0,
            inputs: vec![Input::from(InputKind::Coinbase(Coinbase { arbitrary }))],
            outputs,
        };
        Ok(Self {
            params,
            transactions: vec![supply],
        })
    }

    /// The genesis that a solonet of one node makes for itself: a block each second, rewarded in full whoever votes,
    /// and as much BTM as Bytom's for `program`.
    /// Fails if the node's key cannot sign.
    pub fn solonet(node: Xpub, program: Vec<u8>) -> Result<Self, GenesisError> {
        let params = Params {
            block_interval_ms: 1_000,
            reward_threshold_percent: 100,
            ..Params::solonet(vec![node])
        };
        let supply = Output::original(AssetId::BTM, genesis::BYTOM_SUPPLY_NEU, program);
        Self::new(params, vec![supply])
    }

    /// The genesis with the transactions, hence the genesis block, of all networks of Bytom v2.
    pub fn bytom(params: Params) -> Result<Self, GenesisError> {
        check(&params)?;
        Ok(Self {
            params,
            transactions: genesis::bytom_transactions(),
        })
    }

    /// What was decided.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The block at height 0.
    pub fn block(&self) -> Block {
        genesis::block(self.params.genesis_timestamp_ms, self.transactions.clone())
    }

    /// The block and the state that the chain begins with.
    pub fn start(&self) -> Result<Start, GenesisError> {
        let block = self.block();
        let nothing = Tip {
            height: 0,
            hash: Hash::ZERO,
            timestamp_ms: self.params.genesis_timestamp_ms,
            app_hash: Hash::ZERO,
        };
        let empty = MemoryState::new(&Changes::default(), nothing);
        let told = |error: ApplyError<_>| GenesisError::Block(error.to_string());
        let unread = |error: StateError<_>| GenesisError::Block(error.to_string());
        let mut work = Work::new(&empty, &self.params, 0).map_err(unread)?;
        work.found(block.hash());
        for (index, transaction) in self.transactions.iter().enumerate() {
            let mapped = Mapped::from(transaction.clone());
            work.make(index, &mapped).map_err(told)?;
        }
        let (changes, _) = work.finish().map_err(unread)?;
        let tip = Tip {
            hash: block.hash(),
            app_hash: changes.app_hash(Hash::ZERO, 0),
            ..nothing
        };
        let state = MemoryState::new(&changes, tip);
        let validators = validators(&state).map_err(unread)?;
        Ok(Start {
            block,
            changes,
            tip,
            validators,
        })
    }
}

fn check_output(index: usize, output: &Output, params: &Params) -> Result<(), GenesisError> {
    if output.asset_id != AssetId::BTM {
        return Err(GenesisError::Asset(index));
    }
    match &output.kind {
        OutputKind::Vote(key)
            if key.len() != XPUB_LEN || output.amount < params.min_vote_output_neu =>
        {
            Err(GenesisError::Vote(index))
        }
        OutputKind::Vote(_) | OutputKind::Original => Ok(()),
    }
}

fn check(params: &Params) -> Result<(), GenesisError> {
    let id = params.chain_id.len();
    if !(1..=MAX_CHAIN_ID_BYTES).contains(&id) {
        return Err(GenesisError::ChainId(id));
    }
    numbers(params)?;
    let members = params.federation.len();
    if members == 0 || members > params.max_validators {
        return Err(GenesisError::Federation(members, params.max_validators));
    }
    let mut seen = BTreeSet::new();
    for (index, xpub) in params.federation.iter().enumerate() {
        // one key with two chain codes would be two votes of one member
        if !signing_key(xpub).is_some_and(|key| seen.insert(key)) {
            return Err(GenesisError::Member(index));
        }
    }
    let quorum = params.quorum();
    if quorum > members {
        return Err(GenesisError::Quorum { quorum, members });
    }
    Ok(())
}

fn numbers(params: &Params) -> Result<(), GenesisError> {
    let wide = 1 << 53;
    for (name, value, least, most) in [
        ("epoch_blocks", params.epoch_blocks, 1, MAX_EPOCH_BLOCKS),
        ("max_validators", params.max_validators as u64, 1, 1_000),
        (
            "max_coinbase_arbitrary_bytes",
            params.max_coinbase_arbitrary_bytes as u64,
            MIN_ARBITRARY_BYTES,
            1 << 16,
        ),
        ("block_interval_ms", params.block_interval_ms, 1, 86_400_000),
        (
            "initial_supply_neu",
            params.initial_supply_neu,
            0,
            MAX_SUPPLY_NEU,
        ),
        ("block_reward_neu", params.block_reward_neu, 0, wide),
        ("gas_price_neu", params.gas_price_neu, 1, wide),
        ("max_transaction_gas", params.max_transaction_gas, 1, wide),
        ("max_block_gas", params.max_block_gas, 1, wide),
        ("genesis_timestamp_ms", params.genesis_timestamp_ms, 0, wide),
    ] {
        if !(least..=most).contains(&value) {
            return Err(GenesisError::Number {
                name,
                value,
                least,
                most,
            });
        }
    }
    Ok(())
}
