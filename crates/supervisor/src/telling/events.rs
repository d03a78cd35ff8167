//! `GET /events`: the history, a record a line; or for pages, as server-sent events, with the status beside it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::event::Record;
use super::reader::Reader;
use super::routes::{Served, failure};
use super::status::Status;
use super::time::Time;

/// How much of the history is on its way to one client at a time.
const BATCH_BYTES: usize = 32 << 10;

/// How long reading one batch of the history may take.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// A page is not told more often than this how things stand.
const STATUS_EVERY: Duration = Duration::from_millis(250);

/// A page hears something at least this often, so that both sides notice when the other is gone.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Which events are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Which {
    /// Only those with a number above this one.
    since: u64,
    /// Only so many of those that have happened; 0: all.
    last: u64,
    /// 1: go on with those to come.
    follow: u8,
}

pub(super) async fn events(
    State(served): State<Served>,
    headers: HeaderMap,
    which: Result<Query<Which>, QueryRejection>,
) -> Response {
    let mut which = match which {
        Ok(Query(which)) => which,
        Err(error) => {
            return failure(
                StatusCode::BAD_REQUEST,
                &error.body_text(),
                "ask as in /events?since=0&last=100&follow=1",
            );
        }
    };
    if which.last > 0 {
        // Numbers are given without gaps.
        let before = served.written.borrow().saturating_sub(which.last);
        which.since = which.since.max(before);
    }
    let for_page = named(&headers, header::ACCEPT.as_str())
        .is_some_and(|accepted| accepted.contains("text/event-stream"));
    if for_page && let Some(seq) = named(&headers, "last-event-id").and_then(|id| id.parse().ok()) {
        // A page that was cut off goes on where it was.
        which.since = seq;
    }
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
        Some(Arc::new(place))
    };
    let follower = Follower {
        reader: Reader::new(&served.dir, which.since),
        written: served.written.clone(),
        place: place.clone(),
    };
    if for_page {
        return page_events(&served, follower, place);
    }
    let lines = stream::try_unfold(Some(follower), next_lines);
    let media = HeaderValue::from_static("application/x-ndjson");
    ([(header::CONTENT_TYPE, media)], Body::from_stream(lines)).into_response()
}

fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A client that reads the history. It is only asked for more when the client has taken what
/// came before, so a slow one holds one batch.
struct Follower {
    reader: Reader,
    written: watch::Receiver<u64>,
    /// Set if it wants the events to come as well.
    place: Option<Arc<OwnedSemaphorePermit>>,
}

/// The next lines of the history; none at its end.
async fn next_batch(mut follower: Follower) -> io::Result<(Vec<String>, Follower)> {
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
        let is_over = || follower.place.is_none();
        if !lines.is_empty() || is_over() || follower.written.changed().await.is_err() {
            return Ok((lines, follower));
        }
    }
}

async fn next_lines(follower: Option<Follower>) -> io::Result<Option<(Bytes, Option<Follower>)>> {
    let Some(follower) = follower else {
        return Ok(None);
    };
    let (lines, follower) = next_batch(follower).await?;
    if lines.is_empty() {
        return Ok(None);
    }
    let mut batch = lines.join("\n");
    batch.push('\n');
    Ok(Some((Bytes::from(batch), Some(follower))))
}

/// A record as a page shows it: the sentence is made here, so that every reader has the same one.
#[derive(Serialize)]
struct Happened<'a> {
    seq: u64,
    time: Time,
    kind: &'a str,
    text: String,
    /// What can be done about it; there only if something is wrong, and then perhaps empty.
    what_to_do: Option<String>,
}

/// The record in this line of the history, for a page.
fn told(line: &str) -> Option<Sent> {
    let record: Record = serde_json::from_str(line).ok()?;
    let happened = Happened {
        seq: record.seq,
        time: record.time,
        kind: record.event.kind(),
        text: record.event.to_string(),
        what_to_do: record.event.trouble().map(|trouble| trouble.what_to_do),
    };
    let event = Sent::default().id(record.seq.to_string());
    event.json_data(happened).ok()
}

/// How things stand, with the supervisor's clock, by which its instants are to be read.
#[derive(Serialize)]
struct Standing<'a> {
    now: Time,
    headline: String,
    status: &'a Status,
}

/// Records as unnamed events with their number as id; between them `status`, whenever that has changed.
fn page_events(
    served: &Served,
    follower: Follower,
    place: Option<Arc<OwnedSemaphorePermit>>,
) -> Response {
    let records = stream::unfold(follower, async |follower| {
        // A history that cannot be read ends the answer, and the page asks again.
        let (lines, follower) = next_batch(follower).await.ok()?;
        if lines.is_empty() {
            return None;
        }
        let events = lines.iter().filter_map(|line| told(line));
        Some((stream::iter(events.collect::<Vec<_>>()), follower))
    })
    .flatten();
    let follows = place.is_some();
    let statuses = statuses(served.status.clone(), served.written.clone(), follows);
    let looking = served.looked.stay();
    let all = stream::select(statuses, records).map(move |event| {
        // Held for as long as the stream is.
        let _ = (&place, &looking);
        Ok::<_, Infallible>(event)
    });
    let alive = KeepAlive::new().interval(ALIVE_EVERY);
    let mut response = Sse::new(all).keep_alive(alive).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// How things stand, now and after each change, until the supervisor ends.
fn statuses(
    status: watch::Receiver<Status>,
    written: watch::Receiver<u64>,
    follows: bool,
) -> impl Stream<Item = Sent> {
    let begun = (status, written, None::<Instant>);
    stream::unfold(begun, move |(mut status, mut written, told)| async move {
        if let Some(told) = told {
            if !follows {
                return None;
            }
            let changed = async {
                sleep_until(told + STATUS_EVERY).await;
                status.changed().await
            };
            tokio::select! {
                changed = changed => changed.ok()?,
                () = async { while written.changed().await.is_ok() {} } => return None,
            }
        }
        let event = {
            let status = status.borrow_and_update();
            Sent::default().event("status").json_data(Standing {
                now: Time::now(),
                headline: status.headline(),
                status: &status,
            })
        };
        Some((event.ok()?, (status, written, Some(Instant::now()))))
    })
}
