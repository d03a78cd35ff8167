//! A server under load that is upgraded several times.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use baton_bench::load::{Group, Kind, Load, Moment, Report, Span, Tally};
use serde_json::{Value, json};

/// How long the clients have to get their first answers.
const BEGIN: Duration = Duration::from_secs(30);

/// A server that can be replaced while it serves.
pub(crate) trait Server {
    /// Its name in the figures.
    const NAME: &str;

    /// Which one it is.
    fn version(&self) -> String;
    /// Where it listens.
    fn address(&self) -> SocketAddr;
    /// Replaces it; returns when the old one has nothing left to do.
    async fn upgrade(&mut self) -> Result<()>;
    /// Ends it.
    async fn stop(self) -> Result<()>;
}

/// Who asks, and how often the server is replaced meanwhile.
pub(crate) struct Clients {
    pub(crate) upgrades: usize,
    pub(crate) fresh: usize,
    pub(crate) keep_alive: usize,
    pub(crate) blind: usize,
    pub(crate) think: Duration,
    pub(crate) pause: Duration,
}

/// Upgrades the server under load; what the clients saw.
pub(crate) async fn measure<S: Server>(mut server: S, clients: &Clients) -> Result<Value> {
    let measured = under_load(&mut server, clients).await;
    let version = server.version();
    let stopped = server.stop().await;
    let (report, upgrades) = measured?;
    stopped?;
    Ok(line::<S>(&version, &report, &upgrades))
}

type Upgrades = Vec<(Moment, Moment)>;

async fn under_load(server: &mut impl Server, clients: &Clients) -> Result<(Report, Upgrades)> {
    let group = |kind, count| Group::new(kind, server.address(), count).think(clients.think);
    let load = Load::start([
        group(Kind::Fresh, clients.fresh),
        group(Kind::KeepAlive, clients.keep_alive),
        group(Kind::Blind, clients.blind),
    ]);
    load.ready(BEGIN).await?;
    let mut upgrades = Vec::new();
    for _ in 0..clients.upgrades {
        tokio::time::sleep(clients.pause).await;
        let began = Moment::now();
        server.upgrade().await?;
        upgrades.push((began, Moment::now()));
    }
    tokio::time::sleep(clients.pause).await;
    let report = load.stop().await;
    ensure!(
        report.sum(|tally| tally.own) == 0,
        "this machine ran out of ports or descriptors"
    );
    Ok((report, upgrades))
}

fn line<S: Server>(version: &str, report: &Report, upgrades: &Upgrades) -> Value {
    let mut took: Vec<Duration> = upgrades
        .iter()
        .map(|(began, ended)| ended.since(*began))
        .collect();
    took.sort_unstable();
    let longest = report.longest();
    let during = upgrades.iter().flat_map(|(began, ended)| {
        let each = report.groups.iter();
        each.filter_map(|(_, tally)| tally.longest_between(*began, *ended))
    });
    let kinds = report
        .groups
        .iter()
        .map(|(kind, tally)| (kind.name().to_owned(), group(tally)));
    json!({
        "bench": format!("handover-{}", S::NAME),
        "version": version,
        "upgrades": upgrades.len(),
        "upgrade_median_ms": ms(took[took.len() / 2]),
        "upgrade_max_ms": took.last().copied().map(ms),
        "generations_seen": report.groups.iter()
            .flat_map(|(_, tally)| tally.generations.keys())
            .collect::<std::collections::BTreeSet<_>>().len(),
        "requests": report.sum(|tally| tally.requests),
        "failed": report.sum(|tally| tally.failed),
        "longest_ms": longest.map(|(_, span)| ms(span.took())),
        "longest_during_upgrade_ms": during.max_by_key(Span::took).map(|span| ms(span.took())),
        "clients": kinds.collect::<serde_json::Map<_, _>>(),
    })
}

fn group(tally: &Tally) -> Value {
    json!({
        "clients": tally.clients,
        "requests": tally.requests,
        "failed": tally.failed,
        "refused": tally.refused,
        "lost": tally.lost,
        "short": tally.short,
        "late": tally.late,
        "wrong": tally.wrong,
        "reconnections": tally.reconnections,
        "announced": tally.announced,
        "p50_ms": ms(tally.quantile(0.5)),
        "p99_ms": ms(tally.quantile(0.99)),
        "longest_ms": tally.longest().map(|span| ms(span.took())),
        "first_faults": tally.stories().iter().take(3).map(|story| &story.what).collect::<Vec<_>>(),
    })
}

/// Milliseconds to the microsecond.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53 microseconds")]
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
