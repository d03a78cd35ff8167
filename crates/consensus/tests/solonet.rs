//! A network of one validator.

mod common;

use common::{Node, genesis};

#[tokio::test(flavor = "multi_thread")]
async fn one_validator_makes_blocks_and_goes_on_after_a_restart() {
    common::log();
    let mut node = Node::new(1, &genesis(&[1], 50));
    node.start(&[]).await;
    node.reaches(5).await;
    assert!(node.engine().status().validator);
    node.stop().await;
    node.start(&[]).await;
    let before = node.height();
    assert!(before >= 5);
    node.reaches(before + 5).await;
    node.stop().await;
}
