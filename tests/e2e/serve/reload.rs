//! Another process in the place of the one that serves.

use rustix::process::Signal;

use super::load::{Load, get};
use super::{Served, python};
use crate::support::{Text, eventually, runs};

#[test]
fn reloads_under_load_refuse_nobody_and_fail_nobody() {
    let mut served = Served::python(&[]);
    let load = Load::on(served.address(), 4);
    let mut before = served.pid();
    for _ in 0..6 {
        served.reload();
        let pid = served.pid();
        assert_ne!(pid, before);
        assert!(!runs(before), "the old process has finished");
        before = pid;
        load.goes_on();
    }
    let tally = load.stop();
    tally.check();
    assert_eq!(tally.retried, 0, "this server tells its clients: {tally:?}");
    assert!(tally.told > 0, "{tally:?}");
    let status = served.status();
    assert_eq!(status["serves"]["generation"], 7);
    assert_eq!(status["serves"]["said"], "warm");
    assert_eq!(status["restarts"], 0);
    served.running.stop();
}

#[test]
fn a_bad_release_changes_nothing_and_the_reason_is_told() {
    let served = Served::python(&["--ready-timeout", "6s", "--ready-url", "/health"]);
    let load = Load::on(served.address(), 2);
    let pid = served.pid();
    for (program, why) in [
        (python(&["--fail", "3"]), "exit status 3"),
        (python(&["--hang"]), "READY=1"),
        (python(&["--notify", "--sick"]), "503"),
        (vec!["/no/such/program"], "cannot execute /no/such/program"),
        (vec!["true"], "in the foreground"),
    ] {
        let out = served.baton(&["reload"], &program);
        assert_eq!(out.code(), Some(1), "{why}");
        let said = out.err();
        assert!(said.contains(why), "{why}: {said}");
        assert!(said.contains("generation 1 serves on"), "{said}");
        assert_eq!(served.pid(), pid);
        let last = served.status()["last_reload"]["failed"].to_string();
        assert!(last.contains(why), "{last}");
    }
    load.goes_on();
    load.stop().check();
    // The command line is the one that is known to be good.
    let command = served.status()["command"].to_string();
    assert!(!command.contains("true"), "{command}");
    served.running.stop();
}

#[test]
fn another_program_stays_for_the_restarts_to_come() {
    let mut served = Served::python(&[]);
    let address = served.address();
    assert!(get(address, "/").unwrap().body.starts_with("v1 "));
    let next = python(&["--notify", "--version", "v2"]);
    let out = served.baton(&["reload"], &next);
    assert!(out.out().starts_with("generation 2 (pid "), "{}", out.out());
    served.until("the old process has ended", |status| {
        status["leaving"].as_array().is_some_and(Vec::is_empty)
    });
    assert!(get(address, "/").unwrap().body.starts_with("v2 "));
    assert!(get(address, "/crash").is_none());
    served.until("it was started again", |status| {
        status["serves"]["generation"] == 3
    });
    assert!(get(address, "/").unwrap().body.starts_with("v2 "));
    served.running.stop();
}

#[test]
fn hup_and_usr2_reload_and_usr1_is_passed_on() {
    let mut served = Served::python(&[]);
    for (signal, generation) in [(Signal::HUP, 2), (Signal::USR2, 3)] {
        served.running.signal(signal);
        served.until("the next generation serves", |status| {
            status["serves"]["generation"] == generation
                && status["leaving"].as_array().is_some_and(Vec::is_empty)
        });
    }
    served.running.signal(Signal::USR1);
    served.running.wait_for_stdout("got USR1");
    served.running.stop();
}

#[test]
fn a_process_that_does_not_finish_is_killed_after_its_grace() {
    let mut served = Served::python(&["--grace", "300ms"]);
    let out = served.baton(&["reload"], &python(&["--notify", "--stubborn"]));
    assert_eq!(out.code(), Some(0), "{}", out.err());
    let stubborn = served.pid();
    served.reload();
    eventually("it is gone", || !runs(stubborn));
    assert!(served.running.stdout().contains("stubborn"));
    served.running.stop();
}
