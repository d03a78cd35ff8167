//! Asking a running supervisor, over its control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, StatusCode, header};
use baton_handover::SocketPath;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::control::SOCKET;
use super::event::Record;
use super::routes::{Answer, Failure, Request};
use super::status::Status;

/// How long connecting, and the head of an answer, may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// The largest answer that is read whole.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The longest line of an event stream that is read.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Why a supervisor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is none.
    #[error(
        "no supervisor is running on {} ({}: {source}); start one with `baton run`",
        .home.display(), .socket.display()
    )]
    NoSupervisor {
        /// The home.
        home: PathBuf,
        /// Where its socket would be.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It belongs to another user.
    #[error(
        "not allowed to use {}: {source}; run this as the user that runs the supervisor",
        .socket.display()
    )]
    Denied {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is there but says nothing.
    #[error("the supervisor on {} gave no answer within {limit:?}", .socket.display())]
    Silent {
        /// The socket.
        socket: PathBuf,
        /// How long it had.
        limit: Duration,
    },
    /// It ended while it was being asked.
    #[error("the supervisor on {} ended the connection: {text}", .socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What was seen of it.
        text: String,
    },
    /// It does not do what it was asked to.
    #[error("the supervisor answers {path} with: {error}{}", hint(.what_to_do))]
    Failed {
        /// What was asked for.
        path: String,
        /// What is wrong.
        error: String,
        /// What can be done about it.
        what_to_do: String,
    },
    /// Its answer makes no sense to this version.
    #[error("the supervisor's answer to {path} cannot be read: {text}; is it of another version?")]
    Malformed {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        text: String,
    },
}

fn hint(what_to_do: &str) -> String {
    if what_to_do.is_empty() {
        String::new()
    } else {
        format!("; {what_to_do}")
    }
}

/// A way to a running supervisor.
#[derive(Debug, Clone)]
pub struct Client {
    home: PathBuf,
    socket: PathBuf,
}

impl Client {
    /// Makes sure that a supervisor runs on this home (`$DAEMON_HOME`).
    pub async fn connect(home: &Path) -> Result<Self, ClientError> {
        let client = Self {
            home: home.to_owned(),
            socket: home.join("cosmovisor/.baton").join(SOCKET),
        };
        client.open().await?;
        Ok(client)
    }

    /// How things stand.
    pub async fn status(&self) -> Result<Status, ClientError> {
        let (_, body) = self
            .whole(Method::GET, "/status", Vec::new(), ANSWER_WITHIN)
            .await?;
        serde_json::from_slice(&body).map_err(|e| malformed("/status", &e))
    }

