//! Networks of several validators, over loopback.

mod common;

use std::time::Duration;

use common::{Node, genesis, within};

/// Starts nodes that all know the first.
async fn start_all(nodes: &mut [Node]) {
    nodes[0].start(&[]).await;
    let first = nodes[0].address();
    for node in &mut nodes[1..] {
        node.start(std::slice::from_ref(&first)).await;
    }
}

/// All have, or come to have, the same block at a height.
async fn agree(nodes: &[&Node], height: u64) {
    for node in nodes {
        node.reaches(height).await;
    }
    let hashes: Vec<_> = nodes
        .iter()
        .map(|node| node.chain().read().unwrap().app_hash_at(height).unwrap())
        .collect();
    assert!(hashes[0].is_some());
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_agree_and_one_comes_back() {
    common::log();
    let genesis = genesis(&[1, 2, 3, 4], 100);
    let mut nodes: Vec<_> = (1..=4).map(|number| Node::new(number, &genesis)).collect();
    start_all(&mut nodes).await;
    for node in &nodes {
        node.reaches(8).await;
    }
    agree(&nodes.iter().collect::<Vec<_>>(), 8).await;
    // three of four are enough, though one in four turns fails
    nodes[3].stop().await;
    let height = nodes[0].height();
    nodes[0].reaches(height + 8).await;
    let first = nodes[0].address();
    nodes[3].start(&[first]).await;
    let behind = nodes[0].height();
    nodes[3].reaches(behind + 4).await;
    agree(&nodes.iter().collect::<Vec<_>>(), behind + 4).await;
    assert!(nodes[3].engine().figures().guard.signed > 0);
    for node in &mut nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_follows_fetches_the_chain_from_genesis() {
    common::log();
    let genesis = genesis(&[1], 20);
    let mut validator = Node::new(1, &genesis);
    validator.start(&[]).await;
    validator.reaches(150).await;
    let mut follower = Node::follower(9, &genesis);
    follower.start(&[validator.address()]).await;
    let height = validator.height();
    follower.reaches(height).await;
    agree(&[&validator, &follower], height).await;
    // from then on it follows block by block
    let mut status = follower.engine().watch();
    within(
        "the follower is up to date",
        status.wait_for(|status| !status.syncing),
    )
    .await
    .unwrap();
    follower.reaches(height + 20).await;
    let figures = follower.engine().figures();
    assert!(figures.synced >= 100, "{figures:?}");
    assert!(!follower.engine().status().validator);
    assert_eq!(figures.guard.signed, 0);
    validator.stop().await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_come_at_the_interval_and_not_faster() {
    common::log();
    let genesis = genesis(&[1, 2, 3, 4], 400);
    let mut nodes: Vec<_> = (1..=4).map(|number| Node::new(number, &genesis)).collect();
    start_all(&mut nodes).await;
    nodes[0].reaches(2).await;
    let began = std::time::Instant::now();
    nodes[0].reaches(12).await;
    let took = began.elapsed();
    let reader = nodes[0].chain().read().unwrap();
    let times: Vec<u64> = (2..=12)
        .map(|height| reader.header(height).unwrap().unwrap().timestamp_ms)
        .collect();
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= 400),
        "{times:?}"
    );
    assert!(took > Duration::from_millis(3_600), "{took:?}");
    drop(reader);
    for node in &mut nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_restored_from_a_backup_signs_nothing_before_it_has_caught_up() {
    common::log();
    let genesis = genesis(&[1, 2, 3, 4], 50);
    let mut nodes: Vec<_> = (1..=4).map(|number| Node::new(number, &genesis)).collect();
    start_all(&mut nodes).await;
    nodes[3].reaches(4).await;
    nodes[3].stop().await;
    let backup = tempfile::tempdir().unwrap();
    common::copy(nodes[3].home(), backup.path());
    let first = nodes[0].address();
    nodes[3].start(std::slice::from_ref(&first)).await;
    let height = nodes[3].height() + 10;
    nodes[3].reaches(height).await;
    // the others go on meanwhile: only what it has signed itself counts
    let signed_till = nodes[3].height();
    nodes[3].stop().await;
    // the sign guard comes back with all else, and knows nothing of what was signed since
    common::copy(backup.path(), nodes[3].home());
    nodes[3].start(&[first]).await;
    assert!(nodes[3].height() < height);
    let status = nodes[3].engine().status();
    assert!(status.abstains.is_some(), "{status:?}");
    nodes[3]
        .shows("it signs again", |status| status.abstains.is_none())
        .await;
    assert!(
        nodes[3].height() >= signed_till,
        "{} {signed_till}",
        nodes[3].height()
    );
    let height = nodes[0].height() + 8;
    agree(&nodes.iter().collect::<Vec<_>>(), height).await;
    assert!(nodes[3].engine().figures().guard.signed > 0);
    for node in &mut nodes {
        node.stop().await;
    }
}
