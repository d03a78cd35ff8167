//! Instances of contracts are followed to where they are, whatever happens to the files.

mod common;

use std::fs;

use baton_chain::trace::{MAX_AGE_BLOCKS, Status, TraceError, Tracer};
use baton_chain::{Chain, ChainError, Options, Origin};
use baton_ledger::{Hash, Input, Mapped, Output, program};
use common::support::{Key, pay, take, transaction};
use common::{BTM, FEE, Node, beside, genesis_of, plain, signed};

/// A contract that whoever wants may use.
const CONTRACT: [u8; 1] = [0x51];

fn calling() -> Vec<u8> {
    program::call_contract(&program::script_hash(&CONTRACT))
}

fn submit(node: &Node, mapped: &Mapped) {
    let admission = node.pool.submit(plain(mapped), Origin::Local).unwrap();
    assert!(!admission.orphan);
}

/// A chain with the contract, and a transaction that puts two outputs under it, of 400 BTM and 100 BTM.
fn begun() -> (Node, Mapped) {
    let node = Node::new();
    let registered = pay(BTM, program::register_contract(&CONTRACT));
    let rest = pay(999 * BTM - FEE, Key::new(1).program());
    submit(&node, &node.spending(0, vec![registered, rest]));
    node.advance();
    let outputs = vec![
        pay(400 * BTM, calling()),
        pay(500 * BTM - FEE, Key::new(1).program()),
        pay(100 * BTM, calling()),
    ];
    let origin = node.spending(1, outputs);
    submit(&node, &origin);
    node.advance();
    (node, origin)
}

/// Uses the contract: what `of` put under it in output `position` goes to `outputs`.
fn used(of: &Mapped, position: usize, outputs: Vec<Output>) -> Mapped {
    let inputs: Vec<Input> = vec![take(of, position)];
    Mapped::from(transaction(inputs, outputs))
}

fn tip_hash(node: &Node) -> Hash {
    node.chain.tip().hash
}

#[test]
fn an_instance_is_followed_to_its_end() {
    let (node, origin) = begun();
    let tracer = Tracer::open(&beside(&node, "trace.redb"), &node.chain).unwrap();
    let ids = tracer.create(&origin.id(), &tip_hash(&node)).unwrap();
    assert_eq!(ids.len(), 1);
    let instance = tracer.get(&ids[0]).unwrap();
    let amounts = |outputs: &[baton_chain::trace::InstanceOutput]| {
        outputs
            .iter()
            .map(|output| output.amount / BTM)
            .collect::<Vec<_>>()
    };
    assert_eq!(amounts(&instance.unspent), [400, 100]);
    assert_eq!(instance.unspent[0].id, origin.entries().outputs[0].id);
    assert_eq!((instance.status, instance.height), (Status::Active, 3));
    // again: the same
    assert_eq!(tracer.create(&origin.id(), &tip_hash(&node)).unwrap(), ids);

    let moved = used(
        &origin,
        0,
        vec![pay(300 * BTM, calling()), pay(100 * BTM - FEE, vec![0x51])],
    );
    submit(&node, &moved);
    node.advance();
    tracer.follow().unwrap();
    let instance = tracer.get(&ids[0]).unwrap();
    assert_eq!(
        (amounts(&instance.unspent), amounts(&instance.spent)),
        (vec![100, 300], vec![400])
    );
    assert_eq!((instance.transaction_id, instance.height), (moved.id(), 4));
    // followed from there on it is another instance, in the same place
    let from_there = tracer.create(&moved.id(), &tip_hash(&node)).unwrap()[0];
    assert_eq!(amounts(&tracer.get(&from_there).unwrap().unspent), [300]);

    // two in one block
    let next = used(&moved, 0, vec![pay(300 * BTM - FEE, calling())]);
    let last = used(&next, 0, vec![pay(300 * BTM - 2 * FEE, vec![0x51])]);
    submit(&node, &next);
    submit(&node, &last);
    node.advance();
    tracer.follow().unwrap();
    assert_eq!(tracer.get(&from_there).unwrap().status, Status::Ended);
    let instance = tracer.get(&ids[0]).unwrap();
    assert_eq!(
        (amounts(&instance.unspent), instance.status),
        (vec![100], Status::Active)
    );
    assert_eq!(instance.transaction_id, last.id());
    assert!(tracer.remove(&from_there).unwrap());
    assert!(!tracer.remove(&from_there).unwrap());
    assert!(tracer.get(&from_there).is_none());
    // begun late, it is where the other is
    let late = Tracer::open(&beside(&node, "late.redb"), &node.chain).unwrap();
    let block = node.chain.block(3).unwrap().unwrap().hash();
    assert_eq!(late.create(&origin.id(), &block).unwrap(), ids);
    assert_eq!(late.get(&ids[0]), Some(instance));
}

