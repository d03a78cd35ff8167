//! What a node can be asked that hands over: where it stands, and for a snapshot of its data.
//!
//! Over HTTP on the socket `node.sock` in its control directory, as `docs/node-contract.md` has it. A node that does not have the
//! socket is asked by the ways of every other node.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_handover::SocketPath;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::plan::Plan;

/// The socket's name.
pub const SOCKET: &str = "node.sock";

/// How long an answer that needs no work may take.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct About {
    /// The version of what is agreed.
    pub contract: u32,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The last block that it has.
    #[serde(default)]
    pub height: Option<u64>,
    /// The plan before which it has stopped.
    #[serde(default)]
    pub halted: Option<Halted>,
    /// The upgrade that the chain plans.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// It can write a snapshot.
    #[serde(default)]
    pub snapshot: bool,
}

/// The plan before which a node has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Halted {
    /// Its name.
    pub name: String,
    /// Its height.
    pub height: u64,
}

/// What a snapshot holds, as the node says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Made {
    /// The block it stands at.
    pub height: u64,
}

#[derive(Debug, Serialize)]
struct Wanted<'a> {
    target: &'a Path,
}

#[derive(Debug, Deserialize)]
struct Failure {
    error: String,
}

/// Why a node gave no answer, or not the one that was wanted.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// It does not listen there.
    #[error("the node does not listen on {}: {source}", .socket.display())]
    Absent {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It did not answer.
    #[error("the node on {} gave no answer to {path}: {why}", .socket.display())]
    Silent {
        /// The socket.
        socket: PathBuf,
        /// What was asked.
        path: &'static str,
        /// What was seen instead.
        why: String,
    },
    /// It will not, or cannot.
    #[error("the node answers {path} with {code}: {why}")]
    Refused {
        /// What was asked.
        path: &'static str,
        /// The status code.
        code: u16,
        /// Why.
        why: String,
    },
}

/// Asks the node with this control directory where it stands.
pub async fn about(control_dir: &Path) -> Result<About, ContractError> {
    ask(control_dir, Method::GET, "/node", Bytes::new(), AT_ONCE).await
}

/// Asks the node to write a snapshot of its data into an empty directory, within `limit`.
pub async fn snapshot(
    control_dir: &Path,
    target: &Path,
    limit: Duration,
) -> Result<Made, ContractError> {
    let wanted = serde_json::to_vec(&Wanted { target }).map_err(|error| ContractError::Silent {
        socket: control_dir.join(SOCKET),
        path: "/snapshot",
        why: error.to_string(),
    })?;
    ask(control_dir, Method::POST, "/snapshot", wanted.into(), limit).await
}

async fn ask<T: DeserializeOwned>(
    control_dir: &Path,
    method: Method,
    path: &'static str,
    body: Bytes,
    limit: Duration,
) -> Result<T, ContractError> {
    let socket = control_dir.join(SOCKET);
    let silent = |why: String| ContractError::Silent {
        socket: socket.clone(),
        path,
        why,
    };
    let asking = async {
        let stream = open(&socket)
            .await
            .map_err(|source| ContractError::Absent {
                socket: socket.clone(),
                source,
            })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| silent(e.to_string()))?;
        let connection = tokio::spawn(connection);
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "node")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("the paths above are valid");
        let answered = async {
            let answer = sender
                .send_request(request)
                .await
                .map_err(|e| silent(e.to_string()))?;
            let code = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER)
                .collect()
                .await
                .map_err(|e| silent(e.to_string()))?;
            Ok((code, body.to_bytes()))
        };
        let answered = answered.await;
        connection.abort();
        answered
    };
    let (code, body) = timeout(limit, asking)
        .await
        .map_err(|_| silent(format!("none within {limit:?}")))??;
    if code != StatusCode::OK {
        let why = serde_json::from_slice(&body).map_or_else(
            |_| String::from_utf8_lossy(&body).trim().to_owned(),
            |Failure { error }| error,
        );
        return Err(ContractError::Refused {
            path,
            code: code.as_u16(),
            why,
        });
    }
    serde_json::from_slice(&body).map_err(|e| silent(format!("its answer is not understood: {e}")))
}

async fn open(socket: &Path) -> io::Result<UnixStream> {
    let address = SocketPath::of(socket)?;
    UnixStream::connect(address.path()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use axum::{Json, Router};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_node_is_asked_and_its_refusals_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = about(dir.path()).await.unwrap_err();
        assert!(matches!(error, ContractError::Absent { .. }), "{error}");

        let listener = tokio::net::UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let snapshot_of = async |Json(wanted): Json<Value>| {
            if wanted["target"] == "/full" {
                let full = Json(json!({ "error": "no room" }));
                return (StatusCode::INTERNAL_SERVER_ERROR, full);
            }
            (StatusCode::OK, Json(json!({ "height": 7, "files": 1 })))
        };
        let told = json!({ "contract": 1, "height": 7, "halted": { "name": "v2", "height": 8 } });
        let router = Router::new()
            .route("/node", get(async move || Json(told)))
            .route("/snapshot", post(snapshot_of));
        tokio::spawn(axum::serve(listener, router).into_future());

        let told = about(dir.path()).await.unwrap();
        assert_eq!((told.height, told.snapshot), (Some(7), false));
        assert_eq!(told.halted.unwrap().name, "v2");
        let made = snapshot(dir.path(), Path::new("/x"), AT_ONCE)
            .await
            .unwrap();
        assert_eq!(made.height, 7);
        let error = snapshot(dir.path(), Path::new("/full"), AT_ONCE)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the node answers /snapshot with 500: no room"
        );
    }
}
