//! Command lines that make no sense, in the words of cobra, which bytomcli's users know.
//!
//! What was typed is repeated only where no secret can stand: names of flags and commands, numbers.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{LOCAL, Local, NAME, help};
use crate::table::{self, Command};

/// Why a command line is refused, and how it should have been.
#[derive(Debug)]
pub(crate) struct Refusal {
    error: String,
    hint: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Error: {}\n{}\n", self.error, self.hint)
    }
}

impl Refusal {
    pub(super) fn of(command: &'static Command, error: String) -> Self {
        let hint = help::usage_of_command(command);
        Self { error, hint }
    }

    pub(super) fn of_local(command: &'static Local, error: String) -> Self {
        let hint = help::usage_of_local(command);
        Self { error, hint }
    }
}

/// What clap found wrong.
pub(super) fn of_clap(error: &clap::Error, typed: &[OsString]) -> Refusal {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // clap names a flag with its value's name: `--id <id>`
    let flag = text(ContextKind::InvalidArg);
    let flag = flag.split([' ', '=', '[']).next().unwrap_or(flag);
    let unknown = text(ContextKind::InvalidSubcommand);
    match error.kind() {
        ErrorKind::InvalidSubcommand => no_command(unknown, error),
        ErrorKind::UnknownArgument if !flag.starts_with('-') => no_command(flag, error),
        ErrorKind::UnknownArgument => {
            let meant = text(ContextKind::SuggestedArg);
            let hint = match meant {
                "" => String::new(),
                meant => format!("; did you mean {meant}?"),
            };
            below(typed, format!("unknown flag: {flag}{hint}"))
        }
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_empty() => {
            below(typed, format!("flag needs an argument: {flag}"))
        }
        ErrorKind::ValueValidation => {
            let value = text(ContextKind::InvalidValue);
            let why = std::error::Error::source(error).map(ToString::to_string);
            let why = why.unwrap_or_default();
            below(
                typed,
                format!("invalid argument {value:?} for \"{flag}\" flag: {why}"),
            )
        }
        ErrorKind::InvalidUtf8 => below(typed, "an argument is not UTF-8".to_owned()),
        kind => below(typed, format!("{kind}: {flag}")),
    }
}

/// More names than these do not help.
const MAX_ALIKE: usize = 4;

fn no_command(name: &str, error: &clap::Error) -> Refusal {
    let mut alike = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(names)) => names.clone(),
        Some(ContextValue::String(name)) => vec![name.clone()],
        _ => Vec::new(),
    };
    // clap has the likeliest last
    alike.reverse();
    alike.truncate(MAX_ALIKE);
    let hint = if alike.is_empty() {
        String::new()
    } else {
        format!("\nDid you mean this?\n\t{}\n\n", alike.join("\n\t"))
    };
    Refusal {
        error: format!("unknown command {name:?} for {NAME:?}"),
        hint: format!("{hint}Run '{NAME} --help' for usage."),
    }
}

/// A refusal with the usage of the command that was typed.
fn below(typed: &[OsString], error: String) -> Refusal {
    let words = || typed.iter().filter_map(|word| word.to_str());
    let of_table = words().find_map(table::find);
    let local = words().find_map(|word| LOCAL.iter().find(|row| row.name == word));
    match (of_table, local) {
        (Some(command), _) => Refusal::of(command, error),
        (None, Some(command)) => Refusal::of_local(command, error),
        (None, None) => Refusal {
            error,
            hint: format!("Run '{NAME} --help' for usage."),
        },
    }
}
