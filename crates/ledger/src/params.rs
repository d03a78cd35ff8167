//! What a network has decided: the numbers that the rules of the ledger are filled in with.
//!
//! The defaults are those of bytomd v2.0.6 (`consensus/general.go`), which has three networks; a genesis may change
//! any of them. Amounts are in neu (10^8 neu are 1 BTM), times in milliseconds, gas in units of gas.

use sha3::{Digest, Sha3_256};

use crate::address::Prefix;
use crate::codec::Writer;
use crate::genesis;
use crate::hash::Hash;

/// The length of an extended public key, in bytes: an ed25519 key and a chain code (chainkd).
pub const XPUB_LEN: usize = 64;

/// An extended public key, which names a validator.
pub type Xpub = [u8; XPUB_LEN];

/// The parameters of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// The name of the network in `chain_id`.
    pub chain_id: String,
    /// What its addresses begin with.
    pub prefix: Prefix,
    /// The timestamp of the genesis block, in milliseconds since 1970.
    pub genesis_timestamp_ms: u64,

    /// The least time from one block to the next, in milliseconds.
    pub block_interval_ms: u64,
    /// How far a block's timestamp may be ahead of the clock, in milliseconds.
    pub max_time_offset_ms: u64,

    /// How many blocks an epoch has; the validators change with the epoch.
    pub epoch_blocks: u64,
    /// How many validators there are at most; those with the most votes. A sup link has room for
    /// [`crate::block::SUP_LINK_SIGNATURES`].
    pub max_validators: usize,
    /// The votes that a validator must have, in neu.
    pub min_validator_vote_neu: u64,
    /// The validators when nobody has enough votes.
    pub federation: Vec<Xpub>,
    /// How many members of the federation must sign an [upgrade plan](crate::upgrade); 0 for more than two thirds.
    pub federation_quorum: usize,
    /// The least amount of a vote output, in neu.
    pub min_vote_output_neu: u64,
    /// How long votes are locked; each from its height on, in ascending order.
    pub vote_locks: Vec<VoteLock>,

    /// What a validator gets for a block at most, in neu; see [`Self::reward_neu`].
    pub block_reward_neu: u64,
    /// What of [`Self::block_reward_neu`] is paid when nobody votes, in percent: 50 in bytomd; with 100 votes change
    /// nothing.
    pub reward_threshold_percent: u64,
    /// The BTM there is before any block is rewarded, in neu.
    pub initial_supply_neu: u64,
    /// An output of a coinbase may be spent by the block this many blocks later.
    pub coinbase_maturity_blocks: u64,
    /// The most bytes that a coinbase may have as arbitrary data.
    pub max_coinbase_arbitrary_bytes: usize,

    /// What a unit of gas costs, in neu: a transaction has its fee divided by this as gas.
    pub gas_price_neu: u64,
    /// The gas that each byte of a transaction costs.
    pub storage_gas_per_byte: u64,
    /// The most gas that a transaction can have, whatever its fee.
    pub max_transaction_gas: u64,
    /// The most gas that the transactions of a block may use together.
    pub max_block_gas: u64,

    /// The least amount of the output that registers a contract, in neu.
    pub min_contract_output_neu: u64,
}

/// From some height on, how long a vote is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoteLock {
    /// The height of the block that takes a vote back from which on this holds.
    pub from_height: u64,
    /// A vote may be taken back by the block this many blocks later.
    pub blocks: u64,
}

/// The federation of bytomd's main network.
const MAINNET_FEDERATION: [&str; 4] = [
    "f9003633ccbd8cc37e034f4dbe70d9fae980d437948d8cb908d0cab7909780d74a324b4decb5dfcd43fbc6b896ac066b7e02c733a1537360e933278a101a850c",
    "d301fee5d4ba7eb5b9d41ca13ec56c19daceb5f6b752d91d49777fd1fc7c45891e5773cafb3b6d6ab764ef2794e8ba953c8bdb9dc77a3af51e979f96885f96b2",
    "2ba14bdd29fd84c73f67d6025d2a98292dbdd46b90a2af29c8669dd88dacb1cec62a3e9448d8b731a448f0454b0aa367748659d6c01ad7125d395ffda972da54",
    "1313379b05c38ff2d171d512f23f199f0f068a67d77b9d5b6db040f2da1edc0c35c68a21b068956f448fed6441b9c27294f1ca6aaedc2c580de322f3f0260c1f",
];

