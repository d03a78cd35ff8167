//! Handovers whose time is all their own: of much state, of nothing at all, and those that are rolled back.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use baton_bench::load::{Group, Kind, Load, Moment, Span};
use baton_handover::report::{Outcome, Report};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Found;
use super::example::Example;
use super::figures::{STILL, by_phase, phases, spread};

/// An answer takes no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What passes between two handovers.
const PAUSE: Duration = Duration::from_millis(100);
/// Phases beyond the start of the successor's process, which ends with its hello.
const BEYOND: [&str; 6] = ["offer", "warm", "freeze", "transfer", "acquire", "commit"];

/// So many MiB of state.
pub(crate) async fn ballast(examples: &Path, mib: usize, runs: usize) -> Result<Found> {
    let arguments = ["--bytes".to_owned(), (mib << 20).to_string()];
    let example = Example::start(examples, "ballast", &arguments).await?;
    let first = told(&example).await?;
    let (mut reports, mut faults) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        sleep(PAUSE).await;
        reports.push(example.hand_over().await?.report);
        let now = told(&example).await?;
        if now != first {
            faults.push(format!(
                "after handover {run}: {now:?} instead of {first:?}"
            ));
        }
    }
    example.stop().await?;
    let figures = json!({
        "mib": mib,
        "state": first,
        "moved_in_ms": spread(reports.iter().map(|report| phases(report, &STILL))),
        "phases_ms": by_phase(&reports),
        "target_ms": 100,
    });
    Ok(Found { figures, faults })
}

/// A server that has nothing to do.
pub(crate) async fn idle(examples: &Path, runs: usize) -> Result<Found> {
    let example = Example::start(examples, "echo", &[]).await?;
    let mut reports = Vec::new();
    for _ in 0..runs {
        sleep(PAUSE).await;
        reports.push(example.hand_over().await?.report);
    }
    example.stop().await?;
    let figures = json!({
        "beyond_start_ms": spread(reports.iter().map(|report| phases(report, &BEYOND))),
        "whole_ms": spread(reports.iter().map(Report::took)),
        "pause_ms": spread(reports.iter().filter_map(|report| report.pause)),
        "phases_ms": by_phase(&reports),
        "target_beyond_start_ms": 10,
    });
    Ok(Found {
        figures,
        faults: Vec::new(),
    })
}

/// A successor that cannot open its database, while clients ask.
pub(crate) async fn roll_back(examples: &Path, runs: usize) -> Result<Found> {
    let poison = tempfile::NamedTempFile::new()?;
    let arguments = ["--poison".to_owned(), poison.path().display().to_string()];
    let example = Example::start(examples, "counter", &arguments).await?;
    let load = Load::start([
        Group::new(Kind::Fresh, example.address, 2),
        Group::new(Kind::KeepAlive, example.address, 4),
    ]);
    load.ready(PATIENCE).await?;
    let (mut reports, mut spans, mut freezes, mut faults) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        sleep(PAUSE).await;
        let began = Moment::now();
        let report = example.ask().await?;
        if !matches!(&report.outcome, Outcome::RolledBack { phase, .. } if phase == "acquire") {
            faults.push(format!("not rolled back in the phase acquire: {report}"));
        }
        example.ended(report.to.pid).await?;
        let status = example.status().await?;
        ensure!(status.pid == report.from.pid, "another generation serves");
        if status.taken_up.connections > 0 {
            freezes.push(status.taken_up.longest_freeze);
        }
        reports.push(report);
        sleep(PAUSE).await;
        spans.push((began, Moment::now()));
    }
    let seen = load.stop().await;
    if !seen.is_clean() {
        faults.push(seen.json()["groups"].to_string());
    }
    let longest = spans.iter().filter_map(|(began, ended)| {
        let each = seen.groups.iter();
        each.filter_map(|(_, tally)| tally.longest_between(*began, *ended))
            .map(|span| Span::took(&span))
            .max()
    });
    let longest: Vec<Duration> = longest.collect();
    fs::remove_file(poison.path()).context("removing the poison")?;
    example.hand_over().await?;
    example.stop().await?;
    let figures = json!({
        "requests": seen.sum(|tally| tally.requests),
        "failed": seen.sum(|tally| tally.failed),
        "longest_freeze_ms": spread(freezes),
        "longest_request_during_ms": spread(longest),
        "p99_request_ms": seen.of(Kind::KeepAlive).map(|tally| super::figures::ms(tally.quantile(0.99))),
        "phases_ms": by_phase(&reports),
    });
    Ok(Found { figures, faults })
}

/// What `ballast` says of what it has.
async fn told(example: &Example) -> Result<String> {
    let answer = async {
        let mut stream = TcpStream::connect(example.address).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        anyhow::Ok(text.trim_end().to_owned())
    };
    timeout(PATIENCE, answer).await?
}
