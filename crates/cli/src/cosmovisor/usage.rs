//! Usage and help in the layout that scripts and operators know from Cosmovisor's command line.

use std::fmt::Write;

use super::table::{Args, Command, Flag, Kind};

/// A command and those above it, the root first; never empty.
pub(crate) type Path = Vec<&'static Command>;

/// The words that call a command.
pub(crate) fn spoken(path: &Path) -> String {
    let names: Vec<_> = path.iter().map(|command| command.name()).collect();
    names.join(" ")
}

/// What a command is for, and its usage.
pub(crate) fn help(path: &Path) -> String {
    let command = last(path);
    let text = if command.long.is_empty() {
        command.short
    } else {
        command.long
    };
    format!("{text}\n\n{}", usage(path))
}

/// How a command is used, with a line break at the end.
pub(crate) fn usage(path: &Path) -> String {
    written(path, true)
}

/// The same without a line on `--help`.
pub(crate) fn usage_without_help(path: &Path) -> String {
    written(path, false)
}

fn written(path: &Path, with_help: bool) -> String {
    let command = last(path);
    let spoken = spoken(path);
    let mut text = "Usage:\n".to_owned();
    if command.action.is_some() {
        let above = spoken.strip_suffix(command.name()).unwrap_or_default();
        let flags = if command.flags_in_usage && !command.usage.contains("[flags]") {
            " [flags]"
        } else {
            ""
        };
        let _ = writeln!(text, "  {above}{}{flags}", command.usage);
    }
    if !command.commands.is_empty() {
        let _ = writeln!(text, "  {spoken} [command]");
    }
    if !command.example.is_empty() {
        let _ = write!(text, "\nExamples:\n{}\n", command.example);
    }
    if !command.commands.is_empty() {
        text.push_str("\nAvailable Commands:\n");
        let mut below: Vec<_> = command.commands.iter().collect();
        below.sort_by_key(|command| command.name());
        let longest = below.iter().map(|below| below.name().len()).max();
        let width = longest.unwrap_or_default().max(11);
        for below in below {
            let _ = writeln!(text, "  {:width$} {}", below.name(), below.short);
        }
    }
    let help_text = format!("help for {}", command.name());
    let help_flag = help_flag_with(&help_text);
    let mut own: Vec<Line<'_>> = command.flags.iter().map(Line::of).collect();
    if with_help {
        own.push(help_flag);
    }
    section(&mut text, "Flags", own);
    if path.len() > 1 {
        section(
            &mut text,
            "Global Flags",
            path[0].flags.iter().map(Line::of).collect(),
        );
    }
    if !command.commands.is_empty() {
        let _ = write!(
            text,
            "\nUse \"{spoken} [command] --help\" for more information about a command.\n"
        );
    }
    text
}

fn last(path: &Path) -> &'static Command {
    path.last().expect("a path has at least the root")
}

struct Line<'a> {
    name: &'a str,
    letter: Option<char>,
    value: &'static str,
    help: &'a str,
    default: Option<&'static str>,
}

impl Line<'_> {
    fn of(flag: &'static Flag) -> Self {
        let value = match flag.kind {
            Kind::Bool => "",
            Kind::Int => " int",
            Kind::Text | Kind::Path => " string",
            Kind::List => " strings",
        };
        Self {
            name: flag.name,
            letter: flag.letter,
            value,
            help: flag.help,
            default: flag.default,
        }
    }
}

fn help_flag_with(help: &str) -> Line<'_> {
    Line {
        name: "help",
        letter: Some('h'),
        value: "",
        help,
        default: None,
    }
}

fn section(text: &mut String, heading: &str, mut lines: Vec<Line<'_>>) {
    if lines.is_empty() {
        return;
    }
    lines.sort_by_key(|line| line.name);
    let _ = write!(text, "\n{heading}:\n");
    let left: Vec<_> = lines
        .iter()
        .map(|line| {
            let letter = line
                .letter
                .map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
            format!("  {letter}--{}{}", line.name, line.value)
        })
        .collect();
    let width = left.iter().map(String::len).max().unwrap_or_default();
    for (left, line) in left.iter().zip(&lines) {
        let _ = write!(text, "{left:width$}   {}", line.help);
        if let Some(default) = line.default {
            let _ = write!(text, " (default \"{default}\")");
        }
        text.push('\n');
    }
}

/// Whether the command takes whatever follows it as it is.
pub(crate) fn takes_everything(command: &Command) -> bool {
    command.args == Args::Everything
}

#[cfg(test)]
mod tests {
    use super::super::table::ROOT;
    use super::*;

    fn path(names: &[&str]) -> Path {
        let mut path: Path = vec![&ROOT];
        for name in names {
            let below = last(&path).commands.iter().find(|c| c.name() == *name);
            path.push(below.unwrap());
        }
        path
    }

    #[test]
    fn test_get_help_text() {
        let text = help(&path(&[]));
        for piece in [
            "Cosmovisor",
            "DAEMON_NAME",
            "DAEMON_HOME",
            "https://docs.cosmos.network/main/build/tooling/cosmovisor",
        ] {
            assert!(text.contains(piece), "{piece}");
        }
    }

    #[test]
    fn a_group_lists_its_commands() {
        assert_eq!(
            usage(&path(&["completion"])),
            "Usage:
  cosmovisor completion [command]

Available Commands:
  bash        Print the script for bash
  fish        Print the script for fish
  powershell  Print the script for powershell
  zsh         Print the script for zsh

Flags:
  -h, --help   help for completion

Global Flags:
  -c, --cosmovisor-config string   read the configuration from this config.toml

Use \"cosmovisor completion [command] --help\" for more information about a command.
"
        );
        let root = usage(&path(&[]));
        assert!(root.starts_with(
            "Usage:\n  cosmovisor [command]\n\nAvailable Commands:\n  add-batch-upgrade Add"
        ));
        assert!(!root.contains("Global Flags"));
        assert!(!usage_without_help(&path(&[])).contains("--help  "));
    }

    #[test]
    fn a_command_shows_its_flags_in_columns() {
        assert_eq!(
            usage(&path(&["add-upgrade"])),
            "Usage:
  cosmovisor add-upgrade <upgrade-name> <path to executable> [flags]

Flags:
      --force                overwrite the upgrade's binary, and the plan in upgrade-info.json
  -h, --help                 help for add-upgrade
      --upgrade-height int   switch to the binary at this height, without a governance proposal

Global Flags:
  -c, --cosmovisor-config string   read the configuration from this config.toml
"
        );
        let version = usage(&path(&["version"]));
        assert!(version.contains(
            "\n  -o, --output string     format of the output (text|json) (default \"text\")\n"
        ));
        let batch = usage(&path(&["add-batch-upgrade"]));
        assert!(batch.starts_with("Usage:\n  cosmovisor add-batch-upgrade [flags]\n\nExamples:\n"));
        assert!(batch.contains("\n      --upgrade-list strings   "));
        let bash = usage(&path(&["completion", "bash"]));
        assert!(bash.starts_with("Usage:\n  cosmovisor completion bash\n\nFlags:\n"));
    }
}
