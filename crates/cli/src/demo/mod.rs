//! `baton demo`: an upgrade before your eyes, with nothing but this executable.
//!
//! A chain of one validator is set up in a temporary directory and run under the supervisor, as separate processes and
//! with real files. Clients ask, pay and listen all the time. A plan is put on the chain, its binary is fetched with a
//! checksum, and at the height the new binary takes the place of the old one. What is shown is what `baton top` shows,
//! and what the clients see; at the end, whether anything was lost.

mod client;
mod coins;
mod figures;
mod home;
mod lines;
mod load;
mod summary;
mod supervised;

use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use baton_supervisor::telling::event::Record;
use baton_supervisor::telling::reader::{Filter, Reader};
use baton_supervisor::telling::{Status, Time};
use tokio::sync::mpsc::Sender;

use crate::console::out;
use crate::history::CHUNK;
use crate::top::{self, Ends, Model, News};

use self::client::{Counted, locked};
use self::coins::Purse;
use self::home::{Home, NEXT};
use self::load::Load;
use self::summary::Summary;
use self::supervised::Supervised;

/// How long the whole of it may take on a slow machine.
const LIMIT: Duration = Duration::from_mins(3);

/// Blocks before the plan: the money of the genesis has to mature.
const RIPE: u64 = 12;

/// Blocks between the plan and its height: room to fetch the binary.
const AHEAD: u64 = 24;

/// Blocks after the upgrade that have to come.
const AFTER: u64 = 6;

/// A transfer that is in none of so many blocks after the last was submitted is lost.
const LATE: u64 = 20;

/// How often the figures are shown.
const SHOW: Duration = Duration::from_millis(250);

/// How often it is looked whether something has come about.
const LOOK: Duration = Duration::from_millis(50);

/// The node, for whom this executable is called so: of the version that it is stamped with.
pub(crate) use self::home::NAME as NODE;

/// Does as `batond` what the process's arguments ask for.
pub(crate) fn node() -> ExitCode {
    let me = std::env::current_exe();
    let version = me
        .ok()
        .and_then(|me| baton_mocknode::stamp_of(&me).ok().flatten());
    baton_node::upgrade::practise(version.as_deref() == Some(NEXT));
    crate::batond::main()
}

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep the directory afterwards
    #[arg(long)]
    keep: bool,
    /// Print lines, in a terminal too
    #[arg(long)]
    plain: bool,
}

/// Runs the demo; an error if anything did not go as it should.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // The clients are many, and what they see is measured.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    let dir = tempfile::Builder::new()
        .prefix("baton-demo-")
        .tempdir()
        .context("making a temporary directory")?;
    let done = runtime.block_on(async {
        tokio::time::timeout(LIMIT, Box::pin(shown(dir.path(), args)))
            .await
            .unwrap_or_else(|_| bail!("the demo did not end within {} s", LIMIT.as_secs()))
    });
    runtime.shutdown_background();
    if args.keep || done.is_err() {
        let kept = dir.keep();
        out(&format!(
            "\nKept: {} (node.log in it is what supervisor and node printed)\n",
            kept.display()
        ));
    }
    done
}

/// The demo, and beside it a screen or lines that show it.
async fn shown(dir: &Path, args: &Args) -> anyhow::Result<()> {
    out("Making a chain of one validator, and two versions of its node\n");
    let purse = Purse::new();
    let home = Home::new(dir, &purse)?;
    let counted = Counted::default();
    let (to, mut news) = top::watch(&home.path);
    let mut model = Model::new(&home.path, Time::now());
    let has_screen = !args.plain && top::has_screen();
    let mut ends = Ends::new()?;
    let showing = async {
        if has_screen {
            return top::show(&mut model, &mut news).await;
        }
        tokio::select! {
            () = lines::print(&mut news, &counted) => Ok(false),
            () = ends.come() => Ok(true),
        }
    };
    let mut showing = pin!(showing);
    let telling = tokio::spawn(tell(counted.clone(), to.clone()));
    let played = tokio::select! {
        played = Box::pin(play(&home, &counted)) => played,
        left = &mut showing => {
            left?;
            bail!("left before the end");
        }
    };
    telling.abort();
    let _ = to.send(News::End).await;
    // It gives the terminal back.
    showing.await?;
    let summary = played?;
    out(&summary.text());
    summary.verdict()?;
    out("\nNothing was lost. Next: docs/install.md, or `baton --help`.\n");
    Ok(())
}

/// Tells the screen what the clients see, for as long as there is one.
async fn tell(counted: Counted, to: Sender<News>) {
    loop {
        let card = locked(&counted).card(Instant::now());
        if to.send(News::Load(card)).await.is_err() {
            return;
        }
        tokio::time::sleep(SHOW).await;
    }
}

/// What happens, from the first start to the last block.
async fn play(home: &Home, counted: &Counted) -> anyhow::Result<Summary> {
    let act = |text: String| locked(counted).act = text;
    act("starting the node".to_owned());
    let url = home.serve().await?;
    let mut supervised = Supervised::start(home)?;
    supervised
        .until(|status| status.node.height.is_some())
        .await?;
    let load = Load::start(home.api, counted).await?;

    act(format!(
        "clients ask and listen; from block {RIPE} on, when the money has matured, they pay"
    ));
    let planned_at = reach(counted, &mut supervised, RIPE).await?;
    load.pay(true);
    let hands_over = supervised.status().await?.node.hands_over;
    let height = planned_at + AHEAD;
    home.schedule(height, &url)?;
    act(format!(
        "{NEXT} is planned at height {height}; its binary is at {url}"
    ));
    let is_over = |status: &Status| {
        status
            .last_upgrade
            .as_ref()
            .is_some_and(|last| last.name == NEXT)
    };
    supervised.until(is_over).await?;

    act(format!(
        "{NEXT} runs; {AFTER} more blocks, and all transfers into blocks"
    ));
    reach(counted, &mut supervised, height + AFTER).await?;
    load.pay(false);
    let last = locked(counted).height + LATE;
    while load.waiting() > 0 && locked(counted).height < last {
        supervised.status().await?;
        tokio::time::sleep(LOOK).await;
    }
    let status = supervised.status().await?;
    // The clients first: that the node ends now is no failure.
    load.end().await;
    supervised.stop().await?;
    Ok(Summary {
        figures: std::mem::take(&mut *locked(counted)),
        status,
        history: history(&home.path)?,
        hands_over,
    })
}

/// Waits until the clients have seen this block; the height then.
async fn reach(counted: &Counted, supervised: &mut Supervised, target: u64) -> anyhow::Result<u64> {
    loop {
        let height = locked(counted).height;
        if height >= target {
            return Ok(height);
        }
        supervised.status().await?;
        tokio::time::sleep(LOOK).await;
    }
}

/// All that the supervisor told.
fn history(home: &Path) -> anyhow::Result<Vec<Record>> {
    let mut reader = Reader::new(&home.join("cosmovisor/.baton"), 0);
    let mut all = Vec::new();
    loop {
        let records = reader
            .next_records(CHUNK, &Filter::default())
            .context("reading the history")?;
        if records.is_empty() {
            return Ok(all);
        }
        all.extend(records);
    }
}
