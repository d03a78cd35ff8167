//! The command line: what it may be, what was meant by it, how it is explained. All of it follows the table.

mod grammar;
mod help;
mod parse;
mod refusal;

use std::time::Duration;

pub(crate) use grammar::program;
pub(crate) use help::{of_command, of_local, of_program, usage_of_program};
pub(crate) use parse::parse;

use crate::input::Input;
use crate::table::{Command, Flag, FlagKind, count, switch, text};

/// The program's name.
pub(crate) const NAME: &str = "batoncli";

/// Flags that every command has.
pub(crate) const COMMON_FLAGS: &[Flag] = &[
    text(
        "node",
        "address of the node, http://host:port; else of BYTOM_URL, else http://127.0.0.1:9888",
    ),
    text(
        "token",
        "access token, id:secret; where others can see your command line, put it into BYTOM_URL: http://id:secret@host:port",
    ),
    switch("json", "print the node's answer as it came"),
    count("timeout", "seconds to wait for the node's answer").or("120"),
];

/// Commands that need no node.
pub(crate) struct Local {
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
    pub(crate) about: &'static str,
}

/// Commands that need no node.
pub(crate) const LOCAL: &[Local] = &[
    Local {
        name: "version",
        usage: "",
        about: "Print the version number of Batoncli",
    },
    Local {
        name: "help",
        usage: "[command]",
        about: "Help about any command",
    },
    Local {
        name: "completion",
        usage: "<bash|zsh|fish|powershell|elvish>",
        about: "Print a script with which the shell completes commands",
    },
];

/// What was meant.
pub(crate) enum Wanted {
    /// A command of the table.
    Call(&'static Command, Input, Options),
    /// Only the program's name was typed.
    Usage,
    /// The help of the program.
    Help,
    /// The help of a command of the table.
    HelpOf(&'static Command),
    /// The help of a command that needs no node.
    HelpOfLocal(&'static Local),
    /// The help of something that is not there.
    HelpOfUnknown(String),
    /// The version.
    Version,
    /// A script for a shell.
    Completion(clap_complete::Shell),
}

/// What the flags say that all commands have.
pub(crate) struct Options {
    pub(crate) node: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) json: bool,
    pub(crate) limit: Duration,
}

/// Whether a flag takes a value.
pub(crate) fn takes_value(flag: &Flag) -> bool {
    flag.kind != FlagKind::Switch
}
