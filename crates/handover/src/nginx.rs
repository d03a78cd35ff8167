//! nginx's signals, decided.
//!
//! Whoever has upgraded nginx by hand knows the steps: USR2 starts the new binary beside the old, WINCH puts the old one to sleep,
//! QUIT lets it go; or, if the new one is no good, HUP wakes the old one and QUIT (or TERM at once) ends the new one. This
//! machine follows nginx's table of signals for the master process, in every state, with three differences, each a trap there:
//!
//! * nginx tells "my predecessor still lives" by its parent's pid, and so takes a shell or a container's init for one and refuses USR2
//!   when it runs in the foreground. Here the predecessor's own end is the event.
//! * nginx ignores WINCH in the foreground, because a terminal sends it when its window changes. Here it is ignored only
//!   if there is a terminal.
//! * process 1 of a container may not end while its successor serves: the container would end with it. It stays, passes on what
//!   it is signalled, and ends with the successor.
//!
//! And what has no meaning without worker processes is said to be ignored: HUP to a generation that has not been put to sleep starts a
//! second set of workers in nginx.

use std::fmt;

/// A signal that nginx's master process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Signal {
    Term,
    Int,
    Quit,
    Hup,
    Usr1,
    Usr2,
    Winch,
}

impl Signal {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 7] = [
        Self::Term,
        Self::Int,
        Self::Quit,
        Self::Hup,
        Self::Usr1,
        Self::Usr2,
        Self::Winch,
    ];

    /// Its number on this machine.
    pub(crate) fn number(self) -> i32 {
        use rustix::process::Signal as Number;
        match self {
            Self::Term => Number::TERM,
            Self::Int => Number::INT,
            Self::Quit => Number::QUIT,
            Self::Hup => Number::HUP,
            Self::Usr1 => Number::USR1,
            Self::Usr2 => Number::USR2,
            Self::Winch => Number::WINCH,
        }
        .as_raw()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Hup => "HUP",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
            Self::Winch => "WINCH",
        })
    }
}

/// What the machine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A signal came.
    Signal(Signal),
    /// The successor has committed and serves.
    SuccessorServes {
        /// Whether this generation still accepts beside it. It does not if the handover took away what it would need.
        still_accepts: bool,
    },
    /// The successor failed to start, or has ended since.
    SuccessorGone,
    /// The predecessor has ended.
    PredecessorGone,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Rename `pid` to `pid.oldbin`, then start the successor.
    StartSuccessor {
        /// After the commit this generation sleeps instead of leaving.
        staged: bool,
    },
    /// Accept nothing any more, finish the connections, keep the listeners.
    StopAccepting,
    /// Accept again, on the listeners that were kept. The configuration is the one from before.
    ResumeAccepting,
    /// Rename `pid.oldbin` back to `pid`.
    TakePidFileBack,
    /// Accept nothing any more, finish the connections, remove the own pid file, and exit. A successor that has not committed is ended.
    DrainAndExit,
    /// As `DrainAndExit`, but stay as a shell around the successor until that has ended.
    DrainAndHold,
    /// Remove the own pid file and exit at once. A successor that has not committed is ended.
    ExitNow,
    /// Open the log files anew: the program's callback.
    Reopen,
    /// Read the configuration anew: the program's callback.
    Reload,
    /// Send the signal to the successor.
    Forward(Signal),
    /// Nothing, and say why in the log.
    Ignore {
        /// The reason.
        why: &'static str,
    },
}

