//! The node was asked to end, or has ended by itself.

use std::time::Duration;

use super::{Action, Ended, Event, Exit, Life, Now, Signal, State, Timer, Why, crashes};
use crate::config::RestartPolicy;
use crate::upgrade::{self, Machine};

impl Life {
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of the state, taken apart"
    )]
    pub(super) fn stopping(
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
                    Why::Reload => self.judge(None, upgrade, Duration::ZERO),
                    Why::ByItself => {
                        let ran_for = since.saturating_sub(started);
                        if let Some(mut machine) = upgrade {
                            if machine.is_standing() {
                                // Nothing answers any more that would have to be spared.
                                machine.fall_back();
                                return self.upgrade_with(machine, upgrade::Machine::resume);
                            }
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

    /// The node has ended by itself, or never ran, and nothing is due.
    pub(super) fn after_end(
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
        let Some(attempt) = self.crashes.count(now.mono) else {
            return vec![Action::Exit(Exit::CrashLoop(ended))];
        };
        let after = crashes::back_off(attempt);
        self.state = State::BackingOff { upgrade };
        vec![
            Action::Restarting { after, attempt },
            Action::Arm(Timer::BackOff, after),
        ]
    }
}
