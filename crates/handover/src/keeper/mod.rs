//! The driver of a generation that serves: a task that waits for whatever may happen, tells the machine, and performs what it says.
//!
//! It is the predecessor of the next handover, and, for as long as its own predecessor drains, the successor of the last one.

mod begin;
mod effects;
mod link;
mod perform;
mod requests;
mod run;
mod signalled;
mod signals;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

pub(crate) use self::begin::{Beginning, Predecessor, begin};
use self::effects::{Done, Effect, SharedCargo};
use self::link::{FromAbove, Link};
use self::run::{Asker, Run};
use self::signalled::pass_on;
use self::signals::Signals;
use self::standing::Board;
use crate::Monotonic;
use crate::channel::{Channel, ChannelError, Packet};
use crate::control::{Incoming, Server, UpgradeRequest};
use crate::directory::ControlDirectory;
use crate::life::Life;
use crate::nginx;
use crate::notify::{Announcer, Notifier};
use crate::pidfile::PidFile;
use crate::protocol::frame::Frame;
use crate::protocol::predecessor::{Event, Phase, Predecessor as Machine, Wait};
use crate::serving::{Command, ProgramEvent, Stage};
use crate::shared::Shared;
use crate::triggers::{Source, Triggers};

/// How long to wait for news of the successor's death once its channel has closed: how it ended says more than that it closed.
const LAST_BREATH: Duration = Duration::from_millis(200);

/// The part of the drain over which connections that cannot move are asked to leave.
const PARTING: u32 = 2;

/// An older generation that still drains.
struct Ancestor {
    generation: u64,
    life: Life,
}

struct Driver {
    shared: Arc<Shared>,
    generation: u64,
    directory: Option<Arc<ControlDirectory>>,
    server: Option<Server>,
    triggers: Option<Triggers>,
    signals: Signals,
    nginx: Option<nginx::Machine>,
    commands: mpsc::Receiver<Command>,
    stage: watch::Sender<Stage>,
    events: mpsc::Sender<ProgramEvent>,
    board: Board,
    announcer: Announcer,
    notifier: Notifier,
    pid_file: Option<PidFile>,

    machine: Machine,
    link: Option<Link>,
    wait: Option<(Wait, Instant)>,
    timeout: Duration,
    effect: Option<Effect>,
    cargo: SharedCargo,
    run: Option<Run>,
    /// Reports on their way to those who asked.
    telling: JoinSet<()>,
    handed_over: bool,

    above: Option<mpsc::Receiver<FromAbove>>,
    /// Whether the predecessor may still send connections.
    above_lives: watch::Sender<bool>,
    /// The channel to the predecessor, while that one lives.
    upward: Option<Arc<Channel>>,
    ancestors: Vec<Ancestor>,
    /// The predecessor, if it sleeps so that it can be woken in place of this one.
    sleeper: Option<u64>,
    claim_until: Option<Instant>,
    /// Once it drains: the deadline.
    drains_until: Option<Instant>,
    stops: u32,
    over: bool,
}

impl Driver {
    async fn live(mut self) {
        while !self.over {
            self.turn().await;
        }
        debug!("the driver ends");
    }

    /// Waits for one thing to happen and deals with it.
    async fn turn(&mut self) {
        let wait = self.wait;
        let claim = self.claim_until;
        // While it sends everything, the effect itself reads the receipts.
        let listens = !matches!(self.machine.phase(), Phase::Transferring);
        tokio::select! {
            biased;
            packet = receive(self.link.as_ref()), if listens => self.heard(packet).await,
            () = death(self.link.as_ref()) => self.died().await,
            done = progress(self.effect.as_mut()) => {
                self.effect = None;
                match done {
                    Done::Closed => self.heard(Err(ChannelError::Closed)).await,
                    Done::Event(event) => self.on(event).await,
                    Done::Drained { moved_late, closed } => self.drained(moved_late, closed).await,
                }
            }
            () = at(wait.map(|(_, at)| at)) => {
                if let Some((wait, _)) = self.wait.take() {
                    self.on(Event::Expired(wait)).await;
                }
            }
            Some(command) = self.commands.recv() => self.command(command).await,
            Some(incoming) = incoming(self.server.as_mut()) => self.incoming(incoming).await,
            trigger = triggered(self.triggers.as_mut()) => {
                if let (Some(ward), Source::Signal(number)) = (self.ward(), &trigger.source) {
                    return pass_on(ward, *number);
                }
                let mut asked_by = trigger.source.to_string();
                if trigger.more > 0 {
                    asked_by = format!("{asked_by} ({} times)", trigger.more + 1);
                }
                self.spawn(UpgradeRequest::default(), asked_by, Asker::Nobody).await;
            }
            heard = self.signals.next() => self.signalled(heard).await,
            news = from_above(self.above.as_mut()) => {
                match news {
                    FromAbove::Silent => {
                        self.above_lives.send_replace(false);
                    }
                    FromAbove::Gone => self.predecessor_gone().await,
                }
            }
            () = at(claim) => {
                self.claim_until = None;
                for (kind, count) in self.shared.registry.close_unclaimed() {
                    warn!(kind, count, "closed connections that moved in and that this program does not serve");
                }
            }
        }
    }

