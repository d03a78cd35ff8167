//! One HTTP request over a Unix socket: to a supervisor, or to a server that is asked whether it is ready.

use std::io;
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("{0}")]
    Connect(#[source] io::Error),
    #[error("no answer within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Asks, and reads the whole answer.
pub(super) async fn ask(
    socket: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
    within: Duration,
) -> Result<(StatusCode, Bytes), HttpError> {
    let asking = async {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(HttpError::Connect)?;
        exchange(stream, method, path, body)
            .await
            .map_err(|error| HttpError::Broken(error.to_string()))
    };
    timeout(within, asking)
        .await
        .unwrap_or(Err(HttpError::Silent(within)))
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), AnyError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await?;
        Ok::<_, AnyError>((status, body.to_bytes()))
    };
    // Polled beside the answer, and dropped with it.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}
