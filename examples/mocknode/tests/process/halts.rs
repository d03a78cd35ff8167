//! How a node ends at an upgrade's height, and who can go on from there.

use crate::common::{Home, until};
use rustix::process::Signal;

const PLAN_FILE: &str =
    r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":5,"info":"a\u0026b"}"#;

#[test]
fn in_consensus_the_process_stays_up_and_the_new_binary_goes_on() {
    let home = Home::new("plan = ['v2:5:a&b', 'v3:9']");
    let mut node = home.start("genesis", &[]);
    node.says("CONSENSUS FAILURE!!!");
    assert!(
        home.read("stdout")
            .contains("ERR UPGRADE \"v2\" NEEDED at height: 5: a&b\n")
    );
    assert_eq!(home.plan_file(), PLAN_FILE);
    assert_eq!(home.status_height(), Some(5));
    assert!(node.is_running());
    node.stop();

    let mut v2 = home.start("v2", &[]);
    v2.says("applying upgrade \"v2\" at height: 5");
    v2.says("UPGRADE \"v3\" NEEDED at height: 9");
    v2.stop();
    let mut v3 = home.start("v3", &[]);
    v3.reaches(12);
    v3.stop();
    let applied: Vec<_> = home
        .events("applied")
        .iter()
        .map(|e| e["plan"].clone())
        .collect();
    assert_eq!(applied, ["v2", "v3"]);
    // the data remembers
    let stderr = home.start("v2", &[]).ends_with(1);
    assert!(
        stderr.contains("wrong app version 2, upgrade handler is missing for v3 upgrade plan"),
        "{stderr}"
    );
}

#[test]
fn in_block_sync_the_process_exits_with_2() {
    let home = Home::new("plan = ['v2:5:a&b']\nhalt-style = 'block-sync'");
    let stderr = home.start("genesis", &[]).ends_with(2);
    assert!(
        stderr.starts_with("panic: Failed to process committed block (5:"),
        "{stderr}"
    );
    assert_eq!(home.plan_file(), PLAN_FILE);
}

#[test]
fn on_restart_at_the_height_it_exits_with_1_before_it_can_be_reached() {
    let home = Home::new("plan = ['v2:5:a&b']\nhalt-style = 'handshake'");
    let (status, _) = home.start("genesis", &[]).ends();
    assert_eq!(status.code(), None);
    assert_eq!(home.plan_file(), "");
    for _ in 0..2 {
        let stderr = home.start("genesis", &[]).ends_with(1);
        assert!(stderr.contains("error during handshake: error on replay: UPGRADE \"v2\""));
        assert!(!home.read("stdout").contains("serving RPC"));
        assert_eq!(home.plan_file(), PLAN_FILE);
        std::fs::remove_file(home.path("data/upgrade-info.json")).unwrap();
    }
}

#[test]
fn the_new_binary_before_the_height_refuses() {
    let home = Home::new("plan = ['v2:5000']");
    let stderr = home.start("v2", &[]).ends_with(1);
    assert!(
        stderr.contains("BINARY UPDATED BEFORE TRIGGER! UPGRADE \"v2\""),
        "{stderr}"
    );
    let mut node = home.start("genesis", &[]);
    node.reaches(2);
    node.stop();
    home.start("v2", &[]).ends_with(1);
}

#[test]
fn a_new_binary_insists_on_the_plan_file_it_was_started_for() {
    let home = Home::new("plan = ['v2:3']");
    let mut node = home.start("genesis", &[]);
    node.says("CONSENSUS FAILURE");
    node.stop();
    let file = home.path("data/upgrade-info.json");
    std::fs::write(&file, r#"{"name":"v2","height":2}"#).unwrap();
    let stderr = home.start("v2", &[]).ends_with(1);
    assert!(stderr.contains("is for v2 at height 2"), "{stderr}");
    std::fs::remove_file(&file).unwrap();
    let stderr = home.start("v2", &[]).ends_with(1);
    assert!(stderr.contains("upgrade-info.json is missing"), "{stderr}");
    home.start("v2", &["--store-upgrades=false"]).reaches(4);
}

#[test]
fn a_skipped_plan_leaves_the_node_running_and_writes_nothing() {
    let home = Home::new("plan = ['v2:3']");
    let mut node = home.start("genesis", &["--unsafe-skip-upgrades", "3", "10"]);
    node.says("UPGRADE \"v2\" SKIPPED at 3");
    node.reaches(5);
    node.stop();
    assert_eq!(home.plan_file(), "");
    home.start("genesis", &[]).reaches(7);
}

#[test]
fn a_halt_height_stops_a_new_node_before_and_an_old_one_after_it() {
    let home = Home::new("");
    let mut new = home.start("genesis", &["--halt-height", "4"]);
    new.says("CONSENSUS FAILURE!!! err=\"failed to apply block; error halt per configuration");
    assert_eq!(home.status_height(), Some(4));
    assert!(!home.read("stdout").contains("committed state height=4"));
    new.stop();
    let stderr = home.start("genesis", &["--halt-height", "4"]).ends_with(1);
    assert!(
        stderr.contains("halt per configuration height 4"),
        "{stderr}"
    );

    let mut old = home.start("genesis", &["--halt-height", "7", "--sdk", "0.47"]);
    let (status, _) = old.ends();
    assert!([Some(130), Some(143)].contains(&status.code()), "{status}");
    let out = home.read("stdout");
    assert!(out.contains("committed state height=7 "), "{out}");
    assert!(out.contains("halting node per configuration"), "{out}");
    assert!(out.ends_with("Flushed\n"), "{out}");
}

#[test]
fn the_plan_file_has_the_shape_of_the_sdk_and_can_be_seen_half_written() {
    let home = Home::new("plan = ['v2:3:info']\nsdk = '0.42'");
    home.start("genesis", &[]).says("CONSENSUS FAILURE");
    assert_eq!(home.plan_file(), r#"{"name":"v2","height":3}"#);
    let stderr = home.start("genesis", &["--sdk", "0.45"]).ends_with(1);
    assert!(stderr.contains("UPGRADE"), "{stderr}");
    assert_eq!(
        home.plan_file(),
        r#"{"name":"v2","height":3,"info":"info"}"#
    );
    let node = home.start("genesis", &["--sdk", "0.50", "--plan-pause", "1h"]);
    let whole = r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":3,"info":"info"}"#;
    let half = &whole[..whole.len() / 2];
    until("half a file", || (home.plan_file() == half).then_some(()));
    node.signal(Signal::KILL);
}

#[test]
fn a_plan_can_be_put_on_a_running_chain() {
    let home = Home::new("block-time = '50ms'");
    let node = home.start("genesis", &[]);
    node.reaches(1);
    let post = |body: &str| {
        let address = home.read("config/config.toml");
        let address = address
            .split("tcp://")
            .nth(2)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = format!(
            "POST /mock/plan HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        std::io::read_to_string(stream).unwrap()
    };
    let refused = post(r#"{"name":"v2","height":1}"#);
    assert!(
        refused.contains("cannot be scheduled in the past"),
        "{refused}"
    );
    let height = home.status_height().unwrap() + 20;
    let taken = post(&format!(
        r#"{{"name":"v2","height":{height},"info":"now"}}"#
    ));
    assert!(taken.starts_with("HTTP/1.0 200"), "{taken}");
    let query = home.run("genesis", &["query", "upgrade", "plan", "-o", "json"]);
    let query = String::from_utf8(query.stdout).unwrap();
    assert!(query.contains(r#""name":"v2""#), "{query}");
    node.says(&format!("UPGRADE \"v2\" NEEDED at height: {height}: now"));
}
