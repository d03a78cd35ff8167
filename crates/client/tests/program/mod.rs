//! `batoncli` as a function: what it printed and how it ended.

use std::ffi::OsString;

use baton_client::{Exit, Streams, run};

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command line with this `BYTOM_URL`.
pub(crate) fn batoncli(bytom_url: &str, arguments: &[&str]) -> Ran {
    let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut streams = Streams {
        out: &mut out,
        err: &mut err,
    };
    let exit = run(&arguments, Some(bytom_url), &mut streams).unwrap();
    Ran {
        exit,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}