    async fn heard(&mut self, packet: Result<Packet, ChannelError>) {
        let event = match packet {
            Ok(packet) => match packet.open::<Frame>() {
                Ok((frame, _)) => {
                    debug!(frame = frame.name(), "heard from the successor");
                    self.note(&frame);
                    Event::Heard(frame)
                }
                Err(error) => Event::Closed {
                    why: error.to_string(),
                },
            },
            Err(error) => {
                if self.ends().await {
                    return Box::pin(self.died()).await;
                }
                Event::Closed {
                    why: error.to_string(),
                }
            }
        };
        self.on(event).await;
    }

    /// From now on this is the successor.
    fn follow(&mut self, link: Link) {
        if let Some(run) = &mut self.run {
            run.pid = link.pid;
            run.began = link.began;
        }
        self.link = Some(link);
    }

    /// The channel has closed; says whether that is because the successor ends.
    async fn ends(&mut self) -> bool {
        let Some(link) = &mut self.link else {
            return false;
        };
        link.closed = true;
        let life = link.life.as_ref().filter(|_| !link.death_told);
        match life {
            Some(life) => timeout(LAST_BREATH, life.ended()).await.is_ok(),
            None => false,
        }
    }

    /// Keeps what the report needs.
    fn note(&mut self, frame: &Frame) {
        if let (Frame::Hello(hello), Some(link)) = (frame, &mut self.link)
            && link.pid == 0
        {
            link.pid = hello.pid;
            if let Some(run) = &mut self.run {
                run.pid = hello.pid;
            }
        }
        let Some(run) = &mut self.run else {
            return;
        };
        match frame {
            Frame::Ready => run.ready = Some(Monotonic::now()),
            Frame::Serving {
                accepting_since,
                longest_freeze_us,
                unclaimed,
            } => {
                run.accepting_since = Some(*accepting_since);
                run.longest_freeze_us = Some(*longest_freeze_us);
                run.unclaimed.clone_from(unclaimed);
            }
            _ => {}
        }
    }

    /// The successor is gone: what it said before counts before that.
    async fn died(&mut self) {
        if matches!(self.machine.phase(), Phase::Transferring) {
            // Nobody is left to send to; what it said last, a refusal perhaps, is read here.
            self.effect = None;
        }
        while let Some(link) = self.link.as_mut().filter(|link| !link.closed) {
            match link.channel.receive_now() {
                Ok(Some(packet)) => self.heard(Ok(packet)).await,
                Ok(None) | Err(_) => break,
            }
        }
        let Some(link) = self.link.as_mut() else {
            return;
        };
        link.death_told = true;
        let how = link.how();
        self.on(Event::Died { how }).await;
    }

    /// Tells the machine, and does what it says.
    async fn on(&mut self, event: Event) {
        debug!(phase = self.machine.phase().word(), ?event, "event");
        let actions = self.machine.on(event);
        if matches!(self.machine.phase(), Phase::Committing | Phase::Stopping) {
            self.tell_predecessor();
        }
        let phase = self.machine.phase().word();
        if let Some(run) = &mut self.run {
            run.enter(phase);
        }
        self.board.phase(phase);
        if matches!(self.machine.phase(), Phase::Draining { .. })
            && self.effect.is_some()
            && self.link.as_ref().is_some_and(|link| link.closed)
        {
            // Nobody is left to move to: whoever is still in the middle of something is to leave after it, whenever that is.
            self.shared.registry.leave_all(Duration::ZERO);
        }
        debug!(phase, "now");
        fail_point!(&format!("handover::predecessor::{phase}"));
        for action in actions {
            // An action may lead to an event of its own; the stack is as deep as the machine has such steps.
            Box::pin(self.perform(action)).await;
        }
    }
}

fn is_over(life: &Life) -> bool {
    life.is_over()
}

async fn receive(link: Option<&Link>) -> Result<Packet, ChannelError> {
    match link.filter(|link| !link.closed) {
        Some(link) => link.channel.receive().await,
        None => std::future::pending().await,
    }
}

async fn death(link: Option<&Link>) {
    match link
        .filter(|link| !link.death_told)
        .and_then(|link| link.life.as_ref())
    {
        Some(life) => life.ended().await,
        None => std::future::pending().await,
    }
}

async fn progress(effect: Option<&mut Effect>) -> Done {
    match effect {
        Some(effect) => effect.await,
        None => std::future::pending().await,
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn incoming(server: Option<&mut Server>) -> Option<Incoming> {
    match server {
        Some(server) => server.next().await,
        None => std::future::pending().await,
    }
}

async fn triggered(triggers: Option<&mut Triggers>) -> crate::triggers::Trigger {
    match triggers {
        Some(triggers) => triggers.next().await,
        None => std::future::pending().await,
    }
}

async fn from_above(above: Option<&mut mpsc::Receiver<FromAbove>>) -> FromAbove {
    match above {
        Some(above) => above.recv().await.unwrap_or(FromAbove::Gone),
        None => std::future::pending().await,
    }
}
