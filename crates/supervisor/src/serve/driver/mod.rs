//! The loop: performs what the machine asks for, and tells it what happened.

mod telling;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::time::{Duration, Instant};

use baton_handover::Monotonic;
use baton_handover::foreign::Socket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep_until};
use tracing::{info, warn};

use crate::facts::ProcessId;
use crate::life::Signal;
use crate::node::group;
use crate::node::reap::Reaper;
use crate::node::signals::{self, Arrived};
use crate::serve::control::{Answer, Ask};
use crate::serve::machine::Machine;
use crate::serve::process::{Process, Start};
use crate::serve::ready;
use crate::serve::status;
use crate::serve::words::{Action, Event, Exit, Generation, Standing, Timer};
use crate::serve::{Ending, Options, remember};
use crate::telling::{Notifier, Time};

/// How many events of processes may wait.
const WAITING: usize = 64;

/// How soon to look again at what is dead and not yet collected.
const LOOK: Duration = Duration::from_secs(5);

/// A moment that never comes.
const FAR: Duration = Duration::from_hours(24 * 365);

/// The supervisor of one server.
pub(super) struct Driver {
    options: Options,
    sockets: Vec<Socket>,
    notifier: Notifier,
    machine: Machine,
    begun: Instant,
    since: Time,
    processes: BTreeMap<Generation, Process>,
    timers: BTreeMap<Timer, Instant>,
    events: mpsc::Sender<Event>,
    happened: mpsc::Receiver<Event>,
    /// What is left of process groups, being ended.
    clearing: JoinSet<Result<(), String>>,
    reload: Option<Asked>,
    restarts: u64,
    last_reload: Option<status::Reload>,
    last_death: Option<status::Death>,
    ending: Option<Ending>,
}

/// A reload that somebody waits for, or only a signal asked for.
struct Asked {
    begun: Instant,
    /// Instead of the command line so far; taken by the start.
    command: Option<Vec<OsString>>,
    answer: Option<oneshot::Sender<Answer>>,
}

impl Driver {
    pub(super) fn new(options: Options, sockets: Vec<Socket>, notifier: Notifier) -> Self {
        let (events, happened) = mpsc::channel(WAITING);
        Self {
            machine: Machine::new(options.settings),
            options,
            sockets,
            notifier,
            begun: Instant::now(),
            since: Time::now(),
            processes: BTreeMap::new(),
            timers: BTreeMap::new(),
            events,
            happened,
            clearing: JoinSet::new(),
            reload: None,
            restarts: 0,
            last_reload: None,
            last_death: None,
            ending: None,
        }
    }

