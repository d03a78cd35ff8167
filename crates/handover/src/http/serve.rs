//! Serves connections, and lets go of them when they are asked to move.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use hyper::body::Body;
use hyper::rt::{Sleep, Timer};
use hyper::server::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, sleep_until, timeout_at};
use tower_service::Service;

use super::settings::HttpSettings;
use super::track::Waiting;
use super::watched::{RequestBody, Watched};
use super::wire::{Tracked, Wire};
use crate::connections::{Asked, Connection, Kind, Turn};

/// How every HTTP/2 connection begins (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Most bytes that hyper reads or writes ahead, unless a longer request head is allowed.
const READ_AHEAD: usize = 128 * 1024;
/// The label of a connection that has shown not to be HTTP/2.
const HTTP1: &[u8] = b"http/1";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where new connections come from.
pub trait Arrivals: Send {
    /// The next connection; none when no more will come. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Option<Connection>> + Send;
}

impl Arrivals for tokio::sync::mpsc::Receiver<Connection> {
    async fn next(&mut self) -> Option<Connection> {
        self.recv().await
    }
}

/// Serves new connections, those that a predecessor moved in and those that come back after a roll-back, until no more can come.
/// Each is served by a task of its own, which may outlast this function; [`Registry::empty`](crate::connections::Registry::empty)
/// tells when the last has ended.
pub async fn serve<S, B>(
    kind: &Kind,
    mut arrivals: impl Arrivals,
    service: S,
    settings: &HttpSettings,
) where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (mut arriving, mut moving) = (true, true);
    while arriving || moving {
        let connection = tokio::select! {
            connection = arrivals.next(), if arriving => {
                arriving = connection.is_some();
                connection
            }
            arrival = kind.arrival(), if moving => {
                moving = arrival.is_some();
                arrival.and_then(|(parcel, seat)| match Connection::resume(parcel, seat) {
                    Ok(connection) => Some(connection),
                    Err(error) => {
                        tracing::error!(error = &error as &dyn std::error::Error, "closing a moved connection");
                        None
                    }
                })
            }
        };
        if let Some(connection) = connection {
            tokio::spawn(serve_connection(
                connection,
                service.clone(),
                settings.clone(),
            ));
        }
    }
}

/// Serves one connection until it ends, is upgraded to another protocol or moves.
pub async fn serve_connection<S, B>(connection: Connection, service: S, settings: HttpSettings)
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let peer = connection.peer();
    let ended = match sniff(connection, &settings).await {
        Ok(Some(First::Http1(connection, asked))) => {
            let track = Tracked::new();
            track.lock().want(asked);
            let service = Watched {
                service,
                track: Some(track.clone()),
                peer,
            };
            serve_http1(connection, track, service, &settings).await
        }
        Ok(Some(First::Http2(connection, asked))) => {
            let service = Watched {
                service,
                track: None,
                peer,
            };
            serve_http2(connection, asked, service, &settings).await
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = ended {
        tracing::debug!(error = &*error, "a connection ended");
    }
}

/// What a connection's first bytes say, and what was asked of it meanwhile.
enum First {
    Http1(Connection, Asked),
    Http2(Connection, Asked),
}

/// Tells HTTP/2 from HTTP/1 by the first bytes. None if the connection ended, moved, or did not begin in time.
async fn sniff(mut connection: Connection, settings: &HttpSettings) -> io::Result<Option<First>> {
    let mut wanted = Asked::Stay;
    if !settings.http2 || connection.label() == HTTP1 {
        return Ok(Some(First::Http1(connection, wanted)));
    }
    let mut buffer = BytesMut::new();
    let mut deadline = Instant::now() + settings.header_read;
    loop {
        let Ok(turn) = timeout_at(deadline, connection.turn(&mut buffer)).await else {
            return Ok(None);
        };
        match turn? {
            Turn::Read(0) => return Ok(None),
            Turn::Read(_) => {
                let known = buffer.len().min(PREFACE.len());
                let like = buffer[..known] == PREFACE[..known];
                if like && known < PREFACE.len() {
                    continue;
                }
                connection.push_back(buffer);
                return Ok(Some(if like {
                    First::Http2(connection, wanted)
                } else {
                    First::Http1(connection, wanted)
                }));
            }
            Turn::Asked(Asked::Move) => {
                connection.push_back(buffer);
                connection.give(Vec::new())?;
                return Ok(None);
            }
            Turn::Asked(asked) => {
                wanted = asked;
                if asked == Asked::Leave {
                    deadline = deadline.min(Instant::now() + settings.linger);
                }
            }
        }
    }
}

async fn serve_http1<S, B>(
    connection: Connection,
    track: Tracked,
    service: Watched<S>,
    settings: &HttpSettings,
) -> Result<(), BoxError>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut asking = connection.asking();
    let answering = asking.clone();
    // a freeze waits for an answer
    let mut owing = false;
    let mut clock = Clock::new(settings.clone());
    let mut http = http1::Builder::new()
        .timer(Never)
        // makes hyper read towards the next head as soon as it has flushed, which tells that the connection is between requests
        .header_read_timeout(CENTURY)
        .max_headers(settings.headers)
        .max_header_size(settings.header_bytes)
        // what hyper has read ahead moves along, so it is bounded
        .max_buf_size(settings.header_bytes.max(READ_AHEAD))
        .serve_connection(TokioIo::new(Wire::new(connection, track.clone())), service)
        .with_upgrades();
    let mut alarm = pin!(sleep_until(clock.alarm()));
    loop {
        let run = std::future::poll_fn(|cx| {
            track.lock().run();
            if let Poll::Ready(ended) = Pin::new(&mut http).poll(cx) {
                return Poll::Ready(Run::Ended(ended));
            }
            let track = track.lock();
            if track.moves() {
                return Poll::Ready(Run::Boundary);
            }
            clock.look(track.waiting(), track.wants(Asked::Leave));
            if track.unsettled() {
                cx.waker().wake_by_ref();
            } else if std::mem::take(&mut owing) {
                answering.defer();
            }
            Poll::Pending
        });
        tokio::select! {
            biased;
            asked = asking.asked() => {
                owing = asked == Asked::Move;
                track.lock().want(asked);
                if asked == Asked::Leave {
                    alarm.as_mut().reset(Instant::now() + settings.linger);
                }
            }
            run = run => match run {
                Run::Ended(ended) => {
                    if http.into_parts().is_none() {
                        // another protocol has the connection; unless it takes a seat of its own it cannot move
                        answering.stays();
                    }
                    return Ok(ended?);
                }
                Run::Boundary => {
                    let parts = http.into_parts().expect("a connection that has not ended has its parts");
                    parts.io.into_inner().into_connection(parts.read_buf).give(HTTP1)?;
                    return Ok(());
                }
            },
            () = alarm.as_mut() => {
                if let Some(waiting) = clock.expired() {
                    return Err(format!("closed: the limit of time ran out ({waiting:?})").into());
                }
                alarm.as_mut().reset(clock.alarm());
            }
        }
    }
}

