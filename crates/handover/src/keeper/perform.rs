//! What the machine's actions do to the world.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::effects::SharedCargo;
use super::run::Who;
use super::{Driver, PARTING, at, death, effects, is_over};
use crate::Monotonic;
use crate::gate::Flow;
use crate::hold;
use crate::listen::Paths;
use crate::nginx;
use crate::notify::{Moment, main_pid};
use crate::pidfile::PidFile;
use crate::protocol::frame::Frame;
use crate::protocol::predecessor::{Action, Event, Outcome, Phase, Wait};
use crate::report::Party;
use crate::serving::{Ending, Stage};

/// How long to wait between two attempts to open an exclusive again.
const RETRY: Duration = Duration::from_millis(200);

/// How long a successor may take to let go of what it holds.
const LET_GO: Duration = Duration::from_secs(1);

/// How long the kernel may take to end a killed process.
const KILLED: Duration = Duration::from_secs(5);

/// How long a successor may take to say that it serves.
const SERVING: Duration = Duration::from_secs(10);

impl Driver {
    /// This generation is about to end by order, or to let another serve: a predecessor that still drains has nothing to take back any
    /// more. It is told before the commit: between the commit and this word it could take this process's death for an accident, and
    /// serve beside the next generation.
    pub(super) fn tell_predecessor(&mut self) {
        if let Some(channel) = self.upward.take()
            && let Err(error) = channel.send_now(&Frame::Stopping)
        {
            debug!(%error, "cannot tell the predecessor that this generation ends");
        }
    }

    pub(super) async fn perform(&mut self, action: Action) {
        match action {
            Action::Send(frame) => {
                if let Some(link) = &self.link
                    && let Err(error) = link.channel.send_now(&frame)
                {
                    debug!(%error, frame = frame.name(), "cannot tell the successor");
                }
            }
            Action::SendShareables => self.send_shareables().await,
            Action::Freeze { kinds, states } => {
                self.cargo = SharedCargo::default();
                let shared = Arc::clone(&self.shared);
                self.effect = Some(effects::freeze(shared, self.cargo.clone(), kinds, states));
            }
            Action::SendAll => {
                if let Some(link) = &self.link {
                    let channel = Arc::clone(&link.channel);
                    self.effect = Some(effects::send_all(channel, &self.cargo));
                }
            }
            Action::Commit => {
                let stopped_accepting = effects::with(&self.cargo, |cargo| cargo.stopped_accepting)
                    .unwrap_or_else(Monotonic::now);
                let sent = self.link.as_ref().is_some_and(|link| {
                    let commit = Frame::Commit { stopped_accepting };
                    link.channel.send_now(&commit).is_ok()
                });
                self.on(Event::CommitSent(sent)).await;
            }
            Action::Resume => self.resume(),
            Action::Open => {
                self.shared.turn(Flow::Open);
                self.notify(&Moment::Woken {
                    why: "told to serve again".to_owned(),
                });
            }
            Action::Reacquire => {
                self.effect = Some(effects::reacquire(Arc::clone(&self.shared)));
            }
            Action::Settle => self.settle().await,
            Action::Drain => self.drain(),
            Action::Retire => {
                self.shared.turn(Flow::Closed);
                self.shared.registry.close();
                // The successor ends: whoever reaches a boundary from now on stays here to the end.
                if self.drains_until.is_some() && self.handed_over {
                    self.drain();
                }
            }
            Action::Kill => {
                if let Some(life) = self.link.as_ref().and_then(|link| link.life.as_ref()) {
                    warn!("the successor does not let go; killing it");
                    if let Err(error) = life.kill() {
                        error!(%error, "cannot kill the successor: what it holds stays closed here until it has ended");
                    }
                }
            }
            Action::Dismiss => {
                if let Some(link) = self.link.take() {
                    link.dismiss();
                }
            }
            Action::Wait(wait) => {
                let length = match wait {
                    Wait::Warm => self.timeout,
                    Wait::Frozen => self.shared.settings.limits.frozen,
                    Wait::Serving => SERVING,
                    Wait::LetGo => LET_GO,
                    Wait::Killed => KILLED,
                    Wait::Retry => RETRY,
                };
                self.wait = Some((wait, Instant::now() + length));
                self.notify(&Moment::Waits(length));
            }
            Action::NoWait => self.wait = None,
            Action::Report(outcome) => self.report(&outcome).await,
            Action::Exit => self.exit().await,
        }
    }

