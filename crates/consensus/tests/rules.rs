//! Who validates, who proposes, and when nothing is decided.

mod common;

use baton_consensus::Status;
use common::{GENESIS_MATURES, Node, Purse, genesis, genesis_with, plan, vote};

const BTM: u64 = 100_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn without_mining_a_validator_that_is_alone_makes_no_blocks_and_does_nothing() {
    common::log();
    let mut node = Node::new(1, &genesis(&[1], 20));
    node.proposer.set(false);
    node.start(&[]).await;
    node.shows("the first height begins", |status| status.height == 1)
        .await;
    let before = node.engine().figures();
    assert!(node.stays_below(1).await);
    assert_eq!(node.engine().figures(), before, "it is idle");
    node.proposer.set(true);
    node.reaches(3).await;
    node.proposer.set(false);
    // the block that is being made may still come
    let height = node.height();
    assert!(node.stays_below(height + 2).await);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mining_a_validator_votes_and_others_propose() {
    common::log();
    let genesis = genesis(&[1, 2], 50);
    let (mut miner, mut voter) = (Node::new(1, &genesis), Node::new(2, &genesis));
    voter.proposer.set(false);
    miner.start(&[]).await;
    voter.start(&[miner.address()]).await;
    miner.reaches(4).await;
    voter.reaches(4).await;
    assert_eq!(voter.engine().figures().drafted, 0);
    assert!(voter.engine().figures().guard.signed > 0);
    miner.stop().await;
    voter.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_empty_blocks_a_height_waits_for_a_transaction() {
    common::log();
    let genesis = genesis(&[1, 2], 30);
    let mut purse = Purse::of(&genesis);
    let mut nodes = [Node::new(1, &genesis), Node::new(2, &genesis)];
    nodes[0].start(&[]).await;
    let first = nodes[0].address();
    nodes[1].start(&[first]).await;
    for node in &nodes {
        node.reaches(GENESIS_MATURES).await;
    }
    for node in &mut nodes {
        node.stop().await;
        node.settings.empty_blocks = false;
    }
    nodes[0].start(&[]).await;
    let first = nodes[0].address();
    nodes[1].start(&[first]).await;
    let height = nodes[0].height().max(nodes[1].height());
    for node in &nodes {
        node.reaches(height).await;
    }
    assert!(nodes[0].stays_below(height + 1).await);
    // one of them hears of it, and that wakes the other
    nodes[1].submit(purse.pay(Vec::new()));
    for node in &nodes {
        node.reaches(height + 1).await;
    }
    let reader = nodes[0].chain().read().unwrap();
    let found = (height + 1..=nodes[0].height())
        .filter_map(|height| reader.block(height).unwrap())
        .any(|block| block.transactions.len() == 2);
    drop(reader);
    // if the other proposed it is in the next block at the latest
    if !found {
        nodes[0].reaches(height + 2).await;
    }
    for node in &mut nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_make_validators_without_a_restart_and_unmake_them() {
    common::log();
    let genesis = genesis_with(
        &[1],
        30,
        |params| {
            params.epoch_blocks = 6;
            params.max_validators = 2;
            params.min_validator_vote_neu = BTM;
        },
        Vec::new(),
    );
    let mut purse = Purse::of(&genesis);
    let mut nodes: Vec<_> = (1..=3).map(|number| Node::new(number, &genesis)).collect();
    nodes[0].start(&[]).await;
    let first = nodes[0].address();
    for node in &mut nodes[1..] {
        node.start(std::slice::from_ref(&first)).await;
    }
    let validator = |status: &Status| status.validator;
    nodes[0].reaches(GENESIS_MATURES).await;
    nodes[1].reaches(GENESIS_MATURES).await;
    assert!(!nodes[1].engine().status().validator);
    // the two with most votes: 1 and 2
    let votes = vec![vote(1, 30 * BTM), vote(2, 20 * BTM)];
    nodes[0].submit(purse.pay(votes));
    nodes[1].shows("node 2 is voted in", validator).await;
    let height = nodes[0].height();
    nodes[0].reaches(height + 4).await;
    assert!(nodes[1].engine().figures().guard.signed > 0);
    assert!(nodes[1].engine().figures().drafted > 0);
    assert!(!nodes[2].engine().status().validator);
    // then 3 overtakes both, and 2 is the one too many
    nodes[0].submit(purse.pay(vec![vote(3, 50 * BTM)]));
    nodes[2].shows("node 3 is voted in", validator).await;
    nodes[1]
        .shows("node 2 is voted out", |status| !status.validator)
        .await;
    let height = nodes[0].height();
    let signed = nodes[1].engine().figures().guard.signed;
    for node in &nodes {
        node.reaches(height + 4).await;
    }
    // it follows, and signs nothing any more
    assert_eq!(nodes[1].engine().figures().guard.signed, signed);
    for node in &mut nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_an_upgrade_that_a_node_cannot_do_it_halts_and_still_serves() {
    common::log();
    let genesis = genesis(&[1], 20);
    let mut purse = Purse::of(&genesis);
    let mut node = Node::new(1, &genesis);
    node.start(&[]).await;
    node.reaches(GENESIS_MATURES - 1).await;
    let at = node.height() + 20;
    node.submit(purse.pay(vec![plan(&genesis, &[1], "later", at)]));
    let status = node
        .shows("the halt", |status| status.halted.is_some())
        .await;
    let halted = status.halted.unwrap();
    assert_eq!((halted.name.as_str(), halted.height), ("later", at));
    assert_eq!((node.height(), status.height), (at - 1, at));
    let signed = node.engine().figures().guard.signed;
    assert!(node.stays_below(at).await);
    assert_eq!(node.engine().figures().guard.signed, signed);
    // after a restart it halts again, and others can fetch what it has
    node.stop().await;
    node.start(&[]).await;
    node.shows("the halt", |status| status.halted.is_some())
        .await;
    let mut follower = Node::follower(2, &genesis);
    follower.start(&[node.address()]).await;
    follower.reaches(at - 1).await;
    follower
        .shows("its halt", |status| status.halted.is_some())
        .await;
    follower.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_whose_guard_refuses_abstains_until_it_may_sign_again() {
    common::log();
    let genesis = genesis(&[1, 2, 3, 4], 50);
    let mut nodes: Vec<_> = (1..=4).map(|number| Node::new(number, &genesis)).collect();
    nodes[0].start(&[]).await;
    let first = nodes[0].address();
    for node in &mut nodes[1..] {
        node.start(std::slice::from_ref(&first)).await;
    }
    nodes[3].reaches(3).await;
    let floor = nodes[3].height() + 10;
    nodes[3].engine().raise_guard(floor).await.unwrap();
    let status = nodes[3]
        .shows("it abstains", |status| status.abstains.is_some())
        .await;
    let abstains = status.abstains.unwrap();
    assert_eq!(abstains.until, Some(floor));
    assert!(
        abstains.reason.contains(&format!("up to height {floor}")),
        "{abstains:?}"
    );
    let signed = nodes[3].engine().figures().guard.signed;
    nodes[3].reaches(floor - 1).await;
    assert_eq!(nodes[3].engine().figures().guard.signed, signed);
    nodes[3]
        .shows("it votes again", |status| {
            status.abstains.is_none() && status.validator && status.height > floor
        })
        .await;
    nodes[3].reaches(floor + 8).await;
    assert!(nodes[3].engine().figures().guard.signed > signed);
    for node in &mut nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_on_two_machines_signs_on_the_first_until_that_is_stopped() {
    common::log();
    let genesis = genesis(&[1, 2, 3, 4], 100);
    let mut nodes: Vec<_> = (1..=4).map(|number| Node::new(number, &genesis)).collect();
    // the same key once more, with a guard of its own; it is paid elsewhere, so that its blocks differ
    let mut twin = Node::new(4, &genesis);
    twin.seed = 44;
    twin.proposer.set_program(Some(vec![0x51]));
    nodes[0].start(&[]).await;
    let first = nodes[0].address();
    for node in &mut nodes[1..] {
        node.start(std::slice::from_ref(&first)).await;
    }
    nodes[3].reaches(3).await;
    twin.start(&[first]).await;
    twin.shows("it hears of the other", |status| {
        let abstains = status.abstains.as_ref();
        abstains.is_some_and(|one| one.reason.contains("and not here"))
    })
    .await;
    twin.reaches(nodes[3].height() + 20).await;
    assert_eq!(twin.engine().figures().guard.signed, 0);
    let height = nodes[3].height();
    nodes[3].stop().await;
    twin.shows("it signs", |status| status.abstains.is_none())
        .await;
    assert!(twin.height() > height);
    twin.reaches(twin.height() + 5).await;
    assert!(twin.engine().figures().guard.signed > 0);
    for node in &nodes[..3] {
        assert_eq!(node.engine().figures().equivocations, 0);
    }
    twin.stop().await;
    for node in &mut nodes[..3] {
        node.stop().await;
    }
}
