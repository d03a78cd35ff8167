//! What is left when something fails in the middle. The fault points are the process's: this is a program of its own.

mod common;

use common::{Node, decision};

#[test]
fn a_failed_commit_leaves_the_block_before() {
    let node = Node::new();
    let draft = node.draft();
    fail::cfg("chain::before_store_commit", "return").unwrap();
    let error = node
        .chain
        .commit(decision(draft.bytes.clone()))
        .unwrap_err();
    fail::remove("chain::before_store_commit");
    assert!(error.to_string().contains("core.redb"), "{error}");
    assert_eq!(node.chain.tip().height, 1);
    assert_eq!(node.chain.read().unwrap().tip().height, 1);
    assert_eq!(node.commit(draft.bytes).height(), 2);
}
