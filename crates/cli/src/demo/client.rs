//! A client that keeps its connection, as wallets and exchanges do, and counts when it cannot.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::figures::Figures;

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Before a question is asked again that was not answered.
const AGAIN: Duration = Duration::from_millis(20);

/// What all clients count in.
pub(super) type Counted = Arc<Mutex<Figures>>;

/// What a panic elsewhere left behind is still good enough to show.
pub(super) fn locked(counted: &Counted) -> std::sync::MutexGuard<'_, Figures> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One keep-alive connection, made anew when it has broken.
pub(super) struct Client {
    address: SocketAddr,
    counted: Counted,
    sender: Option<SendRequest<Full<Bytes>>>,
    was_connected: bool,
}

impl Client {
    pub(super) fn new(address: SocketAddr, counted: Counted) -> Self {
        Self {
            address,
            counted,
            sender: None,
            was_connected: false,
        }
    }

    /// What it counts in.
    pub(super) fn counted(&self) -> &Counted {
        &self.counted
    }

    /// Asks until there is an answer; each try that gave none is counted. The answer's `data`, or what the node says against it.
    pub(super) async fn ask(&mut self, endpoint: &str, body: &Value) -> Result<Value, String> {
        let begun = Instant::now();
        let answer = loop {
            match self.once(endpoint, body).await {
                Ok(answer) => break answer,
                Err(error) => {
                    self.sender = None;
                    locked(&self.counted).failed(format!("{endpoint}: {error:#}"));
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        let now = Instant::now();
        locked(&self.counted).answered(now - begun, now);
        if answer["status"] == "success" {
            return Ok(answer["data"].clone());
        }
        let why = answer["error_detail"].as_str().or(answer["msg"].as_str());
        Err(why.unwrap_or("the node says no").to_owned())
    }

    async fn once(&mut self, endpoint: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/{endpoint}"))
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .context("making the request")?;
        let asking = async {
            let sender = self.connected().await?;
            let answer = sender.send_request(request).await.context("asking")?;
            let body = answer
                .into_body()
                .collect()
                .await
                .context("reading the answer")?;
            anyhow::Ok(body.to_bytes())
        };
        let Ok(answered) = timeout(PATIENCE, asking).await else {
            bail!("no answer within {PATIENCE:?}");
        };
        serde_json::from_slice(&answered?).context("the answer is no JSON")
    }

    /// The connection that there is, or another. One that the server has closed between two questions is no failure, but it is
    /// counted too.
    async fn connected(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        let is_open = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !is_open {
            let stream = TcpStream::connect(self.address)
                .await
                .context("connecting")?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream))
                .await
                .context("connecting")?;
            tokio::spawn(connection);
            self.sender = Some(sender);
            if std::mem::replace(&mut self.was_connected, true) {
                locked(&self.counted).reconnections += 1;
            }
        }
        Ok(self.sender.as_mut().expect("it is open now"))
    }
}
