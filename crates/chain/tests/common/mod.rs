//! A chain on disk with one validator, whose coins belong to key 1, and what is done with it.
#![allow(dead_code, unreachable_pub)] // each test program has its own copy and uses a part of it

#[path = "../../../ledger/tests/support/mod.rs"]
pub mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use baton_chain::{Chain, Committed, Decision, Draft, Options, Pool, PoolSettings};
use baton_ledger::state::Genesis;
use baton_ledger::{Input, Mapped, Output, Params, Transaction};
use bytes::Bytes;
use support::{Key, chain::params, pay, sign, take, transaction};

pub use support::chain::{BTM, FEE};

/// How many outputs key 1 has to begin with, of 1000 BTM each.
pub const COINS: usize = 40;

/// A genesis like the ledger's tests have it, with more to spend.
pub fn genesis_of(params: Params, coins: usize) -> Genesis {
    Genesis::new(params, vec![pay(1000 * BTM, Key::new(1).program()); coins]).unwrap()
}

pub fn genesis() -> Genesis {
    genesis_of(params(), COINS)
}

/// The coinbase of the genesis.
pub fn supply(genesis: &Genesis) -> Mapped {
    Mapped::from(genesis.block().transactions[0].clone())
}

/// A chain in a directory of its own.
pub struct Node {
    pub directory: tempfile::TempDir,
    pub genesis: Genesis,
    pub chain: Chain,
    pub pool: Pool,
}

impl Node {
    /// At height 1: what the genesis gives has matured.
    pub fn new() -> Self {
        Self::with(genesis(), Options::default(), PoolSettings::default())
    }

    pub fn with(genesis: Genesis, options: Options, settings: PoolSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("core.redb");
        let chain = Chain::open(&path, &genesis, options).unwrap();
        let pool = Pool::open(&chain, settings, None).unwrap();
        let node = Self {
            directory,
            genesis,
            chain,
            pool,
        };
        node.advance();
        node
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("core.redb")
    }

    /// Drops the chain and opens it again, as a process would that was killed.
    pub fn reopen(self, options: Options) -> Self {
        let Self {
            directory,
            genesis,
            chain,
            pool,
        } = self;
        let settings = pool.settings().clone();
        drop((chain, pool));
        let path = directory.path().join("core.redb");
        let chain = Chain::open(&path, &genesis, options).unwrap();
        let pool = Pool::open(&chain, settings, None).unwrap();
        Self {
            directory,
            genesis,
            chain,
            pool,
        }
    }

    /// The clock: as late as the next block may be.
    pub fn now_ms(&self) -> u64 {
        self.chain.tip().timestamp_ms + self.chain.params().block_interval_ms
    }

    pub fn draft(&self) -> Draft {
        let program = Key::new(200).program();
        let draft = self.chain.draft(&self.pool, &program, b"", self.now_ms());
        draft.unwrap()
    }

    /// Commits a block out of the pool.
    pub fn advance(&self) -> Arc<Committed> {
        let draft = self.draft();
        let now = self.now_ms();
        let checked = self.chain.check(&draft.bytes, now, &self.pool).unwrap();
        assert_eq!(checked.tip.hash, draft.hash);
        self.commit(draft.bytes)
    }

    pub fn commit(&self, bytes: Bytes) -> Arc<Committed> {
        let committed = self.chain.commit(decision(bytes)).unwrap();
        self.pool.block_committed(&committed);
        committed
    }

    pub fn run_to(&self, height: u64) {
        while self.chain.tip().height < height {
            self.advance();
        }
    }

    pub fn supply(&self) -> Mapped {
        supply(&self.genesis)
    }

    /// Key 1 pays a coin of the genesis to another key.
    pub fn transfer(&self, coin: usize, to: &Key) -> Mapped {
        self.spending(coin, vec![pay(1000 * BTM - FEE, to.program())])
    }

    pub fn spending(&self, coin: usize, outputs: Vec<Output>) -> Mapped {
        let input = take(&self.supply(), coin);
        signed(vec![input], outputs, 1)
    }
}

pub fn signed(inputs: Vec<Input>, outputs: Vec<Output>, seed: u8) -> Mapped {
    sign(transaction(inputs, outputs), &Key::new(seed))
}

/// Pays on what an output of 1000 BTM of a transaction gave, less fees.
pub fn pass_on(of: &Mapped, from: u8, to: u8) -> Mapped {
    let amount = of.transaction().outputs[0].amount - FEE;
    let outputs = vec![pay(amount, Key::new(to).program())];
    signed(vec![take(of, 0)], outputs, from)
}

pub fn plain(mapped: &Mapped) -> Transaction {
    mapped.transaction().clone()
}

pub fn decision(bytes: Bytes) -> Decision {
    Decision {
        bytes,
        certificate: Bytes::from_static(b"signed by all"),
        round: 3,
        proposer: [7; 64],
    }
}

/// The path of a file in the directory of a node.
pub fn beside(node: &Node, name: &str) -> PathBuf {
    Path::new(node.directory.path()).join(name)
}
