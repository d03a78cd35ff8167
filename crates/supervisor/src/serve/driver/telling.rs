//! What is told of what was done: to the one who asked, to the log, to systemd, in the status.

use std::time::Duration;

use tracing::{error, info};

use super::Driver;
use crate::life::Ended;
use crate::serve::control::Answer;
use crate::serve::process::Process;
use crate::serve::status::{self, Status};
use crate::serve::words::{Generation, Settings, Why};
use crate::telling::Time;

impl Driver {
    pub(super) fn serves(&mut self, generation: Generation) {
        let Some(process) = self.processes.get(&generation) else {
            return;
        };
        self.options.command.clone_from(&process.command);
        let took_ms = millis(process.started.elapsed());
        info!(
            generation,
            pid = process.pid,
            took_ms,
            "the process is ready and serves"
        );
        let pid = process.pid;
        self.notifier.ready();
        self.notifier
            .status(&format!("generation {generation} (pid {pid}) serves"));
    }

    pub(super) fn reloaded(&mut self, generation: Generation) {
        let Some(asked) = self.reload.take() else {
            return;
        };
        let took_ms = millis(asked.begun.elapsed());
        self.last_reload = Some(status::Reload {
            at: Time::now(),
            generation,
            took_ms,
            failed: None,
        });
        let pid = self.processes.get(&generation).map_or(0, |it| it.pid);
        if let Some(answer) = asked.answer {
            let _ = answer.send(Answer::Reloaded {
                generation,
                pid,
                took_ms,
            });
        }
    }

    pub(super) fn not_reloaded(
        &mut self,
        generation: Generation,
        why: &Why,
        serves: Option<Generation>,
    ) {
        let Some(asked) = self.reload.take() else {
            return;
        };
        let why = self.words(generation, why);
        if let Some(serves) = serves {
            error!(
                generation,
                why, serves, "the reload failed; the server serves on as before"
            );
            self.notifier.ready();
            let line = format!("generation {serves} serves; the last reload failed: {why}");
            self.notifier.status(&line);
        } else {
            error!(generation, why, "the reload failed");
        }
        self.last_reload = Some(status::Reload {
            at: Time::now(),
            generation,
            took_ms: millis(asked.begun.elapsed()),
            failed: Some(why.clone()),
        });
        if let Some(answer) = asked.answer {
            let _ = answer.send(Answer::NotReloaded {
                generation,
                why,
                serves,
            });
        }
    }

    /// Why a process does not serve, with what it said itself.
    pub(super) fn words(&self, generation: Generation, why: &Why) -> String {
        let process = self.processes.get(&generation);
        match why {
            Why::NotStarted(error) => format!("it could not be started: {error}"),
            Why::Stopped => "the supervisor was asked to end meanwhile".to_owned(),
            Why::Late => {
                let within = self.options.settings.ready_within.as_secs_f64();
                let waiting = process.map(|it| it.waiting.text()).unwrap_or_default();
                format!("it was not ready within {within} s: {waiting}")
            }
            Why::Ended(ended) => {
                let said = process.map(Process::said).unwrap_or_default();
                let how = how(*ended);
                match said.status {
                    // It never became the program.
                    Some(status) if said.failed && !said.ready => status,
                    Some(status) => format!("it ended by itself: {how}; it last said: {status}"),
                    None if *ended == Ended::Code(0) => format!(
                        "it ended by itself: {how}; a server has to stay in the foreground (gunicorn: no --daemon)"
                    ),
                    None => format!("it ended by itself: {how}; see what it printed"),
                }
            }
        }
    }

    pub(super) fn status(&self) -> Status {
        let settings: &Settings = &self.options.settings;
        let (serves, starts) = (self.machine.serves(), self.machine.starts());
        let process = |generation: Generation| {
            let process = self.processes.get(&generation)?;
            Some(status::Process {
                generation,
                pid: process.pid,
                since: process.since,
                said: process.said().status,
                waits_for: (starts == Some(generation)).then(|| process.waiting.text()),
            })
        };
        let leaving = self.processes.keys().copied();
        let leaving = leaving.filter(|it| ![serves, starts].contains(&Some(*it)));
        Status {
            name: self.options.name.clone(),
            state: self.machine.standing(),
            supervisor: status::Supervisor {
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                since: self.since,
                directory: self.options.directory.clone(),
            },
            command: self
                .options
                .command
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            listeners: self
                .sockets
                .iter()
                .map(|socket| status::Listener {
                    name: socket.name().to_owned(),
                    kind: socket.description().kind.to_string(),
                    address: socket.description().address.to_string(),
                    activated: socket.is_activated(),
                })
                .collect(),
            serves: serves.and_then(process),
            starts: starts.and_then(process),
            leaving: leaving.filter_map(process).collect(),
            restarts: self.restarts,
            last_reload: self.last_reload.clone(),
            last_death: self.last_death.clone(),
            ready_within_ms: millis(settings.ready_within),
            grace_ms: millis(settings.grace),
        }
    }
}

pub(super) fn how(ended: Ended) -> String {
    match ended {
        Ended::Code(code) => format!("exit status {code}"),
        Ended::Signal(number) => format!("killed by {}", crate::telling::words::signal(number)),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
