//! What an operator does to a home beside running a node on it: tokens, and looking whether the chain is whole.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Home, Said};

/// Whether the API answers who comes with this token, or with none.
fn answers(api: &str, token: Option<&str>) -> bool {
    let at = token.map_or(String::new(), |token| format!("{token}@"));
    let said = Command::new(env!("CARGO_BIN_EXE_batoncli"))
        .arg("get-block-count")
        .env_clear()
        .env("BYTOM_URL", format!("http://{at}{api}"))
        .output()
        .unwrap();
    said.status.success()
}

fn token(said: &Said) -> String {
    assert_eq!(said.code, Some(0), "{said:?}");
    let made: Value = serde_json::from_str(&said.out).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

#[test]
fn who_trusts_nobody_is_given_tokens_by_the_owner_of_the_home() {
    let home = Home::solonet();
    let trust_nobody = "--auth.trust_loopback=false";
    let checked = home.batond(&["config", "check", trust_nobody, "--api_addr=127.0.0.1:0"]);
    assert!(checked.err.contains("batond token create"), "{checked:?}");

    let node = home.start(&[trust_nobody]);
    assert!(home.log().contains("batond token create"));
    assert!(!answers(&node.api(), None));
    let first = token(&home.batond(&["token", "create", "first"]));
    assert!(answers(&node.api(), Some(&first)));
    assert_eq!(node.stop().code, Some(0));

    // also where no node runs
    let second = token(&home.batond(&["token", "create", "second", "--type", "shop"]));
    let again = home.batond(&["token", "create", "second"]);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("already in use"), "{again:?}");
    let deleted = home.batond(&["token", "delete", "first"]);
    assert_eq!((deleted.code, deleted.out.as_str()), (Some(0), ""));
    assert_eq!(home.batond(&["token", "delete", "first"]).code, Some(1));
    let listed = home.batond(&["token", "list"]);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed[0]["id"], "second");
    assert_eq!(listed[0]["token"], "second:********");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let node = home.start(&[trust_nobody]);
    assert!(!answers(&node.api(), Some(&first)));
    assert!(answers(&node.api(), Some(&second)));
}

#[test]
fn a_chain_that_is_whole_and_one_that_is_not_are_told_apart() {
    let home = Home::solonet();
    let nothing = home.batond(&["check"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("there is no ") && nothing.err.contains("core.redb"));
    let node = home.start(&["--mining"]);
    node.reach(2);
    let running = home.batond(&["check"]);
    assert_eq!(running.code, Some(1));
    assert!(running.err.contains("stop the node first"), "{running:?}");
    // killed: it closes nothing
    node.signal(rustix::process::Signal::KILL);
    node.ended();
    let mended = home.batond(&["check"]);
    assert_eq!(mended.code, Some(0), "{mended:?}");
    assert!(mended.out.contains("not closed in order"), "{mended:?}");
    let core = home.at("data/core.redb");
    let before = fs::read(&core).unwrap();
    let whole = home.batond(&["check"]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
    assert!(
        !whole.out.contains("mended")
            && whole.out.contains(": whole\nheight ")
            && whole.out.contains("\nAppHash "),
        "{whole:?}"
    );
    assert!(fs::read(&core).unwrap() == before, "nothing was changed");
    let half = before.len() / 2;
    fs::write(&core, &before[..half]).unwrap();
    let damaged = home.batond(&["check"]);
    assert_eq!((damaged.code, damaged.out.as_str()), (Some(1), ""));
    assert!(
        damaged.err.contains("core.redb is damaged: "),
        "{damaged:?}"
    );
}
