//! What several of these tests need.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_supervisor::telling::event::{Event, Record};
use baton_supervisor::telling::status::Supervisor;
use baton_supervisor::telling::{Status, Time};

pub(super) fn at(second: u64) -> Time {
    "2026-11-21T03:00:00Z"
        .parse::<Time>()
        .unwrap()
        .after(Duration::from_secs(second))
}

pub(super) fn record(seq: u64, event: Event) -> Record {
    let time = at(seq);
    Record { seq, time, event }
}

pub(super) fn warning(seq: u64) -> Record {
    let text = format!("warning {seq}");
    let what_to_do = String::new();
    record(seq, Event::Warning { text, what_to_do })
}

/// A node of generation 3 that runs since second 1.
pub(super) fn status() -> Status {
    let mut status = Status::new(Supervisor {
        pid: 4240,
        version: "0.1.0".into(),
        since: at(0),
        home: "/home/val/.simd".into(),
        name: "simd".into(),
        admin_address: None,
        config: BTreeMap::new(),
    });
    let started = Event::NodeStarted {
        pid: 4242,
        generation: 3,
        release: "genesis".into(),
        binary: "/home/val/.simd/cosmovisor/genesis/bin/simd".into(),
    };
    status.apply(&started, at(1));
    status
}
