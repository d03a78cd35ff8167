//! Blocks on their way: proposed, decided, committed, read again.

use std::sync::Arc;

use baton_ledger::params::Xpub;
use baton_ledger::state::{Effects, Tip};
use baton_ledger::{Block, GasStatus, Hash, Header, Mapped};
use bytes::Bytes;

/// A block that may be proposed after the tip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: Hash,
    /// Its bytes: what is proposed and voted for.
    pub bytes: Bytes,
    /// How many transactions it has, with the coinbase.
    pub transactions: usize,
    /// The gas that they use.
    pub gas: u64,
}

/// A proposed block that is valid after the tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// The tip as it would be after it.
    pub tip: Tip,
    /// How many transactions it has, with the coinbase.
    pub transactions: usize,
    /// The gas that they use.
    pub gas: u64,
}

/// A block that validators have decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The block's bytes.
    pub bytes: Bytes,
    /// Who voted for it, as consensus encodes that.
    pub certificate: Bytes,
    /// The round in which it was decided.
    pub round: u32,
    /// Who proposed it.
    pub proposer: Xpub,
}

/// What a block that was committed did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The block as it is stored.
    pub block: Arc<StoredBlock>,
    /// The gas that each transaction used.
    pub gas: Vec<GasStatus>,
    /// What the node must act on.
    pub effects: Effects,
    /// The tip after it.
    pub tip: Tip,
}

impl Committed {
    /// The height of the block.
    pub fn height(&self) -> u64 {
        self.tip.height
    }

    /// The hash of the block.
    pub fn hash(&self) -> Hash {
        self.tip.hash
    }

    /// The time of the block, in milliseconds since 1970.
    pub fn timestamp_ms(&self) -> u64 {
        self.tip.timestamp_ms
    }

    /// Its transactions, the coinbase first.
    pub fn transactions(&self) -> &[Arc<Mapped>] {
        &self.block.transactions
    }
}

/// What is known of a stored block without its transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its hash.
    pub hash: Hash,
    /// Its header, with its height.
    pub header: Header,
    /// What all changes up to and with it hash to.
    pub app_hash: Hash,
    /// Who proposed it; nobody the genesis block.
    pub proposer: Option<Xpub>,
    /// The round in which it was decided.
    pub round: u32,
    /// The length of its bytes.
    pub size: usize,
    /// How many transactions it has.
    pub transactions: usize,
}

/// A block as it is stored, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Header, hash, proposer and more.
    pub head: Head,
    /// Its transactions with their ids, the coinbase first.
    pub transactions: Vec<Arc<Mapped>>,
    /// Its bytes.
    pub bytes: Bytes,
    /// Who voted for it, as consensus encodes that; empty for the genesis block.
    pub certificate: Bytes,
}

impl StoredBlock {
    /// Its height.
    pub fn height(&self) -> u64 {
        self.head.header.height
    }

    /// Its hash.
    pub fn hash(&self) -> Hash {
        self.head.hash
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.head.header
    }

    /// The ids of its transactions.
    pub fn transaction_ids(&self) -> Vec<Hash> {
        self.transactions.iter().map(|mapped| mapped.id()).collect()
    }

    /// A copy of it as the ledger has it.
    pub fn to_block(&self) -> Block {
        let transactions = self.transactions.iter();
        Block {
            header: self.head.header.clone(),
            transactions: transactions
                .map(|mapped| mapped.transaction().clone())
                .collect(),
        }
    }
}

/// What another node needs to follow: a decided block, not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Its height.
    pub height: u64,
    /// Its bytes.
    pub bytes: Bytes,
    /// Who voted for it, as consensus encodes that.
    pub certificate: Bytes,
    /// The round in which it was decided.
    pub round: u32,
    /// Who proposed it; nobody the genesis block.
    pub proposer: Option<Xpub>,
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// The height of its block.
    pub height: u64,
    /// Its number in the block.
    pub index: u32,
    /// The hash of its block.
    pub block_hash: Hash,
    /// The timestamp of its block, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// How many transactions the block has.
    pub transactions: usize,
}
