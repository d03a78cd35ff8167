//! From the command line to what was meant, or to a [`Refusal`].

use std::ffi::OsString;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::grammar::{ARGUMENTS, HELP, program};
use super::refusal::{self, Refusal};
use super::{COMMON_FLAGS, LOCAL, NAME, Options, Wanted};
use crate::input::Input;
use crate::table::{self, Arguments, Command, Flag, Requirement};

/// A day: whoever waits longer waits for nothing.
const MAX_TIMEOUT_SECS: u64 = 86_400;

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Wanted, Refusal> {
    let words = std::iter::once(OsString::from(NAME)).chain(arguments.iter().cloned());
    let matches = program()
        .try_get_matches_from(words)
        .map_err(|error| refusal::of_clap(&error, arguments))?;
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(if matches.get_flag(HELP) {
            Wanted::Help
        } else {
            Wanted::Usage
        });
    };
    let wants_help = matches.get_flag(HELP);
    let typed: Vec<String> = matches
        .get_many(ARGUMENTS)
        .map(|typed| typed.cloned().collect())
        .unwrap_or_default();
    let Some(command) = table::find(name) else {
        return local(name, &typed, wants_help);
    };
    if wants_help {
        return Ok(Wanted::HelpOf(command));
    }
    counted(command, typed.len())?;
    let input = input(command.flags, matches, typed);
    all_required(command, &input)?;
    Ok(Wanted::Call(command, input, options(matches, command)?))
}

fn local(name: &str, typed: &[String], wants_help: bool) -> Result<Wanted, Refusal> {
    let row = LOCAL
        .iter()
        .find(|row| row.name == name)
        .expect("clap knows only the commands of the two tables");
    if wants_help {
        return Ok(Wanted::HelpOfLocal(row));
    }
    Ok(match (name, typed) {
        ("version", _) => Wanted::Version,
        ("help", []) => Wanted::Help,
        ("help", [topic, ..]) => help(topic),
        (_, [shell]) => Wanted::Completion(
            shell
                .parse()
                .map_err(|_| Refusal::of_local(row, format!("unknown shell {shell:?}")))?,
        ),
        _ => return Err(Refusal::of_local(row, counts(exactly_one(), typed.len()))),
    })
}

fn help(topic: &str) -> Wanted {
    let local = || LOCAL.iter().find(|row| row.name == topic);
    match table::find(topic) {
        Some(command) => Wanted::HelpOf(command),
        None => local().map_or_else(
            || Wanted::HelpOfUnknown(topic.to_owned()),
            Wanted::HelpOfLocal,
        ),
    }
}

const fn exactly_one() -> Arguments {
    Arguments { min: 1, max: 1 }
}

fn counted(command: &'static Command, typed: usize) -> Result<(), Refusal> {
    let Arguments { min, max } = command.arguments;
    if (min..=max).contains(&typed) {
        Ok(())
    } else {
        Err(Refusal::of(command, counts(command.arguments, typed)))
    }
}

/// That there are too few or too many arguments, in cobra's words.
fn counts(Arguments { min, max }: Arguments, typed: usize) -> String {
    match (min, max) {
        (0, 0) => format!("accepts no arguments, received {typed}"),
        (min, usize::MAX) => format!("requires at least {min} arg(s), only received {typed}"),
        (min, max) if min == max => format!("accepts {min} arg(s), received {typed}"),
        (min, max) => format!("accepts between {min} and {max} arg(s), received {typed}"),
    }
}

fn input(flags: &'static [Flag], matches: &ArgMatches, typed: Vec<String>) -> Input {
    let mut input = Input::new(typed);
    for flag in flags {
        let value = last(matches, flag.name).unwrap_or_default();
        input.set(flag.name, value, is_given(matches, flag.name));
    }
    input
}

fn last(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_many(name)?.next_back().cloned()
}

fn is_given(matches: &ArgMatches, name: &str) -> bool {
    matches.value_source(name) == Some(ValueSource::CommandLine)
}

fn all_required(command: &'static Command, input: &Input) -> Result<(), Refusal> {
    let is_required = |flag: &&Flag| match flag.required {
        None => false,
        Some(Requirement::Always) => true,
        Some(Requirement::If(other, value)) => input.flag(other) == value,
    };
    let missing: Vec<_> = command
        .flags
        .iter()
        .filter(is_required)
        .filter(|flag| !input.is_given(flag.name))
        .map(|flag| format!("{:?}", flag.name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let error = format!("required flag(s) {} not set", missing.join(", "));
    Err(Refusal::of(command, error))
}

fn options(matches: &ArgMatches, command: &'static Command) -> Result<Options, Refusal> {
    debug_assert_eq!(COMMON_FLAGS.len(), 4, "every one is read here");
    let given = |name| {
        is_given(matches, name)
            .then(|| last(matches, name))
            .flatten()
    };
    let seconds = last(matches, "timeout").unwrap_or_default();
    let limit = seconds
        .parse()
        .ok()
        .filter(|seconds| (1..=MAX_TIMEOUT_SECS).contains(seconds))
        .ok_or_else(|| {
            Refusal::of(
                command,
                format!("invalid argument {seconds:?} for \"--timeout\" flag: not from 1 to {MAX_TIMEOUT_SECS} seconds"),
            )
        })?;
    Ok(Options {
        node: given("node"),
        token: given("token"),
        json: last(matches, "json").as_deref() == Some("true"),
        limit: Duration::from_secs(limit),
    })
}
