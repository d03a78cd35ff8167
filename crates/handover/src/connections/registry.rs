//! Who is connected, and what is asked of them.
//!
//! The registry never touches a connection. It holds one question per kind ("stay", "move", "leave") that all seats of the kind
//! watch, and collects what they answer. So a freeze of ten thousand connections is one wake-up each, without timers or scans.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::seat::{Ask, Asking, Seat, Standing, Window};
use crate::{Monotonic, Parcel};

/// Most parcels that may wait for one kind to be served; more are closed. Far above the descriptors a process can hold by default.
pub const WAITING_LIMIT: usize = 262_144;

/// All live connections of a process, by kind: the side of the handover. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    pub(super) shared: Arc<Shared>,
}

/// The connections of one name: the side of the program that serves them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Kind {
    name: Arc<str>,
    shared: Arc<Shared>,
}

/// How many connections of a kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Being served.
    pub live: usize,
    /// Of these, asked to move and without an answer so far.
    pub asked: usize,
    /// Moved in or come back, and not yet taken by the program.
    pub waiting: usize,
    /// Whether the program serves this kind at all.
    pub claimed: bool,
}

/// Connections that stood still and are served again: moved in, or come back after the last roll-back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenUp {
    /// How many.
    pub connections: u64,
    /// The longest time that one of them stood still.
    pub longest_freeze: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Notified when a waiter of `gather`, `late`, `empty` or `next` may go on.
    changed: Notify,
    taken_up: AtomicU64,
    longest_freeze_ns: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    kinds: BTreeMap<Arc<str>, KindState>,
    /// Seats ever given out; the next seat's number.
    seats: u64,
    /// Freezes so far. A seat answers each freeze of its kind once.
    epoch: u64,
    /// Where a frozen kind's parcels go: to `gather`, or after it to `late`.
    gathering: bool,
    given: Vec<Parcel>,
    late: VecDeque<Parcel>,
    closed: bool,
}

#[derive(Debug)]
struct KindState {
    ask: watch::Sender<Ask>,
    live: usize,
    /// Live seats that can never move.
    fixed: usize,
    /// Seats that still owe an answer to the freeze of the present epoch.
    owing: usize,
    /// The last freeze of this kind.
    epoch: u64,
    frozen: bool,
    claimed: bool,
    waiting: VecDeque<Parcel>,
}

