//! What clients notice when the process or the binary of a node is changed under them.
//!
//! `bench-relay [reloads|upgrades|plain …] [--baton PATH] [--batond PATH] [--next PATH] [--reloads 50] [--upgrades 10] [--outputs 1000000] [--keep DIR]`
//!
//! A solonet with many unspent outputs is run by `baton`. Clients of each kind read, follow and pay without a pause; meanwhile the node is
//! reloaded, or passes the height of an upgrade. `plain` is the same with `BATON_RELAY=off`, which stops and starts the node. For the scale of it:
//! `bench-handover nginx`. `--next` is a `batond` that knows the plan `v2` (feature `upgrade-example`).
//!
//! A request that fails, a connection that ends, a block or transfer that is lost or doubled is a fault; so is a change made in another way than was
//! asked for. Faults end it with a failure, slow figures do not.

#[path = "relay/chain.rs"]
mod chain;
#[path = "relay/change.rs"]
mod change;
#[path = "relay/follower.rs"]
mod follower;
#[path = "relay/load.rs"]
mod load;
#[path = "relay/payer.rs"]
mod payer;
#[path = "relay/supervised.rs"]
mod supervised;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use chain::Chain;
use change::Changes;
use supervised::Programs;

/// How often the node is stopped and started, for comparison: each costs seconds.
const PLAIN: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let kept = options.keep.clone();
    let temporary = tempfile::tempdir()?;
    let place = kept.as_deref().unwrap_or(temporary.path());
    let chain = Chain::make(&options.programs, place, options.outputs).await?;
    let mut clean = true;
    for part in &options.parts {
        let changes = match part.as_str() {
            "reloads" => vec![Changes::reloads(options.reloads, true)],
            "upgrades" => vec![Changes::upgrades(options.upgrades, true)],
            "plain" => vec![
                Changes::reloads(PLAIN, false),
                Changes::upgrades(PLAIN.min(options.upgrades), false),
            ],
            other => bail!("no part {other}: reloads, upgrades, plain"),
        };
        for changes in changes {
            let line = changes.measure(&options.programs, &chain).await?;
            println!("{line}");
            clean &= line["faults"].as_array().is_some_and(Vec::is_empty);
        }
    }
    if !clean {
        bail!("there were faults");
    }
    Ok(())
}

/// What is asked for.
struct Options {
    parts: Vec<String>,
    programs: Programs,
    reloads: usize,
    upgrades: usize,
    outputs: u64,
    keep: Option<PathBuf>,
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            parts: Vec::new(),
            programs: Programs::default(),
            reloads: 50,
            upgrades: 10,
            outputs: 1_000_000,
            keep: None,
        };
        while let Some(arg) = args.next() {
            if !arg.starts_with("--") {
                options.parts.push(arg);
                continue;
            }
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--baton" => options.programs.baton = value.into(),
                "--batond" => options.programs.batond = value.into(),
                "--next" => options.programs.next = value.into(),
                "--reloads" => options.reloads = value.parse()?,
                "--upgrades" => options.upgrades = value.parse()?,
                "--outputs" => options.outputs = value.parse()?,
                "--keep" => options.keep = Some(value.into()),
                other => bail!("unknown option {other}"),
            }
        }
        if options.parts.is_empty() {
            options.parts = ["reloads", "upgrades", "plain"].map(str::to_owned).into();
        }
        Ok(options)
    }
}
