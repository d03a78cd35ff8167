//! `batond testnet`: a network of one's own.

use std::net::IpAddr;
use std::path::PathBuf;

use baton_node::testnet::{Wish, make};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::Failure;
use crate::console::out;

pub(super) fn command() -> Command {
    let number = |name: &'static str, default: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("NUMBER")
            .default_value(default)
    };
    Command::new("testnet")
        .about("Make homes that form a network on this machine, and a README that says how to start them")
        .arg(
            number("validators", "4")
                .value_parser(value_parser!(usize))
                .help("How many nodes, all of them validators"),
        )
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("DIR")
                .required(true)
                .help("Where the homes are made: a directory that is not there, or empty"),
        )
        .arg(
            number("base-port", "20000")
                .value_parser(value_parser!(u16))
                .help("The port of the first API; each node has two ports"),
        )
        .arg(
            Arg::new("host")
                .long("host")
                .value_name("IP")
                .default_value("127.0.0.1")
                .value_parser(value_parser!(IpAddr))
                .help("The IP address of this machine at which nodes listen and dial each other"),
        )
        .arg(
            Arg::new("chain-id")
                .long("chain-id")
                .value_name("ID")
                .default_value("wisdom")
                .help("The network's name, told by net-info"),
        )
        .arg(
            Arg::new("address-prefix")
                .long("address-prefix")
                .value_name("LETTERS")
                .default_value("tn")
                .help("What addresses begin with"),
        )
        .arg(
            number("block-interval-ms", "1000")
                .value_parser(value_parser!(u64))
                .help("The least time between blocks"),
        )
        .arg(
            Arg::new("max-block-gas")
                .long("max-block-gas")
                .value_name("GAS")
                .value_parser(value_parser!(u64))
                .help("The most gas of a block; as a solonet's if nothing is said"),
        )
        .arg(
            Arg::new("fund")
                .long("fund")
                .value_name("ADDRESS=NEU")
                .action(ArgAction::Append)
                .help("Somebody who has so much to begin with; repeat it"),
        )
}

pub(super) fn run(given: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| given.get_one::<String>(name).cloned().unwrap_or_default();
    let refuse = Failure::plain;
    let mut fund = Vec::new();
    for one in given.get_many::<String>("fund").into_iter().flatten() {
        let parsed = one
            .split_once('=')
            .and_then(|(address, neu)| Some((address.to_owned(), neu.parse().ok()?)));
        let parsed = parsed.ok_or_else(|| refuse(format!("--fund {one}: ADDRESS=NEU wanted")))?;
        fund.push(parsed);
    }
    let wish = Wish {
        validators: *given.get_one("validators").expect("it has a default"),
        output: PathBuf::from(text("output")),
        chain_id: text("chain-id"),
        prefix: text("address-prefix").parse().map_err(Failure::of)?,
        host: *given.get_one("host").expect("it has a default"),
        base_port: *given.get_one("base-port").expect("it has a default"),
        block_interval_ms: *given
            .get_one("block-interval-ms")
            .expect("it has a default"),
        max_block_gas: given.get_one("max-block-gas").copied(),
        fund,
    };
    let members = make(&wish).map_err(Failure::of)?;
    for member in members {
        let home = member.home.display();
        out(&format!(
            "{home}  API http://{}  peers {}\n",
            member.api, member.p2p
        ));
    }
    out(&format!(
        "{} says how to start them\n",
        wish.output.join("README.md").display()
    ));
    Ok(())
}
