//! The behaviours of Cosmovisor's own test-suite, by its names, against the built executable.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{Home, Text, write_script};

const GENESIS: &str = r#"
echo Genesis $@
sleep 0.3
test -z $4 && exit 1001
echo 'UPGRADE "chain2" NEEDED at height: 49: {}'
echo '{"name":"chain2","height":49,"info":""}' > $4
sleep 5
echo Never should be printed!!!
"#;

fn live(number: u32) -> String {
    format!("echo Chain {number} is live!\necho Args: $@\nsleep 0.2\necho Finished successfully")
}

/// A home as `testdata/validate` has it.
fn validate() -> Home {
    let home = Home::new("dummyd");
    home.script("genesis", GENESIS);
    home.script("upgrades/chain2", &live(2));
    home.script("upgrades/chain3", &live(3));
    fs::create_dir_all(home.root().join("upgrades/nobin/bin")).unwrap();
    home
}

#[test]
fn test_launch_process() {
    let mut home = validate();
    home.set("DAEMON_RESTART_AFTER_UPGRADE", "false");
    let plan = home.plan_file();
    let plan = plan.to_str().unwrap();

    let out = home.cosmovisor(&["run", "foo", "bar", "1234", plan]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert_eq!(
        out.out(),
        format!("Genesis foo bar 1234 {plan}\nUPGRADE \"chain2\" NEEDED at height: 49: {{}}\n")
    );
    assert_eq!(out.err(), "");
    assert_eq!(home.current(), "upgrades/chain2");

    // The same plan must not trigger again.
    let out = home.cosmovisor(&["run", "second", "run", "--verbose"]);
    assert_eq!(out.code(), Some(0));
    assert_eq!(
        out.out(),
        "Chain 2 is live!\nArgs: second run --verbose\nFinished successfully\n"
    );
    assert_eq!(home.current(), "upgrades/chain2");
}

#[test]
fn test_launch_process_relaunches_with_the_same_args() {
    let home = validate();
    let plan = home.plan_file();
    let plan = plan.to_str().unwrap();
    let out = home.cosmovisor(&["run", "foo", "bar", "1234", plan]);
    assert_eq!(out.code(), Some(0));
    assert!(
        out.out().ends_with(&format!(
            "Chain 2 is live!\nArgs: foo bar 1234 {plan}\nFinished successfully\n"
        )),
        "{}",
        out.out()
    );
}

#[test]
fn test_plan_disable_recase() {
    let mut home = Home::new("dummyd");
    home.set("COSMOVISOR_DISABLE_RECASE", "true");
    home.set("DAEMON_RESTART_AFTER_UPGRADE", "false");
    home.script("genesis", &GENESIS.replace("chain2", "Chain2"));
    home.script("upgrades/Chain2", &live(2));
    let plan = home.plan_file();
    let out = home.cosmovisor(&["run", "foo", "bar", "1234", plan.to_str().unwrap()]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert_eq!(home.current(), "upgrades/Chain2");
}

#[test]
fn test_launch_process_with_restart_delay() {
    let mut home = validate();
    home.set("DAEMON_RESTART_DELAY", "2s");
    let plan = home.plan_file();
    let begun = Instant::now();
    let out = home.cosmovisor(&["run", "foo", "bar", "1234", plan.to_str().unwrap()]);
    assert_eq!(out.code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[test]
fn test_plan_shutdown_grace() {
    let mut home = Home::new("dummyd");
    home.set("DAEMON_SHUTDOWN_GRACE", "20s");
    home.set("DAEMON_RESTART_AFTER_UPGRADE", "false");
    home.script(
        "genesis",
        r#"
trap 'echo WARN Need Flush; sleep 0.3; echo Flushed; exit 0' TERM
echo Genesis $@
echo '{"name":"Chain2","height":49,"info":""}' > $4
while true; do sleep 0.05; done
"#,
    );
    home.script("upgrades/chain2", &live(2));
    let plan = home.plan_file();
    let out = home.cosmovisor(&["run", "foo", "bar", "1234", plan.to_str().unwrap()]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert!(
        out.out().ends_with("\nWARN Need Flush\nFlushed\n"),
        "{}",
        out.out()
    );
    assert_eq!(home.current(), "upgrades/chain2");
}

#[test]
fn test_skip_upgrade() {
    let home = validate();
    home.script(
        "genesis",
        r#"
echo Genesis
echo '{"name":"chain2","height":49,"info":""}' > $1
sleep 1
echo Skipped
"#,
    );
    let plan = home.plan_file();
    let plan = plan.to_str().unwrap();
    for args in [
        vec!["run", plan, "--unsafe-skip-upgrades", "10", "49", "--x"],
        vec!["run", plan, "--unsafe-skip-upgrades=10,49"],
    ] {
        let out = home.cosmovisor(&args);
        assert_eq!(out.code(), Some(0));
        assert_eq!(out.out(), "Genesis\nSkipped\n", "the node goes on");
        assert_eq!(home.current(), "genesis");
    }
}

#[test]
fn test_launch_process_with_downloads_and_missing_preupgrade() {
    let mut home = validate();
    home.set("COSMOVISOR_CUSTOM_PREUPGRADE", "missing.sh");
    let plan = home.plan_file();
    let out = home.cosmovisor(&["run", "foo", "bar", "1234", plan.to_str().unwrap()]);
    assert_eq!(out.code(), Some(1));
    assert!(out.err().contains("missing.sh"), "{}", out.err());
    assert!(out.err().contains("o such file"), "{}", out.err());
    assert_eq!(home.current(), "genesis");

    // Mended, the next try goes on.
    write_script(&home.root().join("missing.sh"), "exit 0");
    let out = home.cosmovisor(&["run", "second", "run"]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert!(out.out().starts_with("Chain 2 is live!"), "{}", out.out());
}

#[test]
fn test_launch_process_with_preupgrade() {
    let mut home = validate();
    home.set("COSMOVISOR_CUSTOM_PREUPGRADE", "preupgrade.sh");
    write_script(
        &home.root().join("preupgrade.sh"),
        "touch upgrade_name_$1_height_$2",
    );
    let plan = home.plan_file();
    let out = home.cosmovisor(&["run", "foo", "bar", "1234", plan.to_str().unwrap()]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert!(home.at("upgrade_name_chain2_height_49").exists());
}

#[test]
fn test_current_bin() {
    let home = validate();
    let out = home.cosmovisor(&["run", "one"]);
    assert_eq!(out.code(), Some(1), "the script wants a fourth argument");
    assert_eq!(home.current(), "genesis");
    for release in ["upgrades/chain2", "upgrades/chain3", "upgrades/chain2"] {
        fs::remove_file(home.root().join("current")).unwrap();
        std::os::unix::fs::symlink(home.root().join(release), home.root().join("current")).unwrap();
        let out = home.cosmovisor(&["run", "x"]);
        assert!(
            out.out()
                .starts_with(&format!("Chain {} is live!", &release[14..])),
            "{}",
            out.out()
        );
    }
}

#[test]
fn test_upgrade_binary_no_download_url() {
    for (name, text) in [
        ("missing", "downloading disabled"),
        ("nobin", "downloading disabled"),
    ] {
        let home = validate();
        home.script("genesis", &GENESIS.replace("chain2", name));
        let plan = home.plan_file();
        let out = home.cosmovisor(&["run", "foo", "bar", "1234", plan.to_str().unwrap()]);
        assert_eq!(out.code(), Some(1), "{name}");
        assert!(out.err().contains(text), "{name}: {}", out.err());
        assert_eq!(home.current(), "genesis", "{name}");
    }
}

/// C§5.7: a plan that was pending when the supervisor started.
#[test]
fn check_pending_upgrade() {
    // No file: nothing happens.
    let home = validate();
    assert_eq!(home.cosmovisor(&["run", "x"]).code(), Some(1));
    assert_eq!(home.current(), "genesis");

    // Written by a node, the binary is there: switched before anything is started.
    fs::write(
        home.plan_file(),
        r#"{"name":"chain2","height":49,"info":""}"#,
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(home.plan_file(), mode).unwrap();
    let out = home.cosmovisor(&["run", "x"]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert!(out.out().starts_with("Chain 2 is live!"), "{}", out.out());
    assert_eq!(home.current(), "upgrades/chain2");

    // Already current: nothing happens.
    let out = home.cosmovisor(&["run", "x"]);
    assert_eq!(out.code(), Some(0));
    assert_eq!(home.current(), "upgrades/chain2");

    // Malformed, or without a name: the node runs all the same.
    for text in ["{]", "{}", "", "{\"name\":"] {
        fs::write(home.plan_file(), text).unwrap();
        let out = home.cosmovisor(&["run", "x"]);
        assert_eq!(out.code(), Some(0), "{text}: {}", out.err());
        assert_eq!(home.current(), "upgrades/chain2");
    }
}
