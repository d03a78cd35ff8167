//! `batond pay` and `batond upgrade`: what the node's own key does, through the node that runs.

use std::fs;
use std::time::Duration;

use baton_node::control::{Request, ask};
use baton_node::home::Home;
use baton_node::namespace::Name;
use baton_node::upgrade::{Choice, Signed};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use super::Failure;
use crate::console::out;

/// How long a payment may take: blocks may have to be searched.
const WORK: Duration = Duration::from_secs(30);
/// Neu in a BTM.
const BTM: u64 = 100_000_000;

pub(super) fn namespace() -> Arg {
    Arg::new("namespace")
        .long("namespace")
        .value_name("NAME")
        .default_value("global")
        .help("The chain")
}

pub(super) fn pay_command() -> Command {
    Command::new("pay")
        .about("Pay from the node key's own address, to which rewards go until there is an account")
        .after_help("On a solonet and on a network made by `batond testnet` the supply belongs to node keys.")
        .arg(
            Arg::new("address")
                .value_name("ADDRESS")
                .required(true)
                .help("To whom"),
        )
        .arg(
            Arg::new("amount")
                .value_name("BTM")
                .required(true)
                .allow_negative_numbers(true)
                .help("How much, such as 12.5"),
        )
        .arg(namespace())
}

pub(super) fn upgrade_command() -> Command {
    let name = || {
        Arg::new("name")
            .value_name("NAME")
            .required(true)
            .help("The upgrade's name")
    };
    let height = || {
        Arg::new("height")
            .long("height")
            .value_name("HEIGHT")
            .value_parser(clap::value_parser!(u64))
            .help("The height of the first block after the upgrade")
    };
    let info = || {
        Arg::new("info")
            .long("info")
            .value_name("TEXT")
            .default_value("")
            .hide_default_value(true)
            .help("What supervisors should know, such as where binaries are; @FILE reads a file")
    };
    let signatures = || {
        Arg::new("signature")
            .long("signature")
            .value_name("JSON")
            .action(ArgAction::Append)
            .help("What `batond upgrade sign` printed on another member's node; @FILE reads a file. Repeat it")
    };
    Command::new("upgrade")
        .about("Decide on upgrades of the chain as a member of its federation")
        .after_help(
            "An upgrade needs the signatures of a quorum of the federation. Each member but one runs `batond upgrade sign` on its node and \
             sends what it prints to the one, who runs `batond upgrade schedule` with the same name, height and info. The node that runs \
             signs with its key and pays 0.2 BTM from its key's own address.",
        )
        .arg_required_else_help(true)
        .subcommand(
            Command::new("show")
                .about("Tell which upgrade is planned, and who decides")
                .arg(namespace()),
        )
        .subcommand(
            Command::new("sign")
                .about("Print this node's signature of a decision")
                .arg(name())
                .arg(height().required_unless_present("cancel"))
                .arg(info())
                .arg(
                    Arg::new("cancel")
                        .long("cancel")
                        .action(ArgAction::SetTrue)
                        .help("Sign that the upgrade is given up"),
                )
                .arg(namespace()),
        )
        .subcommand(
            Command::new("schedule")
                .about("Put an upgrade on the chain")
                .arg(name())
                .arg(height().required(true))
                .arg(info())
                .arg(signatures())
                .arg(namespace()),
        )
        .subcommand(
            Command::new("cancel")
                .about("Give the planned upgrade up")
                .arg(name())
                .arg(signatures())
                .arg(namespace()),
        )
}

pub(super) fn pay(home: &Home, given: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| {
        given
            .get_one::<String>(name)
            .expect("it is required")
            .clone()
    };
    let amount = text("amount");
    let amount_neu = neu(&amount).ok_or_else(|| {
        let text =
            format!("{amount:?} is not an amount of BTM: a number with up to 8 decimals wanted");
        Failure::plain(text)
    })?;
    let request = Request::Pay {
        name: name_of(given)?,
        address: text("address"),
        amount_neu,
    };
    print(home, &request)
}

pub(super) fn upgrade(home: &Home, given: &ArgMatches) -> Result<(), Failure> {
    let (command, given) = given.subcommand().expect("upgrade has only subcommands");
    let name = name_of(given)?;
    let choice = |given: &ArgMatches, cancel: bool| -> Result<Choice, Failure> {
        let plan = given
            .get_one::<String>("name")
            .expect("it is required")
            .clone();
        if cancel {
            return Ok(Choice::Cancel { name: plan });
        }
        Ok(Choice::Schedule {
            name: plan,
            height: *given.get_one::<u64>("height").expect("it is required"),
            info: text_or_file(given.get_one::<String>("info").map_or("", String::as_str))?,
        })
    };
    let request = match command {
        "show" => Request::Plan { name },
        "sign" => Request::SignPlan {
            name,
            choice: choice(given, given.get_flag("cancel"))?,
        },
        "schedule" => Request::SubmitPlan {
            name,
            choice: choice(given, false)?,
            signatures: signatures(given)?,
        },
        "cancel" => Request::SubmitPlan {
            name,
            choice: choice(given, true)?,
            signatures: signatures(given)?,
        },
        other => unreachable!("{other} is not in the command line"),
    };
    print(home, &request)
}

pub(super) fn name_of(given: &ArgMatches) -> Result<Name, Failure> {
    let name = given.get_one::<String>("namespace");
    name.expect("it has a default").parse().map_err(Failure::of)
}

fn signatures(given: &ArgMatches) -> Result<Vec<Signed>, Failure> {
    let given = given.get_many::<String>("signature").into_iter().flatten();
    given
        .map(|text| {
            let text = text_or_file(text)?;
            serde_json::from_str(&text).map_err(|error| {
                let text = format!("--signature {text}: {error}");
                Failure::plain(text)
            })
        })
        .collect()
}

fn text_or_file(text: &str) -> Result<String, Failure> {
    let Some(file) = text.strip_prefix('@') else {
        return Ok(text.to_owned());
    };
    fs::read_to_string(file).map_err(|error| {
        let text = format!("{file}: {error}");
        Failure::plain(text)
    })
}

fn print(home: &Home, request: &Request) -> Result<(), Failure> {
    let answer: Value = ask(home, request, WORK).map_err(Failure::of)?;
    out(&format!("{answer}\n"));
    Ok(())
}

/// An amount of BTM as people write it, in neu.
fn neu(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 8 || whole.is_empty() {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(BTM)?;
    let part = format!("{part:0<8}").parse::<u64>().ok()?;
    whole.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, wanted) in [
            ("1", Some(BTM)),
            ("12.5", Some(1_250_000_000)),
            ("0.00000001", Some(1)),
            ("1.", Some(BTM)),
            ("0.000000001", None),
            ("-1", None),
            (".5", None),
            ("1e3", None),
            ("184467440738", None),
        ] {
            assert_eq!(neu(text), wanted, "{text}");
        }
    }
}
