//! Four validators of which one dies again and again, then two in turn; and one that joins late.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_bench::node::{Home, Purse};
use serde_json::json;

use super::blocks::locked;
use super::member::{Member, middle_and_worst};
use super::network::{Campaign, Ended, introduce, testnet};
use super::observer::Shared;
use super::random::Random;
use super::{Found, Options};

/// A validator that is up lives for so long at most, and is down for so long at most.
const LIFE: Duration = Duration::from_millis(2500);
const DEATH: Duration = Duration::from_millis(1200);
/// How long a chain may take to go on, and a node to catch up.
const LIMIT: Duration = Duration::from_mins(1);

pub(crate) async fn run(options: &Options) -> Result<Found> {
    let (directory, _temporary) = options.directory("four")?;
    let purse = Purse::new(12);
    let mut homes = testnet(options, &directory, &purse)?;
    introduce(&mut homes);
    let signatures = Shared::default();
    let member = |home: &Home| Member::new(home.clone(), Arc::clone(&signatures));
    let mut members: Vec<Member> = homes.iter().map(member).collect();
    for member in &mut members {
        member.start().await?;
    }
    members[0].reach(2, LIMIT).await?;
    let campaign = Campaign::start(&directory, &homes, purse, Arc::clone(&signatures)).await?;
    let begun = Instant::now();
    let mut random = Random::new(options.seed);
    locked(&campaign.blocks).take_stall();

    // three of four go on while the fourth dies
    let mut caught_up = Vec::new();
    for death in 0..options.four_kills {
        let victim = &mut members[3];
        tokio::time::sleep(random.up_to(LIFE)).await;
        victim.look_and_kill().await?;
        tokio::time::sleep(random.up_to(DEATH)).await;
        if random.once_in(5) {
            victim.spawn()?;
            tokio::time::sleep(random.up_to(Duration::from_millis(800))).await;
            victim.kill()?;
        }
        victim.start().await?;
        if death % 5 == 4 {
            let height = members[0].look().await?;
            caught_up.push(members[3].reach(height, LIMIT).await?);
        }
    }
    let stall_with_three = locked(&campaign.blocks).take_stall();

    // one that begins with nothing, from the genesis that it was given
    let mut follower = join(options, &homes, &directory.join("follower"))?;
    let peers: Vec<_> = homes.iter().map(|home| home.peers.to_string()).collect();
    follower.flags = vec![format!("--p2p.keep_dial={}", peers.join(","))];
    members.push(Member::new(follower, Arc::clone(&signatures)));
    let target = members[0].look().await?;
    let joined = Instant::now();
    members[4].start().await?;
    members[4].reach(target, LIMIT).await?;
    let synced_ms = joined.elapsed().as_millis();

    // with two of four down the chain stands still; it goes on when there are three
    let mut resumed = Vec::new();
    for death in 0..options.four_kills.div_ceil(5) {
        let (one, other) = if death % 2 == 0 { (1, 2) } else { (2, 1) };
        members[one].look_and_kill().await?;
        tokio::time::sleep(random.up_to(DEATH)).await;
        members[other].look_and_kill().await?;
        tokio::time::sleep(random.up_to(DEATH)).await;
        members[one].start().await?;
        if death % 2 == 0 {
            resumed.push(members[one].goes_on().await?);
        }
        members[other].start().await?;
        resumed.push(members[other].goes_on().await?);
    }
    let stall_with_two = locked(&campaign.blocks).take_stall();

    let Ended {
        mut figures,
        mut faults,
    } = campaign.end(&mut members).await?;
    if stall_with_three > LIMIT {
        faults.push(format!(
            "no block for {stall_with_three:?} though three of four were there"
        ));
    }
    let ready = members[..4]
        .iter()
        .flat_map(|member| member.ready.clone())
        .collect();
    let (ready_ms, worst_ready_ms) = middle_and_worst(ready);
    let (resumed_ms, worst_resumed_ms) = middle_and_worst(resumed);
    let (caught_up_ms, worst_caught_up_ms) = middle_and_worst(caught_up);
    let kills: usize = members.iter().map(|member| member.kills).sum();
    for (name, value) in [
        ("kills", json!(kills)),
        ("ready_ms", ready_ms.into()),
        ("worst_ready_ms", worst_ready_ms.into()),
        ("caught_up_ms", caught_up_ms.into()),
        ("worst_caught_up_ms", worst_caught_up_ms.into()),
        (
            "longest_stall_with_three_of_four_ms",
            json!(stall_with_three.as_millis()),
        ),
        (
            "longest_stall_with_two_killed_ms",
            json!(stall_with_two.as_millis()),
        ),
        ("resumed_ms", resumed_ms.into()),
        ("worst_resumed_ms", worst_resumed_ms.into()),
        ("follower_blocks", target.into()),
        ("follower_synced_ms", json!(synced_ms)),
        ("seconds", json!(begun.elapsed().as_secs())),
    ] {
        figures[name] = value;
    }
    Ok(Found { figures, faults })
}

/// A home of the same chain with a key of its own.
fn join(options: &Options, homes: &[Home], path: &std::path::Path) -> Result<Home> {
    let batond = &options.batond;
    let status = Command::new(batond)
        .args(["init", "--chain_id", "wisdom", "--genesis"])
        .arg(homes[0].path().join("genesis.json"))
        .arg("--home")
        .arg(path)
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("running {}", batond.display()))?;
    ensure!(status.success(), "{} init: {status}", batond.display());
    Home::at(batond, path)
}
