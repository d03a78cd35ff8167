//! How long a client waits at most while one process hands a million unspent outputs over to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_bench::node::Daemon;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Options, restart};

/// How often it is handed over.
const RUNS: usize = 10;
/// How long one may take.
const LIMIT: Duration = Duration::from_mins(1);
/// Between two requests.
const LOOK: Duration = Duration::from_millis(2);

pub(crate) async fn run(options: &Options) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (home, mut daemon) = restart::grow(options, dir.path()).await?;
    let mut pauses = Vec::new();
    let mut pid = daemon.pid();
    for _ in 0..RUNS {
        let longest = Arc::new(AtomicU64::new(0));
        let client = tokio::spawn(ask(daemon.client(), Arc::clone(&longest)));
        let own = i32::try_from(pid).ok().and_then(Pid::from_raw);
        kill_process(own.context("a pid")?, Signal::USR2)?;
        let begun = Instant::now();
        let next = loop {
            let status: Value = serde_json::from_str(&home.ask("status")?).unwrap_or_default();
            match status["baton"]["pid"].as_u64() {
                Some(now) if now != u64::from(pid) => break u32::try_from(now)?,
                _ => {}
            }
            ensure!(begun.elapsed() < LIMIT, "no handover within {LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        pid = next;
        // it makes blocks, and the predecessor has ended
        wait_for_a_block(&daemon).await?;
        client.abort();
        ensure!(!client.await.is_ok_and(|failed| failed), "a request failed");
        let longest = Duration::from_micros(longest.load(Ordering::Relaxed));
        pauses.push(longest.as_secs_f64() * 1000.0);
    }
    pauses.sort_by(f64::total_cmp);
    println!(
        "{}",
        json!({
            "bench": "node",
            "figure": "longest wait of a client in a handover",
            "outputs": options.outputs,
            "runs": RUNS,
            "pause_ms": pauses[RUNS / 2],
            "worst_ms": pauses[RUNS - 1],
            "target_ms": 250,
        })
    );
    home.ask("stop")?;
    ensure!(daemon.has_ended()?, "the first process still runs");
    Ok(())
}

/// Asks without an end over one connection; ends, with true, when a request fails.
async fn ask(mut client: baton_bench::node::Client, longest: Arc<AtomicU64>) -> bool {
    loop {
        let begun = Instant::now();
        if client.ask("get-block-count", &Value::Null).await.is_err() {
            return true;
        }
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        longest.fetch_max(took, Ordering::Relaxed);
        tokio::time::sleep(LOOK).await;
    }
}

async fn wait_for_a_block(daemon: &Daemon) -> Result<()> {
    let mut client = daemon.client();
    let answer = client.ask("get-block-count", &Value::Null).await?;
    let now = answer["block_count"].as_u64().context("no block_count")?;
    daemon.wait_height(now + 1).await
}
