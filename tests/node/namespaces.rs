//! Several chains in one process.

use std::fs;

use serde_json::Value;

use crate::support::{Home, Node, log, wait};

fn namespace(home: &Home, args: &[&str]) -> String {
    let said = home.batond(&[&["namespace"], args].concat());
    assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
    said.out
}

fn listed(home: &Home) -> Vec<(String, String)> {
    let list: Value = serde_json::from_str(&namespace(home, &["list", "--json"])).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = list.as_array().unwrap().iter();
    all.map(|one| (text(&one["name"]), text(&one["state"])))
        .collect()
}

fn states(home: &Home) -> String {
    let all = listed(home);
    let all: Vec<_> = all
        .iter()
        .map(|(name, state)| format!("{name} {state}"))
        .collect();
    all.join(", ")
}

/// Lets the proposer of a namespace work.
fn mine(home: &Home, name: &str) {
    let path = home.at(&format!("namespaces/{name}/config.toml"));
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("# mining = false", "mining = true")).unwrap();
}

#[test]
fn namespaces_come_and_go_while_the_node_runs() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    home.namespace("second");
    assert_eq!(states(&home), "global running, second running");
    namespace(&home, &["stop", "second"]);
    mine(&home, "second");
    namespace(&home, &["start", "second"]);
    let count = |node: &Node| {
        let count = node.ask("/ns/second/get-block-count", "");
        count["data"]["block_count"].as_u64().unwrap_or(0)
    };
    wait("blocks in the second", || count(&node) >= 2);
    node.reach(2);
    // they are different chains
    let hash = |prefix: &str| {
        let path = format!("{prefix}/get-block-header");
        node.ask(&path, r#"{"block_height":0}"#)["data"].to_string()
    };
    assert_ne!(hash(""), hash("/ns/second"));
    let own = log(&home.at("namespaces/second/log"));
    assert!(
        own.contains("opening the chain") && own.contains("namespace=second"),
        "{own}"
    );

    let said = home.batond(&["namespace", "destroy", "second", "--yes"]);
    assert!(said.err.contains("namespace stop second"), "{said:?}");
    namespace(&home, &["stop", "second"]);
    assert_eq!(states(&home), "global running, second stopped");
    let before = node.height();
    node.reach(before + 1);
    let said = home.batond(&["namespace", "destroy", "second"]);
    assert!(said.err.contains("--yes"), "{said:?}");
    namespace(&home, &["destroy", "second", "--yes"]);
    assert_eq!(states(&home), "global running");
    assert!(!home.at("namespaces/second").exists());
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn one_that_cannot_start_leaves_the_others_alone() {
    let home = Home::solonet();
    home.namespace("bad");
    home.namespace("good");
    mine(&home, "good");
    fs::write(home.at("namespaces/bad/genesis.json"), "{}").unwrap();
    let node = home.start(&["--mining"]);
    wait("the good one", || states(&home).contains("good running"));
    assert_eq!(states(&home), "bad failed, global running, good running");
    let list = namespace(&home, &["list"]);
    assert!(list.contains("genesis.json"), "{list}");
    node.reach(2);
    let said = home.batond(&["namespace", "start", "bad"]);
    assert!(said.err.contains("cannot be started"), "{said:?}");
    namespace(&home, &["stop", "global"]);
    assert_eq!(node.ended().code, Some(0));
    assert_eq!(states(&home), "global stopped, bad stopped, good stopped");
}

#[test]
fn a_panic_in_one_stops_that_one_and_no_other() {
    let home = Home::solonet();
    home.namespace("second");
    home.namespace("third");
    mine(&home, "third");
    let mut command = home.command(&[
        "node",
        "--mining",
        "--api_addr=127.0.0.1:0",
        "--p2p.laddr=tcp://127.0.0.1:0",
        "--p2p.skip_upnp",
    ]);
    command.env("FAILPOINTS", "node::tidying-of-second=panic(out of luck)");
    let node = Node::spawn(&home.path(), command);
    wait("the second to fail", || {
        states(&home).contains("second failed")
    });
    let list = namespace(&home, &["list"]);
    assert!(list.contains("tidying died: it panicked: "), "{list}");
    assert!(list.contains("out of luck"), "{list}");
    let before = node.height();
    node.reach(before + 2);
    assert_eq!(
        states(&home),
        "global running, second failed, third running"
    );
    // all its parts were closed in order, so that it can be started again, and dies again
    let said = home.batond(&["namespace", "start", "second"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    wait("the second to fail", || {
        states(&home).contains("second failed")
    });
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_panic_in_global_ends_the_node_in_order() {
    let home = Home::solonet();
    let mut command = home.command(&[
        "node",
        "--api_addr=127.0.0.1:0",
        "--p2p.laddr=tcp://127.0.0.1:0",
        "--p2p.skip_upnp",
    ]);
    command.env("FAILPOINTS", "node::tidying-of-global=panic(out of luck)");
    let said: crate::support::Said = command.output().unwrap().into();
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("tidying died: it panicked"), "{said:?}");
    assert!(home.log().contains("the chain is closed"), "{}", home.log());
}
