//! Signals, groups, orphans, the lock, and what becomes of exit codes.

use std::fs;
use std::io::Write;

use rustix::process::Signal;

use crate::support::{BATON, COSMOVISOR, Home, Text, eventually, runs};

fn home(script: &str) -> Home {
    let home = Home::new("noded");
    home.script("genesis", script);
    home
}

fn pid_in(home: &Home, file: &str) -> i32 {
    let path = home.at(file);
    eventually(file, || {
        fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))
    });
    fs::read_to_string(&path).unwrap().trim().parse().unwrap()
}

#[test]
fn the_child_s_code_is_told_by_each_face_in_its_way() {
    let home = home("exit $1");
    for (executable, arg, code, err) in [
        (COSMOVISOR, "0", 0, ""),
        (COSMOVISOR, "3", 1, "Error: exit status 3\n"),
        (BATON, "0", 0, ""),
        (BATON, "3", 3, "error: the node ended: exit status 3\n"),
    ] {
        let out = home.run(executable, &["run", arg]);
        assert_eq!(out.code(), Some(code), "{executable}");
        assert_eq!(out.err(), err, "{executable}");
    }
    let home = self::home("kill -9 $$");
    let out = home.cosmovisor(&["run", "x"]);
    assert_eq!(
        (out.code(), out.err().as_str()),
        (Some(1), "Error: signal: killed\n")
    );
    assert_eq!(home.baton(&["run", "x"]).code(), Some(137));
}

#[test]
fn every_signal_reaches_the_node_each_time() {
    let home = home(
        r#"
for s in HUP USR1 USR2 QUIT INT; do trap "echo got $s" $s; done
trap 'echo got TERM; exit 0' TERM
echo ready
while true; do sleep 0.01; done
"#,
    );
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_for_stdout("ready");
    for (signal, name) in [
        (Signal::HUP, "HUP"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
    ] {
        let line = format!("got {name}");
        let before = running.stdout().matches(&line).count();
        running.signal(signal);
        running.wait_until(&line, |r| r.stdout().matches(&line).count() > before);
    }
    let out = running.stop();
    assert_eq!(out.code(), Some(0));
    assert!(out.out().ends_with("got TERM\n"), "{}", out.out());
}

#[test]
fn a_second_term_does_not_wait_for_the_grace() {
    let mut home = home("trap 'echo got TERM' TERM\necho ready\nwhile true; do sleep 0.01; done");
    home.set("DAEMON_SHUTDOWN_GRACE", "1h");
    let mut running = home.spawn(BATON, &["run", "start"]);
    running.wait_for_stdout("ready");
    running.signal(Signal::TERM);
    running.wait_for_stdout("got TERM");
    assert!(running.is_running());
    assert_eq!(running.stop().code(), Some(137));
}

#[test]
fn the_grace_ends_a_node_that_does_not() {
    let mut home = home("trap '' TERM\necho ready\nwhile true; do sleep 0.01; done");
    home.set("DAEMON_SHUTDOWN_GRACE", "100ms");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_for_stdout("ready");
    let out = running.stop();
    assert_eq!(out.code(), Some(1));
    assert_eq!(out.err(), "Error: signal: killed\n");
}

#[test]
fn nothing_of_the_node_is_left_when_it_is_upgraded() {
    let mut home = home(
        r#"
test "$1" = start || exit 1
sh -c 'echo $$ > $DAEMON_HOME/helper; trap "" TERM; while true; do sleep 0.01; done' &
while ! test -s $DAEMON_HOME/helper; do sleep 0.01; done
echo '{"name":"v2","height":5}' > $DAEMON_HOME/data/upgrade-info.json
sleep 1000
"#,
    );
    home.set("DAEMON_SHUTDOWN_GRACE", "200ms");
    home.script(
        "upgrades/v2",
        "test -e /proc/$(cat $DAEMON_HOME/helper)/exe && echo helper lives; echo v2 runs",
    );
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert_eq!(out.out(), "v2 runs\n");
    assert!(!runs(pid_in(&home, "helper")));
}

#[test]
fn a_second_supervisor_refuses_and_names_the_first() {
    let home = home("echo ready; sleep 1000");
    let mut first = home.spawn(COSMOVISOR, &["run", "start"]);
    first.wait_for_stdout("ready");
    for executable in [COSMOVISOR, BATON] {
        let out = home.run(executable, &["run", "start"]);
        assert_eq!(out.code(), Some(1));
        assert!(
            out.err().contains(&format!("pid {}", first.pid())),
            "{}",
            out.err()
        );
    }
    assert!(first.is_running());
    first.stop();
}

#[test]
fn a_node_left_behind_is_ended_before_the_next_starts() {
    let home = home("echo $$ > $DAEMON_HOME/pid.$1; echo ready; exec sleep 1000");
    let mut first = home.spawn(COSMOVISOR, &["run", "one"]);
    first.wait_for_stdout("ready");
    let left = pid_in(&home, "pid.one");
    eventually("the record of the node", || {
        fs::read_to_string(home.root().join(".baton/node.json"))
            .is_ok_and(|text| text.contains(&format!("\"pid\":{left}")))
    });
    first.kill();
    assert!(
        runs(left),
        "killed with -9, the supervisor could not end its node"
    );
    let mut second = home.spawn(COSMOVISOR, &["run", "two"]);
    second.wait_for_stdout("ready");
    assert!(!runs(left));
    second.stop();
}

#[test]
fn one_shot_commands_neither_lock_nor_upgrade() {
    let home = home("echo genesis $@; exit 0");
    home.script("upgrades/v2", "echo v2 $@");
    let plan = home.plan_file();
    fs::write(&plan, r#"{"name":"v2","height":5}"#).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&plan, mode).unwrap();
    for args in [
        &["run", "version"][..],
        &["run", "query", "x"],
        &["run", "status"],
    ] {
        let out = home.cosmovisor(args);
        assert_eq!(out.code(), Some(0));
        assert_eq!(out.out(), format!("genesis {}\n", args[1..].join(" ")));
        assert_eq!(home.current(), "genesis");
    }
    assert!(!home.root().join(".baton").exists());
}

#[test]
fn the_node_runs_in_the_root_with_our_stdin() {
    let home = home("pwd; cat");
    let mut child = home
        .command(COSMOVISOR, &["run", "start"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let out = child.wait_with_output().unwrap();
    let root = fs::canonicalize(home.root()).unwrap();
    assert_eq!(out.out(), format!("{}\ntyped\n", root.display()));
}
