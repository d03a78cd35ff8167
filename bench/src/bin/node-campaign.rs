//! What a node promises when it dies, and when its peers or the network do, tried for long with the real `batond`.
//!
//! `bench-node-campaign [kills] [handovers] [four] [partition] [--batond PATH] [--kills 200] [--handovers 100] [--four-kills 50] [--cut-seconds 20]
//! [--interval-ms 500] [--seed 1] [--keep DIR] [--log-level info] [--quick]`
//!
//! | part | what | a fault is |
//! |---|---|---|
//! | `kills` | a solonet under load, `kill -9` at random moments, also while it starts | not ready again, a height that went back, a chain that stops |
//! | `handovers` | a solonet under load that hands over again and again; in half of them one of the two processes is killed at a random moment | a handover that does not happen, nobody who serves, a height that went back |
//! | `four` | four validators and one that joins late; one of them killed again and again, then two in turn | the same, and a follower that does not catch up |
//! | `partition` | one of four cut off by the network, then two from two | blocks made by half of the network, no blocks once it is healed |
//!
//! And in all of them: a transfer that is lost or is there twice, a block that is not what it was before, blocks or states that
//! differ between nodes, a store that does not follow from its genesis, two signatures of one key for one step, a signature that
//! was sent before the sign guard knew of it, a contradiction or a panic in a log.
//!
//! Signatures are collected from three sides: the guards' files, the certificates in the stores, and a peer of the campaign's own
//! that hears what validators say to each other and is never killed.
//!
//! One JSON line each. `partition` makes network namespaces and removes them; where that is not possible it is skipped, and the
//! line says so. `--quick` is for every change: a minute for all. It ends with a failure on a fault, never on a slow figure.

#[path = "node-campaign/blocks.rs"]
mod blocks;
#[path = "node-campaign/four.rs"]
mod four;
#[path = "node-campaign/handovers.rs"]
mod handovers;
#[path = "node-campaign/kills.rs"]
mod kills;
#[path = "node-campaign/load.rs"]
mod load;
#[path = "node-campaign/member.rs"]
mod member;
#[path = "node-campaign/namespaces.rs"]
mod namespaces;
#[path = "node-campaign/network.rs"]
mod network;
#[path = "node-campaign/observer.rs"]
mod observer;
#[path = "node-campaign/partition.rs"]
mod partition;
#[path = "node-campaign/random.rs"]
mod random;
#[path = "node-campaign/signatures.rs"]
mod signatures;
#[path = "node-campaign/stores.rs"]
mod stores;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// What can be run, in this order.
const PARTS: [&str; 4] = ["kills", "handovers", "four", "partition"];

struct Options {
    parts: Vec<&'static str>,
    batond: PathBuf,
    kills: usize,
    handovers: usize,
    four_kills: usize,
    cut_seconds: u64,
    interval_ms: u64,
    seed: u64,
    keep: Option<PathBuf>,
    log_level: String,
    /// This process is the one inside the namespaces.
    inside: bool,
    quick: bool,
}

/// What a part found: its figures, and what should not have been. One that could not go on has only the latter.
struct Found {
    figures: Value,
    faults: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("Error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let options = Options::read(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut clean = true;
    for part in &options.parts {
        if *part == "partition" && !options.inside {
            clean &= namespaces::run(&options)?;
            continue;
        }
        let found = runtime.block_on(options.part(part));
        let found = found.unwrap_or_else(|error| Found {
            figures: json!({}),
            faults: vec![format!("{error:#}")],
        });
        clean &= found.faults.is_empty();
        let mut line = json!({ "bench": format!("node-{part}"), "clean": found.faults.is_empty() });
        if let (Value::Object(line), Value::Object(figures)) = (&mut line, found.figures) {
            line.extend(figures);
            line.insert("faults".to_owned(), json!(found.faults));
        }
        println!("{line}");
    }
    Ok(clean)
}

impl Options {
    async fn part(&self, name: &str) -> Result<Found> {
        match name {
            "kills" => Box::pin(kills::run(self)).await,
            "handovers" => Box::pin(handovers::run(self)).await,
            "four" => Box::pin(four::run(self)).await,
            _ => Box::pin(partition::run(self)).await,
        }
    }

    /// Where a part has its homes; with `--keep` they are there afterwards.
    fn directory(&self, part: &str) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
        if let Some(keep) = &self.keep {
            return Ok((keep.join(part), None));
        }
        let temporary = tempfile::tempdir()?;
        Ok((temporary.path().join(part), Some(temporary)))
    }

    fn read(args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            parts: Vec::new(),
            batond: "target/release/batond".into(),
            kills: 200,
            handovers: 100,
            four_kills: 50,
            cut_seconds: 20,
            interval_ms: 500,
            seed: 1,
            keep: None,
            log_level: "info".to_owned(),
            inside: false,
            quick: false,
        };
        let args: Vec<String> = args.collect();
        if args.iter().any(|arg| arg == "--quick") {
            options.quick = true;
            (options.kills, options.four_kills, options.cut_seconds) = (20, 5, 5);
            options.handovers = 12;
        }
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if let Some(part) = PARTS.into_iter().find(|part| *part == arg) {
                options.parts.push(part);
                continue;
            }
            match arg.as_str() {
                "--quick" => continue,
                "--inside" => {
                    options.inside = true;
                    continue;
                }
                _ => {}
            }
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--batond" => options.batond = value.into(),
                "--kills" => options.kills = value.parse()?,
                "--handovers" => options.handovers = value.parse()?,
                "--four-kills" => options.four_kills = value.parse()?,
                "--cut-seconds" => options.cut_seconds = value.parse()?,
                "--interval-ms" => options.interval_ms = value.parse()?,
                "--seed" => options.seed = value.parse()?,
                "--log-level" => options.log_level = value,
                "--keep" => options.keep = Some(value.into()),
                other => bail!(
                    "{other} is neither an option nor one of {}",
                    PARTS.join(", ")
                ),
            }
        }
        if options.parts.is_empty() {
            options.parts = PARTS.to_vec();
        }
        Ok(options)
    }
}
