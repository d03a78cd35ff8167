//! What a validator does when its disk fails or its files are lost. The fault points are the process's: each test waits
//! for the other.

mod common;

use common::{Node, genesis};
use tokio::sync::Mutex;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_cannot_be_written_signs_nothing_until_a_restart() {
    let _one = ONE_AT_A_TIME.lock().await;
    common::log();
    let mut node = Node::new(1, &genesis(&[1], 20));
    node.start(&[]).await;
    node.reaches(3).await;
    fail::cfg("guard::before_write", "return").unwrap();
    let status = node
        .shows("it is silent", |status| status.abstains.is_some())
        .await;
    fail::remove("guard::before_write");
    let abstains = status.abstains.unwrap();
    assert_eq!(abstains.until, None);
    assert!(abstains.reason.contains("guard: writing"), "{abstains:?}");
    // what is on the disk after a failed write nobody knows
    let height = node.height();
    assert!(node.stays_below(height + 1).await);
    node.stop().await;
    node.start(&[]).await;
    node.reaches(height + 3).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decided_block_that_is_lost_is_not_replaced_by_another() {
    let _one = ONE_AT_A_TIME.lock().await;
    common::log();
    let mut node = Node::new(1, &genesis(&[1], 20));
    node.start(&[]).await;
    node.reaches(3).await;
    fail::cfg("consensus::before_commit", "panic").unwrap();
    let status = node
        .shows("the commit failed", |status| status.last_error.is_some())
        .await;
    assert!(status.last_error.unwrap().contains("panicked"));
    let height = node.height();
    node.stop().await;
    fail::remove("consensus::before_commit");
    let saved = node.home().join("saved.redb");
    let proposals = node.settings.fastsync.clone();
    std::fs::copy(&proposals, &saved).unwrap();
    // without them there is nobody to fetch the block from: it must not sign another in its place
    std::fs::remove_file(&proposals).unwrap();
    // the clock has gone on, so that a new block differs
    node.start(&[]).await;
    let status = node
        .shows("it is silent", |status| status.abstains.is_some())
        .await;
    let abstains = status.abstains.unwrap();
    assert_eq!(abstains.until, Some(height + 1));
    assert!(
        abstains.reason.contains("was signed already"),
        "{abstains:?}"
    );
    assert!(node.stays_below(height + 1).await);
    node.stop().await;
    std::fs::copy(&saved, &proposals).unwrap();
    node.start(&[]).await;
    node.reaches(height + 3).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() {
    let _one = ONE_AT_A_TIME.lock().await;
    common::log();
    let mut node = Node::new(1, &genesis(&[1], 20));
    node.start(&[]).await;
    node.reaches(3).await;
    for (point, full, file) in [
        ("proposals::before_commit", "return", "fastsync.redb"),
        ("chain::before_store_commit", "return(full)", "core.redb"),
    ] {
        fail::cfg(point, full).unwrap();
        let status = node
            .shows("the disk is full", |status| status.last_error.is_some())
            .await;
        let told = status.last_error.unwrap();
        assert!(
            told.contains(file) && told.contains("no storage space"),
            "{told}"
        );
        let height = node.height();
        let block = node.chain().read().unwrap().block(height).unwrap();
        assert!(block.is_some(), "reads go on");
        fail::remove(point);
        node.reaches(height + 3).await;
        node.shows("all is well", |status| status.last_error.is_none())
            .await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_otherwise_is_not_tried_again_before_a_restart() {
    let _one = ONE_AT_A_TIME.lock().await;
    common::log();
    let mut node = Node::new(1, &genesis(&[1], 20));
    node.start(&[]).await;
    node.reaches(3).await;
    fail::cfg("chain::before_store_commit", "return").unwrap();
    let status = node
        .shows("consensus stops", |status| status.last_error.is_some())
        .await;
    let told = status.last_error.unwrap();
    assert!(
        told.contains("core.redb: ") && told.contains("restart the node"),
        "{told}"
    );
    fail::remove("chain::before_store_commit");
    let height = node.height();
    assert!(node.stays_below(height + 1).await);
    node.stop().await;
    node.start(&[]).await;
    node.reaches(height + 3).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_does_not_keep_a_node_down() {
    let _one = ONE_AT_A_TIME.lock().await;
    common::log();
    let mut node = Node::new(1, &genesis(&[1], 20));
    node.start(&[]).await;
    node.reaches(3).await;
    let height = node.height();
    node.stop().await;
    let log = node.home().join("consensus/wal");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[..4].fill(0xff);
    std::fs::write(&log, bytes).unwrap();
    node.start(&[]).await;
    node.reaches(height + 3).await;
    node.stop().await;
    assert!(node.home().join("consensus/wal.damaged-1").exists());
}
