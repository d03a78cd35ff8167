//! From arguments to a command, with the rules and texts that Cosmovisor's command line has
//! (Go's `cobra` and `pflag`), because scripts depend on them.
//!
//! First the command is found: flags are skipped on the way, and one that the commands above do not
//! know takes the word after it along. Then the command's flags are read, wherever they stand; then
//! come, in this order, a request for help, the number of arguments, and flags that exclude one
//! another.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use baton_supervisor::config::go_text::{self, quote};
use baton_supervisor::stage::csv;

use super::table::{Args, Command, Flag, Kind, ROOT};
use super::usage::{Path, spoken, takes_everything};

/// What the arguments ask for.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A command, to be done.
    Call(Call),
    /// The help of a command.
    Help(Path),
    /// Nothing that can be done.
    Refused(Refusal),
}

/// A command with what was given to it.
#[derive(Debug)]
pub(crate) struct Call {
    /// The command.
    pub(crate) path: Path,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    flags: Flags,
}

/// Why nothing can be done.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What is wrong.
    pub(crate) message: String,
    /// What to print after it.
    pub(crate) after: After,
}

/// What follows an error.
#[derive(Debug)]
pub(crate) enum After {
    /// Nothing.
    Nothing,
    /// The usage of the command.
    Usage(Path),
    /// Where to find the usage.
    Pointer,
}

type Flags = BTreeMap<&'static str, Value>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Bool(bool),
    Int(i64),
    Text(OsString),
    List(Vec<String>),
}

impl Call {
    /// Whether a switch is on.
    pub(crate) fn is_on(&self, flag: &str) -> bool {
        matches!(self.flags.get(flag), Some(Value::Bool(true)))
    }

    /// A number, or 0.
    pub(crate) fn int(&self, flag: &str) -> i64 {
        match self.flags.get(flag) {
            Some(Value::Int(number)) => *number,
            _ => 0,
        }
    }

    /// A text, if it is not empty.
    pub(crate) fn text(&self, flag: &str) -> Option<&OsStr> {
        match self.flags.get(flag) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub(crate) fn list(&self, flag: &str) -> &[String] {
        match self.flags.get(flag) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }
}

/// Takes the arguments apart.
pub(crate) fn parse(args: Vec<OsString>) -> Parsed {
    let (path, args) = match find(args) {
        Ok(found) => found,
        Err(refusal) => return Parsed::Refused(refusal),
    };
    let command = path[path.len() - 1];
    match read(path.clone(), args) {
        Ok(call) if call.is_on(HELP.name) || command.action.is_none() => Parsed::Help(path),
        Ok(call) => match check(command, &call) {
            Ok(()) => Parsed::Call(call),
            Err(message) => refused(path, message),
        },
        Err(message) => refused(path, message),
    }
}

fn refused(path: Path, message: String) -> Parsed {
    let after = if path[path.len() - 1].usage_on_error {
        After::Usage(path)
    } else {
        After::Nothing
    };
    Parsed::Refused(Refusal { message, after })
}

/// The command that the arguments name, and the arguments without its names.
pub(crate) fn find(mut args: Vec<OsString>) -> Result<(Path, Vec<OsString>), Refusal> {
    let mut path: Path = vec![&ROOT];
    loop {
        let command = path[path.len() - 1];
        let Some(word) = first_word(&args) else {
            return Ok((path, args));
        };
        let named = |below: &&Command| args[word] == *below.name();
        match command.commands.iter().find(named) {
            Some(below) => {
                args.remove(word);
                path.push(below);
                if takes_everything(below) {
                    return Ok((path, args));
                }
            }
            None if path.len() == 1 => return Err(unknown_command(&args[word])),
            None => return Ok((path, args)),
        }
    }
}

/// Where the first argument is that is no flag and no flag's value, before the flags are known.
fn first_word(args: &[OsString]) -> Option<usize> {
    let mut index = 0;
    while let Some(arg) = args.get(index) {
        let bytes = arg.as_bytes();
        let flag = bytes.starts_with(b"-");
        // Of the flags that may stand here, all that are known take a value.
        let takes_next =
            flag && !bytes.contains(&b'=') && (bytes.starts_with(b"--") || bytes.len() == 2);
        match bytes {
            b"--" => return None,
            _ if takes_next => {
                // The value alone, and nothing after it.
                if args.len() <= index + 2 {
                    return None;
                }
                index += 2;
            }
            b"" => index += 1,
            _ if flag => index += 1,
            _ => return Some(index),
        }
    }
    None
}

fn unknown_command(word: &OsStr) -> Refusal {
    let word = word.to_string_lossy();
    let mut message = format!(
        "unknown command {} for {}",
        quote(&word),
        quote(ROOT.name())
    );
    let close: Vec<_> = ROOT
        .commands
        .iter()
        .map(Command::name)
        .filter(|name| *name != "help" && is_close(&word, name))
        .collect();
    if !close.is_empty() {
        message.push_str("\n\nDid you mean this?\n");
        for name in close {
            message.push('\t');
            message.push_str(name);
            message.push('\n');
        }
    }
    Refusal {
        message,
        after: After::Pointer,
    }
}

/// Two letters apart, or the beginning of the name.
fn is_close(typed: &str, name: &str) -> bool {
    let typed = typed.to_lowercase();
    name.starts_with(&typed) || distance(&typed, name) <= 2
}

/// How many letters must be changed, added or removed to get from one to the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

const HELP: Flag = Flag {
    name: "help",
    letter: Some('h'),
    kind: Kind::Bool,
    help: "",
    default: None,
};

/// Reads the flags of a command and of those above it; what remains are its arguments.
fn read(path: Path, args: Vec<OsString>) -> Result<Call, String> {
    let mut flags = Flags::new();
    if takes_everything(path[path.len() - 1]) {
        return Ok(Call { path, args, flags });
    }
    let known: Vec<&'static Flag> = path
        .iter()
        .flat_map(|command| command.flags)
        .chain([&HELP])
        .collect();
    let mut rest = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            rest.extend(args);
            break;
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            let long = OsStr::from_bytes(long).to_owned();
            read_long(&known, &mut flags, &long, &mut args)?;
        } else if bytes.len() > 1 && bytes.starts_with(b"-") {
            let letters = OsStr::from_bytes(&bytes[1..]).to_owned();
            read_letters(&known, &mut flags, &letters, &mut args)?;
        } else {
            rest.push(arg);
        }
    }
    Ok(Call {
        path,
        args: rest,
        flags,
    })
}

