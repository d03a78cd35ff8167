//! What a pool takes, what it refuses under which code, and what it forgets.

mod common;

use std::time::{Duration, SystemTime};

use baton_chain::{
    ChainError, Options, Origin, Pool, PoolEvent, PoolSettings, Reason, Refusal, Refused,
};
use baton_ledger::state::SpendFault;
use baton_ledger::transaction::{Coinbase, Transaction};
use baton_ledger::upgrade::{Decision, Message, Plan, SignedMessage, Vote};
use baton_ledger::{AssetId, Input, InputKind, Mapped, Output, program};
use bytes::Bytes;
use common::support::chain::{federation, params, voted};
use common::support::{Key, made_up, pay, spend, take, transaction};
use common::{BTM, COINS, FEE, Node, beside, genesis_of, pass_on, plain, signed};

fn submit(node: &Node, mapped: &Mapped) -> Result<baton_chain::Admission, Refusal> {
    node.pool.submit(plain(mapped), Origin::Local)
}

fn refused(node: &Node, transaction: Transaction) -> Refusal {
    let refusal = node.pool.submit(transaction, Origin::Local).unwrap_err();
    assert!(node.pool.is_empty());
    refusal
}

fn removals(events: &mut tokio::sync::broadcast::Receiver<PoolEvent>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let PoolEvent::Removed(_, reason) = event {
            reasons.push(reason);
        }
    }
    reasons
}

#[test]
fn a_transfer_waits_for_a_block() {
    let node = Node::new();
    let mut events = node.pool.events();
    let transfer = node.transfer(0, &Key::new(2));
    let admission = submit(&node, &transfer).unwrap();
    assert_eq!(admission.id, transfer.id());
    assert!(!admission.already_known && !admission.orphan);
    assert!(submit(&node, &transfer).unwrap().already_known);
    let pooled = node.pool.get(&transfer.id()).unwrap();
    assert_eq!(*pooled.transaction, transfer);
    assert_eq!(pooled.bytes, transfer.transaction().encode());
    assert_eq!(pooled.gas.fee_neu, FEE);
    assert_eq!(node.pool.total_bytes(), transfer.size());
    let output = transfer.entries().outputs[0].id;
    assert_eq!(node.pool.maker(&output).unwrap().0, pooled);
    assert!(matches!(events.try_recv(), Ok(PoolEvent::Added(added, _)) if added == pooled));
    let committed = node.advance();
    assert_eq!(*committed.transactions()[1], transfer);
    assert!(node.pool.is_empty() && node.pool.total_bytes() == 0);
    assert_eq!(removals(&mut events), [Reason::Committed(2)]);
    // it comes again from a peer that is behind
    assert!(submit(&node, &transfer).unwrap().already_known);
}

#[test]
fn what_is_refused_has_bytomds_code() {
    let node = Node::new();
    let key = Key::new(1);
    let to = |amount| pay(amount, Key::new(2).program());
    let whole = 1000 * BTM;
    let spending = |outputs| plain(&node.spending(0, outputs));

    let refusal = refused(&node, spending(vec![to(whole - 11 * BTM)]));
    assert_eq!(
        (refusal.code(), refusal.summary().unwrap()),
        (713, "Transaction fee exceeded max limit")
    );
    // another node's client may pay what it wants
    assert!(
        node.pool
            .submit(spending(vec![to(whole - 11 * BTM)]), Origin::Peer)
            .is_ok()
    );
    node.advance();
    let spending = |outputs| plain(&node.spending(1, outputs));

    let mut output = made_up(5, key.program());
    output.asset_id = AssetId([3; 32]);
    let foreign = transaction(
        vec![spend(output)],
        vec![Output::original(AssetId([3; 32]), 5, vec![0x51])],
    );
    assert_eq!(refused(&node, foreign).code(), 714);

    let refusal = refused(&node, spending(vec![to(0), to(whole - FEE)]));
    assert!(matches!(refusal, Refusal::Relay(_)));
    assert!(refusal.to_string().contains("dust"), "{refusal}");

    let mut unsigned = spending(vec![to(whole - FEE)]);
    unsigned.inputs[0].arguments_mut().unwrap().clear();
    let refusal = refused(&node, unsigned);
    assert_eq!(refusal.code(), 763);
    assert!(refusal.is_fault());

    let poor = refused(&node, spending(vec![to(whole - 100)]));
    assert_eq!(poor.code(), 770);

    let mut late = spending(vec![to(whole - FEE)]);
    late.time_range = 1;
    assert_eq!(
        refused(&node, plain(&common::support::sign(late, &key))).code(),
        732
    );

    let arbitrary = b"\x0099".to_vec();
    let minting = transaction(
        vec![Input::from(InputKind::Coinbase(Coinbase { arbitrary }))],
        vec![to(1)],
    );
    assert_eq!(refused(&node, minting).code(), 714);
}

