//! The driver of a generation that serves: a task that waits for whatever may happen, tells the machine, and performs what it says.
//!
//! It is the predecessor of the next handover, and, for as long as its own predecessor drains, the successor of the last one.

mod effects;
mod link;
mod run;
mod signals;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command as Program;
use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, error, info, warn};

use self::effects::{Done, Effect, SharedCargo};
use self::link::{FromAbove, Link};
use self::run::{Asker, Run, Who};
use self::signals::{Heard, Signals};
use self::standing::Board;
use crate::activation;
use crate::channel::{Channel, ChannelError, Packet, Peer};
use crate::control::{Busy, Incoming, Introduction, Server, UpgradeRequest};
use crate::directory::{ControlDirectory, StartLock};
use crate::error::HandoverError;
use crate::gate::Flow;
use crate::hold;
use crate::launch::{self, Starter};
use crate::life::{self, Life};
use crate::listen::Paths;
use crate::nginx;
use crate::notify::{Announcer, Birth, Moment, Notifier, main_pid};
use crate::pidfile::PidFile;
use crate::protocol::frame::Frame;
use crate::protocol::predecessor::{
    Action, Event, Outcome, Phase, Predecessor as Machine, Terms, Wait,
};
use crate::report::{Began, Party};
use crate::serving::{Command, Ending, ProgramEvent, Serving, Stage};
use crate::shared::Shared;
use crate::strays;
use crate::triggers::{Source, Triggers};
use crate::{Monotonic, Parcel};

/// How long to wait between two attempts to open an exclusive again.
const RETRY: Duration = Duration::from_millis(200);

/// How long a successor may take to let go of what it holds.
const LET_GO: Duration = Duration::from_secs(1);

/// How long to wait for news of the successor's death once its channel has closed: how it ended says more than that it closed.
const LAST_BREATH: Duration = Duration::from_millis(200);

/// How long the kernel may take to end a killed process.
const KILLED: Duration = Duration::from_secs(5);

/// How long a successor may take to say that it serves.
const SERVING: Duration = Duration::from_secs(10);

/// How many of the shareables that nobody claims are named in a report.
const UNCLAIMED: usize = 100;

/// Requests of the program that may wait.
const COMMANDS: usize = 8;

/// The part of the drain over which connections that cannot move are asked to leave.
const PARTING: u32 = 2;

/// The predecessor of a generation that now begins to serve.
pub(crate) struct Predecessor {
    pub(crate) channel: Arc<Channel>,
    pub(crate) life: Option<Life>,
    pub(crate) generation: u64,
    pub(crate) pid: u32,
    pub(crate) staged: bool,
    /// It committed; else it died.
    pub(crate) owned: bool,
}

/// What a generation begins to serve with.
pub(crate) struct Beginning {
    pub(crate) shared: Arc<Shared>,
    pub(crate) birth: Birth,
    pub(crate) from: Option<u64>,
    pub(crate) predecessor: Option<Predecessor>,
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) directory: Option<Arc<ControlDirectory>>,
    pub(crate) lock: Option<StartLock>,
}

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
    /// Whether the predecessor lives.
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

