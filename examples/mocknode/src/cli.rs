//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{self, Output};
use crate::home::Home;
use crate::log;
use crate::run;
use crate::settings::Settings;
use crate::units::Size;
use crate::version::Version;

/// A small daemon shaped like a Cosmos node, to practise upgrades on.
#[derive(Parser)]
#[command(name = "mocknode", disable_version_flag = true)]
struct Line {
    /// The node's home [default: `$MOCKNODE_HOME`, `$DAEMON_HOME` or `~/.mocknode`]
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the node
    Start(Box<StartArgs>),
    /// Make a home; settings given here are written to its config/app.toml
    Init(Box<InitArgs>),
    /// Ask the running node where the chain is
    Status {
        /// Address of its RPC [default: rpc.laddr in config/config.toml]
        #[arg(long, short, value_name = "ADDR")]
        node: Option<String>,
        #[command(flatten)]
        flags: StatusFlags,
    },
    /// Print the version
    Version {
        /// Print what it is made of, too
        #[arg(long)]
        long: bool,
        /// How to print
        #[arg(long, short, value_enum, default_value = "text")]
        output: Output,
    },
    /// Prepare for a new version, as a supervisor asks for before its first start
    PreUpgrade,
    /// Ask the running node something
    #[command(subcommand)]
    Query(Query),
    /// Check every byte of the data
    Verify,
    /// Make a copy of this executable that says it is VERSION
    Stamp {
        /// Its version, e.g. v2
        version: String,
        /// The file to make
        out: PathBuf,
    },
    #[command(hide = true)]
    Grandchild {
        data: PathBuf,
        #[arg(long)]
        stubborn: bool,
    },
}

#[derive(clap::Args)]
struct StartArgs {
    #[command(flatten)]
    settings: Settings,
}

#[derive(clap::Args)]
struct InitArgs {
    /// A name for the node
    #[arg(default_value = "mocknode")]
    moniker: String,
    /// A name for the chain
    #[arg(long, default_value = "mock-1")]
    chain_id: String,
    /// Write over what is there
    #[arg(long, short)]
    overwrite: bool,
    /// Put so many more tables into the data, to make it as big as a real node's
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    fill_files: u32,
    /// Size of each of them
    #[arg(long, value_name = "SIZE", default_value = "2MiB")]
    fill_size: Size,
    #[command(flatten)]
    settings: Settings,
}

/// Of all settings, those that `status` heeds.
#[derive(clap::Args)]
struct StatusFlags {
    /// `SyncInfo` on stderr (old), `sync_info` on stdout (new) [default: as configured]
    #[arg(long, value_enum, value_name = "STYLE")]
    status_casing: Option<crate::settings::Style>,
}

#[derive(Subcommand)]
enum Query {
    /// About upgrades
    #[command(subcommand)]
    Upgrade(QueryUpgrade),
}

#[derive(Subcommand)]
enum QueryUpgrade {
    /// The plan that comes next
    Plan {
        /// Address of its RPC [default: rpc.laddr in config/config.toml]
        #[arg(long, short, value_name = "ADDR")]
        node: Option<String>,
        /// How to print
        #[arg(long, short, value_enum, default_value = "text")]
        output: Output,
    },
}

/// Does what `args` (with the program's name first) say.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let line = match Line::try_parse_from(args) {
        Ok(line) => line,
        Err(error) => {
            // a closed output is no reason for another exit code
            let _ = error.print();
            // cobra, which real nodes use, exits with 1 where clap would with 2
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    let home = Home::find(line.home);
    let version = Version::of_this_process();
    let none = Settings::default();
    let done = match line.verb {
        Verb::Start(start) => return run::start(home, &start.settings, version),
        Verb::Version { long, output } => return commands::version(&version, long, output),
        Verb::Init(init) => {
            let names = (&*init.moniker, &*init.chain_id);
            let fill = (init.fill_files, init.fill_size);
            commands::init(&home, names, &init.settings, init.overwrite, fill)
        }
        Verb::Status { node, flags } => {
            let flags = Settings {
                status_casing: flags.status_casing,
                ..none
            };
            commands::status(&home, node, &flags, &version)
        }
        Verb::PreUpgrade => commands::pre_upgrade(&home, &none, &version),
        Verb::Query(Query::Upgrade(QueryUpgrade::Plan { node, output })) => {
            commands::query_plan(&home, node, output)
        }
        Verb::Verify => commands::verify(&home, &none, &version),
        Verb::Stamp { version, out } => commands::stamp(&version, &out),
        Verb::Grandchild { data, stubborn } => commands::grandchild(&data, stubborn),
    };
    done.unwrap_or_else(|error| {
        log::say_on_stderr(&format!("Error: {error}\n"));
        ExitCode::FAILURE
    })
}
