//! The side that gives.
//!
//! [`Predecessor::on`] takes an event and says what to do. It never acts: sending, freezing, re-acquiring are done by the driver,
//! which reports back with events. The **commit point** is [`Event::CommitSent`]`(true)`: before it every failure leads back to
//! [`Phase::Serving`], after it the successor owns unless it dies.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::{Frame, Hello, Offer, OfferedState, VERSIONS, Versions};

/// What a predecessor has to give and on which terms, at the start of a handover.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    /// The server's name: a successor of another name is refused.
    pub(crate) name: String,
    /// The nonce that the successor was started with; `None` lets any process of the right user join.
    pub(crate) nonce: Option<String>,
    pub(crate) generation: u64,
    pub(crate) pid: u32,
    pub(crate) shareables: Vec<String>,
    pub(crate) exclusives: Vec<String>,
    /// The states, and the versions in which each can be written.
    pub(crate) states: BTreeMap<String, Versions>,
    pub(crate) connections: BTreeMap<String, u64>,
    pub(crate) rehearsal: bool,
    pub(crate) staged: bool,
    /// Whether to serve again if the successor dies while this side still drains.
    pub(crate) take_back: bool,
}

/// Where a handover stands, seen from the side that gives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// No handover is under way; this side serves.
    Serving,
    /// The successor was started and has not said hello.
    Greeting,
    /// It knows what there is.
    Offered,
    /// It has the shareables and initialises.
    Warming,
    /// Nothing is accepted; connections stop at a boundary, exclusives are released, states written.
    Freezing,
    /// States and connections are on their way.
    Transferring,
    /// The successor opens the exclusives.
    Acquiring,
    /// The commit is being sent.
    Committing,
    /// The successor owns; it has not said yet that it serves.
    Committed,
    /// This side finishes what could not move.
    Draining {
        /// The successor ends by order: nothing is to be taken back.
        retired: bool,
    },
    /// Staged: this side sleeps on its listeners.
    Asleep,
    /// Staged: this side accepts again while the successor still lives.
    Awake,
    /// Roll-back: the successor may hold an exclusive; waits until it certainly does not.
    Fencing { reason: String },
    /// Roll-back: exclusives are being opened again.
    Restoring { reason: String },
    /// This side ends by order and finishes what is under way.
    Stopping,
    /// Nothing is left to do.
    Ended,
}

impl Phase {
    /// The word for logs, reports and `status`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Greeting => "hello",
            Self::Offered => "offer",
            Self::Warming => "warm",
            Self::Freezing => "freeze",
            Self::Transferring => "transfer",
            Self::Acquiring => "acquire",
            Self::Committing | Self::Committed => "commit",
            Self::Draining { .. } => "drain",
            Self::Asleep => "asleep",
            Self::Awake => "awake",
            Self::Fencing { .. } | Self::Restoring { .. } => "roll-back",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A handover is wanted and its channel exists.
    Begin(Terms),
    /// The successor could not be started.
    NotStarted { why: String },
    /// The successor said something.
    Heard(Frame),
    /// The channel is closed or broken; says nothing about the successor's life.
    Closed { why: String },
    /// The successor's process is gone, and everything it said before has been heard.
    Died { how: String },
    /// A wait that was armed ran out.
    Expired(Wait),
    /// [`Action::Freeze`] is done; an error names what could not be released.
    Frozen(Result<(), String>),
    /// [`Action::SendAll`] is done.
    Sent(Result<(), String>),
    /// [`Action::Commit`] is done: whether the kernel took the packet.
    CommitSent(bool),
    /// [`Action::Reacquire`] is done.
    Reacquired(Result<(), String>),
    /// [`Action::Drain`] is done.
    Drained,
    /// The operator wants this side to serve again (staged).
    Wake,
    /// The operator wants this side to end.
    Stop,
}

/// A wait that has a deadline; at most one is armed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wait {
    /// From the start until the successor is warm.
    Warm,
    /// From the freeze until the successor has opened its exclusives.
    Frozen,
    /// From the commit until the successor says that it serves.
    Serving,
    /// From `abort` until the successor has let go.
    LetGo,
    /// From the kill until the kernel confirms the death.
    Killed,
    /// Until an exclusive that could not be opened is tried again.
    Retry,
}

