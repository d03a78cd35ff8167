//! The life of a server whose sockets are held for it, as a plain state machine: no I/O, no clock.
//!
//! ```text
//!                 ┌─────────── BackingOff ◄───────────┐ it died, and is to be started again
//!                 ▼                                   │
//!  Begin ──► Starting ──ready──► Serving ──────────►──┤
//!                 ▲              │  ▲  ▲               └─► Stopping ──► Over
//!  the old one    │       reload │  │  │ not ready, dead: the old one serves on
//!  died meanwhile │              ▼  │  │
//!                 └───────── Reloading ┘ ready: the new one serves, the old one is asked to end
//! ```
//!
//! The sockets are the supervisor's, so nobody is refused in any of these states; the kernel queues. Of two processes that have them both
//! accept. So the rule is that of listeners, **two owners beat zero**: the old process is not asked to end before the new one is ready.
//! That event, `Ready`, is the commit: before it every failure leaves the old process as it was; after it the new one is the server, and
//! the old one may only finish.
//!
//! Those that were asked to end are `leaving`, whatever else happens: each has its grace, and is killed after it.

mod stopping;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::RestartPolicy;
use crate::life::crashes::{Crashes, back_off};
use crate::life::{Ended, Signal};
use crate::serve::words::{Action, Event, Exit, Generation, Settings, Standing, Timer, Why};

/// How many processes may be leaving at once. Each may have long work to finish; more mean that reloads come faster than that ends.
pub const MAX_LEAVING: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    /// Before the beginning.
    Idle,
    Starting {
        new: Generation,
        /// For an operator who waits for an answer.
        asked: bool,
    },
    Serving(Generation),
    Reloading {
        old: Generation,
        new: Generation,
    },
    BackingOff,
    /// Everybody is leaving.
    Stopping {
        exit: Exit,
        /// Whose exit code is to be ours.
        served: Option<Generation>,
        /// How often the operator has asked.
        asked: u32,
    },
    Over,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    settings: Settings,
    state: State,
    leaving: BTreeSet<Generation>,
    last: Generation,
    /// Some process was ready once: what fails from here on is not the command line.
    proven: bool,
    crashes: Crashes,
}

