//! Start and stop.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Home, wait};

/// The steps of a start as they must follow each other.
const STEPS: [&str; 17] = [
    "logging",
    "listeners",
    "lock",
    "network parameters",
    "store core",
    "store accesstoken",
    "store trace",
    "transaction pool",
    "keystore",
    "wallet",
    "peers",
    "mining address",
    "sign guard",
    "api",
    "control socket",
    "consensus",
    "proposer",
];

/// The parts in the order in which they stop.
const PARTS: [&str; 5] = ["requests", "api", "consensus", "peers", "wallet"];

fn positions(log: &str, marks: impl Iterator<Item = String>) -> Vec<usize> {
    marks
        .map(|mark| {
            log.find(&mark)
                .unwrap_or_else(|| panic!("no {mark} in {log}"))
        })
        .collect()
}

#[test]
fn a_solonet_makes_blocks_from_the_first_minute_and_goes_on_where_it_stopped() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    node.reach(2);
    let count = node.ask("/get-block-count", "");
    assert!(
        count["data"]["block_count"].as_u64().unwrap() >= 2,
        "{count}"
    );
    let ready = node.ask("/readyz", "");
    assert_eq!(ready["ready"], true, "{ready}");
    let status = node.status();
    assert!(
        status["sync_info"]["latest_block_height"].is_string(),
        "{status}"
    );
    assert_eq!(
        status["baton"]["pid"].as_u64().unwrap(),
        u64::from(node.pid())
    );
    let wallet = &status["baton"]["global"]["wallet"];
    assert!(wallet["error"].is_null(), "{wallet}");

    let said = node.stop();
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<_> = said.out.lines().collect();
    assert!(
        lines[0].starts_with("all logs are output in the ") && lines[0].ends_with("/log directory")
    );
    assert_eq!(lines[1..], ["captured terminated, exiting..."]);
    assert_eq!(said.err, "");
    assert!(!home.at("batond.sock").exists());

    let log = home.log();
    let quoted = |name: &str| {
        if name.contains(' ') {
            format!("{name:?}")
        } else {
            name.to_owned()
        }
    };
    let steps = STEPS.map(|step| format!("step={} took=", quoted(step)));
    assert!(positions(&log, steps.into_iter()).is_sorted(), "{log}");
    let parts = PARTS.map(|part| format!("msg=stopped part={} took=", quoted(part)));
    assert!(positions(&log, parts.into_iter()).is_sorted(), "{log}");
    assert!(!log.contains("level=error"), "{log}");

    let before: u64 = lines_of_height(&log);
    let node = home.start(&["--mining"]);
    node.reach(before + 1);
    node.signal(Signal::INT);
    let said = node.ended();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.ends_with("captured interrupt, exiting...\n"),
        "{said:?}"
    );
}

/// The height at which consensus stopped.
fn lines_of_height(log: &str) -> u64 {
    let line = log
        .lines()
        .rfind(|line| line.contains("consensus has stopped"));
    let tip = line.and_then(|line| line.split("tip=").nth(1));
    tip.and_then(|tip| tip.split(' ').next()?.parse().ok())
        .unwrap()
}