    pub(super) async fn send_shareables(&mut self) {
        let Some(link) = &self.link else {
            return;
        };
        let channel = Arc::clone(&link.channel);
        // The successor reads while it waits for this, and its death or silence ends it.
        let sent = tokio::select! {
            sent = effects::send_shareables(&self.shared, &channel) => sent,
            () = death(self.link.as_ref()) => return,
            () = at(self.wait.map(|(_, at)| at)) => return,
        };
        if let Err(reason) = sent {
            warn!(reason, "cannot send the listeners");
            self.on(Event::Closed { why: reason }).await;
        }
    }

    /// Connections come back and the gate opens.
    pub(super) fn resume(&mut self) {
        // Given up first: then nobody else holds the cargo.
        self.effect = None;
        let parcels = effects::with(&self.cargo, |cargo| {
            cargo.states = Arc::default();
            std::mem::take(&mut cargo.parcels)
        });
        if let Ok(parcels) = Arc::try_unwrap(parcels) {
            self.shared.registry.restore(parcels);
        } else {
            error!("connections are still being sent and cannot come back");
        }
        self.shared.turn(Flow::Open);
        self.stage.send_replace(Stage::Serving);
    }

    /// The successor has what moved.
    pub(super) async fn settle(&mut self) {
        self.handed_over = true;
        effects::with(&self.cargo, |cargo| {
            cargo.parcels = Arc::default();
            cargo.states = Arc::default();
        });
        // Taken back after the successor's death they are opened again. Until then a request still in hand is told so at once: it
        // would wait for the end of the drain.
        for resource in self.shared.exclusives() {
            resource.forget().await;
        }
        self.stage.send_replace(Stage::Draining);
    }

    pub(super) fn drain(&mut self) {
        let limit = if self.stops > 1 {
            Duration::ZERO
        } else {
            let now = Instant::now();
            let limit = self.shared.settings.limits.drain;
            let until = *self.drains_until.get_or_insert(now + limit);
            until.saturating_duration_since(now)
        };
        self.stage.send_replace(Stage::Draining);
        self.board.drains(limit);
        let window = limit / PARTING;
        let retired = matches!(self.machine.phase(), Phase::Draining { retired: true });
        let channel = (self.handed_over && !retired)
            .then(|| self.link.as_ref().filter(|link| !link.closed))
            .flatten()
            .map(|link| Arc::clone(&link.channel));
        if channel.is_some() {
            self.shared.registry.part(window);
        } else {
            self.shared.registry.leave_all(window);
        }
        // What the own predecessor still sends is to be sent on, if there is somebody to send it to.
        let above = if channel.is_some() {
            self.above_lives.subscribe()
        } else {
            watch::Sender::new(false).subscribe()
        };
        let shared = Arc::clone(&self.shared);
        self.effect = Some(effects::drain(shared, channel, above, limit));
    }

    pub(super) async fn drained(&mut self, moved_late: u64, closed: u64) {
        info!(moved_late, closed, "drained");
        if let Some(link) = &self.link {
            let _ = link.channel.send_now(&Frame::Ended { moved_late, closed });
        }
        self.on(Event::Drained).await;
    }

    pub(super) async fn report(&mut self, outcome: &Outcome) {
        let Some(run) = &mut self.run else {
            return;
        };
        let name = self.shared.settings.name.clone();
        let from = Party {
            generation: self.generation,
            pid: std::process::id(),
        };
        let (pid, began) = (run.pid, run.began);
        let to = Party {
            generation: self.generation + 1,
            pid,
        };
        let left = self.shared.registry.counts();
        let left = left.values().map(|counts| counts.live as u64).sum();
        let who = Who {
            name,
            from,
            to,
            began,
        };
        let report = run.report(who, outcome, &self.cargo, left);
        let staged = run.staged;
        match outcome {
            Outcome::HandedOver | Outcome::Rehearsed => info!(%report, "handover"),
            _ => warn!(%report, "handover"),
        }
        if let Some(metrics) = &self.shared.settings.metrics {
            metrics.record(&report);
        }
        self.board.last(report.clone());
        run.tell(report, &mut self.telling);
        let moment = match outcome {
            Outcome::HandedOver => Moment::Committed {
                pid,
                to: to.generation,
                main: main_pid(pid),
                staged,
            },
            Outcome::Rehearsed => Moment::HandoverFails {
                why: "rehearsed".to_owned(),
            },
            Outcome::RolledBack { reason, .. } | Outcome::NotRestored { reason } => {
                Moment::HandoverFails {
                    why: reason.clone(),
                }
            }
            Outcome::TakenBack { reason } => Moment::TakenBack {
                why: reason.clone(),
            },
        };
        self.notify(&moment);
        if !matches!(outcome, Outcome::HandedOver | Outcome::NotRestored { .. }) {
            self.run = None;
            self.serve_again(outcome);
        }
        let event = match outcome {
            Outcome::HandedOver => nginx::Event::SuccessorServes {
                still_accepts: false,
            },
            _ => nginx::Event::SuccessorGone,
        };
        self.nginx(event).await;
    }

