//! One process replaces another, and no client notices.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use baton_ledger::Block;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::clients::{Client, Socket};
use crate::support::{BATOND, Home, Node, PATIENCE, Said, log, troubles, wait};

/// `baton` on the node's own control directory.
fn baton(home: &Home, args: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_baton"))
        .arg(args[0])
        .arg(home.at("handover"))
        .args(&args[1..])
        .output();
    output.unwrap().into()
}

fn pid(node: &Node) -> u64 {
    node.status()["baton"]["pid"].as_u64().unwrap()
}

/// Ends a node whose process is not the one that the test started.
fn stop(home: &Home, node: Node) {
    let said = home.batond(&["stop"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(node.ended().code, Some(0));
}

#[test]
fn a_reload_keeps_connections_the_address_and_the_height() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    node.reach(2);
    let (api, first, before) = (node.api(), pid(&node), node.height());
    let mut client = Client::connect(&node);
    let count = client.ask("/get-block-count", "");
    assert!(count["data"]["block_count"].as_u64() >= Some(2), "{count}");

    let said = baton(&home, &["upgrade"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("handed over"), "{said:?}");
    assert_eq!(node.api(), api);
    assert_ne!(pid(&node), first);
    assert!(node.height() >= before);
    let count = client.ask("/get-block-count", "");
    assert!(count["data"]["block_count"].as_u64() >= Some(before));
    node.reach(before + 3);
    assert_eq!(client.ask("/is-mining", "")["data"]["is_mining"], true);

    // the next one too, asked for by the signal
    let second = pid(&node);
    let process = rustix::process::Pid::from_raw(i32::try_from(second).unwrap()).unwrap();
    rustix::process::kill_process(process, Signal::USR2).unwrap();
    wait("the third process", || {
        node.try_status()
            .is_some_and(|status| status["baton"]["pid"].as_u64() != Some(second))
    });
    client.ask("/get-block-count", "");
    stop(&home, node);
    assert!(!home.at("batond.sock").exists());
    assert!(!home.log().contains("level=error"), "{}", home.log());
}

#[test]
fn a_healthy_start_and_handover_tell_of_no_trouble() {
    let home = Home::solonet();
    home.namespace("one");
    let listening = ["--prof_laddr=127.0.0.1:0", "--rpc.laddr=tcp://127.0.0.1:0"];
    let node = home.start(&[&["--mining"], &listening[..]].concat());
    node.reach(2);
    let mut socket = Socket::subscribe(&node, r#"{"topic":"notify_raw_blocks","from_height":1}"#);
    assert_eq!(socket.next()["notification_type"], "request_status");
    let mut client = Client::connect(&node);
    wait("both namespaces", || {
        let said = home.batond(&["namespace", "list", "--json"]);
        said.out.matches("running").count() == 2
    });
    for _ in 0..2 {
        let said = baton(&home, &["upgrade"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        client.ask("/get-block-count", "");
    }
    let before = node.height();
    node.reach(before + 2);
    let said = home.batond(&["stop"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = node.ended();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let logs = [home.log(), log(&home.at("namespaces/one/log"))].concat();
    assert!(logs.contains("this process is the node now"), "{logs}");
    assert_eq!(troubles(&logs), [""; 0]);
}

/// The address of a socket has room for 107 bytes of path.
#[test]
fn a_long_path_is_no_hindrance() {
    let home = Home::deep();
    assert!(home.path().as_os_str().len() >= 200);
    let node = home.start(&["--mining"]);
    node.reach(1);
    let mut client = Client::connect(&node);
    let mut pids = vec![pid(&node)];
    for _ in 0..2 {
        let said = baton(&home, &["upgrade"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        client.ask("/get-block-count", "");
        pids.push(pid(&node));
    }
    pids.dedup();
    assert_eq!(pids.len(), 3, "{pids:?}");
    let said = baton(&home, &["generations"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let address = home.at("handover/node.sock").display().to_string();
    assert!(said.out.contains(&address), "{said:?}");
    stop(&home, node);
    for socket in ["batond.sock", "handover/node.sock"] {
        assert!(!home.at(socket).exists(), "{socket}");
    }
    assert_eq!(troubles(&home.log()), [""; 0]);
    // what a killed one leaves is no hindrance either
    let node = home.start(&[]);
    node.signal(Signal::KILL);
    node.ended();
    assert!(home.at("batond.sock").exists());
    let node = home.start(&[]);
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_successor_that_cannot_go_on_leaves_the_node_as_it_was() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    node.reach(1);
    let first = pid(&node);
    let mut client = Client::connect(&node);
    for program in ["/bin/false", "/bin/cat"] {
        let said = baton(&home, &["upgrade", "--exec", program, "--timeout", "2s"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(pid(&node), first);
        client.ask("/get-block-count", "");
    }
    let said = baton(&home, &["upgrade", "--dry-run"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(pid(&node), first);
    let before = node.height();
    client.ask("/get-block-count", "");
    node.reach(before + 2);
    stop(&home, node);
}

/// The height of the block that a WebSocket tells of.
fn height(told: &Value) -> u64 {
    assert_eq!(told["notification_type"], "raw_blocks_connected", "{told}");
    let bytes = hex::decode(told["data"].as_str().unwrap()).unwrap();
    Block::decode(&bytes).unwrap().header.height
}

#[test]
fn a_websocket_misses_and_doubles_no_block_and_the_pool_comes_along() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    // what the genesis makes must mature before it can be paid with
    node.reach(10);
    let wish = r#"{"topic":"notify_raw_blocks","from_height":1}"#;
    let mut socket = Socket::subscribe(&node, wish);
    assert_eq!(socket.next()["notification_type"], "request_status");
    for wanted in 1..=5 {
        assert_eq!(height(&socket.next()), wanted);
    }
    let mut client = Client::connect(&node);
    // mining is switched on only if an account is there to be rewarded
    let key = client.ask(
        "/create-key",
        r#"{"alias":"alice","password":"a password"}"#,
    );
    let xpub = &key["data"]["xpub"];
    let account = format!(r#"{{"root_xpubs":[{xpub}],"quorum":1,"alias":"alice"}}"#);
    client.ask("/create-account", &account);
    client.ask("/set-mining", r#"{"is_mining":false}"#);
    let waiting = |client: &mut Client| {
        client.ask("/list-unconfirmed-transactions", "")["data"]["tx_ids"].clone()
    };
    let address = "sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz";
    wait("a payment that stays in the pool", || {
        // a block that was under way may have taken it along, or have left it and its money in the pool
        if waiting(&mut client) == json!([]) {
            let said = home.batond(&["pay", address, "1"]);
            assert_eq!(said.code, Some(0), "{said:?}");
        }
        let before = node.height();
        let there = waiting(&mut client) != json!([]);
        there && node.height() == before
    });
    let before = waiting(&mut client);
    // all the money there is waits in that payment's change
    let said = home.batond(&["pay", address, "1"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("wait for a block"), "{said:?}");

    for _ in 0..2 {
        let said = baton(&home, &["upgrade"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(waiting(&mut client), before);
        // what was switched at run time stays so, whatever the command line says
        let mining = client.ask("/is-mining", "");
        assert_eq!(mining["data"]["is_mining"], false, "{mining}");
    }
    client.ask("/set-mining", r#"{"is_mining":true}"#);
    let tip = node.height();
    for wanted in 6..=tip + 2 {
        assert_eq!(height(&socket.next()), wanted);
    }
    wait("the payment to be in a block", || {
        waiting(&mut client) == json!([])
    });
    stop(&home, node);
}

/// What one build has picked the next does not, whichever process makes it.
#[test]
fn what_was_picked_stays_reserved() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    node.reach(10);
    let mut client = Client::connect(&node);
    let alice = client.account("alice");
    for balance in [500_000_000, 1_000_000_000] {
        let said = home.batond(&["pay", &alice, "5"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        client.await_balance("alice", balance);
    }
    let first = client.build("alice", &alice, 100_000_000);
    let held = |client: &mut Client| client.ask("/list-reservations", "")["data"].clone();
    let before = held(&mut client);
    assert_eq!(before.as_array().unwrap().len(), 1, "{before}");

    // taken back by the process that had it, then taken over by another, and by a third one
    for args in [&["upgrade", "--dry-run"][..], &["upgrade"], &["upgrade"]] {
        let said = baton(&home, args);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(held(&mut client), before, "{args:?}");
    }
    let second = client.build("alice", &alice, 100_000_000);
    let after = held(&mut client);
    assert_eq!(after.as_array().unwrap().len(), 2, "{after}");
    assert_eq!(after[0], before[0]);
    assert_ne!(after[0]["outputs"][0]["id"], after[1]["outputs"][0]["id"]);
    for template in [first, second] {
        let id = client.submit(&template);
        wait("its block", || {
            let body = json!({ "tx_id": id }).to_string();
            let found = client.ask("/get-transaction", &body);
            found["data"]["block_height"].as_u64() > Some(0)
        });
    }
    stop(&home, node);
}

#[test]
fn namespaces_go_along_as_they_are() {
    let home = Home::solonet();
    for name in ["one", "other", "third"] {
        home.namespace(name);
    }
    let node = home.start(&["--mining"]);
    let states = || {
        let said = home.batond(&["namespace", "list", "--json"]);
        let all: Value = serde_json::from_str(&said.out).unwrap_or_default();
        let all = all.as_array().cloned().unwrap_or_default();
        let state = |one: &Value| format!("{} {}", one["name"], one["state"]).replace('"', "");
        all.iter().map(state).collect::<Vec<_>>()
    };
    let wanted = [
        "global running",
        "one running",
        "other running",
        "third running",
    ];
    wait("all namespaces", || states() == wanted);
    let said = home.batond(&["namespace", "stop", "other"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let mut client = Client::connect(&node);
    client.ask("/ns/one/get-block-count", "");
    let said = baton(&home, &["upgrade"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let wanted = [
        "global running",
        "one running",
        "other stopped",
        "third running",
    ];
    assert_eq!(states(), wanted);
    client.ask("/ns/one/get-block-count", "");
    let said = home.batond(&["namespace", "start", "other"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    client.ask("/ns/other/get-block-count", "");
    stop(&home, node);
}

/// A release of `batond` in the home of a supervisor.
fn release(home: &Home, path: &str, before: &str) {
    let path = home.at(&format!("cosmovisor/{path}/bin/batond"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = format!("#!/bin/sh\n{before}exec {BATOND} \"$@\"\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn supervised(home: &Home, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("DAEMON_NAME", "batond")
        .env("DAEMON_HOME", home.path())
        .env("DAEMON_POLL_INTERVAL", "50ms")
        .stdin(Stdio::null());
    command
}

/// At the height the old program halts and answers; its snapshot is a backup; the new one takes over and goes on.
#[test]
fn a_supervised_upgrade_keeps_connections_and_its_backup_is_good() {
    let home = Home::solonet();
    release(&home, "genesis", "FAILPOINTS=node::older=return ");
    release(&home, "upgrades/v2", "");
    let run = [
        "run",
        "node",
        "--mining",
        "--api_addr=127.0.0.1:0",
        "--p2p.laddr=tcp://127.0.0.1:0",
        "--p2p.skip_upnp",
    ];
    let node = Node::spawn(&home.path(), supervised(&home, &run));
    node.reach(10);
    let first = pid(&node);
    let mut client = Client::connect(&node);
    let mut socket = Socket::subscribe(&node, r#"{"topic":"notify_raw_blocks","from_height":1}"#);
    assert_eq!(socket.next()["notification_type"], "request_status");

    // another process of the same binary first
    let said: Said = supervised(&home, &["reload", "--handover-only"])
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, Some(0), "{said:?}");
    let second = pid(&node);
    assert_ne!(second, first);
    client.ask("/get-block-count", "");

    let height_of_plan = node.height() + 8;
    let at = height_of_plan.to_string();
    let said = home.batond(&["upgrade", "schedule", "v2", "--height", &at]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for wanted in 1..=height_of_plan + 2 {
        assert_eq!(height(&socket.next()), wanted);
    }
    client.ask("/get-block-count", "");
    assert_ne!(pid(&node), second);
    let current = fs::read_link(home.at("cosmovisor/current")).unwrap();
    assert!(current.ends_with("upgrades/v2"), "{current:?}");

    let backups = fs::read_dir(home.path()).unwrap();
    let backups = backups.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let backup = backups
        .into_iter()
        .find(|name| name.starts_with("data-backup-"))
        .expect("the upgrade makes a backup");
    let said: Said = supervised(&home, &["backup", "verify", &backup])
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = node.stop();
    assert_eq!(said.code, Some(0), "{said:?}");
    let told = [said.out, said.err].concat();
    assert!(!told.contains("WRN") && !told.contains("ERR "), "{told}");
    let logs = home.log();
    let halts = |line: &&str| line.contains("UPGRADE \\\"v2\\\" NEEDED");
    let others = troubles(&logs).into_iter().filter(|line| !halts(line));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0]);

    // the backup is of the block before the upgrade, and a node starts from it
    let other = Home::solonet();
    for file in ["genesis.json", "node_key.txt", "config.toml"] {
        fs::copy(home.at(file), other.at(file)).unwrap();
    }
    fs::remove_dir_all(other.at("data")).ok();
    copy_tree(&home.at(&backup), &other.at("data"));
    fs::remove_file(other.at("data/consensus/guard")).unwrap();
    let node = other.start(&[]);
    assert_eq!(node.height(), height_of_plan - 1);
    assert_eq!(node.stop().code, Some(0));
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_damaged_store_leaves_the_old_process_serving() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    node.reach(2);
    let first = pid(&node);
    let mut client = Client::connect(&node);
    // a store that the process that serves has open, and does not read again
    let store = home.at("data/wallet.redb");
    let away = home.at("data/wallet.away");
    fs::rename(&store, &away).unwrap();
    fs::write(&store, "this is no store").unwrap();
    let said = baton(&home, &["upgrade"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains("is damaged") || said.err.contains("is damaged"),
        "{said:?}"
    );
    fs::rename(&away, &store).unwrap();
    // it opens its stores again as soon as it can
    client.ask("/get-block-count", "");
    assert_eq!(pid(&node), first);
    let before = node.height();
    node.reach(before + 2);
    let said = baton(&home, &["upgrade"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    client.ask("/get-block-count", "");
    stop(&home, node);
}

#[test]
fn a_client_that_takes_its_time_with_a_body_holds_nothing_up() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    node.reach(1);
    let first = pid(&node);
    let body = r#"{"block_height":1}"#;
    let mut slow = TcpStream::connect(node.api()).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /get-block HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
        body.len(),
        &body[..1]
    );
    slow.write_all(head.as_bytes()).unwrap();

    let said = baton(&home, &["upgrade"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_ne!(pid(&node), first);
    // the process to which it began to speak is not the node any more, and says so
    slow.write_all(&body.as_bytes()[1..]).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("another process serves now"), "{answer}");
    stop(&home, node);
}
