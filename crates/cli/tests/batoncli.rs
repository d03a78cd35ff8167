//! The `batoncli` executable: its environment, its streams, its exit codes. What it sends and prints is tested where it is made,
//! in `baton-client`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;

fn batoncli(bytom_url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_batoncli"))
        .args(arguments)
        .env("BYTOM_URL", bytom_url)
        .output()
        .unwrap()
}

/// A node that gives every caller this answer.
fn node(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let head = BufReader::new(&connection).lines();
            let _ = head.map_while(Result::ok).find(String::is_empty);
            let length = answer.len();
            let _ = write!(
                connection,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{answer}"
            );
        }
    });
    url
}

#[test]
fn exit_codes_are_bytomclis() {
    let done = node(r#"{"status":"success","data":{"gas_rate":200}}"#);
    let list = node(r#"{"status":"success","data":[]}"#);
    let fail = node(
        r#"{"status":"fail","code":"BTM709","msg":"Account not found","error_detail":"Failed to find account"}"#,
    );
    let nowhere = "http://127.0.0.1:1";
    for (url, arguments, code, out, err) in [
        (
            done.as_str(),
            &["gas-rate"][..],
            0,
            "{\n  \"gas_rate\": 200\n}\n",
            "",
        ),
        (
            nowhere,
            &["get-block", "xyz"],
            1,
            "Invalid value for hash or height\n",
            "",
        ),
        (
            nowhere,
            &["get-block"],
            1,
            "",
            "accepts 1 arg(s), received 0",
        ),
        (
            nowhere,
            &["gas-rate"],
            2,
            "Unable to connect to the bytomd\n",
            "Connection refused",
        ),
        (
            &list,
            &["gas-rate"],
            3,
            "invalid type assertion\n",
            "--json shows it",
        ),
        (
            &fail,
            &["gas-rate"],
            4,
            "Account not found\n",
            "BTM709: Failed to find account\n",
        ),
    ] {
        let ended = batoncli(url, arguments);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}");
        let printed = String::from_utf8(ended.stdout).unwrap();
        assert!(printed.ends_with(out), "{arguments:?}: {printed}");
        assert_eq!(printed.starts_with("ERROR 2"), code != 0 && !out.is_empty());
        let told = String::from_utf8(ended.stderr).unwrap();
        assert!(told.contains(err), "{arguments:?}: {told}");
    }
}

#[test]
fn an_empty_address_is_none() {
    let ended = batoncli("", &["version"]);
    assert_eq!(ended.status.code(), Some(0));
    let ended = batoncli("", &["gas-rate", "--node", &node("{}")]);
    assert!(
        String::from_utf8(ended.stderr)
            .unwrap()
            .contains("it has no status")
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = Command::new(env!("CARGO_BIN_EXE_batoncli"))
        .arg("--help")
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
}
