//! The life of a node: what is started in which order, what it is told while it runs, what is stopped in which order.
//!
//! Everything is owned here and nothing goes through here: parts talk by channels that they were given.

mod contract;
mod estate;
mod inheritance;
mod listeners;
mod opener;
mod orders;
mod relay;
mod rpc;
mod signals;
mod slots;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_api::{Door, Site};
use baton_handover::{Ending, Exclusive, HandoverError, Serving};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::check;
use crate::configuration::Configuration;
use crate::control::Command;
use crate::logging::Log;
use crate::namespace::{Closing, Name, Running, StartError};
use crate::step::{Patience, Step, StepError, take_now, tell_status};
use estate::Estate;
use listeners::Listeners;
use opener::Opener;
use relay::{Beginning, Begun};
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
    /// A namespace that a predecessor ran cannot be opened.
    #[error("namespace {name}: {why}")]
    Namespace {
        /// Its name.
        name: Name,
        /// Why.
        why: String,
    },
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

    let (hurry, hurried) = watch::channel(false);
    let patience = Patience::new(settings.stop_grace, hurried);
    let (events, mut happened) = mpsc::unbounded_channel();
    let site = Site::new();
    let slots = Slots::new(site.clone(), events);
    let beginning = Beginning {
        configuration: &configuration,
        log: log.clone(),
        patience: patience.clone(),
        slots: &slots,
    };
    let Begun {
        serving,
        listeners,
        control,
        estate,
        opener,
    } = relay::begin(beginning).await?;

    let api = listeners.address;
    let mut clients = JoinSet::new();
    let site = relay::behind(&site, &estate);
    serve(
        &mut clients,
        &serving,
        &site,
        listeners,
        &settings,
        &slots,
        relay::door(&estate),
    );
    let (commands, commanded) = mpsc::channel(MAX_COMMANDS);
    let control = tokio::spawn(control.serve(commands, relay::door(&estate)));
    let node = Node {
        since,
        slots,
        estate,
        serving,
        patience,
        opener,
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
    control.abort();
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
    since: Instant,
    slots: Slots,
    estate: Exclusive<Estate>,
    serving: Serving,
    patience: Patience,
    opener: Arc<Opener>,
    /// Where the API listens.
    api: SocketAddr,
}

impl Node {
    /// Does what it is told until something ends it.
    async fn live(
        &self,
        signals: &mut Signals,
        mut commands: mpsc::Receiver<Command>,
        events: &mut mpsc::UnboundedReceiver<Event>,
    ) -> End {
        let ended = self.serving.ended();
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
                        self.opener.log().reopen();
                        info!("the log files were opened anew");
                    }
                },
                _ = &mut ended => {
                    info!("another process is the node; this one stops");
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

    fn happened(&self, event: Event) -> Option<End> {
        match event {
            Event::Started(name, result) => self.slots.started(&name, result),
            Event::Stopped(name) => {
                self.slots.stopped(&name);
                self.opener.log().close(&name);
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
        let running = self.slots.running();
        if running.is_empty() {
            return;
        }
        let running = running
            .iter()
            .map(|(name, view)| format!("{name} at {}, {} peers", view.height(), view.peers()));
        let running: Vec<_> = running.collect();
        tell_status(&running.join("; "));
    }

    /// Stops everything: requests first, the stores last.
    async fn stop(
        &self,
        served: &mut JoinSet<Ending>,
        events: &mut mpsc::UnboundedReceiver<Event>,
    ) {
        // the parts are closed here, in order, and not by a handover that ends with this process
        let held = tokio::time::timeout(LAST_ANSWERS, self.estate.get()).await;
        self.slots.each(Running::refuse_work);
        self.serving.stop().await;
        self.patience.end("requests", self.answered()).await;
        if tokio::time::timeout(LAST_ANSWERS, self.disconnected())
            .await
            .is_err()
        {
            // Connections without a request would be kept for a while, in case that one is under way; nobody serves it here.
            self.serving.stop().await;
        }
        // some may be on their way up or down when we are told to stop
        let slots = self.slots.clone();
        let closing = tokio::task::spawn_blocking(move || slots.close_all(Closing::Stop));
        let happening = async {
            while let Some(event) = events.recv().await {
                match event {
                    Event::Started(name, result) => self.slots.started(&name, result),
                    Event::Stopped(name) => self.slots.stopped(&name),
                    Event::Died(..) => {}
                }
            }
            std::future::pending::<()>().await;
        };
        let closed = async {
            tokio::select! {
                closed = closing => if let Err(error) = closed {
                    error!(%error, "the namespaces were not closed in order");
                },
                () = happening => {}
            }
        };
        self.patience.end("namespaces", closed).await;
        drop(held);
        let ended = async { while served.join_next().await.is_some() {} };
        self.patience.end("listeners", ended).await;
        served.abort_all();
    }

    /// Waits until no client of the API is connected.
    async fn disconnected(&self) {
        let clients = self.serving.connections(listeners::API);
        while clients.live() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until no request is in hand, and has `WebSocket`s closed.
    async fn answered(&self) {
        let apis = self.slots.each(|running| running.api().clone());
        while apis.iter().any(|api| api.in_hand() > 0) {
            tokio::time::sleep(LOOK).await;
        }
        for api in apis {
            api.close().await;
        }
    }
}

fn serve(
    served: &mut JoinSet<Ending>,
    serving: &Serving,
    site: &Site,
    listeners: Listeners,
    settings: &crate::settings::Settings,
    slots: &Slots,
    door: Door,
) {
    let connections = settings.api.max_connections;
    let Listeners {
        api,
        address,
        rpc,
        metrics,
        contract,
    } = listeners;
    let (own, of_site) = (serving.clone(), site.clone());
    served.spawn(async move { of_site.serve(&own, api, connections).await });
    if let Some(listener) = rpc {
        let (own, router) = (serving.clone(), rpc::router(slots.clone(), address));
        served.spawn(async move { own.http(listener, router).await });
    }
    if let Some(listener) = metrics {
        let (own, router) = (serving.clone(), rpc::metrics(site.clone()));
        served.spawn(async move { own.http(listener, router).await });
    }
    if let Some(listener) = contract {
        let (own, router) = (serving.clone(), contract::router(slots.clone(), door));
        served.spawn(async move { own.http(listener, router).await });
    }
}

/// A line for whoever looks at the terminal; as bytomd prints it.
fn console(line: &str) {
    let mut out = io::stdout().lock();
    // a closed terminal is no reason to fail
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
