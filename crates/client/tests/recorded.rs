//! Whatever bytomcli sent and printed when it was recorded (see `data/README.md`), we send and print.

mod program;
mod server;

use std::collections::BTreeSet;

use baton_client::Exit;
use baton_client::table::{Origin, commands};
use program::batoncli;
use serde::Deserialize;
use serde_json::Value;
use server::{Server, response};

#[derive(Deserialize)]
struct Case {
    args: Vec<String>,
    request: Option<Sent>,
    answer: Option<Answered>,
    stdout: String,
    exit: u8,
    #[serde(default)]
    ours: Ours,
}

#[derive(Deserialize, Clone, PartialEq, Debug)]
struct Sent {
    path: String,
    body: Value,
}

#[derive(Deserialize)]
struct Answered {
    status: u16,
    body: String,
}

/// What we do otherwise.
#[derive(Deserialize, Default)]
struct Ours {
    request: Option<Sent>,
    /// We send nothing.
    #[serde(default)]
    silent: bool,
    stdout: Option<String>,
    exit: Option<u8>,
}

/// bytomcli writes `password` with a capital letter once, and tells of tokens when they were made: at no time.
fn without_oddities(mut sent: Sent) -> Sent {
    if let Value::Object(body) = &mut sent.body {
        body.remove("created_at");
        if let Some(password) = body.remove("Password") {
            body.insert("password".to_owned(), password);
        }
    }
    sent
}

fn without_dates(text: &str) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for line in &mut lines {
        let Some(told) = line.strip_prefix("ERROR ") else {
            continue;
        };
        let (date, message) = told.split_at("2026/11/30 14:01:01".len());
        let digits = |letter: char| if letter.is_ascii_digit() { '0' } else { letter };
        assert_eq!(
            date.chars().map(digits).collect::<String>(),
            "0000/00/00 00:00:00"
        );
        *line = format!("ERROR DATE{message}");
    }
    lines.join("\n")
}

fn replay(cases: &str) {
    let server = Server::start();
    let mut count = 0;
    for line in cases.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        if let Some(Answered { status, body }) = &case.answer {
            let answer = response(*status, body);
            server.answers(move |_| answer.clone());
        }
        let arguments: Vec<_> = case.args.iter().map(String::as_str).collect();
        let ran = batoncli(&server.url, &arguments);
        let printed = without_dates(&ran.out);
        let sent: Vec<_> = server
            .take_seen()
            .into_iter()
            .map(|request| {
                assert_eq!(request.method, "POST");
                assert_eq!(request.header("content-type"), Some("application/json"));
                let body = match request.body.as_str() {
                    "" => Value::Null,
                    body => serde_json::from_str(body).unwrap(),
                };
                Sent {
                    path: request.path,
                    body,
                }
            })
            .collect();
        let told = case.args.join(" ");
        let recorded = case.request.map(without_oddities);
        let wanted = case.ours.request.or(recorded);
        let wanted = wanted.filter(|_| !case.ours.silent);
        assert_eq!(sent, wanted.into_iter().collect::<Vec<_>>(), "{told}");
        let stdout = case.ours.stdout.unwrap_or(case.stdout);
        assert_eq!(printed.replace("batoncli", "bytomcli"), stdout, "{told}");
        assert_eq!(
            ran.exit as u8,
            case.ours.exit.unwrap_or(case.exit),
            "{told}"
        );
        // Only a failure has more to say than bytomcli.
        assert!(ran.exit != Exit::Done || ran.err.is_empty(), "{told}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn with_a_real_node() {
    replay(include_str!("data/bytomcli-node.jsonl"));
}

#[test]
fn with_answers_of_our_own() {
    replay(include_str!("data/bytomcli-canned.jsonl"));
}

#[test]
fn with_commands_of_our_own() {
    replay(include_str!("data/additions.jsonl"));
}

#[test]
fn every_command_has_a_case_in_which_it_ends_well() {
    let of_bytomcli = concat!(
        include_str!("data/bytomcli-node.jsonl"),
        include_str!("data/bytomcli-canned.jsonl")
    );
    let well = |cases: &str| -> BTreeSet<String> {
        let cases = cases
            .lines()
            .map(|line| serde_json::from_str::<Case>(line).unwrap());
        let mut well: Vec<_> = cases.filter(|case| case.exit == 0).collect();
        well.iter_mut()
            .map(|case| case.args.swap_remove(0))
            .collect()
    };
    let (recorded, ours) = (
        well(of_bytomcli),
        well(include_str!("data/additions.jsonl")),
    );
    for command in commands() {
        let cases = match command.origin {
            Origin::Bytomcli => &recorded,
            Origin::BytomcliV1 | Origin::Addition => &ours,
        };
        assert!(cases.contains(command.name), "{}", command.name);
    }
}
