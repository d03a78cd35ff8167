//! Two registries of one process stand for predecessor and successor; each request must be answered exactly once, in order.

mod ends;
mod moves;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{any, get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::{HttpSettings, serve, serve_connection};
use crate::connections::{Connection, Kind, Registry};

const PATIENCE: Duration = Duration::from_secs(30);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// The number of a request and its body.
type Served = (u32, Vec<u8>);

/// What the services of all generations did, in order.
#[derive(Clone)]
struct Journal {
    served: Arc<Mutex<Vec<Served>>>,
    /// One permit lets one `/held` request be answered.
    gate: Arc<Semaphore>,
}

impl Journal {
    fn new() -> Self {
        Self {
            served: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    fn note(&self, number: u32, body: &[u8]) {
        self.served.lock().unwrap().push((number, body.to_vec()));
    }

    fn numbers(&self) -> Vec<u32> {
        self.served
            .lock()
            .unwrap()
            .iter()
            .map(|(number, _)| *number)
            .collect()
    }
}

struct Generation {
    registry: Registry,
    kind: Kind,
    app: Router,
}

impl Generation {
    fn new(name: &'static str, journal: &Journal) -> Self {
        let echo = move |Path(number): Path<u32>, State(journal): State<Journal>, body: Bytes| async move {
            journal.note(number, &body);
            (
                [("generation", name)],
                format!("{number}:{}", String::from_utf8_lossy(&body)),
            )
        };
        let app = Router::new()
            .route("/echo/{number}", any(echo))
            .route("/held/{number}", get(held))
            .route("/streamed/{number}", get(streamed))
            .route("/unread/{number}", post(unread))
            .route("/other", get(other_protocol))
            .with_state(journal.clone());
        let registry = Registry::new();
        let kind = registry.kind("http");
        let (serving, service) = (kind.clone(), app.clone());
        tokio::spawn(async move {
            let (_, nothing) = tokio::sync::mpsc::channel::<Connection>(1);
            serve(&serving, nothing, service, &HttpSettings::default()).await;
        });
        Self {
            registry,
            kind,
            app,
        }
    }

    fn connect(&self) -> (Client, UnixStream) {
        let (client, server) = UnixStream::pair().unwrap();
        let server = server.into_std().unwrap();
        let twin = UnixStream::from_std(server.try_clone().unwrap()).unwrap();
        let server = UnixStream::from_std(server).unwrap();
        let connection = Connection::new(server, self.kind.seat());
        tokio::spawn(serve_connection(
            connection,
            self.app.clone(),
            HttpSettings::default(),
        ));
        (Client::new(client), twin)
    }

    /// Moves all that can move at once; how many that were.
    async fn hand_over(&self, to: &Generation) -> usize {
        self.registry.freeze(&["http"]);
        let parcels = within(self.registry.gather(Instant::now() + PATIENCE)).await;
        let count = parcels.len();
        to.registry.admit(parcels);
        count
    }

    /// Moves those that come late, as the drain does.
    fn drain_into(&self, to: &Generation) {
        let (from, to) = (self.registry.clone(), to.registry.clone());
        tokio::spawn(async move {
            while let Some(parcel) = from.late().await {
                to.admit(vec![parcel]);
            }
        });
    }
}

async fn held(Path(number): Path<u32>, State(journal): State<Journal>) -> String {
    journal.note(number, b"");
    journal.gate.acquire().await.unwrap().forget();
    format!("{number}:")
}

async fn streamed(Path(number): Path<u32>, State(journal): State<Journal>) -> axum::body::Body {
    journal.note(number, b"");
    let (mut sender, body) = tokio::io::duplex(16);
    tokio::spawn(async move {
        for _ in 0..10 {
            sender.write_all(b"streamed ").await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    axum::body::Body::new(Chunks(body))
}

/// A body of unknown length.
struct Chunks(tokio::io::DuplexStream);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<hyper::body::Frame<Bytes>>>> {
        let mut room = [0; 8];
        let mut buffer = tokio::io::ReadBuf::new(&mut room);
        let read =
            tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.0), cx, &mut buffer);
        read.map_ok(|()| Bytes::copy_from_slice(buffer.filled()))
            .map(|read| match read {
                Ok(bytes) if bytes.is_empty() => None,
                read => Some(read.map(hyper::body::Frame::data)),
            })
    }
}

async fn unread(Path(number): Path<u32>, State(journal): State<Journal>, _: HeaderMap) -> String {
    journal.note(number, b"");
    format!("{number}:")
}

/// Becomes another protocol, which says hello and echoes.
async fn other_protocol(mut request: axum::extract::Request) -> axum::response::Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
        stream.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 16];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            stream.write_all(&buffer[..count]).await.unwrap();
        }
    });
    let response = axum::response::Response::builder()
        .status(101)
        .header("upgrade", "other");
    response
        .header("connection", "upgrade")
        .body(axum::body::Body::empty())
        .unwrap()
}

struct Client {
    stream: UnixStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn says(&self, header: &str) -> bool {
        self.head.to_ascii_lowercase().contains(header)
    }
}

impl Client {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next final answer; none at the end of the stream.
    async fn answer(&mut self, to_head: bool) -> Option<Answer> {
        loop {
            let head = self.until(b"\r\n\r\n").await?;
            let status = head[9..12].parse().unwrap();
            if status == 100 {
                continue;
            }
            let mut answer = Answer {
                status,
                body: String::new(),
                head,
            };
            if to_head {
            } else if answer.says("transfer-encoding: chunked") {
                loop {
                    let size = self.until(b"\r\n").await?;
                    let size = usize::from_str_radix(size.trim(), 16).unwrap();
                    let chunk = self.take(size + 2).await?;
                    if size == 0 {
                        break;
                    }
                    answer.body += &chunk[..size];
                }
            } else {
                let lower = answer.head.to_ascii_lowercase();
                let length = lower.split("content-length: ").nth(1).expect("a length");
                let length = length.split("\r\n").next().unwrap().parse().unwrap();
                answer.body = self.take(length).await?;
            }
            return Some(answer);
        }
    }

    async fn until(&mut self, mark: &[u8]) -> Option<String> {
        loop {
            if let Some(found) = self
                .buffer
                .windows(mark.len())
                .position(|part| part == mark)
            {
                return self.take(found + mark.len()).await;
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, count: usize) -> Option<String> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        let rest = self.buffer.split_off(count);
        Some(String::from_utf8(std::mem::replace(&mut self.buffer, rest)).unwrap())
    }

    async fn more(&mut self) -> Option<()> {
        let read = within(self.stream.read_buf(&mut self.buffer))
            .await
            .unwrap_or(0);
        (read > 0).then_some(())
    }
}

/// Waits until all that was sent has been read and looked at.
async fn settle(twin: &UnixStream) {
    within(async {
        while rustix::io::ioctl_fionread(twin).unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
