//! The command line of `batond`: bytomd's commands and flags, and ours.

use std::ffi::OsString;

use baton_node::settings::{Flags, KEYS, Key, Kind, Treatment};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

/// The whole command line.
pub(super) fn command() -> Command {
    Command::new("batond")
        .about("A ledger node for Bytom's clients, built to be handed over")
        .disable_version_flag(true)
        .args_override_self(true)
        .arg(
            Arg::new("home")
                .long("home")
                .value_name("DIR")
                .global(true)
                .help("The directory of the node, ~/.batond if nothing is said (TM_HOME)"),
        )
        .arg(
            Arg::new("trace")
                .long("trace")
                .action(ArgAction::SetTrue)
                .global(true)
                .help("Print errors with all that is known of them"),
        )
        .subcommand(init())
        .subcommand(with_settings(
            Command::new("node").about("Run the node").after_help(
                "Each flag is also a line of config.toml and a variable of the environment, such as TM_P2P_LADDR; a flag wins over \
                 the environment, the environment over config.toml. LISTEN wins over api_addr.",
            ),
        ))
        .subcommand(
            Command::new("status")
                .about("Tell how the node that runs on the home is, in JSON")
                .after_help("sync_info.latest_block_height is a text, as with nodes of the Cosmos SDK; what only batond has is under baton."),
        )
        .subcommand(
            Command::new("stop").about("Stop the node that runs on the home, and wait until it has stopped"),
        )
        .subcommand(super::namespaces::command())
        .subcommand(super::inspect::command())
        .subcommand(super::testnet::command())
        .subcommand(super::tokens::command())
        .subcommand(super::money::pay_command())
        .subcommand(super::money::upgrade_command())
        .subcommand(Command::new("version").about("Print the version"))
        .subcommand(
            Command::new("config")
                .about("Look after the settings")
                .arg_required_else_help(true)
                .subcommand(with_settings(Command::new("check").about(
                    "Tell everything that would keep the node from being started, and change nothing",
                ))),
        )
}

fn init() -> Command {
    home_options(
        Command::new("init")
            .about("Make a home: a key, settings, and for a solonet where its chain begins"),
    )
}

/// What may be said about a home that is made.
pub(super) fn home_options(command: Command) -> Command {
    command
        .arg(
            Arg::new("chain_id")
                .long("chain_id")
                .value_name("ID")
                .default_value("")
                .hide_default_value(true)
                .help("Select [mainnet] or [testnet] or [solonet]; solonet if nothing is said"),
        )
        .arg(
            Arg::new("genesis")
                .long("genesis")
                .value_name("FILE")
                .help("The genesis.json of the network to join, which is copied"),
        )
}

/// A flag for each setting.
fn with_settings(command: Command) -> Command {
    let flags = KEYS.iter().map(|key| {
        let flag = Arg::new(key.name).long(key.name).help(help(key));
        let flag = match key.kind {
            Kind::Switch => flag
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_name("true|false"),
            Kind::Number(..) => flag.value_name("NUMBER").allow_hyphen_values(true),
            Kind::Text => flag.value_name("TEXT").allow_hyphen_values(true),
        };
        flag.hide(matches!(key.treatment, Treatment::Ignored(_)))
    });
    // the last one wins, as with bytomd
    command.args_override_self(true).args(flags)
}

fn help(key: &Key) -> String {
    match key.default {
        "" | "false" => key.help.to_owned(),
        default => format!("{} [default: {default}]", key.help),
    }
}

/// The settings that were given as flags.
pub(super) fn settings(matches: &ArgMatches) -> Flags {
    let given = KEYS.iter().filter_map(|key| {
        let value = matches.get_one::<String>(key.name)?;
        Some((key.name.to_owned(), value.clone()))
    });
    given.collect()
}

/// What came of reading a command line.
pub(super) enum Parsed {
    /// It asks for something.
    Matches(Box<ArgMatches>),
    /// It asks for help, which is this.
    Help(String),
    /// It is not understood; the text is cobra's, which bytomd uses.
    Refused(String),
}

