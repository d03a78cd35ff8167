//! A namespace on a runtime of its own.

use std::time::Duration;

use baton_api::Api;
use baton_handover::connections::Kind;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tracing::error;

use super::Name;
use super::open::Namespace;
use super::view::View;
use crate::configuration::Configuration;
use crate::lock::Lock;
use crate::logging;
use crate::step::{Patience, StepError};
use crate::tasks::{Death, said};

/// Threads for what does not block. What blocks has others, as many as it needs.
const WORKERS: usize = 2;
/// How long what still blocks in a runtime that is closed is waited for.
const LEFT_OVER: Duration = Duration::from_secs(2);

/// A namespace that runs, and its runtime.
pub(crate) struct Running {
    name: Name,
    /// `None` only while it is being closed.
    inner: Option<(Runtime, Namespace)>,
    /// Its home's, if that is not the node's.
    _lock: Option<Lock>,
}

/// Why a namespace does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A part panicked.
    #[error("a part of the node failed as it was opened; {0}")]
    Panic(String),
    /// There is no runtime.
    #[error("cannot start the threads of a namespace: {0}")]
    Runtime(std::io::Error),
}

impl Running {
    /// Opens a namespace.
    pub(crate) async fn start(
        name: Name,
        configuration: Configuration,
        lock: Option<Lock>,
        websockets: Kind,
        patience: Patience,
    ) -> Result<Self, StartError> {
        let own = name.clone();
        let opening = tokio::task::spawn_blocking(move || {
            let entered = own.clone();
            let runtime = Builder::new_multi_thread()
                .worker_threads(WORKERS)
                .thread_name(format!("ns-{own}"))
                .on_thread_start(move || logging::enter(&entered))
                .enable_all()
                .build()
                .map_err(StartError::Runtime)?;
            logging::within(&own, || {
                let open = Namespace::open(&own, &configuration, websockets, patience);
                let namespace = runtime.block_on(open)?;
                Ok::<_, StartError>((runtime, namespace))
            })
        });
        match opening.await {
            Ok(opened) => Ok(Self {
                name,
                inner: Some(opened?),
                _lock: lock,
            }),
            Err(error) => Err(StartError::Panic(match error.try_into_panic() {
                Ok(panic) => said(panic.as_ref()),
                Err(_) => "the node is stopping".to_owned(),
            })),
        }
    }

    fn namespace(&self) -> &Namespace {
        let (_, namespace) = self.inner.as_ref().expect("it is taken only by stop");
        namespace
    }

    pub(crate) fn api(&self) -> &Api {
        self.namespace().api()
    }

    pub(crate) fn view(&self) -> &View {
        self.namespace().view()
    }

    /// Tells of the first of its parts that died.
    pub(crate) fn death(&self) -> watch::Receiver<Option<Death>> {
        self.namespace().death()
    }

    /// From now on it says that it cannot be sent work.
    pub(crate) fn refuse_work(&self) {
        self.namespace().refuse_work();
    }

    /// Closes the namespace; when this returns another process may open it.
    pub(crate) async fn stop(mut self) {
        let (runtime, namespace) = self.inner.take().expect("it is taken only here");
        let name = self.name.clone();
        let closing = tokio::task::spawn_blocking(move || {
            logging::within(&name, || runtime.block_on(namespace.close()));
            runtime.shutdown_timeout(LEFT_OVER);
        });
        if let Err(error) = closing.await {
            error!(namespace = %self.name, %error, "a namespace was not closed in order");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // a runtime must not be waited for by another
        if let Some((runtime, namespace)) = self.inner.take() {
            drop(namespace);
            runtime.shutdown_background();
        }
    }
}
