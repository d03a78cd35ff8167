//! What is stored is there as a whole, is found again, and is refused if it is not what it should be.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use baton_chain::{Chain, ChainError, Migrations, Options, Origin, PoolSettings, Refused};
use baton_ledger::state::{Changes, State};
use baton_ledger::upgrade::{Decision, Message, Plan, SignedMessage, Vote};
use baton_ledger::{Block, Hash, Mapped};
use bytes::Bytes;
use common::support::chain::{federation, params};
use common::support::{Key, pay};
use common::{BTM, COINS, FEE, Node, decision, genesis, genesis_of, pass_on, plain};
use redb::{Database, ReadableTable, TableDefinition};

fn open(node: &Node) -> Result<Chain, ChainError> {
    Chain::open(&node.path(), &node.genesis, Options::default())
}

#[test]
fn a_block_is_found_in_all_ways() {
    let node = Node::with(
        genesis(),
        Options {
            transaction_index: true,
            ..Options::default()
        },
        PoolSettings::default(),
    );
    let transfers: Vec<Mapped> = (0..3)
        .map(|coin| node.transfer(coin, &Key::new(2)))
        .collect();
    node.pool
        .submit_many(transfers.iter().map(plain).collect(), Origin::Local);
    let (mut tips, mut blocks) = (node.chain.watch(), node.chain.committed());
    let committed = node.advance();
    assert_eq!(*tips.borrow_and_update(), committed.tip);
    assert_eq!(blocks.try_recv().unwrap(), committed);
    assert_eq!(committed.gas[1].fee_neu, FEE);
    let node = node.reopen(Options {
        transaction_index: true,
        ..Options::default()
    });
    let reader = node.chain.read().unwrap();
    assert_eq!(reader.tip(), committed.tip);
    let block = reader.block(2).unwrap().unwrap();
    assert_eq!(block, committed.block);
    assert_eq!(block.to_block(), Block::decode(&block.bytes).unwrap());
    assert_eq!((block.head.proposer, block.head.round), (Some([7; 64]), 3));
    assert_eq!(node.chain.block(2).unwrap().unwrap(), block);
    assert_eq!(
        node.chain.block_by_hash(&block.hash()).unwrap().unwrap(),
        block
    );
    assert_eq!(reader.height_of(&block.hash()).unwrap(), Some(2));
    assert_eq!(reader.hash_at(2).unwrap(), Some(block.hash()));
    assert_eq!(reader.header(2).unwrap().as_ref(), Some(block.header()));
    assert_eq!(reader.app_hash_at(2).unwrap(), Some(committed.tip.app_hash));
    let (located, found) = reader.transaction(&transfers[1].id()).unwrap().unwrap();
    assert_eq!(
        (located.height, located.index, located.transactions),
        (2, 2, 4)
    );
    assert_eq!(
        (located.block_hash, *found == transfers[1]),
        (block.hash(), true)
    );
    let proof = reader
        .merkle_proof(2, &[transfers[2].id(), Hash::ZERO])
        .unwrap()
        .unwrap();
    assert_eq!(proof.matched, [transfers[2].id()]);
    let root = &block.header().transactions_merkle_root;
    proof.proof.verify(&proof.matched, root).unwrap();
    // what is not there
    assert!(reader.block(3).unwrap().is_none());
    assert!(reader.merkle_proof(3, &[]).unwrap().is_none());
    assert!(reader.height_of(&Hash::ZERO).unwrap().is_none());
    assert!(reader.locate(&Hash::ZERO).unwrap().is_none());
    assert!(node.chain.block_by_hash(&Hash::ZERO).unwrap().is_none());
}

#[test]
fn decided_blocks_are_given_to_others() {
    let node = Node::new();
    node.run_to(10);
    let reader = node.chain.read().unwrap();
    let all = reader.decided_range(1..=20, usize::MAX).unwrap();
    assert_eq!(all.len(), 10);
    assert_eq!(reader.history_min_height(), 1);
    let each = all[0].bytes.len() + all[0].certificate.len();
    assert_eq!(all[4].certificate, "signed by all");
    assert_eq!(reader.decided_range(3..=8, 0).unwrap(), all[2..3]);
    let some = reader.decided_range(3..=8, 3 * each + each / 2).unwrap();
    assert_eq!(some, all[2..5]);
    // another node follows
    let other = Node::new();
    for decided in &all[1..] {
        other.commit(decided.bytes.clone());
    }
    assert_eq!(other.chain.tip(), node.chain.tip());
}