/// Why hyper stopped running.
enum Run {
    Ended(hyper::Result<()>),
    Boundary,
}

async fn serve_http2<S, B>(
    connection: Connection,
    asked: Asked,
    service: Watched<S>,
    settings: &HttpSettings,
) -> Result<(), BoxError>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let mut asking = connection.asking();
    asking.stays();
    let mut http = pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            // finds peers that are gone
            .keep_alive_interval(settings.keep_alive)
            .keep_alive_timeout(settings.header_read)
            .max_concurrent_streams(settings.streams)
            .max_header_list_size(u32::try_from(settings.header_bytes).unwrap_or(u32::MAX))
            .serve_connection(TokioIo::new(connection), service)
    );
    if asked == Asked::Leave {
        http.as_mut().graceful_shutdown();
    }
    loop {
        tokio::select! {
            biased;
            asked = asking.asked() => {
                if asked == Asked::Leave {
                    http.as_mut().graceful_shutdown();
                }
            }
            ended = http.as_mut() => return Ok(ended?),
        }
    }
}

/// The limits of time of an HTTP/1 connection.
struct Clock {
    settings: HttpSettings,
    waiting: Waiting,
    leaving: bool,
    since: Instant,
}

impl Clock {
    fn new(settings: HttpSettings) -> Self {
        Self {
            settings,
            waiting: Waiting::Idle,
            leaving: false,
            since: Instant::now(),
        }
    }

    /// Notes what the connection waits for.
    fn look(&mut self, waiting: Waiting, leaving: bool) {
        if (waiting, leaving) != (self.waiting, self.leaving) {
            (self.waiting, self.leaving) = (waiting, leaving);
            self.since = Instant::now();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let limit = match self.waiting {
            Waiting::Idle if self.leaving => self.settings.linger,
            Waiting::Idle => self.settings.keep_alive,
            Waiting::Head => self.settings.header_read,
            Waiting::Peer { .. } => self.settings.write_stall,
            Waiting::Service => return None,
        };
        Some(self.since + limit)
    }

    /// When to look again: at the deadline, and often enough to see a shorter limit that begins later.
    fn alarm(&self) -> Instant {
        let HttpSettings {
            keep_alive,
            header_read,
            write_stall,
            linger,
            ..
        } = self.settings;
        let mut shortest = keep_alive.min(header_read).min(write_stall);
        if self.leaving {
            shortest = shortest.min(linger);
        }
        let latest = Instant::now() + shortest;
        self.deadline()
            .map_or(latest, |deadline| deadline.min(latest))
    }

    /// What was waited for too long.
    fn expired(&self) -> Option<Waiting> {
        let over = self
            .deadline()
            .is_some_and(|deadline| deadline <= Instant::now());
        over.then_some(self.waiting)
    }
}

/// hyper's own limit of time never runs out; ours knows what the connection waits for.
const CENTURY: Duration = Duration::from_hours(24 * 36_525);

/// A clock whose alarms never ring.
#[derive(Debug)]
struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Never {}

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Never)
    }

    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Never)
    }
}
