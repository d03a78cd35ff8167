//! How this generation stands, for whoever asks in the middle of whatever it does.

use std::sync::{Arc, Mutex, PoisonError};

use crate::control::{ExclusiveStatus, Generation, ShareableStatus, StateStatus, TakenUp};
use crate::report::{Report, UnixMillis};
use crate::shared::Shared;

/// What changes while a generation lives.
#[derive(Debug)]
pub(super) struct Standing {
    phase: &'static str,
    since: UnixMillis,
    drains_until: Option<UnixMillis>,
    last: Option<Report>,
}

/// Shared between the driver, which writes, and the control socket, which reads.
#[derive(Clone)]
pub(super) struct Board(Arc<Mutex<Standing>>);

impl Board {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Standing {
            phase: "serving",
            since: UnixMillis::now(),
            drains_until: None,
            last: None,
        })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Standing) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn phase(&self, phase: &'static str) {
        self.with(|standing| {
            if standing.phase != phase {
                standing.phase = phase;
                standing.since = UnixMillis::now();
                standing.drains_until = None;
            }
        });
    }

    pub(super) fn drains(&self, limit: std::time::Duration) {
        let length = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let until = UnixMillis(UnixMillis::now().0.saturating_add(length));
        self.with(|standing| standing.drains_until = Some(until));
    }

    pub(super) fn last(&self, report: Report) {
        self.with(|standing| standing.last = Some(report));
    }

    /// The whole picture.
    pub(super) fn generation(&self, shared: &Shared, generation: u64) -> Generation {
        let shareables = shared.shareables().offers().map_or_else(
            |_| Vec::new(),
            |offers| {
                offers
                    .iter()
                    .map(|(listing, _)| ShareableStatus {
                        name: listing.name.clone(),
                        address: format!("{} {}", listing.description.kind, listing.address()),
                    })
                    .collect()
            },
        );
        let exclusives = shared
            .exclusives()
            .iter()
            .map(|resource| ExclusiveStatus {
                name: resource.name().to_owned(),
                held: resource.held(),
            })
            .collect();
        let states = shared
            .writers()
            .into_iter()
            .map(|(name, writer)| StateStatus {
                name,
                version: writer.versions.newest,
            })
            .collect();
        let connections = shared
            .registry
            .counts()
            .into_iter()
            .map(|(kind, counts)| (kind, counts.live as u64))
            .collect();
        let taken_up = shared.registry.taken_up();
        self.with(|standing| Generation {
            name: shared.settings.name.clone(),
            generation,
            pid: std::process::id(),
            program: shared.launch.program.display().to_string(),
            phase: standing.phase.to_owned(),
            since: standing.since,
            shareables,
            exclusives,
            states,
            connections,
            taken_up: TakenUp {
                connections: taken_up.connections,
                longest_freeze: taken_up.longest_freeze,
            },
            drains_until: standing.drains_until,
            last: standing.last.clone(),
        })
    }
}