    /// The figures, as `OpenMetrics` text.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let (_, body) = self
            .whole(Method::GET, "/metrics", Vec::new(), ANSWER_WITHIN)
            .await?;
        String::from_utf8(body.into()).map_err(|e| malformed("/metrics", &e))
    }

    /// Asks the supervisor to do something.
    pub async fn ask(&self, request: &Request) -> Result<Answer, ClientError> {
        // The supervisor's own limit, with room for its answer.
        let within = request
            .takes()
            .map_or(ANSWER_WITHIN, |takes| takes + ANSWER_WITHIN);
        let (_, body) = self
            .whole(Method::POST, request.path(), request.body(), within)
            .await?;
        serde_json::from_slice(&body).map_err(|e| malformed(request.path(), &e))
    }

    /// The events with a number above `since`, and with `follow` also those to come.
    pub async fn events(&self, since: u64, follow: bool) -> Result<Events, ClientError> {
        let path = format!("/events?since={since}&follow={}", u8::from(follow));
        let body = self
            .send(Method::GET, &path, Vec::new(), ANSWER_WITHIN)
            .await?;
        if body.0 != StatusCode::OK {
            let whole = self.read(body.1).await?;
            return Err(failed(path, body.0, &whole));
        }
        Ok(Events {
            client: self.clone(),
            path,
            follow,
            body: body.1,
            begun: Vec::new(),
            taken: 0,
        })
    }

    async fn whole(
        &self,
        method: Method,
        path: &str,
        sent: Vec<u8>,
        within: Duration,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let (code, body) = self.send(method, path, sent, within).await?;
        let body = self.read(body).await?;
        // A refusal is an answer.
        if code.is_success() || code == StatusCode::CONFLICT {
            Ok((code, body))
        } else {
            Err(failed(path.to_owned(), code, &body))
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, ClientError> {
        let whole = Limited::new(body, MAX_ANSWER_BYTES).collect();
        match timeout(ANSWER_WITHIN, whole).await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(e)) => Err(self.broken(e.as_ref())),
            Err(_) => Err(self.silent()),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<(StatusCode, Incoming), ClientError> {
        let stream = self.open().await?;
        let asking = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let request = hyper::Request::builder()
                .method(method)
                .uri(path)
                .header(header::HOST, "baton")
                .body(Full::new(Bytes::from(body)))
                .expect("the paths above are valid");
            sender.send_request(request).await
        };
        match timeout(within, asking).await {
            Ok(Ok(answer)) => {
                let (head, body) = answer.into_parts();
                Ok((head.status, body))
            }
            Ok(Err(e)) => Err(self.broken(&e)),
            Err(_) => Err(self.silent()),
        }
    }

    async fn open(&self) -> Result<UnixStream, ClientError> {
        let opening = async {
            let address = SocketPath::of(&self.socket)?;
            UnixStream::connect(address.path()).await
        };
        let Ok(opened) = timeout(ANSWER_WITHIN, opening).await else {
            return Err(self.silent());
        };
        opened.map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Denied {
                socket: self.socket.clone(),
                source,
            },
            _ => ClientError::NoSupervisor {
                home: self.home.clone(),
                socket: self.socket.clone(),
                source,
            },
        })
    }

    fn silent(&self) -> ClientError {
        ClientError::Silent {
            socket: self.socket.clone(),
            limit: ANSWER_WITHIN,
        }
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> ClientError {
        ClientError::Broken {
            socket: self.socket.clone(),
            text: error.to_string(),
        }
    }
}

fn malformed(path: &str, error: &dyn std::error::Error) -> ClientError {
    ClientError::Malformed {
        path: path.to_owned(),
        text: error.to_string(),
    }
}

fn failed(path: String, code: StatusCode, body: &[u8]) -> ClientError {
    let failure = serde_json::from_slice(body).unwrap_or_else(|_| Failure {
        error: code.to_string(),
        what_to_do: String::new(),
    });
    ClientError::Failed {
        path,
        error: failure.error,
        what_to_do: failure.what_to_do,
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Events {
    client: Client,
    path: String,
    follow: bool,
    body: Incoming,
    /// What was received, from `taken` on not given yet.
    begun: Vec<u8>,
    taken: usize,
}

impl Events {
    /// The next event; `None` once there are no more, which when following means that the
    /// supervisor has stopped.
    ///
    /// May be dropped and called again without losing an event.
    pub async fn next(&mut self) -> Result<Option<Record>, ClientError> {
        loop {
            let rest = &self.begun[self.taken..];
            if let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line = &rest[..end];
                let record = serde_json::from_slice(line).map_err(|e| malformed(&self.path, &e));
                self.taken += end + 1;
                return record.map(Some);
            }
            self.begun.drain(..self.taken);
            self.taken = 0;
            if self.begun.len() > MAX_LINE_BYTES {
                let limit = format!("a line is longer than {MAX_LINE_BYTES} bytes");
                return Err(malformed(&self.path, &io::Error::other(limit)));
            }
            let frame = if self.follow {
                self.body.frame().await
            } else {
                timeout(ANSWER_WITHIN, self.body.frame())
                    .await
                    .map_err(|_| self.client.silent())?
            };
            match frame {
                None => return Ok(None),
                Some(Err(e)) => return Err(self.client.broken(&e)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.begun.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
