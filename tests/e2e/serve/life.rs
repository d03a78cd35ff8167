//! Deaths, ends, errors at the beginning, systemd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::load::{Load, get};
use super::{Served, python, spawn};
use crate::support::{BATON, Home, PATIENCE, Text, eventually, runs};

#[test]
fn connections_wait_while_a_server_that_died_is_started_again() {
    let mut served = Served::python(&[]);
    let address = served.address();
    let load = Load::on(address, 3);
    for generation in 2..4 {
        kill_process(Pid::from_raw(served.pid()).unwrap(), Signal::KILL).unwrap();
        served.until("it was started again", |status| {
            status["serves"]["generation"] == generation
        });
        load.goes_on();
    }
    let tally = load.stop();
    // What it had accepted died with it; nobody else noticed.
    assert!(tally.refused.is_empty(), "{tally:?}");
    assert!(tally.failed.len() <= 12, "{tally:?}");
    let status = served.status();
    assert_eq!(status["restarts"], 2);
    let why = status["last_death"]["why"].as_str().unwrap();
    assert!(why.contains("SIGKILL"), "{why}");
    served.running.stop();
}

#[test]
fn it_ends_as_the_server_does() {
    let served = Served::python(&[]);
    let out = served.running.stop();
    assert_eq!(out.code(), Some(0), "{}", out.err());

    let script = "trap 'exit 5' TERM; while true; do sleep 0.02; done";
    let options = ["--listen", "a=127.0.0.1:0", "--ready-after", "50ms"];
    let served = Served::start(&options, &["sh", "-c", script]);
    let out = served.baton(&["stop"], &[]);
    assert_eq!((out.code(), out.out().as_str()), (Some(0), "stopped\n"));
    let out = served.running.end();
    assert_eq!(out.code(), Some(5));
    assert_eq!(out.err(), "error: the server ended: exit status 5\n");
}

#[test]
fn what_cannot_begin_says_why_and_what_to_do() {
    let home = Home::new("none");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("http={}", taken.local_addr().unwrap());
    let own = format!("pid {}", std::process::id());
    for (options, program, code, why) in [
        (vec!["--listen", &taken], vec!["true"], 1, own.as_str()),
        (
            vec!["--listen", "http"],
            vec!["true"],
            1,
            "FileDescriptorName=http",
        ),
        (vec![], vec!["true"], 1, "--listen http=127.0.0.1:8080"),
        (
            vec!["--listen", "127.0.0.1:1"],
            vec!["true"],
            2,
            "http=127.0.0.1:1",
        ),
        (
            vec!["--listen", "a=127.0.0.1:0"],
            vec!["/no/such/program"],
            127,
            "the server never became ready: cannot execute /no/such/program: No such file",
        ),
        (
            vec![
                "--listen",
                "a=127.0.0.1:0",
                "--ready-url",
                "http://127.0.0.1/",
            ],
            vec!["true"],
            2,
            "the path only",
        ),
        (
            vec!["--listen", "a=127.0.0.1:0", "--ready-timeout", "1s"],
            vec!["true"],
            1,
            "--ready-after",
        ),
        (
            vec![
                "--listen",
                "a=127.0.0.1:0",
                "--ready-timeout",
                "300ms",
                "--ready-notify",
            ],
            vec!["sleep", "100"],
            1,
            "it has not said READY=1",
        ),
    ] {
        let out = spawn(&home, &options, &program).end();
        assert_eq!(out.code(), Some(code), "{options:?}: {}", out.err());
        assert!(out.err().contains(why), "{why}: {}", out.err());
    }
    let out = home.baton(&["serve", "status", "--state-dir", "/no/such/directory"]);
    assert_eq!(out.code(), Some(1));
    assert!(
        out.err().contains("start it with `baton serve`"),
        "{}",
        out.err()
    );
}

