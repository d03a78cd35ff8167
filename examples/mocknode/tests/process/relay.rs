//! A node that hands over to the next process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Home, until};
use crate::serves::address;

/// A client that keeps its connection.
struct Client<S> {
    stream: BufReader<S>,
}

impl Client<TcpStream> {
    fn of_rpc(home: &Home) -> Self {
        let address = address(home, "config/config.toml", "rpc.laddr");
        Self {
            stream: BufReader::new(TcpStream::connect(address).unwrap()),
        }
    }
}

impl Client<UnixStream> {
    fn of_contract(home: &Home) -> Self {
        let socket = home.path("handover/node.sock");
        Self {
            stream: BufReader::new(UnixStream::connect(socket).unwrap()),
        }
    }
}

impl<S: Read + Write> Client<S> {
    fn get(&mut self, path: &str) -> Value {
        self.ask("GET", path, "").1
    }

    /// The status code and the answer.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let code = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (code, serde_json::from_slice(&body).unwrap())
    }

    fn height(&mut self) -> u64 {
        let status = self.get("/status");
        let height = &status["result"]["sync_info"]["latest_block_height"];
        height.as_str().unwrap().parse().unwrap()
    }
}

#[test]
fn connections_and_the_chain_move_to_the_next_process() {
    let home = Home::new("handover = true");
    let mut first = home.start("genesis", &[]);
    first.reaches(2);
    let mut client = Client::of_rpc(&home);
    assert_eq!(client.get("/mock/status")["pid"], first.pid());
    let before = client.height();
    let second = home.start_beside("genesis", &[], "-2");
    second.says("serving generation=2");
    first.ends_with(0);
    assert_eq!(client.get("/mock/status")["pid"], second.pid());
    until("a new block", || (client.height() > before).then_some(()));
}

#[test]
fn the_next_version_takes_over_a_node_that_has_halted() {
    let home = Home::new("handover = true\nplan = ['v2:5']");
    let mut first = home.start("genesis", &[]);
    first.says("CONSENSUS FAILURE");
    let mut client = Client::of_rpc(&home);
    assert_eq!(client.height(), 5, "it answers reads");
    let second = home.start_beside("v2", &[], "-2");
    second.says("serving generation=2");
    first.ends_with(0);
    second.reaches(7);
    assert!(client.height() >= 7);
    assert_eq!(home.events("applied").len(), 1);
    assert_eq!(client.get("/mock/plan")["done"][0]["name"], "v2");
}

#[test]
fn a_plan_that_is_not_on_disk_yet_moves_too() {
    let home = Home::new("handover = true\nblock-time = '1h'");
    let first = home.start("genesis", &[]);
    first.says("serving RPC");
    let mut client = Client::of_rpc(&home);
    let (code, _) = client.ask("POST", "/mock/plan", r#"{"name":"v2","height":50}"#);
    assert_eq!(code, 200);
    let second = home.start_beside("genesis", &[], "-2");
    second.says("serving generation=2");
    assert_eq!(client.get("/mock/plan")["plan"]["height"], 50);
}

#[test]
fn a_successor_that_does_not_succeed_leaves_the_node_as_it_was() {
    for (poison, says) in [
        ("open", "this node is poisoned"),
        ("schema", "plans"),
        ("hang", ""),
    ] {
        let settings =
            format!("handover = true\nplan = ['v2:4']\n[mock.version.v2]\npoison = '{poison}'");
        let home = Home::new(&settings);
        let first = home.start("genesis", &[]);
        first.says("CONSENSUS FAILURE");
        let mut client = Client::of_rpc(&home);
        let mut second = home.start_beside("v2", &[], "-2");
        if poison == "hang" {
            until("the successor", || {
                (home.events("start").len() == 2).then_some(())
            });
            second.signal(Signal::KILL);
        }
        let (status, stderr) = second.ends();
        assert!(!status.success(), "{poison}: {stderr}");
        assert!(stderr.contains(says), "{poison}: {stderr}");
        until("the first to serve again", || {
            (client.get("/mock/status")["pid"] == first.pid()).then_some(())
        });
        assert_eq!(client.height(), 4, "{poison}");
        assert!(home.events("applied").is_empty(), "{poison}");
        // And with a version that is in order it goes on.
        home.set("handover = true\nplan = ['v2:4']");
        let mut third = home.start_beside("v2", &[], "-3");
        until("the third to serve", || {
            if !third.is_running() {
                // the first was not done yet with the second
                third = home.start_beside("v2", &[], "-3");
            }
            home.read("stdout-3")
                .contains("serving generation")
                .then_some(())
        });
        third.reaches(6);
        assert!(client.height() >= 6, "{poison}");
    }
}

#[test]
fn it_stops_as_any_node_does() {
    let home = Home::new("handover = true");
    let mut node = home.start("genesis", &[]);
    node.reaches(2);
    let _idle = Client::of_rpc(&home);
    node.stop();
    assert!(home.read("stdout").ends_with("Flushed\n"));
    assert!(home.run("genesis", &["verify"]).status.success());
    home.start("genesis", &[]).reaches(4);
}

#[test]
fn a_supervisor_can_ask_for_the_height_and_for_a_snapshot() {
    let home = Home::new("handover = true\nplan = ['v2:40']\nsst-every = 4");
    let first = home.start("genesis", &[]);
    first.says("CONSENSUS FAILURE");
    let mut contract = Client::of_contract(&home);
    let told = contract.get("/node");
    assert_eq!(told["height"], 40);
    assert_eq!(told["halted"]["name"], "v2");
    let target = home.path("copy/data");
    fs::create_dir_all(&target).unwrap();
    let wanted = serde_json::json!({ "target": target }).to_string();
    let (code, made) = contract.ask("POST", "/snapshot", &wanted);
    assert_eq!((code, &made["height"]), (200, &Value::from(40)), "{made}");
    let manifest = fs::read(target.join("snapshot.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        manifest["files"].as_array().unwrap().len() as u64,
        made["files"]
    );
    // It is a data directory like any other.
    let verify = home.run(
        "v2",
        &["verify", "--home", home.path("copy").to_str().unwrap()],
    );
    let text = String::from_utf8_lossy(&verify.stdout).into_owned();
    assert!(text.contains("\"height\":40"), "{verify:?}");

    let (code, again) = contract.ask("POST", "/snapshot", &wanted);
    assert_eq!(code, 500, "{again}");
    // The socket moves as well.
    let second = home.start_beside("v2", &[], "-2");
    second.reaches(41);
    assert_eq!(contract.get("/node")["halted"], Value::Null);
}
