//! SIGKILL at every arrow of an upgrade, and the next start: the right binary, one backup,
//! nothing lost.

use std::fs;

use crate::support::{COSMOVISOR, Home, Text, eventually, runs, write_script};

const STAGES: &[&str] = &[
    "due",
    "stopped",
    "backed-up",
    "fetched",
    "switched",
    "prepared",
    "started",
];

/// A node that writes the plan at its first run, and stays.
fn home() -> Home {
    let mut home = Home::new("noded");
    home.unset("UNSAFE_SKIP_BACKUP");
    home.script(
        "genesis",
        r#"
test "$1" = start || exit 1
echo genesis runs
echo $$ >> $DAEMON_HOME/pids
echo '{"name":"v2","time":"0001-01-01T00:00:00Z","height":49,"info":"x"}' > $DAEMON_HOME/data/upgrade-info.json
exec sleep 1000
"#,
    );
    home.script(
        "upgrades/v2",
        r#"
case "$1" in pre-upgrade) echo ran >> $DAEMON_HOME/pre-upgrades; exit 0;; start) ;; *) exit 1;; esac
echo v2 runs
echo $$ >> $DAEMON_HOME/pids
exec sleep 1000
"#,
    );
    home.set("COSMOVISOR_CUSTOM_PREUPGRADE", "custom.sh");
    write_script(&home.root().join("custom.sh"), "echo $1 $2 >> custom-runs");
    fs::write(home.at("data/state"), "precious").unwrap();
    home
}

fn no_node_left(home: &Home) {
    for pid in fs::read_to_string(home.at("pids"))
        .unwrap_or_default()
        .lines()
    {
        let pid = pid.parse().unwrap();
        eventually("the node's end", || !runs(pid));
    }
}

#[test]
fn a_kill_at_every_arrow_is_resumed() {
    for stage in STAGES {
        let mut home = home();
        home.set("FAILPOINTS", &format!("supervisor::{stage}=return"));
        let killed = home.spawn(COSMOVISOR, &["run", "start"]).end();
        assert_eq!(
            killed.code(),
            None,
            "{stage}: killed by a signal\n{}",
            killed.err()
        );
        // The binary was in place: there was nothing to fetch, and so nothing to record.
        let recorded = if *stage == "fetched" {
            "custom-done"
        } else {
            stage
        };
        assert_eq!(home.journal_stage(), recorded);
        let before = home.current();
        let switched = matches!(*stage, "switched" | "prepared" | "started");
        assert_eq!(
            before,
            if switched { "upgrades/v2" } else { "genesis" },
            "{stage}"
        );

        home.unset("FAILPOINTS");
        let mut next = home.spawn(COSMOVISOR, &["run", "start"]);
        next.wait_for_stdout("v2 runs");
        assert!(
            !next.stdout().contains("genesis runs"),
            "{stage}: the old binary ran again"
        );
        next.wait_until("the journal", |_| home.journal_stage() == "started");
        assert_eq!(home.current(), "upgrades/v2", "{stage}");
        assert_eq!(home.backups().len(), 1, "{stage}: {:?}", home.backups());
        let backup = home.at(&home.backups()[0]);
        assert_eq!(
            fs::read_to_string(backup.join("state")).unwrap(),
            "precious"
        );
        assert_eq!(
            fs::read_to_string(home.at("data/state")).unwrap(),
            "precious"
        );
        next.stop();
        no_node_left(&home);
    }
}

#[test]
fn a_kill_between_the_plan_and_the_journal_is_noticed_at_the_next_start() {
    let mut home = home();
    home.set("FAILPOINTS", "supervisor::plan-seen=return");
    let killed = home.spawn(COSMOVISOR, &["run", "start"]).end();
    assert_eq!(killed.code(), None);
    assert_eq!(home.journal_stage(), "");
    home.unset("FAILPOINTS");
    let mut next = home.spawn(COSMOVISOR, &["run", "start"]);
    next.wait_for_stdout("v2 runs");
    assert!(!next.stdout().contains("genesis runs"));
    next.stop();
    no_node_left(&home);
}

#[test]
fn a_second_kill_while_resuming_is_resumed_too() {
    for (first, second) in [
        ("stopped", "backed-up"),
        ("backed-up", "switched"),
        ("switched", "started"),
    ] {
        let mut home = home();
        for stage in [first, second] {
            home.set("FAILPOINTS", &format!("supervisor::{stage}=return"));
            assert_eq!(home.cosmovisor(&["run", "start"]).code(), None, "{stage}");
        }
        home.unset("FAILPOINTS");
        let mut next = home.spawn(COSMOVISOR, &["run", "start"]);
        next.wait_for_stdout("v2 runs");
        assert_eq!(home.backups().len(), 1);
        next.stop();
        no_node_left(&home);
    }
}
