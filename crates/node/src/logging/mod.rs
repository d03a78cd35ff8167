//! The log: lines as bytomd's, in files by module and day, or on standard error.
//!
//! Threads of a namespace's runtime say so by [`enter`], so that its events go into its own directory, whichever
//! library tells them.

mod line;
mod modules;
mod writer;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::files;
use crate::namespace::Name;
use writer::Writer;

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How much.
    pub level: Level,
    /// The directory, under the home.
    pub directory: String,
    /// How lines look.
    pub format: Format,
    /// Lines go to standard error and not into files.
    pub to_stderr: bool,
    /// No file grows larger, in bytes.
    pub max_file_bytes: u64,
    /// For how many days files are kept.
    pub keep_days: u64,
    /// Each line tells its place in the source (`BYTOM_DEBUG`).
    pub places: bool,
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `time="…" level=info msg="…" height=6 module=consensus`
    Text,
    /// One object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Everything that could help to find a fault.
    Debug,
    /// What an operator may want to know.
    Info,
    /// What an operator should know.
    Warn,
    /// What went wrong.
    Error,
}

impl Level {
    /// The level of that name; as in bytomd one that is not known is `info`. `fatal`, of which there is nothing, is
    /// `error`.
    pub fn of(name: &str) -> Self {
        match name {
            "debug" => Self::Debug,
            "warn" | "warning" => Self::Warn,
            "error" | "fatal" => Self::Error,
            _ => Self::Info,
        }
    }

    /// What is let through of this project, of the libraries it uses, which talk more, and of libp2p.
    fn filters(self) -> [LevelFilter; 3] {
        match self {
            Self::Debug => [LevelFilter::DEBUG, LevelFilter::INFO, LevelFilter::INFO],
            Self::Info => [LevelFilter::INFO, LevelFilter::WARN, LevelFilter::ERROR],
            Self::Warn => [LevelFilter::WARN, LevelFilter::WARN, LevelFilter::ERROR],
            Self::Error => [LevelFilter::ERROR; 3],
        }
    }
}

/// The log of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    own: LevelFilter,
    foreign: LevelFilter,
    peers: LevelFilter,
    /// One for each namespace; `global`'s for all that belongs to none.
    writers: Mutex<BTreeMap<Name, Writer>>,
}

thread_local! {
    static NAMESPACE: RefCell<Option<Name>> = const { RefCell::new(None) };
}

/// Says that what this thread logs from now on belongs to a namespace.
pub fn enter(namespace: &Name) {
    NAMESPACE.set(Some(namespace.clone()));
}

/// Does something whose log belongs to a namespace.
pub(crate) fn within<T>(namespace: &Name, work: impl FnOnce() -> T) -> T {
    let before = NAMESPACE.replace(Some(namespace.clone()));
    let done = work();
    NAMESPACE.set(before);
    done
}

