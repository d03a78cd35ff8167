//! Everything that the supervisor tells the operator.
//!
//! The supervisor says what happened, once, by [`Telling::tell`]. From that follow the history,
//! the status, the figures, the hook, the webhook and what systemd shows. Telling never holds up
//! the supervisor and never fails it: whatever waits (a disk, a hook, a client) waits on a thread
//! or task of its own behind a bounded queue, and what finds no room there is counted and said.
//!
//! ```text
//! tell ──┬─► status ──► control socket, admin address, systemd, `watch`
//!        ├─► figures ─► /metrics
//!        ├─► history ─► events.jsonl ──► /events
//!        ├─► hook
//!        └─► webhook
//! ```

mod admin;
pub mod change;
mod client;
pub(crate) mod control;
pub mod event;
mod event_text;
mod events;
pub mod history;
mod hook;
mod looked;
mod metrics;
mod outlet;
mod pace;
mod page;
mod patient;
pub mod reader;
mod routes;
pub(crate) mod serve;
pub mod status;
mod status_apply;
mod status_text;
mod systemd;
pub mod time;
mod webhook;
pub mod words;

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use url::Url;

pub use change::{Change, How};
pub use client::{Client, ClientError, Events};
pub use control::{ControlError, SOCKET};
pub use event::{Event, Record};
pub use routes::{Answer, Ask, READY_WITHIN, Reload, Request, Retry};
pub use status::Status;
pub use status_text::{ago, ended_how, how_far, render_text};
pub use systemd::Notifier;
pub use time::Time;

use history::History;
use hook::Hook;
use looked::Looked;
use metrics::Metrics;
use outlet::{Line, Losses, Outlet};
use pace::Pace;
use reader::Reader;
use routes::Served;
use serve::ServeLimits;
use status::Supervisor;
use webhook::Webhook;

/// Called at each event, progress included, on the thread that tells it: it must not wait.
pub type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

/// What is told to whom.
#[derive(Clone)]
pub struct Options {
    /// Where history and control socket lie: `cosmovisor/.baton`.
    pub dir: PathBuf,
    /// The supervisor, as `status` shows it.
    pub supervisor: Supervisor,
    /// `BATON_HOOK`.
    pub hook: Option<PathBuf>,
    /// `BATON_WEBHOOK`.
    pub webhook: Option<Url>,
    /// `BATON_ADMIN_ADDRESS`.
    pub admin_address: Option<String>,
    /// The service manager.
    pub notifier: Notifier,
    /// Whoever wants to show progress as it happens.
    pub observer: Option<Observer>,
    /// How much of everything.
    pub limits: Limits,
}

impl Options {
    /// History, status and control socket in `dir`, and nothing else.
    pub fn new(dir: PathBuf, supervisor: Supervisor) -> Self {
        Self {
            dir,
            supervisor,
            hook: None,
            webhook: None,
            admin_address: None,
            notifier: Notifier::default(),
            observer: None,
            limits: Limits::default(),
        }
    }
}

/// How much of everything. The defaults are what the documentation says.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The size at which the history begins a new file.
    pub history_bytes: u64,
    /// Events that wait for each of history, hook and webhook.
    pub queue: usize,
    /// How long one run of the hook may take.
    pub hook: Duration,
    /// How long one try to reach the webhook may take.
    pub webhook: Duration,
    /// How often the webhook is tried for one event.
    pub webhook_tries: u32,
    /// The pause before its second try; four times as long before each further one.
    pub webhook_pause: Duration,
    /// For how long nothing must happen before the webhook's client is dropped.
    pub webhook_idle: Duration,
    /// Connections at a time, each on the control socket and the admin address.
    pub connections: usize,
    /// Clients that follow the events at a time.
    pub followers: usize,
    /// How long a client may take over its request.
    pub head: Duration,
    /// For how long a client may take nothing of its answer.
    pub stall: Duration,
    /// How long the supervisor may take to answer a request.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            history_bytes: 4 << 20,
            queue: 256,
            hook: Duration::from_secs(30),
            webhook: Duration::from_secs(10),
            webhook_tries: 3,
            webhook_pause: Duration::from_secs(1),
            webhook_idle: Duration::from_secs(15),
            connections: 32,
            followers: 16,
            head: Duration::from_secs(10),
            stall: Duration::from_mins(1),
            answer: Duration::from_secs(10),
        }
    }
}

