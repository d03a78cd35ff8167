//! `baton upgrade` and `baton generations` beside a server that speaks the control protocol as it is written down, by other code.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread::JoinHandle;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind,
    connect, listen, recv, send, socket_with,
};
use serde_json::{Value, json};

use crate::support::{BATON, Home, Text};

fn baton(args: &[&str]) -> Output {
    Home::new("none").run(BATON, args)
}

/// A control directory with one generation that answers as it is told to.
struct Server {
    temp: tempfile::TempDir,
    listener: Option<OwnedFd>,
}

impl Server {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let flags = SocketFlags::CLOEXEC;
        let unix = AddressFamily::UNIX;
        let listener = socket_with(unix, SocketType::SEQPACKET, flags, None).unwrap();
        let path = temp.path().join("generation-1.sock");
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 8).unwrap();
        symlink("generation-1.sock", temp.path().join("current")).unwrap();
        Self {
            temp,
            listener: Some(listener),
        }
    }

    fn directory(&self) -> String {
        self.temp.path().to_str().unwrap().to_owned()
    }

    /// Answers the first client that asks anything; what it asked is the thread's result.
    fn answering(&mut self, replies: Vec<Value>) -> JoinHandle<Value> {
        let listener = self.listener.take().unwrap();
        std::thread::spawn(move || {
            loop {
                let client = accept(&listener).unwrap();
                let mut packet = vec![0; 65_536];
                let (length, _) = recv(&client, &mut packet[..], RecvFlags::empty()).unwrap();
                if length == 0 {
                    // It only looked whether somebody lives.
                    continue;
                }
                let (head, tail) = open(&packet[..length]).unwrap();
                assert!(tail.is_empty());
                for reply in replies {
                    let text = serde_json::to_vec(&reply).unwrap();
                    // In two parts, as a long one is.
                    let (first, second) = text.split_at(text.len() / 2);
                    for (part, bytes) in [(1, first), (2, second)] {
                        let packet = close(&json!({"part": part, "of": 2}), bytes);
                        send(&client, &packet, SendFlags::NOSIGNAL).unwrap();
                    }
                }
                return head;
            }
        })
    }
}

/// A packet: `BH`, layout 1, no descriptors, the head's length, the head, the tail.
fn close(head: &Value, tail: &[u8]) -> Vec<u8> {
    let head = serde_json::to_vec(head).unwrap();
    let mut packet = b"BH\x01\x00".to_vec();
    packet.extend(u32::try_from(head.len()).unwrap().to_le_bytes());
    packet.extend(head);
    packet.extend(tail);
    packet
}

fn open(packet: &[u8]) -> io::Result<(Value, Vec<u8>)> {
    assert_eq!(packet[..4], *b"BH\x01\x00");
    let length = u32::from_le_bytes(packet[4..8].try_into().unwrap()) as usize;
    let (head, tail) = packet[8..].split_at(length);
    Ok((serde_json::from_slice(head)?, tail.to_vec()))
}

fn report(outcome: &Value) -> Value {
    json!({
        "reply": "report", "name": "web", "from": {"generation": 1, "pid": 10}, "to": {"generation": 2, "pid": 11},
        "began": "spawn", "asked_by": "pid 99", "at_unix_ms": 1_700_000_000_000_u64, "outcome": outcome,
        "phases": [{"phase": "warm", "took_us": 12_000}], "moved": {"http": 7}, "longest_freeze_us": 900, "pause_us": 400
    })
}

#[test]
fn an_upgrade_succeeds_only_if_the_successor_serves() {
    for (outcome, flag, code, piece) in [
        (
            json!({"result": "handed-over"}),
            "--staged",
            0,
            "handed over",
        ),
        (json!({"result": "rehearsed"}), "--dry-run", 0, "rehearsed"),
        (
            json!({"result": "rolled-back", "phase": "acquire", "reason": "cannot open the database"}),
            "--staged",
            1,
            "failed in phase acquire",
        ),
        (
            json!({"result": "taken-back", "reason": "exit status 3"}),
            "--staged",
            1,
            "exit status 3",
        ),
        (
            json!({"result": "handed-over"}),
            "--dry-run",
            1,
            "handed over",
        ),
    ] {
        let mut server = Server::new();
        let progress = json!({"reply": "progress", "phase": "warm", "detail": "it starts"});
        let asked = server.answering(vec![progress, report(&outcome)]);
        let directory = server.directory();
        let args = [
            "upgrade",
            &directory,
            flag,
            "--timeout",
            "30s",
            "--exec",
            "/opt/new",
        ];
        let output = baton(&[&args[..], &["--", "--port", "80"]].concat());
        let asked = asked.join().unwrap();
        assert_eq!(asked["request"], "upgrade");
        assert_eq!(asked["exec"], "/opt/new");
        assert_eq!(asked["arguments"], json!(["--port", "80"]));
        assert_eq!(asked["timeout_us"], 30_000_000);
        assert_eq!(asked["dry_run"], flag == "--dry-run");
        let text = output.out();
        assert_eq!(output.status.code(), Some(code), "{text}{}", output.err());
        for piece in [piece, "7 http moved", "400 µs in which nobody accepted"] {
            assert!(text.contains(piece), "{piece} in:\n{text}");
        }
    }
}