impl Log {
    /// Begins to log, for the whole process; the files of `global` lie in `directory`.
    ///
    /// A second call in one process, as in tests, changes nothing.
    pub fn start(settings: &Settings, directory: &Path) -> io::Result<Self> {
        let [own, foreign, peers] = settings.level.filters();
        let log = Self(Arc::new(Shared {
            settings: settings.clone(),
            own,
            foreign,
            peers,
            writers: Mutex::default(),
        }));
        log.open(&Name::global(), directory)?;
        let subscriber = tracing_subscriber::registry().with(log.clone());
        if tracing::subscriber::set_global_default(subscriber).is_ok() {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                tracing::error!(panic = %panic, "a part of the node panicked");
                told(panic);
            }));
        }
        Ok(log)
    }

    /// Opens the directory of a namespace.
    pub fn open(&self, namespace: &Name, directory: &Path) -> io::Result<()> {
        if self.0.settings.to_stderr {
            return Ok(());
        }
        files::make_private_dir(directory)?;
        let settings = &self.0.settings;
        let writer = Writer::new(
            directory.to_owned(),
            settings.max_file_bytes,
            settings.keep_days,
        );
        self.writers().insert(namespace.clone(), writer);
        Ok(())
    }

    /// Forgets a namespace that was stopped.
    pub fn close(&self, namespace: &Name) {
        self.writers().remove(namespace);
    }

    /// Has each file opened anew with the next line for it: somebody has moved it away.
    pub fn reopen(&self) {
        self.writers().values_mut().for_each(Writer::reopen);
    }

    fn writers(&self) -> MutexGuard<'_, BTreeMap<Name, Writer>> {
        self.0
            .writers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lets_through(&self, metadata: &Metadata<'_>) -> bool {
        let filter = if modules::is_own(metadata.target()) {
            self.0.own
        } else if metadata.target().starts_with("libp2p") {
            // it warns of what is everyday among peers
            self.0.peers
        } else {
            self.0.foreign
        };
        *metadata.level() <= filter
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.lets_through(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.own.max(self.0.foreign))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let settings = &self.0.settings;
        let module = modules::of(event.metadata().target());
        let now = Timestamp::now();
        let namespace = NAMESPACE
            .try_with(|namespace| namespace.borrow().clone())
            .ok()
            .flatten()
            .filter(|name| !name.is_global());
        let name = namespace.as_ref().map(Name::as_str);
        let line = line::render(settings.format, now, event, module, name, settings.places);
        if settings.to_stderr {
            let _ = io::stderr().lock().write_all(line.as_bytes());
            return;
        }
        let mut writers = self.writers();
        let own = namespace.filter(|name| writers.contains_key(name));
        if let Some(writer) = writers.get_mut(&own.unwrap_or_else(Name::global)) {
            writer.write(module, now, &line);
        }
    }
}

/// A line for people on standard error, for commands that keep no log; as bytomd's `init` writes them.
pub fn tell(level: &str, message: &str, fields: &[(&str, &str)]) {
    let mut all: Vec<(&str, serde_json::Value)> = fields
        .iter()
        .map(|(name, value)| (*name, (*value).into()))
        .collect();
    all.push(("module", "cmd".into()));
    let line = line::line(Format::Text, Timestamp::now(), level, message, &all);
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn settings() -> Settings {
        Settings {
            level: Level::of("nonsense"),
            directory: "log".to_owned(),
            format: Format::Text,
            to_stderr: false,
            max_file_bytes: 1 << 20,
            keep_days: 7,
            places: true,
        }
    }

    fn all(directory: &Path) -> String {
        fs::read_dir(directory)
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect()
    }

    #[test]
    fn events_go_to_the_files_of_their_namespace() {
        let dir = tempfile::tempdir().unwrap();
        let (root, second) = (dir.path().join("log"), dir.path().join("second"));
        let [own, foreign, peers] = settings().level.filters();
        let log = Log(Arc::new(Shared {
            settings: settings(),
            own,
            foreign,
            peers,
            writers: Mutex::default(),
        }));
        let name: Name = "second".parse().unwrap();
        log.open(&Name::global(), &root).unwrap();
        log.open(&name, &second).unwrap();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(height = 6, "a block");
            tracing::debug!("not to be seen");
            tracing::info!(target: "libp2p_swarm", "not to be seen either");
            tracing::error!(target: "libp2p_swarm", "to be seen");
            enter(&name);
            tracing::error!(reason = "a reason", "of second");
        });
        NAMESPACE.set(None);
        let (root, second) = (all(&root), all(&second));
        assert!(root.contains("msg=\"a block\" height=6 file="), "{root}");
        assert!(
            root.contains("msg=\"to be seen\"") && root.contains("module=p2p"),
            "{root}"
        );
        assert!(
            !root.contains("not to be seen") && !root.contains("second"),
            "{root}"
        );
        assert!(
            second.contains("level=error msg=\"of second\" reason=\"a reason\""),
            "{second}"
        );
        assert!(
            second.contains("namespace=second module=general"),
            "{second}"
        );
    }
}
