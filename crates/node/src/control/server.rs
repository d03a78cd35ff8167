//! The node's end of the control socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::place::Place;
use super::wire::{Answer, Request};

/// The longest request, in bytes.
const MAX_LINE: u64 = 64 << 10;
/// The most clients at once.
const MAX_CLIENTS: usize = 16;
/// A client that says nothing for so long is hung up on.
const SILENCE: Duration = Duration::from_secs(30);

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

/// The control socket, until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    path: PathBuf,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens at `path`; requests go to `node`. The caller has the home's lock, so that a socket that is there already
    /// belongs to nobody.
    pub(crate) fn bind(path: &Path, node: mpsc::Sender<Command>) -> Result<Self, BindError> {
        let failed = |source| BindError {
            path: path.to_owned(),
            source,
        };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let place = Place::of(path).map_err(failed)?;
        let listener = UnixListener::bind(place.path()).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            accepting: tokio::spawn(accept(listener, node)),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, node: mpsc::Sender<Command>) {
    let room = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let node = node.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, node).await {
                        debug!(%error, "a client of the control socket left");
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                warn!(%error, "the control socket cannot accept");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, node: mpsc::Sender<Command>) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut reading).take(MAX_LINE);
        let read = bounded.read_until(b'\n', &mut line);
        let read = tokio::time::timeout(SILENCE, read).await;
        if read.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
            return Ok(());
        }
        let answer = answer(&line, &node).await;
        let mut text = serde_json::to_string(&answer).unwrap_or_default();
        text.push('\n');
        writing.write_all(text.as_bytes()).await?;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
    }
}

async fn answer(line: &[u8], node: &mpsc::Sender<Command>) -> Answer {
    let request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return Answer::Refused(format!("the request is not understood: {error}")),
    };
    let (answer, answered) = oneshot::channel();
    let stopping = || Answer::Refused("the node is stopping".to_owned());
    if node.send(Command { request, answer }).await.is_err() {
        return stopping();
    }
    answered.await.unwrap_or_else(|_| stopping())
}