/// Begins to serve: opens the gate, tells everybody, and starts the driver.
pub(crate) fn begin(beginning: Beginning) -> Result<Serving, HandoverError> {
    let Beginning {
        shared,
        birth,
        from,
        predecessor,
        parcels,
        directory,
        lock,
    } = beginning;

    if predecessor.is_some() {
        fail_point!("handover::successor::committed");
    }
    // From the commit on every instant counts: first accept, then see to the rest.
    let accepting_since = Monotonic::now();
    shared.turn(Flow::Open);
    let longest = parcels
        .iter()
        .map(|parcel| accepting_since.since(parcel.frozen))
        .max()
        .unwrap_or_default();
    let moved = parcels.len();
    shared.registry.admit(parcels);
    let (generation, server_socket) = match &directory {
        Some(directory) => {
            let listening = match from {
                Some(from) => directory
                    .listen_as(from + 1)?
                    .map(|socket| (from + 1, socket)),
                None => None,
            };
            let (generation, socket) = match listening {
                Some(listening) => listening,
                None => directory.listen()?,
            };
            (generation, Some(socket))
        }
        None => (from.map_or(1, |from| from + 1), None),
    };
    // Before anybody can learn whom to signal: what is not caught ends the process.
    let settings = &shared.settings;
    let triggers = Triggers::listen(&settings.triggers).map_err(|error| {
        HandoverError::system(
            "listen for what asks for handovers",
            std::io::Error::other(error),
        )
    })?;
    let signals =
        Signals::listen(settings).map_err(|error| HandoverError::system("catch signals", error))?;
    let board = Board::new();
    let server = match server_socket {
        Some(socket) => {
            let (board, shared) = (board.clone(), Arc::clone(&shared));
            let status = move || board.generation(&shared, generation);
            Some(Server::start(socket, status)?)
        }
        None => None,
    };
    if let Some(directory) = &directory {
        directory.make_current(generation)?;
    }
    drop(lock);

    let pid_file = match &settings.pid_file {
        Some(path) => Some(PidFile::write(path, std::process::id()).map_err(|error| {
            HandoverError::system("write the pid file", std::io::Error::other(error))
        })?),
        None => None,
    };
    let notifier = Notifier::from_environment().unwrap_or_else(|error| {
        warn!(%error, "the service manager cannot be told anything");
        Notifier::nobody()
    });
    let sleeper = predecessor
        .as_ref()
        .filter(|predecessor| predecessor.staged && predecessor.owned)
        .map(|predecessor| predecessor.generation);
    let nginx = settings
        .nginx_signals
        .then(|| nginx::Machine::new(nginx::Surroundings::of_this_process(), sleeper.is_some()));

    // The predecessor ends on this word: by then others find this generation, and nothing is left that could fail.
    if let Some(predecessor) = predecessor.as_ref().filter(|predecessor| predecessor.owned) {
        let serving = Frame::Serving {
            accepting_since,
            longest_freeze_us: u64::try_from(longest.as_micros()).unwrap_or(u64::MAX),
            unclaimed: unclaimed(&shared),
        };
        if let Err(error) = predecessor.channel.send_now(&serving) {
            warn!(%error, "cannot tell the predecessor that this generation serves");
        }
    }

    let mut ancestors = Vec::new();
    let upward = predecessor
        .as_ref()
        .map(|predecessor| Arc::clone(&predecessor.channel));
    let above = predecessor.map(|predecessor| {
        if let Ok(life) = Life::of(predecessor.pid) {
            ancestors.push(Ancestor {
                generation: predecessor.generation,
                life,
            });
        }
        link::attend(
            Arc::clone(&shared),
            predecessor.channel,
            predecessor.life,
            predecessor.pid,
        )
    });

    let (commands, orders) = mpsc::channel(COMMANDS);
    let (stage, stages) = watch::channel(Stage::Serving);
    let (events, program_events) = mpsc::channel(COMMANDS);
    let mut driver = Driver {
        generation,
        directory,
        server,
        triggers: Some(triggers),
        signals,
        nginx,
        commands: orders,
        stage,
        events,
        board,
        announcer: Announcer::new(birth, generation, std::process::id()),
        notifier,
        pid_file,
        machine: Machine::default(),
        link: None,
        wait: None,
        timeout: settings.limits.timeout,
        effect: None,
        cargo: SharedCargo::default(),
        run: None,
        telling: JoinSet::new(),
        handed_over: false,
        above_lives: watch::Sender::new(above.is_some()),
        above,
        upward,
        ancestors,
        sleeper,
        drains_until: None,
        claim_until: Some(Instant::now() + settings.limits.claim),
        stops: 0,
        over: false,
        shared: Arc::clone(&shared),
    };
    if let Some(metrics) = &shared.settings.metrics {
        metrics.set_generation(generation);
        metrics.set_draining(driver.ancestors.len());
    }
    driver.notify(&Moment::Serves);
    driver.look_around();
    if driver.above.is_none() {
        driver.close_unclaimed();
        driver.fill_store();
    }
    info!(
        name = shared.settings.name,
        generation,
        moved,
        longest_freeze_us = longest.as_micros(),
        "serving"
    );
    tokio::spawn(driver.live());
    Ok(Serving {
        shared,
        generation,
        commands,
        stage: stages,
        events: Arc::new(Mutex::new(program_events)),
    })
}

impl Driver {
    /// Names what the program left behind or opened by itself.
    fn look_around(&self) {
        let shareables = self.shared.shareables();
        for unclaimed in shareables.unclaimed() {
            warn!(
                name = unclaimed.name,
                address = %unclaimed.address,
                "handed over and not claimed by this program; it is closed when the predecessor is gone"
            );
        }
        // It looks at every descriptor; meanwhile connections that moved in are to be served.
        let inodes = shareables.inodes();
        tokio::task::spawn_blocking(move || name_strays(&inodes));
    }

