//! The node goes on answering while an upgrade is made beside it, or a supervisor finds it running.

use super::{Action, Event, Exit, Life, Lost, Now, OUTLIVED, Purpose, State, Timer, Why};
use crate::upgrade::{self, Journal, Machine, Step};
use std::time::Duration;

impl Life {
    /// The supervisor has begun, and a node serves already.
    pub(super) fn found(
        &mut self,
        journal: Option<Box<Journal>>,
        is_new: bool,
        now: Now,
    ) -> Vec<Action> {
        let Some(journal) = journal else {
            self.state = State::Running {
                since: now.mono,
                upgrade: None,
                reloading: false,
            };
            return vec![];
        };
        let mut machine = Box::new(Machine::new(*journal, self.settings.upgrade));
        if !is_new {
            return self.relay_with(now.mono, machine, upgrade::Machine::resume);
        }
        let actions = if machine.journal.stage == upgrade::Stage::Started {
            vec![]
        } else {
            machine.has_taken_over()
        };
        self.taken_over(machine, actions, now)
    }

    /// The new binary serves; it remains to be seen whether the chain goes on.
    pub(super) fn taken_over(
        &mut self,
        machine: Box<Machine>,
        actions: Vec<upgrade::Action>,
        now: Now,
    ) -> Vec<Action> {
        let mut out = Vec::new();
        for action in actions {
            if action == upgrade::Action::Record {
                out.push(Action::Record(Box::new(machine.journal.clone())));
            }
        }
        out.push(Action::Arm(Timer::Outlived, OUTLIVED));
        self.state = State::Running {
            since: now.mono,
            upgrade: Some(machine),
            reloading: false,
        };
        out
    }

    pub(super) fn relaying(
        &mut self,
        since: Duration,
        mut machine: Box<Machine>,
        lost: Option<Lost>,
        event: Event,
        now: Now,
    ) -> Vec<Action> {
        let finished = match event {
            Event::StepDone { took_ms, changed } => upgrade::Event::Done { took_ms, changed },
            Event::StepFailed(error) | Event::Kept(error) => upgrade::Event::Failed {
                error,
                at_s: now.wall_s,
            },
            Event::Replaced { took_ms } => {
                let actions = machine.step(upgrade::Event::Done {
                    took_ms,
                    changed: true,
                });
                return self.taken_over(machine, actions, now);
            }
            Event::Ended(ended) if lost.is_none() => {
                let lost = Some(Lost {
                    ended,
                    cleared: false,
                    step_ended: machine.step_under_way().is_none(),
                });
                self.state = State::Relaying {
                    since,
                    machine,
                    lost,
                };
                return vec![Action::ClearGroup {
                    grace: self.settings.grace,
                }];
            }
            Event::GroupGone => {
                let lost = lost.map(|lost| Lost {
                    cleared: true,
                    ..lost
                });
                return self.relay_or_fall_back(since, machine, lost);
            }
            Event::GroupStuck(error) => {
                return vec![Action::Cancel, Action::Exit(Exit::Stuck(error))];
            }
            Event::Signal(signal) if signal.stops() => {
                // The journal stands at the last finished step; the next start goes on from it.
                if let Some(lost) = lost {
                    if lost.cleared {
                        return vec![Action::Cancel, Action::Exit(Exit::Stopped)];
                    }
                    self.state = State::Stopping {
                        why: Why::Operator,
                        started: since,
                        since: now.mono,
                        terms: 1,
                        ended: Some(lost.ended),
                        upgrade: None,
                    };
                    return vec![Action::Cancel];
                }
                let mut out = vec![Action::Cancel];
                out.extend(self.stop(since, Why::Operator, None, signal, now));
                return out;
            }
            Event::Signal(signal) if lost.is_none() => {
                self.state = State::Relaying {
                    since,
                    machine,
                    lost,
                };
                return vec![Action::Send(signal)];
            }
            _ => {
                self.state = State::Relaying {
                    since,
                    machine,
                    lost,
                };
                return vec![];
            }
        };
        let Some(lost) = lost else {
            return self.relay_with(since, machine, |m| m.step(finished));
        };
        // What is done is done; what failed may have failed because the node was gone, and is tried again without it.
        if matches!(finished, upgrade::Event::Done { .. }) {
            machine.step(finished);
        }
        let lost = Lost {
            step_ended: true,
            ..lost
        };
        self.relay_or_fall_back(since, machine, Some(lost))
    }

    /// Goes on without the node, once it is gone for good and the step under way has ended.
    pub(super) fn relay_or_fall_back(
        &mut self,
        since: Duration,
        mut machine: Box<Machine>,
        lost: Option<Lost>,
    ) -> Vec<Action> {
        if !lost
            .as_ref()
            .is_some_and(|lost| lost.cleared && lost.step_ended)
        {
            self.state = State::Relaying {
                since,
                machine,
                lost,
            };
            return vec![];
        }
        machine.fall_back();
        let mut out = vec![Action::Record(Box::new(machine.journal.clone()))];
        out.extend(self.upgrade_with(machine, upgrade::Machine::resume));
        out
    }

    /// The actions of an upgrade that is made beside the node.
    pub(super) fn relay_with(
        &mut self,
        since: Duration,
        mut machine: Box<Machine>,
        step: impl FnOnce(&mut Machine) -> Vec<upgrade::Action>,
    ) -> Vec<Action> {
        let actions = step(&mut machine);
        let mut out = Vec::new();
        for action in actions {
            match action {
                upgrade::Action::Record => {
                    out.push(Action::Record(Box::new(machine.journal.clone())));
                }
                upgrade::Action::Perform(Step::HandOver) => {
                    out.push(Action::Replace(Purpose::Upgrade));
                }
                upgrade::Action::Perform(step) => out.push(Action::Perform(step)),
                upgrade::Action::GiveUp => {
                    // The node goes on answering; the operator, or the next start, tries again.
                    self.state = State::Running {
                        since,
                        upgrade: Some(machine),
                        reloading: false,
                    };
                    return out;
                }
                // Of upgrades that are over or whose node is down.
                upgrade::Action::LeaveDown
                | upgrade::Action::Confirmed
                | upgrade::Action::RolledBack => {}
            }
        }
        self.state = State::Relaying {
            since,
            machine,
            lost: None,
        };
        out
    }
}
