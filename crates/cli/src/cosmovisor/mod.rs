//! The `cosmovisor` face: what Cosmovisor 1.7.1 is to its users, in commands, texts, streams and
//! exit codes.

mod parse;
pub(crate) mod table;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use baton_supervisor::config::Env;

use self::parse::{After, Call, Parsed, Refusal, parse};
use self::table::{Action, CONFIG_FLAG, ROOT};
use self::usage::{help, usage, usage_without_help};
use crate::commands::{self, Outcome, stage, version};
use crate::completion;
use crate::console::{err, out};
use crate::context::{Context, Face};
use crate::ending::{Ending, told};

/// Commands of nodes that v1.0 passed on without `run`, as old unit files and guides have it. Only
/// these, so that a misspelt command of ours is told and not run. Where a node and we have a
/// command of one name, it is ours.
const NODE_COMMANDS: [&str; 21] = [
    "start",
    "status",
    "query",
    "q",
    "tx",
    "keys",
    "export",
    "rollback",
    "tendermint",
    "comet",
    "cometbft",
    "unsafe-reset-all",
    "debug",
    "genesis",
    "gentx",
    "collect-gentxs",
    "add-genesis-account",
    "validate-genesis",
    "migrate",
    "snapshots",
    "prune",
];

const DEPRECATED: &str =
    "Use of cosmovisor without the 'run' command is deprecated. Use: cosmovisor run [args]\n";

/// Does what the process's arguments ask for.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(is_node_command) {
        err(DEPRECATED);
        return end(commands::run::run(context(None), args), &[]);
    }
    match parse(args) {
        Parsed::Call(call) => perform(call),
        Parsed::Help(path) => {
            out(&help(&path));
            ExitCode::SUCCESS
        }
        Parsed::Refused(refusal) => {
            tell(&refusal);
            ExitCode::FAILURE
        }
    }
}

fn is_node_command(word: &OsString) -> bool {
    NODE_COMMANDS.iter().any(|command| word == command)
}

fn context(config_file: Option<PathBuf>) -> Context {
    Context {
        env: Env::of_process(),
        config_file,
        face: Face::Cosmovisor,
    }
}

fn perform(call: Call) -> ExitCode {
    let path = call.path.clone();
    let outcome = act(call);
    end(outcome, &path)
}

fn act(call: Call) -> Outcome {
    let context = context(call.text(CONFIG_FLAG).map(PathBuf::from));
    let command = call.path[call.path.len() - 1];
    let action = command.action.expect("only commands that act are called");
    match action {
        Action::Init => stage::init(&context, &call.args[0]),
        Action::Run => commands::run::run(context, call.args),
        Action::Config => commands::config(&context),
        Action::Version => {
            let wanted = version::Wanted {
                json: call.text("output").is_some_and(|format| format == "json"),
                own_only: call.is_on("cosmovisor-only"),
            };
            version::version(&context, wanted, call.args)
        }
        Action::AddUpgrade => stage::add_upgrade(
            &context,
            &call.args[0],
            &call.args[1],
            call.int("upgrade-height"),
            call.is_on("force"),
        ),
        Action::ShowUpgradeInfo => stage::show_upgrade_info(&context),
        Action::AddBatchUpgrade => stage::add_batch(
            &context,
            call.text("upgrade-file"),
            call.list("upgrade-list"),
        ),
        Action::PrepareUpgrade => stage::prepare_upgrade(&context),
        Action::Help => {
            explain(call.args);
            Ok(Ending::Done)
        }
        Action::Completion(shell) => {
            let described = !call.is_on("no-descriptions");
            completion::print(shell, ROOT.name(), completion::of_table(&ROOT, described));
            Ok(Ending::Done)
        }
    }
}

/// The help of the command that the words name. One that there is not is told, and no error.
fn explain(words: Vec<OsString>) {
    let topics: Vec<_> = words
        .iter()
        .map(|word| format!("`{}`", word.to_string_lossy()))
        .collect();
    match parse::find(words) {
        Ok((path, _)) => out(&help(&path)),
        Err(_) => err(&format!(
            "Unknown help topic [{}]\n{}",
            topics.join(" "),
            usage_without_help(&vec![&ROOT])
        )),
    }
}

fn tell(refusal: &Refusal) {
    let message = &refusal.message;
    match &refusal.after {
        After::Nothing => err(&format!("Error: {message}\n")),
        After::Usage(path) => err(&format!("Error: {message}\n{}\n", usage(path))),
        After::Pointer => err(&format!(
            "Error: {message}\nRun '{} --help' for usage.\n",
            ROOT.name()
        )),
    }
}

fn end(outcome: Outcome, path: &[&'static table::Command]) -> ExitCode {
    let ending = match outcome {
        Ok(ending) => ending,
        Err(error) => {
            let wants_usage = path.last().is_some_and(|command| command.usage_on_error);
            let after = if wants_usage {
                After::Usage(path.to_vec())
            } else {
                After::Nothing
            };
            tell(&Refusal {
                message: told(&error),
                after,
            });
            return ExitCode::FAILURE;
        }
    };
    if let Some(error) = ending.error() {
        err(&format!("Error: {error}\n"));
    }
    ending.code(Face::Cosmovisor).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_of_nodes_pass_without_run() {
        for word in ["start", "status", "unsafe-reset-all"] {
            assert!(is_node_command(&word.into()), "{word}");
        }
        for word in ["verison", "--home", "-h", "Start", "", "runn"] {
            assert!(!is_node_command(&word.into()), "{word}");
        }
        let ours = ROOT.commands.iter().map(table::Command::name);
        for command in ours {
            assert!(!is_node_command(&command.into()), "{command} is ours");
        }
    }
}
