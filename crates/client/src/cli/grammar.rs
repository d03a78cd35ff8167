//! What clap is told: the table as its commands. Errors and help are not clap's: see `refusal` and `help`.

use clap::builder::ValueHint;
use clap::{Arg, ArgAction};

use super::{COMMON_FLAGS, LOCAL, NAME};
use crate::table::{self, Flag, FlagKind};

/// The name under which clap knows a command's arguments.
pub(super) const ARGUMENTS: &str = "arguments";
pub(super) const HELP: &str = "help";

/// The whole program.
pub(crate) fn program() -> clap::Command {
    let of_table = table::commands().map(|row| {
        bare(row.name, row.about)
            .args(row.flags.iter().map(flag))
            .arg(arguments().value_hint(ValueHint::Other))
    });
    let local = LOCAL
        .iter()
        .map(|row| bare(row.name, row.about).arg(arguments()));
    let help = Arg::new(HELP)
        .short('h')
        .long(HELP)
        .help("help for this command")
        .global(true)
        .action(ArgAction::SetTrue);
    bare(NAME, "A command line client of batond and bytomd")
        .args(COMMON_FLAGS.iter().map(|row| flag(row).global(true)))
        .arg(help)
        .subcommands(of_table.chain(local))
}

fn bare(name: &'static str, about: &'static str) -> clap::Command {
    clap::Command::new(name)
        .about(about)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
}

fn arguments() -> Arg {
    Arg::new(ARGUMENTS).num_args(0..).action(ArgAction::Append)
}

/// Of a flag that is given twice, the last value counts; values may begin with a dash.
fn flag(row: &'static Flag) -> Arg {
    let arg = Arg::new(row.name)
        .long(row.name)
        .help(row.help)
        .action(ArgAction::Append)
        .default_value(row.default);
    let arg = match row.letter {
        Some(letter) => arg.short(letter),
        None => arg,
    };
    match row.kind {
        FlagKind::Text => arg.allow_hyphen_values(true),
        FlagKind::Number => arg.allow_hyphen_values(true).value_parser(integer),
        FlagKind::Count => arg.allow_hyphen_values(true).value_parser(natural),
        FlagKind::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .value_parser(truth),
    }
}

/// An integer in the notations of Go: `12`, `0x0c`, `0b1100`, `0o14`, `014`, `1_2`. As decimal digits.
fn integer(text: &str) -> Result<String, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase().replace('_', "");
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_alphanumeric());
    is_number
        .then(|| i64::from_str_radix(&format!("{sign}{digits}"), base).ok())
        .flatten()
        .map(|number| number.to_string())
        .ok_or_else(|| "not a whole number".to_owned())
}

fn natural(text: &str) -> Result<String, String> {
    match integer(text)? {
        number if number.starts_with('-') => Err("less than zero".to_owned()),
        number => Ok(number),
    }
}

fn truth(text: &str) -> Result<String, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok("true".to_owned()),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok("false".to_owned()),
        _ => Err("neither true nor false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_accepts_the_table() {
        program().debug_assert();
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, number) in [
            ("0", Some("0")),
            ("12", Some("12")),
            ("-3", Some("-3")),
            ("+3", Some("3")),
            ("0x1F", Some("31")),
            ("0b101", Some("5")),
            ("0o17", Some("15")),
            ("017", Some("15")),
            ("1_000", Some("1000")),
            ("09", None),
            ("", None),
            ("-", None),
            ("x", None),
            ("1.0", None),
            ("--3", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(integer(text).ok().as_deref(), number, "{text}");
        }
        assert!(natural("-1").is_err());
    }
}
