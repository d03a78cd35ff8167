//! The successor's driver: performs what [`Successor`](crate::protocol::successor::Successor) decides.
//!
//! It runs inside the program's calls, not beside them: until `ready` a successor has nothing to do but what the program asks for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::channel::{Channel, ChannelError, Packet};
use crate::life::Life;
use crate::listen::{Listing, Paths};
use crate::protocol::frame::{Frame, Hello, Offer};
use crate::protocol::successor::{Action, Event, Phase, Successor, Wait};
use crate::sealed::Sealed;
use crate::shared::{Shared, chain};
use crate::strays;
use crate::transfer;
use crate::{Monotonic, Parcel};

/// How long to wait for word of the predecessor's death once its channel has closed.
const DEATH: Duration = Duration::from_secs(2);

/// How often it is said for whom a successor waits.
const REMIND: Duration = Duration::from_secs(5);

/// What came of a handover, seen from the successor.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The predecessor handed over.
    Owner { stopped_accepting: Monotonic },
    /// The predecessor is dead.
    Alone,
}

/// A handover under way, on the side that takes.
pub(crate) struct Taking {
    pub(crate) channel: Arc<Channel>,
    shared: Arc<Shared>,
    machine: Successor,
    predecessor: Option<Life>,
    wait: Option<(Wait, Instant)>,
    states: BTreeMap<String, (u32, Sealed)>,
    parcels: Vec<Parcel>,
    stopped_accepting: Option<Monotonic>,
}

impl Taking {
    /// Says hello and takes the shareables.
    pub(crate) async fn begin(
        shared: Arc<Shared>,
        channel: Channel,
        predecessor: Option<Life>,
        hello: Hello,
    ) -> Result<Self, String> {
        let (machine, actions) = Successor::begin(hello);
        let mut taking = Self {
            channel: Arc::new(channel),
            shared,
            machine,
            predecessor,
            wait: None,
            states: BTreeMap::new(),
            parcels: Vec::new(),
            stopped_accepting: None,
        };
        taking.perform(actions).await;
        taking.drive(|phase| *phase == Phase::Warm).await?;
        Ok(taking)
    }

    /// What the predecessor offered.
    pub(crate) fn offer(&self) -> Option<&Offer> {
        self.machine.offer()
    }

    /// The predecessor's life, to be watched while it drains.
    pub(crate) fn into_predecessor(self) -> (Arc<Channel>, Option<Life>) {
        (self.channel, self.predecessor)
    }

    /// Whether the predecessor died, so that this process goes on with what it has.
    pub(crate) fn is_alone(&self) -> bool {
        *self.machine.phase() == Phase::Alone
    }

    /// Has the predecessor freeze and send everything, unless it did so already.
    pub(crate) async fn take_all(&mut self, kinds: Vec<String>) -> Result<(), String> {
        if *self.machine.phase() == Phase::Warm {
            let actions = self.machine.on(Event::WantAll { kinds });
            self.perform(actions).await;
        }
        self.drive(|phase| *phase == Phase::Holding).await
    }

    /// The written form of a state, if it came whole.
    pub(crate) fn state(&mut self, name: &str) -> Option<(u32, Sealed)> {
        if self.machine.complete() {
            self.states.remove(name)
        } else {
            None
        }
    }

    /// Says that all is open, and waits until this process owns.
    pub(crate) async fn pledge(&mut self) -> Result<Taken, String> {
        let actions = self.machine.on(Event::Pledge);
        self.perform(actions).await;
        debug!("waiting for the commit");
        fail_point!("handover::successor::waiting");
        self.drive(|phase| *phase == Phase::Owner).await?;
        Ok(match self.stopped_accepting {
            Some(stopped_accepting) => Taken::Owner { stopped_accepting },
            None => Taken::Alone,
        })
    }

    /// The connections that came.
    pub(crate) fn parcels(&mut self) -> Vec<Parcel> {
        std::mem::take(&mut self.parcels)
    }

    /// Names of states that came and that nobody asked for.
    pub(crate) fn left_over(&self) -> Vec<String> {
        self.states.keys().cloned().collect()
    }

    /// Gives up, for a reason of the program's.
    pub(crate) async fn fail(&mut self, reason: String) {
        let actions = self.machine.on(Event::Fail { reason });
        self.perform(actions).await;
    }

    /// Takes notice of what has come meanwhile, without waiting.
    pub(crate) async fn notice(&mut self) -> Result<(), String> {
        self.drain_channel().await;
        self.lost()
    }

