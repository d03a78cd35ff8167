//! Many handovers in a row, of three servers, under all their clients at once.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use baton_bench::load::{Group, Kind, Load, Moment, Span};
use serde_json::{Value, json};

use super::Found;
use super::example::{Example, Handed, descriptors_at_rest};
use super::figures::{STILL, by_phase, ms, phases, spread};

/// How long the clients have to get their first answers.
const BEGIN: Duration = Duration::from_mins(1);
/// Descriptors that come and go with clients that open a connection for each request.
const FRESH: usize = 8;

/// A server with all that was seen of its handovers.
struct Line {
    example: Example,
    name: &'static str,
    handed: Vec<Handed>,
    spans: Vec<(Moment, Moment)>,
    idle: usize,
}

/// `web`, `chat` and `echo` hand over in turn, so many times each.
pub(crate) async fn run(examples: &Path, handovers: usize) -> Result<Found> {
    let mut lines = Vec::new();
    for name in ["web", "chat", "echo"] {
        let example = Example::start(examples, name, &[]).await?;
        // The second generation is the first that has all that a generation inherits.
        let pid = example.hand_over().await?.report.to.pid;
        let idle = descriptors_at_rest(pid).await;
        lines.push(Line {
            example,
            name,
            handed: Vec::new(),
            spans: Vec::new(),
            idle,
        });
    }
    let address = |place: usize| lines[place].example.address;
    let load = Load::start([
        Group::new(Kind::Fresh, address(0), 8).think(Duration::from_millis(5)),
        Group::new(Kind::KeepAlive, address(0), 8).think(Duration::from_millis(5)),
        Group::new(Kind::WebSocket, address(1), 100)
            .think(Duration::from_millis(300))
            .path("/{room}"),
        Group::new(Kind::Echo, address(2), 1_000)
            .think(Duration::from_millis(500))
            .silent(100)
            .stalled(10),
    ]);
    load.ready(BEGIN).await?;
    let mut faults = Vec::new();
    'all: for round in 1..=handovers {
        for line in &mut lines {
            let began = Moment::now();
            match line.example.hand_over().await {
                Ok(handed) => line.handed.push(handed),
                Err(error) => {
                    faults.push(format!("handover {round} of {}: {error:#}", line.name));
                    break 'all;
                }
            }
            line.spans.push((began, Moment::now()));
        }
    }
    let report = load.stop().await;
    for (kind, tally) in &report.groups {
        if !tally.is_clean() {
            let stories = tally.stories().iter().take(3);
            let stories: Vec<_> = stories.map(|story| story.what.as_str()).collect();
            faults.push(format!(
                "{}: {} failed, {} reconnections, {} wrong bytes, {} repeated, {} own: {}",
                kind.name(),
                tally.failed,
                tally.reconnections,
                tally.wrong_bytes,
                tally.repeated,
                tally.own,
                stories.join("; ")
            ));
        }
    }
    if report.abandoned > 0 {
        faults.push(format!("{} clients had to be abandoned", report.abandoned));
    }
    let mut servers = serde_json::Map::new();
    for line in lines {
        let longest = line.spans.iter().filter_map(|(began, ended)| {
            let during = report.groups.iter();
            during
                .filter(|(kind, _)| server_of(*kind) == line.name)
                .filter_map(|(_, tally)| tally.longest_between(*began, *ended))
                .max_by_key(Span::took)
        });
        let longest = spread(longest.map(|span| span.took()));
        let figures = line.close(longest, &mut faults).await;
        servers.insert(figures.0.to_owned(), figures.1);
    }
    Ok(Found {
        figures: json!({
            "handovers_each": handovers,
            "requests": report.sum(|tally| tally.requests),
            "failed": report.sum(|tally| tally.failed),
            "reconnections": report.sum(|tally| tally.reconnections),
            "wrong_bytes": report.sum(|tally| tally.wrong_bytes),
            "longest_request_ms": report.longest().map(|(_, span)| ms(span.took())),
            "longest_request_of": report.longest().map(|(kind, _)| kind.name()),
            "servers": servers,
            "clients": report.json()["groups"],
        }),
        faults,
    })
}

fn server_of(kind: Kind) -> &'static str {
    match kind {
        Kind::WebSocket => "chat",
        Kind::Echo => "echo",
        _ => "web",
    }
}

impl Line {
    /// The server without clients, compared with what it was before them; and its figures.
    async fn close(self, longest: Value, faults: &mut Vec<String>) -> (&'static str, Value) {
        let (name, handed) = (self.name, &self.handed);
        let count = |handed: &[Handed]| handed.iter().map(|handed| handed.descriptors).max();
        let fifth = handed.len().div_ceil(5);
        let (first, last) = (
            count(&handed[..fifth]).unwrap_or_default(),
            count(&handed[handed.len() - fifth..]).unwrap_or_default(),
        );
        if last > first + FRESH {
            faults.push(format!("{name}: descriptors grew from {first} to {last}"));
        }
        let after = match self.example.hand_over().await {
            Ok(handed) => descriptors_at_rest(handed.report.to.pid).await,
            Err(error) => {
                faults.push(format!("{name}, without clients: {error:#}"));
                0
            }
        };
        if after > self.idle {
            faults.push(format!(
                "{name}: without clients it had {} descriptors open at first, {after} at last",
                self.idle
            ));
        }
        let moved = handed.iter().map(|handed| handed.report.moved_in_all());
        let late = handed
            .iter()
            .map(|handed| handed.report.left_to_drain)
            .sum::<u64>();
        let reports: Vec<_> = handed.iter().map(|handed| handed.report.clone()).collect();
        let figures = json!({
            "handovers": handed.len(),
            "moved": moved.sum::<u64>(),
            "late_or_drained": late,
            "took_ms": spread(handed.iter().map(|handed| handed.report.took())),
            "still_ms": spread(handed.iter().map(|handed| phases(&handed.report, &STILL))),
            "pause_ms": spread(handed.iter().filter_map(|handed| handed.report.pause)),
            "longest_freeze_ms": spread(handed.iter().map(|handed| handed.longest_freeze)),
            "freeze_until_commit_ms": spread(handed.iter().filter_map(|handed| handed.report.longest_freeze)),
            "longest_request_during_ms": longest,
            "phases_ms": by_phase(&reports),
            "descriptors": { "idle_before": self.idle, "first_fifth": first, "last_fifth": last, "idle_after": after },
        });
        if let Err(error) = self.example.stop().await {
            faults.push(format!("{name}: {error:#}"));
        }
        (name, figures)
    }
}
