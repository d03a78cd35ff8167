//! A web server that does as it is told, on a port of the kernel's choice.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures_util::stream::{self, StreamExt};
use tokio::task::JoinHandle;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
}

impl Seen {
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }
}

pub(super) struct Server {
    base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers the n-th request (from 0) by `answer(n, request)`.
    pub(super) async fn start(
        answer: impl Fn(usize, &Seen) -> Response + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        let app = Router::new().fallback(move |request: Request| {
            let seen = Seen {
                target: request.uri().to_string(),
                headers: request.headers().clone(),
            };
            let count = {
                let mut log = log.lock().unwrap();
                log.push(seen.clone());
                log.len() - 1
            };
            let response = answer(count, &seen);
            async move { Ok::<_, Infallible>(response) }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, seen, task }
    }

    /// Serves one file whole, whatever is asked for.
    pub(super) async fn of(bytes: Vec<u8>) -> Self {
        Self::start(move |_, _| whole(&bytes, None)).await
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("{}{target}", self.base)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.seen().into_iter().map(|s| s.target).collect()
    }

    /// The `Range` of each request.
    pub(super) fn ranges(&self) -> Vec<Option<String>> {
        let range = |s: &Seen| s.header(header::RANGE).map(str::to_owned);
        self.seen().iter().map(range).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn status(code: u16) -> Response {
    with_status(code, Body::from("<html>sorry</html>"))
}

fn with_status(code: u16, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

pub(super) fn with(mut response: Response, name: header::HeaderName, value: &str) -> Response {
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

fn tagged(response: Response, etag: Option<&str>) -> Response {
    match etag {
        Some(etag) => with(response, header::ETAG, etag),
        None => response,
    }
}

pub(super) fn whole(bytes: &[u8], etag: Option<&str>) -> Response {
    tagged(with_status(200, Body::from(bytes.to_vec())), etag)
}

pub(super) fn redirect(to: &str) -> Response {
    with(status(302), header::LOCATION, to)
}

/// The rest from `from` on.
pub(super) fn rest(bytes: &[u8], from: usize, etag: Option<&str>) -> Response {
    let body = Body::from(bytes[from..].to_vec());
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    let response = with(with_status(206, body), header::CONTENT_RANGE, &range);
    tagged(response, etag)
}

/// What a server that knows ranges answers (RFC 9110 §14).
pub(super) fn ranged(seen: &Seen, bytes: &[u8], etag: &str) -> Response {
    let Some(from) = seen.header(header::RANGE) else {
        return whole(bytes, Some(etag));
    };
    if seen.header(header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return whole(bytes, Some(etag));
    }
    let from = from.strip_prefix("bytes=").unwrap();
    let from: usize = from.strip_suffix('-').unwrap().parse().unwrap();
    if from >= bytes.len() {
        let range = format!("bytes */{}", bytes.len());
        return with(status(416), header::CONTENT_RANGE, &range);
    }
    rest(bytes, from, Some(etag))
}

/// Announces all of `bytes`, sends `sent` of them and breaks the connection.
pub(super) fn broken(bytes: &[u8], sent: usize, etag: Option<&str>) -> Response {
    cut(bytes, sent, etag, async { Err(io::Error::other("cut")) })
}

/// Announces all of `bytes`, sends `sent` of them and then nothing.
pub(super) fn stalled(bytes: &[u8], sent: usize, etag: Option<&str>) -> Response {
    cut(bytes, sent, etag, std::future::pending())
}

fn cut(
    bytes: &[u8],
    sent: usize,
    etag: Option<&str>,
    end: impl Future<Output = io::Result<Vec<u8>>> + Send + 'static,
) -> Response {
    let start = bytes[..sent].to_vec();
    let end = async {
        // Lets the server flush what it has before the end comes.
        tokio::task::yield_now().await;
        end.await
    };
    let body = stream::once(async { Ok(start) }).chain(stream::once(end));
    let response = with_status(200, Body::from_stream(body));
    let length = bytes.len().to_string();
    tagged(with(response, header::CONTENT_LENGTH, &length), etag)
}

/// Sends pieces for ever, without saying how many.
pub(super) fn endless() -> Response {
    let body = stream::repeat_with(|| Ok::<_, io::Error>(vec![b'#'; 10_000]));
    with_status(200, Body::from_stream(body))
}
