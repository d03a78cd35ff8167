//! What the program's calls and the driver both work on.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::connections::Registry;
use crate::exclusive::Resource;
use crate::gate::{Flow, Keeper};
use crate::listen::Shareables;
use crate::own::OwnListeners;
use crate::protocol::frame::{SentState, Versions};
use crate::sealed::Sealed;
use crate::settings::Settings;

type WriteState = dyn Fn(u32, &mut dyn Write) -> io::Result<()> + Send + Sync;

/// How a state of this generation is written for the next.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) versions: Versions,
    pub(crate) write: Arc<WriteState>,
}

/// How this process was started, as it was then.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<std::ffi::OsString>,
    pub(crate) directory: PathBuf,
}

/// Everything that this generation has, by whatever way it is reached.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) launch: Launch,
    pub(crate) registry: Registry,
    pub(crate) own: OwnListeners,
    gate: Keeper,
    shareables: Mutex<Shareables>,
    exclusives: Mutex<Vec<Arc<dyn Resource>>>,
    writers: Mutex<BTreeMap<String, Writer>>,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        launch: Launch,
        gate: Keeper,
        shareables: Shareables,
    ) -> Self {
        Self {
            settings,
            launch,
            registry: Registry::new(),
            own: OwnListeners::default(),
            gate,
            shareables: Mutex::new(shareables),
            exclusives: Mutex::new(Vec::new()),
            writers: Mutex::new(BTreeMap::new()),
        }
    }

    /// Turns the gate of all listeners.
    pub(crate) fn turn(&self, flow: Flow) {
        self.gate.set(flow);
    }

    pub(crate) fn shareables(&self) -> MutexGuard<'_, Shareables> {
        // Each change below the lock is whole before anything can panic.
        self.shareables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The exclusives in the order in which they were asked for.
    pub(crate) fn exclusives(&self) -> Vec<Arc<dyn Resource>> {
        self.exclusives
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn add_exclusive(&self, resource: Arc<dyn Resource>) {
        self.exclusives
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(resource);
    }

    pub(crate) fn add_writer(&self, name: &str, writer: Writer) {
        self.writers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), writer);
    }

    pub(crate) fn writers(&self) -> BTreeMap<String, Writer> {
        self.writers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Closes the exclusives, the last one first.
    pub(crate) async fn release_all(&self, limit: Duration) -> Result<(), String> {
        for resource in self.exclusives().iter().rev() {
            resource
                .release(limit)
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Opens the exclusives that are not open, the first one first.
    pub(crate) async fn acquire_all(&self) -> Result<(), String> {
        for resource in self.exclusives() {
            resource.acquire().await.map_err(|error| chain(&error))?;
        }
        Ok(())
    }

    /// Writes the states that a successor reads, each in the version that was agreed.
    pub(crate) async fn write_states(
        &self,
        versions: BTreeMap<String, u32>,
    ) -> Result<Vec<(SentState, Sealed)>, String> {
        let writers = self.writers();
        // Writing may take long and is the program's code.
        let written = tokio::task::spawn_blocking(move || {
            let mut states = Vec::new();
            for (name, version) in versions {
                let Some(writer) = writers.get(&name) else {
                    continue;
                };
                let sealed = Sealed::write(&name, |file| (writer.write)(version, file))
                    .map_err(|error| format!("cannot write state {name:?}: {error}"))?;
                let length = sealed.len();
                let sent = SentState {
                    name,
                    version,
                    length,
                };
                states.push((sent, sealed));
            }
            Ok(states)
        });
        written
            .await
            .map_err(|_| "the program panicked while writing its states".to_owned())?
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
