//! What can be asked over HTTP: how things stand, what happened, the figures; and over the
//! control socket also what the supervisor should do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::change::Change;
use super::events::events;
use super::looked::Looked;
use super::metrics::{self, Metrics};
use super::page;
use super::status::Status;

/// Something that an operator asks the running supervisor to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// `POST /backup`: make a backup of the data now.
    Backup,
    /// `POST /reload`: another process, now. Answered when that serves, or does not.
    Reload(Reload),
    /// `POST /retry`: try an upgrade again that failed while the node goes on answering.
    Retry(Retry),
}

/// How the node is to be reloaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reload {
    /// The binary, as an absolute path; that of `current` if there is none.
    pub exec: Option<PathBuf>,
    /// Take everything back just before the new process would serve.
    pub dry_run: bool,
    /// How long the new process may take until it is ready to take over.
    pub timeout_ms: Option<u64>,
    /// Do not stop and start a node that cannot hand over.
    pub handover_only: bool,
}

/// How an upgrade is to be tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Stop the old node first, instead of having it hand over.
    pub stop: bool,
}

/// How long a process may take until it is ready to take over, unless the operator says otherwise.
pub const READY_WITHIN: Duration = Duration::from_mins(1);

/// What a reload may take beside that: the old process's end, the roll-back.
const BESIDE: Duration = Duration::from_mins(5);

impl Reload {
    /// How long the new process may take until it is ready to take over.
    pub fn timeout(&self) -> Duration {
        self.timeout_ms.map_or(READY_WITHIN, Duration::from_millis)
    }
}

impl Request {
    /// The path that it is posted to.
    pub fn path(&self) -> &'static str {
        match self {
            Self::Backup => "/backup",
            Self::Reload(_) => "/reload",
            Self::Retry(_) => "/retry",
        }
    }

    /// What is posted.
    pub(super) fn body(&self) -> Vec<u8> {
        let body = match self {
            Self::Backup => Ok(Vec::new()),
            Self::Reload(reload) => serde_json::to_vec(reload),
            Self::Retry(retry) => serde_json::to_vec(retry),
        };
        body.expect("plain structures of strings and numbers")
    }

    /// How long the answer may take, if longer than that to a simple question.
    pub(super) fn takes(&self) -> Option<Duration> {
        match self {
            Self::Reload(reload) => Some(reload.timeout().saturating_add(BESIDE)),
            Self::Backup | Self::Retry(_) => None,
        }
    }
}

/// What the supervisor makes of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// It is done, or will be; what comes of it is told by events.
    Accepted {
        /// What happens now.
        text: String,
    },
    /// Another process is the node now.
    Changed {
        /// How it came to be.
        change: Box<Change>,
    },
    /// It will not be done, or was tried in vain.
    Refused {
        /// Why not.
        why: String,
        /// What the operator can do.
        what_to_do: String,
    },
}

/// A request on its way to the supervisor's loop.
#[derive(Debug)]
pub struct Ask {
    /// What is asked for.
    pub request: Request,
    /// Where the answer goes. The one who asked may be gone by then.
    pub answer: oneshot::Sender<Answer>,
}

/// What an error is told as.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    /// What went wrong.
    pub(super) error: String,
    /// What the operator can do.
    #[serde(default)]
    pub(super) what_to_do: String,
}

/// What the answers are made from.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) dir: PathBuf,
    pub(super) status: watch::Receiver<Status>,
    /// The number of the last record in the history; closed once there will be no more.
    pub(super) written: watch::Receiver<u64>,
    pub(super) metrics: Metrics,
    /// A place for each client that follows the events.
    pub(super) followers: Arc<Semaphore>,
    pub(super) max_followers: usize,
    pub(super) answer_within: Duration,
    pub(super) looked: Looked,
}

/// What anyone who can reach the admin address may ask.
pub(super) fn read_only(served: Served) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page/{file}", get(page::file))
        .route("/status", get(status))
        .route("/events", get(events))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .fallback(not_found)
        .with_state(served)
}

/// What the node's own user may ask over the control socket.
pub(super) fn all(served: Served, requests: &mpsc::Sender<Ask>) -> Router {
    let mut router = Router::new();
    let within = served.answer_within;
    let to = requests.clone();
    router = router.route("/backup", post(move || ask(to, Request::Backup, within)));
    let to = requests.clone();
    let reload = move |Posted(how): Posted<Reload>| ask(to, Request::Reload(how), within);
    router = router.route("/reload", post(reload));
    let to = requests.clone();
    let retry = move |Posted(how): Posted<Retry>| ask(to, Request::Retry(how), within);
    router = router.route("/retry", post(retry));
    router.with_state(served.clone()).merge(read_only(served))
}

/// What is said when too many ask at a time.
pub(super) fn no_room() -> Router {
    Router::new().fallback(async || {
        failure(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many connections at a time",
            "close one and try again",
        )
    })
}

async fn status(State(served): State<Served>) -> Response {
    served.looked.glance();
    let status = served.status.borrow().clone();
    Json(status).into_response()
}

/// That this is answered at all is the sign of health.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(served): State<Served>) -> Response {
    let status = served.status.borrow();
    let code = if status.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, status.headline() + "\n").into_response()
}

async fn figures(State(served): State<Served>) -> Response {
    let media = HeaderValue::from_static(metrics::CONTENT_TYPE);
    ([(header::CONTENT_TYPE, media)], served.metrics.render()).into_response()
}

pub(super) async fn not_found() -> Response {
    failure(
        StatusCode::NOT_FOUND,
        "there is nothing here",
        "ask for / (a page to look at), /status, /events, /healthz, /readyz or /metrics",
    )
}

/// A posted object; without a body its default.
struct Posted<T>(T);

impl<T: serde::de::DeserializeOwned + Default, S: Send + Sync> axum::extract::FromRequest<S>
    for Posted<T>
{
    type Rejection = Response;

    async fn from_request(
        request: axum::extract::Request,
        state: &S,
    ) -> Result<Self, Self::Rejection> {
        let bad = |why: &str| {
            failure(
                StatusCode::BAD_REQUEST,
                &format!("the request is not understood: {why}"),
                "is the command of another version than the supervisor?",
            )
        };
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|error| bad(&error.body_text()))?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| bad(&error.to_string()))
    }
}

async fn ask(requests: mpsc::Sender<Ask>, request: Request, within: Duration) -> Response {
    let within = request.takes().unwrap_or(within);
    let (answer, answered) = oneshot::channel();
    let busy = || {
        failure(
            StatusCode::SERVICE_UNAVAILABLE,
            "the supervisor takes no requests now",
            "try again, or look at `baton status`",
        )
    };
    if requests.try_send(Ask { request, answer }).is_err() {
        return busy();
    }
    match timeout(within, answered).await {
        Ok(Ok(answer)) => {
            let code = match answer {
                Answer::Accepted { .. } => StatusCode::ACCEPTED,
                Answer::Changed { .. } => StatusCode::OK,
                Answer::Refused { .. } => StatusCode::CONFLICT,
            };
            (code, Json(answer)).into_response()
        }
        Ok(Err(_)) => busy(),
        Err(_) => failure(
            StatusCode::GATEWAY_TIMEOUT,
            &format!("the supervisor gave no answer within {within:?}"),
            "look at `baton status` and `baton events` for what came of it",
        ),
    }
}

pub(super) fn failure(code: StatusCode, error: &str, what_to_do: &str) -> Response {
    let failure = Failure {
        error: error.to_owned(),
        what_to_do: what_to_do.to_owned(),
    };
    (code, Json(failure)).into_response()
}
