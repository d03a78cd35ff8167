//! The side that takes.
//!
//! The program drives this machine by what it asks for: its first state or exclusive says that it is warm, `ready` that it has all it
//! needs. From then on ([`Phase::Pledged`]) it may not give up by itself: only `commit`, `abort`, or the predecessor's death ends
//! the wait, because a timer could cross with the commit.

use super::frame::{Frame, Hello, Offer};

/// Where a handover stands, seen from the side that takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// `hello` was sent.
    Greeting,
    /// The offer was accepted; shareables are on their way.
    Receiving,
    /// The program initialises.
    Warm,
    /// The predecessor freezes and sends.
    Taking,
    /// Everything is here; the program opens its exclusives.
    Holding,
    /// All is open; waits for the commit.
    Pledged,
    /// The channel closed without a commit: is the predecessor dead?
    Wondering,
    /// The predecessor handed over.
    Owner,
    /// The predecessor died before the commit; this process goes on with what it has.
    Alone,
    /// The handover failed; this process must end without having served.
    Lost { reason: String },
}

impl Phase {
    /// The word for logs.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Receiving => "receiving",
            Self::Warm => "warm",
            Self::Taking => "taking",
            Self::Holding => "holding",
            Self::Pledged => "pledged",
            Self::Wondering => "wondering",
            Self::Owner => "owner",
            Self::Alone => "alone",
            Self::Lost { .. } => "lost",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// The predecessor said something.
    Heard(Frame),
    /// The channel is closed or broken.
    Closed { why: String },
    /// The predecessor's process is gone, and everything it said before has been heard.
    Died,
    /// A wait ran out.
    Expired(Wait),
    /// The program is warm and takes connections of these kinds.
    WantAll { kinds: Vec<String> },
    /// The program has opened its exclusives.
    Pledge,
    /// The program cannot go on.
    Fail { reason: String },
}

/// A wait that has a deadline; at most one is armed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wait {
    /// For the offer and the shareables.
    Offer,
    /// For states and connections.
    Transfer,
    /// For news of the predecessor's death.
    Death,
    /// Until it is said again for whom we wait.
    Remind,
}

/// What the driver shall do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Send(Frame),
    /// Release what was opened, drop what was received, then say `let-go` and close the channel.
    LetGo,
    /// Say in the log for whom we wait.
    Remind,
    Wait(Wait),
    NoWait,
}

/// The machine of the side that takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Successor {
    phase: Phase,
    offer: Option<Offer>,
    /// All of states and connections arrived.
    complete: bool,
}

impl Successor {
    /// A successor that says hello.
    pub(crate) fn begin(hello: Hello) -> (Self, Vec<Action>) {
        let machine = Self {
            phase: Phase::Greeting,
            offer: None,
            complete: false,
        };
        (
            machine,
            vec![Action::Send(Frame::Hello(hello)), Action::Wait(Wait::Offer)],
        )
    }

    /// Where it stands.
    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What the predecessor offered, once it has.
    pub(crate) fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }

    /// Whether states and connections arrived whole. If not, and the predecessor is dead, the states are not to be used.
    pub(crate) fn complete(&self) -> bool {
        self.complete
    }

    /// Takes an event, says what to do, in this order.
    pub(crate) fn on(&mut self, event: Event) -> Vec<Action> {
        match (&self.phase, event) {
            (Phase::Owner | Phase::Alone | Phase::Lost { .. }, _) => Vec::new(),

            (_, Event::Died) => {
                self.phase = Phase::Alone;
                vec![Action::NoWait]
            }
            (_, Event::Heard(Frame::Refuse { reason } | Frame::Abort { reason })) => {
                self.lose(reason)
            }
            (Phase::Wondering, Event::Expired(_)) => {
                self.lose("the predecessor closed the channel and lives".to_owned())
            }
            (Phase::Wondering, Event::Fail { reason }) => self.lose(reason),
            (Phase::Wondering, _) => Vec::new(),
            (_, Event::Closed { .. }) => {
                self.phase = Phase::Wondering;
                vec![Action::Wait(Wait::Death)]
            }

            (Phase::Greeting, Event::Heard(Frame::Offer(offer))) => {
                self.offer = Some(offer);
                self.phase = Phase::Receiving;
                vec![Action::Send(Frame::Accept)]
            }
            (Phase::Receiving, Event::Heard(Frame::Shareables { last })) => {
                if !last {
                    return Vec::new();
                }
                self.phase = Phase::Warm;
                vec![Action::NoWait]
            }
            (Phase::Warm, Event::WantAll { kinds }) => {
                self.phase = Phase::Taking;
                vec![
                    Action::Send(Frame::Freeze { kinds }),
                    Action::Wait(Wait::Transfer),
                ]
            }
            (Phase::Taking, Event::Heard(Frame::States { .. })) => Vec::new(),
            (Phase::Taking, Event::Heard(Frame::Connections { batch, .. })) => {
                vec![Action::Send(Frame::Took { batch })]
            }
            (Phase::Taking, Event::Heard(Frame::All { .. })) => {
                self.phase = Phase::Holding;
                self.complete = true;
                vec![Action::NoWait]
            }
            (Phase::Holding, Event::Pledge) => {
                self.phase = Phase::Pledged;
                vec![Action::Send(Frame::Ready), Action::Wait(Wait::Remind)]
            }
            (Phase::Pledged, Event::Heard(Frame::Commit { .. })) => {
                self.phase = Phase::Owner;
                vec![Action::NoWait]
            }
            (Phase::Pledged, Event::Expired(_)) => {
                vec![Action::Remind, Action::Wait(Wait::Remind)]
            }
            // Having pledged it may not fail by itself.
            (Phase::Pledged, Event::Fail { .. }) => Vec::new(),
            (_, Event::Fail { reason }) => self.fail(reason),
            (Phase::Greeting | Phase::Receiving, Event::Expired(_)) => {
                self.fail("the predecessor made no offer before the deadline".to_owned())
            }
            (Phase::Taking, Event::Expired(_)) => {
                self.fail("the predecessor did not send everything before the deadline".to_owned())
            }
            (phase, Event::Heard(frame)) => {
                let reason = format!(
                    "the predecessor said {} in phase {}",
                    frame.name(),
                    phase.word()
                );
                self.fail(reason)
            }
            _ => Vec::new(),
        }
    }

    /// The predecessor ended it.
    fn lose(&mut self, reason: String) -> Vec<Action> {
        self.phase = Phase::Lost { reason };
        vec![Action::NoWait, Action::LetGo]
    }

    /// This side ends it.
    fn fail(&mut self, reason: String) -> Vec<Action> {
        let refusal = Frame::Refuse {
            reason: reason.clone(),
        };
        self.phase = Phase::Lost { reason };
        vec![Action::NoWait, Action::Send(refusal), Action::LetGo]
    }
}
