//! A chain of four federation members that makes its own blocks.

use std::convert::Infallible;

use baton_ledger::state::{
    Aids, Applied, ApplyError, BlockRejection, Genesis, MemoryState, Start, State, apply, coinbase,
};
use baton_ledger::{Block, Header, Mapped, Output, Params, Transaction};

use super::{Key, pay, sign, take, transaction};

pub const BTM: u64 = 100_000_000;
pub const FEE: u64 = 1_000_000;

pub fn xpub(key: &Key) -> [u8; 64] {
    let mut xpub = [7; 64];
    xpub[..32].copy_from_slice(&key.public());
    xpub
}

/// The extended public key of the key with this seed.
pub fn voted(seed: u8) -> [u8; 64] {
    xpub(&Key::new(seed))
}

pub fn federation() -> Vec<Key> {
    (100..104).map(Key::new).collect()
}

pub fn params() -> Params {
    Params {
        epoch_blocks: 5,
        coinbase_maturity_blocks: 2,
        ..Params::solonet(federation().iter().map(xpub).collect())
    }
}

/// A chain that gives key 1 three outputs of 1000 BTM, which have matured.
pub fn chain() -> Chain {
    let outputs = vec![pay(1000 * BTM, Key::new(1).program()); 3];
    let mut chain = Chain::new(params(), outputs);
    chain.run_to(1);
    chain
}

/// Key 1 spends an output of the genesis.
pub fn spending(chain: &Chain, position: usize, outputs: Vec<Output>) -> Mapped {
    let inputs = vec![take(&chain.supply(), position)];
    sign(transaction(inputs, outputs), &Key::new(1))
}

pub fn transfer(chain: &Chain, position: usize, to: &Key) -> Mapped {
    spending(chain, position, vec![pay(1000 * BTM - FEE, to.program())])
}

/// A chain in memory that makes its own blocks.
pub struct Chain {
    pub genesis: Genesis,
    pub state: MemoryState,
    pub start: Start,
    /// Who proposes.
    pub proposer: Vec<u8>,
}

impl Chain {
    /// A chain that begins with these outputs.
    pub fn new(params: Params, outputs: Vec<Output>) -> Self {
        let genesis = Genesis::new(params, outputs).unwrap();
        let start = genesis.start().unwrap();
        let state = MemoryState::new(&start.changes, start.tip);
        let proposer = Key::new(200).program();
        Self {
            genesis,
            state,
            start,
            proposer,
        }
    }

    pub fn params(&self) -> &Params {
        self.genesis.params()
    }

    pub fn height(&self) -> u64 {
        self.state.tip().unwrap().height
    }

    /// The next block, with these transactions after the coinbase.
    pub fn block(&self, transactions: &[Mapped]) -> Block {
        let minting = coinbase::coinbase(&self.state, self.params(), &self.proposer, b"").unwrap();
        let mut all = vec![minting];
        all.extend(
            transactions
                .iter()
                .map(|mapped| mapped.transaction().clone()),
        );
        self.block_of(all)
    }

    /// The next block, with these transactions only.
    pub fn block_of(&self, transactions: Vec<Transaction>) -> Block {
        let tip = self.state.tip().unwrap();
        let mut block = Block {
            header: Header {
                version: 1,
                height: tip.height + 1,
                previous_block_hash: tip.hash,
                timestamp_ms: tip.timestamp_ms + self.params().block_interval_ms,
                ..Header::default()
            },
            transactions,
        };
        block.header.transactions_merkle_root = block.merkle_root();
        block
    }

    pub fn apply(&self, block: &Block) -> Result<Applied, ApplyError<Infallible>> {
        apply(&self.state, self.params(), block, Aids::default())
    }

    /// Why the next block with these transactions is rejected.
    pub fn rejection(&self, transactions: &[Mapped]) -> BlockRejection {
        self.rejection_of(&self.block(transactions))
    }

    pub fn rejection_of(&self, block: &Block) -> BlockRejection {
        match self.apply(block) {
            Err(ApplyError::Rejected(rejection)) => *rejection,
            other => panic!("{other:?}"),
        }
    }

    /// Applies the next block and takes over what it changed.
    pub fn commit(&mut self, transactions: &[Mapped]) -> Applied {
        let block = self.block(transactions);
        let applied = self.apply(&block).unwrap();
        self.state.commit(&applied.changes, applied.tip);
        applied
    }

    /// Applies empty blocks up to a height.
    pub fn run_to(&mut self, height: u64) {
        while self.height() < height {
            self.commit(&[]);
        }
    }

    /// The coinbase of the genesis.
    pub fn supply(&self) -> Mapped {
        Mapped::from(self.start.block.transactions[0].clone())
    }
}