fn read_long(
    known: &[&'static Flag],
    flags: &mut Flags,
    long: &OsStr,
    args: &mut impl Iterator<Item = OsString>,
) -> Result<(), String> {
    let bytes = long.as_bytes();
    let (name, value) = match bytes.iter().position(|b| *b == b'=') {
        Some(at) => (&bytes[..at], Some(OsStr::from_bytes(&bytes[at + 1..]))),
        None => (bytes, None),
    };
    if matches!(name.first(), None | Some(b'-')) {
        return Err(format!("bad flag syntax: --{}", long.to_string_lossy()));
    }
    let name = String::from_utf8_lossy(name);
    let flag = known
        .iter()
        .find(|flag| flag.name == name)
        .ok_or_else(|| format!("unknown flag: --{name}"))?;
    let value = match value {
        Some(value) => value.to_owned(),
        None if flag.kind == Kind::Bool => "true".into(),
        None => args
            .next()
            .ok_or_else(|| format!("flag needs an argument: --{name}"))?,
    };
    set(flags, flag, &value)
}

fn read_letters(
    known: &[&'static Flag],
    flags: &mut Flags,
    letters: &OsStr,
    args: &mut impl Iterator<Item = OsString>,
) -> Result<(), String> {
    let mut bytes = letters.as_bytes();
    while let [first, rest @ ..] = bytes {
        let letter = char::from(*first);
        let shown = String::from_utf8_lossy(bytes);
        let flag = known
            .iter()
            .find(|flag| flag.letter == Some(letter))
            .ok_or_else(|| format!("unknown shorthand flag: '{letter}' in -{shown}"))?;
        let value = match rest {
            [b'=', value @ ..] if !value.is_empty() => OsStr::from_bytes(value).to_owned(),
            _ if flag.kind == Kind::Bool => {
                set(flags, flag, OsStr::new("true"))?;
                bytes = rest;
                continue;
            }
            [] => args
                .next()
                .ok_or_else(|| format!("flag needs an argument: '{letter}' in -{shown}"))?,
            value => OsStr::from_bytes(value).to_owned(),
        };
        return set(flags, flag, &value);
    }
    Ok(())
}

fn set(flags: &mut Flags, flag: &'static Flag, value: &OsStr) -> Result<(), String> {
    let text = value.to_string_lossy();
    let invalid = |why: String| {
        let letter = flag.letter.map_or_else(String::new, |l| format!("-{l}, "));
        format!(
            "invalid argument {} for \"{letter}--{}\" flag: {why}",
            quote(&text),
            flag.name
        )
    };
    let value = match flag.kind {
        Kind::Bool => Value::Bool(go_text::parse_bool(&text).map_err(invalid)?),
        Kind::Int => Value::Int(go_text::parse_literal(&text).map_err(invalid)?),
        Kind::Text | Kind::Path => Value::Text(value.to_owned()),
        Kind::List => {
            let records = csv::read(&text, csv::Rules::default());
            let items = records.map_err(|error| invalid(error.to_string()))?;
            let mut all = match flags.remove(flag.name) {
                Some(Value::List(before)) => before,
                _ => Vec::new(),
            };
            all.extend(items.into_iter().next().unwrap_or_default());
            Value::List(all)
        }
    };
    flags.insert(flag.name, value);
    Ok(())
}

fn check(command: &Command, call: &Call) -> Result<(), String> {
    match command.args {
        Args::Exactly(count) if call.args.len() != count => {
            let received = call.args.len();
            return Err(format!("accepts {count} arg(s), received {received}"));
        }
        Args::None if !call.args.is_empty() => {
            return Err(format!(
                "unknown command {} for {}",
                quote(&call.args[0].to_string_lossy()),
                quote(&spoken(&call.path))
            ));
        }
        _ => {}
    }
    let given = |name: &&&str| call.flags.contains_key(**name);
    let given: Vec<_> = command.exclusive.iter().filter(given).copied().collect();
    if given.len() > 1 {
        return Err(format!(
            "if any flags in the group [{}] are set none of the others can be; [{}] were all set",
            command.exclusive.join(" "),
            given.join(" ")
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