#[test]
fn an_output_is_spent_once() {
    let node = Node::new();
    let first = node.transfer(0, &Key::new(2));
    let second = node.transfer(0, &Key::new(3));
    submit(&node, &first).unwrap();
    let refusal = submit(&node, &second).unwrap_err();
    let Refusal::Conflict { output, by } = refusal else {
        panic!("{refusal}")
    };
    assert_eq!(by, first.id());
    assert_eq!(Some(output), first.entries().inputs[0].spent_output_id);
    assert_eq!(node.pool.spender(&output), Some(first.id()));
    // after the block the output is unknown, as if it never was
    node.advance();
    assert!(submit(&node, &second).unwrap().orphan);
}

#[test]
fn outputs_that_cannot_be_spent_yet_are_not_waited_for() {
    let node = Node::new();
    node.run_to(6);
    // the first block of an epoch has paid
    let reward = node.chain.block(6).unwrap().unwrap().transactions[0].clone();
    let amount = reward.transaction().outputs[0].amount;
    assert!(amount > 0);
    let early = signed(
        vec![take(&reward, 0)],
        vec![pay(amount - FEE, vec![0x51])],
        200,
    );
    let refusal = submit(&node, &early).unwrap_err();
    assert!(
        matches!(
            refusal,
            Refusal::Spend {
                fault: SpendFault::Immature { from: 8 },
                ..
            }
        ),
        "{refusal}"
    );
    node.run_to(7);
    submit(&node, &early).unwrap();

    let vote = Output::vote(500 * BTM, Key::new(1).program(), voted(9).to_vec());
    let vote = node.spending(0, vec![vote, pay(500 * BTM - FEE, Key::new(1).program())]);
    submit(&node, &vote).unwrap();
    let back = signed(
        vec![take(&vote, 0)],
        vec![pay(500 * BTM - FEE, vec![0x51])],
        1,
    );
    let refusal = submit(&node, &back).unwrap_err();
    assert!(
        matches!(
            refusal,
            Refusal::Spend {
                fault: SpendFault::Locked { .. },
                ..
            }
        ),
        "{refusal}"
    );
}

#[test]
fn children_wait_behind_their_parents() {
    let node = Node::new();
    let mut line = vec![node.transfer(0, &Key::new(2))];
    for _ in 0..5 {
        let last = line.last().unwrap();
        line.push(pass_on(last, 2, 2));
    }
    for mapped in &line {
        assert!(!submit(&node, mapped).unwrap().orphan);
    }
    let committed = node.advance();
    let ids: Vec<_> = line.iter().map(Mapped::id).collect();
    assert_eq!(committed.block.transaction_ids()[1..], ids);
}

#[test]
fn orphans_wait_for_their_parents_to_come() {
    let node = Node::new();
    let mut events = node.pool.events();
    let first = node.transfer(0, &Key::new(2));
    let second = pass_on(&first, 2, 3);
    let third = pass_on(&second, 3, 4);
    for orphan in [&third, &second] {
        assert!(submit(&node, orphan).unwrap().orphan);
        assert!(node.pool.knows(&orphan.id()));
    }
    assert_eq!((node.pool.len(), node.pool.stats().orphans), (0, 2));
    assert!(events.try_recv().is_err());
    submit(&node, &first).unwrap();
    let ids: Vec<_> = [&first, &second, &third].map(Mapped::id).to_vec();
    assert_eq!(node.pool.ids(), ids);
    assert_eq!(node.pool.stats().orphans, 0);
    assert_eq!(node.pool.stats().orphan_bytes, 0);
    let committed = node.advance();
    assert_eq!(committed.block.transaction_ids()[1..], ids);

    // a block may bring the parent, too
    let first = node.transfer(1, &Key::new(2));
    let second = pass_on(&first, 2, 3);
    assert!(submit(&node, &second).unwrap().orphan);
    let elsewhere = Node::new();
    elsewhere.run_to(node.chain.tip().height - 1);
    let other = other_block(&node, &first);
    node.commit(other);
    assert_eq!(node.pool.ids(), [second.id()]);
}