/// What the driver shall do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Send(Frame),
    /// Send the descriptors of all shareables.
    SendShareables,
    /// Shut the gate, stop connections of these kinds at a boundary, release exclusives, write states.
    Freeze {
        kinds: Vec<String>,
        states: BTreeMap<String, u32>,
    },
    /// Send states and connections, and `all`.
    SendAll,
    /// Send the commit: **the commit point**.
    Commit,
    /// Connections that were frozen come back; the gate opens.
    Resume,
    /// Open the gate only.
    Open,
    /// Open the exclusives that are released.
    Reacquire,
    /// What moved is the successor's now: drop copies, forget exclusives.
    Settle,
    /// Finish what could not move, up to the drain's deadline.
    Drain,
    /// The listeners will not be needed again.
    Retire,
    /// Kill the successor.
    Kill,
    /// The handover is over for the successor: close the channel; end it if this side started it.
    Dismiss,
    /// Arm this wait in place of any other.
    Wait(Wait),
    /// Disarm.
    NoWait,
    /// Tell the requester, the log and the metrics.
    Report(Outcome),
    /// Nothing keeps this process.
    Exit,
}

/// How a handover ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// The successor serves.
    HandedOver,
    /// A rehearsal came to its end; nothing changed hands.
    Rehearsed,
    /// The predecessor serves as before.
    RolledBack { phase: &'static str, reason: String },
    /// The successor died after the commit and this side serves again.
    TakenBack { reason: String },
    /// An exclusive could not be opened again; it is tried on and on.
    NotRestored { reason: String },
}

/// The reason that ends a rehearsal; the successor knows it by this.
pub(crate) const REHEARSED: &str = "rehearsal";

/// The machine of the side that gives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Predecessor {
    phase: Phase,
    terms: Option<Terms>,
    /// The versions in which the states are to be written.
    states: BTreeMap<String, u32>,
    /// Where the handover stood when it failed, for the report.
    failed_in: &'static str,
    /// The commit was sent: what is restored is taken back, not rolled back.
    committed: bool,
    /// An order to end that came during a handover.
    stop: bool,
    /// A failure to restore was reported already.
    complained: bool,
}

impl Default for Predecessor {
    fn default() -> Self {
        Self {
            phase: Phase::Serving,
            terms: None,
            states: BTreeMap::new(),
            failed_in: "",
            committed: false,
            stop: false,
            complained: false,
        }
    }
}