/// Reads a command line, without the program's name.
pub(super) fn parse(args: &[OsString]) -> Parsed {
    let mut command = command();
    let line = std::iter::once(OsString::from("batond")).chain(args.iter().cloned());
    match command.try_get_matches_from_mut(line) {
        Ok(matches) if matches.subcommand().is_none() => {
            Parsed::Help(command.render_help().to_string())
        }
        Ok(matches) => Parsed::Matches(Box::new(matches)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Parsed::Help(error.render().to_string())
            }
            _ => Parsed::Refused(refusal(&error, args)),
        },
    }
}

fn refusal(error: &clap::Error, args: &[OsString]) -> String {
    let told = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let bare = |flag: &str| flag.split([' ', '=']).next().unwrap_or(flag).to_owned();
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = told(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("unknown command {word:?} for {:?}", path(args))
        }
        ErrorKind::UnknownArgument => {
            let word = told(ContextKind::InvalidArg).unwrap_or_default();
            if word.starts_with('-') {
                format!("unknown flag: {}", bare(&word))
            } else {
                format!("unknown command {word:?} for {:?}", path(args))
            }
        }
        ErrorKind::InvalidValue
            if told(ContextKind::InvalidValue).is_none_or(|value| value.is_empty()) =>
        {
            let flag = told(ContextKind::InvalidArg).unwrap_or_default();
            format!("flag needs an argument: {}", bare(&flag))
        }
        _ => {
            let text = error.render().to_string();
            let text = text.trim_start_matches("error: ");
            let text: Vec<&str> = text
                .lines()
                .take_while(|line| !line.is_empty())
                .map(str::trim)
                .collect();
            text.join(" ")
        }
    }
}

/// The commands that were understood: `batond namespace`.
fn path(args: &[OsString]) -> String {
    let mut command = command();
    let mut path = "batond".to_owned();
    for word in args.iter().filter_map(|word| word.to_str()) {
        if let Some(next) = command.find_subcommand(word).cloned() {
            path = format!("{path} {word}");
            command = next;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Parsed {
        let words: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        parse(&words)
    }

    fn node(line: &str) -> Flags {
        match parsed(line) {
            Parsed::Matches(matches) => settings(matches.subcommand().unwrap().1),
            Parsed::Refused(text) | Parsed::Help(text) => panic!("{text}"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn flags_are_read_as_bytomd_reads_them() {
        let flags = node(
            "node --mining --wallet.disable=false --p2p.laddr tcp://127.0.0.1:1 --p2p.max_num_peers=-3",
        );
        let wanted = [
            ("mining", "true"),
            ("p2p.laddr", "tcp://127.0.0.1:1"),
            ("p2p.max_num_peers", "-3"),
            ("wallet.disable", "false"),
        ];
        let wanted: Flags = wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(flags, wanted);
        assert_eq!(
            node("--home /x node --simd.enable"),
            node("node --simd.enable --home /x")
        );
    }

    #[test]
    fn what_is_not_understood_is_told_as_bytomd_tells_it() {
        for (line, wanted) in [
            ("bogus", "unknown command \"bogus\" for \"batond\""),
            ("--bogus", "unknown flag: --bogus"),
            ("node --bogus=1", "unknown flag: --bogus"),
            ("init --chain_id", "flag needs an argument: --chain_id"),
            (
                "config bogus",
                "unknown command \"bogus\" for \"batond config\"",
            ),
            (
                "node bogus",
                "unknown command \"bogus\" for \"batond node\"",
            ),
        ] {
            match parsed(line) {
                Parsed::Refused(text) => assert_eq!(text, wanted, "{line}"),
                Parsed::Help(text) => panic!("{line} gave help: {text}"),
                Parsed::Matches(_) => panic!("{line} was understood"),
            }
        }
    }

    #[test]
    fn help_is_no_error() {
        for line in ["", "help", "--help", "node --help", "help node", "config"] {
            assert!(matches!(parsed(line), Parsed::Help(_)), "{line}");
        }
    }
}
