//! The `batond` face: parses as bytomd does, calls the node's library, tells what came of it.

mod args;
mod inspect;
mod money;
mod namespaces;
mod running;
mod testnet;
mod tokens;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use baton_node::check;
use baton_node::genesis;
use baton_node::home::Home;
use baton_node::init::{self, Made};
use baton_node::logging::tell;
use baton_node::settings::Environment;
use clap::ArgMatches;

use self::args::{Parsed, parse};
use crate::console::{err, out};

/// Does what the process's arguments ask for.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let matches = match parse(&args) {
        Parsed::Help(text) => {
            out(&text);
            return ExitCode::SUCCESS;
        }
        Parsed::Refused(text) => {
            err(&format!("ERROR: {text}\n"));
            return ExitCode::FAILURE;
        }
        Parsed::Matches(matches) => matches,
    };
    let (name, given) = matches.subcommand().expect("none is answered by help");
    let trace = given.get_flag("trace");
    let environment = Environment::of_process();
    let flag = given.get_one::<String>("home").map(String::as_str);
    if flag.is_some_and(str::is_empty) {
        err("ERROR: flag needs an argument: --home\n");
        return ExitCode::FAILURE;
    }
    let home = Home::find(flag, &environment).absolute();
    let done = match name {
        "init" => init(&home, given),
        "version" => {
            out(&format!("{}\n", baton_node::VERSION));
            Ok(())
        }
        "check" => inspect::run(&home, given, &environment),
        "config" => config_check(&home, given, &environment),
        "node" => running::node(home, &args::settings(given), &environment),
        "status" => running::status(&home),
        "stop" => running::stop(&home),
        "namespace" => namespaces::run(&home, given),
        "token" => tokens::run(&home, given, &environment),
        "testnet" => testnet::run(given),
        "pay" => money::pay(&home, given),
        "upgrade" => money::upgrade(&home, given),
        other => unreachable!("{other} is not in the command line"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell(trace);
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed, for people.
enum Failure {
    /// It is told by this text; with `--trace` by what the error is.
    Told(String, Box<dyn fmt::Debug>),
    /// All is told already.
    Silent,
}

impl Failure {
    fn of(error: impl std::error::Error + 'static) -> Self {
        let mut text = error.to_string();
        let mut deeper = error.source();
        while let Some(cause) = deeper {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            deeper = cause.source();
        }
        Self::Told(text, Box::new(error))
    }

    /// A failure that is no error of a library.
    fn plain(text: String) -> Self {
        Self::Told(text.clone(), Box::new(text))
    }

    fn tell(&self, trace: bool) {
        if let Self::Told(text, error) = self {
            for line in text.lines() {
                err(&format!("ERROR: {line}\n"));
            }
            if trace {
                err(&format!("{error:#?}\n"));
            }
        }
    }
}

fn init(home: &Home, given: &ArgMatches) -> Result<(), Failure> {
    let request = init::Request {
        chain_id: given
            .get_one::<String>("chain_id")
            .cloned()
            .unwrap_or_default(),
        genesis: genesis_of(given)?,
        ..init::Request::default()
    };
    tell_made(init::init(home, request).map_err(Failure::of)?);
    Ok(())
}

/// The genesis that `--genesis` names.
fn genesis_of(given: &ArgMatches) -> Result<Option<baton_ledger::Genesis>, Failure> {
    let Some(file) = given.get_one::<String>("genesis") else {
        return Ok(None);
    };
    let genesis = genesis::read(Path::new(file)).map_err(Failure::of)?;
    if genesis.is_none() {
        return Err(Failure::plain(format!(
            "--genesis {file}: there is no such file"
        )));
    }
    Ok(genesis)
}

/// Tells what became of a home, as bytomd does.
fn tell_made(made: Made) {
    match made {
        Made::Already { config } => {
            let config = config.display().to_string();
            tell(
                "info",
                "Already exists config file.",
                &[("config", &config)],
            );
        }
        Made::New {
            config,
            xpub,
            wants_genesis,
        } => {
            tell("info", "success generate private", &[("pubkey", &xpub)]);
            if let Some(file) = wants_genesis {
                let file = file.display().to_string();
                let what = "bring the genesis.json of the network here before the node is started";
                tell("warning", what, &[("file", &file)]);
            }
            let config = config.display().to_string();
            tell("info", "Initialized bytom", &[("config", &config)]);
        }
    }
}

fn config_check(home: &Home, given: &ArgMatches, environment: &Environment) -> Result<(), Failure> {
    let (_, given) = given.subcommand().expect("config has only subcommands");
    let findings = check::check(home, &args::settings(given), environment);
    for warning in &findings.warnings {
        err(&format!("WARNING: {warning}\n"));
    }
    for problem in &findings.problems {
        err(&format!("ERROR: {problem}\n"));
    }
    if let Some(pid) = findings.running {
        out(&format!(
            "a node runs on this home (pid {pid}); its ports were not looked at\n"
        ));
    }
    if findings.problems.is_empty() {
        out(&format!("{}: nothing wrong\n", home.config().display()));
        Ok(())
    } else {
        Err(Failure::Silent)
    }
}