impl Predecessor {
    /// Where it stands.
    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Takes an event, says what to do, in this order.
    #[expect(
        clippy::match_same_arms,
        reason = "one arm a rule, whatever it comes to"
    )]
    pub(crate) fn on(&mut self, event: Event) -> Vec<Action> {
        match (self.phase.clone(), event) {
            (Phase::Serving, Event::Begin(terms)) => {
                *self = Self {
                    phase: Phase::Greeting,
                    terms: Some(terms),
                    ..Self::default()
                };
                vec![Action::Wait(Wait::Warm)]
            }

            (Phase::Greeting, Event::Heard(Frame::Hello(hello))) => self.greet(&hello),
            (Phase::Offered, Event::Heard(Frame::Accept)) => {
                self.phase = Phase::Warming;
                vec![Action::SendShareables]
            }
            (Phase::Warming, Event::Heard(Frame::Freeze { kinds })) => {
                self.phase = Phase::Freezing;
                vec![
                    Action::Wait(Wait::Frozen),
                    Action::Freeze {
                        kinds,
                        states: self.states.clone(),
                    },
                ]
            }
            (Phase::Freezing, Event::Frozen(Ok(()))) => {
                self.phase = Phase::Transferring;
                vec![Action::SendAll]
            }
            (Phase::Transferring, Event::Sent(Ok(()))) => {
                self.phase = Phase::Acquiring;
                Vec::new()
            }
            // A batch of connections arrived: the driver counts these, late ones are harmless.
            (Phase::Transferring | Phase::Acquiring, Event::Heard(Frame::Took { .. })) => {
                Vec::new()
            }
            (Phase::Acquiring, Event::Heard(Frame::Ready)) => {
                if self.terms().rehearsal {
                    return self.roll_back(REHEARSED);
                }
                self.phase = Phase::Committing;
                vec![Action::Commit]
            }
            (Phase::Committing, Event::CommitSent(true)) => {
                self.phase = Phase::Committed;
                self.committed = true;
                vec![Action::Wait(Wait::Serving)]
            }
            (Phase::Committing, Event::CommitSent(false)) => {
                self.roll_back("the channel was closed before the commit")
            }
            (
                Phase::Committed,
                Event::Heard(Frame::Serving { .. }) | Event::Expired(Wait::Serving),
            ) => self.handed_over(),

            // Before the commit whatever goes wrong leads back.
            (
                Phase::Greeting
                | Phase::Offered
                | Phase::Warming
                | Phase::Freezing
                | Phase::Transferring
                | Phase::Acquiring,
                event,
            ) => match event {
                Event::Heard(Frame::Refuse { reason } | Frame::Abort { reason }) => {
                    self.roll_back(&format!("the successor refused: {reason}"))
                }
                Event::Heard(frame) => {
                    let phase = self.phase.word();
                    self.roll_back(&format!(
                        "the successor said {} during {phase}",
                        frame.name()
                    ))
                }
                Event::NotStarted { why } => self.roll_back(&why),
                Event::Closed { why } => {
                    self.roll_back(&format!("the successor closed the channel: {why}"))
                }
                Event::Died { how } => {
                    let mut actions = self.roll_back(&format!("the successor died: {how}"));
                    if matches!(self.phase, Phase::Fencing { .. }) {
                        actions.extend(self.on(Event::Died { how }));
                    }
                    actions
                }
                Event::Expired(Wait::Warm) => {
                    self.roll_back("the successor was not warm before the deadline")
                }
                Event::Expired(_) => {
                    self.roll_back("the successor did not open its exclusives before the deadline")
                }
                Event::Frozen(Err(reason)) | Event::Sent(Err(reason)) => self.roll_back(&reason),
                Event::Stop => {
                    self.stop = true;
                    self.roll_back("this generation was told to stop")
                }
                _ => Vec::new(),
            },

            (Phase::Draining { retired: false }, Event::Died { how }) if self.terms().take_back => {
                self.take_back(&how)
            }
            (Phase::Committed | Phase::Asleep | Phase::Awake, Event::Died { how }) => {
                self.take_back(&how)
            }
            (Phase::Draining { retired: false }, Event::Heard(Frame::Stopping)) => {
                self.phase = Phase::Draining { retired: true };
                vec![Action::Retire]
            }
            (Phase::Asleep, Event::Heard(Frame::Stopping) | Event::Wake) => {
                self.phase = Phase::Awake;
                vec![Action::Open]
            }
            (Phase::Asleep | Phase::Awake, Event::Stop) => {
                self.phase = Phase::Draining { retired: true };
                vec![Action::Retire, Action::Drain]
            }
            (Phase::Draining { .. } | Phase::Stopping, Event::Drained) => {
                self.phase = Phase::Ended;
                vec![Action::Exit]
            }
            (Phase::Committed, Event::Stop) => {
                self.stop = true;
                Vec::new()
            }

            (Phase::Fencing { reason }, Event::Heard(Frame::LetGo) | Event::Died { .. }) => {
                self.phase = Phase::Restoring { reason };
                vec![Action::NoWait, Action::Dismiss, Action::Reacquire]
            }
            (Phase::Fencing { .. }, Event::Expired(_)) => {
                vec![Action::Kill, Action::Wait(Wait::Killed)]
            }
            (Phase::Restoring { reason }, Event::Reacquired(Ok(()))) => self.restored(reason),
            (Phase::Restoring { .. }, Event::Reacquired(Err(reason))) => {
                let mut actions = vec![Action::Wait(Wait::Retry)];
                if !std::mem::replace(&mut self.complained, true) {
                    actions.push(Action::Report(Outcome::NotRestored { reason }));
                }
                actions
            }
            (Phase::Restoring { .. }, Event::Expired(Wait::Retry)) => vec![Action::Reacquire],
            // An exclusive that does not come back must not keep the process from ending.
            (Phase::Restoring { .. }, Event::Stop) if self.complained => self.stopping(),
            (Phase::Fencing { .. } | Phase::Restoring { .. }, Event::Stop) => {
                self.stop = true;
                Vec::new()
            }
            (Phase::Serving, Event::Stop) => self.stopping(),
            _ => Vec::new(),
        }
    }

    fn terms(&self) -> &Terms {
        self.terms
            .as_ref()
            .expect("a handover begins with its terms")
    }

    /// Compares what the successor says with what there is to give.
    fn greet(&mut self, hello: &Hello) -> Vec<Action> {
        match offer(self.terms(), hello) {
            Ok(offer) => {
                self.states = offer
                    .states
                    .iter()
                    .map(|(name, state)| (name.clone(), state.version))
                    .collect();
                self.phase = Phase::Offered;
                vec![Action::Send(Frame::Offer(offer))]
            }
            Err(reason) => {
                let phase = self.phase.word();
                self.phase = Phase::Serving;
                let refusal = Frame::Refuse {
                    reason: reason.clone(),
                };
                vec![
                    Action::NoWait,
                    Action::Send(refusal),
                    Action::Dismiss,
                    Action::Report(Outcome::RolledBack { phase, reason }),
                ]
            }
        }
    }

    /// Leads back from any phase before the commit.
    fn roll_back(&mut self, reason: &str) -> Vec<Action> {
        self.failed_in = self.phase.word();
        let reason = reason.to_owned();
        let frozen = matches!(
            self.phase,
            Phase::Freezing | Phase::Transferring | Phase::Acquiring | Phase::Committing
        );
        let abort = Action::Send(Frame::Abort {
            reason: reason.clone(),
        });
        if !frozen {
            let mut actions = vec![Action::NoWait, abort, Action::Dismiss];
            actions.extend(self.restored(reason));
            return actions;
        }
        // Connections come back at once: the successor reads from none of them before a commit. Exclusives come back only
        // when the successor certainly has none.
        if self.terms().exclusives.is_empty() {
            let mut actions = vec![Action::NoWait, Action::Resume, abort, Action::Dismiss];
            actions.extend(self.restored(reason));
            return actions;
        }
        self.phase = Phase::Fencing { reason };
        vec![Action::Resume, abort, Action::Wait(Wait::LetGo)]
    }

    /// The successor is dead after the commit: nobody is left whose ownership could be hurt.
    fn take_back(&mut self, how: &str) -> Vec<Action> {
        let reason = format!("the successor died after the commit: {how}");
        self.phase = Phase::Restoring { reason };
        vec![
            Action::NoWait,
            Action::Resume,
            Action::Dismiss,
            Action::Reacquire,
        ]
    }

    fn restored(&mut self, reason: String) -> Vec<Action> {
        let outcome = if self.committed {
            Outcome::TakenBack { reason }
        } else if reason == REHEARSED {
            Outcome::Rehearsed
        } else {
            Outcome::RolledBack {
                phase: self.failed_in,
                reason,
            }
        };
        self.phase = Phase::Serving;
        self.complained = false;
        let mut actions = vec![Action::NoWait, Action::Report(outcome)];
        if std::mem::take(&mut self.stop) {
            actions.extend(self.stopping());
        }
        actions
    }

    fn handed_over(&mut self) -> Vec<Action> {
        let mut actions = vec![
            Action::NoWait,
            Action::Report(Outcome::HandedOver),
            Action::Settle,
        ];
        if self.terms().staged && !self.stop {
            self.phase = Phase::Asleep;
        } else {
            self.phase = Phase::Draining { retired: self.stop };
            if self.stop {
                actions.push(Action::Retire);
            }
            actions.push(Action::Drain);
        }
        actions
    }

    fn stopping(&mut self) -> Vec<Action> {
        self.phase = Phase::Stopping;
        vec![Action::NoWait, Action::Retire, Action::Drain]
    }
}

