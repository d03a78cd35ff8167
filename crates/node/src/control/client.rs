//! A command's end of the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use baton_handover::SocketPath;

use super::wire::{Answer, Request};
use crate::home::Home;

/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error("no node runs on {}", .0.display())]
    NotRunning(PathBuf),
    /// There is no home.
    #[error("there is no directory {}; is --home right? `batond init` makes a home", .0.display())]
    NoHome(PathBuf),
    /// The socket fails.
    #[error("asking the node at {}: {source}", .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It answered something else.
    #[error("the node at {} gave an answer that is not understood: {source}", .path.display())]
    Answer {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It says no.
    #[error("{0}")]
    Refused(String),
}

/// Asks the node that runs on a home; waits for the answer no longer than `limit`.
pub fn ask(
    home: &Home,
    request: &Request,
    limit: Duration,
) -> Result<serde_json::Value, ControlError> {
    if !home.path().is_dir() {
        return Err(ControlError::NoHome(home.path().to_owned()));
    }
    let path = home.socket();
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ControlError::NotRunning(home.path().to_owned())
        }
        io::ErrorKind::WouldBlock => ControlError::Io {
            path: path.clone(),
            source: io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {limit:?}"),
            ),
        },
        _ => ControlError::Io {
            path: path.clone(),
            source,
        },
    };
    let place = SocketPath::of(&path).map_err(io)?;
    let mut stream = UnixStream::connect(place.path()).map_err(io)?;
    stream.set_read_timeout(Some(limit)).map_err(io)?;
    stream.set_write_timeout(Some(limit)).map_err(io)?;
    let mut line = serde_json::to_string(request).expect("names are JSON");
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(io)?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_ANSWER))
        .read_line(&mut answer)
        .map_err(io)?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Done(value)) => Ok(value),
        Ok(Answer::Refused(why)) => Err(ControlError::Refused(why)),
        Err(source) => Err(ControlError::Answer { path, source }),
    }
}