/// The bytes of the next block with this transaction, made without the pool.
fn other_block(node: &Node, mapped: &Mapped) -> bytes::Bytes {
    let pool = Pool::open(&node.chain, PoolSettings::default(), None).unwrap();
    pool.submit(plain(mapped), Origin::Peer).unwrap();
    let program = Key::new(201).program();
    let draft = node.chain.draft(&pool, &program, b"", node.now_ms());
    draft.unwrap().bytes
}

#[test]
fn orphans_do_not_stay_for_ever_and_are_not_many() {
    let settings = PoolSettings {
        max_orphans: 2,
        ..PoolSettings::default()
    };
    let node = Node::with(common::genesis(), Options::default(), settings);
    let orphans: Vec<Mapped> = (0..3)
        .map(|coin| pass_on(&node.transfer(coin, &Key::new(2)), 2, 3))
        .collect();
    for orphan in &orphans {
        assert!(submit(&node, orphan).unwrap().orphan);
    }
    let known: Vec<bool> = orphans
        .iter()
        .map(|orphan| node.pool.knows(&orphan.id()))
        .collect();
    assert_eq!(known, [false, true, true]);
    let now = SystemTime::now();
    node.pool.expire(now + Duration::from_secs(590));
    assert_eq!(node.pool.stats().orphans, 2);
    node.pool.expire(now + Duration::from_secs(610));
    assert_eq!(node.pool.stats().orphans, 0);
}

#[test]
fn a_block_removes_what_conflicts_with_it_and_its_children() {
    let node = Node::new();
    let mine = node.transfer(0, &Key::new(2));
    let child = pass_on(&mine, 2, 3);
    let grandchild = pass_on(&child, 3, 4);
    let theirs = node.transfer(0, &Key::new(5));
    let other = other_block(&node, &theirs);
    let mut events = node.pool.events();
    for mapped in [&mine, &child, &grandchild] {
        submit(&node, mapped).unwrap();
    }
    node.commit(other);
    assert!(node.pool.is_empty());
    let parent = Reason::Parent(mine.id());
    let reasons = [Reason::Conflict(2), parent.clone(), parent];
    assert_eq!(removals(&mut events), reasons);
}

#[test]
fn a_block_that_is_taken_out_in_slices_leaves_nothing_behind() {
    let mut large = params();
    large.max_block_gas *= 100;
    let node = Node::with(
        genesis_of(large, COINS),
        Options::default(),
        PoolSettings::default(),
    );
    let mut all = Vec::new();
    for coin in 0..COINS - 1 {
        all.push(node.transfer(coin, &Key::new(2)));
        for _ in 0..14 {
            all.push(pass_on(&all[all.len() - 1], 2, 2));
        }
    }
    // of the last coin the block has another than waits here, and the parent of one that has none yet
    let mine = node.transfer(COINS - 1, &Key::new(2));
    let child = pass_on(&mine, 2, 3);
    let theirs = node.transfer(COINS - 1, &Key::new(5));
    let orphan = pass_on(&theirs, 5, 6);
    let plains = |mapped: &[Mapped]| mapped.iter().map(plain).collect::<Vec<_>>();
    let pool = Pool::open(&node.chain, PoolSettings::default(), None).unwrap();
    pool.submit_many(plains(&all), Origin::Peer);
    pool.submit(plain(&theirs), Origin::Peer).unwrap();
    let program = Key::new(201).program();
    let draft = node.chain.draft(&pool, &program, b"", node.now_ms());
    let draft = draft.unwrap();
    assert_eq!(draft.transactions, 1 + all.len() + 1);

    for answer in node.pool.submit_many(plains(&all), Origin::Local) {
        answer.unwrap();
    }
    for mapped in [&mine, &child] {
        submit(&node, mapped).unwrap();
    }
    assert!(submit(&node, &orphan).unwrap().orphan);
    let mut events = node.pool.events();
    node.commit(draft.bytes);
    assert_eq!(node.pool.ids(), [orphan.id()]);
    assert_eq!(node.pool.stats().orphans, 0);
    assert_eq!(node.pool.total_bytes(), orphan.size());
    let mut reasons = vec![Reason::Committed(2); all.len()];
    reasons.extend([Reason::Conflict(2), Reason::Parent(mine.id())]);
    assert_eq!(removals(&mut events), reasons);
}

