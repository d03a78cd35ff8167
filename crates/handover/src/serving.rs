//! A generation that serves.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::connections::Kind;
use crate::control::{Busy, UpgradeRequest};
use crate::report::Report;
use crate::shared::Shared;

/// How a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The next generation serves.
    HandedOver,
    /// It was told to stop, and nobody serves in its place.
    Stopped,
}

/// Where a generation is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Serving,
    /// It finishes what is under way.
    Draining,
    Ended(Ending),
}

/// What nginx's signals ask of the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramEvent {
    /// Read the configuration anew (HUP).
    Reload,
    /// Open the log files anew (USR1).
    Reopen,
}

/// Why a handover was not even begun, or how it failed.
#[derive(Debug, Error)]
pub enum UpgradeError {
    /// One runs already.
    #[error("{0}")]
    Busy(Busy),
    /// It cannot be begun.
    #[error("cannot hand over: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// It failed and this generation serves on.
    #[error("{}", .0.outcome)]
    Failed(Box<Report>),
    /// This generation has ended.
    #[error("this generation has ended")]
    Ended,
}

/// What the program asks of the driver.
pub(crate) enum Command {
    Upgrade(
        UpgradeRequest,
        oneshot::Sender<Result<Report, UpgradeError>>,
    ),
    Stop,
    Wake,
}

/// A generation that serves. Cheap to clone; what it stands for goes on without it.
#[derive(Clone)]
pub struct Serving {
    pub(crate) shared: Arc<Shared>,
    pub(crate) generation: u64,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) events: Arc<Mutex<mpsc::Receiver<ProgramEvent>>>,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Serving")
            .field("generation", &self.generation)
            .field("stage", &*self.stage.borrow())
            .finish_non_exhaustive()
    }
}

impl Serving {
    /// The number of this generation; the first is 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Starts a successor and hands over to it. Answers when the successor serves or the attempt has failed.
    pub async fn upgrade(&self) -> Result<Report, UpgradeError> {
        self.upgrade_as(UpgradeRequest::default()).await
    }

    /// As [`upgrade`](Self::upgrade), with another executable, as a rehearsal, and so on.
    pub async fn upgrade_as(&self, request: UpgradeRequest) -> Result<Report, UpgradeError> {
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(Command::Upgrade(request, answer))
            .await
            .map_err(|_| UpgradeError::Ended)?;
        answered.await.map_err(|_| UpgradeError::Ended)?
    }

    /// Tells this generation to finish what is under way and end.
    pub async fn stop(&self) {
        let _ = self.commands.send(Command::Stop).await;
    }

    /// Tells a generation that sleeps after a staged handover to serve again.
    pub async fn wake(&self) {
        let _ = self.commands.send(Command::Wake).await;
    }

    /// Resolves when this generation begins to finish, because it has handed over or was told to stop: the moment for
    /// the graceful shutdown of a server that the library does not know (tonic's `serve_with_shutdown`, for instance).
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stage = self.stage.clone();
        async move {
            let _ = stage.wait_for(|stage| *stage != Stage::Serving).await;
        }
    }

    /// Resolves when nothing keeps this process any more; the program should return from `main`.
    pub fn ended(&self) -> impl Future<Output = Ending> + Send + use<> {
        let mut stage = self.stage.clone();
        async move {
            let ended = stage
                .wait_for(|stage| matches!(stage, Stage::Ended(_)))
                .await;
            match ended.as_deref() {
                Ok(Stage::Ended(ending)) => *ending,
                _ => Ending::Stopped,
            }
        }
    }

    /// Keeps this process until the answer is dropped (or the drain's deadline has passed): for work that belongs to no connection.
    pub fn hold(&self) -> Hold {
        let seat = self.shared.registry.kind("held").seat();
        seat.asking().stays();
        Hold { _seat: seat }
    }

    /// Connections of that name; see [`Handover::connections`](crate::Handover::connections).
    pub fn connections(&self, name: &str) -> Kind {
        self.shared.registry.kind(name)
    }

    /// The next thing that a signal asks of the program; see [`Settings::nginx_signals`](crate::Settings::nginx_signals).
    pub async fn event(&self) -> Option<ProgramEvent> {
        self.events.lock().await.recv().await
    }

    /// Serves HTTP/1 and HTTP/2 on a listener until this generation has ended, with an axum router or any other service that is infallible.
    ///
    /// Between two requests an HTTP/1 connection moves to the next generation; HTTP/2 connections are told to go. Several listeners
    /// are served by several calls at once.
    #[cfg(feature = "http")]
    pub async fn http<S, B>(&self, listener: crate::Listener, service: S) -> Ending
    where
        S: tower_service::Service<
                hyper::Request<crate::http::RequestBody>,
                Response = hyper::Response<B>,
                Error = std::convert::Infallible,
            > + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<crate::BoxError>,
    {
        let kind = listener.kind().clone();
        let settings = crate::http::HttpSettings::default();
        crate::http::serve(&kind, listener, service, &settings).await;
        self.ended().await
    }
}

/// See [`Serving::hold`].
#[derive(Debug)]
pub struct Hold {
    _seat: crate::connections::Seat,
}
