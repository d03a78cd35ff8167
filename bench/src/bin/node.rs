//! What a node's clients get: answers and transfers a second, latency while a block commits, how soon it is back, and how long it pauses for a handover.
//!
//! `bench-node [reads|submit|restart|reload …] [--batond PATH] [--peer BYTOMD] [--seconds 10] [--outputs 1000000]`
//!
//! The load is made on the same cores as the node's work, as the peer's figures were. Reads are asked for by `wrk` (Debian's), the
//! same for node and peer; what is not there is skipped, and the line says so. The node's home is a solonet with blocks of
//! one second, made anew.

#[path = "node/peer.rs"]
mod peer;
#[path = "node/reads.rs"]
mod reads;
#[path = "node/reload.rs"]
mod reload;
#[path = "node/restart.rs"]
mod restart;
#[path = "node/submit.rs"]
mod submit;
#[path = "node/watch.rs"]
mod watch;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What is asked for.
struct Options {
    figures: Vec<String>,
    batond: PathBuf,
    peer: Option<PathBuf>,
    seconds: u64,
    outputs: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    for figure in &options.figures {
        match figure.as_str() {
            "reads" => reads::run(&options).await?,
            "submit" => submit::run(&options).await?,
            "restart" => restart::run(&options).await?,
            "reload" => reload::run(&options).await?,
            other => bail!("no figure {other}: reads, submit, restart, reload"),
        }
    }
    Ok(())
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            figures: Vec::new(),
            batond: PathBuf::from("target/release/batond"),
            peer: None,
            seconds: 10,
            outputs: 1_000_000,
        };
        while let Some(arg) = args.next() {
            if !arg.starts_with("--") {
                options.figures.push(arg);
                continue;
            }
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--batond" => options.batond = value.into(),
                "--peer" => options.peer = Some(value.into()),
                "--seconds" => options.seconds = value.parse()?,
                "--outputs" => options.outputs = value.parse()?,
                other => bail!("unknown option {other}"),
            }
        }
        if options.figures.is_empty() {
            options.figures = ["reads", "submit", "restart", "reload"]
                .map(str::to_owned)
                .into();
        }
        Ok(options)
    }
}
