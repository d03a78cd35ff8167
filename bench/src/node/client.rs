//! A client of the node's API that keeps its connection, as wallets and exchanges do.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::load::http::{Broken, exchange};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be made, or broke.
    #[error("{endpoint} of {address}: {source}")]
    Broken {
        /// What was asked for.
        endpoint: String,
        /// Whom.
        address: SocketAddr,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The node says no.
    #[error("{endpoint}: {answer}")]
    Refused {
        /// What was asked for.
        endpoint: String,
        /// The whole answer.
        answer: Value,
    },
}

/// One keep-alive connection; made anew when it has broken, which is counted.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    connections: u64,
}

impl Client {
    /// A client of the node at this address; connects at the first question.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            connections: 0,
        }
    }

    /// How many connections it has made; more than one means that the server cut some.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// The `data` of a successful answer.
    pub async fn ask(&mut self, endpoint: &str, body: &Value) -> Result<Value, ClientError> {
        let answer = self.answer(endpoint, &body.to_string()).await?;
        if answer["status"] == "success" {
            return Ok(answer.get("data").cloned().unwrap_or_default());
        }
        Err(ClientError::Refused {
            endpoint: endpoint.to_owned(),
            answer,
        })
    }

    /// The whole answer, whatever it says.
    pub async fn answer(&mut self, endpoint: &str, body: &str) -> Result<Value, ClientError> {
        let broken = |source: Box<dyn std::error::Error + Send + Sync>| ClientError::Broken {
            endpoint: endpoint.to_owned(),
            address: self.address,
            source,
        };
        let request = post(endpoint, self.address, body);
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let stream = TcpStream::connect(self.address)
                .await
                .map_err(|error| broken(error.into()))?;
            stream
                .set_nodelay(true)
                .map_err(|error| broken(error.into()))?;
            self.connections += 1;
            stream
        };
        let answer = timeout(PATIENCE, exchange(&mut stream, &request))
            .await
            .map_err(|_| broken(format!("no answer within {PATIENCE:?}").into()))?
            .map_err(|error: Broken| broken(error.into()))?;
        if !answer.close {
            self.stream = Some(stream);
        }
        serde_json::from_slice(&answer.body).map_err(|error| broken(error.into()))
    }
}

fn post(endpoint: &str, address: SocketAddr, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /{endpoint} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