    /// Gives the service manager copies of all that the program serves. It keeps one of each.
    fn fill_store(&self) {
        if !self.shared.settings.fd_store {
            return;
        }
        if let Ok(offers) = self.shared.shareables().offers() {
            for (listing, descriptor) in offers {
                if let Err(error) = activation::store(&listing.name, descriptor) {
                    warn!(name = listing.name, %error, "the service manager does not keep a copy");
                }
            }
        }
    }

    /// Closes what was given and nobody asked for, the service manager's copies too: a listener that nobody accepts from keeps its
    /// clients waiting.
    fn close_unclaimed(&self) {
        let closed = self.shared.shareables().close_unclaimed();
        if !self.shared.settings.fd_store {
            return;
        }
        for unclaimed in closed {
            if let Err(error) = activation::remove(&unclaimed.name) {
                warn!(name = unclaimed.name, %error, "the service manager keeps its copy");
            }
        }
    }

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
                let FromAbove::Gone = news;
                self.predecessor_gone().await;
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

    /// This generation is about to end by order, or to let another serve: a predecessor that still drains has nothing to take back any
    /// more. It is told before the commit: between the commit and this word it could take this process's death for an accident, and
    /// serve beside the next generation.
    fn tell_predecessor(&mut self) {
        if let Some(channel) = self.upward.take()
            && let Err(error) = channel.send_now(&Frame::Stopping)
        {
            debug!(%error, "cannot tell the predecessor that this generation ends");
        }
    }

    async fn perform(&mut self, action: Action) {
        match action {
            Action::Send(frame) => {
                if let Some(link) = &self.link
                    && let Err(error) = link.channel.send_now(&frame)
                {
                    debug!(%error, frame = frame.name(), "cannot tell the successor");
                }
            }
            Action::SendShareables => self.send_shareables().await,
            Action::Freeze { kinds, states } => {
                self.cargo = SharedCargo::default();
                let shared = Arc::clone(&self.shared);
                self.effect = Some(effects::freeze(shared, self.cargo.clone(), kinds, states));
            }
            Action::SendAll => {
                if let Some(link) = &self.link {
                    let channel = Arc::clone(&link.channel);
                    self.effect = Some(effects::send_all(channel, &self.cargo));
                }
            }
            Action::Commit => {
                let stopped_accepting = effects::with(&self.cargo, |cargo| cargo.stopped_accepting)
                    .unwrap_or_else(Monotonic::now);
                let sent = self.link.as_ref().is_some_and(|link| {
                    let commit = Frame::Commit { stopped_accepting };
                    link.channel.send_now(&commit).is_ok()
                });
                self.on(Event::CommitSent(sent)).await;
            }
            Action::Resume => self.resume(),
            Action::Open => {
                self.shared.turn(Flow::Open);
                self.notify(&Moment::Woken {
                    why: "told to serve again".to_owned(),
                });
            }
            Action::Reacquire => {
                self.effect = Some(effects::reacquire(Arc::clone(&self.shared)));
            }
            Action::Settle => self.settle().await,
            Action::Drain => self.drain(),
            Action::Retire => {
                self.shared.turn(Flow::Closed);
                self.shared.registry.close();
                // The successor ends: whoever reaches a boundary from now on stays here to the end.
                if self.drains_until.is_some() && self.handed_over {
                    self.drain();
                }
            }
            Action::Kill => {
                if let Some(life) = self.link.as_ref().and_then(|link| link.life.as_ref()) {
                    warn!("the successor does not let go; killing it");
                    if let Err(error) = life.kill() {
                        error!(%error, "cannot kill the successor: what it holds stays closed here until it has ended");
                    }
                }
            }
            Action::Dismiss => {
                if let Some(link) = self.link.take() {
                    link.dismiss();
                }
            }
            Action::Wait(wait) => {
                let length = match wait {
                    Wait::Warm => self.timeout,
                    Wait::Frozen => self.shared.settings.limits.frozen,
                    Wait::Serving => SERVING,
                    Wait::LetGo => LET_GO,
                    Wait::Killed => KILLED,
                    Wait::Retry => RETRY,
                };
                self.wait = Some((wait, Instant::now() + length));
                self.notify(&Moment::Waits(length));
            }
            Action::NoWait => self.wait = None,
            Action::Report(outcome) => self.report(&outcome).await,
            Action::Exit => self.exit().await,
        }
    }