    /// Runs until the machine says how it ends and nothing of the server is left.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<Ask>) -> io::Result<Ending> {
        let mut signals = signals::listen()?;
        let mut reaper = Reaper::adopt();
        let mut zombies = false;
        let mut alive = interval(self.notifier.watchdog_interval().unwrap_or(FAR));
        self.step(Event::Begin);
        while self.ending.is_none() {
            let next = self.timers.iter().min_by_key(|(_, at)| **at);
            let (timer, at) =
                next.map_or((None, Instant::now() + FAR), |(it, at)| (Some(*it), *at));
            tokio::select! {
                Some(event) = self.happened.recv() => self.happens(event),
                Some(arrived) = signals.recv() => match arrived {
                    Arrived::Child => zombies = reaper.look(Instant::now()),
                    Arrived::ForNode(signal) => self.signalled(signal),
                },
                () = sleep_until(at.into()) => if let Some(timer) = timer {
                    self.timers.remove(&timer);
                    self.step(Event::Timer(timer));
                },
                Some(ask) = asked.recv() => self.asked(ask),
                Some(cleared) = self.clearing.join_next() => told(cleared),
                () = tokio::time::sleep(LOOK), if zombies => zombies = reaper.look(Instant::now()),
                _ = alive.tick() => self.notifier.alive(),
            }
        }
        while let Some(cleared) = self.clearing.join_next().await {
            told(cleared);
        }
        for socket in &self.sockets {
            if let Err(error) = socket.unlink() {
                warn!(name = socket.name(), %error, "the socket's path could not be removed");
            }
        }
        if self.options.ready.path.is_some() {
            // The last process has ended, and with it whoever listened there.
            let _ = std::fs::remove_file(ready::socket(&self.options.directory));
        }
        remember(&self.options.directory, &[]);
        Ok(self.ending.expect("the loop ends with it"))
    }

    fn happens(&mut self, event: Event) {
        let Event::Ended(generation, ended) = event else {
            return self.step(event);
        };
        info!(generation, how = telling::how(ended), "a process has ended");
        self.step(event);
        if let Some(process) = self.processes.remove(&generation) {
            let settings = &self.options.settings;
            // One that had to be killed has had its time, and those that it leaves behind with it.
            let grace = if process.killed {
                Duration::ZERO
            } else {
                settings.grace
            };
            self.clearing.spawn(group::clear_by(
                settings.stop_signal,
                process.group(),
                grace,
            ));
        }
        self.remember();
    }

    /// HUP and USR2 reload; the window's size concerns nobody.
    fn signalled(&mut self, signal: Signal) {
        match signal {
            Signal::Hup | Signal::Usr2 => {
                info!(signal = signal.name(), "a signal asks for a reload");
                self.ask_for_reload(None, None);
            }
            Signal::Winch => {}
            signal => {
                info!(signal = signal.name(), "a signal came for the server");
                self.step(Event::Signal(signal));
            }
        }
    }

    fn asked(&mut self, ask: Ask) {
        // Whoever asked may have gone.
        match ask {
            Ask::Status(answer) => {
                let _ = answer.send(self.status());
            }
            Ask::Stop(answer) => {
                let pid = std::process::id();
                let _ = answer.send(Answer::Stopping { pid });
                info!("an operator asks for the end");
                self.step(Event::Signal(Signal::Term));
            }
            Ask::Reload(command, answer) => {
                let command = command.map(|words| words.into_iter().map(OsString::from).collect());
                self.ask_for_reload(command, Some(answer));
            }
        }
    }

    fn ask_for_reload(
        &mut self,
        command: Option<Vec<OsString>>,
        answer: Option<oneshot::Sender<Answer>>,
    ) {
        let asked = Asked {
            begun: Instant::now(),
            command,
            answer,
        };
        let actions = self.machine.step(Event::Reload, self.begun.elapsed());
        if let Some(Action::Refused(why)) = actions.first() {
            warn!(why, "no reload now");
            if let Some(answer) = asked.answer {
                let why = (*why).to_owned();
                let _ = answer.send(Answer::Refused { why });
            }
            if self.machine.standing() == Standing::Serving {
                // systemd waits for these two words after its signal.
                self.notifier.reloading(Monotonic::now());
                self.notifier.ready();
            }
            return;
        }
        self.reload = Some(asked);
        self.notifier.reloading(Monotonic::now());
        self.perform(actions);
    }

    fn step(&mut self, event: Event) {
        let was = self.machine.standing();
        let actions = self.machine.step(event, self.begun.elapsed());
        if self.machine.standing() == Standing::Stopping && was != Standing::Stopping {
            self.notifier.stopping(self.options.settings.grace);
        }
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start(generation) => self.start(generation),
                Action::Send(generation, signal) => {
                    if let Some(process) = self.processes.get_mut(&generation) {
                        info!(
                            generation,
                            pid = process.pid,
                            signal = signal.name(),
                            "signalling"
                        );
                        process.send(signal);
                        process.killed |= signal == Signal::Kill;
                    }
                }
                Action::Arm(timer, after) => {
                    self.timers.insert(timer, Instant::now() + after);
                }
                Action::Disarm(timer) => {
                    self.timers.remove(&timer);
                }
                Action::Serves(generation) => self.serves(generation),
                Action::Reloaded(generation) => self.reloaded(generation),
                Action::NotReloaded {
                    generation,
                    why,
                    serves,
                } => self.not_reloaded(generation, &why, serves),
                Action::Refused(why) => warn!(why, "no reload now"),
                Action::Lost { generation, why } => {
                    let why = self.words(generation, &why);
                    warn!(generation, why, "the server is gone; connections wait");
                    self.last_death = Some(status::Death {
                        at: Time::now(),
                        generation,
                        why,
                    });
                }
                Action::Restarting { after, crash } => {
                    self.restarts += 1;
                    let after = after.as_secs();
                    info!(after_s = after, crash, "the server is started again");
                    self.notifier.status("the server died and is started again");
                }
                Action::Exit(exit) => {
                    let why = match exit {
                        Exit::NeverReady(_) | Exit::CrashLoop(_) => self.last_death.as_ref(),
                        Exit::Server(_) | Exit::Stopped => None,
                    };
                    let why = why.map(|death| death.why.clone()).unwrap_or_default();
                    self.ending = Some(Ending { exit, why });
                }
            }
        }
    }

    fn start(&mut self, generation: Generation) {
        let asked = self.reload.as_mut().and_then(|asked| asked.command.take());
        let program = asked.unwrap_or_else(|| self.options.command.clone());
        let start = Start {
            directory: &self.options.directory,
            sockets: &self.sockets,
            convention: self.options.convention,
            ready: &self.options.ready,
            events: &self.events,
        };
        match start.start(generation, program) {
            Ok(process) => {
                info!(generation, pid = process.pid, "a process is started");
                self.processes.insert(generation, process);
                self.remember();
            }
            Err(error) => self.step(Event::NotStarted(generation, error.to_string())),
        }
    }

    fn remember(&self) {
        let ids: Vec<ProcessId> = self.processes.values().filter_map(Process::id).collect();
        remember(&self.options.directory, &ids);
    }
}

fn told(cleared: Result<Result<(), String>, tokio::task::JoinError>) {
    if let Ok(Err(error)) = cleared {
        warn!(error, "a process of the server left others behind");
    }
}
