//! A namespace on a runtime of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use baton_api::Api;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tracing::error;

use super::Name;
use super::close::Closing;
use super::legacy::Legacy;
use super::open::{Namespace, Opening};
use super::view::View;
use crate::lock::Lock;
use crate::logging;
use crate::step::StepError;
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
    /// Opens a namespace, on threads of its own; `lock` is that of its home, if that is not the node's. Blocks.
    pub(crate) fn open(opening: Opening, lock: Option<Lock>) -> Result<Self, StartError> {
        let name = opening.name.clone();
        let entered = name.clone();
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name(format!("ns-{name}"))
            .on_thread_start(move || logging::enter(&entered))
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            logging::within(&name, || runtime.block_on(Namespace::open(opening)))
        }));
        match opened {
            Ok(Ok(namespace)) => Ok(Self {
                name,
                inner: Some((runtime, namespace)),
                _lock: lock,
            }),
            Ok(Err(error)) => Err(error.into()),
            Err(panic) => Err(StartError::Panic(said(panic.as_ref()))),
        }
    }

    /// Has it take part from now on. Blocks.
    pub(crate) fn begin(&mut self) -> Result<(), StartError> {
        let (runtime, namespace) = self.inner.as_mut().expect("it is taken only by close");
        let begun = catch_unwind(AssertUnwindSafe(|| {
            logging::within(&self.name, || runtime.block_on(namespace.begin()))
        }));
        match begun {
            Ok(begun) => Ok(begun?),
            Err(panic) => Err(StartError::Panic(said(panic.as_ref()))),
        }
    }

    fn namespace(&self) -> &Namespace {
        let (_, namespace) = self.inner.as_ref().expect("it is taken only by close");
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

    /// Closes the namespace; when this returns another process may open it. Blocks.
    pub(crate) fn close(mut self, why: Closing) -> Legacy {
        let (runtime, namespace) = self.inner.take().expect("it is taken only here");
        let closed = catch_unwind(AssertUnwindSafe(|| {
            logging::within(&self.name, || runtime.block_on(namespace.close(why)))
        }));
        runtime.shutdown_timeout(LEFT_OVER);
        closed.unwrap_or_else(|panic| {
            let error = said(panic.as_ref());
            error!(namespace = %self.name, error, "a namespace was not closed in order");
            Legacy::default()
        })
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
