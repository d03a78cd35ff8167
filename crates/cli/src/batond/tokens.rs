//! `batond token`: who may use the API from other machines, also while nobody can.

use baton_node::access::{Order, perform};
use baton_node::home::Home;
use baton_node::settings::Environment;
use clap::{Arg, ArgMatches, Command};

use super::Failure;
use super::money::{name_of, namespace};
use crate::console::out;

pub(super) fn command() -> Command {
    let id = || {
        Arg::new("id")
            .value_name("NAME")
            .required(true)
            .help("The token's name: letters, digits, '_' and '-'")
    };
    Command::new("token")
        .about("Look after access tokens, whether the node runs or not")
        .after_help(
            "With a token the API can be used from other machines, and from this one while auth.trust_loopback is off.",
        )
        .arg_required_else_help(true)
        .subcommand(
            Command::new("create")
                .about("Make one and print it; its secret cannot be looked up later")
                .arg(id())
                .arg(
                    Arg::new("type")
                        .long("type")
                        .value_name("TEXT")
                        .default_value("")
                        .hide_default_value(true)
                        .help("What to write on it"),
                )
                .arg(namespace()),
        )
        .subcommand(
            Command::new("list")
                .about("List them, without their secrets")
                .arg(namespace()),
        )
        .subcommand(
            Command::new("delete")
                .about("Delete one: it is no good from then on")
                .arg(id())
                .arg(namespace()),
        )
}

pub(super) fn run(
    home: &Home,
    given: &ArgMatches,
    environment: &Environment,
) -> Result<(), Failure> {
    let (command, given) = given.subcommand().expect("token has only subcommands");
    let text = |name: &str| given.get_one::<String>(name).cloned().unwrap_or_default();
    let order = match command {
        "create" => Order::Create {
            id: text("id"),
            kind: text("type"),
        },
        "list" => Order::List,
        "delete" => Order::Delete { id: text("id") },
        other => unreachable!("{other} is not in the command line"),
    };
    let told = perform(home, &name_of(given)?, &order, environment).map_err(Failure::of)?;
    if !told.is_null() {
        let text = serde_json::to_string_pretty(&told).map_err(Failure::of)?;
        out(&format!("{text}\n"));
    }
    Ok(())
}
