//! Processes that are asked to end, and the end of it all.

use super::{Machine, State};
use crate::life::{Ended, Signal};
use crate::serve::words::{Action, Exit, Generation, Timer, Why};

impl Machine {
    pub(super) fn dismiss(&mut self, generation: Generation, signal: Signal) -> Vec<Action> {
        self.leaving.insert(generation);
        vec![
            Action::Send(generation, signal),
            Action::Arm(Timer::Grace(generation), self.settings.grace),
        ]
    }

    pub(super) fn left(&mut self, generation: Generation, ended: Ended) -> Vec<Action> {
        let mut actions = vec![Action::Disarm(Timer::Grace(generation))];
        if let State::Stopping { exit, served, .. } = &mut self.state {
            if *served == Some(generation) {
                *exit = Exit::Server(ended);
            }
            actions.extend(self.over());
        }
        actions
    }

    pub(super) fn forward(&self, signal: Signal) -> Vec<Action> {
        self.serves()
            .into_iter()
            .chain(self.starts())
            .chain(self.leaving.iter().copied())
            .map(|generation| Action::Send(generation, signal))
            .collect()
    }

    pub(super) fn stop(&mut self, signal: Signal) -> Vec<Action> {
        // The usual request to end is said in the server's own way; other signals are passed on as they are.
        let signal = match signal {
            Signal::Term => self.settings.stop_signal,
            other => other,
        };
        let (served, started) = (self.serves(), self.starts());
        let asked = match &mut self.state {
            State::Idle => {
                self.state = State::Over;
                return vec![Action::Exit(Exit::Stopped)];
            }
            State::Over => return vec![],
            State::Stopping { asked, .. } => {
                *asked += 1;
                // The second request shortens the grace to nothing; one may have come before, from elsewhere.
                let signal = if *asked > 1 { Signal::Kill } else { signal };
                let leaving = self.leaving.iter();
                return leaving.map(|it| Action::Send(*it, signal)).collect();
            }
            State::BackingOff => {
                let mut actions = vec![Action::Disarm(Timer::BackOff)];
                actions.extend(self.end(Exit::Stopped, None));
                return self.stopped_once(actions);
            }
            State::Starting { asked, .. } => *asked,
            State::Serving(_) => false,
            State::Reloading { .. } => true,
        };
        let mut actions = Vec::new();
        if let Some(new) = started {
            actions.push(Action::Disarm(Timer::Ready(new)));
            actions.extend(self.dismiss(new, signal));
            if asked {
                actions.push(Action::NotReloaded {
                    generation: new,
                    why: Why::Stopped,
                    serves: None,
                });
            }
        }
        if let Some(served) = served {
            actions.extend(self.dismiss(served, signal));
        }
        let exit = Exit::Stopped;
        actions.extend(self.end(exit, served.or(started)));
        self.stopped_once(actions)
    }

    fn stopped_once(&mut self, actions: Vec<Action>) -> Vec<Action> {
        if let State::Stopping { asked, .. } = &mut self.state {
            *asked = 1;
        }
        actions
    }

    /// Ends once everybody who leaves has left.
    pub(super) fn end(&mut self, exit: Exit, served: Option<Generation>) -> Vec<Action> {
        self.state = State::Stopping {
            exit,
            served,
            asked: 0,
        };
        self.over().into_iter().collect()
    }

    fn over(&mut self) -> Option<Action> {
        if !self.leaving.is_empty() {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Stopping { exit, .. } => Some(Action::Exit(exit)),
            state => {
                self.state = state;
                None
            }
        }
    }
}
