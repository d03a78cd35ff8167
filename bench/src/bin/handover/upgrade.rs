//! How long the upgrade of a trivial server takes, by two moments that all of them note alike: the entry
//! of the successor's `main`, and when the predecessor knows that the successor has taken over (its
//! `upgrade` returns). What lies between is the library's; what lies before, from the signal on, is mostly the
//! start of any process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use baton_bench::load::Moment;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use super::process::{is_gone, signal, wait_for};
use super::server::ms;

/// What the peers were built from.
const PEERS_LOCK: &str = include_str!("../../../peers/Cargo.lock");

/// A trivial server to upgrade.
pub(crate) struct Server {
    name: &'static str,
    version: String,
    path: Option<PathBuf>,
}

/// Ours, if it is given, and the peers.
pub(crate) fn servers(ours: Option<&Path>, peers: &Path) -> Vec<Server> {
    let ours = Server {
        name: "ours",
        version: env!("CARGO_PKG_VERSION").to_owned(),
        path: ours.map(Path::to_owned),
    };
    let peer = |name: &'static str| Server {
        name,
        version: locked(PEERS_LOCK, name).unwrap_or_default(),
        path: Some(peers.join(name)),
    };
    vec![ours, peer("ecdysis"), peer("shellflip")]
}

/// The version of a package in a lock file.
fn locked(lock: &str, name: &str) -> Option<String> {
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// Upgrades it so many times, each time waiting until the predecessor has ended.
pub(crate) async fn measure(server: &Server, runs: usize) -> Result<Value> {
    let skipped =
        |why: String| json!({ "bench": "handover-upgrade", "server": server.name, "skipped": why });
    let Some(path) = &server.path else {
        return Ok(skipped(format!(
            "--{} does not name its executable",
            server.name
        )));
    };
    if !path.is_file() {
        let path = path.display();
        return Ok(skipped(format!(
            "no {path}; build the peers with `cargo build --release` in bench/peers"
        )));
    }
    let times = upgrades(path, runs)
        .await
        .with_context(|| format!("upgrading {}", server.name))?;
    let column = |of: fn(&Times) -> Duration| {
        let mut column: Vec<Duration> = times.iter().map(of).collect();
        column.sort_unstable();
        json!({
            "median_ms": ms(column[column.len() / 2]),
            "min_ms": ms(column[0]),
            "max_ms": ms(column[column.len() - 1]),
        })
    };
    Ok(json!({
        "bench": "handover-upgrade",
        "server": server.name,
        "version": server.version,
        "runs": runs,
        "beyond_start": column(|times| times.beyond),
        "signal_to_main": column(|times| times.start),
        "signal_to_committed": column(|times| times.whole),
    }))
}

struct Times {
    /// From the signal to the successor's `main`.
    start: Duration,
    /// From there until the predecessor knew.
    beyond: Duration,
    /// Both.
    whole: Duration,
}

async fn upgrades(path: &Path, runs: usize) -> Result<Vec<Times>> {
    let dir = tempfile::Builder::new()
        .prefix("bench-upgrade-")
        .tempdir()?;
    let stamps = Stamps(dir.path().join("stamps"));
    let path = path.canonicalize()?;
    let mut first = Command::new(&path)
        .env("BENCH_STAMPS", &stamps.0)
        .env("BENCH_SOCKET", dir.path().join("control"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", path.display()))?;
    let mut pid = first.id().context("it ended at once")?;
    let mut times = Vec::new();
    let done = async {
        wait_for("the first server", || stamps.of(pid, "serves")).await?;
        for _ in 0..runs {
            let before = stamps.all();
            let begun = Moment::now();
            signal(pid, Signal::USR2)?;
            let committed = wait_for("the commit", || stamps.of(pid, "committed")).await?;
            let born =
                |line: &Stamp| line.what == "main" && !before.iter().any(|b| b.pid == line.pid);
            let Some(new) = stamps.all().into_iter().find(born) else {
                bail!("the predecessor has committed and there is no successor");
            };
            wait_for("the successor", || stamps.of(new.pid, "serves")).await?;
            wait_for("the predecessor's end", || is_gone(pid).then_some(())).await?;
            times.push(Times {
                start: new.at.since(begun),
                beyond: committed.since(new.at),
                whole: committed.since(begun),
            });
            pid = new.pid;
        }
        Ok(())
    };
    let done = done.await;
    if !is_gone(pid) {
        signal(pid, Signal::KILL)?;
        wait_for("the last server's end", || is_gone(pid).then_some(())).await?;
    }
    // Already gone after the first upgrade.
    first.wait().await?;
    done.map(|()| times)
}

/// A line that a server wrote: `nanoseconds pid what`.
struct Stamp {
    at: Moment,
    pid: u32,
    what: String,
}

struct Stamps(PathBuf);

impl Stamps {
    fn all(&self) -> Vec<Stamp> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        lines.filter_map(parse).collect()
    }

    fn of(&self, pid: u32, what: &str) -> Option<Moment> {
        let mut all = self.all().into_iter();
        all.find(|stamp| stamp.pid == pid && stamp.what == what)
            .map(|stamp| stamp.at)
    }
}

fn parse(line: &str) -> Option<Stamp> {
    let mut words = line.trim_end().splitn(3, ' ');
    Some(Stamp {
        at: Moment::from_nanos(words.next()?.parse().ok()?),
        pid: words.next()?.parse().ok()?,
        what: words.next()?.to_owned(),
    })
}
