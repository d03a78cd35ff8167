//! `batond namespace`: the chains of one node.

use std::time::Duration;

use baton_node::control::{ControlError, Request, ask};
use baton_node::home::Home;
use baton_node::init::{Made, Request as Init};
use baton_node::namespace::{Name, admin};
use baton_node::settings::Value as Setting;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use super::{Failure, genesis_of, tell_made};
use crate::console::out;

/// How long a namespace may take to start or stop.
const LIFE: Duration = Duration::from_mins(5);

pub(super) fn command() -> Command {
    let name = || {
        Arg::new("name")
            .value_name("NAME")
            .required(true)
            .help("The namespace: small letters, digits, '_' and '-'")
    };
    Command::new("namespace")
        .about("Look after the chains of a node, also while it runs")
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list").about("List them").arg(
                Arg::new("json")
                    .long("json")
                    .action(ArgAction::SetTrue)
                    .help("Print JSON"),
            ),
        )
        .subcommand(Command::new("start").about("Start one").arg(name()))
        .subcommand(
            Command::new("stop")
                .about("Stop one; stopping global stops the node")
                .arg(name()),
        )
        .subcommand(
            super::args::home_options(Command::new("create").about(
                "Make one under namespaces/<name>/, list it in config.toml, and start it if the node runs",
            ))
            .arg(name())
            .arg(
                Arg::new("p2p.laddr")
                    .long("p2p.laddr")
                    .value_name("ADDRESS")
                    .help("Where its peers connect to; a free port if nothing is said"),
            )
            .arg(
                Arg::new("no-start")
                    .long("no-start")
                    .action(ArgAction::SetTrue)
                    .help("Do not start it, now or with the node"),
            ),
        )
        .subcommand(
            Command::new("destroy")
                .about("Remove one that is stopped, with all its keys and blocks")
                .arg(name())
                .arg(
                    Arg::new("yes")
                        .long("yes")
                        .action(ArgAction::SetTrue)
                        .help("Confirm that its keys and blocks are to be lost"),
                ),
        )
}

pub(super) fn run(home: &Home, given: &ArgMatches) -> Result<(), Failure> {
    let (command, given) = given.subcommand().expect("namespace has only subcommands");
    if command == "list" {
        return list(home, given.get_flag("json"));
    }
    let name: Name = given
        .get_one::<String>("name")
        .expect("it is required")
        .parse()
        .map_err(Failure::of)?;
    match command {
        "start" => {
            ask(home, &Request::Start { name }, LIFE).map_err(Failure::of)?;
            Ok(())
        }
        "stop" if name.is_global() => super::running::stop(home),
        "stop" => {
            ask(home, &Request::Stop { name }, LIFE).map_err(Failure::of)?;
            Ok(())
        }
        "create" => create(home, &name, given),
        "destroy" => destroy(home, &name, given.get_flag("yes")),
        other => unreachable!("{other} is not in the command line"),
    }
}

/// The node's answer; `None` if no node runs.
fn of_node(home: &Home, request: &Request) -> Result<Option<Value>, Failure> {
    match ask(home, request, LIFE) {
        Ok(answer) => Ok(Some(answer)),
        Err(ControlError::NotRunning(_)) => Ok(None),
        Err(error) => Err(Failure::of(error)),
    }
}

fn list(home: &Home, json: bool) -> Result<(), Failure> {
    let running = of_node(home, &Request::Namespaces)?;
    let answer = if let Some(answer) = running {
        answer
    } else {
        let listed = admin::list(home).map_err(Failure::of)?;
        let names = listed.iter().map(|listed| listed.name.as_str());
        let all = std::iter::once("global").chain(names);
        all.map(|name| serde_json::json!({"name": name, "state": "stopped"}))
            .collect()
    };
    if json {
        let text = serde_json::to_string_pretty(&answer).map_err(Failure::of)?;
        out(&format!("{text}\n"));
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["NAME", "STATE", "CHAIN", "HEIGHT", "PEERS", "MINING", ""]);
    for one in answer.as_array().into_iter().flatten() {
        let told = |pointer: &str| match one.pointer(pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        table.add_row([
            told("/name"),
            told("/state"),
            told("/report/chain_id"),
            told("/report/blocks/height"),
            told("/report/peers"),
            told("/report/mining"),
            told("/failure"),
        ]);
    }
    out(&format!("{}\n", table.trim_fmt()));
    Ok(())
}

fn create(home: &Home, name: &Name, given: &ArgMatches) -> Result<(), Failure> {
    let mut request = Init {
        chain_id: given
            .get_one::<String>("chain_id")
            .cloned()
            .unwrap_or_default(),
        genesis: genesis_of(given)?,
        ..Init::default()
    };
    if let Some(address) = given.get_one::<String>("p2p.laddr") {
        let address = Setting::Text(address.clone());
        request.chosen.insert("p2p.laddr", address);
    }
    let start = !given.get_flag("no-start");
    let made = admin::create(home, name, request, start).map_err(Failure::of)?;
    let ready = matches!(
        made,
        Made::Already { .. }
            | Made::New {
                wants_genesis: None,
                ..
            }
    );
    tell_made(made);
    let name = name.clone();
    let known = of_node(home, &Request::Learn { name: name.clone() })?;
    if known.is_some() && start && ready {
        ask(home, &Request::Start { name }, LIFE).map_err(Failure::of)?;
    }
    Ok(())
}

fn destroy(home: &Home, name: &Name, yes: bool) -> Result<(), Failure> {
    if name.is_global() {
        let text = "global is the node itself and cannot be destroyed".to_owned();
        return Err(Failure::plain(text));
    }
    if !yes {
        let text = format!(
            "this removes {} with its keys and blocks, for good; add --yes if that is what you want",
            home.namespace(name).path().display()
        );
        return Err(Failure::plain(text));
    }
    of_node(home, &Request::Forget { name: name.clone() })?;
    admin::destroy(home, name).map_err(Failure::of)
}
