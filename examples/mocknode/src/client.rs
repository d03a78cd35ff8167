//! Asking a running node: one HTTP GET, just enough for the commands.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;

/// Each step of a request may take so long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A longer answer is not read.
const MAX_ANSWER: u64 = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("post failed: Get \"http://{address}{path}\": {source}")]
    Io {
        address: String,
        path: &'static str,
        source: io::Error,
    },
    #[error("http://{address}{path} answered {status:?}, not JSON")]
    Answer {
        address: String,
        path: &'static str,
        status: String,
    },
}

/// The JSON at `path` of the node whose RPC is at `address` (`tcp://127.0.0.1:26657`).
pub(crate) fn get(address: &str, path: &'static str) -> Result<Value, ClientError> {
    let bare = address.split_once("://").map_or(address, |(_, rest)| rest);
    let answer = fetch(bare, path).map_err(|source| ClientError::Io {
        address: bare.to_owned(),
        path,
        source,
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    serde_json::from_str(body).map_err(|_| ClientError::Answer {
        address: bare.to_owned(),
        path,
        status: head.lines().next().unwrap_or_default().to_owned(),
    })
}

fn fetch(address: &str, path: &str) -> io::Result<String> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, TIMEOUT) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                // HTTP/1.0: the answer ends with the connection and is not chunked
                write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
                let mut answer = String::new();
                stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
                return Ok(answer);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