#[test]
fn what_is_too_late_leaves() {
    let node = Node::new();
    let mut events = node.pool.events();
    let key = Key::new(1);
    let mut ranged = plain(&node.transfer(0, &Key::new(2)));
    ranged.time_range = 2;
    let ranged = common::support::sign(ranged, &key);
    submit(&node, &ranged).unwrap();
    // a block without it
    let other = other_block(&node, &node.transfer(1, &Key::new(2)));
    node.commit(other);
    assert_eq!(removals(&mut events), [Reason::TimeRange]);

    let old = node.transfer(2, &Key::new(2));
    let child = pass_on(&old, 2, 3);
    submit(&node, &old).unwrap();
    submit(&node, &child).unwrap();
    let day = Duration::from_hours(24);
    node.pool
        .expire(SystemTime::now() + day - Duration::from_mins(1));
    assert_eq!(node.pool.len(), 2);
    node.pool
        .expire(SystemTime::now() + day + Duration::from_mins(1));
    assert!(node.pool.is_empty());
    assert_eq!(removals(&mut events)[0], Reason::Expired);
}

#[test]
fn a_full_pool_says_so() {
    let settings = PoolSettings {
        max_transactions: 2,
        ..PoolSettings::default()
    };
    let node = Node::with(common::genesis(), Options::default(), settings);
    for coin in 0..2 {
        submit(&node, &node.transfer(coin, &Key::new(2))).unwrap();
    }
    let refusal = submit(&node, &node.transfer(2, &Key::new(2))).unwrap_err();
    assert!(
        matches!(
            refusal,
            Refusal::Full {
                transactions: 2,
                ..
            }
        ),
        "{refusal}"
    );
    assert!(!refusal.is_fault());
    node.advance();
    submit(&node, &node.transfer(2, &Key::new(2))).unwrap();

    let size = node.transfer(0, &Key::new(2)).size();
    let settings = PoolSettings {
        max_bytes: 2 * size - 1,
        ..PoolSettings::default()
    };
    let node = Node::with(common::genesis(), Options::default(), settings);
    submit(&node, &node.transfer(0, &Key::new(2))).unwrap();
    let refusal = submit(&node, &node.transfer(1, &Key::new(2))).unwrap_err();
    assert!(matches!(refusal, Refusal::Full { .. }), "{refusal}");
}

#[test]
fn spoilt_signatures_do_not_keep_the_good_one_out() {
    let node = Node::new();
    let good = node.transfer(0, &Key::new(2));
    let mut spoilt = plain(&good);
    spoilt.inputs[0].arguments_mut().unwrap()[0][5] ^= 1;
    assert_eq!(spoilt.id(), good.id());
    assert!(node.pool.submit(spoilt.clone(), Origin::Peer).is_err());
    submit(&node, &good).unwrap();
    // nor are they believed in a block because the good ones are known
    let draft = node.draft();
    let mut block = baton_ledger::Block::decode(&draft.bytes).unwrap();
    block.transactions[1] = spoilt;
    let bytes = bytes::Bytes::from(block.encode());
    assert!(node.chain.check(&bytes, node.now_ms(), &node.pool).is_err());
    assert!(
        node.chain
            .check(&draft.bytes, node.now_ms(), &node.pool)
            .is_ok()
    );
}

