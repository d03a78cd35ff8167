//! The life of a node under its supervisor, as a plain state machine: no I/O, no clock.
//!
//! ```text
//!             ┌──────────────── back-off ◄──────────────┐
//!             ▼                                         │
//! Judging ─► Starting ─► Running ─► Stopping ─► Judging ┤
//!    │                    │   ▲         │               └─► Over
//!    │                    ▼   │         │
//!    │                  Relaying        │    the old process answers until the new one has taken over
//!    │                      │ it died   │
//!    └────────► Upgrading ◄─┴───────────┘    no process
//!                  └─► Starting
//! ```
//!
//! Of the processes of a node one counts here: the one that serves. Others, which are to take over from it or have handed over
//! to it, are the driver's; it tells when the one that serves is another ([`Event::Replaced`]).
//!
//! The driver ([`crate::run`]) performs the [`Action`]s and feeds back [`Event`]s. Whether a plan
//! is due is not decided here but in [`crate::due`]; what comes next in an upgrade, in
//! [`crate::upgrade::machine`].

pub(crate) mod crashes;
mod relay;
mod stopping;
mod words;

use std::time::Duration;

use crate::plan::Plan;
use crate::upgrade::{self, Journal, Machine, Step, Way};

use crashes::Crashes;
pub use crashes::{CRASH_LIMIT, CRASH_WINDOW, MAX_BACK_OFF};
pub use words::{Action, Ended, Event, Exit, Now, Purpose, Settings, Signal, Timer};

/// An upgrade whose node gives no height is taken as confirmed after this.
pub const OUTLIVED: Duration = Duration::from_mins(10);

/// Where the node is in its life, with what is valid just there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// No node; whether a plan is due is being found out. With an unconfirmed upgrade, if any.
    Judging {
        ended: Option<Ended>,
        upgrade: Option<Box<Machine>>,
    },
    Starting {
        upgrade: Option<Box<Machine>>,
    },
    /// With an upgrade that is not confirmed, or that failed and waits for the operator.
    Running {
        since: Duration,
        upgrade: Option<Box<Machine>>,
        /// Another process is to take over.
        reloading: bool,
    },
    /// An upgrade is being made beside the node, which stands still and answers.
    Relaying {
        since: Duration,
        machine: Box<Machine>,
        lost: Option<Lost>,
    },
    /// The node was asked to end, or has ended and its processes are being cleared.
    Stopping {
        why: Why,
        started: Duration,
        since: Duration,
        terms: u32,
        ended: Option<Ended>,
        upgrade: Option<Box<Machine>>,
    },
    /// The journal of a due plan is being opened. The node is down, or up since then.
    Opening {
        up: Option<Duration>,
    },
    /// `DAEMON_RESTART_DELAY` runs.
    Delaying(Box<Machine>),
    Upgrading(Box<Machine>),
    BackingOff {
        upgrade: Option<Box<Machine>>,
    },
    Over,
}

/// The node ended in the middle of a relay. What is left of the upgrade is made as for a node that was stopped, once all its processes
/// are gone and the step under way has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lost {
    ended: Ended,
    cleared: bool,
    step_ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Operator,
    /// To be started again at once.
    Reload,
    Upgrade,
    ByItself,
    /// For an upgrade whose journal cannot be written.
    Unrecorded(String),
}

/// The machine.
#[derive(Debug)]
pub struct Life {
    settings: Settings,
    state: State,
    crashes: Crashes,
}

