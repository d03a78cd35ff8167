//! What a supervisor is asked over its control socket, and the client that asks.
//!
//! HTTP as on the control socket of `baton run`: `GET /status`, `POST /reload`, `POST /stop`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::http::{self, HttpError};
use super::status::Status;
use super::words::Generation;
use crate::telling::SOCKET;
use crate::telling::control::{self, ControlError};
use crate::telling::serve::{self, ServeLimits};

/// How long an answer may take that needs nothing to be done.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

const LIMITS: ServeLimits = ServeLimits {
    connections: 32,
    head: Duration::from_secs(10),
    stall: Duration::from_secs(10),
};

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Answer {
    /// The new process serves.
    Reloaded {
        /// The how-manieth it is.
        generation: Generation,
        /// Its number.
        pid: u32,
        /// How long it took.
        took_ms: u64,
    },
    /// The new process does not serve.
    NotReloaded {
        /// The how-manieth it was.
        generation: Generation,
        /// Why.
        why: String,
        /// Who serves on as before, if anybody does.
        serves: Option<Generation>,
    },
    /// It cannot be done now.
    Refused {
        /// Why.
        why: String,
    },
    /// It ends.
    Stopping {
        /// The supervisor, whose end is the end of it all.
        pid: u32,
    },
}

/// A request, and the way back.
#[derive(Debug)]
pub(super) enum Ask {
    Status(oneshot::Sender<Status>),
    /// With another command line, perhaps.
    Reload(Option<Vec<String>>, oneshot::Sender<Answer>),
    Stop(oneshot::Sender<Answer>),
}

/// How it is to be reloaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reload {
    /// The program and its arguments, from now on; as before if there are none.
    command: Vec<String>,
}

/// The socket, served.
pub(super) struct Control {
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

/// Answers on the control socket from now on.
pub(super) fn start(directory: &Path, asks: mpsc::Sender<Ask>) -> Result<Control, ControlError> {
    let (listener, name) = control::bind(directory)?;
    let (stop, stopped) = watch::channel(false);
    let router = Router::new()
        .route("/status", get(status))
        .route("/reload", post(reload))
        .route("/stop", post(stop_all))
        .with_state(asks);
    let no_room = Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE);
    let served = tokio::spawn(async move {
        serve::serve(listener, router, no_room, LIMITS, stopped).await;
        drop(name);
    });
    Ok(Control { stop, served })
}

impl Control {
    /// Lets the answers under way end.
    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(Duration::from_secs(2), self.served).await;
    }
}

type Asks = State<mpsc::Sender<Ask>>;

async fn status(State(asks): Asks) -> Response {
    answered(&asks, Ask::Status).await
}

async fn reload(State(asks): Asks, Json(reload): Json<Reload>) -> Response {
    let command = (!reload.command.is_empty()).then_some(reload.command);
    answered(&asks, |answer| Ask::Reload(command, answer)).await
}

async fn stop_all(State(asks): Asks) -> Response {
    answered(&asks, Ask::Stop).await
}

async fn answered<T: Serialize>(
    asks: &mpsc::Sender<Ask>,
    ask: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Response {
    let (answer, answered) = oneshot::channel();
    if asks.send(ask(answer)).await.is_ok()
        && let Ok(answer) = answered.await
    {
        return Json(answer).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "it has ended").into_response()
}

/// Why a supervisor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is none.
    #[error("nothing is served there ({}: {source}); start it with `baton serve`", socket.display())]
    Nobody {
        /// Where it would answer.
        socket: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It belongs to another user.
    #[error("not allowed to use {}: run this as the user that runs `baton serve`", socket.display())]
    Denied {
        /// Where it answers.
        socket: PathBuf,
    },
    /// It gave no answer that can be used.
    #[error("asking {}: {why}", socket.display())]
    Failed {
        /// Where it answers.
        socket: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// A way to a supervisor that serves.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// To the one that has its state in this directory.
    pub fn of(directory: &Path) -> Self {
        Self {
            socket: directory.join(SOCKET),
        }
    }

    /// How things stand.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Method::GET, "/status", Vec::new(), ANSWER_WITHIN)
            .await
    }

    /// Puts another process in the place of the one that serves; with another command line, if there is one. Answered when that serves, or
    /// does not.
    pub async fn reload(&self, command: Vec<String>) -> Result<Answer, ClientError> {
        let ready_within = Duration::from_millis(self.status().await?.ready_within_ms);
        let body = serde_json::to_vec(&Reload { command }).map_err(|e| self.failed(&e))?;
        let within = ready_within.saturating_add(ANSWER_WITHIN);
        self.ask(Method::POST, "/reload", body, within).await
    }

    /// Ends the server and its supervisor. Answered before that is done.
    pub async fn stop(&self) -> Result<Answer, ClientError> {
        self.ask(Method::POST, "/stop", Vec::new(), ANSWER_WITHIN)
            .await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<T, ClientError> {
        let answer = http::ask(&self.socket, method, path, body, within).await;
        let (code, body) = answer.map_err(|error| match error {
            HttpError::Connect(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                ClientError::Denied {
                    socket: self.socket.clone(),
                }
            }
            HttpError::Connect(source) => ClientError::Nobody {
                socket: self.socket.clone(),
                source,
            },
            other => self.failed(&other),
        })?;
        if !code.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(self.failed(&format!("{code}: {text}")));
        }
        serde_json::from_slice(&body)
            .map_err(|error| self.failed(&format!("{error}; is it of another version?")))
    }

    fn failed(&self, why: &impl ToString) -> ClientError {
        ClientError::Failed {
            socket: self.socket.clone(),
            why: why.to_string(),
        }
    }
}