/// The federation of bytomd's test network.
const WISDOM_FEDERATION: [&str; 4] = [
    "7732fac62320799ff5e4eec1dc4ba7b07dc0e5a647850bf0bc34cb9aca195a05a1118b57d377947d7936156c831c87b700ed945a82cae63aff14905beb39d001",
    "08543fef8c3ca27483954f80eee6d461c307b6aa564aafaf235a4bd2740debbc71b14af78715c94cbc1d16fa84da97a3eabc5b21f003ab49882e4af7f9f00bbd",
    "0dd00fe3880c1cb5d5b0b5d03993c004e7fbe3697a47ff60c3bc12950bead964843dfe45b2bab5d01ae32fb23a4b0460049e822d7787a9a15b76d8bb9dfcec74",
    "b0584ecaefc02d3c367f280e128ec310c9f9198d44cd76b6726cd6c06c002770a1a7dc069ddd06f7a821a176931573d40e63b015ce88b6de01a61205d719567f",
];

fn xpubs(texts: &[&str]) -> Vec<Xpub> {
    let parse = |text: &&str| {
        let mut xpub = [0; XPUB_LEN];
        hex::decode_to_slice(text, &mut xpub).expect("the constants are 128 digits");
        xpub
    };
    texts.iter().map(parse).collect()
}

impl Params {
    /// Bytom v2's main network, `mainnet`.
    pub fn mainnet() -> Self {
        Self {
            chain_id: "mainnet".to_owned(),
            prefix: Prefix::MAINNET,
            genesis_timestamp_ms: 1_524_549_600_000,
            max_time_offset_ms: 3_000,
            min_validator_vote_neu: 100_000_000_000_000,
            federation: xpubs(&MAINNET_FEDERATION),
            vote_locks: vec![
                VoteLock {
                    from_height: 0,
                    blocks: 14_400,
                },
                VoteLock {
                    from_height: 432_000,
                    blocks: 302_400,
                },
            ],
            ..Self::solonet(Vec::new())
        }
    }

    /// Bytom v2's test network, `wisdom`.
    pub fn wisdom() -> Self {
        Self {
            chain_id: "wisdom".to_owned(),
            prefix: Prefix::WISDOM,
            max_time_offset_ms: 3_000,
            federation: xpubs(&WISDOM_FEDERATION),
            ..Self::solonet(Vec::new())
        }
    }

    /// A network of its own, `solonet`, as bytomd makes it: the `federation` is the node itself.
    pub fn solonet(federation: Vec<Xpub>) -> Self {
        Self {
            chain_id: "solonet".to_owned(),
            prefix: Prefix::SOLONET,
            genesis_timestamp_ms: 1_528_945_000_000,
            block_interval_ms: 6_000,
            max_time_offset_ms: 24_000,
            epoch_blocks: 100,
            max_validators: 10,
            min_validator_vote_neu: 100_000_000,
            federation,
            federation_quorum: 0,
            min_vote_output_neu: 100_000_000,
            vote_locks: vec![VoteLock {
                from_height: 0,
                blocks: 10,
            }],
            block_reward_neu: 570_776_255,
            reward_threshold_percent: 50,
            initial_supply_neu: genesis::BYTOM_SUPPLY_NEU,
            coinbase_maturity_blocks: 10,
            max_coinbase_arbitrary_bytes: 128,
            gas_price_neu: 200,
            storage_gas_per_byte: 1,
            max_transaction_gas: 300_000,
            max_block_gas: 10_000_000,
            min_contract_output_neu: 100_000_000,
        }
    }

    /// How many members of the federation must sign an upgrade plan.
    pub fn quorum(&self) -> usize {
        match self.federation_quorum {
            0 => self.federation.len() * 2 / 3 + 1,
            quorum => quorum,
        }
    }

    /// What the proposer of the block at `height` gets besides the fees, in neu, with `votes_neu` of all votes.
    ///
    /// Let p be votes divided by supply, and the supply [`Self::initial_supply_neu`] and half of
    /// [`Self::block_reward_neu`] for each block. The reward is (p + threshold) of the most it can be, rounded down, and
    /// never more than that. (bytomd v2, `protocol/state/reward.go`, in floating point.)
    pub fn reward_neu(&self, height: u64, votes_neu: u64) -> u64 {
        let most = u128::from(self.block_reward_neu);
        let minted = u128::from(height) * most / 2;
        let supply = minted.saturating_add(self.initial_supply_neu.into()).max(1);
        let share = supply
            .saturating_mul(self.reward_threshold_percent.into())
            .saturating_add(u128::from(votes_neu) * 100);
        let whole = supply.saturating_mul(100);
        let reward = if share >= whole {
            most
        } else {
            most.saturating_mul(share) / whole
        };
        u64::try_from(reward).unwrap_or(self.block_reward_neu)
    }