    fn lost(&self) -> Result<(), String> {
        match self.machine.phase() {
            Phase::Lost { reason } => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    /// Goes on until the phase is reached, or the predecessor is dead.
    async fn drive(&mut self, reached: impl Fn(&Phase) -> bool) -> Result<(), String> {
        loop {
            self.lost()?;
            if self.is_alone() || reached(self.machine.phase()) {
                return Ok(());
            }
            let wait = self.wait;
            let closed = *self.machine.phase() == Phase::Wondering;
            let event = tokio::select! {
                biased;
                packet = self.channel.receive(), if !closed => match packet {
                    Ok(packet) => self.heard(packet),
                    Err(error) => broken(&error),
                },
                () = ended(self.predecessor.as_ref()) => {
                    self.drain_channel().await;
                    Event::Died
                }
                () = sleep_until(wait.map_or_else(Instant::now, |(_, at)| at)), if wait.is_some() => {
                    let (wait, _) = wait.expect("the branch's condition");
                    self.wait = None;
                    Event::Expired(wait)
                }
            };
            let actions = self.machine.on(event);
            self.perform(actions).await;
        }
    }

    /// Hears what is there already.
    async fn drain_channel(&mut self) {
        loop {
            let event = match self.channel.receive_now() {
                Ok(None) => return,
                Ok(Some(packet)) => self.heard(packet),
                Err(error) => {
                    let actions = self.machine.on(broken(&error));
                    return self.perform(actions).await;
                }
            };
            let actions = self.machine.on(event);
            self.perform(actions).await;
        }
    }

    /// Puts away what a packet brings; the machine hears only that it came.
    fn heard(&mut self, mut packet: Packet) -> Event {
        let descriptors = std::mem::take(&mut packet.descriptors);
        let (frame, tail) = match packet.open::<Frame>() {
            Ok(opened) => opened,
            Err(error) => {
                return Event::Fail {
                    reason: format!("what the predecessor sent is not understood: {error}"),
                };
            }
        };
        debug!(frame = frame.name(), "heard from the predecessor");
        let kept = match &frame {
            Frame::Offer(offer) => {
                self.watch(offer.pid);
                let coming =
                    offer.shareables.len() as u64 + offer.connections.values().sum::<u64>();
                strays::ensure_headroom(coming).map_err(|error| chain(&error))
            }
            Frame::Shareables { .. } => self.keep_shareables(tail, descriptors),
            Frame::States { states } => transfer::states(states.clone(), descriptors)
                .map(|states| {
                    let named = states
                        .into_iter()
                        .map(|(sent, sealed)| (sent.name, (sent.version, sealed)));
                    self.states.extend(named);
                })
                .map_err(|error| error.to_string()),
            Frame::Connections {
                count,
                heads_in_memfd,
                ..
            } => transfer::connections(*count, *heads_in_memfd, tail, descriptors)
                .map(|parcels| self.parcels.extend(parcels))
                .map_err(|error| error.to_string()),
            Frame::Commit { stopped_accepting } => {
                self.stopped_accepting = Some(*stopped_accepting);
                Ok(())
            }
            _ => Ok(()),
        };
        match kept {
            Ok(()) => Event::Heard(frame),
            Err(reason) => Event::Fail { reason },
        }
    }

    fn watch(&mut self, pid: u32) {
        if self.predecessor.is_some() {
            return;
        }
        match Life::of(pid) {
            Ok(life) => self.predecessor = Some(life),
            Err(error) => warn!(
                pid,
                %error,
                "cannot watch the predecessor: its death will not be known for certain"
            ),
        }
    }

    fn keep_shareables(
        &mut self,
        tail: &[u8],
        descriptors: Vec<std::os::fd::OwnedFd>,
    ) -> Result<(), String> {
        let listings: Vec<Listing> = serde_json::from_slice(tail)
            .map_err(|error| format!("the listing of shareables is not understood: {error}"))?;
        if listings.len() != descriptors.len() {
            return Err(format!(
                "{} shareables were listed, {} came",
                listings.len(),
                descriptors.len()
            ));
        }
        let mut shareables = self.shared.shareables();
        for (listing, descriptor) in listings.into_iter().zip(descriptors) {
            shareables
                .inherit(listing, descriptor)
                .map_err(|error| chain(&error))?;
        }
        Ok(())
    }

    async fn perform(&mut self, actions: Vec<Action>) {
        let phase = self.machine.phase().word();
        debug!(phase, "now");
        fail_point!(&format!("handover::successor::{phase}"));
        for action in actions {
            match action {
                Action::Send(frame) => {
                    debug!(frame = frame.name(), "telling the predecessor");
                    match self.channel.send(&frame, &[], &[]).await {
                        // A closed channel is seen, and judged, when it is read from.
                        Ok(()) | Err(ChannelError::Closed) => {}
                        Err(error) => {
                            warn!(%error, frame = frame.name(), "cannot tell the predecessor");
                        }
                    }
                }
                Action::LetGo => self.let_go().await,
                Action::Remind => info!(
                    predecessor = self.offer().map(|offer| offer.pid),
                    "ready; still waiting for the predecessor to commit"
                ),
                Action::Wait(wait) => {
                    let limits = &self.shared.settings.limits;
                    let length = match wait {
                        Wait::Offer => limits.timeout,
                        Wait::Transfer => limits.frozen + limits.timeout,
                        Wait::Death => DEATH,
                        Wait::Remind => REMIND,
                    };
                    self.wait = Some((wait, Instant::now() + length));
                }
                Action::NoWait => self.wait = None,
            }
        }
    }

    async fn let_go(&mut self) {
        self.parcels.clear();
        self.states.clear();
        self.shared.shareables().unlink_paths(Paths::BoundHere);
        let limit = self.shared.settings.limits.release;
        match self.shared.release_all(limit).await {
            Ok(()) => {
                let _ = self.channel.send_now(&Frame::LetGo);
            }
            // Without `let-go` the predecessor ends this process before it takes back what may still be open here.
            Err(error) => warn!(%error, "cannot let go"),
        }
    }
}

/// What it means that nothing could be received.
fn broken(error: &ChannelError) -> Event {
    match error {
        // The channel itself is whole: the predecessor can be told, and need not wait until this process has ended.
        ChannelError::Cut { .. } | ChannelError::Packet(_) => Event::Fail {
            reason: error.to_string(),
        },
        ChannelError::Closed | ChannelError::System { .. } => Event::Closed {
            why: error.to_string(),
        },
    }
}

async fn ended(life: Option<&Life>) {
    match life {
        Some(life) => life.ended().await,
        None => std::future::pending().await,
    }
}
