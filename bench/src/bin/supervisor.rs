//! What a supervisor costs a node: how fast it sees a plan, how long the node is down for the
//! switch, how long its start takes, and what it uses while nothing happens.
//!
//! `bench-supervisor [detect] [switch] [start] [idle] [waiting] [--ours FILE] [--peer FILE]
//! [--runs N] [--dir DIR] [--mib 1024] [--stop-ms 100] [--seconds 10]`
//!
//! Without a name all are measured, one JSON line each. The executables are measured from
//! outside, through the same kind of home and the same node for both, in turns. The node is this
//! executable under another name: it notes in a file when it begins, writes its plan, is asked to
//! stop and ends, all by one clock.

#[path = "supervisor/figures.rs"]
mod figures;
#[path = "supervisor/home.rs"]
mod home;
#[path = "supervisor/idle.rs"]
mod idle;
#[path = "supervisor/node.rs"]
mod node;
#[path = "supervisor/stamps.rs"]
mod stamps;
#[path = "supervisor/timing.rs"]
mod timing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// What can be measured, in this order.
const BENCHES: [(&str, Bench); 5] = [
    ("detect", timing::detect),
    ("switch", timing::switch),
    ("start", timing::start),
    ("idle", idle::idle),
    ("waiting", idle::waiting),
];

type Bench = fn(&Options) -> Result<Value>;

/// What was asked for.
pub(crate) struct Options {
    benches: Vec<(&'static str, Bench)>,
    /// Our supervisor and, if it is there to compare with, Cosmovisor.
    pub(crate) contenders: Vec<Contender>,
    /// How often each thing is measured; each bench has its own default.
    pub(crate) runs: Option<usize>,
    /// Where homes and data are made.
    pub(crate) dir: PathBuf,
    /// The size of the data directory that `switch` backs up.
    pub(crate) mib: u64,
    /// How long the node takes to stop after it was asked to.
    pub(crate) stop_ms: u64,
    /// For how long `idle` and `waiting` look.
    pub(crate) seconds: u64,
}

/// A supervisor to measure.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    /// `ours` or `peer`.
    pub(crate) name: &'static str,
    /// Its executable.
    pub(crate) path: PathBuf,
}

impl Contender {
    /// It is Baton, whose records can be read and whose promises are checked.
    pub(crate) fn is_ours(&self) -> bool {
        self.name == "ours"
    }
}

fn main() -> ExitCode {
    let entered = stamps::now();
    if node::is_me() {
        return node::main(entered);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("Error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    for (name, bench) in &options.benches {
        let line = bench(&options).with_context(|| format!("measuring {name}"))?;
        println!("{line}");
    }
    Ok(())
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut ours = std::env::var_os("BENCH_OURS").map(PathBuf::from);
        let mut peer = std::env::var_os("BENCH_PEER").map(PathBuf::from);
        let mut options = Self {
            benches: Vec::new(),
            contenders: Vec::new(),
            runs: None,
            dir: std::env::temp_dir(),
            mib: 1024,
            stop_ms: 100,
            seconds: 10,
        };
        while let Some(arg) = args.next() {
            if let Some(bench) = BENCHES.iter().find(|(name, _)| *name == arg) {
                options.benches.push(*bench);
                continue;
            }
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--ours" => ours = Some(value()?.into()),
                "--peer" => peer = Some(value()?.into()),
                "--runs" => options.runs = Some(value()?.parse()?),
                "--dir" => options.dir = value()?.into(),
                "--mib" => options.mib = value()?.parse()?,
                "--stop-ms" => options.stop_ms = value()?.parse()?,
                "--seconds" => options.seconds = value()?.parse()?,
                other => bail!(
                    "{other} is neither an option nor one of detect, switch, start, idle, waiting"
                ),
            }
        }
        ensure!(options.runs != Some(0), "--runs must not be 0");
        ensure!(options.mib >= 16, "--mib must be 16 or more");
        ensure!(options.seconds > 0, "--seconds must not be 0");
        if options.benches.is_empty() {
            options.benches = BENCHES.to_vec();
        }
        let beside_me =
            || -> Result<PathBuf> { Ok(std::env::current_exe()?.with_file_name("cosmovisor")) };
        let ours = ours.map_or_else(beside_me, Ok)?;
        options.contenders.push(contender("ours", &ours)?);
        if let Some(peer) = peer {
            options.contenders.push(contender("peer", &peer)?);
        }
        Ok(options)
    }
}

fn contender(name: &'static str, path: &Path) -> Result<Contender> {
    let path = path.canonicalize().with_context(|| {
        format!(
            "no executable at {}; build it with `cargo build --release -p baton-cli`, or name it with --{name}",
            path.display()
        )
    })?;
    Ok(Contender { name, path })
}