impl Life {
    /// A life about to begin.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Judging {
                ended: None,
                upgrade: None,
            },
            crashes: Crashes::default(),
        }
    }

    /// The upgrade under way or not yet confirmed.
    pub fn upgrade(&self) -> Option<&Machine> {
        match &self.state {
            State::Upgrading(machine)
            | State::Delaying(machine)
            | State::Relaying { machine, .. } => Some(machine),
            State::Judging { upgrade, .. }
            | State::Starting { upgrade }
            | State::Running { upgrade, .. }
            | State::Stopping { upgrade, .. }
            | State::BackingOff { upgrade } => upgrade.as_deref(),
            State::Opening { .. } | State::Over => None,
        }
    }

    /// The journal of the upgrade under way, for the steps to add what they made.
    #[expect(
        clippy::match_same_arms,
        reason = "the machines lie in different places"
    )]
    pub fn journal_mut(&mut self) -> Option<&mut Journal> {
        match &mut self.state {
            State::Upgrading(machine)
            | State::Delaying(machine)
            | State::Relaying { machine, .. } => Some(&mut machine.journal),
            State::Starting {
                upgrade: Some(machine),
            }
            | State::Running {
                upgrade: Some(machine),
                ..
            } => Some(&mut machine.journal),
            _ => None,
        }
    }

    /// The node is up and not being stopped.
    pub fn is_running(&self) -> bool {
        matches!(
            self.state,
            State::Running { .. } | State::Relaying { lost: None, .. }
        )
    }

    /// The node is up and nothing is being done with it: what an operator asks for can begin.
    pub fn is_at_rest(&self) -> bool {
        matches!(
            self.state,
            State::Running {
                reloading: false,
                ..
            }
        )
    }

    /// How the state is called in `status`.
    pub fn state_name(&self) -> &'static str {
        match &self.state {
            State::Judging { .. } => "judging",
            State::Starting { .. } => "starting",
            State::Running {
                reloading: true, ..
            } => "reloading",
            State::Running { .. } => "running",
            State::Stopping { .. } => "stopping",
            State::Opening { .. }
            | State::Delaying(_)
            | State::Upgrading(_)
            | State::Relaying { .. } => "upgrading",
            State::BackingOff { .. } => "backing-off",
            State::Over => "over",
        }
    }

    /// Takes in what happened; says what to do, in order.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, event) {
            (State::Over, _) => vec![],

            // Beginning.
            (State::Judging { .. }, Event::Begin(Some(journal))) => {
                let mut machine = Box::new(Machine::new(*journal, self.settings.upgrade));
                // Whatever was begun beside a node is gone on with without one.
                machine.fall_back();
                self.upgrade_with(machine, upgrade::Machine::resume)
            }
            (State::Judging { .. }, Event::Begin(None)) => self.judge(None, None, now.mono),
            (State::Judging { .. }, Event::Found { journal, is_new }) => {
                self.found(journal, is_new, now)
            }

            // No node: upgrade, start, or end.
            (State::Judging { .. }, Event::Judged(Some(plan))) => self.open(plan),
            (State::Judging { ended, upgrade }, Event::Judged(None)) => {
                self.after_end(ended, upgrade, now)
            }

            (State::Opening { up }, Event::Opened(journal)) => {
                let machine = Box::new(Machine::new(*journal, self.settings.upgrade));
                match up {
                    None => self.upgrade_with(machine, upgrade::Machine::resume),
                    Some(since) => self.relay_with(since, machine, upgrade::Machine::resume),
                }
            }
            (State::Opening { up: None } | State::Upgrading(_), Event::NotRecorded(error)) => {
                vec![Action::Cancel, Action::Exit(Exit::NotRecorded(error))]
            }
            // What cannot be recorded is not done, and the node does not go on without it.
            (
                State::Opening { up: Some(since) } | State::Relaying { since, .. },
                Event::NotRecorded(error),
            ) => {
                let mut actions = vec![Action::Cancel];
                actions.extend(self.stop(since, Why::Unrecorded(error), None, Signal::Term, now));
                actions
            }

            // Starting.
            (State::Starting { upgrade }, Event::Spawned) => self.spawned(upgrade, now),
            (State::Starting { upgrade }, Event::SpawnFailed(error)) => match upgrade {
                Some(machine) if machine.step_under_way() == Some(Step::Start) => self
                    .upgrade_with(machine, |m| {
                        m.step(upgrade::Event::Failed {
                            error,
                            at_s: now.wall_s,
                        })
                    }),
                _ => vec![Action::Exit(Exit::CannotStart(error))],
            },

            // Running.
            (
                State::Running {
                    since,
                    upgrade,
                    reloading: false,
                },
                Event::Due(plan),
            ) => {
                // The request to end comes first: writing the journal may take the disk a while,
                // and a crash in between finds the plan in the file still.
                let mut actions = self.stop(since, Why::Upgrade, None, Signal::Term, now);
                actions.push(Action::OpenJournal(plan));
                if upgrade.is_some() {
                    actions.push(Action::Disarm(Timer::Outlived));
                }
                actions
            }
            (
                State::Running {
                    since,
                    upgrade,
                    reloading: false,
                },
                Event::DueForRelay(plan),
            ) => {
                self.state = State::Opening { up: Some(since) };
                let mut actions = vec![Action::OpenJournal(plan)];
                if upgrade.is_some() {
                    actions.push(Action::Disarm(Timer::Outlived));
                }
                actions
            }
            (
                State::Running {
                    since,
                    upgrade,
                    reloading: false,
                },
                Event::Reload(way),
            ) => match way {
                Way::StopAndStart => self.stop(since, Why::Reload, upgrade, Signal::Term, now),
                Way::Relay => {
                    self.state = State::Running {
                        since,
                        upgrade,
                        reloading: true,
                    };
                    vec![Action::Replace(Purpose::Reload)]
                }
            },
            (
                State::Running {
                    since,
                    upgrade: Some(mut machine),
                    reloading: false,
                },
                Event::Retry(way),
            ) if machine.is_standing() => match way {
                Way::Relay => self.relay_with(since, machine, upgrade::Machine::resume),
                Way::StopAndStart => {
                    machine.fall_back();
                    self.stop(since, Why::Upgrade, Some(machine), Signal::Term, now)
                }
            },
            (
                State::Running {
                    upgrade,
                    reloading: true,
                    ..
                },
                Event::Replaced { .. },
            ) => {
                self.state = State::Running {
                    since: now.mono,
                    upgrade,
                    reloading: false,
                };
                vec![]
            }
            (
                State::Running {
                    since,
                    upgrade,
                    reloading: true,
                },
                Event::Kept(_),
            ) => {
                self.state = State::Running {
                    since,
                    upgrade,
                    reloading: false,
                };
                vec![]
            }
            (
                State::Running {
                    since,
                    upgrade,
                    reloading,
                },
                Event::Signal(signal),
            ) => {
                if signal.stops() {
                    self.stop(since, Why::Operator, upgrade, signal, now)
                } else {
                    self.state = State::Running {
                        since,
                        upgrade,
                        reloading,
                    };
                    vec![Action::Send(signal)]
                }
            }
            (State::Running { since, upgrade, .. }, Event::Ended(ended)) => {
                self.state = State::Stopping {
                    why: Why::ByItself,
                    started: since,
                    since: now.mono,
                    terms: 0,
                    ended: Some(ended),
                    upgrade,
                };
                vec![
                    Action::Disarm(Timer::Outlived),
                    Action::ClearGroup {
                        grace: self.settings.grace,
                    },
                ]
            }
            (
                State::Running {
                    since,
                    upgrade: Some(mut machine),
                    reloading,
                },
                event @ (Event::Height(_) | Event::Timer(Timer::Outlived)),
            ) => {
                let event = match event {
                    Event::Height(at) => upgrade::Event::Height(at),
                    _ => upgrade::Event::Outlived,
                };
                let actions = machine.step(event);
                let confirmed = machine.journal.stage.is_over();
                let mut out = Vec::new();
                for action in actions {
                    match action {
                        upgrade::Action::Record => {
                            out.push(Action::Record(Box::new(machine.journal.clone())));
                        }
                        upgrade::Action::Confirmed => {
                            out.push(Action::Disarm(Timer::Outlived));
                            out.push(Action::Confirmed(Box::new(machine.journal.clone())));
                        }
                        _ => {}
                    }
                }
                self.state = State::Running {
                    since,
                    upgrade: (!confirmed).then_some(machine),
                    reloading,
                };
                out
            }

            // Relaying.
            (
                State::Relaying {
                    since,
                    machine,
                    lost,
                },
                event,
            ) => self.relaying(since, machine, lost, event, now),

            // Stopping.
            (
                State::Stopping {
                    why,
                    started,
                    since,
                    terms,
                    ended,
                    upgrade,
                },
                event,
            ) => self.stopping(why, started, since, terms, ended, upgrade, event, now),

            // Upgrading.
            (State::Delaying(machine), Event::Timer(Timer::Delay)) => {
                self.upgrade_with(machine, |m| {
                    m.step(upgrade::Event::Done {
                        took_ms: 0,
                        changed: true,
                    })
                })
            }
            (State::Delaying(_), Event::Signal(signal)) if signal.stops() => {
                vec![Action::Disarm(Timer::Delay), Action::Exit(Exit::Stopped)]
            }
            (State::Upgrading(_), Event::Signal(signal)) if signal.stops() => {
                // The journal stands at the last finished step; the next start goes on from it.
                vec![Action::Cancel, Action::Exit(Exit::Stopped)]
            }
            (State::Upgrading(machine), Event::StepDone { took_ms, changed }) => self
                .upgrade_with(machine, |m| {
                    m.step(upgrade::Event::Done { took_ms, changed })
                }),
            (State::Upgrading(machine), Event::StepFailed(error)) => {
                self.upgrade_with(machine, |m| {
                    m.step(upgrade::Event::Failed {
                        error,
                        at_s: now.wall_s,
                    })
                })
            }

            // Waiting to start again.
            (State::BackingOff { upgrade }, Event::Timer(Timer::BackOff)) => self.start(upgrade),
            (State::BackingOff { .. }, Event::Signal(signal)) if signal.stops() => {
                vec![Action::Disarm(Timer::BackOff), Action::Exit(Exit::Stopped)]
            }
            (State::BackingOff { .. }, Event::Due(plan)) => {
                let mut actions = vec![Action::Disarm(Timer::BackOff)];
                actions.extend(self.open(plan));
                actions
            }

            // Starting takes no time in which a signal could be acted on; it is sent again by the
            // driver once the node runs. Nothing else concerns the other states.
            (state, _) => {
                self.state = state;
                vec![]
            }
        }
    }

    fn judge(
        &mut self,
        ended: Option<Ended>,
        upgrade: Option<Box<Machine>>,
        ran_for: Duration,
    ) -> Vec<Action> {
        self.state = State::Judging { ended, upgrade };
        vec![Action::Judge {
            ended: ended.map(|ended| (ended, ran_for)),
        }]
    }

    fn open(&mut self, plan: Plan) -> Vec<Action> {
        self.state = State::Opening { up: None };
        vec![Action::OpenJournal(plan)]
    }

    fn start(&mut self, upgrade: Option<Box<Machine>>) -> Vec<Action> {
        self.state = State::Starting { upgrade };
        vec![Action::Spawn]
    }

    fn spawned(&mut self, upgrade: Option<Box<Machine>>, now: Now) -> Vec<Action> {
        let mut out = Vec::new();
        let upgrade = upgrade.map(|mut machine| {
            if machine.step_under_way() == Some(Step::Start) {
                for action in machine.step(upgrade::Event::Done {
                    took_ms: 0,
                    changed: true,
                }) {
                    if action == upgrade::Action::Record {
                        out.push(Action::Record(Box::new(machine.journal.clone())));
                    }
                }
            }
            out.push(Action::Arm(Timer::Outlived, OUTLIVED));
            machine
        });
        self.state = State::Running {
            since: now.mono,
            upgrade,
            reloading: false,
        };
        out
    }

    /// Asks the node to end.
    fn stop(
        &mut self,
        started: Duration,
        why: Why,
        upgrade: Option<Box<Machine>>,
        signal: Signal,
        now: Now,
    ) -> Vec<Action> {
        // The operator's second TERM shortens the grace to nothing; ours is not counted.
        let terms = u32::from(why == Why::Operator && signal == Signal::Term);
        self.state = State::Stopping {
            why,
            started,
            since: now.mono,
            terms,
            ended: None,
            upgrade,
        };
        vec![
            Action::Send(signal),
            Action::Arm(Timer::Grace, self.settings.grace),
        ]
    }

    fn upgrade_with(
        &mut self,
        mut machine: Box<Machine>,
        step: impl FnOnce(&mut Machine) -> Vec<upgrade::Action>,
    ) -> Vec<Action> {
        let actions = step(&mut machine);
        self.translate(machine, actions)
    }

    /// The upgrade's actions as the supervisor's; the start of the node is its own.
    fn translate(&mut self, machine: Box<Machine>, actions: Vec<upgrade::Action>) -> Vec<Action> {
        let mut out = Vec::new();
        for action in actions {
            match action {
                upgrade::Action::Record => {
                    out.push(Action::Record(Box::new(machine.journal.clone())));
                }
                upgrade::Action::Perform(Step::Start) => {
                    self.state = State::Starting {
                        upgrade: Some(machine),
                    };
                    out.push(Action::Spawn);
                    return out;
                }
                upgrade::Action::Perform(Step::Stop) if !self.settings.delay.is_zero() => {
                    // The node is gone by now; what is left of this step is the delay.
                    self.state = State::Delaying(machine);
                    out.push(Action::Arm(Timer::Delay, self.settings.delay));
                    return out;
                }
                upgrade::Action::Perform(step) => out.push(Action::Perform(step)),
                upgrade::Action::LeaveDown => {
                    out.push(Action::Exit(Exit::LeftDown));
                    return out;
                }
                upgrade::Action::GiveUp => {
                    let (step, error) = machine.journal.failure.as_ref().map_or_else(
                        || (Step::Start, String::new()),
                        |failure| (failure.step, failure.error.clone()),
                    );
                    out.push(Action::Exit(Exit::UpgradeFailed { step, error }));
                    return out;
                }
                upgrade::Action::Confirmed => {
                    out.push(Action::Confirmed(Box::new(machine.journal.clone())));
                }
                upgrade::Action::RolledBack => {
                    out.push(Action::RolledBack(Box::new(machine.journal.clone())));
                    self.state = State::Starting { upgrade: None };
                    out.push(Action::Spawn);
                    return out;
                }
            }
        }
        self.state = State::Upgrading(machine);
        out
    }
}

#[cfg(test)]
mod tests;
