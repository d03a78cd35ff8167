//! The node's end of the control socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use baton_api::Door;
use baton_handover::connections::{Asked, Connection, Turn};
use baton_handover::{Handover, Listener};
use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::debug;

use super::wire::{Answer, Request};

/// The longest request, in bytes.
const MAX_LINE: usize = 64 << 10;
/// The most clients at once.
const MAX_CLIENTS: usize = 16;
/// A client that says nothing for so long is hung up on.
const SILENCE: Duration = Duration::from_secs(30);
/// The name of the socket and its connections in a handover.
const NAME: &str = "control";

/// A request on its way to the node.
#[derive(Debug)]
pub(crate) struct Command {
    /// What is asked.
    pub(crate) request: Request,
    /// Where the answer goes.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
#[error("listening at {}: {source}", .path.display())]
pub struct BindError {
    /// The socket.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The control socket. It goes from process to process.
#[derive(Debug)]
pub(crate) struct Ear(Listener);

impl Ear {
    /// Listens at `path`, or goes on with what a predecessor listened at.
    pub(crate) async fn claim(handover: &mut Handover, path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError {
            path: path.to_owned(),
            source,
        };
        let listener = handover.unix(NAME, path).await;
        let listener = listener.map_err(|error| failed(io::Error::other(error)))?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self(listener))
    }

    /// Serves clients until another process does; requests go to `node`, and wait at the door while a handover has the
    /// node's parts closed.
    pub(crate) async fn serve(mut self, node: mpsc::Sender<Command>, door: Door) {
        let room = Arc::new(Semaphore::new(MAX_CLIENTS));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let Some(connection) = self.0.accept().await else {
                return;
            };
            let (node, door) = (node.clone(), door.clone());
            tokio::spawn(async move {
                if let Err(error) = converse(connection, &node, &door).await {
                    debug!(%error, "a client of the control socket left");
                }
                drop(place);
            });
        }
    }
}

/// Answers one client, line by line. Between two lines the connection moves.
async fn converse(
    mut connection: Connection,
    node: &mpsc::Sender<Command>,
    door: &Door,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line = buffer.split_to(end + 1);
            reply(&mut connection, &line, node, door).await?;
            continue;
        }
        if buffer.len() > MAX_LINE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let turn = tokio::time::timeout(SILENCE, connection.turn(&mut buffer)).await;
        match turn.map_err(|_| io::ErrorKind::TimedOut)?? {
            Turn::Read(0) if buffer.is_empty() => return Ok(()),
            Turn::Read(0) => return reply(&mut connection, &buffer, node, door).await,
            Turn::Asked(Asked::Move) => {
                connection.push_back(buffer);
                return connection.give(Vec::new());
            }
            Turn::Asked(Asked::Leave) => return Ok(()),
            Turn::Read(_) | Turn::Asked(Asked::Stay) => {}
        }
    }
}

async fn reply(
    connection: &mut Connection,
    line: &[u8],
    node: &mpsc::Sender<Command>,
    door: &Door,
) -> io::Result<()> {
    let mut asking = connection.asking();
    let mut answer = std::pin::pin!(answer(line, node, door));
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            // a freeze need not wait for the answer: the connection moves after it
            _ = asking.asked() => connection.asking().defer(),
        }
    };
    let mut text = serde_json::to_string(&answer).unwrap_or_default();
    text.push('\n');
    connection.write_all(text.as_bytes()).await?;
    connection.flush().await
}

async fn answer(line: &[u8], node: &mpsc::Sender<Command>, door: &Door) -> Answer {
    let request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return Answer::Refused(format!("the request is not understood: {error}")),
    };
    // how the node is can be told at any time
    let held = match &request {
        Request::Status | Request::Namespaces => None,
        _ => match door().await {
            Some(held) => Some(held),
            None => return Answer::Refused("another process serves now: ask again".to_owned()),
        },
    };
    let (answer, answered) = oneshot::channel();
    let stopping = || Answer::Refused("the node is stopping".to_owned());
    if node.send(Command { request, answer }).await.is_err() {
        return stopping();
    }
    let answer = answered.await.unwrap_or_else(|_| stopping());
    drop(held);
    answer
}
