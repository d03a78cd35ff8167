//! The namespaces of a node, each in a slot of its own.
//!
//! What takes long is done by tasks that report back; the slots themselves are changed by the node's loop alone.

use std::collections::BTreeMap;

use baton_api::Site;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use crate::control::{Answer, NamespaceReport, NamespaceState};
use crate::namespace::{Name, Running};
use crate::tasks::Death;

/// What tasks report.
pub(super) enum Event {
    /// A namespace was opened, or could not be.
    Started(Name, Result<Box<Running>, String>),
    /// A namespace was closed.
    Stopped(Name),
    /// A part of a namespace died.
    Died(Name, Death),
}

/// Where a namespace is in its life, with what belongs to it there.
enum State {
    Stopped,
    Starting,
    Running(Box<Running>),
    Stopping { after: Option<String> },
    Failed(String),
}

struct Slot {
    state: State,
    /// Who is to be told when it has started or stopped.
    waiting: Vec<oneshot::Sender<Answer>>,
}

/// All slots.
pub(super) struct Slots {
    all: BTreeMap<Name, Slot>,
    site: Site,
    events: mpsc::UnboundedSender<Event>,
}

impl Slots {
    pub(super) fn new(site: Site, events: mpsc::UnboundedSender<Event>) -> Self {
        Self {
            all: BTreeMap::new(),
            site,
            events,
        }
    }

    /// Knows a namespace that does not run.
    pub(super) fn add(&mut self, name: &Name) {
        self.all.entry(name.clone()).or_insert(Slot {
            state: State::Stopped,
            waiting: Vec::new(),
        });
    }

    pub(super) fn has(&self, name: &Name) -> bool {
        self.all.contains_key(name)
    }

    /// A namespace is being started by somebody who will report it.
    pub(super) fn starting(&mut self, name: &Name) -> Result<(), String> {
        let slot = self.slot(name)?;
        match slot.state {
            State::Stopped | State::Failed(_) => {
                slot.state = State::Starting;
                Ok(())
            }
            State::Starting => Err(format!("namespace {name} is being started already")),
            State::Running(_) => Err(format!("namespace {name} runs already")),
            State::Stopping { .. } => Err(format!("namespace {name} is being stopped; try again")),
        }
    }

    /// Answers when the namespace has started or stopped.
    pub(super) fn answer_later(&mut self, name: &Name, answer: oneshot::Sender<Answer>) {
        if let Some(slot) = self.all.get_mut(name) {
            slot.waiting.push(answer);
        }
    }

    /// A namespace has started, or not.
    pub(super) fn started(&mut self, name: &Name, result: Result<Box<Running>, String>) {
        let Some(slot) = self.all.get_mut(name) else {
            return;
        };
        let answer = match result {
            Ok(running) => {
                self.site.mount(name.as_str(), running.api().clone());
                watch_over(name.clone(), &running, self.events.clone());
                info!(namespace = %name, height = running.view().height(), "the namespace runs");
                slot.state = State::Running(running);
                Answer::Done(serde_json::Value::Null)
            }
            Err(why) => {
                error!(namespace = %name, error = why, "the namespace cannot be started");
                slot.state = State::Failed(why.clone());
                Answer::Refused(format!("namespace {name} cannot be started: {why}"))
            }
        };
        slot.tell(&answer);
    }

    /// Begins to stop a namespace.
    pub(super) fn stop(&mut self, name: &Name, after: Option<String>) -> Result<(), String> {
        let (site, events) = (self.site.clone(), self.events.clone());
        let slot = self.slot(name)?;
        match std::mem::replace(&mut slot.state, State::Stopping { after }) {
            State::Running(running) => {
                running.refuse_work();
                site.unmount(name.as_str());
                let name = name.clone();
                tokio::spawn(async move {
                    running.stop().await;
                    // without a receiver the node has ended
                    let _ = events.send(Event::Stopped(name));
                });
                Ok(())
            }
            other => {
                let what = match &other {
                    State::Starting => "is being started; try again",
                    State::Stopping { .. } => "is being stopped already",
                    _ => "does not run",
                };
                slot.state = other;
                Err(format!("namespace {name} {what}"))
            }
        }
    }