#[test]
fn a_second_node_on_the_home_is_told_who_has_it_and_a_killed_one_holds_nobody_up() {
    let home = Home::solonet();
    let node = home.start(&[]);
    let second = home.batond(&["node", "--api_addr=127.0.0.1:0", "--p2p.laddr=127.0.0.1:0"]);
    assert_eq!(second.code, Some(1));
    let wanted = format!(
        "Error: datadir already used by another process (pid {})\n",
        node.pid()
    );
    assert_eq!(second.err, wanted);
    node.signal(Signal::KILL);
    node.ended();
    assert!(
        home.at("batond.sock").exists(),
        "it had no time to remove it"
    );
    let node = home.start(&[]);
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn stop_waits_until_the_node_has_stopped() {
    let home = Home::solonet();
    let node = home.start(&[]);
    let said = home.batond(&["stop"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(
        fs::read_to_string(home.at("LOCK"))
            .unwrap()
            .contains(&node.pid().to_string())
    );
    assert_eq!(node.ended().code, Some(0));
    let said = home.batond(&["status"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.starts_with("ERROR: no node runs on "), "{said:?}");
}

#[test]
fn signals_at_once_are_one_order_to_stop() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    node.reach(1);
    // as a service manager does that tells the process and its group
    node.signal(Signal::TERM);
    node.signal(Signal::INT);
    node.signal(Signal::TERM);
    let said = node.ended();
    assert_eq!(said.code, Some(0), "{said:?}");
    let log = home.log();
    assert!(!log.contains("asked again"), "{log}");
    assert!(log.contains("batond has stopped"), "{log}");
}

#[test]
fn a_hang_up_has_the_log_opened_anew() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    node.reach(1);
    let general = fs::read_dir(home.at("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("general.")
        })
        .unwrap();
    fs::rename(&general, home.at("moved")).unwrap();
    node.signal(Signal::HUP);
    wait("there is a log again", || general.exists());
    let height = node.height();
    node.reach(height + 1);
    assert_eq!(node.stop().code, Some(0));
    let moved = fs::read_to_string(home.at("moved")).unwrap();
    assert!(!moved.contains("batond has stopped"), "{moved}");
}

#[test]
fn without_a_wallet_a_validator_proposes_for_a_configured_address() {
    let home = Home::solonet();
    let address = "sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz";
    let node = home.start(&["--wallet.disable", "--mining", "--mining_address", address]);
    node.reach(1);
    let block = node.ask("/get-block", r#"{"block_height":1}"#);
    let payee = &block["data"]["transactions"][0]["outputs"][0]["address"];
    assert_eq!(payee, address, "{block}");
    assert!(node.status()["baton"]["global"]["wallet"].is_null());
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn logs_can_go_to_standard_error_as_json() {
    let home = Home::solonet();
    let node = home.start(&["--log.stderr", "--log.format=json", "--log_level=debug"]);
    let said = node.stop();
    assert!(!home.at("log").exists());
    for line in said.err.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            event["msg"].is_string() && event["module"].is_string(),
            "{line}"
        );
    }
    assert!(said.err.contains("batond has stopped"), "{said:?}");
    assert_eq!(said.out, "captured terminated, exiting...\n");
}

#[test]
fn rewards_go_to_an_account_as_soon_as_there_is_one_and_the_node_key_can_pay() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    let key = node.ask(
        "/create-key",
        r#"{"alias":"alice","password":"a password"}"#,
    );
    let xpub = &key["data"]["xpub"];
    let account = format!(r#"{{"root_xpubs":[{xpub}],"quorum":1,"alias":"alice"}}"#);
    node.ask("/create-account", &account);
    wait("rewards to go to the account", || {
        home.log().contains("rewards go here from now on")
    });
    let receiver = node.ask("/create-account-receiver", r#"{"account_alias":"alice"}"#);
    let address = receiver["data"]["address"].as_str().unwrap();
    // what the genesis makes must mature first
    node.reach(10);
    let said = home.batond(&["pay", address, "12.5"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    wait("the payment to arrive", || {
        let balances = node.ask("/list-balances", "{}");
        balances["data"][0]["amount"] == 1_250_000_000_u64
    });
    let said = home.batond(&["pay", address, "99999999999"]);
    assert!(said.err.contains("neu to spend"), "{said:?}");
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_client_that_keeps_its_connection_does_not_hold_up_a_stop() {
    let home = Home::solonet();
    let node = home.start(&[]);
    let mut idle = TcpStream::connect(node.api()).unwrap();
    idle.write_all(b"POST /get-block-count HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    let mut answer = [0; 16];
    idle.read_exact(&mut answer).unwrap();
    let since = Instant::now();
    assert_eq!(node.stop().code, Some(0));
    // the handover library alone would wait for more than five seconds
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
}