/// The supervisor's voice. Cheap to clone; every clone speaks for the same supervisor.
#[derive(Clone)]
pub struct Telling(Arc<Inner>);

struct Inner {
    options: Options,
    status: watch::Sender<Status>,
    pace: Mutex<Pace>,
    metrics: Metrics,
    out: Mutex<Out>,
    /// What [`Telling::serve`] has yet to start.
    unstarted: Mutex<Option<Unstarted>>,
    started: Mutex<Started>,
    /// The last number in the history; closed once there will be no more.
    written: watch::Receiver<u64>,
    history_losses: Losses,
    stop: watch::Sender<bool>,
    looked: Looked,
    /// What systemd was told last.
    headline: Mutex<String>,
}

/// The ways out, and the number of the last record.
#[derive(Default)]
struct Out {
    seq: u64,
    history: Option<SyncSender<Arc<Line>>>,
    hook: Option<Outlet>,
    webhook: Option<Outlet>,
}

#[derive(Default)]
struct Unstarted {
    /// The last record before this supervisor's first.
    past: u64,
    hook: Option<mpsc::Receiver<Arc<Line>>>,
    webhook: Option<mpsc::Receiver<Arc<Line>>>,
}

#[derive(Default)]
struct Started {
    /// What must be told before the end.
    tellers: Vec<(&'static str, JoinHandle<()>)>,
    servers: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl Telling {
    /// Opens the history; nothing is served and no hook runs before [`serve`](Self::serve).
    ///
    /// Call it with the home's lock held: there is one writer to a history. Without a history,
    /// as on a disk that cannot be written to, everything else still works.
    pub fn open(options: Options) -> Self {
        let history = control::private_dir(&options.dir)
            .and_then(|()| History::open(&options.dir, options.limits.history_bytes));
        match history {
            Ok(history) => Self::new(options, Some(history)),
            Err(error) => {
                let dir = options.dir.clone();
                let telling = Self::new(options, None);
                telling.tell(Event::Warning {
                    text: format!("cannot keep a history in {}: {error}", dir.display()),
                    what_to_do: "make it writable for the supervisor, then start that again"
                        .to_owned(),
                });
                telling
            }
        }
    }

    /// Keeps the status and nothing else: for commands that run the node once.
    pub fn silent(supervisor: Supervisor) -> Self {
        let mut options = Options::new(PathBuf::new(), supervisor);
        options.notifier = Notifier::default();
        Self::new(options, None)
    }

    fn new(options: Options, history: Option<History>) -> Self {
        let (status, _) = watch::channel(Status::new(options.supervisor.clone()));
        let queue = options.limits.queue;
        let history_losses = Losses::on("history");
        let mut losses = vec![history_losses.clone()];
        let mut outlet = |name, is_wanted: bool| {
            is_wanted.then(|| {
                let on = Losses::on(name);
                losses.push(on.clone());
                Outlet::new(on, queue)
            })
        };
        let (hook, hook_lines) = outlet("hook", options.hook.is_some()).unzip();
        let (webhook, webhook_lines) = outlet("webhook", options.webhook.is_some()).unzip();
        let metrics = Metrics::new(status.subscribe(), losses);
        let past = history.as_ref().map_or(0, History::last_seq);
        let (to_written, written) = watch::channel(past);
        let history = history.and_then(|history| {
            let (to, lines) = sync_channel(queue);
            let losses = history_losses.clone();
            std::thread::Builder::new()
                .name("history".to_owned())
                .spawn(move || history::write_all(history, &lines, &to_written, &losses))
                .inspect_err(|error| tracing::warn!(%error, "no thread for the history"))
                .ok()
                .map(|_| to)
        });
        Self(Arc::new(Inner {
            options,
            status,
            pace: Mutex::default(),
            metrics,
            out: Mutex::new(Out {
                seq: past,
                history,
                hook,
                webhook,
            }),
            unstarted: Mutex::new(Some(Unstarted {
                past,
                hook: hook_lines,
                webhook: webhook_lines,
            })),
            started: Mutex::default(),
            written,
            history_losses,
            stop: watch::Sender::new(false),
            looked: Looked::default(),
            headline: Mutex::default(),
        }))
    }

    /// Something happened. Never waits.
    pub fn tell(&self, event: Event) {
        let inner = &*self.0;
        let time = Time::now();
        inner.metrics.count(&event);
        inner.status.send_modify(|s| s.apply(&event, time));
        if let Some(observer) = &inner.options.observer {
            observer(&event);
        }
        if event.is_kept() {
            inner.send(event, time);
            inner.tell_systemd();
        }
    }

    /// Changes what `status` shows, for what does not follow from an event.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        self.0.status.send_modify(change);
    }

    /// A height was read from the node, by this way.
    pub fn see_height(&self, height: u64, source: &str) {
        let block_time = {
            let mut pace = lock(&self.0.pace);
            pace.see(height, Instant::now());
            pace.block_time()
        };
        let now = Time::now();
        self.update(|s| s.see_height(height, source, now, block_time));
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        self.0.status.borrow().clone()
    }

    /// How things stand from now on.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.0.status.subscribe()
    }