#[test]
fn what_cannot_be_followed_is_said() {
    let (node, origin) = begun();
    let tracer = Tracer::open(&beside(&node, "trace.redb"), &node.chain).unwrap();
    let tip = tip_hash(&node);
    let error = tracer.create(&origin.id(), &Hash::ZERO).unwrap_err();
    assert!(matches!(error, TraceError::Block(_)), "{error}");
    let error = tracer.create(&Hash::ZERO, &tip).unwrap_err();
    assert!(matches!(error, TraceError::Transaction { .. }), "{error}");
    let coinbase = node.chain.block(3).unwrap().unwrap().transactions[0].id();
    let error = tracer.create(&coinbase, &tip).unwrap_err();
    assert!(matches!(error, TraceError::NoContract(_)), "{error}");
    assert!(tracer.get(&Hash::ZERO).is_none());
    assert!(!tracer.remove(&Hash::ZERO).unwrap());
    assert_eq!(MAX_AGE_BLOCKS, 3600);
}

#[test]
fn it_heals_by_itself() {
    let (node, origin) = begun();
    let (path, copy) = (beside(&node, "trace.redb"), beside(&node, "old.redb"));
    let tracer = Tracer::open(&path, &node.chain).unwrap();
    let id = tracer.create(&origin.id(), &tip_hash(&node)).unwrap()[0];
    tracer.close();
    fs::copy(&path, &copy).unwrap();
    // blocks are committed while it is not there
    let moved = used(&origin, 0, vec![pay(400 * BTM - FEE, calling())]);
    submit(&node, &moved);
    node.advance();
    let tracer = Tracer::open(&path, &node.chain).unwrap();
    let now = tracer.get(&id).unwrap();
    assert_eq!(now.transaction_id, moved.id());
    tracer.close();
    // an old file is led to the tip
    let tracer = Tracer::open(&copy, &node.chain).unwrap();
    assert_eq!(tracer.get(&id), Some(now));
    tracer.close();
    // the chain's file is lost and fetched again up to another block: instances follow
    let blocks: Vec<_> = (1..=3)
        .map(|height| node.chain.block(height).unwrap().unwrap())
        .collect();
    let again = Chain::open(
        &beside(&node, "again.redb"),
        &node.genesis,
        Options::default(),
    )
    .unwrap();
    for block in &blocks {
        again.commit(common::decision(block.bytes.clone())).unwrap();
    }
    let tracer = Tracer::open(&path, &again).unwrap();
    let then = tracer.get(&id).unwrap();
    assert_eq!((then.transaction_id, then.height), (origin.id(), 3));
    assert_eq!(tracer.height(), 3);
    tracer.close();
    // one that began after that is gone
    let young = Tracer::open(&copy, &node.chain).unwrap();
    let gone = young.create(&moved.id(), &tip_hash(&node)).unwrap()[0];
    young.close();
    let tracer = Tracer::open(&copy, &again).unwrap();
    assert!(tracer.get(&gone).is_none());
    assert!(tracer.get(&id).is_some());
    tracer.close();
    // a store of another chain is not
    let other = genesis_of(node.chain.params().clone(), 3);
    let other = Chain::open(&beside(&node, "other.redb"), &other, Options::default()).unwrap();
    let error = Tracer::open(&path, &other).err().unwrap();
    assert!(
        matches!(error, TraceError::Chain(ChainError::OtherChain { .. })),
        "{error}"
    );
}

#[test]
fn signed_transactions_that_call_contracts_are_instances_too() {
    let (node, origin) = begun();
    let tracer = Tracer::open(&beside(&node, "trace.redb"), &node.chain).unwrap();
    let id = tracer.create(&origin.id(), &tip_hash(&node)).unwrap()[0];
    // both outputs at once, and one of key 1's
    let inputs = vec![take(&origin, 0), take(&origin, 2), take(&node.supply(), 5)];
    let all = signed(inputs, vec![pay(1500 * BTM - FEE, calling())], 1);
    submit(&node, &all);
    node.advance();
    tracer.follow().unwrap();
    let instance = tracer.get(&id).unwrap();
    assert_eq!((instance.spent.len(), instance.unspent.len()), (2, 1));
}

#[test]
fn a_damaged_file_is_named_with_what_to_do() {
    let (node, origin) = begun();
    let path = beside(&node, "trace.redb");
    let tracer = Tracer::open(&path, &node.chain).unwrap();
    tracer.create(&origin.id(), &tip_hash(&node)).unwrap();
    tracer.close();
    let good = fs::read(&path).unwrap();
    let mut damage = vec![
        Vec::new(),
        b"no store".to_vec(),
        good[..good.len() / 2].to_vec(),
    ];
    for page in 0..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096..][..4096].fill(0);
        damage.push(bad);
    }
    let mut found = 0;
    for bytes in damage {
        fs::write(&path, bytes).unwrap();
        match Tracer::open(&path, &node.chain) {
            // a page may be in no use
            Ok(tracer) => tracer.close(),
            Err(error) => {
                let told = error.to_string();
                assert!(
                    told.contains("trace.redb is damaged: ")
                        && told.contains("create-contract-instance"),
                    "{told}"
                );
                found += 1;
            }
        }
    }
    assert!(found >= 5, "{found}");
}
