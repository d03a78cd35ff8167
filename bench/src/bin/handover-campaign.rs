//! What the handover library promises, tried for long and under load, on the built examples.
//!
//! `bench-handover-campaign [row] [kills] [crowd] [thousand] [ballast] [quiet] [roll-back] [--examples DIR]
//! [--handovers 50] [--kills 100] [--crowd 10000] [--runs 10] [--mib 100] [--seed 1]`
//!
//! | part | what | a fault is |
//! |---|---|---|
//! | `row` | `web`, `chat` and `echo` hand over 50 times each, under HTTP, WebSocket and echo clients at once | a failed request, a reconnection, a wrong byte, a descriptor that leaks, a handover that fails |
//! | `kills` | successor or predecessor of `counter` killed (`kill -9`) at random moments of a handover | nobody serves afterwards, a connection refused while a listener was held, a count that is not exact |
//! | `crowd` | 10 000 idle echo connections move | one that does not answer afterwards |
//! | `thousand` | 1 000 talking echo connections move | as in `row` |
//! | `ballast` | 100 MiB of state move | another sum afterwards |
//! | `quiet` | an idle server hands over | a handover that fails |
//! | `roll-back` | the successor of `counter` cannot open its database | a failed request, a handover that succeeds |
//!
//! One JSON line each; the targets stand beside the figures. It ends with a failure on a fault, never on a slow figure.

#[path = "handover-campaign/crowd.rs"]
mod crowd;
#[path = "handover-campaign/example.rs"]
mod example;
#[path = "handover-campaign/figures.rs"]
mod figures;
#[path = "handover-campaign/kills.rs"]
mod kills;
#[path = "handover-campaign/quiet.rs"]
mod quiet;
#[path = "handover-campaign/row.rs"]
mod row;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

/// What can be run, in this order.
const PARTS: [&str; 7] = [
    "row",
    "kills",
    "crowd",
    "thousand",
    "ballast",
    "quiet",
    "roll-back",
];

struct Options {
    parts: Vec<&'static str>,
    examples: PathBuf,
    handovers: usize,
    kills: usize,
    crowd: usize,
    runs: usize,
    mib: usize,
    seed: u64,
}

/// What a part found: its figures, and what should not have been.
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
    raise_descriptors()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut clean = true;
    for part in &options.parts {
        let found = runtime
            .block_on(options.part(part))
            .with_context(|| format!("in {part}"))?;
        clean &= found.faults.is_empty();
        let mut line =
            json!({ "bench": format!("handover-{part}"), "clean": found.faults.is_empty() });
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
        let examples = &self.examples;
        match name {
            "row" => row::run(examples, self.handovers).await,
            "kills" => kills::run(examples, self.kills, self.seed).await,
            "crowd" => crowd::idle(examples, self.crowd, self.runs).await,
            "thousand" => crowd::talking(examples, 1_000, self.runs).await,
            "ballast" => quiet::ballast(examples, self.mib, self.runs).await,
            "quiet" => quiet::idle(examples, self.runs.max(20)).await,
            _ => quiet::roll_back(examples, self.runs).await,
        }
    }

    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            parts: Vec::new(),
            examples: "target/release/examples".into(),
            handovers: 50,
            kills: 100,
            crowd: 10_000,
            runs: 10,
            mib: 100,
            seed: 1,
        };
        while let Some(arg) = args.next() {
            if let Some(part) = PARTS.into_iter().find(|part| *part == arg) {
                options.parts.push(part);
                continue;
            }
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--examples" => options.examples = value.into(),
                "--handovers" => options.handovers = value.parse()?,
                "--kills" => options.kills = value.parse()?,
                "--crowd" => options.crowd = value.parse()?,
                "--runs" => options.runs = value.parse()?,
                "--mib" => options.mib = value.parse()?,
                "--seed" => options.seed = value.parse()?,
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

/// As many descriptors as this user may have, here and in the servers, which inherit it.
fn raise_descriptors() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).context("raising the limit of descriptors")
}
