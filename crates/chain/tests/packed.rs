//! What goes from process to process in memory, and copies of stores.

mod common;

use baton_chain::{Chain, Options, Origin, Pool, PoolEvent, PoolSettings};
use common::support::Key;
use common::{Node, beside, pass_on, plain};

#[test]
fn a_packed_pool_has_its_orphans_its_order_and_its_numbers() {
    let node = Node::new();
    let first = node.transfer(0, &Key::new(2));
    let second = pass_on(&first, 2, 3);
    let gone = node.transfer(1, &Key::new(2));
    // its parent is not here
    let missing = node.transfer(2, &Key::new(2));
    let orphan = pass_on(&missing, 2, 3);
    for mapped in [&first, &gone, &second, &orphan] {
        node.pool.submit(plain(mapped), Origin::Local).unwrap();
    }
    let packed = node.pool.pack();
    assert_eq!(
        (packed.numbers.as_slice(), packed.next),
        (&[0, 1, 2][..], 3)
    );
    assert_eq!(node.pool.since(2).0.len(), 1);

    let other = Pool::open(&node.chain, PoolSettings::default(), None).unwrap();
    let mut events = other.events();
    other.unpack(&packed).unwrap();
    assert_eq!(other.ids(), [first.id(), gone.id(), second.id()]);
    assert_eq!(other.stats().orphans, 1);
    assert_eq!(other.pack(), packed);
    // the orphan's parent comes, and both are numbered after all that came before
    other.submit(plain(&missing), Origin::Peer).unwrap();
    let (since, next) = other.since(packed.next);
    let since: Vec<_> = since.iter().map(|(n, pooled)| (*n, pooled.id())).collect();
    assert_eq!(since, [(3, missing.id()), (4, orphan.id())]);
    assert_eq!(next, 5);
    let mut numbers = Vec::new();
    while let Ok(PoolEvent::Added(_, number)) = events.try_recv() {
        numbers.push(number);
    }
    assert_eq!(numbers, [0, 1, 2, 3, 4]);

    let mut torn = packed;
    torn.waiting.pop();
    let error = other.unpack(&torn).unwrap_err().to_string();
    assert!(error.contains("not brought along whole"), "{error}");
}

#[test]
fn a_copy_of_a_chain_is_that_chain_whatever_is_committed_meanwhile() {
    let node = Node::new();
    let transfer = node.transfer(0, &Key::new(2));
    node.pool.submit(plain(&transfer), Origin::Local).unwrap();
    node.advance();
    let path = beside(&node, "copy.redb");
    let height = node.chain.copy_to(&path).unwrap();
    assert_eq!(height, node.chain.tip().height);
    let before = node.chain.tip();
    node.advance();
    let genesis = node.genesis.clone();
    let copy = Chain::open(&path, &genesis, Options::default()).unwrap();
    assert_eq!(copy.tip(), before);
    copy.verify(|_| ()).unwrap();
    // into a file that is there already nothing is copied
    assert!(node.chain.copy_to(&path).is_err());
}