#[test]
fn a_snapshot_does_not_change() {
    let node = Node::new();
    for coin in 0..COINS {
        node.pool
            .submit(plain(&node.transfer(coin, &Key::new(2))), Origin::Local)
            .unwrap();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        let reader = node.chain.read().unwrap();
                        let tip = reader.tip();
                        let head = reader.head(tip.height).unwrap().unwrap();
                        assert_eq!((head.hash, head.app_hash), (tip.hash, tip.app_hash));
                        assert!(reader.head(tip.height + 1).unwrap().is_none());
                        assert!(reader.block(tip.height + 1).unwrap().is_none());
                        let outputs = reader.scan(b"u").unwrap().len() as u64;
                        assert_eq!(reader.unspent_count().unwrap(), outputs);
                        seen.push(tip.height);
                    }
                    seen
                })
            })
            .collect();
        for _ in 0..20 {
            node.advance();
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            let seen = reader.join().unwrap();
            assert!(seen.is_sorted() && !seen.is_empty());
        }
    });
}

#[test]
fn what_was_committed_is_committed_once() {
    let node = Node::new();
    let draft = node.draft();
    let first = node.commit(draft.bytes.clone());
    let again = node.chain.commit(decision(draft.bytes.clone())).unwrap();
    assert_eq!(again, first);
    let node = node.reopen(Options::default());
    let again = node.chain.commit(decision(draft.bytes.clone())).unwrap();
    assert_eq!((again.tip, &again.block), (first.tip, &first.block));
    node.advance();
    // not the last any more
    let error = node.chain.commit(decision(draft.bytes)).unwrap_err();
    assert!(matches!(error, ChainError::Decided(_)), "{error}");
    assert_eq!(node.chain.tip().height, 3);
}

#[test]
fn a_block_from_the_future_waits_but_a_decided_one_does_not() {
    let node = Node::new();
    let program = Key::new(200).program();
    let now = node.now_ms();
    let ahead = now + node.chain.params().max_time_offset_ms + 1;
    let draft = node.chain.draft(&node.pool, &program, b"", ahead).unwrap();
    let refused = node.chain.check(&draft.bytes, now, &node.pool).unwrap_err();
    assert!(refused.to_string().contains("timestamp"), "{refused}");
    assert!(node.chain.check(&draft.bytes, now + 1, &node.pool).is_ok());
    assert!(
        node.chain
            .check(&Bytes::from_static(b"junk"), now, &node.pool)
            .is_err()
    );
    node.commit(draft.bytes);
}

#[test]
fn another_chain_is_refused_by_name() {
    let node = Node::new();
    let path = node.path();
    drop(node.pool);
    node.chain.close();
    let mut other = params();
    other.max_block_gas += 1;
    for (genesis, what) in [
        (genesis_of(params(), 2), "genesis block"),
        (genesis_of(other, COINS), "genesis block"),
    ] {
        let error = Chain::open(&path, &genesis, Options::default())
            .err()
            .unwrap();
        let told = error.to_string();
        assert!(
            matches!(error, ChainError::OtherChain { what: w, .. } if w == what),
            "{told}"
        );
        assert!(told.contains("core.redb"), "{told}");
        assert!(
            told.contains(&node.genesis.block().hash().to_string()),
            "{told}"
        );
        assert!(told.contains(&genesis.block().hash().to_string()), "{told}");
    }
    Chain::open(&path, &node.genesis, Options::default()).unwrap();
}

