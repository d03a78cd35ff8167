//! What a program decides about its handovers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::protocol::frame::Versions;
use crate::state::{State, versions};
use crate::triggers::Source;

/// How a program hands over. Every value has a default that serves a small HTTP server.
///
/// ```
/// use std::time::Duration;
/// use baton_handover::Settings;
///
/// let settings = Settings::named("echo")
///     .control_dir("/run/echo")
///     .drain(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches that do not depend on each other"
)]
pub struct Settings {
    pub(crate) name: String,
    pub(crate) control_dir: Option<PathBuf>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) exec: Option<PathBuf>,
    pub(crate) triggers: Vec<Source>,
    pub(crate) stop_signals: bool,
    pub(crate) nginx_signals: bool,
    pub(crate) staged: bool,
    pub(crate) take_back: bool,
    pub(crate) fd_store: bool,
    pub(crate) join: bool,
    pub(crate) backlog: Option<u32>,
    pub(crate) max_draining: usize,
    pub(crate) states: BTreeMap<String, Versions>,
    pub(crate) requires: Vec<String>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) limits: Limits,
}

/// The longest that each step may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) boundary: Duration,
    pub(crate) release: Duration,
    pub(crate) frozen: Duration,
    pub(crate) drain: Duration,
    pub(crate) claim: Duration,
}

impl Settings {
    /// Settings for a server of this name. Generations of different names do not hand over to each other.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            control_dir: None,
            pid_file: None,
            exec: None,
            triggers: vec![Source::usual()],
            stop_signals: true,
            nginx_signals: false,
            staged: false,
            take_back: true,
            fd_store: false,
            join: true,
            backlog: None,
            max_draining: 4,
            states: BTreeMap::new(),
            requires: Vec::new(),
            metrics: None,
            limits: Limits {
                timeout: Duration::from_mins(1),
                boundary: Duration::from_millis(10),
                release: Duration::from_secs(5),
                frozen: Duration::from_secs(10),
                drain: Duration::from_secs(30),
                claim: Duration::from_secs(10),
            },
        }
    }

    /// Where generations find each other: a directory of this server's own, made with mode 0700 if it is missing. Without one a
    /// program hands over only to successors that it starts itself, and no command can ask for it.
    #[must_use]
    pub fn control_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.control_dir = Some(path.into());
        self
    }

    /// A file that names the process that serves.
    #[must_use]
    pub fn pid_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.pid_file = Some(path.into());
        self
    }

    /// The successor's executable. By default the path this process was started by, as it was then: a relative one is taken from the
    /// directory of the start, a symbolic link is followed anew each time.
    #[must_use]
    pub fn exec(mut self, path: impl Into<PathBuf>) -> Self {
        self.exec = Some(path.into());
        self
    }

    /// The signal that asks for a handover, by number, in place of SIGUSR2.
    #[must_use]
    pub fn upgrade_on_signal(mut self, number: i32) -> Self {
        self.triggers
            .retain(|source| !matches!(source, Source::Signal(_)));
        self.triggers.push(Source::Signal(number));
        self
    }

    /// A file that asks for a handover whenever it is touched or replaced; the executable itself, for instance.
    #[must_use]
    pub fn upgrade_on_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.triggers.push(Source::File(path.into()));
        self
    }

    /// Leaves SIGTERM and SIGINT to the program. By default they drain and end this generation, and a second one ends it at once.
    #[must_use]
    pub fn own_stop_signals(mut self) -> Self {
        self.stop_signals = false;
        self
    }

    /// Takes nginx's signals: TERM and INT end at once, QUIT drains, HUP reloads or wakes, USR1 reopens logs, USR2 hands over in stages,
    /// WINCH stops accepting. See [`Serving::event`](crate::Serving::event) for those that the program must act on.
    #[must_use]
    pub fn nginx_signals(mut self) -> Self {
        self.nginx_signals = true;
        self.stop_signals = false;
        self.staged = true;
        self.triggers
            .retain(|source| !matches!(source, Source::Signal(_)));
        self
    }

    /// After a commit the predecessor sleeps on its listeners instead of ending, until it is told to wake or to end.
    #[must_use]
    pub fn staged(mut self) -> Self {
        self.staged = true;
        self
    }

    /// A predecessor that drains stays a predecessor even if its successor dies. By default it then serves again.
    #[must_use]
    pub fn no_take_back(mut self) -> Self {
        self.take_back = false;
        self
    }

    /// Keeps copies of the listeners with the service manager (systemd's `FileDescriptorStoreMax=`), so that they outlive a crash.
    #[must_use]
    pub fn fd_store(mut self) -> Self {
        self.fd_store = true;
        self
    }

    /// Does not take over from a generation that is found in the control directory: fails instead.
    #[must_use]
    pub fn no_join(mut self) -> Self {
        self.join = false;
        self
    }

    /// How many connections the kernel queues for each listener; by default as many as it allows (`net.core.somaxconn`).
    #[must_use]
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = Some(connections);
        self
    }

    /// How many older generations may still drain when another handover begins; 4 by default.
    #[must_use]
    pub fn max_draining(mut self, generations: usize) -> Self {
        self.max_draining = generations;
        self
    }

    /// Declares a state that this program takes from a predecessor, so that versions can be compared before anything is frozen.
    #[must_use]
    pub fn state<T: State>(mut self, name: &str) -> Self {
        self.states.insert(name.to_owned(), versions::<T>());
        self
    }

    /// Refuses to take over from a predecessor that has nothing of this name.
    #[must_use]
    pub fn requires(mut self, name: &str) -> Self {
        self.requires.push(name.to_owned());
        self
    }

    /// Counts handovers in metrics that the program has registered; see [`Metrics::register`].
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// From the start of a successor until it is warm, and as long again as patience with a predecessor; 60 s by default.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limits.timeout = limit;
        self
    }

    /// How long a freeze goes on without an answer from any connection; 10 ms by default. Those in the middle of something answer at once, and
    /// move later, one by one; so do those that have not answered.
    #[must_use]
    pub fn boundary(mut self, limit: Duration) -> Self {
        self.limits.boundary = limit;
        self
    }

    /// How long a handover waits for borrowers of an exclusive resource; 5 s by default.
    #[must_use]
    pub fn release(mut self, limit: Duration) -> Self {
        self.limits.release = limit;
        self
    }

    /// From the freeze until the successor has opened its exclusive resources; 10 s by default.
    #[must_use]
    pub fn frozen(mut self, limit: Duration) -> Self {
        self.limits.frozen = limit;
        self
    }

    /// How long a generation that has handed over, or was told to stop, may finish what is under way; 30 s by default.
    #[must_use]
    pub fn drain(mut self, limit: Duration) -> Self {
        self.limits.drain = limit;
        self
    }
}
