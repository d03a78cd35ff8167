//! The `baton` face: Cosmovisor's commands on the same home, and our own.

mod args;
mod man;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use baton_handover::foreign;
use baton_supervisor::config::Env;
use baton_supervisor::life::Exit;
use clap::{CommandFactory, Parser};

use self::args::{Cli, Command, Format, HomeFlags, part};
use crate::commands::{
    self, Outcome, backup, doctor, handover, reload, serve, stage, tell, version,
};
use crate::completion;
use crate::console::err;
use crate::context::{Context, Face};
use crate::demo;
use crate::ending::{Ending, told};
use crate::top;

/// Does what the process's arguments ask for.
///
/// Called as `batond` it is the demo's node, which is how the demo comes by its binaries; as `mocknode` the practice node; started by
/// `serve` it becomes the server.
pub fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    match Path::new(&called).file_name().and_then(OsStr::to_str) {
        Some(demo::NODE) => return demo::node(),
        Some("mocknode") => return baton_mocknode::main(),
        _ => {}
    }
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|word| word == foreign::WORD) {
        let error = foreign::become_program(args);
        err(&format!("error: {error}\n"));
        return ExitCode::from(error.code());
    }
    let (ours, nodes) = part(std::env::args_os().collect());
    let mut cli = match Cli::try_parse_from(ours) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout, and so may find nobody there.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if let Command::Run { args } = &mut cli.command {
        *args = nodes;
    }
    let outcome = context(cli.home).and_then(|context| act(context, cli.command));
    end(outcome)
}

/// The circumstances, with what flags put over the environment.
fn context(flags: HomeFlags) -> anyhow::Result<Context> {
    let mut over = Vec::new();
    if let Some(home) = flags.home {
        let home = std::path::absolute(&home)
            .map_err(|e| anyhow!("--home {}: finding its absolute path: {e}", home.display()))?;
        over.push(("DAEMON_HOME".into(), home.into_os_string()));
    }
    if let Some(name) = flags.name {
        over.push(("DAEMON_NAME".into(), name));
    }
    Ok(Context {
        env: std::env::vars_os().chain(over).collect::<Env>(),
        config_file: flags.config,
        face: Face::Baton,
    })
}

fn act(context: Context, command: Command) -> Outcome {
    match command {
        Command::Run { args } => commands::run::run(context, args),
        Command::Init { executable } => stage::init(&context, &executable),
        Command::AddUpgrade {
            upgrade,
            executable,
            force,
            upgrade_height,
        } => stage::add_upgrade(&context, &upgrade, &executable, upgrade_height, force),
        Command::AddBatchUpgrade(batch) => {
            stage::add_batch(&context, batch.upgrade_file.as_deref(), &batch.upgrade_list)
        }
        Command::PrepareUpgrade => stage::prepare_upgrade(&context),
        Command::ShowUpgradeInfo => stage::show_upgrade_info(&context),
        Command::Config => commands::config(&context),
        Command::Status(args) => tell::status(&context, &args),
        Command::Events(args) => tell::events(&context, &args),
        Command::Top(args) => top::top(&context, &args),
        Command::Backup(args) => backup::backup(&context, &args),
        Command::Restore(args) => backup::restore(&context, &args),
        Command::Rollback(args) => backup::rollback(&context, &args),
        Command::Doctor(args) => doctor::doctor(&context, &args),
        Command::Reload(args) => reload::reload(&context, &args),
        Command::Retry(args) => reload::retry(&context, &args),
        Command::Serve(args) => serve::run(&context, *args),
        Command::Upgrade(args) => handover::upgrade(args),
        Command::Generations(args) => handover::generations(&args),
        Command::Demo(args) => {
            demo::run(&args)?;
            Ok(Ending::Done)
        }
        Command::Version {
            baton_only,
            output,
            args,
        } => {
            let wanted = version::Wanted {
                json: output == Format::Json,
                own_only: baton_only,
            };
            version::version(&context, wanted, args)
        }
        Command::Completion { shell } => {
            completion::print(shell, "baton", Cli::command());
            Ok(Ending::Done)
        }
        Command::Man { directory } => man::write(directory.as_deref()),
    }
}

fn end(outcome: Outcome) -> ExitCode {
    let ending = match outcome {
        Ok(ending) => ending,
        Err(error) => {
            err(&format!("error: {}\n", told(&error)));
            return ExitCode::FAILURE;
        }
    };
    match (&ending, ending.error()) {
        (Ending::Supervised(Exit::Node(_)), Some(how)) => {
            err(&format!("error: the node ended: {how}\n"));
        }
        // Such a command has told itself what is wrong.
        (Ending::OneShot(_), _) | (_, None) => {}
        (_, Some(error)) => err(&format!("error: {error}\n")),
    }
    ending.code(Face::Baton).into()
}