#[test]
fn a_store_is_open_once() {
    let node = Node::new();
    let error = open(&node).err().unwrap();
    assert!(matches!(error, ChainError::InUse { .. }), "{error}");
    let clone = node.chain.clone();
    let reader = node.chain.read().unwrap();
    node.chain.clone().close();
    assert!(matches!(clone.read(), Err(ChainError::Closed { .. })));
    let draft = clone.draft(&node.pool, b"", b"", 0);
    assert!(matches!(draft, Err(ChainError::Closed { .. })));
    let next = open(&node).unwrap();
    assert_eq!((next.tip(), reader.tip()), (clone.tip(), clone.tip()));
}

#[test]
fn a_torn_or_foreign_file_is_refused_with_its_name() {
    let node = Node::new();
    node.run_to(5);
    let path = node.path();
    let genesis = node.genesis.clone();
    drop(node.pool);
    node.chain.close();
    let whole = fs::read(&path).unwrap();
    let open = |bytes: &[u8]| {
        let torn = node.directory.path().join("torn.redb");
        fs::write(&torn, bytes).unwrap();
        let opened = Chain::open(&torn, &genesis, Options::default());
        (opened.map(|chain| chain.tip().height), torn)
    };
    assert_eq!(open(&whole).0.unwrap(), 5);
    for torn in [
        &b""[..],
        b"no store at all",
        &[0; 10_000],
        &whole[..100],
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 4096],
    ] {
        let (opened, path) = open(torn);
        let error = opened.expect_err("torn");
        let told = error.to_string();
        assert!(told.contains(path.to_str().unwrap()), "{told}");
        assert!(matches!(error, ChainError::Damaged { .. }), "{error:?}");
        // it is left as it is
        assert_eq!(fs::read(&path).unwrap(), torn);
    }
}

#[test]
fn a_store_that_was_not_finished_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data/core.redb");
    fs::create_dir(directory.path().join("data")).unwrap();
    fs::write(directory.path().join("data/core.redb.new"), b"half a store").unwrap();
    let chain = Chain::open(&path, &genesis(), Options::default()).unwrap();
    assert_eq!(chain.tip().height, 0);
    assert!(!directory.path().join("data/core.redb.new").exists());
    let genesis_block = chain.block(0).unwrap().unwrap();
    assert_eq!(genesis_block.hash(), chain.genesis_hash());
    assert_eq!(genesis_block.head.proposer, None);
    assert_eq!(chain.verify(|_| ()).unwrap().transactions, 1);
}

#[test]
fn transactions_are_indexed_later() {
    let node = Node::new();
    let transfer = node.transfer(0, &Key::new(2));
    node.pool.submit(plain(&transfer), Origin::Local).unwrap();
    node.run_to(4);
    assert!(
        node.chain
            .read()
            .unwrap()
            .locate(&transfer.id())
            .unwrap()
            .is_none()
    );
    let with = |transaction_index| Options {
        transaction_index,
        ..Options::default()
    };
    let node = node.reopen(with(true));
    let located = node
        .chain
        .read()
        .unwrap()
        .locate(&transfer.id())
        .unwrap()
        .unwrap();
    assert_eq!((located.height, located.index), (2, 1));
    // off for a while, then on again
    let node = node.reopen(with(false));
    let second = node.transfer(1, &Key::new(2));
    node.pool.submit(plain(&second), Origin::Local).unwrap();
    node.advance();
    let node = node.reopen(with(true));
    let located = node
        .chain
        .read()
        .unwrap()
        .locate(&second.id())
        .unwrap()
        .unwrap();
    assert_eq!(located.height, 5);
}

/// The federation plans an upgrade.
fn plan(node: &Node, coin: usize, height: u64) {
    let decision = Decision::Schedule(Plan {
        name: "v2".to_owned(),
        height,
        info: "info".to_owned(),
    });
    let message = Message {
        sequence: 0,
        decision,
    };
    let hash = message.signature_hash(&node.chain.params().chain_id, &node.chain.genesis_hash());
    let votes = federation()
        .into_iter()
        .enumerate()
        .map(|(member, key)| Vote {
            member,
            signature: key.sign(hash.as_bytes()).try_into().unwrap(),
        });
    let votes = votes.collect();
    let retired = pay(1, SignedMessage { message, votes }.program());
    let outputs = vec![retired, pay(1000 * BTM - FEE - 1, Key::new(1).program())];
    let planned = node.spending(coin, outputs);
    node.pool.submit(plain(&planned), Origin::Local).unwrap();
    node.advance();
}

