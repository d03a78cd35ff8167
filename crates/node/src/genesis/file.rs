//! The JSON of a genesis, field by field.

use std::fmt;

use baton_ledger::address::Prefix;
use baton_ledger::params::{VoteLock, XPUB_LEN, Xpub};
use baton_ledger::{Address, AssetId, Genesis, Output, OutputKind, Params};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The only format there is.
const FORMAT: u64 = 1;

/// A whole `genesis.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    format: u64,
    chain_id: String,
    address_prefix: String,
    federation: Vec<Key>,
    federation_quorum: usize,
    params: Numbers,
    outputs: Vec<Given>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) block_hash: Option<Hash>,
}

/// The numbers of [`Params`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    genesis_timestamp_ms: u64,
    block_interval_ms: u64,
    max_time_offset_ms: u64,
    epoch_blocks: u64,
    max_validators: usize,
    min_validator_vote_neu: u64,
    min_vote_output_neu: u64,
    vote_locks: Vec<Lock>,
    block_reward_neu: u64,
    reward_threshold_percent: u64,
    coinbase_maturity_blocks: u64,
    max_coinbase_arbitrary_bytes: usize,
    gas_price_neu: u64,
    storage_gas_per_byte: u64,
    max_transaction_gas: u64,
    max_block_gas: u64,
    min_contract_output_neu: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    from_height: u64,
    blocks: u64,
}

/// What somebody has to begin with.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vote: Option<Key>,
    amount_neu: u64,
}

impl File {
    pub(super) fn of(genesis: &Genesis) -> Self {
        let params = genesis.params();
        let block = genesis.block();
        let outputs = block.transactions.iter().flat_map(|one| &one.outputs);
        Self {
            format: FORMAT,
            chain_id: params.chain_id.clone(),
            address_prefix: params.prefix.to_string(),
            federation: params.federation.iter().copied().map(Key).collect(),
            federation_quorum: params.federation_quorum,
            params: Numbers::of(params),
            outputs: outputs
                .map(|output| Given::of(output, params.prefix))
                .collect(),
            block_hash: Some(Hash(block.hash())),
        }
    }

    /// The genesis; what is wrong is told with its field.
    pub(super) fn genesis(self) -> Result<Genesis, String> {
        if self.format != FORMAT {
            return Err(format!(
                "format {}, of which this node knows nothing; it reads format {FORMAT}",
                self.format
            ));
        }
        let prefix: Prefix = self
            .address_prefix
            .parse()
            .map_err(|error: baton_ledger::address::PrefixError| error.to_string())?;
        let federation = self.federation.into_iter().map(|key| key.0).collect();
        let mut params = self.params.params(self.chain_id, prefix, federation);
        params.federation_quorum = self.federation_quorum;
        let mut outputs = Vec::new();
        for (index, given) in self.outputs.into_iter().enumerate() {
            let output = given
                .output(prefix)
                .map_err(|what| format!("output {index}: {what}"))?;
            outputs.push(output);
        }
        Genesis::new(params, outputs).map_err(|error| error.to_string())
    }
}

impl Numbers {
    fn of(params: &Params) -> Self {
        let lock = |lock: &VoteLock| Lock {
            from_height: lock.from_height,
            blocks: lock.blocks,
        };
        Self {
            genesis_timestamp_ms: params.genesis_timestamp_ms,
            block_interval_ms: params.block_interval_ms,
            max_time_offset_ms: params.max_time_offset_ms,
            epoch_blocks: params.epoch_blocks,
            max_validators: params.max_validators,
            min_validator_vote_neu: params.min_validator_vote_neu,
            min_vote_output_neu: params.min_vote_output_neu,
            vote_locks: params.vote_locks.iter().map(lock).collect(),
            block_reward_neu: params.block_reward_neu,
            reward_threshold_percent: params.reward_threshold_percent,
            coinbase_maturity_blocks: params.coinbase_maturity_blocks,
            max_coinbase_arbitrary_bytes: params.max_coinbase_arbitrary_bytes,
            gas_price_neu: params.gas_price_neu,
            storage_gas_per_byte: params.storage_gas_per_byte,
            max_transaction_gas: params.max_transaction_gas,
            max_block_gas: params.max_block_gas,
            min_contract_output_neu: params.min_contract_output_neu,
        }
    }

    fn params(self, chain_id: String, prefix: Prefix, federation: Vec<Xpub>) -> Params {
        let lock = |lock: Lock| VoteLock {
            from_height: lock.from_height,
            blocks: lock.blocks,
        };
        Params {
            chain_id,
            prefix,
            genesis_timestamp_ms: self.genesis_timestamp_ms,
            block_interval_ms: self.block_interval_ms,
            max_time_offset_ms: self.max_time_offset_ms,
            epoch_blocks: self.epoch_blocks,
            max_validators: self.max_validators,
            min_validator_vote_neu: self.min_validator_vote_neu,
            min_vote_output_neu: self.min_vote_output_neu,
            vote_locks: self.vote_locks.into_iter().map(lock).collect(),
            block_reward_neu: self.block_reward_neu,
            reward_threshold_percent: self.reward_threshold_percent,
            coinbase_maturity_blocks: self.coinbase_maturity_blocks,
            max_coinbase_arbitrary_bytes: self.max_coinbase_arbitrary_bytes,
            gas_price_neu: self.gas_price_neu,
            storage_gas_per_byte: self.storage_gas_per_byte,
            max_transaction_gas: self.max_transaction_gas,
            max_block_gas: self.max_block_gas,
            min_contract_output_neu: self.min_contract_output_neu,
            // the supply is the sum of the outputs
            ..Params::solonet(federation)
        }
    }
}

impl Given {
    fn of(output: &Output, prefix: Prefix) -> Self {
        let address = Address::from_program(&output.control_program);
        Self {
            program: match address {
                Some(_) => None,
                None => Some(hex::encode(&output.control_program)),
            },
            address: address.map(|address| address.encode(prefix)),
            vote: match &output.kind {
                OutputKind::Vote(key) => key.as_slice().try_into().ok().map(Key),
                OutputKind::Original => None,
            },
            amount_neu: output.amount,
        }
    }

    fn output(self, prefix: Prefix) -> Result<Output, String> {
        let program = match (self.address, self.program) {
            (Some(address), None) => Address::decode(&address, prefix)
                .map_err(|error| error.to_string())?
                .program(),
            (None, Some(program)) => {
                hex::decode(&program).map_err(|error| format!("program {program:?}: {error}"))?
            }
            _ => return Err("either an address or a program is wanted".to_owned()),
        };
        let mut output = Output::original(AssetId::BTM, self.amount_neu, program);
        if let Some(key) = self.vote {
            output.kind = OutputKind::Vote(key.0.to_vec());
        }
        Ok(output)
    }
}

/// An extended public key, as hexadecimal digits.
struct Key(Xpub);

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut key = [0; XPUB_LEN];
        hex::decode_to_slice(&text, &mut key)
            .map_err(|error| bad("the key of a member of the federation or of a vote", &error))?;
        Ok(Self(key))
    }
}

/// A hash, as hexadecimal digits.
#[derive(Clone, Copy)]
pub(super) struct Hash(pub(super) baton_ledger::Hash);

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse()
            .map(Self)
            .map_err(|error| bad("block_hash", &error))
    }
}

fn bad<E: serde::de::Error>(what: &str, error: &dyn fmt::Display) -> E {
    E::custom(format_args!("{what}: {error}"))
}
