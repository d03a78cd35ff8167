//! A client that pays without a pause: each transfer moves what the one before has made.

use std::time::{Duration, Instant};

use baton_bench::node::{Client, Coin, Purse};
use baton_ledger::Hash;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::sync::watch;

/// Between two transfers: the load is there, and does not take the machine.
const PAUSE: Duration = Duration::from_millis(10);

/// What a payer has done.
pub(crate) struct Paid {
    /// The transfers to which the node said yes.
    pub(crate) accepted: Vec<Hash>,
    /// Requests without a good answer.
    pub(crate) failed: u64,
    /// Connections beyond the first.
    pub(crate) reconnections: u64,
    pub(crate) took_us: Histogram<u64>,
    /// The longest time from one good answer to the next, however many bad ones were between.
    pub(crate) longest_without: Duration,
    /// How it first went wrong.
    pub(crate) story: Option<String>,
}

/// Pays until it is told to stop. What failed is tried again: the coin is where it was.
pub(crate) async fn pay(
    mut client: Client,
    purse: Purse,
    mut coins: Vec<Coin>,
    stop: watch::Receiver<bool>,
) -> Paid {
    let mut paid = Paid {
        accepted: Vec::new(),
        failed: 0,
        reconnections: 0,
        took_us: Histogram::new_with_bounds(1, 600_000_000, 3)
            .expect("one microsecond to ten minutes with three digits"),
        longest_without: Duration::ZERO,
        story: None,
    };
    let mut at = 0;
    let mut last = Instant::now();
    while !*stop.borrow() {
        let index = at % coins.len();
        let transfer = purse.transfer(coins[index], purse.program());
        let raw = hex::encode(transfer.transaction().encode());
        let asked = Instant::now();
        let answer = client
            .ask("submit-transaction", &json!({ "raw_transaction": raw }))
            .await;
        match answer {
            Ok(_) => {
                let took = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
                paid.took_us.saturating_record(took);
                paid.accepted.push(transfer.id());
                coins[index] = Purse::coins(&transfer, 1)[0];
                at += 1;
                paid.longest_without = paid.longest_without.max(last.elapsed());
                last = Instant::now();
            }
            Err(error) => {
                paid.failed += 1;
                paid.story.get_or_insert(error.to_string());
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    paid.reconnections = client.connections().saturating_sub(1);
    paid
}
