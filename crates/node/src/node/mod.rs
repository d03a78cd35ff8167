//! The life of a node: what is started in which order, what it is told while it runs, what is stopped in which order.
//!
//! Everything is owned here and nothing goes through here: parts talk by channels that they were given.

mod listeners;
mod orders;
mod rpc;
mod signals;
mod slots;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_api::Site;
use baton_handover::{Ending, Handover, HandoverError, Serving};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::check;
use crate::configuration::Configuration;
use crate::control::{self, Command};
use crate::lock::Lock;
use crate::logging::Log;
use crate::namespace::{Name, Running, StartError};
use crate::step::{Patience, Step, StepError, take, take_now, tell_status};
use listeners::Listeners;
use signals::{Asked, Signals};
use slots::{Event, Slots};

pub use listeners::ListenError;

/// Requests through the control socket that wait.
const MAX_COMMANDS: usize = 64;
/// How long a client may take for the last bytes of an answer when the node stops.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// How often it is looked whether requests are in hand.
const LOOK: Duration = Duration::from_millis(10);
/// After this long without a sign of life the log says that the node's loop was held up.
const SLOW_LOOP: Duration = Duration::from_secs(5);

/// Why a node does not run, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A step of the start failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The chain at the root could not be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Sockets cannot be taken or given.
    #[error("handover: {0}")]
    Handover(#[from] HandoverError),
    /// A running node started this one to hand over to it.
    #[error("{0}")]
    Successor(&'static str),
    /// Signals cannot be waited for.
    #[error("waiting for signals: {0}")]
    Signals(io::Error),
    /// A part of the chain at the root died.
    #[error("{task} died: {why}; all else was stopped in order")]
    Died {
        /// The part.
        task: &'static str,
        /// How.
        why: String,
    },
}

/// Runs a node until it is told to stop.
pub async fn run(configuration: Configuration) -> Result<(), NodeError> {
    // Reads FAILPOINTS where fault points are compiled in; they stay for the process's life.
    std::mem::forget(fail::FailScenario::setup());
    let since = Instant::now();
    let Configuration {
        home,
        paths,
        settings,
        warnings,
    } = configuration.clone();
    let mut signals = Signals::new().map_err(NodeError::Signals)?;

    let log = take_now(Step::Logging, || Log::start(&settings.log, &paths.log))?;
    if !settings.log.to_stderr {
        console(&format!(
            "all logs are output in the {} directory",
            paths.log.display()
        ));
    }
    info!(
        version = crate::VERSION,
        pid = std::process::id(),
        home = %home.path().display(),
        "batond starts"
    );
    for warning in warnings.iter().chain(&check::open_to_others(&home, &paths)) {
        warn!("{warning}");
    }

    let handover = baton_handover::Settings::named("batond")
        .own_stop_signals()
        .drain(settings.stop_grace);
    let mut handover = Handover::begin(handover).await?;
    if handover.has_predecessor() {
        return Err(refuse(handover).await);
    }
    let lock = take_now(Step::Lock, || Lock::take(&home.lock()))?;
    let listeners = take(Step::Listeners, Listeners::claim(&mut handover, &settings)).await?;

    let (hurry, hurried) = watch::channel(false);
    let patience = Patience::new(settings.stop_grace, hurried);
    let (events, mut happened) = mpsc::unbounded_channel();
    let site = Site::new();
    let mut slots = Slots::new(site.clone(), events.clone());
    let global = Name::global();
    let websockets = handover.connections("websockets");
    let running = Running::start(
        global.clone(),
        configuration,
        None,
        websockets,
        patience.clone(),
    )
    .await?;
    let view = running.view().clone();
    slots.add(&global);
    slots.started(&global, Ok(Box::new(running)));

    let (commands, commanded) = mpsc::channel(MAX_COMMANDS);
    let server = take_now(Step::Control, || {
        control::Server::bind(&home.socket(), commands)
    });
    let server = match server {
        Ok(server) => server,
        Err(error) => {
            stop_all(&mut slots).await;
            return Err(error.into());
        }
    };
    let serving = match handover.ready().await {
        Ok(serving) => serving,
        Err(error) => {
            stop_all(&mut slots).await;
            return Err(error.into());
        }
    };

    let mut clients = JoinSet::new();
    let api = listeners.address;
    serve(&mut clients, &serving, &site, listeners, &settings, &view);
    let mut node = Node {
        home,
        log: log.clone(),
        since,
        slots,
        serving: serving.clone(),
        patience: patience.clone(),
        events,
        view,
        api,
    };
    node.start_listed(&settings);
    info!(
        took = format!("{:.1}ms", since.elapsed().as_secs_f64() * 1e3),
        %api,
        "batond is ready"
    );

    let end = node.live(&mut signals, commanded, &mut happened).await;

    let stopping = node.stop(&mut clients, &mut happened);
    signals.stopping();
    let heeding = async {
        loop {
            match signals.next().await {
                Asked::Hurry(signal) => {
                    warn!(signal, "asked again: nothing is waited for any more");
                    hurry.send_replace(true);
                }
                Asked::Reopen => log.reopen(),
                Asked::Stop(_) => {}
            }
        }
    };
    tokio::select! {
        () = stopping => {}
        () = heeding => unreachable!("it heeds signals for ever"),
    }
    drop(server);
    drop(lock);
    info!("batond has stopped");
    match end {
        End::Told => Ok(()),
        End::Died { task, why } => Err(NodeError::Died { task, why }),
    }
}

/// What ends a node.
enum End {
    /// A signal, a command or a handover.
    Told,
    /// A part of `global` died.
    Died { task: &'static str, why: String },
}

/// A node that runs.
struct Node {
    home: crate::home::Home,
    log: Log,
    since: Instant,
    slots: Slots,
    serving: Serving,
    patience: Patience,
    events: mpsc::UnboundedSender<Event>,
    /// Of `global`, which is there for as long as the node is.
    view: crate::namespace::View,
    /// Where the API listens.
    api: SocketAddr,
}

impl Node {
    /// Does what it is told until something ends it.
    async fn live(
        &mut self,
        signals: &mut Signals,
        mut commands: mpsc::Receiver<Command>,
        events: &mut mpsc::UnboundedReceiver<Event>,
    ) -> End {
        let ended = self.serving.draining();
        tokio::pin!(ended);
        let watchdog = sd_notify::watchdog_enabled();
        // systemd recommends half of what it allows
        let beat = watchdog.map_or(SLOW_LOOP, |allowed| allowed / 2);
        let mut heart = tokio::time::interval(beat.max(Duration::from_millis(100)));
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop(signal) | Asked::Hurry(signal) => {
                        console(&format!("captured {signal}, exiting..."));
                        info!(signal, "batond stops");
                        return End::Told;
                    }
                    Asked::Reopen => {
                        self.log.reopen();
                        info!("the log files were opened anew");
                    }
                },
                () = &mut ended => {
                    info!("another generation serves; this one stops");
                    return End::Told;
                }
                command = commands.recv() => {
                    let Some(command) = command else { return End::Told };
                    if self.obey(command) {
                        info!("batond was told to stop through its control socket");
                        return End::Told;
                    }
                }
                event = events.recv() => {
                    let Some(event) = event else { return End::Told };
                    if let Some(end) = self.happened(event) {
                        return end;
                    }
                }
                _ = heart.tick() => {
                    if watchdog.is_some() {
                        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
                    }
                    self.tell_status();
                }
            }
        }
    }

    fn happened(&mut self, event: Event) -> Option<End> {
        match event {
            Event::Started(name, result) => self.slots.started(&name, result),
            Event::Stopped(name) => {
                self.slots.stopped(&name);
                self.log.close(&name);
            }
            Event::Died(name, death) if name.is_global() => {
                error!(
                    task = death.task,
                    why = death.why,
                    "batond stops: a part of it died"
                );
                return Some(End::Died {
                    task: death.task,
                    why: death.why,
                });
            }
            Event::Died(name, death) => self.slots.died(&name, &death),
        }
        None
    }

    fn tell_status(&self) {
        let running = self.slots.running().map(|(name, running)| {
            let view = running.view();
            format!("{name} at {}, {} peers", view.height(), view.peers())
        });
        let running: Vec<_> = running.collect();
        tell_status(&running.join("; "));
    }

    /// Stops everything: requests first, the stores last.
    async fn stop(
        &mut self,
        served: &mut JoinSet<Ending>,
        events: &mut mpsc::UnboundedReceiver<Event>,
    ) {
        for (_, running) in self.slots.running() {
            running.refuse_work();
        }
        self.serving.stop().await;
        self.patience.end("requests", self.answered()).await;
        let drained = async { while served.join_next().await.is_some() {} };
        // Connections without a request would be kept for a while, in case that one is under way; nobody serves it here.
        if tokio::time::timeout(LAST_ANSWERS, drained).await.is_err() {
            self.serving.stop().await;
            let closed = async { while served.join_next().await.is_some() {} };
            self.patience.end("connections", closed).await;
        }
        served.abort_all();
        stop_all(&mut self.slots).await;
        // some may have been on their way up or down when we were told to stop
        let slots = &mut self.slots;
        let rest = async {
            while slots.is_busy()
                && let Some(event) = events.recv().await
            {
                match event {
                    Event::Started(name, result) => slots.started(&name, result),
                    Event::Stopped(name) => slots.stopped(&name),
                    Event::Died(..) => {}
                }
                stop_all(slots).await;
            }
        };
        self.patience.end("namespaces on their way", rest).await;
    }
}

