//! Help and usage, laid out as cobra does.

use std::fmt::Write;

use super::{COMMON_FLAGS, LOCAL, Local, NAME, takes_value};
use crate::table::{self, Command, Flag, FlagKind, Origin};

const ABOUT: &str = "Batoncli is a command line client for batond and for bytomd";

/// A name and what it is for.
type Entry = (String, String);

/// The help of the program.
pub(crate) fn of_program() -> String {
    format!("{ABOUT}\n\n{}", usage_of_program())
}

/// How the program is used.
pub(crate) fn usage_of_program() -> String {
    let of = |is_in: fn(&&Command) -> bool| -> Vec<Entry> {
        table::commands().filter(is_in).map(entry).collect()
    };
    let mut basic = of(|row| row.origin != Origin::Addition && !row.needs_wallet);
    basic.extend(
        LOCAL
            .iter()
            .map(|row| (row.name.to_owned(), row.about.to_owned())),
    );
    let groups = [
        ("Available Commands:", basic),
        (
            "  available with wallet enable:",
            of(|row| row.origin != Origin::Addition && row.needs_wallet),
        ),
        (
            "  not in bytomcli:",
            of(|row| row.origin == Origin::Addition),
        ),
    ];
    let mut text = format!("Usage:\n  {NAME} [flags]\n  {NAME} [command]\n");
    let every = groups.iter().flat_map(|(_, entries)| entries);
    let width = every.map(|(name, _)| name.len()).max().unwrap_or(0);
    for (title, mut entries) in groups {
        entries.sort();
        let _ = write!(text, "\n{title}\n");
        for (name, about) in entries {
            let _ = writeln!(text, "    {name:width$} {about}");
        }
    }
    let _ = write!(text, "\nFlags:\n{}", flags(COMMON_FLAGS, NAME));
    let _ = write!(
        text,
        "\nUse \"{NAME} [command] --help\" for more information about a command.\n"
    );
    text
}

fn entry(row: &'static Command) -> Entry {
    (row.name.to_owned(), row.about.to_owned())
}

/// The help of a command.
pub(crate) fn of_command(row: &'static Command) -> String {
    format!("{}\n\n{}", row.about, usage_of_command(row))
}

/// The help of a command that needs no node.
pub(crate) fn of_local(row: &'static Local) -> String {
    format!("{}\n\n{}", row.about, usage_of_local(row))
}

/// How a command is used.
pub(super) fn usage_of_command(row: &'static Command) -> String {
    format!(
        "{}\nFlags:\n{}\nGlobal Flags:\n{}",
        line(row.name, row.usage),
        flags(row.flags, row.name),
        flags(COMMON_FLAGS, ""),
    )
}

pub(super) fn usage_of_local(row: &'static Local) -> String {
    line(row.name, row.usage)
}

fn line(name: &str, usage: &str) -> String {
    let space = if usage.is_empty() { "" } else { " " };
    format!("Usage:\n  {NAME} {name}{space}{usage} [flags]\n")
}

/// The flags in the order of their names, and `--help` of something.
fn flags(rows: &'static [Flag], help_for: &str) -> String {
    let mut entries: Vec<Entry> = rows.iter().map(flag).collect();
    if !help_for.is_empty() {
        entries.push(("  -h, --help".to_owned(), format!("help for {help_for}")));
    }
    // the letter and its comma take as much room as blanks do where there is no letter
    entries.sort_by(|a, b| a.0[6..].cmp(&b.0[6..]));
    let width = entries
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (name, help) in entries {
        let _ = writeln!(text, "{name:width$}   {help}");
    }
    text
}

fn flag(row: &'static Flag) -> Entry {
    let letter = row
        .letter
        .map_or_else(|| "      ".to_owned(), |letter| format!("  -{letter}, "));
    let value = match row.kind {
        FlagKind::Text => " string",
        FlagKind::Number | FlagKind::Count => " int",
        FlagKind::Switch => "",
    };
    let mut help = row.help.to_owned();
    match row.default {
        "" | "0" => {}
        default if row.kind == FlagKind::Text => {
            let _ = write!(help, " (default {default:?})");
        }
        default if takes_value(row) => {
            let _ = write!(help, " (default {default})");
        }
        _ => {}
    }
    if row.is_addition {
        help.push_str(" (not in bytomcli)");
    }
    (format!("{letter}--{}{value}", row.name), help)
}