    /// After a handover that came to nothing.
    pub(super) fn serve_again(&mut self, outcome: &Outcome) {
        self.handed_over = false;
        self.drains_until = None;
        self.shared.turn(Flow::Open);
        self.stage.send_replace(Stage::Serving);
        if matches!(outcome, Outcome::TakenBack { .. })
            && let Some(directory) = &self.directory
            && let Err(error) = directory.make_current(self.generation)
        {
            warn!(%error, "others will not find this generation");
        }
        if self.nginx.is_none()
            && let Some(path) = &self.shared.settings.pid_file
        {
            match PidFile::write(path, std::process::id()) {
                Ok(file) => self.pid_file = Some(file),
                Err(error) => warn!(%error, "cannot write the pid file"),
            }
        }
    }

    pub(super) async fn exit(&mut self) {
        self.over = true;
        self.shared.turn(Flow::Closed);
        self.shared.registry.close();
        if !self.handed_over {
            self.notify(&Moment::Stops);
            if let Err(reason) = self
                .shared
                .release_all(self.shared.settings.limits.release)
                .await
            {
                warn!(
                    reason,
                    "an exclusive resource is closed by the end of the process"
                );
            }
            self.shared.shareables().unlink_paths(Paths::All);
        }
        if let Some(directory) = &self.directory
            && let Err(error) = directory.leave(self.generation)
        {
            debug!(%error, "cannot remove this generation's control socket");
        }
        if let Some(pid_file) = self.pid_file.take()
            && let Err(error) = pid_file.remove()
        {
            warn!(%error, "cannot remove the pid file");
        }
        // Whoever asked has to hear of it before the process ends; one that does not listen is given up after a while.
        while self.telling.join_next().await.is_some() {}
        let ending = if self.handed_over {
            Ending::HandedOver
        } else {
            Ending::Stopped
        };
        info!(generation = self.generation, ?ending, "ended");
        self.stay_around_the_successor().await;
        self.stage.send_replace(Stage::Ended(ending));
    }

    /// The successor that would end with this process, because this is process 1.
    pub(super) fn ward(&self) -> Option<u32> {
        let link = self.link.as_ref().filter(|link| link.child.is_some())?;
        (self.handed_over && std::process::id() == 1).then_some(link.pid)
    }

    /// As process 1: what is left of this generation is a shell around the next ones, and ends as the last of them does.
    pub(super) async fn stay_around_the_successor(&mut self) {
        let Some(successor) = self.ward() else {
            return;
        };
        // Nobody asks this one any more.
        (self.triggers, self.server) = (None, None);
        let directory = self.directory.as_ref().map(|directory| directory.path());
        match hold::hold(successor, directory).await {
            Ok(0) => {}
            // The program only knows that it has handed over.
            Ok(code) => std::process::exit(code),
            Err(error) => {
                error!(%error, "cannot stay around the successor, which ends with this process");
            }
        }
    }

    pub(super) async fn predecessor_gone(&mut self) {
        self.above = None;
        self.above_lives.send_replace(false);
        self.upward = None;
        self.sleeper = None;
        self.ancestors.retain(|ancestor| !is_over(&ancestor.life));
        if let Some(metrics) = &self.shared.settings.metrics {
            metrics.set_draining(self.ancestors.len());
        }
        debug!("the predecessor is gone");
        self.close_unclaimed();
        if let Some(directory) = &self.directory
            && let Err(error) = directory.sweep()
        {
            debug!(%error, "cannot remove the sockets of dead generations");
        }
        self.notify(&Moment::PredecessorGone);
        // Before, the service manager may have taken this process for a stranger.
        self.fill_store();
        self.nginx(nginx::Event::PredecessorGone).await;
    }

    pub(super) fn notify(&mut self, moment: &Moment) {
        if let Some(message) = self.announcer.step(moment)
            && let Err(error) = self.notifier.send(&message)
        {
            warn!(%error, "cannot tell the service manager");
        }
    }
}
