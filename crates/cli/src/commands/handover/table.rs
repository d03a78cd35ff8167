//! Who holds what, as a table and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use baton_handover::control::{Found, Generation};
use baton_supervisor::telling::words::{one_line, span};
use serde_json::{Value, json};

use super::silence;

/// How many names a cell shows.
const SHOWN: usize = 6;

pub(super) fn as_text(directory: &Path, found: &[Found]) -> String {
    let directory = directory.display();
    if found.is_empty() {
        return format!("no generation in {directory}; start the server first\n");
    }
    let mut table = comfy_table::Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_header([
            "",
            "generation",
            "pid",
            "phase",
            "since",
            "connections",
            "holds",
        ]);
    for found in found {
        table.add_row(row(found));
    }
    let mut text = format!("{table}\n");
    for status in found.iter().filter_map(living) {
        if let Some(last) = &status.last {
            let _ = write!(
                text,
                "\nlast handover of generation {}, {} ago:\n{last}",
                status.generation,
                span(last.at.ago())
            );
        }
    }
    if found.iter().any(|found| found.status.is_none()) {
        text.push_str(
            "\ndead generations left their sockets; the next server that starts here removes them\n",
        );
    }
    if !found.iter().any(super::serves) {
        let _ = write!(text, "\nnobody serves in {directory}; start the server\n");
    }
    text
}

fn row(found: &Found) -> [String; 7] {
    let mark = if found.current { "→" } else { "" }.to_owned();
    let generation = found.generation.to_string();
    let nothing = || "-".to_owned();
    match &found.status {
        None => [
            mark,
            generation,
            nothing(),
            "dead".to_owned(),
            nothing(),
            nothing(),
            nothing(),
        ],
        Some(Err(error)) => [
            mark,
            generation,
            nothing(),
            "silent".to_owned(),
            nothing(),
            nothing(),
            one_line(&silence(error)),
        ],
        Some(Ok(status)) => [
            mark,
            generation,
            status.pid.to_string(),
            phase(status),
            span(status.since.ago()),
            connections(status),
            holds(status),
        ],
    }
}

fn phase(status: &Generation) -> String {
    match status.drains_until {
        Some(until) => {
            let now = baton_handover::report::UnixMillis::now();
            let left = std::time::Duration::from_millis(until.0.saturating_sub(now.0));
            format!("{}, {} left", one_line(&status.phase), span(left))
        }
        None => one_line(&status.phase),
    }
}

fn connections(status: &Generation) -> String {
    let kinds: Vec<_> = status
        .connections
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| format!("{count} {}", one_line(kind)))
        .collect();
    if kinds.is_empty() {
        return "0".to_owned();
    }
    few(&kinds, ", ")
}

fn holds(status: &Generation) -> String {
    let shareables = status.shareables.iter();
    let shareables = shareables.map(|s| one_line(&format!("{} {}", s.name, s.address)));
    let exclusives = status.exclusives.iter().filter(|e| e.held);
    let exclusives = exclusives.map(|e| one_line(&format!("{} (exclusive)", e.name)));
    let all: Vec<_> = exclusives.chain(shareables).collect();
    if all.is_empty() {
        return "nothing".to_owned();
    }
    few(&all, "\n")
}

fn few(all: &[String], between: &str) -> String {
    let shown = all[..all.len().min(SHOWN)].join(between);
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}{between}and {more} more"),
    }
}

fn living(found: &Found) -> Option<&Generation> {
    found.status.as_ref()?.as_ref().ok()
}

pub(super) fn as_json(found: &[Found]) -> Value {
    let all = found.iter().map(|found| {
        let (state, error) = match &found.status {
            None => ("dead", None),
            Some(Err(error)) => ("silent", Some(silence(error))),
            Some(Ok(_)) => ("alive", None),
        };
        json!({
            "generation": found.generation,
            "current": found.current,
            "state": state,
            "error": error,
            "status": living(found),
        })
    });
    all.collect()
}
