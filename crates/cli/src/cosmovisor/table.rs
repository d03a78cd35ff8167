//! The commands of the `cosmovisor` face, as data. Parsing, help and completions all read this.
//!
//! Names, arguments and flags are Cosmovisor 1.7.1's; the words that explain them are ours.

use clap_complete::Shell;

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its name, and what its usage line shows after it.
    pub(crate) usage: &'static str,
    /// What it is for, in a line.
    pub(crate) short: &'static str,
    /// What it is for, at length; empty for no more than the line.
    pub(crate) long: &'static str,
    /// Examples, empty for none.
    pub(crate) example: &'static str,
    /// What it does; nothing if it only has commands below it.
    pub(crate) action: Option<Action>,
    /// How many arguments it takes.
    pub(crate) args: Args,
    /// Its flags, but for `--help`.
    pub(crate) flags: &'static [Flag],
    /// Flags of which only one may be given.
    pub(crate) exclusive: &'static [&'static str],
    /// The commands below it.
    pub(crate) commands: &'static [Command],
    /// Its errors are followed by its usage.
    pub(crate) usage_on_error: bool,
    /// Its usage line ends in `[flags]`.
    pub(crate) flags_in_usage: bool,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Init,
    Run,
    Config,
    Version,
    AddUpgrade,
    ShowUpgradeInfo,
    AddBatchUpgrade,
    PrepareUpgrade,
    Help,
    Completion(Shell),
}

/// Which arguments a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Args {
    /// Any.
    Any,
    /// None.
    None,
    /// So many.
    Exactly(usize),
    /// Any, and what looks like a flag is one of them.
    Everything,
}

/// A flag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) letter: Option<char>,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    /// Its value when it is not given, if that is worth showing.
    pub(crate) default: Option<&'static str>,
}

/// What a flag holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Text,
    /// A path: like a text, and completed as a file name.
    Path,
    /// Texts, separated by commas.
    List,
}

impl Command {
    /// The first word of the usage.
    pub(crate) fn name(&self) -> &'static str {
        self.usage.split(' ').next().unwrap_or_default()
    }
}

/// The flag that names the configuration file, for all commands.
pub(crate) const CONFIG_FLAG: &str = "cosmovisor-config";

const CONFIG: Flag = Flag {
    name: CONFIG_FLAG,
    letter: Some('c'),
    kind: Kind::Path,
    help: "read the configuration from this config.toml",
    default: None,
};

/// What most commands have in common.
const PLAIN: Command = Command {
    usage: "",
    short: "",
    long: "",
    example: "",
    action: None,
    args: Args::Any,
    flags: &[],
    exclusive: &[],
    commands: &[],
    usage_on_error: false,
    flags_in_usage: true,
};

/// The whole tree. The order is that in which commands are suggested; help sorts them.
pub(crate) const ROOT: Command = Command {
    usage: "cosmovisor",
    short: "Run the binary of a chain and switch it at upgrade heights",
    long: "Cosmovisor runs the App of a Cosmos SDK chain and switches its binary at upgrade heights.

DAEMON_NAME is the file name of the App's binary. DAEMON_HOME is the directory with the App's data/,
and with cosmovisor/, where the binaries are: genesis/bin/ for the first, upgrades/<name>/bin/ for
each upgrade, and the link current to the one that runs.

'cosmovisor run' passes its arguments to the App. When the App comes to an upgrade, it leaves the plan
in data/upgrade-info.json; the App is stopped then, its data backed up, and the upgrade's binary started.

Settings are environment variables, or keys of a config.toml. They are documented at
https://docs.cosmos.network/main/build/tooling/cosmovisor

This is Baton's cosmovisor: `baton help` shows what else can be done with the same home.",
    flags: &[CONFIG],
    usage_on_error: true,
    commands: &[
        INIT,
        RUN,
        SHOW_CONFIG,
        VERSION,
        ADD_UPGRADE,
        SHOW_UPGRADE_INFO,
        ADD_BATCH_UPGRADE,
        PREPARE_UPGRADE,
        HELP,
        COMPLETION,
    ],
    ..PLAIN
};

const INIT: Command = Command {
    usage: "init <path to executable>",
    short: "Lay out a home around the App's first binary",
    long: "Lay out a home: copy the executable to cosmovisor/genesis/bin/, make the link current,
and write the settings of the environment to cosmovisor/config.toml.
What is there already is kept; an existing config.toml is asked about.",
    action: Some(Action::Init),
    args: Args::Exactly(1),
    ..PLAIN
};

const RUN: Command = Command {
    usage: "run",
    short: "Run the App, and upgrade it when it is time",
    long: "Run the App with the arguments that follow, all of them, and upgrade it when it is time.
The one exception is '--cosmovisor-config <path>', which names the configuration file.",
    action: Some(Action::Run),
    args: Args::Everything,
    ..PLAIN
};

const SHOW_CONFIG: Command = Command {
    usage: "config",
    short: "Show the settings",
    long: "Show every setting, its value, and where that came from:
the file given by --cosmovisor-config, the environment, or the default.",
    action: Some(Action::Config),
    ..PLAIN
};

const VERSION: Command = Command {
    usage: "version",
    short: "Show the versions of cosmovisor and of the App",
    action: Some(Action::Version),
    flags: &[
        Flag {
            name: "cosmovisor-only",
            letter: None,
            kind: Kind::Bool,
            help: "leave the App's version out",
            default: None,
        },
        Flag {
            name: "output",
            letter: Some('o'),
            kind: Kind::Text,
            help: "format of the output (text|json)",
            default: Some("text"),
        },
    ],
    ..PLAIN
};