    /// Does somebody look on, by the page or by asking again and again?
    pub fn is_watched(&self) -> bool {
        self.0.looked.is_watched()
    }

    /// The service manager, to be told of READY and STOPPING. Its status line and its watchdog
    /// are taken care of.
    pub fn notifier(&self) -> &Notifier {
        &self.0.options.notifier
    }

    /// Starts to serve status and events, to run the hook and to post to the webhook. What
    /// operators ask for goes to `requests`. Call it once, within a runtime.
    pub fn serve(&self, requests: &mpsc::Sender<Ask>) {
        let Some(unstarted) = lock(&self.0.unstarted).take() else {
            return;
        };
        let options = &self.0.options;
        let mut started = lock(&self.0.started);
        if let Some((path, lines)) = options.hook.clone().zip(unstarted.hook) {
            let dir = options.dir.parent().unwrap_or(&options.dir).to_owned();
            let limit = options.limits.hook;
            let hook = Hook { path, dir, limit };
            let running = hook::run(hook, lines, self.0.metrics.clone());
            started.tellers.push(("hook", tokio::spawn(running)));
        }
        if let Some((url, lines)) = options.webhook.clone().zip(unstarted.webhook) {
            let webhook = Webhook {
                url,
                limit: options.limits.webhook,
                tries: options.limits.webhook_tries,
                pause: options.limits.webhook_pause,
                idle: options.limits.webhook_idle,
            };
            let metrics = self.0.metrics.clone();
            let running = webhook::run(webhook, lines, metrics, self.0.stop.subscribe());
            started.tellers.push(("webhook", tokio::spawn(running)));
        }
        let (telling, requests) = (self.clone(), requests.clone());
        started.servers.push(tokio::spawn(async move {
            telling.serve_control(&requests).await;
        }));
        if let Some(address) = options.admin_address.clone() {
            let telling = self.clone();
            started.servers.push(tokio::spawn(async move {
                telling.serve_admin(&address).await;
            }));
        }
        let telling = self.clone();
        started.others.push(tokio::task::spawn_blocking(move || {
            telling.remember(unstarted.past);
        }));
        if let Some(interval) = options.notifier.watchdog_interval() {
            let notifier = options.notifier.clone();
            started.others.push(tokio::spawn(async move {
                let mut interval = tokio::time::interval(interval);
                loop {
                    interval.tick().await;
                    notifier.alive();
                }
            }));
        }
    }

    /// Tells what is still to be told, for no longer than `within`; then ends all that
    /// [`serve`](Self::serve) started. Tell [`Event::SupervisorStopped`] before it.
    pub async fn shutdown(&self, within: Duration) {
        let deadline = tokio::time::Instant::now() + within;
        let Started {
            tellers,
            servers,
            others,
        } = std::mem::take(&mut *lock(&self.0.started));
        {
            let mut out = lock(&self.0.out);
            // Their receivers end once they have dealt with what is in the queues.
            (out.history, out.hook, out.webhook) = (None, None, None);
        }
        others.iter().for_each(JoinHandle::abort);
        let telling = async {
            for (name, mut task) in tellers {
                if timeout_at(deadline, &mut task).await.is_err() {
                    task.abort();
                    let _ = task.await;
                    tracing::warn!(
                        outlet = name,
                        ?within,
                        "not all events were told before the supervisor ends"
                    );
                }
            }
        };
        let serving = async {
            let mut written = self.0.written.clone();
            let writing = async { while written.changed().await.is_ok() {} };
            if timeout_at(deadline, writing).await.is_err() {
                tracing::warn!(?within, "the history was not written to its end");
            }
            self.0.stop.send_replace(true);
            for mut server in servers {
                if timeout_at(deadline, &mut server).await.is_err() {
                    server.abort();
                    let _ = server.await;
                }
            }
        };
        tokio::join!(telling, serving);
    }