    /// A namespace has stopped.
    pub(super) fn stopped(&mut self, name: &Name) {
        let Some(slot) = self.all.get_mut(name) else {
            return;
        };
        let before = std::mem::replace(&mut slot.state, State::Stopped);
        if let State::Stopping { after: Some(why) } = before {
            slot.state = State::Failed(why);
        }
        info!(namespace = %name, "the namespace is stopped");
        slot.tell(&Answer::Done(serde_json::Value::Null));
    }

    /// A part of a namespace died: the namespace is stopped, the others go on.
    pub(super) fn died(&mut self, name: &Name, death: &Death) {
        let why = format!("{} died: {}", death.task, death.why);
        warn!(namespace = %name, why, "the namespace is stopped; the others go on");
        if let Err(error) = self.stop(name, Some(why)) {
            warn!(%error, "it is stopped already");
        }
    }

    /// Forgets a namespace that does not run.
    pub(super) fn forget(&mut self, name: &Name) -> Result<(), String> {
        let slot = self.slot(name)?;
        match slot.state {
            State::Stopped | State::Failed(_) => {
                self.all.remove(name);
                Ok(())
            }
            _ => Err(format!(
                "namespace {name} runs; `batond namespace stop {name}` first"
            )),
        }
    }

    /// Those that run; all others stay as they are.
    pub(super) fn running(&self) -> impl Iterator<Item = (&Name, &Running)> {
        self.all
            .iter()
            .filter_map(|(name, slot)| match &slot.state {
                State::Running(running) => Some((name, &**running)),
                _ => None,
            })
    }

    /// Takes those that run out of their slots, to stop them.
    pub(super) fn take_running(&mut self) -> Vec<(Name, Box<Running>)> {
        let mut taken = Vec::new();
        for (name, slot) in &mut self.all {
            if matches!(slot.state, State::Running(_))
                && let State::Running(running) = std::mem::replace(&mut slot.state, State::Stopped)
            {
                self.site.unmount(name.as_str());
                taken.push((name.clone(), running));
            }
        }
        taken
    }

    /// Whether one is being started or stopped.
    pub(super) fn is_busy(&self) -> bool {
        self.all
            .values()
            .any(|slot| matches!(slot.state, State::Starting | State::Stopping { .. }))
    }

    pub(super) fn reports(&self) -> Vec<NamespaceReport> {
        let report = |(name, slot): (&Name, &Slot)| {
            let (state, failure, report) = match &slot.state {
                State::Stopped => (NamespaceState::Stopped, None, None),
                State::Starting => (NamespaceState::Starting, None, None),
                State::Running(running) => {
                    let report = running.view().report(name);
                    (NamespaceState::Running, None, Some(report))
                }
                State::Stopping { .. } => (NamespaceState::Stopping, None, None),
                State::Failed(why) => (NamespaceState::Failed, Some(why.clone()), None),
            };
            NamespaceReport {
                name: name.clone(),
                state,
                failure,
                report,
            }
        };
        self.all.iter().map(report).collect()
    }

    fn slot(&mut self, name: &Name) -> Result<&mut Slot, String> {
        self.all.get_mut(name).ok_or_else(|| {
            format!("there is no namespace {name}; `batond namespace list` names them")
        })
    }
}

impl Slot {
    fn tell(&mut self, answer: &Answer) {
        for waiting in self.waiting.drain(..) {
            // who asked may have gone
            let _ = waiting.send(answer.clone());
        }
    }
}

fn watch_over(name: Name, running: &Running, events: mpsc::UnboundedSender<Event>) {
    let mut death = running.death();
    tokio::spawn(async move {
        let Ok(found) = death.wait_for(Option::is_some).await else {
            return;
        };
        if let Some(death) = found.clone() {
            let _ = events.send(Event::Died(name, death));
        }
    });
}
