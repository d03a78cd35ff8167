//! Clients of each kind at once, and what they noticed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_bench::load::{Group, Kind, Load, Report};
use baton_bench::node::Client;
use baton_ledger::{Block, Hash, Mapped};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::chain::{COINS, Chain};
use super::follower::{Followed, follow};
use super::payer::{Paid, pay};

const READERS: [(Kind, usize); 3] = [(Kind::Fresh, 2), (Kind::KeepAlive, 8), (Kind::Blind, 4)];
const FOLLOWERS: usize = 4;
const PAYERS: usize = 2;
/// How long the readers have to get their first answers.
const BEGIN: Duration = Duration::from_secs(30);
/// How long the last transfers may take into a block.
const LAST: Duration = Duration::from_mins(1);

/// Clients at work.
pub(crate) struct Clients {
    api: SocketAddr,
    first: u64,
    readers: Load,
    followers: JoinSet<Followed>,
    payers: JoinSet<Paid>,
    stop: watch::Sender<bool>,
}

/// What they noticed.
pub(crate) struct Noticed {
    readers: Report,
    followed: Vec<Followed>,
    paid: Vec<Paid>,
    lost: usize,
    doubled: usize,
    blocks: u64,
}

impl Clients {
    /// Sets them to work.
    pub(crate) async fn start(api: SocketAddr, chain: &Chain) -> Result<Self> {
        let first = height(api).await?;
        let readers = Load::start(
            READERS.map(|(kind, count)| Group::new(kind, api, count).path("/get-block-count")),
        );
        readers.ready(BEGIN).await?;
        let (stop, stopped) = watch::channel(false);
        let mut followers = JoinSet::new();
        for _ in 0..FOLLOWERS {
            followers.spawn(follow(api, first, stopped.clone()));
        }
        let mut payers = JoinSet::new();
        for coins in chain.coins.chunks(COINS / PAYERS) {
            payers.spawn(pay(
                Client::new(api),
                chain.purse.clone(),
                coins.to_vec(),
                stopped.clone(),
            ));
        }
        Ok(Self {
            api,
            first,
            readers,
            followers,
            payers,
            stop,
        })
    }

    /// Lets them end, and looks what has become of the transfers.
    pub(crate) async fn stop(self) -> Result<Noticed> {
        let readers = self.readers.stop().await;
        self.stop.send_replace(true);
        let paid = self.payers.join_all().await;
        let followed = self.followers.join_all().await;
        let accepted: Vec<Hash> = paid.iter().flat_map(|one| one.accepted.clone()).collect();
        let (counts, last) = in_blocks(self.api, self.first, &accepted).await?;
        Ok(Noticed {
            readers,
            followed,
            paid,
            lost: accepted.iter().filter(|id| counts[*id] == 0).count(),
            doubled: counts.values().filter(|count| **count > 1).count(),
            blocks: last - self.first,
        })
    }
}

