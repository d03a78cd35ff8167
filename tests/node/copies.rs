//! What a node writes of itself, and the node that is made of it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::clients::{Client, PASSWORD};
use crate::support::{Home, Node, PATIENCE, wait};

/// Has the node write a snapshot of its data; the height of the last block in it.
fn snapshot(home: &Home, target: &Path) -> u64 {
    let mut stream = UnixStream::connect(home.at("handover/node.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = json!({ "target": target }).to_string();
    write!(
        stream,
        "POST /snapshot HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let told: Value = serde_json::from_str(body).unwrap();
    told["height"]
        .as_u64()
        .unwrap_or_else(|| panic!("{answer}"))
}

/// All that a node knows at a height: blocks with what they did, and the wallet.
fn portrait(node: &Node, height: u64) -> Vec<(String, Value)> {
    let mut client = Client::connect(node);
    wait("the wallet", || {
        client.ask("/wallet-info", "")["data"]["wallet_height"] == height
    });
    let mut all = Vec::new();
    let mut ask = |path: &str, body: &str| {
        let mut data = client.ask(path, body)["data"].clone();
        // where a key lies is another place in another home
        for key in data.as_array_mut().into_iter().flatten() {
            key.as_object_mut().unwrap().remove("file");
        }
        all.push((format!("{path} {body}"), data));
    };
    for height in 0..=height {
        let at = json!({ "block_height": height }).to_string();
        ask("/get-block", &at);
        ask("/get-raw-block", &at);
    }
    for path in [
        "/list-keys",
        "/list-accounts",
        "/list-assets",
        "/list-balances",
        "/list-unspent-outputs",
        "/list-transactions",
        "/list-unconfirmed-transactions",
    ] {
        ask(path, "{}");
    }
    for alias in ["alice", "bob"] {
        let account = json!({ "account_alias": alias }).to_string();
        ask("/list-addresses", &account);
    }
    all
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_node_made_of_a_snapshot_knows_all_that_the_other_knew() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    // what the genesis makes must mature before it can be paid with
    node.reach(10);
    let mut client = Client::connect(&node);
    let alice = client.account("alice");
    let bob = client.account("bob");
    let xpub = client.ask("/list-accounts", r#"{"alias":"alice"}"#)["data"][0]["xpubs"].clone();
    let asset = json!({ "alias": "gold", "root_xpubs": xpub, "quorum": 1, "definition": {} });
    client.ask("/create-asset", &asset.to_string());
    for balance in [500_000_000, 1_000_000_000] {
        let said = home.batond(&["pay", &alice, "5"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        client.await_balance("alice", balance);
    }
    let template = client.build("alice", &bob, 150_000_000);
    client.submit(&template);
    client.await_balance("bob", 150_000_000);
    client.ask("/set-mining", r#"{"is_mining":false}"#);

    // a block may still have been under way
    let target = home.at("copy");
    let mut height = 0;
    wait("a snapshot of the last block", || {
        let _ = fs::remove_dir_all(&target);
        fs::create_dir(&target).unwrap();
        height = snapshot(&home, &target);
        node.height() == height
    });
    let wanted = portrait(&node, height);
    let balances = wanted
        .iter()
        .find(|(asked, _)| asked.starts_with("/list-balances"));
    let balances = balances.unwrap().1.as_array().unwrap();
    assert_eq!(balances.len(), 2, "{balances:?}");
    // the other one has gone on by the time that the snapshot is used
    client.ask("/set-mining", r#"{"is_mining":true}"#);
    node.reach(height + 2);
    assert_eq!(node.stop().code, Some(0));

    let other = Home::solonet();
    for file in ["genesis.json", "node_key.txt", "config.toml"] {
        fs::copy(home.at(file), other.at(file)).unwrap();
    }
    for (from, to) in [("copy", "data"), ("keystore", "keystore")] {
        let _ = fs::remove_dir_all(other.at(to));
        copy(&home.at(from), &other.at(to));
    }
    fs::remove_file(other.at("data/consensus/guard")).unwrap();
    let node = other.start(&[]);
    assert_eq!(node.height(), height);
    let found = portrait(&node, height);
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found, wanted);
    }
    let mut client = Client::connect(&node);
    let keys = client.ask("/list-keys", "")["data"].clone();
    for key in keys.as_array().unwrap() {
        let body = json!({ "xpub": key["xpub"], "password": PASSWORD }).to_string();
        let checked = client.ask("/check-key-password", &body);
        assert_eq!(checked["data"]["check_result"], true, "{checked}");
    }
    assert_eq!(node.stop().code, Some(0));
}