fn able() -> Options {
    let migrations = Migrations::new().with("v2", |state| {
        let before = state.tip().map_err(|error| error.to_string())?.height;
        let record = format!("migrated after {before}").into_bytes();
        Ok(Changes(BTreeMap::from([(b"x".to_vec(), Some(record))])))
    });
    Options {
        migrations,
        ..Options::default()
    }
}

#[test]
fn an_upgrade_stops_a_program_that_cannot_do_it() {
    let node = Node::new();
    plan(&node, 0, 5);
    assert_eq!(node.chain.plan().unwrap().height, 5);
    node.run_to(4);
    let due = node.chain.due_upgrade().unwrap();
    assert_eq!((due.name.as_str(), due.height), ("v2", 5));
    let program = Key::new(200).program();
    let error = node
        .chain
        .draft(&node.pool, &program, b"", node.now_ms())
        .unwrap_err();
    assert!(
        matches!(&error, ChainError::UpgradeNeeded(plan) if *plan == due),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        r#"UPGRADE "v2" NEEDED at height: 5: info"#
    );

    // one that can does it once, in the block's own commit
    let node = node.reopen(able());
    assert_eq!(node.chain.due_upgrade(), None);
    let committed = node.advance();
    assert_eq!(committed.effects.upgraded, Some(due));
    assert_eq!(node.chain.plan(), None);
    let record = |node: &Node| node.chain.read().unwrap().get(b"x").unwrap();
    assert_eq!(record(&node).unwrap(), b"migrated after 4");
    node.run_to(8);
    assert_eq!(node.chain.verify(|_| ()).unwrap().tip.height, 8);
    // a block of those that can is no block for one that cannot
    let old = Node::new();
    plan(&old, 0, 5);
    for height in 3..=4 {
        old.commit(node.chain.block(height).unwrap().unwrap().bytes.clone());
    }
    let fifth = node.chain.block(5).unwrap().unwrap().bytes.clone();
    let refused = old
        .chain
        .check(&fifth, old.now_ms(), &old.pool)
        .unwrap_err();
    assert!(matches!(refused, Refused::UpgradeNeeded(_)), "{refused}");
    let error = old.chain.commit(decision(fifth)).unwrap_err();
    assert!(matches!(error, ChainError::UpgradeNeeded(_)), "{error}");
    assert_eq!(old.chain.tip().height, 4);
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let node = Node::new();
    plan(&node, 0, 3);
    let options = Options {
        migrations: Migrations::new().with("v2", |_| Err("no way".to_owned())),
        ..Options::default()
    };
    let node = node.reopen(options);
    let draft = node.chain.draft(&node.pool, &[], b"", node.now_ms());
    let error = draft.unwrap_err();
    assert_eq!(error.to_string(), r#"migration "v2": no way"#);
    assert_eq!(node.chain.tip().height, 2);
}

const UNSPENT: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("unspent");
const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
const HEADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("heads");
const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

#[test]
fn a_store_that_was_tampered_with_is_found_out() {
    let node = Node::new();
    for coin in 0..3 {
        let first = node.transfer(coin, &Key::new(2));
        node.pool.submit(plain(&first), Origin::Local).unwrap();
        node.pool
            .submit(plain(&pass_on(&first, 2, 3)), Origin::Local)
            .unwrap();
        node.advance();
    }
    drop(node.pool);
    node.chain.close();
    let path = node.directory.path().join("core.redb");
    let good = fs::read(&path).unwrap();
    let bad = node.directory.path().join("bad.redb");
    let tamper = |with: &dyn Fn(&redb::WriteTransaction)| {
        fs::write(&bad, &good).unwrap();
        let database = Database::open(&bad).unwrap();
        let transaction = database.begin_write().unwrap();
        with(&transaction);
        transaction.commit().unwrap();
        drop(database);
        match Chain::open_read_only(&bad, &node.genesis, Options::default()) {
            Ok(chain) => chain.verify(|_| ()).expect_err("tampered").to_string(),
            Err(error) => error.to_string(),
        }
    };
    let told = tamper(&|t| {
        t.open_table(UNSPENT)
            .unwrap()
            .insert(&[9; 32], [0, 1].as_slice())
            .unwrap();
    });
    assert!(told.contains(&format!("75{}", "09".repeat(32))), "{told}");
    let told = tamper(&|t| {
        t.open_table(UNSPENT).unwrap().pop_first().unwrap();
    });
    assert!(told.contains("record of the state"), "{told}");
    let told = tamper(&|t| {
        t.open_table(STATE)
            .unwrap()
            .insert(b"t".as_slice(), [9].as_slice())
            .unwrap();
    });
    assert!(told.contains("under the key 74"), "{told}");
    let told = tamper(&|t| {
        let mut bodies = t.open_table(BODIES).unwrap();
        let fourth = bodies.get(4).unwrap().unwrap().value().to_vec();
        bodies.insert(3, fourth.as_slice()).unwrap();
    });
    assert!(told.contains("block 3"), "{told}");
    let told = tamper(&|t| {
        let mut heads = t.open_table(HEADS).unwrap();
        let third = heads.get(3).unwrap().unwrap().value().to_vec();
        heads.insert(4, third.as_slice()).unwrap();
    });
    assert!(told.contains("the last block, at height 4"), "{told}");
    let told = tamper(&|t| {
        t.open_table(META)
            .unwrap()
            .insert("schema", 2_u32.to_le_bytes().as_slice())
            .unwrap();
    });
    assert!(
        told.contains("schema 2, this program the schema 1"),
        "{told}"
    );
    let told = tamper(&|t| {
        t.open_table(META).unwrap().remove("tip").unwrap();
    });
    assert!(told.contains("the tip is missing"), "{told}");
}

#[test]
fn who_only_looks_changes_nothing() {
    let node = Node::new();
    for _ in 0..3 {
        node.advance();
    }
    let tip = node.chain.tip();
    let path = node.directory.path().join("core.redb");
    let look = || Chain::open_read_only(&path, &node.genesis, Options::default());
    assert!(matches!(look(), Err(ChainError::InUse { .. })));
    // as a process leaves it that is killed
    let killed = node.directory.path().join("killed.redb");
    fs::copy(&path, &killed).unwrap();
    node.chain.clone().close();
    let before = fs::read(&path).unwrap();
    let chain = look().unwrap();
    assert_eq!(chain.verify(|_| ()).unwrap().tip, tip);
    chain.close();
    assert!(fs::read(&path).unwrap() == before);
    let unclosed = Chain::open_read_only(&killed, &node.genesis, Options::default());
    assert!(unclosed.err().unwrap().is_unclosed());
    let missing = node.directory.path().join("missing.redb");
    let opened = Chain::open_read_only(&missing, &node.genesis, Options::default());
    assert!(opened.is_err() && !missing.exists());
}

#[test]
fn bytes_that_rotted_are_an_error_and_no_panic() {
    let node = Node::new();
    for coin in 0..5 {
        let transfer = node.transfer(coin, &Key::new(2));
        node.pool.submit(plain(&transfer), Origin::Local).unwrap();
        node.advance();
    }
    drop(node.pool);
    node.chain.close();
    let good = fs::read(node.directory.path().join("core.redb")).unwrap();
    let bad = node.directory.path().join("bad.redb");
    let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    let mut found = 0;
    for at in used.iter().step_by(used.len() / 150) {
        let mut damaged = good.clone();
        damaged[*at] ^= 0x10;
        fs::write(&bad, &damaged).unwrap();
        match Chain::open(&bad, &node.genesis, Options::default()) {
            Ok(chain) => found += usize::from(chain.verify(|_| ()).is_err()),
            Err(error) => {
                assert!(error.to_string().contains("bad.redb"), "{error}");
                found += 1;
            }
        }
    }
    assert!(found > 2, "{found}");
}
