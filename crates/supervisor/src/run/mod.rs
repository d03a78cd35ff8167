//! The supervisor at work: the driver that turns the machines' actions into system calls, and
//! what the system does into their events.
//!
//! [`supervise`] is the story; [`driver`] holds the loop. [`oneshot`] runs the node's other
//! commands, which never watch and never upgrade.

pub mod driver;
mod found;
pub mod judge;
pub mod oneshot;
pub mod pace;
pub mod prefetch;
pub mod resume;
pub mod rollback;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::backup;
use crate::config::{Config, DEFAULT_SHUTDOWN_GRACE, Loaded};
use crate::layout::Layout;
use crate::life::{Exit, Settings};
use crate::node::group;
use crate::node::lock::{self, Lock, LockError};
use crate::records::Records;
use crate::telling::{self, Event, Observer, Telling};
use crate::upgrade;

/// How long hooks and the webhook have after the supervisor has nothing more to do.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why the supervisor does not even begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another supervisor has the home.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is no data directory to watch.
    #[error("invalid path: {} must be an existing directory: {why}", .path.display())]
    NoData {
        /// The directory.
        path: std::path::PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An interrupted restore of the data cannot be brought to an end.
    #[error("bringing an interrupted restore of the data to an end: {0}")]
    Restore(#[from] backup::RestoreError),
    /// The interrupted upgrade cannot be read.
    #[error(transparent)]
    Journal(#[from] upgrade::JournalError),
    /// A node that another supervisor left behind cannot be ended.
    #[error("ending the node that was left running: {0}")]
    Orphan(String),
}

/// What a supervisor is started with, beside its configuration.
pub struct Options {
    /// The node's arguments.
    pub args: Vec<OsString>,
    /// The exit code that an end has with this executable, for the record.
    pub exit_code: fn(&Exit) -> i32,
    /// Whoever wants to show progress as it happens.
    pub observer: Option<Observer>,
}

/// Runs the node with these arguments and upgrades it, until it ends or the operator ends it.
pub async fn supervise(loaded: Loaded, options: Options) -> Result<Exit, RunError> {
    let Options {
        args,
        exit_code,
        observer,
    } = options;
    // Reads FAILPOINTS where fault points are compiled in; they stay for the process's life.
    std::mem::forget(fail::FailScenario::setup());
    let changed = loaded.changed();
    let mut config = loaded.config;
    if !changed.contains_key("DAEMON_GRPC_ADDRESS") {
        config.grpc_address = grpc_address(&config);
    }
    let config = Arc::new(config);
    let layout = config.layout();
    let _lock = take_lock(&layout)?;
    let records = Records::new(&layout.baton());
    let last = records.last_life();
    let found = match &last {
        Some(last) => {
            let journal = resume::pending(&config, &layout, &args)?;
            found::node(&config, &layout, &args, last, journal.as_deref()).await
        }
        None => None,
    };
    if let (None, Some(last)) = (&found, &last) {
        for process in found::left(last) {
            warn!(
                pid = process.pid,
                "a node was left running by a supervisor that was killed; ending it first"
            );
            let grace = config.shutdown_grace.unwrap_or(DEFAULT_SHUTDOWN_GRACE);
            group::end_orphan(&process, grace)
                .await
                .map_err(RunError::Orphan)?;
        }
    }
    // Only now: a node that was left running could still hold what is put in order here.
    if found.is_none() {
        for settled in backup::settle(layout.data())? {
            warn!(
                ?settled,
                "a restore of the data was interrupted; it was brought to an end"
            );
        }
    }
    check_data(&layout)?;
    let journal = resume::pending(&config, &layout, &args)?;
    let telling = voice(&config, &layout, changed, observer);
    telling.tell(Event::SupervisorStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        home: config.home.clone(),
        resumed: journal.is_some(),
    });
    let driver = driver::Driver::new(
        config,
        layout,
        args,
        records,
        last.as_ref(),
        telling.clone(),
    );
    let beginning = driver::Beginning {
        last,
        journal,
        found,
    };
    let exit = driver.run(beginning).await;
    telling.tell(Event::SupervisorStopped {
        exit_code: exit_code(&exit),
    });
    telling.shutdown(LAST_WORDS).await;
    Ok(exit)
}

/// Where the node's gRPC is, if the operator has not said: its own configuration tells. The default
/// holds only for a node without one: another chain's node may listen there, and its heights must
/// not be taken for this one's.
fn grpc_address(config: &Config) -> String {
    let app = config.home.join("config/app.toml");
    let Ok(text) = std::fs::read_to_string(app) else {
        return config.grpc_address.clone();
    };
    text.parse::<toml::Table>()
        .ok()
        .and_then(|table| {
            let address = table.get("grpc")?.get("address")?.as_str()?;
            // A node that listens everywhere listens on loopback too.
            Some(address.replace("0.0.0.0:", "127.0.0.1:"))
        })
        .unwrap_or_else(|| config.grpc_address.clone())
}

/// The voice of this home's supervisor.
fn voice(
    config: &Config,
    layout: &Layout,
    changed: BTreeMap<String, String>,
    observer: Option<Observer>,
) -> Telling {
    let supervisor = telling::status::Supervisor {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: telling::Time::now(),
        home: config.home.clone(),
        name: config.name.clone(),
        admin_address: None,
        config: changed,
    };
    let mut options = telling::Options::new(layout.baton(), supervisor);
    options.hook.clone_from(&config.baton.hook);
    options.webhook = config
        .baton
        .webhook
        .as_ref()
        .and_then(|url| url.parse().ok());
    options.admin_address = config
        .baton
        .admin_address
        .map(|address| address.to_string());
    options.notifier = telling::Notifier::from_env();
    options.observer = observer;
    Telling::open(options)
}

fn check_data(layout: &Layout) -> Result<(), RunError> {
    let path = layout.data().to_owned();
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(RunError::NoData {
            path,
            why: "not a directory".to_owned(),
        }),
        Err(e) => Err(RunError::NoData {
            why: format!(
                "stat {}: {}",
                path.display(),
                crate::config::go_text::io_error(&e)
            ),
            path,
        }),
    }
}

/// A home that cannot be written to still deserves a running node; it cannot be upgraded, and
/// that is said. Any other trouble with the lock is final.
fn take_lock(layout: &Layout) -> Result<Option<Lock>, RunError> {
    use std::io::ErrorKind as K;
    match lock::take(&layout.baton()) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Io { path, source })
            if matches!(
                source.kind(),
                K::ReadOnlyFilesystem | K::PermissionDenied | K::StorageFull | K::QuotaExceeded
            ) =>
        {
            warn!(
                error = %source,
                path = %path.display(),
                "the home cannot be written to: the node is started, but it cannot be upgraded and a second supervisor cannot be kept away"
            );
            Ok(None)
        }
        Err(e) => Err(e.into()),
    }
}

/// What the machine of a node's life needs to know of the configuration.
fn settings(config: &Config) -> Settings {
    Settings {
        grace: config.shutdown_grace.unwrap_or(DEFAULT_SHUTDOWN_GRACE),
        delay: config.restart_delay,
        restart: config.baton.restart,
        upgrade: upgrade::Policy {
            restart: config.restart_after_upgrade,
            rollback: config.baton.rollback.as_ref().map(|rollback| {
                let window = i64::try_from(rollback.window.as_secs()).unwrap_or(i64::MAX);
                (rollback.failures, window)
            }),
        },
    }
}