#[test]
fn one_name_is_served_once_and_a_killed_one_is_cleared_away() {
    let served = Served::python(&[]);
    let address = format!("http={}", served.address());
    let options = ["--listen", address.as_str(), "--ready-notify"];
    let program = python(&["--notify"]);
    let second = spawn(&served.home, &options, &program).end();
    assert_eq!(second.code(), Some(1));
    let pid = format!("pid {}", served.running.pid());
    assert!(second.err().contains(&pid), "{}", second.err());

    let left = served.pid();
    let Served { home, running } = served;
    running.kill();
    assert!(runs(left), "killed with -9, it could not end its server");
    let mut next = Served {
        running: spawn(&home, &options, &program),
        home,
    };
    next.until("a process serves", |status| !status["serves"].is_null());
    assert!(!runs(left));
    next.running.stop();
}

#[test]
fn a_unix_socket_keeps_its_path_over_reloads_and_loses_it_at_the_end() {
    let home = Home::new("none");
    let path = home.at("web.sock");
    let listen = format!("web={},mode=640", path.display());
    let mut served = Served::start(
        &["--listen", &listen, "--ready-url", "/health"],
        &python(&[]),
    );
    served.reload();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    served.running.stop();
    assert!(!path.exists());
}

/// The next message that a service manager gets.
fn heard(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = manager.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn heard_until(manager: &UnixDatagram, word: &str) -> Vec<String> {
    let mut all = Vec::new();
    while !all.iter().any(|it: &String| it.contains(word)) {
        all.push(heard(manager));
    }
    all
}

#[test]
fn systemd_passes_the_sockets_and_is_told_what_happens() {
    let home = Home::new("none");
    let manager = UnixDatagram::bind(home.at("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = home.at("state");
    // The standard input is the socket; the shell puts it where systemd would.
    let launch = r#"exec 3<&0 </dev/null
LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http exec "$@""#;
    let words = [
        &[
            "-c",
            launch,
            "sh",
            BATON,
            "serve",
            "--state-dir",
            state.to_str().unwrap(),
        ][..],
        &["--listen", "http", "--ready-notify", "--"],
        &python(&["--notify"]),
    ];
    let mut child = Command::new("sh")
        .args(words.concat())
        .env("NOTIFY_SOCKET", home.at("notify"))
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let all = heard_until(&manager, "READY=1");
    assert!(!all.iter().any(|it| it.contains("MAINPID")), "{all:?}");
    assert!(get(address, "/").unwrap().body.starts_with("v1 "));

    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::HUP).unwrap();
    let all = heard_until(&manager, "RELOADING=1");
    assert!(all.last().unwrap().contains("MONOTONIC_USEC="), "{all:?}");
    heard_until(&manager, "READY=1");
    eventually("the new one serves", || {
        get(address, "/").is_some_and(|it| it.code == 200)
    });
    kill_process(pid, Signal::TERM).unwrap();
    heard_until(&manager, "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn as_process_one_it_ends_its_server_and_with_its_code() {
    let may = Command::new("unshare")
        .args(["--pid", "--fork", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !may {
        eprintln!("SKIPPED: no new pid namespace may be made here");
        return;
    }
    let home = Home::new("none");
    let state = home.at("state");
    // The grandchild outlives its parent: process 1 gets it.
    let trapped = home.at("trapped");
    let script = format!(
        "trap 'exit 6' TERM; : >'{}'; (sleep 0.1 &); while true; do sleep 0.02; done",
        trapped.display()
    );
    let words = [
        "--pid",
        "--fork",
        "--kill-child",
        BATON,
        "serve",
        "--state-dir",
        state.to_str().unwrap(),
        "--listen",
        "a=127.0.0.1:0",
        "--ready-after",
        "50ms",
        "--",
        "sh",
        "-c",
        &script,
    ];
    let mut running = home.spawn("unshare", &words);
    running.wait_for_stdout("is ready and serves");
    eventually("it ends in order from now on", || trapped.exists());
    let baton = fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.pid())).unwrap();
    let baton: i32 = baton.trim().parse().unwrap();
    kill_process(Pid::from_raw(baton).unwrap(), Signal::TERM).unwrap();
    assert_eq!(running.end().code(), Some(6));
}