    async fn send_shareables(&mut self) {
        let Some(link) = &self.link else {
            return;
        };
        let channel = Arc::clone(&link.channel);
        // The successor reads while it waits for this, and its death or silence ends it.
        let sent = tokio::select! {
            sent = effects::send_shareables(&self.shared, &channel) => sent,
            () = death(self.link.as_ref()) => return,
            () = at(self.wait.map(|(_, at)| at)) => return,
        };
        if let Err(reason) = sent {
            warn!(reason, "cannot send the listeners");
            self.on(Event::Closed { why: reason }).await;
        }
    }

    /// Connections come back and the gate opens.
    fn resume(&mut self) {
        // Given up first: then nobody else holds the cargo.
        self.effect = None;
        let parcels = effects::with(&self.cargo, |cargo| {
            cargo.states = Arc::default();
            std::mem::take(&mut cargo.parcels)
        });
        if let Ok(parcels) = Arc::try_unwrap(parcels) {
            self.shared.registry.restore(parcels);
        } else {
            error!("connections are still being sent and cannot come back");
        }
        self.shared.turn(Flow::Open);
        self.stage.send_replace(Stage::Serving);
    }

    /// The successor has what moved.
    async fn settle(&mut self) {
        self.handed_over = true;
        effects::with(&self.cargo, |cargo| {
            cargo.parcels = Arc::default();
            cargo.states = Arc::default();
        });
        // Taken back after the successor's death they are opened again. Until then a request still in hand is told so at once: it
        // would wait for the end of the drain.
        for resource in self.shared.exclusives() {
            resource.forget().await;
        }
        self.stage.send_replace(Stage::Draining);
    }

    fn drain(&mut self) {
        let limit = if self.stops > 1 {
            Duration::ZERO
        } else {
            let now = Instant::now();
            let limit = self.shared.settings.limits.drain;
            let until = *self.drains_until.get_or_insert(now + limit);
            until.saturating_duration_since(now)
        };
        self.stage.send_replace(Stage::Draining);
        self.board.drains(limit);
        let window = limit / PARTING;
        let retired = matches!(self.machine.phase(), Phase::Draining { retired: true });
        let channel = (self.handed_over && !retired)
            .then(|| self.link.as_ref().filter(|link| !link.closed))
            .flatten()
            .map(|link| Arc::clone(&link.channel));
        if channel.is_some() {
            self.shared.registry.part(window);
        } else {
            self.shared.registry.leave_all(window);
        }
        // What the own predecessor still sends is to be sent on, if there is somebody to send it to.
        let above = if channel.is_some() {
            self.above_lives.subscribe()
        } else {
            watch::Sender::new(false).subscribe()
        };
        let shared = Arc::clone(&self.shared);
        self.effect = Some(effects::drain(shared, channel, above, limit));
    }

    async fn drained(&mut self, moved_late: u64, closed: u64) {
        info!(moved_late, closed, "drained");
        if let Some(link) = &self.link {
            let _ = link.channel.send_now(&Frame::Ended { moved_late, closed });
        }
        self.on(Event::Drained).await;
    }

    async fn report(&mut self, outcome: &Outcome) {
        let Some(run) = &mut self.run else {
            return;
        };
        let name = self.shared.settings.name.clone();
        let from = Party {
            generation: self.generation,
            pid: std::process::id(),
        };
        let (pid, began) = (run.pid, run.began);
        let to = Party {
            generation: self.generation + 1,
            pid,
        };
        let left = self.shared.registry.counts();
        let left = left.values().map(|counts| counts.live as u64).sum();
        let who = Who {
            name,
            from,
            to,
            began,
        };
        let report = run.report(who, outcome, &self.cargo, left);
        let staged = run.staged;
        match outcome {
            Outcome::HandedOver | Outcome::Rehearsed => info!(%report, "handover"),
            _ => warn!(%report, "handover"),
        }
        if let Some(metrics) = &self.shared.settings.metrics {
            metrics.record(&report);
        }
        self.board.last(report.clone());
        run.tell(report, &mut self.telling);
        let moment = match outcome {
            Outcome::HandedOver => Moment::Committed {
                pid,
                to: to.generation,
                main: main_pid(pid),
                staged,
            },
            Outcome::Rehearsed => Moment::HandoverFails {
                why: "rehearsed".to_owned(),
            },
            Outcome::RolledBack { reason, .. } | Outcome::NotRestored { reason } => {
                Moment::HandoverFails {
                    why: reason.clone(),
                }
            }
            Outcome::TakenBack { reason } => Moment::TakenBack {
                why: reason.clone(),
            },
        };
        self.notify(&moment);
        if !matches!(outcome, Outcome::HandedOver | Outcome::NotRestored { .. }) {
            self.run = None;
            self.serve_again(outcome);
        }
        let event = match outcome {
            Outcome::HandedOver => nginx::Event::SuccessorServes {
                still_accepts: false,
            },
            _ => nginx::Event::SuccessorGone,
        };
        self.nginx(event).await;
    }

