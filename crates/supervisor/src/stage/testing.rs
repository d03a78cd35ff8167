//! What the tests of the commands share: a home, an executable, and the log as it was written.

use std::fmt::{self, Write};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use tempfile::TempDir;
use tracing::Dispatch;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::config::{Config, Env};

/// A configured home as `init` leaves it, with a data directory.
pub(super) struct Home {
    pub(super) dir: TempDir,
    pub(super) config: Config,
}

impl Home {
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("cosmovisor")).unwrap();
        fs::create_dir_all(dir.path().join("data")).unwrap();
        let mut all = vec![
            ("DAEMON_HOME", dir.path().to_str().unwrap()),
            ("DAEMON_NAME", "simd"),
        ];
        all.extend(variables);
        let env: Env = all.into_iter().collect();
        let config = Config::load(None, &env).unwrap().config;
        Self { dir, config }
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// An executable outside of the home's releases.
    pub(super) fn executable(&self, content: &str) -> PathBuf {
        let path = self.at("new-binary");
        fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }
}

pub(super) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What is logged while `run` runs, one line an event: level, message, fields.
pub(super) fn logged<T>(run: impl FnOnce() -> T) -> (T, Vec<String>) {
    // With one subscriber alone, `tracing` asks that of the thread which comes to an event first,
    // and a test that has none would turn the event off for all.
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(registry()));
    LazyLock::force(&SECOND);
    let lines = Lines::default();
    let subscriber = registry().with(lines.clone());
    let result = tracing::subscriber::with_default(subscriber, run);
    let lines = lines.0.lock().unwrap().clone();
    (result, lines)
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let text = format!(
            "{} {}{}",
            event.metadata().level(),
            line.message,
            line.fields
        );
        self.0.lock().unwrap().push(text);
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }
}
