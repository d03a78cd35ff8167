//! What signals mean: those that stop, and nginx's, by its own machine.

use tracing::{info, warn};

use super::run::Asker;
use super::signals::Heard;
use super::{Driver, PARTING};
use crate::control::UpgradeRequest;
use crate::gate::Flow;
use crate::life::{self};
use crate::nginx;
use crate::protocol::predecessor::{Event, Phase};
use crate::serving::ProgramEvent;

impl Driver {
    pub(super) async fn signalled(&mut self, heard: Heard) {
        match heard {
            Heard::Stop(name) => {
                info!(signal = name, "told to stop");
                if let Some(ward) = self.ward() {
                    pass_on(ward, rustix::process::Signal::TERM.as_raw());
                }
                self.stop().await;
            }
            Heard::Nginx(signal) => self.nginx(nginx::Event::Signal(signal)).await,
        }
    }

    pub(super) async fn nginx(&mut self, event: nginx::Event) {
        let Some(machine) = &mut self.nginx else {
            return;
        };
        for action in machine.step(event) {
            Box::pin(self.nginx_does(action)).await;
        }
    }

    pub(super) async fn nginx_does(&mut self, action: nginx::Action) {
        use nginx::Action;
        match action {
            Action::StartSuccessor { staged } => {
                if let Some(pid_file) = &self.pid_file
                    && let Err(error) = pid_file.step_aside()
                {
                    warn!(%error, "cannot rename the pid file");
                }
                let request = UpgradeRequest {
                    staged,
                    ..UpgradeRequest::default()
                };
                self.spawn(request, "USR2".to_owned(), Asker::Nobody).await;
                // Refused, it never began.
                if self.run.is_none() {
                    self.nginx(nginx::Event::SuccessorGone).await;
                }
            }
            Action::StopAccepting => {
                self.shared.turn(Flow::Wait);
                let window = self.shared.settings.limits.drain / PARTING;
                self.shared.registry.leave_all(window);
            }
            Action::ResumeAccepting => {
                self.shared.registry.restore(Vec::new());
                if matches!(self.machine.phase(), Phase::Asleep) {
                    self.on(Event::Wake).await;
                } else {
                    self.shared.turn(Flow::Open);
                }
            }
            Action::TakePidFileBack => {
                if let Some(pid_file) = &mut self.pid_file
                    && let Err(error) = pid_file.come_back()
                {
                    warn!(%error, "cannot rename the pid file back");
                }
            }
            // Whether it stays after that is seen when it has nothing more to do.
            Action::DrainAndExit | Action::DrainAndHold => self.stop().await,
            Action::ExitNow => {
                self.stops = 2;
                self.on(Event::Stop).await;
                if matches!(
                    self.machine.phase(),
                    Phase::Draining { .. } | Phase::Stopping
                ) {
                    self.drain();
                }
            }
            Action::Reopen => self.tell_program(ProgramEvent::Reopen),
            Action::Reload => self.tell_program(ProgramEvent::Reload),
            Action::Forward(signal) => {
                if let Some(link) = &self.link {
                    pass_on(link.pid, signal.number());
                }
            }
            Action::Ignore { why } => warn!(why, "a signal is ignored"),
        }
    }

    pub(super) fn tell_program(&self, event: ProgramEvent) {
        if self.events.try_send(event).is_err() {
            warn!(?event, "the program does not take this event");
        }
    }
}

pub(super) fn pass_on(pid: u32, signal: i32) {
    match life::signal(pid, signal) {
        Ok(()) => info!(pid, signal, "passed a signal on to the successor"),
        Err(error) => warn!(pid, signal, %error, "a signal could not be passed on"),
    }
}
