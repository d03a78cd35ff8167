//! How a namespace of this node is opened, whichever it is.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use baton_handover::connections::Kind;
use baton_handover::{Handover, OwnListeners, Serving};
use tracing::warn;

use crate::configuration::Configuration;
use crate::lock::Lock;
use crate::logging::Log;
use crate::namespace::{Legacy, Name, Opening, Running, StartError};
use crate::step::Patience;

/// What all namespaces have in common.
pub(super) struct Opener {
    /// Of `global`, and so of the node.
    configuration: Configuration,
    log: Log,
    patience: Patience,
    /// Where `WebSockets` take their seats: claimed early, so that those of a predecessor find them.
    websockets: Mutex<BTreeMap<Name, Kind>>,
    own: OwnListeners,
    serving: OnceLock<Serving>,
}

impl Opener {
    /// Claims the `WebSockets` of all namespaces that the settings name.
    pub(super) fn new(
        configuration: Configuration,
        log: Log,
        patience: Patience,
        handover: &mut Handover,
    ) -> Self {
        let listed = configuration.settings.namespaces.iter();
        let names = listed.map(|listed| listed.name.clone());
        let claimed = std::iter::once(Name::global()).chain(names).map(|name| {
            let kind = handover.connections(&kind(&name));
            (name, kind)
        });
        let websockets = Mutex::new(claimed.collect());
        Self {
            configuration,
            log,
            patience,
            websockets,
            own: handover.own_listeners(),
            serving: OnceLock::new(),
        }
    }

    /// This process serves: namespaces that are made from now on can have `WebSockets` too.
    pub(super) fn serves(&self, serving: &Serving) {
        // it serves once
        let _ = self.serving.set(serving.clone());
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Opens a namespace; it has not begun yet. Blocks.
    pub(super) fn open(
        &self,
        name: &Name,
        legacy: Legacy,
        must_go_on: bool,
    ) -> Result<Running, OpenError> {
        let websockets = self.websockets(name)?;
        let (configuration, lock) = if name.is_global() {
            (self.configuration.clone(), None)
        } else {
            let (configuration, lock) = self.configuration_of(name)?;
            (configuration, Some(lock))
        };
        let opening = Opening {
            name: name.clone(),
            configuration,
            websockets,
            own: self.own.clone(),
            patience: self.patience.clone(),
            legacy,
            must_go_on,
        };
        Ok(Running::open(opening, lock)?)
    }

    fn configuration_of(&self, name: &Name) -> Result<(Configuration, Lock), OpenError> {
        let home = self.configuration.home.namespace(name);
        if !home.path().is_dir() {
            return Err(told(&format!("there is no {}", home.path().display())));
        }
        let configuration = Configuration::of_namespace(home).map_err(|error| told(&error))?;
        let lock = Lock::take(&configuration.home.lock()).map_err(|error| told(&error))?;
        self.log
            .open(name, &configuration.paths.log)
            .map_err(|error| told(&format!("its log: {error}")))?;
        for warning in &configuration.warnings {
            warn!(namespace = %name, "{warning}");
        }
        Ok((configuration, lock))
    }

    fn websockets(&self, name: &Name) -> Result<Kind, OpenError> {
        let claimed = self.websockets.lock();
        let mut claimed = claimed.unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = claimed.get(name) {
            return Ok(kind.clone());
        }
        let Some(serving) = self.serving.get() else {
            return Err(told(&"config.toml does not name it"));
        };
        let kind = serving.connections(&kind(name));
        claimed.insert(name.clone(), kind.clone());
        Ok(kind)
    }
}

/// The name of a namespace's `WebSockets` among the connections of a handover.
fn kind(name: &Name) -> String {
    if name.is_global() {
        "websockets".to_owned()
    } else {
        format!("websockets of {name}")
    }
}

/// Why a namespace cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Told(String),
}

fn told(what: &impl ToString) -> OpenError {
    OpenError::Told(what.to_string())
}
