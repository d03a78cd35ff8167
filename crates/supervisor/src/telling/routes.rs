//! What can be asked over HTTP: how things stand, what happened, the figures; and over the
//! control socket also what the supervisor should do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::metrics::{self, Metrics};
use super::reader::Reader;
use super::status::Status;

/// How much of the history is on its way to one client at a time.
const BATCH_BYTES: usize = 32 << 10;

/// How long reading one batch of the history may take.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Something that an operator asks the running supervisor to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// `POST /backup`: make a backup of the data now.
    Backup,
}

impl Request {
    /// Every request.
    pub const ALL: [Self; 1] = [Self::Backup];

    /// The path that it is posted to.
    pub fn path(self) -> &'static str {
        match self {
            Self::Backup => "/backup",
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
    /// It will not be done.
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
}

/// What anyone who can reach the admin address may ask.
pub(super) fn read_only(served: Served) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .fallback(not_found)
        .with_state(served)
}

/// What the node's own user may ask over the control socket.
pub(super) fn all(served: Served, requests: &mpsc::Sender<Ask>) -> Router {
    let mut router = Router::new().route("/events", get(events));
    for request in Request::ALL {
        let (requests, within) = (requests.clone(), served.answer_within);
        router = router.route(request.path(), post(move || ask(requests, request, within)));
    }
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

async fn not_found() -> Response {
    failure(
        StatusCode::NOT_FOUND,
        "there is nothing here",
        "ask for /status, /healthz, /readyz, /metrics, or over the control socket /events",
    )
}

async fn ask(requests: mpsc::Sender<Ask>, request: Request, within: Duration) -> Response {
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

fn failure(code: StatusCode, error: &str, what_to_do: &str) -> Response {
    let failure = Failure {
        error: error.to_owned(),
        what_to_do: what_to_do.to_owned(),
    };
    (code, Json(failure)).into_response()
}

/// Which events are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Which {
    /// Only those with a number above this one.
    since: u64,
    /// 1: go on with those to come.
    follow: u8,
}

async fn events(
    State(served): State<Served>,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let which = match which {
        Ok(Query(which)) => which,
        Err(error) => {
            return failure(
                StatusCode::BAD_REQUEST,
                &error.body_text(),
                "ask as in /events?since=0&follow=1",
            );
        }
    };
    let place = if which.follow == 0 {
        None
    } else {
        let Ok(place) = served.followers.clone().try_acquire_owned() else {
            return failure(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("{} clients follow the events already", served.max_followers),
                "end one of them, or ask without follow=1",
            );
        };
        Some(place)
    };
    let follower = Follower {
        reader: Reader::new(&served.dir, which.since),
        written: served.written,
        place,
    };
    let lines = stream::try_unfold(Some(follower), next_batch);
    let media = HeaderValue::from_static("application/x-ndjson");
    ([(header::CONTENT_TYPE, media)], Body::from_stream(lines)).into_response()
}

/// A client that reads the history. It is only asked for more when the client has taken what
/// came before, so a slow one holds one batch.
struct Follower {
    reader: Reader,
    written: watch::Receiver<u64>,
    /// Set if it wants the events to come as well.
    place: Option<OwnedSemaphorePermit>,
}

async fn next_batch(follower: Option<Follower>) -> io::Result<Option<(Bytes, Option<Follower>)>> {
    let Some(mut follower) = follower else {
        return Ok(None);
    };
    loop {
        follower.written.borrow_and_update();
        let mut reader = follower.reader;
        let reading = tokio::task::spawn_blocking(move || {
            let lines = reader.next_lines(BATCH_BYTES);
            (reader, lines)
        });
        let lines;
        (follower.reader, lines) = timeout(READ_WITHIN, reading)
            .await
            .map_err(|_| {
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("reading the history took over {READ_WITHIN:?}"),
                )
            })?
            .map_err(io::Error::other)?;
        let lines = lines?;
        if !lines.is_empty() {
            let mut batch = lines.join("\n");
            batch.push('\n');
            return Ok(Some((Bytes::from(batch), Some(follower))));
        }
        if follower.place.is_none() || follower.written.changed().await.is_err() {
            return Ok(None);
        }
    }
}