    /// After a handover that came to nothing.
    fn serve_again(&mut self, outcome: &Outcome) {
        self.handed_over = false;
        self.drains_until = None;
        self.shared.turn(Flow::Open);
        self.stage.send_replace(Stage::Serving);
        if matches!(outcome, Outcome::TakenBack { .. })
            && let Some(directory) = &self.directory
            && let Err(error) = directory.make_current(self.generation)
        {
            warn!(%error, "others will not find this generation");
        }
        if self.nginx.is_none()
            && let Some(path) = &self.shared.settings.pid_file
        {
            match PidFile::write(path, std::process::id()) {
                Ok(file) => self.pid_file = Some(file),
                Err(error) => warn!(%error, "cannot write the pid file"),
            }
        }
    }

    async fn exit(&mut self) {
        self.over = true;
        self.shared.turn(Flow::Closed);
        self.shared.registry.close();
        if !self.handed_over {
            self.notify(&Moment::Stops);
            if let Err(reason) = self
                .shared
                .release_all(self.shared.settings.limits.release)
                .await
            {
                warn!(
                    reason,
                    "an exclusive resource is closed by the end of the process"
                );
            }
            self.shared.shareables().unlink_paths(Paths::All);
        }
        if let Some(directory) = &self.directory
            && let Err(error) = directory.leave(self.generation)
        {
            debug!(%error, "cannot remove this generation's control socket");
        }
        if let Some(pid_file) = self.pid_file.take()
            && let Err(error) = pid_file.remove()
        {
            warn!(%error, "cannot remove the pid file");
        }
        // Whoever asked has to hear of it before the process ends; one that does not listen is given up after a while.
        while self.telling.join_next().await.is_some() {}
        let ending = if self.handed_over {
            Ending::HandedOver
        } else {
            Ending::Stopped
        };
        info!(generation = self.generation, ?ending, "ended");
        self.stay_around_the_successor().await;
        self.stage.send_replace(Stage::Ended(ending));
    }

    /// The successor that would end with this process, because this is process 1.
    fn ward(&self) -> Option<u32> {
        let link = self.link.as_ref().filter(|link| link.child.is_some())?;
        (self.handed_over && std::process::id() == 1).then_some(link.pid)
    }

    /// As process 1: what is left of this generation is a shell around the next ones, and ends as the last of them does.
    async fn stay_around_the_successor(&mut self) {
        let Some(successor) = self.ward() else {
            return;
        };
        // Nobody asks this one any more.
        (self.triggers, self.server) = (None, None);
        let directory = self.directory.as_ref().map(|directory| directory.path());
        match hold::hold(successor, directory).await {
            Ok(0) => {}
            // The program only knows that it has handed over.
            Ok(code) => std::process::exit(code),
            Err(error) => {
                error!(%error, "cannot stay around the successor, which ends with this process");
            }
        }
    }

    async fn predecessor_gone(&mut self) {
        self.above = None;
        self.above_lives.send_replace(false);
        self.upward = None;
        self.sleeper = None;
        self.ancestors.retain(|ancestor| !is_over(&ancestor.life));
        if let Some(metrics) = &self.shared.settings.metrics {
            metrics.set_draining(self.ancestors.len());
        }
        debug!("the predecessor is gone");
        self.close_unclaimed();
        if let Some(directory) = &self.directory
            && let Err(error) = directory.sweep()
        {
            debug!(%error, "cannot remove the sockets of dead generations");
        }
        self.notify(&Moment::PredecessorGone);
        // Before, the service manager may have taken this process for a stranger.
        self.fill_store();
        self.nginx(nginx::Event::PredecessorGone).await;
    }

    fn notify(&mut self, moment: &Moment) {
        if let Some(message) = self.announcer.step(moment)
            && let Err(error) = self.notifier.send(&message)
        {
            warn!(%error, "cannot tell the service manager");
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Upgrade(request, answer) => {
                let asked_by = "the program itself".to_owned();
                self.spawn(request, asked_by, Asker::Program(answer)).await;
            }
            Command::Stop => self.stop().await,
            Command::Wake => self.on(Event::Wake).await,
        }
    }