const ADD_UPGRADE: Command = Command {
    usage: "add-upgrade <upgrade-name> <path to executable>",
    short: "Add the binary of an upgrade",
    long:
        "Copy the executable to cosmovisor/upgrades/<upgrade-name>/bin/, where it is looked for when
the chain comes to the upgrade of that name. With --upgrade-height the App is switched to it at that
height, without a decision of the chain's.",
    action: Some(Action::AddUpgrade),
    args: Args::Exactly(2),
    flags: &[
        Flag {
            name: "force",
            letter: None,
            kind: Kind::Bool,
            help: "overwrite the upgrade's binary, and the plan in upgrade-info.json",
            default: None,
        },
        Flag {
            name: "upgrade-height",
            letter: None,
            kind: Kind::Int,
            help: "switch to the binary at this height, without a governance proposal",
            default: None,
        },
    ],
    ..PLAIN
};

const SHOW_UPGRADE_INFO: Command = Command {
    usage: "show-upgrade-info",
    short: "Show the plan in data/upgrade-info.json",
    action: Some(Action::ShowUpgradeInfo),
    args: Args::None,
    usage_on_error: true,
    ..PLAIN
};

const ADD_BATCH_UPGRADE: Command = Command {
    usage: "add-batch-upgrade [flags]",
    short: "Add the binaries of several upgrades, with their heights",
    long: "Add several upgrades at once, each with the height to switch at, without decisions of the chain's.
They are given in one of two ways:

  --upgrade-file  a CSV file without a header, with a line for each upgrade:
                  upgrade-name,path-to-executable,upgrade-height
  --upgrade-list  the same on the command line, parted by colons, the upgrades by commas:
                  upgrade-name:path-to-executable:upgrade-height

They replace the list of upgrades that was added before.",
    example: "cosmovisor add-batch-upgrade --upgrade-list v2:/path/to/v2/simd:1000000,v3:/path/to/v3/simd:2000000

cosmovisor add-batch-upgrade --upgrade-file /path/to/upgrades.csv",
    action: Some(Action::AddBatchUpgrade),
    args: Args::None,
    flags: &[
        Flag {
            name: "upgrade-file",
            letter: None,
            kind: Kind::Path,
            help: "CSV file with the upgrades",
            default: None,
        },
        Flag {
            name: "upgrade-list",
            letter: None,
            kind: Kind::List,
            help: "the upgrades, each as name:path:height",
            default: None,
        },
    ],
    exclusive: &["upgrade-file", "upgrade-list"],
    ..PLAIN
};

const PREPARE_UPGRADE: Command = Command {
    usage: "prepare-upgrade",
    short: "Fetch the binary of the upgrade that the chain plans",
    long: "Ask the chain for its current upgrade plan and fetch that upgrade's binary ahead of the height.
The chain is asked over gRPC (DAEMON_GRPC_ADDRESS), which the node must offer.",
    action: Some(Action::PrepareUpgrade),
    args: Args::None,
    usage_on_error: true,
    ..PLAIN
};

const HELP: Command = Command {
    usage: "help [command]",
    short: "Explain a command",
    action: Some(Action::Help),
    usage_on_error: true,
    ..PLAIN
};

const COMPLETION: Command = Command {
    usage: "completion",
    short: "Print a script that completes commands in a shell",
    long: "Print a script that lets a shell complete the commands and flags of cosmovisor.
The help of each shell's command says where to put it.",
    commands: &[BASH, ZSH, FISH, POWERSHELL],
    usage_on_error: true,
    ..PLAIN
};

const SHELL: Command = Command {
    args: Args::None,
    flags: &[Flag {
        name: "no-descriptions",
        letter: None,
        kind: Kind::Bool,
        help: "complete without explanations",
        default: None,
    }],
    usage_on_error: true,
    ..PLAIN
};

const BASH: Command = Command {
    usage: "bash",
    short: "Print the script for bash",
    long: "Print the script for bash, which needs the package 'bash-completion'.

For this session:

	source <(cosmovisor completion bash)

For every session from the next on:

	cosmovisor completion bash > /etc/bash_completion.d/cosmovisor",
    action: Some(Action::Completion(Shell::Bash)),
    flags_in_usage: false,
    ..SHELL
};

const ZSH: Command = Command {
    usage: "zsh",
    short: "Print the script for zsh",
    long: "Print the script for zsh, which needs 'autoload -U compinit; compinit' in ~/.zshrc.

For this session:

	source <(cosmovisor completion zsh)

For every session from the next on:

	cosmovisor completion zsh > \"${fpath[1]}/_cosmovisor\"",
    action: Some(Action::Completion(Shell::Zsh)),
    ..SHELL
};

const FISH: Command = Command {
    usage: "fish",
    short: "Print the script for fish",
    long: "Print the script for fish.

For this session:

	cosmovisor completion fish | source

For every session from the next on:

	cosmovisor completion fish > ~/.config/fish/completions/cosmovisor.fish",
    action: Some(Action::Completion(Shell::Fish)),
    ..SHELL
};

const POWERSHELL: Command = Command {
    usage: "powershell",
    short: "Print the script for powershell",
    long: "Print the script for powershell.

For this session:

	cosmovisor completion powershell | Out-String | Invoke-Expression

For every session from the next on, add the script to your profile.",
    action: Some(Action::Completion(Shell::PowerShell)),
    ..SHELL
};
