//! A store with many unspent outputs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Daemon, Purse};

/// Outputs of one transaction: what its gas pays for.
pub const FAN: usize = 2_000;
/// How long the last of them may take into a block.
const LIMIT: Duration = Duration::from_mins(5);

/// Makes many outputs of each of the genesis', and waits until all are in blocks.
pub async fn fan_out(daemon: &Daemon, purse: &Purse, fans: usize) -> Result<()> {
    let genesis = daemon.genesis().await?;
    let mut client = daemon.client();
    for coin in Purse::coins(&genesis, fans) {
        // 300 000 gas at 200 neu is the most that a transaction can pay for
        let each = (coin.amount_neu - 60_000_000) / FAN as u64;
        let to = vec![(purse.program().to_vec(), each); FAN];
        let fan = purse.pay(&[coin], &to);
        let body = json!({ "raw_transaction": hex::encode(fan.transaction().encode()) });
        // a full pool is tried until a block has made room
        while let Err(error) = client.ask("submit-transaction", &body).await {
            ensure!(error.to_string().contains("the pool is full"), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let begun = Instant::now();
    loop {
        let pool = client
            .ask("list-unconfirmed-transactions", &Value::Null)
            .await?;
        if pool["total"] == 0 {
            return Ok(());
        }
        ensure!(begun.elapsed() < LIMIT, "still in the pool: {pool}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