/// What is offered to a successor that said `hello`, or why it is refused.
pub(crate) fn offer(terms: &Terms, hello: &Hello) -> Result<Offer, String> {
    let Some(version) = VERSIONS.common(hello.versions) else {
        return Err(format!(
            "no common protocol version: the predecessor speaks {} to {}, the successor {} to {}",
            VERSIONS.oldest, VERSIONS.newest, hello.versions.oldest, hello.versions.newest
        ));
    };
    if terms
        .nonce
        .as_ref()
        .is_some_and(|nonce| *nonce != hello.nonce)
    {
        return Err("the nonce is not the one that the successor was started with".to_owned());
    }
    if terms.name != hello.name {
        return Err(format!(
            "the successor is named {:?}, the predecessor {:?}",
            hello.name, terms.name
        ));
    }
    let mut states = BTreeMap::new();
    for (name, writes) in &terms.states {
        // A state that the successor does not know is left out, and the report says so.
        let Some(reads) = hello.states.get(name) else {
            continue;
        };
        let Some(version) = writes.common(*reads) else {
            return Err(format!(
                "state {name:?}: the predecessor writes versions {} to {}, the successor reads {} to {}",
                writes.oldest, writes.newest, reads.oldest, reads.newest
            ));
        };
        states.insert(name.clone(), OfferedState { version });
    }
    let known: BTreeSet<&String> = terms
        .shareables
        .iter()
        .chain(&terms.exclusives)
        .chain(states.keys())
        .collect();
    if let Some(missing) = hello.requires.iter().find(|name| !known.contains(name)) {
        return Err(format!(
            "the successor requires {missing:?}, which the predecessor does not have"
        ));
    }
    let needed = u64::try_from(terms.shareables.len()).unwrap_or(u64::MAX)
        + terms.connections.values().sum::<u64>();
    if hello.headroom < needed {
        return Err(format!(
            "the successor can hold {} more descriptors and {needed} are to move: raise its limit (LimitNOFILE, ulimit -n)",
            hello.headroom
        ));
    }
    Ok(Offer {
        version,
        generation: terms.generation,
        pid: terms.pid,
        shareables: terms.shareables.clone(),
        exclusives: terms.exclusives.clone(),
        states,
        connections: terms.connections.clone(),
        rehearsal: terms.rehearsal,
        staged: terms.staged,
    })
}
