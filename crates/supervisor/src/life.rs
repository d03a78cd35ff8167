//! The life of a node under its supervisor, as a plain state machine: no I/O, no clock.
//!
//! ```text
//!             ┌──────────────── back-off ◄──────────────┐
//!             ▼                                         │
//! Judging ─► Starting ─► Running ─► Stopping ─► Judging ┤
//!    │                                  │               └─► Over
//!    └────────► Upgrading ◄─────────────┘
//!                  └─► Starting
//! ```
//!
//! The driver ([`crate::run`]) performs the [`Action`]s and feeds back [`Event`]s. Whether a plan
//! is due is not decided here but in [`crate::due`]; what comes next in an upgrade, in
//! [`crate::upgrade::machine`].

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::RestartPolicy;
use crate::plan::Plan;
use crate::upgrade::{self, Journal, Machine, Step};

/// How many crashes within [`CRASH_WINDOW`] end the restarts.
pub const CRASH_LIMIT: usize = 5;
/// The window of [`CRASH_LIMIT`].
pub const CRASH_WINDOW: Duration = Duration::from_mins(10);
/// The longest wait before a restart.
pub const MAX_BACK_OFF: Duration = Duration::from_mins(1);
/// An upgrade whose node gives no height is taken as confirmed after this.
pub const OUTLIVED: Duration = Duration::from_mins(10);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A signal that concerns the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ask it to end.
    Term,
    /// Ask it to end, from a terminal.
    Int,
    /// Ask it to end, with a dump.
    Quit,
    /// Whatever the node does with it.
    Hup,
    /// Whatever the node does with it.
    Usr1,
    /// Whatever the node does with it.
    Usr2,
    /// The terminal has another size.
    Winch,
    /// End it.
    Kill,
}

/// What the driver is asked to wake the machine for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The node has had its time to end.
    Grace,
    /// `DAEMON_RESTART_DELAY` between the end of the node and the upgrade.
    Delay,
    /// The wait before a restart.
    BackOff,
    /// [`OUTLIVED`].
    Outlived,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The supervisor has begun; an interrupted upgrade is in the journal.
    Begin(Option<Box<Journal>>),
    /// The journal asked for is open and on disk.
    Opened(Box<Journal>),
    /// The journal cannot be written.
    NotRecorded(String),
    /// With the node down, a plan was found due or not.
    Judged(Option<Plan>),
    /// With the node up, a plan was found due.
    Due(Plan),
    /// The node was started.
    Spawned,
    /// The node could not be started.
    SpawnFailed(String),
    /// The node ended.
    Ended(Ended),
    /// No process of the node is left.
    GroupGone,
    /// A process of the node cannot be ended.
    GroupStuck(String),
    /// The supervisor got a signal.
    Signal(Signal),
    /// A timer ran out.
    Timer(Timer),
    /// The upgrade's step is done.
    StepDone {
        /// How long it took, in milliseconds.
        took_ms: u64,
        /// Whether there was anything to do.
        changed: bool,
    },
    /// The upgrade's step failed.
    StepFailed(String),
    /// The chain was seen at this height.
    Height(u64),
}

/// The moment of an event, by two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the supervisor began; never goes back.
    pub mono: Duration,
    /// Seconds since 1970; may jump.
    pub wall_s: i64,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Decide whether a plan is due with the node down; answer [`Event::Judged`].
    Judge {
        /// How the node ended, and how long it lived; `None` before the first start.
        ended: Option<(Ended, Duration)>,
    },
    /// Start the current release.
    Spawn,
    /// Send a signal to the node.
    Send(Signal),
    /// End what is left of the node's processes; answer [`Event::GroupGone`].
    ClearGroup {
        /// How long they have before they are killed.
        grace: Duration,
    },
    /// Wake the machine later.
    Arm(Timer, Duration),
    /// No longer.
    Disarm(Timer),
    /// Begin the journal of an upgrade to this plan; answer [`Event::Opened`].
    OpenJournal(Plan),
    /// Write this journal, durably, before anything that follows.
    Record(Box<Journal>),
    /// Perform a step of the upgrade; answer with `StepDone` or `StepFailed`.
    Perform(Step),
    /// Break off the step under way.
    Cancel,
    /// Tell that the upgrade is confirmed.
    Confirmed(Box<Journal>),
    /// Tell that the upgrade was rolled back.
    RolledBack(Box<Journal>),
    /// Tell that the node is started again later.
    Restarting {
        /// After this time.
        after: Duration,
        /// The how-manieth time in a row.
        attempt: u32,
    },
    /// The supervisor ends.
    Exit(Exit),
}

/// How the supervisor ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The node ended, and the supervisor with it.
    Node(Ended),
    /// The operator stopped the supervisor while no node ran.
    Stopped,
    /// The upgrade is made, and the operator starts the node himself.
    LeftDown,
    /// A step of an upgrade failed.
    UpgradeFailed {
        /// Which.
        step: Step,
        /// Why.
        error: String,
    },
    /// The journal of an upgrade cannot be written.
    NotRecorded(String),
    /// The node could not be started.
    CannotStart(String),
    /// The node crashed too often.
    CrashLoop(Ended),
    /// Processes of the node cannot be ended.
    Stuck(String),
}