#[test]
fn programs_that_depend_on_the_height_are_run_again() {
    let node = Node::new();
    let mut events = node.pool.events();
    // may be spent up to height 3: 3 BLOCKHEIGHT GREATERTHANOREQUAL
    let short_lived = program::assemble("3 BLOCKHEIGHT GREATERTHANOREQUAL").unwrap();
    let lock = node.spending(0, vec![pay(1000 * BTM - FEE, short_lived)]);
    submit(&node, &lock).unwrap();
    node.advance();
    let opened = Mapped::from(transaction(
        vec![take(&lock, 0)],
        vec![pay(1000 * BTM - 2 * FEE, Key::new(2).program())],
    ));
    let child = pass_on(&opened, 2, 3);
    submit(&node, &opened).unwrap();
    submit(&node, &child).unwrap();
    // a block without them, after which it is too late
    let other = other_block(&node, &node.transfer(1, &Key::new(2)));
    node.commit(other);
    assert_eq!(node.pool.len(), 2);
    removals(&mut events);
    let committed = node.advance();
    assert_eq!(committed.transactions().len(), 1);
    assert!(node.pool.is_empty());
    let reasons = removals(&mut events);
    assert!(
        matches!(&reasons[0], Reason::Invalid(why) if why.contains("false")),
        "{reasons:?}"
    );
    assert_eq!(reasons[1], Reason::Parent(opened.id()));
}

fn planned(node: &Node, coin: usize, sequence: u64, signers: usize) -> Mapped {
    let decision = Decision::Schedule(Plan {
        name: "v2".to_owned(),
        height: 50,
        info: String::new(),
    });
    let message = Message { sequence, decision };
    let hash = message.signature_hash(&node.chain.params().chain_id, &node.chain.genesis_hash());
    let votes = federation()
        .into_iter()
        .enumerate()
        .take(signers)
        .map(|(member, key)| Vote {
            member,
            signature: key.sign(hash.as_bytes()).try_into().unwrap(),
        });
    let votes = votes.collect();
    let retired = pay(1, SignedMessage { message, votes }.program());
    node.spending(
        coin,
        vec![retired, pay(1000 * BTM - FEE - 1, Key::new(1).program())],
    )
}

#[test]
fn one_transaction_at_a_time_decides_on_the_plan() {
    let node = Node::new();
    let refusal = refused(&node, plain(&planned(&node, 0, 0, 2)));
    assert!(matches!(refusal, Refusal::Plan(_)), "{refusal}");
    let refusal = refused(&node, plain(&planned(&node, 0, 1, 3)));
    assert!(matches!(refusal, Refusal::Plan(_)), "{refusal}");
    let good = planned(&node, 0, 0, 3);
    let rival = planned(&node, 1, 0, 4);
    let elsewhere = other_block(&node, &rival);
    submit(&node, &good).unwrap();
    let refusal = submit(&node, &rival).unwrap_err();
    assert!(
        matches!(refusal, Refusal::PlanPending { by } if by == good.id()),
        "{refusal}"
    );
    // the other one is decided: this one is not the next message any more
    let mut events = node.pool.events();
    node.commit(elsewhere);
    assert_eq!(node.chain.plan().unwrap().name, "v2");
    assert!(node.pool.is_empty());
    assert!(
        matches!(&removals(&mut events)[..], [Reason::Invalid(why)] if why.contains("sequence"))
    );
}

#[test]
fn what_waits_is_kept_over_a_restart() {
    let node = Node::new();
    let first = node.transfer(0, &Key::new(2));
    let second = pass_on(&first, 2, 3);
    let gone = node.transfer(1, &Key::new(2));
    for mapped in [&first, &second, &gone] {
        submit(&node, mapped).unwrap();
    }
    let file = beside(&node, "pool");
    assert_eq!(node.pool.keep(&file).unwrap(), 3);
    let arrived = node.pool.get(&second.id()).unwrap().arrived;
    // one is committed before the restart
    let other = other_block(&node, &node.transfer(1, &Key::new(9)));
    node.commit(other);
    let open = |settings| Pool::open(&node.chain, settings, Some(&file)).unwrap();
    let pool = open(PoolSettings::default());
    assert_eq!(pool.ids(), [first.id(), second.id()]);
    let kept = pool.get(&second.id()).unwrap().arrived;
    assert!(arrived.duration_since(kept).unwrap() < Duration::from_millis(1));
    assert_eq!(pool.stats().orphans, 0);
    // too old
    let short = PoolSettings {
        lifetime: Duration::ZERO,
        ..PoolSettings::default()
    };
    assert!(open(short).is_empty());
    // torn at each length, and with each byte changed: it starts, with nothing wrong in it
    let whole = std::fs::read(&file).unwrap();
    for len in (0..whole.len()).step_by(7) {
        std::fs::write(&file, &whole[..len]).unwrap();
        assert!(open(PoolSettings::default()).is_empty());
    }
    for at in (0..whole.len()).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        std::fs::write(&file, damaged).unwrap();
        assert!(open(PoolSettings::default()).is_empty());
    }
    std::fs::remove_file(&file).unwrap();
    assert!(open(PoolSettings::default()).is_empty());
    // no directory to keep it in: said with its name
    let error = node.pool.keep(&beside(&node, "no/such/pool")).unwrap_err();
    assert!(error.to_string().contains("no/such/pool"), "{error}");
}

