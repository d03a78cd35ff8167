//! The command line of `baton`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::commands::backup::{BackupArgs, RestoreArgs, RollbackArgs};
use crate::commands::doctor::DoctorArgs;
use crate::commands::handover::{GenerationsArgs, UpgradeArgs};
use crate::commands::reload::{ReloadArgs, RetryArgs};
use crate::commands::serve::ServeArgs;
use crate::commands::tell::{EventsArgs, StatusArgs};
use crate::demo;
use crate::top::TopArgs;

/// Keep a chain's node running across its upgrades
///
/// Baton runs a node's binary, watches for upgrade plans, and switches the binary at the right
/// height: with a backup, in steps that survive a crash, and with the next binary fetched ahead.
/// It works on the homes of Cosmovisor, with the same settings and the same commands; both may be
/// used on one home.
#[derive(Debug, Parser)]
#[command(name = "baton", version, max_term_width = 100)]
#[command(
    after_help = "The home is $DAEMON_HOME, the node's binary is called $DAEMON_NAME. \
    Settings are environment variables or keys of a config.toml: see `baton config`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) home: HomeFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which home.
#[derive(Debug, Args)]
pub(crate) struct HomeFlags {
    /// Read the settings from this config.toml; variables override it
    #[arg(
        short = 'c',
        long,
        visible_alias = "cosmovisor-config",
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        global = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Work on this home instead of `$DAEMON_HOME`
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, global = true)]
    pub(crate) home: Option<PathBuf>,
    /// The file name of the node's binary, instead of `$DAEMON_NAME`
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) name: Option<OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node, and upgrade it when it is time
    ///
    /// All arguments after `run` are the node's, `--help` too. Flags of ours stand before `run`.
    /// Commands of the node that end by themselves, such as `version` or `query`, are run as they
    /// are. When the node ends by itself, its exit code is ours; 128 and the signal if it was killed.
    #[command(disable_help_flag = true)]
    Run {
        /// The node's arguments, such as `start`
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_hint = ValueHint::CommandWithArguments
        )]
        args: Vec<OsString>,
    },
    /// Lay out a home around the node's first binary
    ///
    /// Copies the executable to `cosmovisor/genesis/bin/`, makes the link `current`, and writes the
    /// settings of the environment to `cosmovisor/config.toml`. What is there already is kept; an
    /// existing `config.toml` is asked about.
    Init {
        /// The node's binary
        #[arg(value_hint = ValueHint::FilePath)]
        executable: OsString,
    },
    /// Add the binary of an upgrade
    ///
    /// Copies the executable to `cosmovisor/upgrades/<NAME>/bin/`, where it is looked for when the
    /// chain comes to the upgrade of that name.
    AddUpgrade {
        /// The upgrade's name, as the chain's proposal has it
        upgrade: OsString,
        /// Its binary
        #[arg(value_hint = ValueHint::FilePath)]
        executable: OsString,
        /// Overwrite the upgrade's binary, and the plan in upgrade-info.json
        #[arg(long)]
        force: bool,
        /// Switch to the binary at this height, without a decision of the chain's
        #[arg(
            long,
            value_name = "HEIGHT",
            default_value_t = 0,
            hide_default_value = true,
            allow_negative_numbers = true
        )]
        upgrade_height: i64,
    },
    /// Add the binaries of several upgrades, with their heights
    ///
    /// They replace the list of upgrades that was added before.
    AddBatchUpgrade(Batch),
    /// Fetch the binary of the upgrade that the chain plans
    ///
    /// Asks the node over gRPC (`DAEMON_GRPC_ADDRESS`) for the chain's current plan, and fetches and
    /// verifies that upgrade's binary ahead of the height.
    PrepareUpgrade,
    /// Show the plan in data/upgrade-info.json
    ShowUpgradeInfo,
    /// Show every setting, its value and where it came from
    Config,
    /// Show how things stand: the node, the plan, the last upgrade, the last error
    ///
    /// Exit code 1 if no supervisor runs on the home; what is shown then is from its history.
    Status(StatusArgs),
    /// Show what has happened, from the history of the home
    Events(EventsArgs),
    /// Watch the node live: heights, the plan, the steps of an upgrade, what happens
    ///
    /// A screen in a terminal, lines of text otherwise. Nothing here changes anything. If the supervisor ends that is said, and its
    /// successor is found.
    Top(TopArgs),
    /// Back up the data of a stopped node, or look at the backups
    Backup(BackupArgs),
    /// Put a backup in the place of the data of a stopped node
    ///
    /// The backup is verified while it is copied, the present data is kept beside under another
    /// name, and a validator keeps the newer of the two signing states.
    Restore(RestoreArgs),
    /// Take the last upgrade back: the previous release, and its data
    Rollback(RollbackArgs),
    /// Look now for everything that would make the next upgrade fail
    ///
    /// Settings, rights, the link and the binaries, the plans of the file, the batch list and the
    /// chain, room for the backup, whether the chain's height can be seen, and more, each with what
    /// to do. Exit code 1 if the next upgrade would fail.
    Doctor(DoctorArgs),
    /// Put another process in the place of the node's, now
    ///
    /// The same binary or another, without a height. A node that can hand over answers until the new process has taken over its
    /// sockets, connections and data: no client notices. Every other node is stopped and started. Exit code 1 if the node
    /// serves on as before.
    Reload(ReloadArgs),
    /// Try an upgrade again that failed while the old node answers on
    ///
    /// See `status` for what failed. The next start of the supervisor tries again as well.
    Retry(RetryArgs),
    /// Hold the sockets of any server, and restart or replace it without refusing a connection
    ///
    /// For servers that take sockets as systemd passes them (`LISTEN_FDS`), or nginx. What follows `--` is the server, which has to stay
    /// in the foreground. HUP, USR2 or `serve reload` start the next process beside the old one; a server that dies is started again
    /// while connections wait. Ends with the server's exit code.
    Serve(Box<ServeArgs>),
    /// Ask a running server to hand over to a new process of its own
    ///
    /// For servers built with baton-handover, whatever they serve; it has nothing to do with the
    /// upgrades of a chain, which `run` makes by itself at their height. Asks, waits, and prints
    /// the report. Exit code 0 only if the successor serves; otherwise the server goes on as before.
    Upgrade(UpgradeArgs),
    /// Show the generations of a running server, and who of them holds what
    ///
    /// For servers built with baton-handover, as `upgrade`. Shows the one that serves, those that
    /// still finish connections or sleep, and what dead ones left. Exit code 1 if nobody serves.
    Generations(GenerationsArgs),
    /// Watch the upgrade of a chain under load, with nothing but this executable
    ///
    /// Runs a chain of one validator in a temporary directory, with clients that ask, pay and listen, and upgrades it at a height. Exit code 1
    /// if a transaction or a block was lost, or if a node that can hand over was noticed to be upgraded.
    Demo(demo::Args),
    /// Show the versions of baton and of the node
    Version {
        /// Leave the node's version out
        #[arg(long, visible_alias = "cosmovisor-only")]
        baton_only: bool,
        /// Format of the output
        #[arg(short, long, value_enum, default_value_t = Format::Text)]
        output: Format,
        /// More arguments for the node's `version`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Print a script that completes commands in a shell
    #[command(visible_alias = "completions")]
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands
    Man {
        /// Write a page for each command to this directory
        #[arg(value_hint = ValueHint::DirPath)]
        directory: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Batch {
    /// A CSV file without a header, with a line `name,path,height` for each upgrade
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) upgrade_file: Option<OsString>,
    /// The upgrades, each as `name:path:height`, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) upgrade_list: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Parts our arguments from the node's: what follows `run` is the node's, whatever it looks like.
pub(crate) fn part(args: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let mut ours = args;
    let mut index = 1;
    while let Some(arg) = ours.get(index) {
        match arg.as_bytes() {
            b"run" => {
                let nodes = ours.split_off(index + 1);
                return (ours, nodes);
            }
            b"-c" | b"--cosmovisor-config" | b"--config" | b"--home" | b"--name" => index += 2,
            other if other.starts_with(b"-") && *arg != *OsStr::new("--") => index += 1,
            _ => break,
        }
    }
    (ours, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parted(line: &str) -> (String, String) {
        let args = line.split(' ').map(OsString::from).collect();
        let (ours, nodes) = part(args);
        let joined = |args: Vec<OsString>| args.join(OsStr::new(" ")).into_string().unwrap();
        (joined(ours), joined(nodes))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_run_is_the_nodes() {
        for (line, ours, nodes) in [
            ("baton run start --help", "baton run", "start --help"),
            (
                "baton --home /x -cy run --home /z",
                "baton --home /x -cy run",
                "--home /z",
            ),
            ("baton --name run run run", "baton --name run run", "run"),
            ("baton -c run config", "baton -c run config", ""),
            ("baton init run", "baton init run", ""),
            ("baton help run", "baton help run", ""),
            ("baton -- run x", "baton -- run x", ""),
            ("baton --home", "baton --home", ""),
        ] {
            let want = (ours.to_owned(), nodes.to_owned());
            assert_eq!(parted(line), want, "{line}");
        }
    }

    #[test]
    fn commands_are_parsed_as_cosmovisors_are() {
        for line in [
            "baton add-upgrade v2 path --upgrade-height 300 --force",
            "baton add-upgrade v2 path --upgrade-height=-3",
            "baton add-batch-upgrade --upgrade-list a:b:1,c:d:2",
            "baton version -o json --cosmovisor-only",
            "baton upgrade /run/web --exec new --timeout 30s --json",
            "baton generations /run/web --json",
            "baton serve --listen http=127.0.0.1:80 --name web -- nginx -g x",
            "baton serve --listen http --ready-notify --state-dir x -- status",
            "baton serve status --name web --json",
            "baton serve reload --state-dir x -- y --z",
            "baton serve stop",
            "baton -c x config",
            "baton config -c x --home y --name z",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
        for line in [
            "baton",
            "baton bogus",
            "baton init",
            "baton serve --listen http=127.0.0.1:80",
            "baton serve --listen :80 -- x",
            "baton serve --restart sometimes -- x",
            "baton add-batch-upgrade",
            "baton add-batch-upgrade --upgrade-list a --upgrade-file b",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap_err();
        }
    }
}
