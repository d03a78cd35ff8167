//! What `batoncli` does, from its arguments to its exit code.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::answer::Reply;
use crate::cli::{self, Options, Wanted};
use crate::input::Input;
use crate::node::{CallError, DEFAULT_URL, Node};
use crate::table::{Command, Endpoint};

/// How a command ended; the numbers are bytomcli's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was for.
    Done = 0,
    /// Nothing was sent: what was typed makes no sense.
    Local = 1,
    /// There was no answer, or none of the API's.
    Connect = 2,
    /// The answer was not what it should be.
    Answer = 3,
    /// The node said that it did not do it.
    Node = 4,
}

/// Where a command writes.
pub struct Streams<'a> {
    /// Standard output: what bytomcli prints, its errors too.
    pub out: &'a mut dyn Write,
    /// Standard error: usage, and what bytomcli keeps to itself.
    pub err: &'a mut dyn Write,
}

/// Runs a command line, without the program's name. `bytom_url` is the environment's `BYTOM_URL`.
pub fn run(
    arguments: &[OsString],
    bytom_url: Option<&str>,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let wanted = match cli::parse(arguments) {
        Ok(wanted) => wanted,
        Err(refusal) => {
            write!(streams.err, "{refusal}")?;
            return Ok(Exit::Local);
        }
    };
    match wanted {
        Wanted::Call(command, input, options) => {
            return call(command, &input, &options, bytom_url, streams);
        }
        Wanted::Usage => write!(streams.err, "{}", cli::usage_of_program())?,
        Wanted::Help => write!(streams.out, "{}", cli::of_program())?,
        Wanted::HelpOf(command) => write!(streams.out, "{}", cli::of_command(command))?,
        Wanted::HelpOfLocal(command) => write!(streams.out, "{}", cli::of_local(command))?,
        Wanted::HelpOfUnknown(topic) => {
            let usage = cli::usage_of_program();
            write!(streams.err, "Unknown help topic [`{topic}`]\n{usage}")?;
        }
        Wanted::Version => writeln!(streams.out, "{}", version())?,
        Wanted::Completion(shell) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli::program(), cli::NAME, &mut script);
            streams.out.write_all(&script)?;
        }
    }
    Ok(Exit::Done)
}

/// `Batoncli v0.1.0 linux/amd64`, with Go's names for machines.
fn version() -> String {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    format!("Batoncli v{} {system}/{machine}", env!("CARGO_PKG_VERSION"))
}

fn call(
    command: &Command,
    input: &Input,
    options: &Options,
    bytom_url: Option<&str>,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let body = match command.request(input) {
        Ok(body) => body.filter(|body| !body.is_null()),
        Err(complaint) => {
            error_line(streams.out, &complaint.0)?;
            return Ok(Exit::Local);
        }
    };
    if !options.json {
        write!(streams.out, "{}", command.answer.preface())?;
        streams.out.flush()?;
    }
    let endpoint = match command.endpoint {
        Endpoint::Named(name) => name,
        Endpoint::Typed => input.argument(0),
    };
    let address = options
        .node
        .as_deref()
        .or(bytom_url.filter(|url| !url.is_empty()))
        .unwrap_or(DEFAULT_URL);
    let answer = Node::new(address, options.token.as_deref(), options.limit)
        .and_then(|node| fetch(&node, endpoint, body.as_ref()));
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            match &error {
                CallError::Refused { body, .. } if options.json => raw(streams.out, body)?,
                _ if options.json => {}
                _ => error_line(streams.out, NO_CONNECTION)?,
            }
            complain(streams.err, &error.to_string())?;
            return Ok(Exit::Connect);
        }
    };
    if options.json {
        raw(streams.out, &answer)?;
    }
    let data = match Reply::read(&answer) {
        Ok(Reply::Done(data)) => data,
        Ok(Reply::Failed {
            code,
            message,
            detail,
        }) => {
            if !options.json {
                error_line(streams.out, &message)?;
            }
            let parts = [code, detail];
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            if !parts.is_empty() {
                complain(streams.err, &parts.join(": "))?;
            }
            return Ok(Exit::Node);
        }
        Err(why) => {
            if !options.json {
                error_line(streams.out, NO_CONNECTION)?;
            }
            let why = format!("what answered is no node's API: {why}");
            complain(streams.err, &why)?;
            return Ok(Exit::Connect);
        }
    };
    if options.json {
        return Ok(Exit::Done);
    }
    match command.answer.print(input, data.as_ref()) {
        Ok(text) => {
            write!(streams.out, "{text}")?;
            Ok(Exit::Done)
        }
        Err(error) => {
            error_line(streams.out, &error.to_string())?;
            complain(
                streams.err,
                "the node's answer is not what this command prints; --json shows it",
            )?;
            Ok(Exit::Answer)
        }
    }
}

/// What bytomcli says whenever it has no answer; standard error says why.
const NO_CONNECTION: &str = "Unable to connect to the bytomd";

/// One request, with a runtime that lives as long.
fn fetch(
    node: &Node,
    endpoint: &str,
    body: Option<&serde_json::Value>,
) -> Result<Vec<u8>, CallError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CallError::Client(error.to_string()))?
        .block_on(node.post(endpoint, body))
}

/// An error as bytomcli prints it: `ERROR 2026/11/21 02:00:11 Account not found`.
fn error_line(out: &mut dyn Write, message: &str) -> io::Result<()> {
    let now = jiff::Zoned::now().strftime("%Y/%m/%d %H:%M:%S");
    let end = if message.ends_with('\n') { "" } else { "\n" };
    write!(out, "ERROR {now} {message}{end}")
}

fn complain(err: &mut dyn Write, why: &str) -> io::Result<()> {
    writeln!(err, "{}: {why}", cli::NAME)
}

fn raw(out: &mut dyn Write, body: &[u8]) -> io::Result<()> {
    out.write_all(body)?;
    match body.last() {
        None | Some(b'\n') => Ok(()),
        Some(_) => out.write_all(b"\n"),
    }
}