impl Node {
    /// Waits until no request is in hand, and has `WebSocket`s closed.
    async fn answered(&self) {
        let apis: Vec<_> = self
            .slots
            .running()
            .map(|(_, one)| one.api().clone())
            .collect();
        while apis.iter().any(|api| api.in_hand() > 0) {
            tokio::time::sleep(LOOK).await;
        }
        for api in apis {
            api.close().await;
        }
    }
}

/// Closes all namespaces at once; each says in the log what it does.
async fn stop_all(slots: &mut Slots) {
    let mut stopping = JoinSet::new();
    for (_, running) in slots.take_running() {
        stopping.spawn(running.stop());
    }
    while stopping.join_next().await.is_some() {}
}

fn serve(
    served: &mut JoinSet<Ending>,
    serving: &Serving,
    site: &Site,
    listeners: Listeners,
    settings: &crate::settings::Settings,
    view: &crate::namespace::View,
) {
    let connections = settings.api.max_connections;
    let Listeners {
        api,
        address,
        rpc,
        metrics,
    } = listeners;
    let (own, of_site) = (serving.clone(), site.clone());
    served.spawn(async move { of_site.serve(&own, api, connections).await });
    if let Some(listener) = rpc {
        let (own, router) = (serving.clone(), rpc::router(view.clone(), address));
        served.spawn(async move { own.http(listener, router).await });
    }
    if let Some(listener) = metrics {
        let (own, router) = (serving.clone(), rpc::metrics(site.clone()));
        served.spawn(async move { own.http(listener, router).await });
    }
}

/// This program does not take over from a running one yet; it says so to the one that asked.
async fn refuse(handover: Handover) -> NodeError {
    let why =
        "this version of batond does not take over from a running one: stop it, and start this one";
    handover.refuse(why).await;
    NodeError::Successor(why)
}

/// A line for whoever looks at the terminal; as bytomd prints it.
fn console(line: &str) {
    let mut out = io::stdout().lock();
    // a closed terminal is no reason to fail
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