/// What the operator configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long the node has to end.
    pub grace: Duration,
    /// How long to wait between the end of the node and the upgrade.
    pub delay: Duration,
    /// When to start an ended node again.
    pub restart: RestartPolicy,
    /// How upgrades are made.
    pub upgrade: upgrade::Policy,
}

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
    Running {
        since: Duration,
        upgrade: Option<Box<Machine>>,
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
    /// The node is down and the journal of a due plan is being opened.
    Opening,
    /// `DAEMON_RESTART_DELAY` runs.
    Delaying(Box<Machine>),
    Upgrading(Box<Machine>),
    BackingOff {
        upgrade: Option<Box<Machine>>,
    },
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Operator,
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
    crashes: VecDeque<Duration>,
    attempt: u32,
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
            crashes: VecDeque::new(),
            attempt: 0,
        }
    }

    /// The upgrade under way or not yet confirmed.
    pub fn upgrade(&self) -> Option<&Machine> {
        match &self.state {
            State::Upgrading(machine) | State::Delaying(machine) => Some(machine),
            State::Judging { upgrade, .. }
            | State::Starting { upgrade }
            | State::Running { upgrade, .. }
            | State::Stopping { upgrade, .. }
            | State::BackingOff { upgrade } => upgrade.as_deref(),
            State::Opening | State::Over => None,
        }
    }

    /// The journal of the upgrade under way, for the steps to add what they made.
    #[expect(
        clippy::match_same_arms,
        reason = "the machines lie in different places"
    )]
    pub fn journal_mut(&mut self) -> Option<&mut Journal> {
        match &mut self.state {
            State::Upgrading(machine) | State::Delaying(machine) => Some(&mut machine.journal),
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
        matches!(self.state, State::Running { .. })
    }

    /// How the state is called in `status`.
    pub fn state_name(&self) -> &'static str {
        match &self.state {
            State::Judging { .. } => "judging",
            State::Starting { .. } => "starting",
            State::Running { .. } => "running",
            State::Stopping { .. } => "stopping",
            State::Opening | State::Delaying(_) | State::Upgrading(_) => "upgrading",
            State::BackingOff { .. } => "backing-off",
            State::Over => "over",
        }
    }

    /// Takes in what happened; says what to do, in order.
    #[expect(clippy::match_same_arms, reason = "one arm for each state and event")]
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, event) {
            (State::Over, _) => vec![],

            // Beginning.
            (State::Judging { .. }, Event::Begin(Some(journal))) => {
                let machine = Box::new(Machine::new(*journal, self.settings.upgrade));
                self.upgrade_with(machine, upgrade::Machine::resume)
            }
            (State::Judging { .. }, Event::Begin(None)) => self.judge(None, None, now.mono),

            // No node: upgrade, start, or end.
            (State::Judging { .. }, Event::Judged(Some(plan))) => self.open(plan),
            (State::Judging { ended, upgrade }, Event::Judged(None)) => {
                self.after_end(ended, upgrade, now)
            }

            (State::Opening, Event::Opened(journal)) => {
                let machine = Box::new(Machine::new(*journal, self.settings.upgrade));
                self.upgrade_with(machine, upgrade::Machine::resume)
            }
            (State::Opening | State::Upgrading(_), Event::NotRecorded(error)) => {
                vec![Action::Cancel, Action::Exit(Exit::NotRecorded(error))]
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
            (State::Running { since, upgrade }, Event::Due(plan)) => {
                // The request to end comes first: writing the journal may take the disk a while,
                // and a crash in between finds the plan in the file still.
                let mut actions = vec![
                    Action::Send(Signal::Term),
                    Action::Arm(Timer::Grace, self.settings.grace),
                    Action::OpenJournal(plan),
                ];
                if upgrade.is_some() {
                    actions.push(Action::Disarm(Timer::Outlived));
                }
                self.state = State::Stopping {
                    why: Why::Upgrade,
                    started: since,
                    since: now.mono,
                    terms: 0,
                    ended: None,
                    upgrade: None,
                };
                actions
            }
            (State::Running { since, upgrade }, Event::Signal(signal)) => {
                let mut actions = vec![Action::Send(signal)];
                if signal.stops() {
                    actions.push(Action::Arm(Timer::Grace, self.settings.grace));
                    self.state = State::Stopping {
                        why: Why::Operator,
                        started: since,
                        since: now.mono,
                        terms: u32::from(signal == Signal::Term),
                        ended: None,
                        upgrade,
                    };
                } else {
                    self.state = State::Running { since, upgrade };
                }
                actions
            }
            (State::Running { since, upgrade }, Event::Ended(ended)) => {
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
                };
                out
            }

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
        self.state = State::Opening;
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
        };
        out
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of the state, taken apart"
    )]
    fn stopping(
        &mut self,
        mut why: Why,
        started: Duration,
        since: Duration,
        mut terms: u32,
        mut ended: Option<Ended>,
        mut upgrade: Option<Box<Machine>>,
        event: Event,
        now: Now,
    ) -> Vec<Action> {
        let out = match event {
            Event::Opened(journal) => {
                upgrade = Some(Box::new(Machine::new(*journal, self.settings.upgrade)));
                vec![]
            }
            Event::NotRecorded(error) if why == Why::Upgrade => {
                why = Why::Unrecorded(error);
                vec![]
            }
            Event::Signal(signal) => {
                terms += u32::from(signal == Signal::Term);
                let mut out = Vec::new();
                if ended.is_none() {
                    out.push(Action::Send(signal));
                    if signal == Signal::Term && terms > 1 {
                        out.push(Action::Send(Signal::Kill));
                    }
                }
                if signal.stops() {
                    // Whatever was going on, the operator now wants it down.
                    why = Why::Operator;
                }
                out
            }
            Event::Timer(Timer::Grace) if ended.is_none() => vec![Action::Send(Signal::Kill)],
            Event::Ended(how) => {
                ended = Some(how);
                let spent = now.mono.saturating_sub(since);
                vec![
                    Action::Disarm(Timer::Grace),
                    Action::ClearGroup {
                        grace: self.settings.grace.saturating_sub(spent),
                    },
                ]
            }
            Event::GroupStuck(error) => return vec![Action::Exit(Exit::Stuck(error))],
            Event::GroupGone => {
                let ended = ended.unwrap_or(Ended::Code(0));
                return match why {
                    Why::Operator => vec![Action::Exit(Exit::Node(ended))],
                    Why::Unrecorded(error) => vec![Action::Exit(Exit::NotRecorded(error))],
                    Why::Upgrade => match upgrade {
                        Some(machine) => self.upgrade_with(machine, upgrade::Machine::resume),
                        None => vec![Action::Exit(Exit::NotRecorded(
                            "the journal was not opened".to_owned(),
                        ))],
                    },
                    Why::ByItself => {
                        let ran_for = since.saturating_sub(started);
                        if let Some(mut machine) = upgrade {
                            let actions = machine.step(upgrade::Event::Died { at_s: now.wall_s });
                            if !matches!(actions.as_slice(), [upgrade::Action::Record]) {
                                return self.translate(machine, actions);
                            }
                            let mut out = vec![Action::Record(Box::new(machine.journal.clone()))];
                            out.extend(self.judge(Some(ended), Some(machine), ran_for));
                            return out;
                        }
                        self.judge(Some(ended), None, ran_for)
                    }
                };
            }
            _ => vec![],
        };
        self.state = State::Stopping {
            why,
            started,
            since,
            terms,
            ended,
            upgrade,
        };
        out
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

    /// The node has ended by itself, or never ran, and nothing is due.
    fn after_end(
        &mut self,
        ended: Option<Ended>,
        upgrade: Option<Box<Machine>>,
        now: Now,
    ) -> Vec<Action> {
        let Some(ended) = ended else {
            return self.start(upgrade);
        };
        let restart = match self.settings.restart {
            RestartPolicy::Never => false,
            RestartPolicy::OnFailure => ended != Ended::Code(0),
            RestartPolicy::Always => true,
        };
        if !restart {
            return vec![Action::Exit(Exit::Node(ended))];
        }
        while self
            .crashes
            .front()
            .is_some_and(|crash| now.mono.saturating_sub(*crash) > CRASH_WINDOW)
        {
            self.crashes.pop_front();
        }
        self.crashes.push_back(now.mono);
        if self.crashes.len() >= CRASH_LIMIT {
            return vec![Action::Exit(Exit::CrashLoop(ended))];
        }
        self.attempt = u32::try_from(self.crashes.len()).unwrap_or(u32::MAX);
        let after = Duration::from_secs(1 << (self.attempt - 1).min(6)).min(MAX_BACK_OFF);
        self.state = State::BackingOff { upgrade };
        vec![
            Action::Restarting {
                after,
                attempt: self.attempt,
            },
            Action::Arm(Timer::BackOff, after),
        ]
    }
}

impl Signal {
    /// The operator wants the node to end.
    pub fn stops(self) -> bool {
        matches!(self, Self::Term | Self::Int | Self::Quit)
    }

    /// Its name, as `kill -l` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Hup => "SIGHUP",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Winch => "SIGWINCH",
            Self::Kill => "SIGKILL",
        }
    }
}

impl Ended {
    /// As Go's `ExitError` says it, which is what upstream prints.
    pub fn text(self) -> String {
        match self {
            Self::Code(code) => format!("exit status {code}"),
            Self::Signal(signal) => format!("signal: {}", signal_name(signal)),
        }
    }

    /// As a shell tells it: the code, or 128 and the signal.
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// A signal in the words of Go's `syscall.Signal.String` on Linux.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