    /// SHA3-256 of everything that was decided, so that nodes with other parameters differ from the genesis on.
    ///
    /// Hashed are: the chain's id and the prefix (varstrs), then all numbers in the order of the fields (varints), lists
    /// with their count.
    pub fn hash(&self) -> Hash {
        let mut hasher = Sha3_256::new();
        let mut w = Writer::new(&mut hasher);
        w.varstr(self.chain_id.as_bytes());
        w.varstr(self.prefix.to_string().as_bytes());
        w.varint(self.genesis_timestamp_ms);
        w.varint(self.block_interval_ms);
        w.varint(self.max_time_offset_ms);
        w.varint(self.epoch_blocks);
        w.count(self.max_validators);
        w.varint(self.min_validator_vote_neu);
        w.count(self.federation.len());
        for xpub in &self.federation {
            w.bytes(xpub);
        }
        w.count(self.federation_quorum);
        w.varint(self.min_vote_output_neu);
        w.count(self.vote_locks.len());
        for lock in &self.vote_locks {
            w.varint(lock.from_height);
            w.varint(lock.blocks);
        }
        w.varint(self.block_reward_neu);
        w.varint(self.reward_threshold_percent);
        w.varint(self.initial_supply_neu);
        w.varint(self.coinbase_maturity_blocks);
        w.count(self.max_coinbase_arbitrary_bytes);
        w.varint(self.gas_price_neu);
        w.varint(self.storage_gas_per_byte);
        w.varint(self.max_transaction_gas);
        w.varint(self.max_block_gas);
        w.varint(self.min_contract_output_neu);
        Hash(hasher.finalize().into())
    }

    /// How many blocks a vote is locked if the block at `height` takes it back.
    pub fn vote_lock_blocks(&self, height: u64) -> u64 {
        let locks = self.vote_locks.iter().rev();
        locks
            .filter(|lock| lock.from_height <= height)
            .map(|lock| lock.blocks)
            .next()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_are_locked_longer_later() {
        let mainnet = Params::mainnet();
        assert_eq!(mainnet.vote_lock_blocks(0), 14_400);
        assert_eq!(mainnet.vote_lock_blocks(431_999), 14_400);
        assert_eq!(mainnet.vote_lock_blocks(432_000), 302_400);
        assert_eq!(Params::wisdom().vote_lock_blocks(u64::MAX), 10);
    }

    #[test]
    fn rewards_grow_with_votes() {
        let solonet = Params::solonet(vec![[1; 64]; 3]);
        assert_eq!(solonet.reward_neu(1, 0), 285_388_127);
        let supply = solonet.initial_supply_neu;
        assert_eq!(solonet.reward_neu(0, supply / 4), 428_082_191);
        for votes in [supply / 2, supply, u64::MAX] {
            assert_eq!(solonet.reward_neu(0, votes), 570_776_255);
        }
        let flat = Params {
            reward_threshold_percent: 100,
            ..solonet.clone()
        };
        assert_eq!(flat.reward_neu(7, 0), 570_776_255);
        let absurd = Params {
            block_reward_neu: u64::MAX,
            initial_supply_neu: u64::MAX,
            reward_threshold_percent: u64::MAX,
            ..solonet.clone()
        };
        assert_eq!(absurd.reward_neu(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(solonet.quorum(), 3);
    }

    #[test]
    fn other_parameters_have_another_hash() {
        let solonet = Params::solonet(vec![[1; 64]]);
        assert_eq!(solonet.hash(), solonet.clone().hash());
        let other = Params {
            min_contract_output_neu: 1,
            ..solonet.clone()
        };
        assert_ne!(solonet.hash(), other.hash());
        assert_ne!(solonet.hash(), Params::wisdom().hash());
    }

    #[test]
    fn federations_are_whole() {
        for params in [Params::mainnet(), Params::wisdom()] {
            assert_eq!(params.federation.len(), 4, "{}", params.chain_id);
        }
    }
}
