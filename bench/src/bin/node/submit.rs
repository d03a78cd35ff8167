//! Transfers a second, submitted and committed, for a minute; and how long reads take meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_bench::node::{Client, Daemon, Home, HomeOptions, Purse};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Options;
use super::watch::Watch;

/// Connections over which transfers are submitted one by one.
const CONNECTIONS: usize = 8;
/// Transfers in one `submit-transactions`.
const BATCH: usize = 250;
/// Outputs of the genesis that are moved round and round: more than a few blocks hold.
const COINS: u64 = 40_000;
/// What each has, enough for all fees of a run.
const AMOUNT_NEU: u64 = 10_000_000_000;
/// Targets of the specification, in transfers a second.
const TARGETS: [(&str, f64); 2] = [("one by one", 5_000.0), ("in batches", 10_000.0)];

pub(crate) async fn run(options: &Options) -> Result<()> {
    for (way, target) in TARGETS {
        let dir = tempfile::tempdir()?;
        let purse = Purse::new(2);
        let home = Home::solonet(
            &options.batond,
            &dir.path().join("home"),
            &HomeOptions {
                outputs: purse.outputs(COINS, AMOUNT_NEU),
                params: vec![
                    ("coinbase_maturity_blocks", json!(1)),
                    ("max_block_gas", json!(1_000_000_000_u64)),
                ],
            },
        )?;
        let daemon = home.start(&[]).await?;
        daemon.mine().await?;
        daemon.wait_height(2).await?;
        let batch = if way == "in batches" { BATCH } else { 1 };
        let line = measure(&daemon, purse, batch, options.seconds.max(10)).await?;
        let mut line = line;
        line["way"] = way.into();
        line["target_per_second"] = target.into();
        println!("{line}");
        ensure!(daemon.stop()?.success(), "the node did not stop cleanly");
    }
    Ok(())
}

/// What the submitters share.
struct Shared {
    purse: Purse,
    genesis: baton_ledger::Mapped,
    submitted: AtomicUsize,
    over: AtomicBool,
}

async fn measure(daemon: &Daemon, purse: Purse, batch: usize, seconds: u64) -> Result<Value> {
    let shared = Arc::new(Shared {
        purse,
        genesis: daemon.genesis().await?,
        submitted: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    });
    let first = height(&mut daemon.client()).await?;
    let begun = Instant::now();
    let mut submitters = JoinSet::new();
    for number in 0..CONNECTIONS {
        submitters.spawn(submit(daemon.client(), Arc::clone(&shared), number, batch));
    }
    let watch = Watch::start(daemon.client(), Duration::from_secs(seconds))?;
    let seen = watch.seen().await?;
    shared.over.store(true, Ordering::Relaxed);
    let mut waits = Histogram::<u64>::new(3)?;
    while let Some(one) = submitters.join_next().await {
        waits.add(one??)?;
    }
    let submitting = begun.elapsed();
    let submitted = shared.submitted.load(Ordering::Relaxed);
    let committed = committed(daemon, first, submitted).await?;
    let all = begun.elapsed();
    ensure!(
        committed == submitted,
        "{submitted} submitted, {committed} committed"
    );
    let last = height(&mut daemon.client()).await?;
    let submitted = u32::try_from(submitted)?;
    let per_second = |took: Duration| (f64::from(submitted) / took.as_secs_f64()).round();
    let blocks = u32::try_from(last - first)?;
    Ok(json!({
        "bench": "node",
        "figure": "transfers a second",
        "connections": CONNECTIONS,
        "batch": batch,
        "seconds": seconds,
        "submitted": submitted,
        "submitted_per_second": per_second(submitting),
        "committed_per_second": per_second(all),
        "submit_p50_ms": ms(waits.value_at_quantile(0.5)),
        "submit_p99_ms": ms(waits.value_at_quantile(0.99)),
        "blocks": blocks,
        "mean_interval_ms": ms(micros(all / blocks.max(1))),
        "reads_ms_meanwhile": seen.json(),
        "resident_mib": daemon.resident()? >> 20,
    }))
}

/// Moves its share of the coins on and on, each time with the coin that the time before has made.
async fn submit(
    mut client: Client,
    shared: Arc<Shared>,
    number: usize,
    batch: usize,
) -> Result<Histogram<u64>> {
    let mut waits = Histogram::<u64>::new(3)?;
    let all = Purse::coins(&shared.genesis, usize::try_from(COINS)?);
    let mut coins: Vec<_> = all.into_iter().skip(number).step_by(CONNECTIONS).collect();
    let mut at = 0;
    while !shared.over.load(Ordering::Relaxed) {
        let mut raw = Vec::with_capacity(batch);
        for _ in 0..batch {
            let index = at % coins.len();
            at += 1;
            let transfer = shared.purse.transfer(coins[index], shared.purse.program());
            coins[index] = Purse::coins(&transfer, 1)[0];
            raw.push(hex::encode(transfer.transaction().encode()));
        }
        let asked = Instant::now();
        if batch == 1 {
            let body = json!({ "raw_transaction": raw[0] });
            client.ask("submit-transaction", &body).await?;
        } else {
            let body = json!({ "raw_transactions": raw });
            // what was taken already is taken again: a full pool is tried until a block has made room
            while let Err(error) = client.ask("submit-transactions", &body).await {
                ensure!(error.to_string().contains("the pool is full"), "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        waits.record(micros(asked.elapsed()))?;
        shared.submitted.fetch_add(batch, Ordering::Relaxed);
    }
    Ok(waits)
}

/// Counts the transfers in the blocks, until all are there or none comes any more.
async fn committed(daemon: &Daemon, after: u64, submitted: usize) -> Result<usize> {
    let (mut count, mut next) = (0, after + 1);
    let mut client = daemon.client();
    let mut last_change = Instant::now();
    while count < submitted && last_change.elapsed() < Duration::from_secs(30) {
        if height(&mut client).await? < next {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let found = daemon.block(next).await?.transactions.len() - 1;
        if found > 0 {
            last_change = Instant::now();
        }
        count += found;
        next += 1;
    }
    Ok(count)
}

async fn height(client: &mut Client) -> Result<u64> {
    let answer = client.ask("get-block-count", &Value::Null).await?;
    answer["block_count"].as_u64().context("no block_count")
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn ms(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1000.0
}
