//! The way of blocks with thousands of transactions from one node to another, and of blocks out of a pool that does not
//! know what happened.

mod common;

use std::time::Instant;

use baton_chain::{Options, Origin, PoolEvent, PoolSettings, Reason, StoredBlock};
use baton_ledger::{Mapped, Params, Transaction, program};
use common::support::chain::params;
use common::support::{Key, pay, take, transaction};
use common::{BTM, FEE, Node, genesis_of, plain};

/// How many outputs a coin is split into.
const PARTS: usize = 1_000;
const PART: u64 = BTM / 2;

fn roomy() -> Params {
    Params {
        max_block_gas: 100_000_000,
        ..params()
    }
}

fn node() -> Node {
    let genesis = genesis_of(roomy(), 4);
    Node::with(genesis, Options::default(), PoolSettings::default())
}

/// Splits coins into outputs that anyone may spend: signatures are for other tests.
fn split(node: &Node, coin: usize) -> Mapped {
    let outputs = vec![pay(PART, program::anyone()); PARTS];
    let mut outputs = outputs;
    outputs.push(pay(
        1000 * BTM - PARTS as u64 * PART - 50 * FEE,
        Key::new(1).program(),
    ));
    node.spending(coin, outputs)
}

/// Each part goes to a key, in a transaction of its own.
fn transfers(of: &Mapped) -> Vec<Transaction> {
    let transfer = |position| {
        let inputs = vec![take(of, position)];
        transaction(inputs, vec![pay(PART - FEE, Key::new(2).program())])
    };
    (0..PARTS).map(transfer).collect()
}

fn ids(block: &StoredBlock) -> Vec<baton_ledger::Hash> {
    block.transaction_ids()[1..].to_vec()
}

#[test]
fn thousands_go_from_node_to_node() {
    let (one, other) = (node(), node());
    let splits: Vec<Mapped> = (0..3).map(|coin| split(&one, coin)).collect();
    for mapped in &splits {
        one.pool.submit(plain(mapped), Origin::Local).unwrap();
    }
    let first = one.advance();
    other.commit(first.block.bytes.clone());
    let all: Vec<Transaction> = splits.iter().flat_map(transfers).collect();
    let began = Instant::now();
    for answer in one.pool.submit_many(all.clone(), Origin::Local) {
        assert!(!answer.unwrap().orphan);
    }
    // the other has heard of some, in another order, and of one that is the same but for its witness
    let mut heard: Vec<Transaction> = all.iter().skip(1).step_by(2).rev().cloned().collect();
    let mut spoilt = all[0].clone();
    *spoilt.inputs[0].arguments_mut().unwrap() = vec![vec![1]];
    heard.push(spoilt.clone());
    other.pool.submit_many(heard, Origin::Peer);
    assert_eq!(other.pool.len(), all.len() / 2 + 1);

    let draft = one.draft();
    assert_eq!(draft.transactions, all.len() + 1);
    let checked = other
        .chain
        .check(&draft.bytes, other.now_ms(), &other.pool)
        .unwrap();
    assert_eq!(
        (checked.transactions, checked.gas),
        (draft.transactions, draft.gas)
    );
    let committed = other.commit(draft.bytes.clone());
    assert_eq!(one.commit(draft.bytes).block, committed.block);
    assert_eq!(one.chain.tip(), other.chain.tip());
    assert_eq!(
        ids(&committed.block),
        all.iter().map(Transaction::id).collect::<Vec<_>>()
    );
    assert!(one.pool.is_empty() && other.pool.is_empty());
    assert_eq!(committed.transactions()[1].transaction(), &all[0]);
    println!("{} transactions took {:?}", all.len(), began.elapsed());

    // one that joins later applies all by itself
    let late = node();
    for height in 2..=3 {
        late.commit(one.chain.block(height).unwrap().unwrap().bytes.clone());
    }
    assert_eq!(late.chain.tip(), one.chain.tip());
    assert_eq!(
        one.chain.verify(|_| ()).unwrap().transactions,
        3 + 3 + 3 * PARTS as u64 + 1
    );
}

#[test]
fn a_pool_that_was_not_told_still_gives_valid_blocks() {
    let node = Node::new();
    let mut events = node.pool.events();
    let mine: Vec<Mapped> = (0..30)
        .map(|coin| node.transfer(coin, &Key::new(2)))
        .collect();
    // somebody else's block spends twelve of the coins, and the pool does not hear of it
    let pool = baton_chain::Pool::open(&node.chain, PoolSettings::default(), None).unwrap();
    for coin in (0..30).filter(|coin| coin % 5 < 2) {
        let rival = node.transfer(coin, &Key::new(3));
        pool.submit(plain(&rival), Origin::Local).unwrap();
    }
    let rivals = node
        .chain
        .draft(&pool, &Key::new(200).program(), b"", node.now_ms())
        .unwrap();
    node.pool
        .submit_many(mine.iter().map(plain).collect(), Origin::Local);
    node.chain.commit(common::decision(rivals.bytes)).unwrap();
    let mut committed = Vec::new();
    while !node.pool.is_empty() {
        committed.extend(ids(&node.advance().block));
    }
    let good = (0..30)
        .filter(|coin| coin % 5 >= 2)
        .map(|coin| mine[coin].id());
    assert_eq!(committed, good.collect::<Vec<_>>());
    let mut invalid = 0;
    while let Ok(event) = events.try_recv() {
        if let PoolEvent::Removed(_, Reason::Invalid(why)) = event {
            assert_eq!(why, "fail to find utxo entry");
            invalid += 1;
        }
    }
    // a draft looks for eight; the next found the others
    assert_eq!(invalid, 12);
}