#[test]
fn the_report_is_to_be_had_as_json() {
    let mut server = Server::new();
    let asked = server.answering(vec![report(&json!({"result": "handed-over"}))]);
    let output = baton(&["upgrade", &server.directory(), "--json"]);
    asked.join().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["outcome"]["result"], "handed-over");
    assert_eq!(json["longest_freeze_us"], 900);
}

fn fails(args: &[&str], pieces: &[&str]) {
    let output = baton(args);
    let text = output.out() + &output.err();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for piece in pieces {
        assert!(text.contains(piece), "{piece} in:\n{text}");
    }
}

#[test]
fn every_way_to_fail_says_what_to_do() {
    let temp = tempfile::tempdir().unwrap();
    let none = temp.path().join("none").to_str().unwrap().to_owned();
    fails(
        &["upgrade", &none],
        &["there is no control directory", &none, "baton run"],
    );
    fails(&["generations", &none], &["there is no control directory"]);

    let empty = temp.path().to_str().unwrap();
    fails(&["upgrade", empty], &["nobody serves", "start the server"]);
    fails(&["generations", empty], &["no generation in"]);
    fails(
        &["upgrade", empty, "--roll-back"],
        &["no generation sleeps"],
    );

    let busy = json!({
        "reply": "busy", "asked_by": "SIGUSR2", "since_unix_ms": 0, "to": 2, "phase": "warm"
    });
    let refused = json!({"reply": "refused", "reason": "it is not ready itself yet"});
    for (replies, pieces) in [
        (vec![busy], &["is busy", "SIGUSR2", "baton generations"][..]),
        (vec![refused], &["refuses: it is not ready itself yet"]),
        (vec![], &["closed", "baton generations"]),
        (vec![json!({"reply": "sing"})], &["not understood"]),
        (vec![json!({"reply": "done"})], &["does not belong here"]),
    ] {
        let mut server = Server::new();
        let asked = server.answering(replies);
        fails(&["upgrade", &server.directory()], pieces);
        asked.join().unwrap();
    }
}

#[test]
fn generations_shows_the_living_and_the_dead() {
    let mut server = Server::new();
    let dead = server.temp.path().join("generation-7.sock");
    leave_dead(&dead);
    let status = json!({
        "reply": "status", "name": "web", "generation": 1, "pid": 4711, "phase": "serving", "since_unix_ms": 0,
        "shareables": [{"name": "http", "address": "tcp 0.0.0.0:80"}], "exclusives": [{"name": "db", "held": true}],
        "connections": {"http": 3}, "a key of a newer server": 1
    });
    let asked = server.answering(vec![status]);
    let output = baton(&["generations", &server.directory()]);
    assert_eq!(asked.join().unwrap()["request"], "status");
    let text = output.out();
    assert!(output.status.success(), "{text}{}", output.err());
    for piece in [
        "→",
        "4711",
        "http tcp 0.0.0.0:80",
        "db (exclusive)",
        "3 http",
        "dead",
    ] {
        assert!(text.contains(piece), "{piece} in:\n{text}");
    }
    assert!(dead.exists(), "looking changes nothing");

    // Its server has ended now, and nobody else serves.
    let output = baton(&["generations", &server.directory(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["state"], "dead");
    assert_eq!(json[0]["current"], true);
    assert_eq!(json[1]["generation"], 7);
}

fn leave_dead(path: &Path) {
    let unix = AddressFamily::UNIX;
    let socket = socket_with(unix, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let address = SocketAddrUnix::new(path).unwrap();
    bind(&socket, &address).unwrap();
    drop(socket);
    let socket = socket_with(unix, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    connect(&socket, &address).unwrap_err();
}

#[test]
fn a_foreign_path_is_no_control_directory() {
    let temp = tempfile::tempdir().unwrap();
    let file: PathBuf = temp.path().join("file");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    fails(&["upgrade", file], &["opening it as a directory", file]);
}