impl Machine {
    /// A life about to begin.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Idle,
            leaving: BTreeSet::new(),
            last: 0,
            proven: false,
            crashes: Crashes::default(),
        }
    }

    /// How things stand.
    pub fn standing(&self) -> Standing {
        match self.state {
            State::Idle | State::Starting { .. } => Standing::Starting,
            State::Serving(_) => Standing::Serving,
            State::Reloading { .. } => Standing::Reloading,
            State::BackingOff => Standing::BackingOff,
            State::Stopping { .. } => Standing::Stopping,
            State::Over => Standing::Over,
        }
    }

    /// The process that serves.
    pub fn serves(&self) -> Option<Generation> {
        match self.state {
            State::Serving(serves) | State::Reloading { old: serves, .. } => Some(serves),
            _ => None,
        }
    }

    /// The process that is being started.
    pub fn starts(&self) -> Option<Generation> {
        match self.state {
            State::Starting { new, .. } | State::Reloading { new, .. } => Some(new),
            _ => None,
        }
    }

    /// Takes in what happened; says what to do, in order. `now` is the time since the beginning.
    pub fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        // Whoever leaves does so in the same way in every state.
        match &event {
            Event::Ended(generation, ended) if self.leaving.remove(generation) => {
                return self.left(*generation, *ended);
            }
            Event::NotStarted(generation, _) if self.leaving.remove(generation) => {
                return self.left(*generation, Ended::Code(1));
            }
            Event::Timer(Timer::Grace(generation)) => {
                let is_late = self.leaving.contains(generation);
                let kill = Action::Send(*generation, Signal::Kill);
                return is_late.then_some(kill).into_iter().collect();
            }
            Event::Signal(signal) if signal.stops() => return self.stop(*signal),
            Event::Signal(signal) => return self.forward(*signal),
            _ => {}
        }
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, event) {
            (State::Idle, Event::Begin) | (State::BackingOff, Event::Timer(Timer::BackOff)) => {
                self.start(false)
            }

            (State::Starting { new, asked }, event) => self.starting(new, asked, event, now),

            (State::Serving(serves), Event::Ended(generation, ended)) if generation == serves => {
                self.lost(serves, Why::Ended(ended), now)
            }
            (State::Serving(serves), Event::Reload) if self.leaving.len() >= MAX_LEAVING => {
                self.state = State::Serving(serves);
                vec![Action::Refused(
                    "too many former processes still finish their work; wait, or shorten --grace",
                )]
            }
            (State::Serving(old), Event::Reload) => {
                let new = self.next();
                self.state = State::Reloading { old, new };
                self.begin(new)
            }

            (State::Reloading { old, new }, event) => self.reloading(old, new, event, now),

            (State::BackingOff, Event::Reload) => {
                let mut actions = vec![Action::Disarm(Timer::BackOff)];
                actions.extend(self.start(true));
                actions
            }

            // Nothing else concerns the other states.
            (state, event) => {
                self.state = state;
                match event {
                    Event::Reload => vec![Action::Refused("it is being stopped")],
                    _ => vec![],
                }
            }
        }
    }

    fn starting(
        &mut self,
        new: Generation,
        asked: bool,
        event: Event,
        now: Duration,
    ) -> Vec<Action> {
        let why = match event {
            Event::Ready(generation) if generation == new => {
                self.state = State::Serving(new);
                self.proven = true;
                let mut actions = vec![Action::Disarm(Timer::Ready(new)), Action::Serves(new)];
                if asked {
                    self.crashes = Crashes::default();
                    actions.push(Action::Reloaded(new));
                }
                return actions;
            }
            Event::Timer(Timer::Ready(generation)) if generation == new => Why::Late,
            Event::Ended(generation, ended) if generation == new => Why::Ended(ended),
            Event::NotStarted(generation, error) if generation == new => Why::NotStarted(error),
            event => {
                self.state = State::Starting { new, asked };
                return match event {
                    Event::Reload => vec![Action::Refused("a process is being started already")],
                    _ => vec![],
                };
            }
        };
        let mut actions = self.given_up(new, &why);
        if asked {
            actions.push(Action::NotReloaded {
                generation: new,
                why: why.clone(),
                serves: None,
            });
        }
        actions.extend(self.lost(new, why, now));
        actions
    }

    fn reloading(
        &mut self,
        old: Generation,
        new: Generation,
        event: Event,
        now: Duration,
    ) -> Vec<Action> {
        let why = match event {
            Event::Ready(generation) if generation == new => {
                self.state = State::Serving(new);
                // Another program perhaps, with no crashes yet.
                self.crashes = Crashes::default();
                let mut actions = vec![Action::Disarm(Timer::Ready(new)), Action::Serves(new)];
                actions.extend(self.dismiss(old, self.settings.stop_signal));
                actions.push(Action::Reloaded(new));
                return actions;
            }
            Event::Ended(generation, ended) if generation == old => {
                // The next one is on its way already: sooner than any restart.
                self.state = State::Starting { new, asked: true };
                let _ = self.crashes.count(now);
                let why = Why::Ended(ended);
                return vec![Action::Lost {
                    generation: old,
                    why,
                }];
            }
            Event::Timer(Timer::Ready(generation)) if generation == new => Why::Late,
            Event::Ended(generation, ended) if generation == new => Why::Ended(ended),
            Event::NotStarted(generation, error) if generation == new => Why::NotStarted(error),
            event => {
                self.state = State::Reloading { old, new };
                return match event {
                    Event::Reload => vec![Action::Refused("a reload is under way already")],
                    _ => vec![],
                };
            }
        };
        self.state = State::Serving(old);
        let mut actions = self.given_up(new, &why);
        actions.push(Action::NotReloaded {
            generation: new,
            why,
            serves: Some(old),
        });
        actions
    }

    /// Nobody serves any more. A server that never was ready is not started again: what is wrong is how it was called.
    fn lost(&mut self, generation: Generation, why: Why, now: Duration) -> Vec<Action> {
        let mut actions = vec![Action::Lost {
            generation,
            why: why.clone(),
        }];
        let restart = match (self.settings.restart, &why) {
            (RestartPolicy::Never, _) => false,
            (RestartPolicy::OnFailure, why) => *why != Why::Ended(Ended::Code(0)),
            (RestartPolicy::Always, _) => true,
        };
        let crash = self.crashes.count(now);
        let exit = match (&why, crash) {
            (Why::Ended(ended), _) if self.proven && !restart => Exit::Server(*ended),
            _ if !self.proven || !restart => Exit::NeverReady(why),
            (_, None) => Exit::CrashLoop(why),
            (_, Some(crash)) => {
                // At once the first time, since clients wait.
                let after = match crash {
                    1 => Duration::ZERO,
                    more => back_off(more - 1),
                };
                self.state = State::BackingOff;
                actions.push(Action::Restarting { after, crash });
                actions.push(Action::Arm(Timer::BackOff, after));
                return actions;
            }
        };
        actions.extend(self.end(exit, None));
        actions
    }

    fn start(&mut self, asked: bool) -> Vec<Action> {
        let new = self.next();
        self.state = State::Starting { new, asked };
        self.begin(new)
    }

    fn next(&mut self) -> Generation {
        self.last += 1;
        self.last
    }

    fn begin(&self, new: Generation) -> Vec<Action> {
        vec![
            Action::Arm(Timer::Ready(new), self.settings.ready_within),
            Action::Start(new),
        ]
    }

    /// What is left to do about a process that does not serve after all.
    fn given_up(&mut self, new: Generation, why: &Why) -> Vec<Action> {
        match why {
            // It may have accepted connections, and finishes them.
            Why::Late => self.dismiss(new, self.settings.stop_signal),
            _ => vec![Action::Disarm(Timer::Ready(new))],
        }
    }
}

#[cfg(test)]
mod orders_tests;
#[cfg(test)]
mod tests;
