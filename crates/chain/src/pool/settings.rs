//! The limits of a pool.

use std::time::Duration;

use baton_ledger::validate::DEFAULT_MAX_FEE_NEU;

/// What a pool takes, and how long it keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// How many transactions it holds at most, besides orphans.
    pub max_transactions: usize,
    /// How many bytes their encodings may have together. They take about seven times as much memory.
    pub max_bytes: usize,
    /// How long a transaction waits for a block.
    pub lifetime: Duration,
    /// How many orphans it holds at most: transactions that spend outputs it does not know yet.
    pub max_orphans: usize,
    /// How many bytes the encodings of orphans may have together.
    pub max_orphan_bytes: usize,
    /// How long an orphan waits for its parents.
    pub orphan_lifetime: Duration,
    /// The most that a transaction submitted to this node may pay, in neu.
    pub max_fee_neu: u64,
}

impl Default for PoolSettings {
    /// 50 000 transactions (five seconds of ten thousand each) of 32 MiB for a day, 2 000 orphans of 4 MiB for ten
    /// minutes, fees up to 10 BTM. bytomd holds 10 000.
    fn default() -> Self {
        Self {
            max_transactions: 50_000,
            max_bytes: 32 << 20,
            lifetime: Duration::from_hours(24),
            max_orphans: 2_000,
            max_orphan_bytes: 4 << 20,
            orphan_lifetime: Duration::from_mins(10),
            max_fee_neu: DEFAULT_MAX_FEE_NEU,
        }
    }
}
