//! The namespaces of a node, each in a slot of its own.
//!
//! What takes long is done elsewhere and reported; the slots themselves are changed for moments, by the node's loop and
//! by whoever opens and closes all of them for a handover.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_api::Site;
use baton_wallet::reservation::Reserved;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::inheritance::Was;
use crate::control::{Answer, NamespaceReport, NamespaceState};
use crate::namespace::{Closing, Legacy, Name, Running, View};
use crate::tasks::Death;

/// How often it is looked whether a namespace that is on its way has arrived, should nobody say so.
const LOOK: Duration = Duration::from_millis(100);

/// What tasks report.
pub(super) enum Event {
    /// A namespace was opened and has begun, or could not be.
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
    Stopping {
        after: Option<String>,
    },
    Failed(String),
    /// Being closed together with all others.
    Leaving,
    /// Closed, to be opened by whoever holds the node's parts next.
    Left(Legacy),
}

struct Slot {
    state: State,
    /// The last view of it, for those who ask while it is not open.
    view: Option<View>,
    /// Who is to be told when it has started or stopped.
    waiting: Vec<oneshot::Sender<Answer>>,
}

type All = BTreeMap<Name, Slot>;

/// All slots. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(super) struct Slots(Arc<Shared>);

struct Shared {
    all: Mutex<All>,
    changed: Condvar,
    site: Site,
    events: mpsc::UnboundedSender<Event>,
    /// The node's own threads.
    runtime: Handle,
}

impl Slots {
    /// No slots yet; to be called within the node's own runtime.
    pub(super) fn new(site: Site, events: mpsc::UnboundedSender<Event>) -> Self {
        Self(Arc::new(Shared {
            all: Mutex::default(),
            changed: Condvar::new(),
            site,
            events,
            runtime: Handle::current(),
        }))
    }

    /// Whoever has changed a state says so by [`Self::tell_change`].
    fn all(&self) -> MutexGuard<'_, All> {
        // each change below the lock is whole before anything can panic
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_change(&self) {
        self.0.changed.notify_all();
    }

    pub(super) fn events(&self) -> mpsc::UnboundedSender<Event> {
        self.0.events.clone()
    }

    /// Knows a namespace that does not run; one that it knows stays as it is. Says whether it is new.
    pub(super) fn add(&self, name: &Name) -> bool {
        let mut all = self.all();
        let new = !all.contains_key(name);
        if new {
            all.insert(name.clone(), Slot::new(State::Stopped));
        }
        new
    }

    /// Knows a namespace as another process, or the settings, left it.
    pub(super) fn inherit(&self, name: &Name, was: Was) {
        let state = match was {
            Was::Running(legacy) => State::Left(legacy),
            Was::Stopped => State::Stopped,
            Was::Failed(why) => State::Failed(why),
        };
        self.all().insert(name.clone(), Slot::new(state));
    }

    /// How all namespaces were left.
    pub(super) fn bequest(&self) -> BTreeMap<Name, Was> {
        let all = self.all();
        let was = |(name, slot): (&Name, &Slot)| {
            let was = match &slot.state {
                State::Left(legacy) => Was::Running(legacy.clone()),
                State::Failed(why) => Was::Failed(why.clone()),
                _ => Was::Stopped,
            };
            (name.clone(), was)
        };
        all.iter().map(was).collect()
    }

    /// What the wallets of those that were left had reserved.
    pub(super) fn reserved(&self) -> BTreeMap<Name, Reserved> {
        let all = self.all();
        let reserved = |(name, slot): (&Name, &Slot)| match &slot.state {
            State::Left(legacy) if !legacy.reserved().is_nothing() => {
                Some((name.clone(), legacy.reserved().clone()))
            }
            _ => None,
        };
        all.iter().filter_map(reserved).collect()
    }

    pub(super) fn has(&self, name: &Name) -> bool {
        self.all().contains_key(name)
    }

    /// What is known of a namespace, also while it is closed for a handover.
    pub(super) fn view(&self, name: &Name) -> Option<View> {
        self.all().get(name)?.view.clone()
    }

    /// What is known of a namespace that runs.
    pub(super) fn running_view(&self, name: &Name) -> Option<View> {
        match self.all().get(name) {
            Some(Slot {
                state: State::Running(running),
                ..
            }) => Some(running.view().clone()),
            _ => None,
        }
    }

