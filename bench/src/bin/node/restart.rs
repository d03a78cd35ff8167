//! How soon a node with a million unspent outputs is ready after `kill -9`, and what memory it takes.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use baton_bench::node::{Daemon, FAN, Home, HomeOptions, Purse, fan_out};
use serde_json::{Value, json};

use super::Options;

/// How often the node is killed.
const RUNS: usize = 5;

/// A home in this directory whose store has that many outputs, and the daemon that runs on it.
pub(super) async fn grow(options: &Options, dir: &Path) -> Result<(Home, Daemon)> {
    let purse = Purse::new(3);
    let fans = options.outputs.div_ceil(FAN as u64);
    let home = Home::solonet(
        &options.batond,
        &dir.join("home"),
        &HomeOptions {
            outputs: purse.outputs(fans, 1_000_000_000),
            params: vec![
                ("coinbase_maturity_blocks", json!(1)),
                ("max_block_gas", json!(1_000_000_000_u64)),
            ],
        },
    )?;
    let daemon = home.start(&[]).await?;
    daemon.mine().await?;
    daemon.wait_height(2).await?;
    fan_out(&daemon, &purse, usize::try_from(fans)?).await?;
    Ok((home, daemon))
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (home, mut daemon) = grow(options, dir.path()).await?;
    let grown = daemon.resident()?;
    let mut ready = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..RUNS {
        daemon.kill()?;
        let begun = Instant::now();
        daemon = home.start(&["--mining"]).await?;
        ready.push(begun.elapsed().as_secs_f64() * 1000.0);
        let height = block_count(&daemon).await?;
        daemon.wait_height(height + 2).await?;
        resident.push(daemon.resident()? >> 20);
    }
    ready.sort_by(f64::total_cmp);
    resident.sort_unstable();
    println!(
        "{}",
        json!({
            "bench": "node",
            "figure": "ready after kill -9",
            "outputs": options.outputs.div_ceil(FAN as u64) * FAN as u64,
            "runs": RUNS,
            "ready_ms": ready[RUNS / 2],
            "worst_ms": ready[RUNS - 1],
            "target_ms": 1000,
            "resident_mib": resident[RUNS / 2],
            "resident_while_growing_mib": grown >> 20,
            "target_resident_mib": 300,
        })
    );
    ensure!(daemon.stop()?.success(), "the node did not stop cleanly");
    Ok(())
}

async fn block_count(daemon: &Daemon) -> Result<u64> {
    let mut client = daemon.client();
    let answer = client.ask("get-block-count", &Value::Null).await?;
    answer["block_count"].as_u64().context("no block_count")
}
