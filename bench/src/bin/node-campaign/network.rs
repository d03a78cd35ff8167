//! What all campaigns share: load, those who watch, and the reckoning at the end.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_bench::node::{Home, Purse};
use baton_ledger::Genesis;
use baton_ledger::address::Prefix;
use baton_network::PeerAddress;
use serde_json::{Value, json};

use super::blocks::{Blocks, Watcher, locked};
use super::load::{AMOUNT_NEU, Book, COINS, Load};
use super::member::Member;
use super::observer::{Observer, Shared};
use super::{Options, stores};

/// How long nodes may take to be equally high at the end.
const LIMIT: Duration = Duration::from_mins(1);

/// What runs beside the nodes.
pub(crate) struct Campaign {
    pub(crate) blocks: Arc<Mutex<Blocks>>,
    book: Arc<Mutex<Book>>,
    load: Load,
    watcher: Watcher,
    observer: Observer,
    signatures: Shared,
    genesis: Genesis,
}

/// What came out.
pub(crate) struct Ended {
    pub(crate) figures: Value,
    pub(crate) faults: Vec<String>,
}

impl Campaign {
    /// Begins with these nodes, the first of which is ready and is listened to.
    pub(crate) async fn start(
        directory: &Path,
        homes: &[Home],
        purse: Purse,
        signatures: Shared,
    ) -> Result<Self> {
        let path = homes[0].path().join("genesis.json");
        let genesis = baton_node::genesis::read(&path)?.context("a home without genesis.json")?;
        let first = genesis.block().transactions.into_iter().next();
        let first = first.context("a genesis without transactions")?;
        let coins = Purse::coins(&first.into(), COINS);
        let apis: Vec<_> = homes.iter().map(|home| home.api).collect();
        // to one only: a peer of all of them would pass on what they cannot say to each other themselves
        let peer: PeerAddress = homes[0].peers.to_string().parse()?;
        let blocks = Arc::new(Mutex::new(Blocks::default()));
        let book = Arc::new(Mutex::new(Book::new(purse, coins)));
        let observer = directory.join("observer");
        let observer = Observer::start(&observer, &genesis, peer, Arc::clone(&signatures)).await?;
        Ok(Self {
            load: Load::start(&apis, Arc::clone(&book)),
            watcher: Watcher::start(apis, Arc::clone(&blocks), Arc::clone(&book)),
            blocks,
            book,
            observer,
            signatures,
            genesis,
        })
    }

    /// Ends the load, stops the nodes, which all run, and compares everything with everything.
    pub(crate) async fn end(self, members: &mut [Member]) -> Result<Ended> {
        self.load.finish().await?;
        let apart = level(members).await?;
        drop(self.watcher);
        for member in members.iter_mut() {
            member.stop().await?;
        }
        drop(self.observer);
        let (mut errors, mut refusals) = (0, 0);
        for member in members.iter_mut() {
            let told = member.read_logs()?;
            (errors, refusals) = (errors + told.0, refusals + told.1);
        }
        let blocks = locked(&self.blocks);
        let book = locked(&self.book);
        let mut signatures = locked(&self.signatures);
        let homes: Vec<Home> = members.iter().map(|member| member.home.clone()).collect();
        let mut faults = stores::compare(&homes, &self.genesis, &blocks, &mut signatures)?;
        faults.extend(signatures.faults());
        faults.extend(blocks.faults.iter().cloned());
        faults.extend(
            members
                .iter()
                .flat_map(|member| member.faults.iter().cloned()),
        );
        let lost = book.accepted.iter();
        let lost = lost
            .filter(|id| !blocks.transactions.contains_key(*id))
            .count();
        if lost > 0 {
            faults.push(format!(
                "{lost} transfers that a node said yes to are in no block"
            ));
        }
        if apart > 1 {
            faults.push(format!("nodes are {apart} blocks apart at the end"));
        }
        let (signed, heard) = signatures.counts();
        Ok(Ended {
            figures: json!({
                "height": blocks.height(),
                "transfers": book.committed,
                "refused": book.refused,
                "broken_connections": book.broken,
                "signatures": signed,
                "signatures_seen_by_others": heard,
                "guard_refusals": refusals,
                "errors_logged": errors,
            }),
            faults,
        })
    }
}

/// Waits until all nodes are equally high but for one block; says how far they are apart.
async fn level(members: &mut [Member]) -> Result<u64> {
    let begun = Instant::now();
    loop {
        let mut heights = Vec::new();
        for member in members.iter_mut() {
            heights.push(member.look().await?);
        }
        let lowest = heights.iter().min().copied().unwrap_or(0);
        let apart = heights.iter().max().map_or(0, |highest| highest - lowest);
        if apart <= 1 || begun.elapsed() > LIMIT {
            return Ok(apart);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Makes a network by `batond testnet`, in which the purse has its coins.
pub(crate) fn testnet(options: &Options, directory: &Path, purse: &Purse) -> Result<Vec<Home>> {
    let batond = &options.batond;
    let output = directory.join("network");
    std::fs::create_dir_all(directory)?;
    let fund = format!("--fund={}={AMOUNT_NEU}", purse.address(Prefix::WISDOM));
    let status = Command::new(batond)
        .args(["testnet", "--validators", "4", "--output"])
        .arg(&output)
        .args(["--block-interval-ms", &options.interval_ms.to_string()])
        .args(vec![fund; COINS])
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("running {}", batond.display()))?;
    ensure!(status.success(), "{} testnet: {status}", batond.display());
    (0..4)
        .map(|number| {
            let mut home = Home::at(batond, &output.join(format!("node{number}")))?;
            home.flags = vec![format!("--log_level={}", options.log_level)];
            Ok(home)
        })
        .collect()
}

/// Lets each dial all others.
pub(crate) fn introduce(homes: &mut [Home]) {
    let peers: Vec<String> = homes.iter().map(|home| home.peers.to_string()).collect();
    for (number, home) in homes.iter_mut().enumerate() {
        let others = peers
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number);
        let others: Vec<_> = others.map(|(_, peer)| peer.as_str()).collect();
        home.flags
            .push(format!("--p2p.keep_dial={}", others.join(",")));
    }
}
