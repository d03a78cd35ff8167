//! The record of one handover, from which its report is made.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::effects::{SharedCargo, with};
use crate::Monotonic;
use crate::control::{Progress, Requester};
use crate::protocol::predecessor;
use crate::report::{
    Began, ExclusiveMoved, Outcome, Party, PhaseTime, Report, StateMoved, UnixMillis,
};
use crate::serving::UpgradeError;

/// Who waits for the end of a handover.
pub(super) enum Asker {
    /// A client of the control socket.
    Client(Requester),
    /// The program itself.
    Program(oneshot::Sender<Result<Report, UpgradeError>>),
    /// Nobody.
    Nobody,
}

impl Asker {
    pub(super) async fn busy(self, busy: crate::control::Busy) {
        match self {
            Self::Client(requester) => requester.busy(busy).await,
            Self::Program(answer) => {
                let _ = answer.send(Err(UpgradeError::Busy(busy)));
            }
            Self::Nobody => {}
        }
    }

    pub(super) async fn refuse(self, reason: String) {
        match self {
            Self::Client(requester) => requester.refuse(reason).await,
            Self::Program(answer) => {
                let _ = answer.send(Err(UpgradeError::Refused { reason }));
            }
            Self::Nobody => {}
        }
    }

    async fn report(self, report: Report) {
        match self {
            Self::Client(requester) => requester.report(report).await,
            Self::Program(answer) => {
                let went_well = matches!(report.outcome, Outcome::HandedOver | Outcome::Rehearsed);
                let _ = answer.send(if went_well {
                    Ok(report)
                } else {
                    Err(UpgradeError::Failed(Box::new(report)))
                });
            }
            Self::Nobody => {}
        }
    }
}

/// Between whom a handover was.
pub(super) struct Who {
    pub(super) name: String,
    pub(super) from: Party,
    pub(super) to: Party,
    pub(super) began: Began,
}

/// One handover under way.
pub(super) struct Run {
    pub(super) asked_by: String,
    pub(super) since: UnixMillis,
    pub(super) staged: bool,
    /// The successor's process; 0 if there is none.
    pub(super) pid: u32,
    pub(super) began: Began,
    asker: Option<Asker>,
    phases: Vec<PhaseTime>,
    phase_began: Instant,
    pub(super) phase: &'static str,
    /// When the successor said that its exclusives are open.
    pub(super) ready: Option<Monotonic>,
    pub(super) accepting_since: Option<Monotonic>,
    pub(super) longest_freeze_us: Option<u64>,
    pub(super) unclaimed: Vec<String>,
}

impl Run {
    pub(super) fn new(asked_by: String, staged: bool, asker: Asker) -> Self {
        Self {
            asked_by,
            since: UnixMillis::now(),
            staged,
            pid: 0,
            began: Began::Spawn,
            asker: Some(asker),
            phases: Vec::new(),
            phase_began: Instant::now(),
            phase: "hello",
            ready: None,
            accepting_since: None,
            longest_freeze_us: None,
            unclaimed: Vec::new(),
        }
    }

    /// A phase begins.
    pub(super) fn enter(&mut self, phase: &'static str) {
        if phase == self.phase {
            return;
        }
        self.phases.push(PhaseTime {
            phase: self.phase.to_owned(),
            took: self.phase_began.elapsed(),
        });
        self.phase_began = Instant::now();
        self.phase = phase;
        if let Some(Asker::Client(requester)) = &self.asker {
            requester.progress(Progress {
                phase: phase.to_owned(),
                detail: String::new(),
            });
        }
    }

    /// The report as it stands.
    pub(super) fn report(
        &self,
        who: Who,
        outcome: &predecessor::Outcome,
        cargo: &SharedCargo,
        left_to_drain: u64,
    ) -> Report {
        let Who {
            name,
            from,
            to,
            began,
        } = who;
        let handed_over = *outcome == predecessor::Outcome::HandedOver;
        with(cargo, |cargo| {
            let mut moved = BTreeMap::new();
            for parcel in cargo.parcels.iter() {
                *moved.entry(parcel.kind.clone()).or_insert(0) += 1;
            }
            let gap = match (cargo.released, self.ready) {
                (Some(released), Some(ready)) => Some(ready.since(released)),
                _ => None,
            };
            Report {
                name,
                from,
                to,
                began,
                asked_by: self.asked_by.clone(),
                at: self.since,
                outcome: told(outcome),
                staged: self.staged,
                phases: self.phases.clone(),
                moved: if handed_over { moved } else { BTreeMap::new() },
                moved_late: 0,
                left_to_drain,
                unclaimed: self.unclaimed.clone(),
                states: cargo
                    .states
                    .iter()
                    .filter(|_| handed_over)
                    .map(|(state, _)| StateMoved {
                        name: state.name.clone(),
                        version: state.version,
                        bytes: state.length,
                    })
                    .collect(),
                exclusives: cargo
                    .exclusives
                    .iter()
                    .filter(|_| handed_over)
                    .map(|name| ExclusiveMoved {
                        name: name.clone(),
                        gap,
                    })
                    .collect(),
                longest_freeze: self.longest_freeze_us.map(std::time::Duration::from_micros),
                pause: match (cargo.stopped_accepting, self.accepting_since) {
                    (Some(stopped), Some(accepting)) => Some(accepting.since(stopped)),
                    _ => None,
                },
            }
        })
    }

    /// Tells whoever waits. Later ends of the same handover are for the log.
    pub(super) fn tell(&mut self, report: Report, telling: &mut JoinSet<()>) {
        while telling.try_join_next().is_some() {}
        if let Some(asker) = self.asker.take() {
            telling.spawn(asker.report(report));
        }
    }
}

fn told(outcome: &predecessor::Outcome) -> Outcome {
    match outcome.clone() {
        predecessor::Outcome::HandedOver => Outcome::HandedOver,
        predecessor::Outcome::Rehearsed => Outcome::Rehearsed,
        predecessor::Outcome::RolledBack { phase, reason } => Outcome::RolledBack {
            phase: phase.to_owned(),
            reason,
        },
        predecessor::Outcome::TakenBack { reason } => Outcome::TakenBack { reason },
        predecessor::Outcome::NotRestored { reason } => Outcome::NotRestored { reason },
    }
}
