//! A node that is alone, under load, killed at any moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use baton_bench::node::{Home, HomeOptions, Purse};
use serde_json::json;

use super::load::{AMOUNT_NEU, COINS};
use super::member::{Member, middle_and_worst};
use super::network::{Campaign, Ended};
use super::observer::Shared;
use super::random::Random;
use super::{Found, Options};

/// A node that is up lives for so long at most.
const LIFE: Duration = Duration::from_millis(1500);

pub(crate) async fn run(options: &Options) -> Result<Found> {
    let (directory, _temporary) = options.directory("kills")?;
    std::fs::create_dir_all(&directory)?;
    let purse = Purse::new(11);
    let mut home = Home::solonet(
        &options.batond,
        &directory.join("home"),
        &HomeOptions {
            outputs: purse.outputs(COINS as u64, AMOUNT_NEU),
            params: vec![
                ("coinbase_maturity_blocks", json!(1)),
                ("block_interval_ms", json!(options.interval_ms)),
            ],
        },
    )?;
    home.flags = vec![format!("--log_level={}", options.log_level)];
    let signatures = Shared::default();
    let mut member = Member::new(home, Arc::clone(&signatures));
    member.start().await?;
    let begun = Instant::now();
    let mut random = Random::new(options.seed);
    let campaign = Campaign::start(
        &directory,
        std::slice::from_ref(&member.home),
        purse,
        signatures,
    )
    .await?;
    let mut infant_deaths = 0;
    let mut longest = Duration::ZERO;
    for _ in 0..options.kills {
        if random.once_in(4) {
            // again before it is ready: anywhere from its first instruction on
            member.kill()?;
            member.spawn()?;
            let usual = middle_and_worst(member.ready.clone()).0 / 1e3;
            tokio::time::sleep(random.up_to(Duration::from_secs_f64(usual))).await;
            member.kill()?;
            infant_deaths += 1;
        } else {
            longest = longest.max(member.goes_on().await?);
            tokio::time::sleep(random.up_to(LIFE)).await;
            member.look_and_kill().await?;
        }
        member.start().await?;
    }
    longest = longest.max(member.goes_on().await?);
    let Ended {
        mut figures,
        faults,
    } = campaign.end(std::slice::from_mut(&mut member)).await?;
    let (ready_ms, worst_ready_ms) = middle_and_worst(member.ready.clone());
    figures["kills"] = member.kills.into();
    figures["kills_during_start"] = infant_deaths.into();
    figures["ready_ms"] = ready_ms.into();
    figures["worst_ready_ms"] = worst_ready_ms.into();
    figures["longest_to_next_block_ms"] = json!(longest.as_millis());
    figures["seconds"] = json!(begun.elapsed().as_secs());
    Ok(Found { figures, faults })
}