    /// A namespace is being started by somebody who will report it.
    pub(super) fn starting(&self, name: &Name) -> Result<(), String> {
        let mut all = self.all();
        let slot = slot(&mut all, name)?;
        match slot.state {
            State::Stopped | State::Failed(_) => {
                slot.state = State::Starting;
                Ok(())
            }
            State::Starting => Err(format!("namespace {name} is being started already")),
            State::Running(_) => Err(format!("namespace {name} runs already")),
            State::Stopping { .. } | State::Leaving | State::Left(_) => {
                Err(format!("namespace {name} is being stopped; try again"))
            }
        }
    }

    /// Answers when the namespace has started or stopped.
    pub(super) fn answer_later(&self, name: &Name, answer: oneshot::Sender<Answer>) {
        if let Some(slot) = self.all().get_mut(name) {
            slot.waiting.push(answer);
        }
    }

    /// A namespace has started, or not.
    pub(super) fn started(&self, name: &Name, result: Result<Box<Running>, String>) {
        let mut all = self.all();
        let Some(slot) = all.get_mut(name) else {
            return;
        };
        let answer = match result {
            Ok(running) => {
                self.0.site.mount(name.as_str(), running.api().clone());
                let death = running.death();
                self.0
                    .runtime
                    .spawn(watch_over(name.clone(), death, self.events()));
                info!(namespace = %name, height = running.view().height(), "the namespace runs");
                slot.view = Some(running.view().clone());
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
        drop(all);
        self.tell_change();
    }

    /// Begins to stop a namespace.
    pub(super) fn stop(&self, name: &Name, after: Option<String>) -> Result<(), String> {
        let mut all = self.all();
        let slot = slot(&mut all, name)?;
        match std::mem::replace(&mut slot.state, State::Stopping { after }) {
            State::Running(running) => {
                running.refuse_work();
                slot.view = None;
                self.0.site.unmount(name.as_str());
                let (name, events) = (name.clone(), self.events());
                self.0.runtime.spawn_blocking(move || {
                    running.close(Closing::Stop);
                    // without a receiver the node has ended
                    let _ = events.send(Event::Stopped(name));
                });
                Ok(())
            }
            other => {
                let what = match &other {
                    State::Starting => "is being started; try again",
                    State::Stopping { .. } | State::Leaving | State::Left(_) => {
                        "is being stopped already"
                    }
                    _ => "does not run",
                };
                slot.state = other;
                Err(format!("namespace {name} {what}"))
            }
        }
    }

    /// A namespace has stopped.
    pub(super) fn stopped(&self, name: &Name) {
        let mut all = self.all();
        let Some(slot) = all.get_mut(name) else {
            return;
        };
        let before = std::mem::replace(&mut slot.state, State::Stopped);
        if let State::Stopping { after: Some(why) } = before {
            slot.state = State::Failed(why);
        }
        info!(namespace = %name, "the namespace is stopped");
        slot.tell(&Answer::Done(serde_json::Value::Null));
        drop(all);
        self.tell_change();
    }

    /// A part of a namespace died: the namespace is stopped, the others go on.
    pub(super) fn died(&self, name: &Name, death: &Death) {
        let why = format!("{} died: {}", death.task, death.why);
        warn!(namespace = %name, why, "the namespace is stopped; the others go on");
        if let Err(error) = self.stop(name, Some(why)) {
            warn!(%error, "it is stopped already");
        }
    }

    /// Forgets a namespace that does not run.
    pub(super) fn forget(&self, name: &Name) -> Result<(), String> {
        let mut all = self.all();
        match slot(&mut all, name)?.state {
            State::Stopped | State::Failed(_) => {
                all.remove(name);
                Ok(())
            }
            _ => Err(format!(
                "namespace {name} runs; `batond namespace stop {name}` first"
            )),
        }
    }

    /// What is known of those that run.
    pub(super) fn running(&self) -> Vec<(Name, View)> {
        let all = self.all();
        let running = |(name, slot): (&Name, &Slot)| match &slot.state {
            State::Running(running) => Some((name.clone(), running.view().clone())),
            _ => None,
        };
        all.iter().filter_map(running).collect()
    }

    /// Does something with each that runs.
    pub(super) fn each<T>(&self, mut work: impl FnMut(&Running) -> T) -> Vec<T> {
        let all = self.all();
        let running = all.values().filter_map(|slot| match &slot.state {
            State::Running(running) => Some(work(running)),
            _ => None,
        });
        running.collect()
    }

    /// Has all that are open take part. Blocks. The error is that of a namespace without which there is no node.
    pub(super) fn begin(&self) -> Result<(), crate::namespace::StartError> {
        let mut failed = Vec::new();
        for (name, slot) in self.all().iter_mut() {
            if let State::Running(running) = &mut slot.state
                && let Err(error) = running.begin()
            {
                if name.is_global() {
                    return Err(error);
                }
                failed.push((name.clone(), error.to_string()));
            }
        }
        for (name, why) in failed {
            error!(namespace = %name, error = why, "the namespace cannot take part; the others go on");
            if let Err(error) = self.stop(&name, Some(why)) {
                warn!(%error, "it is stopped already");
            }
        }
        Ok(())
    }

    /// Those that were left are being opened: their names and what they left.
    pub(super) fn take_left(&self) -> Vec<(Name, Legacy)> {
        let mut left = Vec::new();
        for (name, slot) in self.all().iter_mut() {
            if matches!(slot.state, State::Left(_))
                && let State::Left(legacy) = std::mem::replace(&mut slot.state, State::Starting)
            {
                left.push((name.clone(), legacy));
            }
        }
        left
    }

    /// One that was being opened is left as it was.
    pub(super) fn leave_again(&self, name: &Name, legacy: Legacy) {
        if let Some(slot) = self.all().get_mut(name) {
            slot.state = State::Left(legacy);
        }
        self.tell_change();
    }

    /// Closes all that run, and those that are on their way when they have arrived. Blocks.
    pub(super) fn close_all(&self, why: Closing) {
        loop {
            let mut all = self.all();
            let closing = take_running(&mut all, &self.0.site);
            if closing.is_empty() {
                let busy = |slot: &Slot| slot.state.is_on_its_way();
                if !all.values().any(busy) {
                    return;
                }
                let changed = self.0.changed.wait_timeout(all, LOOK);
                drop(changed.unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            drop(all);
            let close = |(name, running): (Name, Box<Running>)| {
                let legacy = running.close(why);
                let state = match why {
                    Closing::Stop => State::Stopped,
                    Closing::HandOver => State::Left(legacy),
                };
                if let Some(slot) = self.all().get_mut(&name) {
                    slot.state = state;
                }
                self.tell_change();
            };
            std::thread::scope(|scope| {
                for one in closing {
                    scope.spawn(move || close(one));
                }
            });
        }
    }

    pub(super) fn reports(&self) -> Vec<NamespaceReport> {
        let report = |(name, slot): (&Name, &Slot)| {
            let (state, failure) = match &slot.state {
                State::Stopped => (NamespaceState::Stopped, None),
                State::Starting => (NamespaceState::Starting, None),
                State::Running(_) => (NamespaceState::Running, None),
                State::Stopping { .. } | State::Leaving | State::Left(_) => {
                    (NamespaceState::Stopping, None)
                }
                State::Failed(why) => (NamespaceState::Failed, Some(why.clone())),
            };
            let report = match &slot.state {
                State::Running(running) => Some(running.view().report(name)),
                _ => None,
            };
            NamespaceReport {
                name: name.clone(),
                state,
                failure,
                report,
            }
        };
        self.all().iter().map(report).collect()
    }
}

impl State {
    /// Whether it will be another one soon.
    fn is_on_its_way(&self) -> bool {
        matches!(self, Self::Starting | Self::Stopping { .. } | Self::Leaving)
    }
}

impl Slot {
    fn new(state: State) -> Self {
        Self {
            state,
            view: None,
            waiting: Vec::new(),
        }
    }

    fn tell(&mut self, answer: &Answer) {
        for waiting in self.waiting.drain(..) {
            // who asked may have gone
            let _ = waiting.send(answer.clone());
        }
    }
}

fn slot<'a>(all: &'a mut All, name: &Name) -> Result<&'a mut Slot, String> {
    all.get_mut(name)
        .ok_or_else(|| format!("there is no namespace {name}; `batond namespace list` names them"))
}

/// Takes those that run out of their slots, to close them.
fn take_running(all: &mut All, site: &Site) -> Vec<(Name, Box<Running>)> {
    let mut taken = Vec::new();
    for (name, slot) in all.iter_mut() {
        if matches!(slot.state, State::Running(_))
            && let State::Running(running) = std::mem::replace(&mut slot.state, State::Leaving)
        {
            site.unmount(name.as_str());
            taken.push((name.clone(), running));
        }
    }
    taken
}

async fn watch_over(
    name: Name,
    mut death: watch::Receiver<Option<Death>>,
    events: mpsc::UnboundedSender<Event>,
) {
    // an error means that the namespace was closed
    let Ok(found) = death
        .wait_for(Option::is_some)
        .await
        .map(|found| found.clone())
    else {
        return;
    };
    if let Some(death) = found {
        let _ = events.send(Event::Died(name, death));
    }
}
