//! `batond check`: whether the chain of a node that does not run is whole.

use baton_node::home::Home;
use baton_node::inspect::inspect;
use baton_node::settings::Environment;
use clap::{ArgMatches, Command};

use super::Failure;
use super::money::{name_of, namespace};
use crate::console::out;
use crate::progress::Bar;

pub(super) fn command() -> Command {
    Command::new("check")
        .about("Do all blocks again from the genesis on, and tell whether the stored chain is what comes out")
        .after_help(
            "The node must not run. The exit code is 1 if anything is wrong. The whole state is held in memory: about a gigabyte \
             for a million outputs. `batond config check` looks after settings and keys.",
        )
        .arg(namespace())
}

pub(super) fn run(
    home: &Home,
    given: &ArgMatches,
    environment: &Environment,
) -> Result<(), Failure> {
    let bar = Bar::blocks("verifying");
    let inspected = inspect(home, &name_of(given)?, environment, |height, last| {
        bar.set(height, Some(last));
    });
    bar.end();
    let inspected = inspected.map_err(Failure::of)?;
    let verified = inspected.verified;
    if inspected.mended {
        out("it was not closed in order, and was mended as at a start\n");
    }
    out(&format!(
        "{}: whole\nheight {}\nblock {}\nAppHash {}\n{} transactions, {} records of the state\n",
        inspected.path.display(),
        verified.tip.height,
        verified.tip.hash,
        verified.tip.app_hash,
        verified.transactions,
        verified.records,
    ));
    Ok(())
}