    async fn serve_control(&self, requests: &mpsc::Sender<Ask>) {
        let dir = self.0.options.dir.clone();
        // Off the supervisor's thread, as all that touches the disk; but binding needs the
        // runtime, whose handle the blocking thread has.
        let bound = tokio::task::spawn_blocking(move || control::bind(&dir)).await;
        match bound {
            Ok(Ok((listener, name))) => {
                let router = routes::all(self.0.served(), requests);
                self.0.serve(listener, router).await;
                drop(name);
            }
            Ok(Err(error)) => self.tell(Event::Warning {
                text: format!("no control socket: {error}"),
                what_to_do: "mend that and start the supervisor again; until then `baton status` \
                             cannot reach it"
                    .to_owned(),
            }),
            Err(error) => tracing::warn!(%error, "no control socket"),
        }
    }

    async fn serve_admin(&self, address: &str) {
        let mut stop = self.0.stop.subscribe();
        let listener = tokio::select! {
            listener = admin::bind(address, self) => listener,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let router = routes::read_only(self.0.served());
        self.0.serve(listener, router).await;
    }

    /// Takes over from the history what earlier supervisors knew. Reads files.
    fn remember(&self, past: u64) {
        let mut then = Status::new(self.0.options.supervisor.clone());
        let mut reader = Reader::new(&self.0.options.dir, 0);
        'history: loop {
            let lines = match reader.next_lines(64 << 10) {
                Ok(lines) if lines.is_empty() => break,
                Ok(lines) => lines,
                Err(error) => {
                    tracing::warn!(%error, "cannot read the history");
                    break;
                }
            };
            for line in lines {
                let Ok(record) = serde_json::from_str::<Record>(&line) else {
                    continue;
                };
                if record.seq > past {
                    break 'history;
                }
                then.apply(&record.event, record.time);
            }
        }
        then.backups.retain(|backup| backup.path.is_dir());
        self.update(|now| now.inherit(then));
    }
}

impl Inner {
    /// Puts a record on every way out. One at a time, so that all have the same order.
    fn send(&self, event: Event, time: Time) {
        let mut out = lock(&self.out);
        out.seq += 1;
        let record = Record {
            seq: out.seq,
            time,
            event,
        };
        let line = Arc::new(Line {
            seq: record.seq,
            kind: record.event.kind().to_owned(),
            json: record.to_json(),
        });
        if let Some(history) = &out.history {
            match history.try_send(line.clone()) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => self.history_losses.one(&format!(
                    "its queue is full, at {} events; is the disk too slow?",
                    self.options.limits.queue
                )),
                Err(TrySendError::Disconnected(_)) => {
                    self.history_losses.one("its writer has ended");
                }
            }
        }
        for outlet in [&out.hook, &out.webhook].into_iter().flatten() {
            outlet.push(line.clone());
        }
    }

    fn tell_systemd(&self) {
        let now = self.status.borrow().headline();
        let mut told = lock(&self.headline);
        if *told != now {
            self.options.notifier.status(&now);
            *told = now;
        }
    }

    fn served(&self) -> Served {
        let limits = &self.options.limits;
        Served {
            dir: self.options.dir.clone(),
            status: self.status.subscribe(),
            written: self.written.clone(),
            metrics: self.metrics.clone(),
            followers: Arc::new(Semaphore::new(limits.followers)),
            max_followers: limits.followers,
            answer_within: limits.answer,
            looked: self.looked.clone(),
        }
    }

    async fn serve(&self, listener: impl axum::serve::Listener, router: axum::Router) {
        let limits = ServeLimits {
            connections: self.options.limits.connections,
            head: self.options.limits.head,
            stall: self.options.limits.stall,
        };
        let stop = self.stop.subscribe();
        serve::serve(listener, router, routes::no_room(), limits, stop).await;
    }
}

/// What a panic elsewhere left behind is still good enough to tell.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling")
            .field("dir", &self.0.options.dir)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
