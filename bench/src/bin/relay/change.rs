//! The node is changed several times under its clients.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use baton_bench::node::Client;
use serde_json::{Value, json};

use super::chain::Chain;
use super::load::{Clients, Noticed, ms};
use super::supervised::{Programs, Supervised, console};

/// Between two reloads.
const PAUSE: Duration = Duration::from_millis(500);
/// How far ahead an upgrade is planned, in blocks: the plan itself needs one.
const AHEAD: u64 = 5;
/// The longest that a client may be kept waiting.
const TARGET_MS: f64 = 250.0;

/// What is changed, how often, in which way.
pub(crate) struct Changes {
    upgrade: bool,
    times: usize,
    relay: bool,
}

/// One run of the node with its changes.
struct Run {
    noticed: Noticed,
    took: Vec<Duration>,
    faults: Vec<String>,
}

impl Changes {
    pub(crate) fn reloads(times: usize, relay: bool) -> Self {
        Self {
            upgrade: false,
            times,
            relay,
        }
    }

    pub(crate) fn upgrades(times: usize, relay: bool) -> Self {
        Self {
            upgrade: true,
            times,
            relay,
        }
    }

    /// Runs the node, changes it under load, and tells what the clients noticed.
    pub(crate) async fn measure(&self, programs: &Programs, chain: &Chain) -> Result<Value> {
        // a chain passes its upgrade once: each has a copy of its own
        let (runs, each) = if self.upgrade {
            (self.times, 1)
        } else {
            (1, self.times)
        };
        let mut all = Vec::new();
        for number in 0..runs {
            all.push(self.run(programs, chain, number, each).await?);
        }
        let mut took: Vec<_> = all.iter().flat_map(|run| run.took.clone()).collect();
        took.sort_unstable();
        let mut longest: Vec<_> = all.iter().map(|run| run.noticed.longest_ms()).collect();
        longest.sort_by(f64::total_cmp);
        let faults: Vec<_> = all.iter().flat_map(|run| run.faults.clone()).collect();
        let slowest = all
            .iter()
            .max_by(|a, b| a.noticed.longest_ms().total_cmp(&b.noticed.longest_ms()));
        Ok(json!({
            "bench": "relay",
            "change": if self.upgrade { "upgrade" } else { "reload" },
            "way": if self.relay { "handed over" } else { "stopped and started" },
            "times": self.times,
            "outputs": chain.outputs,
            "change_median_ms": took.get(took.len() / 2).copied().map(ms),
            "change_max_ms": took.last().copied().map(ms),
            "longest_request_ms": longest.last(),
            "longest_without_an_answer_ms": all.iter().map(|run| run.noticed.longest_without()).max().map(ms),
            "longest_request_median_ms": longest.get(longest.len() / 2),
            "target_ms": TARGET_MS,
            "faults": faults,
            "slowest": slowest.map(|run| run.noticed.json()),
        }))
    }

    async fn run(
        &self,
        programs: &Programs,
        chain: &Chain,
        number: usize,
        times: usize,
    ) -> Result<Run> {
        let name = format!(
            "{}-{}-{number}",
            if self.upgrade { "upgrade" } else { "reload" },
            if self.relay { "relay" } else { "plain" }
        );
        let home = chain.copy(&name)?;
        let supervised = Supervised::start(programs, &home, self.relay).await?;
        let clients = Clients::start(supervised.api, chain).await?;
        let mut took = Vec::new();
        let mut faults = Vec::new();
        for _ in 0..times {
            tokio::time::sleep(PAUSE).await;
            let changed = if self.upgrade {
                self.upgrade(&supervised).await
            } else {
                self.reload(&supervised).await
            };
            match changed {
                Ok((duration, wrong)) => {
                    took.push(duration);
                    faults.extend(wrong);
                }
                Err(error) => {
                    faults.push(format!("{name}: {error:#}\n{}", console(&home)));
                    break;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
        let noticed = clients.stop().await?;
        supervised.stop().await?;
        noticed.check()?;
        faults.extend(noticed.faults(!self.relay));
        std::fs::remove_dir_all(&home).with_context(|| format!("removing {}", home.display()))?;
        Ok(Run {
            noticed,
            took,
            faults,
        })
    }

    async fn reload(&self, supervised: &Supervised) -> Result<(Duration, Option<String>)> {
        let begun = Instant::now();
        let answer = supervised.reload().await?;
        let took = begun.elapsed();
        let how = &supervised.status()?["last_change"]["how"];
        Ok((took, self.other_way(how, &answer)))
    }

    async fn upgrade(&self, supervised: &Supervised) -> Result<(Duration, Option<String>)> {
        let mut client = Client::new(supervised.api);
        let answer = client.ask("get-block-count", &Value::Null).await?;
        let height = answer["block_count"].as_u64().context("no block_count")? + AHEAD;
        supervised.schedule(height)?;
        let upgrade = supervised.upgraded().await?;
        let took = Duration::from_millis(upgrade["total_ms"].as_u64().unwrap_or_default());
        Ok((took, self.other_way(&upgrade["how"], &upgrade)))
    }

    fn other_way(&self, how: &Value, told: &Value) -> Option<String> {
        let wanted = if self.relay {
            "handed-over"
        } else {
            "stopped-and-started"
        };
        (how != wanted).then(|| format!("changed in another way than {wanted}: {told}"))
    }
}
