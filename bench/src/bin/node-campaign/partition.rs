//! A network that breaks between nodes that are all well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use baton_bench::node::{Home, Purse};
use serde_json::json;

use super::blocks::locked;
use super::member::{Member, middle_and_worst};
use super::namespaces::{Rooms, address};
use super::network::{Campaign, Ended, introduce, testnet};
use super::observer::Shared;
use super::{Found, Options};

/// How long a chain may take to go on, and a node to catch up.
const LIMIT: Duration = Duration::from_secs(90);

/// Runs inside the hub.
pub(crate) async fn run(options: &Options) -> Result<Found> {
    let rooms = Rooms::around_us()?;
    let (directory, _temporary) = options.directory("partition")?;
    let purse = Purse::new(13);
    let mut homes = testnet(options, &directory, &purse)?;
    for (number, home) in (0..).zip(&mut homes) {
        home.api = SocketAddr::new(address(number), 9888);
        home.peers = SocketAddr::new(address(number), 46656);
        home.through = rooms.enter(number);
        // the campaign is not on the node's loopback, and nobody else is in the room
        home.flags.push("--auth.disable".to_owned());
    }
    introduce(&mut homes);
    let signatures = Shared::default();
    let member = |home: &Home| Member::new(home.clone(), Arc::clone(&signatures));
    let mut members: Vec<Member> = homes.iter().map(member).collect();
    for member in &mut members {
        member.start().await?;
    }
    members[0].reach(2, LIMIT).await?;
    let campaign = Campaign::start(&directory, &homes, purse, signatures).await?;
    let begun = Instant::now();
    let cut = Duration::from_secs(options.cut_seconds);
    let mut faults = Vec::new();

    // one of four: the others go on without it
    members[0].goes_on().await?;
    locked(&campaign.blocks).take_stall();
    rooms.cut(&[3], &[0, 1, 2])?;
    let [before, alone] = [members[0].look().await?, members[3].look().await?];
    tokio::time::sleep(cut).await;
    let [after, still] = [members[0].look().await?, members[3].look().await?];
    if still > alone + 1 {
        faults.push(format!("cut off at height {alone}, and now at {still}"));
    }
    if after < before + 2 {
        faults.push(format!(
            "three of four made {} blocks in {cut:?}",
            after - before
        ));
    }
    let without = after - before;
    let stall_with_three = locked(&campaign.blocks).take_stall();
    rooms.heal(&[3], &[0, 1, 2])?;
    let target = members[0].look().await?;
    let caught_up = members[3].reach(target, LIMIT).await?;

    // two from two: nobody may go on
    rooms.cut(&[0, 1], &[2, 3])?;
    let mut before = 0;
    for member in &mut members {
        before = before.max(member.look().await?);
    }
    tokio::time::sleep(cut).await;
    let mut halves = 0;
    for member in &mut members {
        halves = halves.max(member.look().await?);
    }
    // a block whose votes were all sent before the cut may still come
    if halves > before + 1 {
        faults.push(format!(
            "cut in halves at height {before}, and now at {halves}"
        ));
    }
    rooms.heal(&[0, 1], &[2, 3])?;
    let mut resumed = Vec::new();
    for member in &mut members {
        resumed.push(member.reach(halves + 1, LIMIT).await?);
    }
    let (resumed_ms, worst_resumed_ms) = middle_and_worst(resumed);

    let Ended {
        mut figures,
        faults: others,
    } = campaign.end(&mut members).await?;
    faults.extend(others);
    for (name, value) in [
        ("cut_seconds", json!(options.cut_seconds)),
        ("blocks_without_the_fourth", without.into()),
        (
            "longest_stall_with_three_of_four_ms",
            json!(stall_with_three.as_millis()),
        ),
        ("caught_up_ms", json!(caught_up.as_millis())),
        ("blocks_in_halves", json!(halves - before)),
        ("resumed_ms", resumed_ms.into()),
        ("worst_resumed_ms", worst_resumed_ms.into()),
        ("seconds", json!(begun.elapsed().as_secs())),
    ] {
        figures[name] = value;
    }
    Ok(Found { figures, faults })
}
