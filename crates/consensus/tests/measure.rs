//! What consensus costs. Run with `cargo test --release -p baton-consensus --test measure -- --ignored --nocapture`; each
//! measurement prints a JSON line.
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod common;

use std::time::Instant;

use common::{Node, genesis};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn solonet_and_sync() {
    const BLOCKS: u64 = 2_000;
    let genesis = genesis(&[1], 1);
    let mut validator = Node::new(1, &genesis);
    validator.start(&[]).await;
    validator.reaches(50).await;
    let (began, from) = (Instant::now(), validator.height());
    let before = validator.engine().figures();
    validator.reaches(from + BLOCKS).await;
    let blocks = (validator.height() - from) as f64;
    let took = began.elapsed();
    let after = validator.engine().figures();
    let per_block = |count: u64| count as f64 / blocks;
    println!(
        "{}",
        serde_json::json!({
            "measurement": "empty blocks of one validator, one after the other",
            "blocks": blocks,
            "ms_per_block": took.as_secs_f64() * 1e3 / blocks,
            "commit_ms": per_block(after.commit_micros - before.commit_micros) / 1e3,
            "guard_flushes_per_block": per_block(after.guard.flushes - before.guard.flushes),
            "wal_flushes_per_block": per_block(after.wal_flushes - before.wal_flushes),
        })
    );
    validator.proposer.set(false);
    let mut follower = Node::follower(9, &genesis);
    follower.start(&[validator.address()]).await;
    follower.reaches(1).await;
    let (began, from) = (Instant::now(), follower.height());
    follower.reaches(validator.height()).await;
    let blocks = (follower.height() - from) as f64;
    println!(
        "{}",
        serde_json::json!({
            "measurement": "empty blocks fetched from one peer",
            "blocks": blocks,
            "blocks_per_second": blocks / began.elapsed().as_secs_f64(),
        })
    );
    follower.stop().await;
    validator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn four_validators() {
    const BLOCKS: u64 = 200;
    let genesis = genesis(&[1, 2, 3, 4], 1);
    let mut nodes: Vec<_> = (1..=4).map(|number| Node::new(number, &genesis)).collect();
    nodes[0].start(&[]).await;
    let first = nodes[0].address();
    for node in &mut nodes[1..] {
        node.start(std::slice::from_ref(&first)).await;
    }
    nodes[0].reaches(10).await;
    let (began, from) = (Instant::now(), nodes[0].height());
    let before = nodes[0].engine().figures();
    nodes[0].reaches(from + BLOCKS).await;
    let blocks = (nodes[0].height() - from) as f64;
    let after = nodes[0].engine().figures();
    println!(
        "{}",
        serde_json::json!({
            "measurement": "empty blocks of four validators in one process",
            "blocks": blocks,
            "ms_per_block": began.elapsed().as_secs_f64() * 1e3 / blocks,
            "guard_flushes_per_block": (after.guard.flushes - before.guard.flushes) as f64 / blocks,
            "wal_flushes_per_block": (after.wal_flushes - before.wal_flushes) as f64 / blocks,
            "extra_rounds": after.extra_rounds - before.extra_rounds,
        })
    );
    for node in &mut nodes {
        node.stop().await;
    }
}