#[test]
fn many_are_taken_in_order() {
    let node = Node::new();
    let mut all = Vec::new();
    for coin in 0..COINS {
        let first = node.transfer(coin, &Key::new(2));
        let second = pass_on(&first, 2, 3);
        all.extend([first, second]);
    }
    let mut sent: Vec<Transaction> = all.iter().map(plain).collect();
    sent[5].inputs[0].arguments_mut().unwrap().clear();
    let answers = node.pool.submit_many(sent, Origin::Local);
    assert_eq!(answers.len(), all.len());
    for (index, (answer, mapped)) in answers.iter().zip(&all).enumerate() {
        match answer {
            Ok(admission) => assert_eq!(admission.id, mapped.id()),
            Err(refusal) => assert_eq!((index, refusal.code()), (5, 763)),
        }
    }
    assert_eq!(node.pool.len(), all.len() - 1);
    let committed = node.advance();
    assert_eq!(committed.transactions().len(), all.len());
}

#[test]
fn a_block_takes_as_many_as_its_gas_allows() {
    let mut few = params();
    let probe = Node::new();
    submit(&probe, &probe.transfer(0, &Key::new(2))).unwrap();
    let gas = probe.draft().gas;
    few.max_block_gas = 3 * gas + gas / 2;
    let node = Node::with(
        genesis_of(few, COINS),
        Options::default(),
        PoolSettings::default(),
    );
    for coin in 0..7 {
        submit(&node, &node.transfer(coin, &Key::new(2))).unwrap();
    }
    let counts: Vec<usize> = (0..4)
        .map(|_| node.advance().transactions().len() - 1)
        .collect();
    assert_eq!(counts, [3, 3, 1, 0]);

    // 64 KiB are for the coinbase when a transaction's size is judged
    let limit = (64 << 10) + node.transfer(0, &Key::new(2)).size();
    let options = Options {
        max_block_bytes: limit,
        ..Options::default()
    };
    let node = Node::with(common::genesis(), options, PoolSettings::default());
    let mut all = Vec::new();
    for coin in 0..COINS {
        all.push(node.transfer(coin, &Key::new(2)));
        for _ in 0..9 {
            all.push(pass_on(&all[all.len() - 1], 2, 2));
        }
    }
    node.pool
        .submit_many(all.iter().map(plain).collect(), Origin::Local);
    assert_eq!(node.pool.len(), all.len());
    let draft = node.draft();
    assert!(
        draft.bytes.len() <= limit && draft.bytes.len() > limit - 1000,
        "{draft:?}"
    );
    assert!(draft.transactions < all.len());
    let longer = Bytes::from(vec![0; limit + 1]);
    let refused = node.chain.check(&longer, node.now_ms(), &node.pool);
    assert!(matches!(refused, Err(Refused::Size { .. })));
    let counts = [node.advance(), node.advance()].map(|committed| committed.transactions().len());
    assert_eq!(
        counts,
        [draft.transactions, all.len() - draft.transactions + 2]
    );
}

#[test]
fn what_the_coinbase_says_is_bounded() {
    let node = Node::new();
    let draft = |note: &[u8]| {
        let program = Key::new(200).program();
        node.chain.draft(&node.pool, &program, note, node.now_ms())
    };
    assert!(draft(b"baton").is_ok());
    for bad in [&b"1 baton"[..], &[b'x'; 128]] {
        assert!(matches!(draft(bad), Err(ChainError::Arbitrary(_, 107))));
    }
}
