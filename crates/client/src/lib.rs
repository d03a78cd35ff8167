//! A client of bytomd's API: one table of commands, and what `batoncli` does with it.
//!
//! ```text
//!  arguments ──► cli::parse ──► Input ──► Command::request ──► Node::post ──► Reply ──► Answer::print ──► stdout
//!                    │                        │                                             │
//!                    └────────── table: one row per command ────────────────────────────────┘
//! ```
//!
//! The table says everything about a command; nothing else knows one by name. `run` puts the pieces together and is
//! the only one that writes anywhere; `node` is the only one that uses the network.
#![doc = include_str!("../README.md")]

mod answer;
mod body;
mod cli;
mod input;
mod json;
mod node;
mod run;
pub mod table;

pub use answer::{Reply, WrongType};
pub use body::{Complaint, Field, Kind, Sent, Source};
pub use input::Input;
pub use json::Json;
pub use node::{CONNECT_LIMIT, CallError, DEFAULT_LIMIT, DEFAULT_URL, MAX_ANSWER_BYTES, Node};
pub use run::{Exit, Streams, run};

use std::io::{self, Write};
use std::process::ExitCode;

/// The `batoncli` executable.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let bytom_url = std::env::var("BYTOM_URL").ok();
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let mut streams = Streams {
        out: &mut out,
        err: &mut err,
    };
    let ended = run(&arguments, bytom_url.as_deref(), &mut streams)
        .and_then(|exit| streams.out.flush().map(|()| exit));
    match ended {
        Ok(exit) => ExitCode::from(exit as u8),
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(err, "batoncli: cannot write: {error}");
            ExitCode::from(Exit::Local as u8)
        }
    }
}
