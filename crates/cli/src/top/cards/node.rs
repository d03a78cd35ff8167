//! The node, and the supervisor that runs it.

use std::time::Duration;

use baton_supervisor::telling::status::{NodeState, Status};
use baton_supervisor::telling::words::span;
use baton_supervisor::telling::{Time, ago, ended_how};

use super::super::card::{Card, Side, Tone};
use super::super::model::Model;

/// A height that was read longer ago than this is worth a look.
const STALE: Duration = Duration::from_mins(1);

/// The most columns of the graph of block times.
const GRAPH: usize = 40;

pub(super) fn node(model: &Model, status: &Status, now: Time) -> Card {
    let node = &status.node;
    let mut card = Card::new("node", Side::Left);
    let pid = node.pid.map_or_else(|| "?".to_owned(), |p| p.to_string());
    let since = node
        .since
        .map_or_else(|| "?".to_owned(), |t| span(now.since(t)));
    let (state, tone) = match node.state {
        NodeState::NotStarted => ("not started yet".to_owned(), Tone::Warn),
        NodeState::Running => (format!("running for {since}, pid {pid}"), Tone::Good),
        NodeState::Stopping => (format!("asked to stop {since} ago, pid {pid}"), Tone::Warn),
        NodeState::Restarting => (
            format!("ended {since} ago, to be started again"),
            Tone::Warn,
        ),
        NodeState::Down => (format!("down for {since}"), Tone::Bad),
    };
    card.row("state", state, tone);
    if let Some(exit) = node.last_exit.as_ref().filter(|_| node.pid.is_none()) {
        card.row("", ended_how(exit), Tone::Warn);
    }
    let release = node.release.as_deref().unwrap_or("?");
    let generation = node.generation;
    card.row(
        "release",
        format!("{release}, generation {generation}"),
        Tone::Plain,
    );
    if let Some(binary) = &node.binary {
        card.detail("", binary.display().to_string());
    }
    if !node.leaving.is_empty() {
        let pids: Vec<String> = node.leaving.iter().map(u32::to_string).collect();
        card.row(
            "leaving",
            format!("pid {}: has handed over and finishes", pids.join(", ")),
            Tone::Busy,
        );
    }
    match (node.height, node.height_at) {
        (Some(height), Some(at)) => {
            let source = node.height_source.as_deref().unwrap_or("?");
            let is_stale = now.since(at) > STALE && node.state == NodeState::Running;
            let tone = if is_stale { Tone::Warn } else { Tone::Plain };
            card.row(
                "height",
                format!("{height} from {source}, {}", ago(at, now)),
                tone,
            );
        }
        _ => card.row("height", "not known yet", Tone::Quiet),
    }
    if let Some((bars, range)) = model.pace.graph(GRAPH) {
        card.row("blocks", bars, Tone::Busy);
        card.row("", format!("{range} each"), Tone::Quiet);
    } else if let Some(ms) = node.block_time_ms {
        card.row(
            "blocks",
            format!("every {}", span(Duration::from_millis(ms))),
            Tone::Plain,
        );
    }
    let way = if node.hands_over {
        "hands over: clients notice nothing of the next upgrade"
    } else {
        "is stopped and started for the next upgrade"
    };
    card.detail("change", way);
    if node.restarts > 0 {
        card.row("restarts", node.restarts.to_string(), Tone::Warn);
    }
    card
}

pub(super) fn supervisor(status: &Status, now: Time) -> Card {
    let supervisor = &status.supervisor;
    let mut card = Card::new("supervisor", Side::Left);
    let up = span(now.since(supervisor.since));
    card.row(
        "baton",
        format!("{}, pid {}, up {up}", supervisor.version, supervisor.pid),
        Tone::Plain,
    );
    if let Some(address) = &supervisor.admin_address {
        card.detail("page", format!("http://{address}/"));
    }
    for (key, value) in &supervisor.config {
        card.detail("set", format!("{key}={value}"));
    }
    card
}
