//! Many connections of one server: idle ones by the ten thousand, talking ones by the thousand.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use baton_bench::load::{Group, Kind, Load, Moment, Span};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::Found;
use super::example::{Example, Handed};
use super::figures::{STILL, by_phase, phases, spread};

/// An answer takes no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the clients have to get their first answers.
const BEGIN: Duration = Duration::from_mins(1);
/// So many clients have one source address: fewer than there are ports for one.
const PER_SOURCE: usize = 16_000;
/// What passes between two handovers of talking connections.
const PAUSE: Duration = Duration::from_millis(300);

/// Connections without traffic, each of which must answer after each handover.
pub(crate) async fn idle(examples: &Path, crowd: usize, runs: usize) -> Result<Found> {
    let example = Example::start(examples, "echo", &[]).await?;
    let mut streams = Vec::with_capacity(crowd);
    for number in 0..crowd {
        let stream = connect(example.address, number).await;
        streams.push(stream.with_context(|| format!("connection {number} of {crowd}"))?);
    }
    let mut faults = Vec::new();
    let mut handed = Vec::new();
    all_answer(&mut streams, 0, &mut faults).await;
    for run in 1..=runs {
        handed.push(example.hand_over().await?);
        all_answer(&mut streams, run, &mut faults).await;
    }
    let moved = handed.iter().map(|handed| handed.report.moved_in_all());
    let moved: Vec<u64> = moved.collect();
    drop(streams);
    example.stop().await?;
    let mut figures = figures(&handed);
    figures["connections"] = json!(crowd);
    figures["moved_before_the_commit"] = json!(moved);
    figures["target_ms"] = json!(150);
    Ok(Found { figures, faults })
}

/// Connections that talk all the time, under the load generator.
pub(crate) async fn talking(examples: &Path, clients: usize, runs: usize) -> Result<Found> {
    let example = Example::start(examples, "echo", &[]).await?;
    let group = Group::new(Kind::Echo, example.address, clients).think(Duration::from_secs(1));
    let load = Load::start([group]);
    load.ready(BEGIN).await?;
    let (mut handed, mut spans) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        sleep(PAUSE).await;
        let began = Moment::now();
        handed.push(example.hand_over().await?);
        spans.push((began, Moment::now()));
    }
    sleep(PAUSE).await;
    let report = load.stop().await;
    let mut faults = Vec::new();
    if !report.is_clean() {
        faults.push(report.json()["groups"].to_string());
    }
    let longest = spans.iter().filter_map(|(began, ended)| {
        let tally = report.of(Kind::Echo)?;
        tally
            .longest_between(*began, *ended)
            .as_ref()
            .map(Span::took)
    });
    let mut figures = figures(&handed);
    figures["connections"] = json!(clients);
    figures["requests"] = json!(report.sum(|tally| tally.requests));
    figures["longest_request_during_ms"] = spread(longest);
    figures["target_longest_freeze_ms"] = json!(10);
    example.stop().await?;
    Ok(Found { figures, faults })
}

fn figures(handed: &[Handed]) -> serde_json::Value {
    let reports: Vec<_> = handed.iter().map(|handed| handed.report.clone()).collect();
    json!({
        "moved_in_ms": spread(reports.iter().map(|report| phases(report, &STILL))),
        "longest_freeze_ms": spread(handed.iter().map(|handed| handed.longest_freeze)),
        "freeze_until_commit_ms": spread(reports.iter().filter_map(|report| report.longest_freeze)),
        "pause_ms": spread(reports.iter().filter_map(|report| report.pause)),
        "took_ms": spread(reports.iter().map(baton_handover::report::Report::took)),
        "phases_ms": by_phase(&reports),
    })
}

async fn connect(target: SocketAddr, number: usize) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let block = u8::try_from(number / PER_SOURCE).context("too many connections")?;
    if block > 0 {
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 1, block), 0)))?;
    }
    let stream = timeout(PATIENCE, socket.connect(target)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Every connection gives back what is sent on it.
async fn all_answer(streams: &mut [TcpStream], run: usize, faults: &mut Vec<String>) {
    let mut bad = 0;
    let mut first = None;
    for (number, stream) in streams.iter_mut().enumerate() {
        let sent = ((run as u64) << 32 | number as u64).to_le_bytes();
        let answer = async {
            stream.write_all(&sent).await?;
            let mut back = [0; 8];
            stream.read_exact(&mut back).await?;
            ensure!(back == sent, "sent {sent:?}, got {back:?}");
            anyhow::Ok(())
        };
        let answer = timeout(PATIENCE, answer)
            .await
            .map_err(anyhow::Error::from)
            .flatten();
        if let Err(error) = answer {
            bad += 1;
            first.get_or_insert_with(|| format!("connection {number}: {error:#}"));
        }
    }
    if let Some(first) = first {
        faults.push(format!(
            "after handover {run}, {bad} connections do not answer; {first}"
        ));
    }
}
