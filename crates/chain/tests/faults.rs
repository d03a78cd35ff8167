//! What is left when something fails in the middle, or the process is killed there. The fault points are the process's:
//! this is a program of its own, its tests take turns, and it runs itself to be killed.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use baton_chain::{Chain, Options, Pool, PoolSettings};
use common::support::Key;
use common::{Node, decision, genesis};

/// Where the process that is to be killed finds its store.
const STORE: &str = "BATON_TEST_STORE";
/// The fault point at which it waits for that.
const POINT: &str = "BATON_TEST_POINT";
/// How many blocks it commits before.
const BEFORE: u64 = 3;

#[test]
fn a_failed_commit_leaves_the_block_before() {
    let scenario = fail::FailScenario::setup();
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
    scenario.teardown();
}

#[test]
fn a_full_disk_is_tried_again() {
    let scenario = fail::FailScenario::setup();
    let node = Node::new();
    let draft = node.draft();
    let old = node.chain.read().unwrap();
    fail::cfg("chain::before_store_commit", "2*return(full)").unwrap();
    for _ in 0..2 {
        let failed = node.chain.commit(decision(draft.bytes.clone()));
        assert!(failed.unwrap_err().is_disk_full());
        assert_eq!(node.chain.read().unwrap().tip().height, 1);
    }
    // a snapshot from before has what it has in memory, and is closed otherwise
    let output = node.supply().entries().outputs[0].id;
    assert!(old.utxo(&output).map_or(true, |utxo| utxo.is_some()));
    assert_eq!(node.commit(draft.bytes).height(), 2);
    assert_eq!(node.chain.verify(|_| ()).unwrap().tip.height, 2);
    scenario.teardown();
}

/// The next block of a chain, empty, made by nobody in particular.
fn advance(chain: &Chain, pool: &Pool) -> u64 {
    let now = chain.tip().timestamp_ms + chain.params().block_interval_ms;
    let program = Key::new(200).program();
    let draft = chain.draft(pool, &program, b"", now).unwrap();
    chain.commit(decision(draft.bytes)).unwrap().height()
}

/// The process that is killed: it commits blocks, tells their heights, and says when it has come to the point.
#[test]
#[ignore = "runs only as the child of another test"]
fn child() {
    let Some(store) = std::env::var_os(STORE) else {
        return;
    };
    let chain = Chain::open(Path::new(&store), &genesis(), Options::default()).unwrap();
    let pool = Pool::open(&chain, PoolSettings::default(), None).unwrap();
    let point = std::env::var(POINT).unwrap();
    loop {
        if chain.tip().height == BEFORE && !point.is_empty() {
            let reached = || loop {
                println!("\nreached");
                std::thread::park();
            };
            fail::cfg_callback(point.as_str(), reached).unwrap();
        }
        let height = advance(&chain, &pool);
        println!("\nheight {height}");
    }
}

fn spawn(store: &Path, point: &str) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored", "--nocapture"])
        .env(STORE, store)
        .env(POINT, point)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines.map_while(Result::ok))
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Opens what the killed process left.
fn survived(store: &Path) -> Chain {
    let chain = Chain::open(store, &genesis(), Options::default()).unwrap();
    let verified = chain.verify(|_| ()).unwrap();
    assert_eq!(verified.tip, chain.tip());
    chain
}

#[test]
fn a_kill_around_the_commit_leaves_whole_blocks() {
    let scenario = fail::FailScenario::setup();
    for (point, height) in [
        ("chain::before_store_commit", BEFORE),
        ("chain::after_store_commit", BEFORE + 1),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("core.redb");
        let (child, mut lines) = spawn(&store, point);
        assert!(lines.any(|line| line == "reached"), "{point}");
        kill(child);
        let chain = survived(&store);
        assert_eq!(chain.tip().height, height, "{point}");
        let pool = Pool::open(&chain, PoolSettings::default(), None).unwrap();
        assert_eq!(advance(&chain, &pool), height + 1);
    }
    scenario.teardown();
}

#[test]
fn what_a_killed_process_has_told_is_there() {
    let scenario = fail::FailScenario::setup();
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("core.redb");
    let mut told = 0;
    for lives in 1..=8 {
        let (child, lines) = spawn(&store, "");
        let heights = lines.filter_map(|line| line.strip_prefix("height ")?.parse::<u64>().ok());
        told = heights.take(lives).last().unwrap();
        kill(child);
        assert!(survived(&store).tip().height >= told);
    }
    assert!(told >= 8);
    scenario.teardown();
}

#[test]
fn a_store_that_cannot_be_made_is_not_there() {
    let scenario = fail::FailScenario::setup();
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("core.redb");
    // it is not in place before it is whole
    fail::cfg("chain::before_store_commit", "return").unwrap();
    let error = Chain::open(&store, &genesis(), Options::default())
        .err()
        .unwrap();
    fail::remove("chain::before_store_commit");
    assert!(error.to_string().contains("core.redb.new"), "{error}");
    assert!(!store.exists());
    assert_eq!(survived(&store).tip().height, 0);
    scenario.teardown();
}
