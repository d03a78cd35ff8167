//! Several nodes that form a network.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use baton_ledger::Address;
use baton_ledger::address::Prefix;
use serde_json::Value;

use crate::support::{BATOND, Node, Said, command, wait};

/// A network in a temporary directory.
struct Net {
    dir: tempfile::TempDir,
}

impl Net {
    /// Ports are the kernel's choice and those after it, which are free as a rule; another is tried if not.
    fn of(validators: usize) -> (Self, Vec<Node>) {
        for _ in 0..10 {
            let dir = tempfile::tempdir().unwrap();
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let base = free.local_addr().unwrap().port().min(65_000);
            drop(free);
            let last = base + u16::try_from(2 * validators).unwrap();
            if (base..last).any(|port| TcpListener::bind(("127.0.0.1", port)).is_err()) {
                continue;
            }
            let net = Self { dir };
            let said: Said = Command::new(BATOND)
                .args(["testnet", "--validators", &validators.to_string()])
                .args(["--base-port", &base.to_string(), "--output"])
                .arg(net.dir.path().join("net"))
                .output()
                .unwrap()
                .into();
            assert_eq!(said.code, Some(0), "{said:?}");
            let nodes = (0..validators).map(|index| net.start(index)).collect();
            return (net, nodes);
        }
        panic!("no free ports");
    }

    fn home(&self, index: usize) -> PathBuf {
        self.dir.path().join(format!("net/node{index}"))
    }

    fn start(&self, index: usize) -> Node {
        let home = self.home(index);
        Node::spawn(&home, command(&home, &["node"]))
    }
}

#[test]
fn a_generated_network_makes_blocks_and_passes_transactions_on() {
    let (net, mut nodes) = Net::of(3);
    for node in &nodes {
        node.reach(3);
    }
    let hash = |node: &Node| {
        let block = node.ask("/get-block", r#"{"block_height":3}"#);
        block["data"]["hash"].clone()
    };
    assert_eq!(hash(&nodes[0]), hash(&nodes[1]));
    assert_eq!(hash(&nodes[0]), hash(&nodes[2]));
    wait("all to be connected", || {
        nodes
            .iter()
            .all(|node| node.ask("/net-info", "")["data"]["peer_count"] == 2)
    });

    // what one node is told the others know, and is in a block soon
    nodes[0].reach(10);
    let address = Address::PublicKeyHash([7; 20]).encode(Prefix::WISDOM);
    let said: Said = command(&net.home(0), &["pay", &address, "1"])
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, Some(0), "{said:?}");
    let paid: Value = serde_json::from_str(&said.out).unwrap();
    let id = paid["tx_id"].as_str().unwrap().to_owned();
    wait("the transaction to be in a block at another node", || {
        let count = nodes[2].height();
        (1..=count).rev().take(20).any(|height| {
            let block = nodes[2].ask("/get-block", &format!(r#"{{"block_height":{height}}}"#));
            let transactions = block["data"]["transactions"].as_array().unwrap();
            transactions.iter().any(|one| one["id"] == id.as_str())
        })
    });

    // one that was away catches up
    let away = nodes.remove(1);
    assert_eq!(away.stop().code, Some(0));
    let back = net.start(1);
    let goal = nodes[0].height();
    back.reach(goal);
    for node in nodes {
        assert_eq!(node.stop().code, Some(0));
    }
}
