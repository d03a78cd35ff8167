//! The halt before an upgrade, as a supervisor sees it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{BATOND, Home, Node, wait};

#[test]
fn at_the_height_of_a_plan_the_node_halts_tells_and_goes_on_reading() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    // what the genesis makes must mature before it can be paid with
    node.reach(10);
    let height = node.height() + 8;
    let at = height.to_string();
    let said = home.batond(&[
        "upgrade", "schedule", "no-such", "--height", &at, "--info", "a&b",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    wait("the plan to be on the chain", || {
        let shown = home.batond(&["upgrade", "show"]);
        let shown: Value = serde_json::from_str(&shown.out).unwrap();
        shown["plan"]["schedule"]["height"] == height
    });
    let file = home.at("data/upgrade-info.json");
    wait("the halt", || file.exists());
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!(
            "{{\"name\":\"no-such\",\"time\":\"0001-01-01T00:00:00Z\",\"height\":{height},\"info\":\"a\\u0026b\"}}"
        )
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let line = format!("UPGRADE \\\"no-such\\\" NEEDED at height: {height}: a&b");
    wait("the line that says so", || home.log().contains(&line));
    // reads go on, and the height is that of the plan, as supervisors of Cosmos nodes expect it
    let count = node.ask("/get-block-count", "");
    assert_eq!(count["data"]["block_count"], height - 1);
    let status = node.status();
    assert_eq!(
        status["sync_info"]["latest_block_height"],
        height.to_string()
    );
    assert_eq!(status["baton"]["global"]["halted"]["name"], "no-such");
    assert_eq!(node.stop().code, Some(0));

    // the next start halts there again, at once
    let node = home.start(&["--mining"]);
    wait("the halt", || {
        node.status()["baton"]["global"]["halted"]["height"] == height
    });
    assert_eq!(node.height(), height - 1);
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_plan_can_be_given_up_and_what_cannot_be_planned_is_refused() {
    let home = Home::solonet();
    let node = home.start(&["--mining"]);
    node.reach(10);
    let refused = |args: &[&str], wanted: &str| {
        let said = home.batond(&[&["upgrade"], args].concat());
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(wanted), "{said:?}");
    };
    refused(&["schedule", "../x", "--height", "1000"], "plan name");
    refused(
        &["schedule", "v9", "--height", "1"],
        "height 1 is too early",
    );
    refused(&["sign", "v9"], "required");
    refused(&["cancel", "v9"], "none is on the chain");
    let said = home.batond(&["upgrade", "sign", "v9", "--height", "100000"]);
    let signed: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (signed["sequence"].as_u64(), signed["member"].as_u64()),
        (Some(0), Some(0))
    );
    let planned = |name: Option<&str>| {
        let shown = home.batond(&["upgrade", "show"]);
        let shown: Value = serde_json::from_str(&shown.out).unwrap();
        shown["plan"]["schedule"]["name"].as_str() == name
    };
    let said = home.batond(&["upgrade", "schedule", "v9", "--height", "100000"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    wait("the plan", || planned(Some("v9")));
    let said = home.batond(&["upgrade", "cancel", "v9"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    wait("the plan to be given up", || planned(None));
    // a signature is good for one decision only
    let stale = signed.to_string();
    refused(
        &[
            "schedule",
            "v9",
            "--height",
            "100000",
            "--signature",
            &stale,
        ],
        "have it signed again",
    );
    assert_eq!(node.stop().code, Some(0));
}

/// The supervisor of this repository runs batond as it runs a node of the Cosmos SDK. The genesis release does not know
/// the plan `v2`; the release that comes after it does.
#[test]
fn cosmovisor_upgrades_batond_at_the_height_of_the_plan() {
    let home = Home::solonet();
    let release = |path: &str, script: String| {
        let path = home.at(&format!("cosmovisor/{path}/bin/batond"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    release(
        "genesis",
        format!("#!/bin/sh\nFAILPOINTS=node::older=return exec {BATOND} \"$@\"\n"),
    );
    release("upgrades/v2", format!("#!/bin/sh\nexec {BATOND} \"$@\"\n"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmovisor"));
    command
        .args(["run", "node", "--mining", "--api_addr=127.0.0.1:0"])
        .args(["--p2p.laddr=tcp://127.0.0.1:0", "--p2p.skip_upnp"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("DAEMON_NAME", "batond")
        .env("DAEMON_HOME", home.path())
        .env("UNSAFE_SKIP_BACKUP", "true")
        .env("DAEMON_POLL_INTERVAL", "50ms")
        .stdin(Stdio::null());
    let node = Node::spawn(&home.path(), command);
    node.reach(10);
    let height = node.height() + 8;
    let at = height.to_string();
    let said = home.batond(&["upgrade", "schedule", "v2", "--height", &at]);
    assert_eq!(said.code, Some(0), "{said:?}");
    wait("blocks after the upgrade", || {
        node.try_status().is_some_and(|status| {
            let blocks = &status["baton"]["global"]["blocks"];
            blocks["height"].as_u64() >= Some(height + 2)
        })
    });
    let current = fs::read_link(home.at("cosmovisor/current")).unwrap();
    assert!(current.ends_with("upgrades/v2"), "{current:?}");
    assert!(
        home.log().contains("msg=migrating plan=v2"),
        "{}",
        home.log()
    );
    let said = node.stop();
    assert_eq!(said.code, Some(0), "{said:?}");
}