/// What does not change while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Surroundings {
    /// There is a controlling terminal, which sends WINCH by itself.
    pub(crate) terminal: bool,
    /// This is process 1 of its pid namespace.
    pub(crate) process_one: bool,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_this_process() -> Self {
        Self {
            terminal: std::fs::File::open("/dev/tty").is_ok(),
            process_one: std::process::id() == 1,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kin {
    // Neither predecessor nor successor lives.
    Alone,
    // It is the new binary, and its predecessor lives.
    Successor,
    // It has started a new binary, which has not committed yet (`serves` is false) or has.
    Predecessor { serves: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up { kin: Kin, accepts: bool },
    // QUIT came.
    Leaving,
    // As process 1, it only stays for its successor.
    Holding,
    Exiting,
}

/// The signals' machine of one generation.
#[derive(Debug)]
pub(crate) struct Machine {
    around: Surroundings,
    state: State,
}

impl Machine {
    /// A generation that begins to serve. `predecessor_lives` if it is the new binary of a staged handover.
    pub(crate) fn new(around: Surroundings, predecessor_lives: bool) -> Self {
        let kin = if predecessor_lives {
            Kin::Successor
        } else {
            Kin::Alone
        };
        Self {
            around,
            state: State::Up { kin, accepts: true },
        }
    }

    /// What is to be done now that this has happened, in this order.
    pub(crate) fn step(&mut self, event: Event) -> Vec<Action> {
        let (state, actions) = match self.state {
            State::Up { kin, accepts } => match event {
                Event::Signal(signal) => self.signalled(kin, accepts, signal),
                Event::SuccessorServes { still_accepts } => succeeded(kin, accepts, still_accepts),
                Event::SuccessorGone => returned(kin, accepts),
                Event::PredecessorGone if kin == Kin::Successor => {
                    let kin = Kin::Alone;
                    (State::Up { kin, accepts }, vec![])
                }
                Event::PredecessorGone => (self.state, vec![]),
            },
            State::Leaving => match event {
                Event::Signal(Signal::Term | Signal::Int) => {
                    (State::Exiting, vec![Action::ExitNow])
                }
                Event::Signal(_) => ignore(State::Leaving, "this generation is leaving already"),
                // The commit was on its way when QUIT came.
                Event::SuccessorServes { .. } if self.around.process_one => {
                    (State::Holding, vec![Action::DrainAndHold])
                }
                _ => (State::Leaving, vec![]),
            },
            State::Holding => match event {
                Event::Signal(Signal::Winch) if self.around.terminal => {
                    ignore(State::Holding, WINDOW)
                }
                Event::Signal(signal) => (State::Holding, vec![Action::Forward(signal)]),
                Event::SuccessorGone => (State::Exiting, vec![Action::ExitNow]),
                _ => (State::Holding, vec![]),
            },
            State::Exiting => match event {
                Event::Signal(_) => ignore(State::Exiting, "this generation is exiting already"),
                _ => (State::Exiting, vec![]),
            },
        };
        self.state = state;
        actions
    }

    fn signalled(&self, kin: Kin, accepts: bool, signal: Signal) -> (State, Vec<Action>) {
        let stays = |action| (State::Up { kin, accepts }, vec![action]);
        let must_hold = self.around.process_one && kin == Kin::Predecessor { serves: true };
        match signal {
            Signal::Term | Signal::Int if must_hold => {
                let actions = vec![Action::Forward(signal), Action::DrainAndHold];
                (State::Holding, actions)
            }
            Signal::Term | Signal::Int => (State::Exiting, vec![Action::ExitNow]),
            Signal::Quit if must_hold => (State::Holding, vec![Action::DrainAndHold]),
            Signal::Quit => (State::Leaving, vec![Action::DrainAndExit]),
            Signal::Usr1 => stays(Action::Reopen),
            Signal::Usr2 => match kin {
                Kin::Alone => (
                    State::Up {
                        kin: Kin::Predecessor { serves: false },
                        accepts,
                    },
                    vec![Action::StartSuccessor { staged: true }],
                ),
                Kin::Successor => stays(Action::Ignore {
                    why: "the predecessor still lives; send it QUIT before the next upgrade, or QUIT here to go back",
                }),
                Kin::Predecessor { .. } => stays(Action::Ignore {
                    why: "a successor runs already; end one of the two before the next upgrade",
                }),
            },
            Signal::Winch if self.around.terminal => stays(Action::Ignore { why: WINDOW }),
            Signal::Winch if !accepts => stays(Action::Ignore {
                why: "this generation is asleep already",
            }),
            Signal::Winch => (
                State::Up {
                    kin,
                    accepts: false,
                },
                vec![Action::StopAccepting],
            ),
            Signal::Hup => match (kin, accepts) {
                (Kin::Predecessor { .. }, true) => stays(Action::Ignore {
                    why: "a successor runs, so the configuration is not read anew, and this generation accepts already",
                }),
                (Kin::Predecessor { .. }, false) => (
                    State::Up { kin, accepts: true },
                    vec![Action::ResumeAccepting],
                ),
                (Kin::Alone | Kin::Successor, true) => stays(Action::Reload),
                (Kin::Alone | Kin::Successor, false) => (
                    State::Up { kin, accepts: true },
                    vec![Action::Reload, Action::ResumeAccepting],
                ),
            },
        }
    }
}

const WINDOW: &str = "a terminal sends WINCH whenever its window changes; it puts a generation to sleep only where there is no terminal";

fn ignore(state: State, why: &'static str) -> (State, Vec<Action>) {
    (state, vec![Action::Ignore { why }])
}

fn succeeded(kin: Kin, accepts: bool, still_accepts: bool) -> (State, Vec<Action>) {
    let (kin, accepts) = match kin {
        // A handover may have been asked for in another way than by USR2.
        Kin::Alone | Kin::Predecessor { .. } => {
            (Kin::Predecessor { serves: true }, accepts && still_accepts)
        }
        Kin::Successor => (kin, accepts),
    };
    (State::Up { kin, accepts }, vec![])
}

// The second roll-back: the new binary is gone, so the old one serves by itself, without being asked to.
fn returned(kin: Kin, accepts: bool) -> (State, Vec<Action>) {
    if !matches!(kin, Kin::Predecessor { .. }) {
        return (State::Up { kin, accepts }, vec![]);
    }
    let mut actions = vec![Action::TakePidFileBack];
    if !accepts {
        actions.push(Action::ResumeAccepting);
    }
    let state = State::Up {
        kin: Kin::Alone,
        accepts: true,
    };
    (state, actions)
}

#[cfg(test)]
#[path = "nginx_tests.rs"]
mod tests;