/// How often each transfer is in the chain, once no more are under way.
async fn in_blocks(
    api: SocketAddr,
    after: u64,
    accepted: &[Hash],
) -> Result<(HashMap<Hash, usize>, u64)> {
    let mut counts: HashMap<Hash, usize> = accepted.iter().map(|id| (*id, 0)).collect();
    let mut client = Client::new(api);
    let (mut next, begun) = (after + 1, Instant::now());
    while counts.values().any(|count| *count == 0) && begun.elapsed() < LAST {
        if height(api).await? < next {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let answer = client
            .ask("get-raw-block", &json!({ "block_height": next }))
            .await?;
        let text = answer["raw_block"].as_str().context("no raw_block")?;
        for transaction in Block::decode(&hex::decode(text)?)?.transactions {
            if let Some(count) = counts.get_mut(&Mapped::from(transaction).id()) {
                *count += 1;
            }
        }
        next += 1;
    }
    Ok((counts, next - 1))
}

async fn height(api: SocketAddr) -> Result<u64> {
    let answer = Client::new(api)
        .ask("get-block-count", &Value::Null)
        .await?;
    answer["block_count"].as_u64().context("no block_count")
}

impl Noticed {
    /// What must not be, as sentences; with `all_may_break`, only what is wrong for a node that was stopped, too.
    pub(crate) fn faults(&self, all_may_break: bool) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |count: u64, what: &str, story: Option<&str>| {
            if count > 0 {
                faults.push(format!("{count} {what}: {}", story.unwrap_or("?")));
            }
        };
        fault(self.lost as u64, "transfers are lost", None);
        fault(
            self.doubled as u64,
            "transfers are in the chain twice",
            None,
        );
        for one in &self.followed {
            let story = one.story.as_deref();
            fault(one.out_of_order, "blocks out of order", story);
        }
        if all_may_break {
            return faults;
        }
        for (kind, tally) in &self.readers.groups {
            let story = tally.stories().first().map(|story| story.what.as_str());
            fault(tally.failed, &format!("failed, {}", kind.name()), story);
            let what = format!("reconnections, {}", kind.name());
            fault(tally.reconnections, &what, story);
        }
        for one in &self.followed {
            fault(one.ended, "ended WebSockets", one.story.as_deref());
        }
        for one in &self.paid {
            fault(one.failed, "failed transfers", one.story.as_deref());
            fault(
                one.reconnections,
                "reconnections of payers",
                one.story.as_deref(),
            );
        }
        faults
    }

    /// The figures.
    pub(crate) fn json(&self) -> Value {
        let readers = self.readers.groups.iter().map(|(kind, tally)| {
            let figures = json!({
                "requests": tally.requests,
                "failed": tally.failed,
                "reconnections": tally.reconnections,
                "p50_ms": ms(tally.quantile(0.5)),
                "p99_ms": ms(tally.quantile(0.99)),
                "longest_ms": tally.longest().map(|span| ms(span.took())),
            });
            (kind.name().to_owned(), figures)
        });
        let mut kinds: serde_json::Map<_, _> = readers.collect();
        kinds.insert(
            "websocket".to_owned(),
            json!({
                "blocks": self.followed.iter().map(|one| one.blocks).sum::<u64>(),
                "ended": self.followed.iter().map(|one| one.ended).sum::<u64>(),
                "longest_without_a_block_ms": self.followed.iter().map(|one| ms(one.longest)).fold(0.0, f64::max),
            }),
        );
        let longest = |one: &Paid| ms(Duration::from_micros(one.took_us.max()));
        kinds.insert(
            "submit".to_owned(),
            json!({
                "transfers": self.paid.iter().map(|one| one.accepted.len()).sum::<usize>(),
                "failed": self.paid.iter().map(|one| one.failed).sum::<u64>(),
                "reconnections": self.paid.iter().map(|one| one.reconnections).sum::<u64>(),
                "longest_ms": self.paid.iter().map(longest).fold(0.0, f64::max),
            }),
        );
        let mut line = json!({
            "blocks": self.blocks,
            "lost": self.lost,
            "doubled": self.doubled,
            "longest_ms": self.longest_ms(),
            "longest_without_an_answer_ms": ms(self.longest_without()),
        });
        line["clients"] = kinds.into();
        line
    }

    /// The longest request of any client.
    pub(crate) fn longest_ms(&self) -> f64 {
        let read = self
            .readers
            .longest()
            .map_or(0.0, |(_, span)| ms(span.took()));
        let paid = self
            .paid
            .iter()
            .map(|one| ms(Duration::from_micros(one.took_us.max())));
        paid.fold(read, f64::max)
    }

    /// The longest time in which a payer got no good answer: what an outage is for clients that try again at once.
    pub(crate) fn longest_without(&self) -> Duration {
        let paid = self.paid.iter().map(|one| one.longest_without);
        paid.max().unwrap_or_default()
    }

    /// This measurement is sound.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(
            self.readers.sum(|tally| tally.own) == 0,
            "this machine ran out of ports or descriptors"
        );
        Ok(())
    }
}

/// Milliseconds to the microsecond.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53 microseconds")]
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