impl Default for KindState {
    fn default() -> Self {
        Self {
            ask: watch::Sender::new(Ask::Stay),
            live: 0,
            fixed: 0,
            owing: 0,
            epoch: 0,
            frozen: false,
            claimed: false,
            waiting: VecDeque::new(),
        }
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The kind of this name, which the program undertakes to serve.
    pub fn kind(&self, name: &str) -> Kind {
        let name: Arc<str> = name.into();
        self.shared.lock().kind(&name).claimed = true;
        Kind {
            name,
            shared: self.shared.clone(),
        }
    }

    /// Asks every connection of these kinds to move, and takes along those that wait to be served.
    pub fn freeze<S: AsRef<str>>(&self, kinds: &[S]) {
        let mut state = self.shared.lock();
        state.epoch += 1;
        state.gathering = true;
        let epoch = state.epoch;
        let mut waiting = Vec::new();
        for name in kinds {
            let kind = state.kind(&name.as_ref().into());
            kind.frozen = true;
            kind.epoch = epoch;
            kind.owing = kind.live - kind.fixed;
            waiting.extend(kind.waiting.drain(..));
            kind.ask.send_replace(Ask::Move {
                epoch,
                parting: None,
            });
        }
        state.given.extend(waiting);
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Waits until every connection that was asked has given itself, ended or said that it will be late, but no longer than `quiet` for
    /// the next answer: ten thousand take their time, and each that moves now need not move late, which takes longer.
    /// What is given afterwards comes out of [`late`](Self::late).
    pub async fn gather_while_answered(&self, quiet: Duration) -> Vec<Parcel> {
        let mut owing = usize::MAX;
        loop {
            let now = self.shared.lock().owing();
            // Each turn has fewer owing than the last, so there is an end.
            if now == 0 || now >= owing {
                return self.gather(Instant::now()).await;
            }
            owing = now;
            let answered = self
                .shared
                .until(|state| (state.owing() == 0).then_some(()));
            let _ = timeout_at(Instant::now() + quiet, answered).await;
        }
    }

    /// Waits until every connection that was asked has given itself, ended or said that it will be late, but not past the deadline.
    /// What is given afterwards comes out of [`late`](Self::late).
    pub async fn gather(&self, deadline: Instant) -> Vec<Parcel> {
        let answered = self
            .shared
            .until(|state| (state.owing() == 0).then_some(()));
        let in_time = timeout_at(deadline, answered).await.is_ok();
        let mut state = self.shared.lock();
        if !in_time {
            tracing::warn!(
                silent = state.owing(),
                "connections did not answer the freeze in time; they may move later"
            );
        }
        state.gathering = false;
        std::mem::take(&mut state.given)
    }

    /// As [`late`](Self::late), but waits on when no connection of a frozen kind is left: more may be moved in. Cancel-safe.
    pub async fn straggler(&self) -> Parcel {
        self.shared.until(|state| state.late.pop_front()).await
    }

    /// The next connection that reached its boundary after the freeze was gathered; none once no connection of a frozen kind is
    /// left. Cancel-safe.
    pub async fn late(&self) -> Option<Parcel> {
        self.shared
            .until(|state| match state.late.pop_front() {
                Some(parcel) => Some(Some(parcel)),
                None => state
                    .kinds
                    .values()
                    .all(|kind| !kind.frozen || kind.live == 0)
                    .then_some(None),
            })
            .await
    }

    /// The roll-back: asks everybody to stay, and hands the given connections, late ones included, back to their kinds.
    pub fn restore(&self, parcels: Vec<Parcel>) {
        self.shared.taken_up.store(0, Relaxed);
        self.shared.longest_freeze_ns.store(0, Relaxed);
        let mut state = self.shared.lock();
        let mut back = parcels;
        back.append(&mut state.given);
        back.extend(std::mem::take(&mut state.late));
        state.gathering = false;
        for kind in state.kinds.values_mut() {
            kind.frozen = false;
            kind.owing = 0;
            kind.ask.send_if_modified(|ask| {
                let asked = *ask != Ask::Stay;
                *ask = Ask::Stay;
                asked
            });
        }
        drop(state);
        self.admit(back);
    }

    /// Hands connections to their kinds: those a predecessor moved in. A kind that nobody serves yet keeps them; see
    /// [`close_unclaimed`](Self::close_unclaimed).
    pub fn admit(&self, parcels: Vec<Parcel>) {
        let mut state = self.shared.lock();
        for parcel in parcels {
            state.wait(parcel);
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Closes the connections of kinds that the program does not serve, and says which and how many there were.
    pub fn close_unclaimed(&self) -> Vec<(String, usize)> {
        let mut closed = Vec::new();
        let mut state = self.shared.lock();
        for (name, kind) in &mut state.kinds {
            if !kind.claimed && !kind.waiting.is_empty() {
                closed.push((name.to_string(), kind.waiting.len()));
                kind.waiting.clear();
            }
        }
        closed
    }

    /// The handover is committed: of the kinds that were frozen, those connections that cannot move are asked to leave, spread evenly
    /// over the window. The others still give themselves when they can; see [`late`](Self::late).
    pub fn part(&self, window: Duration) {
        let window = Window::from_now(window);
        for kind in self.shared.lock().kinds.values() {
            kind.ask.send_if_modified(|ask| match ask {
                Ask::Move { parting, .. } => parting.replace(window).is_none(),
                Ask::Stay | Ask::Leave(_) => false,
            });
        }
    }

    /// Asks every connection of these kinds to leave, spread evenly over the window so that the peers do not come back all at once.
    pub fn leave<S: AsRef<str>>(&self, kinds: &[S], window: Duration) {
        let window = Window::from_now(window);
        let mut state = self.shared.lock();
        for name in kinds {
            state
                .kind(&name.as_ref().into())
                .ask
                .send_replace(Ask::Leave(window));
        }
    }

    /// Asks every connection of every kind to leave; see [`leave`](Self::leave).
    pub fn leave_all(&self, window: Duration) {
        let kinds: Vec<Arc<str>> = self.shared.lock().kinds.keys().cloned().collect();
        self.leave(&kinds, window);
    }

    /// How many connections there are, by kind.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        let state = self.shared.lock();
        let count = |kind: &KindState| Counts {
            live: kind.live,
            asked: kind.owing,
            waiting: kind.waiting.len(),
            claimed: kind.claimed,
        };
        let kinds = state.kinds.iter();
        kinds
            .map(|(name, kind)| (name.to_string(), count(kind)))
            .collect()
    }

    /// What stood still and is served again.
    pub fn taken_up(&self) -> TakenUp {
        TakenUp {
            connections: self.shared.taken_up.load(Relaxed),
            longest_freeze: Duration::from_nanos(self.shared.longest_freeze_ns.load(Relaxed)),
        }
    }

    /// Waits until no connection is being served any more. Cancel-safe.
    pub async fn empty(&self) {
        self.shared
            .until(|state| {
                state
                    .kinds
                    .values()
                    .all(|kind| kind.live == 0)
                    .then_some(())
            })
            .await;
    }

    /// Nothing will come in any more: [`Kind::next`] answers none once what waits is taken.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_waiters();
    }
}

impl Kind {
    /// The name of the kind.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many connections of this kind are served now, for those who limit it.
    pub fn live(&self) -> usize {
        self.shared.lock().kind(&self.name).live
    }

    /// Registers a live connection, for as long as the seat lives.
    pub fn seat(&self) -> Seat {
        self.seat_in(&mut self.shared.lock())
    }

    fn seat_in(&self, state: &mut State) -> Seat {
        state.seats += 1;
        let number = state.seats;
        let kind = state.kind(&self.name);
        let epoch = kind.epoch;
        kind.live += 1;
        let ask = kind.ask.subscribe();
        Seat::new(Asking::new(self.clone(), ask, number, epoch))
    }

    /// As [`next`](Self::next), with a seat: at no instant does a handover find the connection neither waiting nor seated. Cancel-safe.
    pub async fn arrival(&self) -> Option<(Parcel, Seat)> {
        self.shared
            .until(|state| {
                let closed = state.closed;
                match state.kind(&self.name).waiting.pop_front() {
                    Some(parcel) => Some(Some((parcel, self.seat_in(state)))),
                    None => closed.then_some(None),
                }
            })
            .await
    }

    /// The next connection that was moved in from a predecessor or has come back after a roll-back; none once the registry is
    /// closed. Waits while a handover has frozen the kind. Cancel-safe.
    ///
    /// Between this and [`seat`](Self::seat) a handover does not see the connection; use [`arrival`](Self::arrival) to serve it.
    pub async fn next(&self) -> Option<Parcel> {
        self.shared
            .until(|state| {
                let closed = state.closed;
                match state.kind(&self.name).waiting.pop_front() {
                    Some(parcel) => Some(Some(parcel)),
                    None => closed.then_some(None),
                }
            })
            .await
    }

    /// A connection that stood still since then is served again.
    pub(super) fn takes_up(&self, frozen: Monotonic) {
        let stood = Monotonic::now().since(frozen).as_nanos();
        let stood = u64::try_from(stood).unwrap_or(u64::MAX);
        self.shared.longest_freeze_ns.fetch_max(stood, Relaxed);
        self.shared.taken_up.fetch_add(1, Relaxed);
    }

    /// A seat answers the freeze, unless it did so before.
    pub(super) fn answer(&self, standing: &Standing) {
        if self.shared.lock().answer(&self.name, standing) {
            self.shared.changed.notify_waiters();
        }
    }

    /// A seat says that it will never move.
    pub(super) fn fix(&self, standing: &Standing) {
        let mut state = self.shared.lock();
        let last = state.answer(&self.name, standing);
        if !standing.ended.load(Relaxed) && !standing.fixed.swap(true, Relaxed) {
            state.kind(&self.name).fixed += 1;
        }
        drop(state);
        if last {
            self.shared.changed.notify_waiters();
        }
    }

    /// A seat ends, with a parcel if the connection is to be served on. Ending twice is nothing.
    pub(super) fn end(&self, standing: &Standing, parcel: Option<Parcel>) {
        let mut state = self.shared.lock();
        let mut news = state.answer(&self.name, standing) || parcel.is_some();
        if standing.ended.swap(true, Relaxed) {
            return;
        }
        if standing.fixed.load(Relaxed) {
            state.kind(&self.name).fixed -= 1;
        }
        let gathering = state.gathering;
        let kind = state.kind(&self.name);
        kind.live -= 1;
        news |= kind.live == 0;
        let frozen = kind.frozen;
        match parcel {
            None => {}
            Some(parcel) if frozen && gathering => {
                news = state.owing() == 0;
                state.given.push(parcel);
            }
            Some(parcel) if frozen => state.late.push_back(parcel),
            Some(parcel) => state.wait(parcel),
        }
        drop(state);
        if news {
            self.shared.changed.notify_waiters();
        }
    }
}

impl State {
    fn kind(&mut self, name: &Arc<str>) -> &mut KindState {
        if !self.kinds.contains_key(name) {
            self.kinds.insert(name.clone(), KindState::default());
        }
        self.kinds
            .get_mut(name)
            .expect("inserted if it was missing")
    }

    /// Answers still missing. A few kinds, so a scan is cheap.
    fn owing(&self) -> usize {
        self.kinds.values().map(|kind| kind.owing).sum()
    }

    /// Strikes a seat off those that owe an answer; whether that was the last of all.
    fn answer(&mut self, name: &Arc<str>, standing: &Standing) -> bool {
        let kind = self.kind(name);
        let answered = standing.answered.swap(kind.epoch, Relaxed) == kind.epoch;
        if answered
            || kind.owing == 0
            || standing.fixed.load(Relaxed)
            || standing.ended.load(Relaxed)
        {
            return false;
        }
        kind.owing -= 1;
        self.owing() == 0
    }

    fn wait(&mut self, parcel: Parcel) {
        let name: Arc<str> = parcel.kind.as_str().into();
        let kind = self.kind(&name);
        if kind.waiting.len() < WAITING_LIMIT {
            kind.waiting.push_back(parcel);
        } else {
            tracing::error!(
                kind = &*name,
                limit = WAITING_LIMIT,
                "closing a connection: too many wait to be served"
            );
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // every change below the lock is whole before anything can panic
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the state yields something.
    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        if let Some(found) = look(&mut self.lock()) {
            return found;
        }
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }
}