    async fn stop(&mut self) {
        self.stops += 1;
        if self.stops > 1
            && matches!(
                self.machine.phase(),
                Phase::Draining { .. } | Phase::Stopping
            )
        {
            info!("told to stop again; closing what is left");
            self.drain();
            return;
        }
        self.on(Event::Stop).await;
    }

    async fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Upgrade(peer, request, requester) => {
                let asked_by = format!("pid {} (user {})", peer.pid, peer.uid);
                self.spawn(request, asked_by, Asker::Client(requester))
                    .await;
            }
            Incoming::RollBack(peer, requester) => {
                info!(pid = peer.pid, uid = peer.uid, "asked to serve again");
                if matches!(self.machine.phase(), Phase::Asleep) {
                    self.on(Event::Wake).await;
                    requester.done().await;
                } else {
                    let phase = self.machine.phase().word();
                    let reason = format!(
                        "generation {} does not sleep (it is in phase {phase})",
                        self.generation
                    );
                    requester.refuse(reason).await;
                }
            }
            Incoming::Join(peer, channel) => self.join(peer, channel).await,
            Incoming::Introduce(peer, introduction, channel, requester) => {
                self.introduce(peer, introduction, channel, requester).await;
            }
        }
    }

    /// The older generations that still live: all that are in the control directory, or, without one, the direct predecessor.
    fn older(&mut self) -> Vec<u64> {
        self.ancestors.retain(|ancestor| !is_over(&ancestor.life));
        let mut older: BTreeSet<u64> = self
            .ancestors
            .iter()
            .map(|ancestor| ancestor.generation)
            .collect();
        match self.directory.as_ref().map(|directory| directory.list()) {
            Some(Ok(listed)) => older.extend(
                listed
                    .iter()
                    .filter(|listed| listed.alive && listed.generation < self.generation)
                    .map(|listed| listed.generation),
            ),
            Some(Err(error)) => warn!(%error, "cannot look for older generations"),
            None => {}
        }
        older.into_iter().collect()
    }

    /// Why no handover can begin now.
    fn hindrance(&mut self) -> Option<String> {
        if let Some(sleeper) = self.sleeper {
            return Some(format!(
                "generation {sleeper} sleeps, to be woken in place of this one: end it first"
            ));
        }
        let older = self.older();
        let limit = self.shared.settings.max_draining;
        if older.len() >= limit.max(1) && limit > 0 {
            let who: Vec<_> = older.iter().map(u64::to_string).collect();
            return Some(format!(
                "{} older generations still drain ({}), the limit is {limit}: wait for them or end them",
                older.len(),
                who.join(", ")
            ));
        }
        match self.machine.phase() {
            Phase::Serving => None,
            phase => Some(format!(
                "generation {} is in phase {}",
                self.generation,
                phase.word()
            )),
        }
    }

    /// Who is in the way, if a handover runs.
    fn busy(&self) -> Option<Busy> {
        let run = self.run.as_ref().filter(|_| !self.handed_over)?;
        Some(Busy {
            asked_by: run.asked_by.clone(),
            since: run.since,
            to: self.generation + 1,
            phase: run.phase.to_owned(),
        })
    }

    async fn refused(&mut self, asked_by: &str, asker: Asker) -> Option<Asker> {
        if let Some(busy) = self.busy() {
            warn!(asked_by, %busy, "asked for a handover while one runs");
            asker.busy(busy).await;
            return None;
        }
        if let Some(reason) = self.hindrance() {
            warn!(asked_by, reason, "asked for a handover that cannot begin");
            asker.refuse(reason).await;
            return None;
        }
        Some(asker)
    }

    /// Starts a successor and hands over to it.
    async fn spawn(&mut self, request: UpgradeRequest, asked_by: String, asker: Asker) {
        let Some(asker) = self.refused(&asked_by, asker).await else {
            return;
        };
        let staged = request.staged || (self.shared.settings.staged && !request.dry_run);
        let nonce = match launch::nonce() {
            Ok(nonce) => nonce,
            Err(error) => return asker.refuse(format!("no random numbers: {error}")).await,
        };
        self.begin_run(
            asked_by,
            staged,
            asker,
            Some(nonce.clone()),
            request.dry_run,
            request.timeout,
        )
        .await;
        let own = &self.shared.launch;
        let path = request.exec.unwrap_or_else(|| own.program.clone());
        let mut program = Program::new(&path);
        match &request.arguments {
            Some(arguments) => program.args(arguments),
            None => program.args(&own.arguments),
        };
        program.current_dir(&own.directory);
        let started = tokio::task::spawn_blocking(move || {
            let (ours, theirs) = Channel::pair().map_err(std::io::Error::other)?;
            let child = launch::start(program, theirs, &nonce, Starter::Predecessor)?;
            Ok::<_, std::io::Error>((ours, child))
        })
        .await;
        let started = started
            .unwrap_or_else(|_| Err(std::io::Error::other("the attempt panicked")))
            .and_then(|(ours, child)| {
                let channel = Channel::new(ours).map_err(std::io::Error::other)?;
                Ok((channel, Life::of(child.id())?, child))
            });
        match started {
            Ok((channel, life, child)) => {
                info!(pid = child.id(), program = %path.display(), "started a successor");
                self.follow(Link {
                    channel: Arc::new(channel),
                    pid: child.id(),
                    life: Some(life),
                    child: Some(child),
                    began: Began::Spawn,
                    closed: false,
                    death_told: false,
                });
            }
            Err(error) => {
                let why = format!("cannot start {}: {error}", path.display());
                self.on(Event::NotStarted { why }).await;
            }
        }
    }

    async fn join(&mut self, peer: Peer, channel: Channel) {
        let asked_by = format!("pid {} (user {}), which joins", peer.pid, peer.uid);
        let hindrance = self
            .busy()
            .map(|busy| busy.to_string())
            .or_else(|| self.hindrance());
        if let Some(reason) = hindrance {
            warn!(asked_by, reason, "asked for a handover that cannot begin");
            let _ = channel.send_now(&Frame::Refuse { reason });
            return;
        }
        let life = Life::of_peer(&channel);
        let staged = self.shared.settings.staged;
        self.begin_run(asked_by, staged, Asker::Nobody, None, false, None)
            .await;
        if let Err(error) = &life {
            warn!(%error, "cannot watch the successor");
        }
        self.follow(Link {
            channel: Arc::new(channel),
            life: life.ok(),
            child: None,
            pid: peer.pid,
            began: Began::Join,
            closed: false,
            death_told: false,
        });
    }

    async fn introduce(
        &mut self,
        peer: Peer,
        introduction: Introduction,
        channel: Channel,
        requester: crate::control::Requester,
    ) {
        let asked_by = format!(
            "pid {} (user {}), for pid {}",
            peer.pid, peer.uid, introduction.pid
        );
        let asker = Asker::Client(requester);
        let Some(asker) = self.refused(&asked_by, asker).await else {
            let _ = channel.send_now(&Frame::Refuse {
                reason: "the predecessor is busy".to_owned(),
            });
            return;
        };
        let staged = self.shared.settings.staged;
        self.begin_run(
            asked_by,
            staged,
            asker,
            Some(introduction.nonce),
            false,
            introduction.timeout,
        )
        .await;
        self.follow(Link {
            channel: Arc::new(channel),
            life: Life::of(introduction.pid).ok(),
            child: None,
            pid: introduction.pid,
            began: Began::Held,
            closed: false,
            death_told: false,
        });
    }

    async fn begin_run(
        &mut self,
        asked_by: String,
        staged: bool,
        asker: Asker,
        nonce: Option<String>,
        rehearsal: bool,
        timeout: Option<Duration>,
    ) {
        let settings = &self.shared.settings;
        self.timeout = timeout.unwrap_or(settings.limits.timeout);
        info!(asked_by, rehearsal, staged, "handing over");
        self.cargo = SharedCargo::default();
        self.run = Some(Run::new(asked_by, staged, asker));
        let shareables = self.shared.shareables().offers().map_or_else(
            |_| Vec::new(),
            |offers| {
                offers
                    .into_iter()
                    .map(|(listing, _)| listing.name)
                    .collect()
            },
        );
        let terms = Terms {
            name: settings.name.clone(),
            nonce,
            generation: self.generation,
            pid: std::process::id(),
            shareables,
            exclusives: self
                .shared
                .exclusives()
                .iter()
                .map(|resource| resource.name().to_owned())
                .collect(),
            states: self
                .shared
                .writers()
                .into_iter()
                .map(|(name, writer)| (name, writer.versions))
                .collect(),
            connections: self
                .shared
                .registry
                .counts()
                .into_iter()
                .filter(|(_, counts)| counts.live > 0)
                .map(|(kind, counts)| (kind, counts.live as u64))
                .collect::<BTreeMap<_, _>>(),
            rehearsal,
            staged,
            take_back: settings.take_back,
        };
        self.notify(&Moment::HandoverBegins {
            to: self.generation + 1,
            at: Monotonic::now(),
        });
        self.on(Event::Begin(terms)).await;
    }

    async fn signalled(&mut self, heard: Heard) {
        match heard {
            Heard::Stop(name) => {
                info!(signal = name, "told to stop");
                if let Some(ward) = self.ward() {
                    pass_on(ward, rustix::process::Signal::TERM.as_raw());
                }
                self.stop().await;
            }
            Heard::Nginx(signal) => self.nginx(nginx::Event::Signal(signal)).await,
        }
    }

    async fn nginx(&mut self, event: nginx::Event) {
        let Some(machine) = &mut self.nginx else {
            return;
        };
        for action in machine.step(event) {
            Box::pin(self.nginx_does(action)).await;
        }
    }

    async fn nginx_does(&mut self, action: nginx::Action) {
        use nginx::Action;
        match action {
            Action::StartSuccessor { staged } => {
                if let Some(pid_file) = &self.pid_file
                    && let Err(error) = pid_file.step_aside()
                {
                    warn!(%error, "cannot rename the pid file");
                }
                let request = UpgradeRequest {
                    staged,
                    ..UpgradeRequest::default()
                };
                self.spawn(request, "USR2".to_owned(), Asker::Nobody).await;
                // Refused, it never began.
                if self.run.is_none() {
                    self.nginx(nginx::Event::SuccessorGone).await;
                }
            }
            Action::StopAccepting => {
                self.shared.turn(Flow::Wait);
                let window = self.shared.settings.limits.drain / PARTING;
                self.shared.registry.leave_all(window);
            }
            Action::ResumeAccepting => {
                self.shared.registry.restore(Vec::new());
                if matches!(self.machine.phase(), Phase::Asleep) {
                    self.on(Event::Wake).await;
                } else {
                    self.shared.turn(Flow::Open);
                }
            }
            Action::TakePidFileBack => {
                if let Some(pid_file) = &mut self.pid_file
                    && let Err(error) = pid_file.come_back()
                {
                    warn!(%error, "cannot rename the pid file back");
                }
            }
            // Whether it stays after that is seen when it has nothing more to do.
            Action::DrainAndExit | Action::DrainAndHold => self.stop().await,
            Action::ExitNow => {
                self.stops = 2;
                self.on(Event::Stop).await;
                if matches!(
                    self.machine.phase(),
                    Phase::Draining { .. } | Phase::Stopping
                ) {
                    self.drain();
                }
            }
            Action::Reopen => self.tell_program(ProgramEvent::Reopen),
            Action::Reload => self.tell_program(ProgramEvent::Reload),
            Action::Forward(signal) => {
                if let Some(link) = &self.link {
                    pass_on(link.pid, signal.number());
                }
            }
            Action::Ignore { why } => warn!(why, "a signal is ignored"),
        }
    }

    fn tell_program(&self, event: ProgramEvent) {
        if self.events.try_send(event).is_err() {
            warn!(?event, "the program does not take this event");
        }
    }
}

/// What the program left behind of what it was given; the first ones, since they have to fit into a packet.
fn unclaimed(shared: &Shared) -> Vec<String> {
    let unclaimed = shared.shareables().unclaimed();
    let names = unclaimed.into_iter().map(|unclaimed| unclaimed.name);
    names.take(UNCLAIMED).collect()
}

fn pass_on(pid: u32, signal: i32) {
    match life::signal(pid, signal) {
        Ok(()) => info!(pid, signal, "passed a signal on to the successor"),
        Err(error) => warn!(pid, signal, %error, "a signal could not be passed on"),
    }
}

fn name_strays(inodes: &BTreeSet<u64>) {
    match strays::listening_strays(inodes) {
        Ok(found) => {
            for stray in found {
                // The control socket is the library's own.
                if matches!(stray.kind, crate::describe::Kind::UnixSeqpacket) {
                    continue;
                }
                warn!(
                    descriptor = stray.number,
                    address = %stray.address,
                    "a listener that was opened without the handover library: it will not be handed over"
                );
            }
        }
        Err(error) => debug!(%error, "cannot look for listeners opened by the program itself"),
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
