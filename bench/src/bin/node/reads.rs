//! Answers a second, by `wrk`, of the node and of the peer in turn.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use baton_bench::node::{Coin, Daemon, Home, HomeOptions, Purse};
use serde_json::{Value, json};

use super::Options;
use super::peer::Bytomd;

/// Connections of the load.
const CONNECTIONS: u32 = 32;
/// Transactions of the wallet before `list-transactions` is asked for.
const TRANSACTIONS: usize = 500;

/// Endpoint, body, and what bytomd was measured to give elsewhere, where there is no peer in the run.
const READS: [(&str, &str, u64); 5] = [
    ("get-block-count", "{}", 72_000),
    ("net-info", "{}", 29_000),
    ("get-block", r#"{\"block_height\":1}"#, 26_000),
    ("list-balances", "{}", 22_000),
    ("list-transactions", r#"{\"count\":50}"#, 610),
];

pub(crate) async fn run(options: &Options) -> Result<()> {
    if Command::new("wrk").arg("-v").output().is_err() {
        println!(
            "{}",
            json!({ "bench": "node", "figure": "reads", "skipped": "wrk is not installed" })
        );
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let daemon = prepared(options, dir.path()).await?;
    let peer = match &options.peer {
        Some(bytomd) => Some(Bytomd::start(bytomd, &dir.path().join("peer")).await?),
        None => None,
    };
    for (endpoint, body, measured) in READS {
        let ours = wrk(dir.path(), daemon.api, endpoint, body, options.seconds)?;
        let theirs = match &peer {
            Some(peer) => Some(wrk(dir.path(), peer.api, endpoint, body, options.seconds)?),
            None => None,
        };
        let line = json!({
            "bench": "node",
            "figure": "answers a second",
            "endpoint": endpoint,
            "connections": CONNECTIONS,
            "ours": ours.json(),
            "bytomd": theirs.as_ref().map(Answers::json),
            "bytomd_measured_before": measured,
            "ratio": theirs.map(|theirs| round(ours.per_second / theirs.per_second)),
        });
        println!("{line}");
        ensure!(ours.faults == 0, "{endpoint}: {} faults", ours.faults);
    }
    println!(
        "{}",
        json!({ "bench": "node", "figure": "resident memory after the load", "ours_mib": daemon.resident()? >> 20 })
    );
    ensure!(daemon.stop()?.success(), "the node did not stop cleanly");
    Ok(())
}

/// A node that makes blocks, with a wallet that has seen some transactions.
async fn prepared(options: &Options, dir: &Path) -> Result<Daemon> {
    let purse = Purse::new(1);
    let home = Home::solonet(
        &options.batond,
        &dir.join("ours"),
        &HomeOptions {
            outputs: purse.outputs(TRANSACTIONS as u64, 100_000_000),
            params: vec![("coinbase_maturity_blocks", json!(1))],
        },
    )?;
    let daemon = home.start(&[]).await?;
    daemon.mine().await?;
    daemon.wait_height(2).await?;
    let mut client = daemon.client();
    let receiver = client
        .ask(
            "create-account-receiver",
            &json!({ "account_alias": "miner" }),
        )
        .await?;
    let program = receiver["control_program"].as_str();
    let program = hex::decode(program.context("no control_program")?)?;
    let coins: Vec<Coin> = Purse::coins(&daemon.genesis().await?, TRANSACTIONS);
    let mut raw = Vec::new();
    for coin in coins {
        let transfer = purse.transfer(coin, &program);
        raw.push(Value::from(hex::encode(transfer.transaction().encode())));
    }
    client
        .ask("submit-transactions", &json!({ "raw_transactions": raw }))
        .await?;
    let begun = std::time::Instant::now();
    loop {
        let pool = client
            .ask("list-unconfirmed-transactions", &Value::Null)
            .await?;
        let wallet = client.ask("wallet-info", &Value::Null).await?;
        if pool["total"] == 0 && wallet["wallet_height"] == wallet["best_block_height"] {
            return Ok(daemon);
        }
        ensure!(begun.elapsed().as_secs() < 60, "still in the pool: {pool}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// What `wrk` saw.
struct Answers {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    faults: u64,
}

impl Answers {
    fn json(&self) -> Value {
        json!({ "per_second": self.per_second.round(), "p50_ms": self.p50_ms, "p99_ms": self.p99_ms })
    }
}

/// Tells on its last line what it saw; other than `wrk`'s own text, in one unit.
const SCRIPT: &str = r#"
wrk.method = "POST"
wrk.body = "BODY"
wrk.headers["Content-Type"] = "application/json"
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("\n%d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

fn wrk(dir: &Path, api: SocketAddr, endpoint: &str, body: &str, seconds: u64) -> Result<Answers> {
    let script = dir.join("wrk.lua");
    fs::write(&script, SCRIPT.replace("BODY", body))?;
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", &CONNECTIONS.to_string()])
        .args(["-d", &format!("{seconds}s"), "-s"])
        .arg(&script)
        .arg(format!("http://{api}/{endpoint}"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().unwrap_or_default();
    let told: Vec<f64> = last.split(' ').filter_map(|n| n.parse().ok()).collect();
    let [requests, duration_us, p50_us, p99_us, faults] = told[..] else {
        anyhow::bail!("wrk said: {text}");
    };
    Ok(Answers {
        per_second: requests / duration_us * 1e6,
        p50_ms: p50_us / 1000.0,
        p99_ms: p99_us / 1000.0,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        faults: faults as u64,
    })
}

fn round(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}
