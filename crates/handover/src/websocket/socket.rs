//! One WebSocket, seen by the program that serves it.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::cut::Cutter;
use crate::Parcel;
use crate::connections::{Asked, Connection, ResumeError, Seat, Turn};

/// Longest message unless said otherwise, in bytes, with its frame headers.
pub const MESSAGE_LIMIT: usize = 1024 * 1024;

/// How long a peer may take to say goodbye.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A server's end of a WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    connection: Connection,
    input: BytesMut,
    cutter: Cutter,
    engine: tungstenite::WebSocket<Pipe>,
    heard: Instant,
}

/// What [`WebSocket::next`] woke up for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A text or binary message. Pings are answered and pongs dropped without the program's doing.
    Message(Message),
    /// The handover wants something: on `Move` [`give`](WebSocket::give) the WebSocket, on `Leave` call
    /// [`leave`](WebSocket::leave).
    Asked(Asked),
    /// The peer has closed the WebSocket, with its reason if it gave one. There is nothing left to do but to drop it.
    Closed(Option<CloseFrame>),
}

/// Why a WebSocket cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WebSocketError {
    /// The socket failed.
    #[error("cannot read from or write to a WebSocket's peer")]
    Socket(#[from] io::Error),
    /// The peer broke the protocol, or a message was sent after the close.
    #[error("the WebSocket protocol was broken")]
    Protocol(#[source] Box<tungstenite::Error>),
    /// The peer sent too long a message; it was told so with close code 1009.
    #[error("the peer's message is longer than the limit of {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
}

impl WebSocket {
    /// A WebSocket on a connection on which the upgrade is done.
    pub(super) fn new(connection: Connection) -> Self {
        let pipe = Pipe::default();
        Self {
            connection,
            input: BytesMut::new(),
            cutter: Cutter::new(MESSAGE_LIMIT),
            heard: Instant::now(),
            engine: tungstenite::WebSocket::from_raw_socket(
                pipe,
                Role::Server,
                Some(config(MESSAGE_LIMIT)),
            ),
        }
    }

    /// A WebSocket that was moved in or has come back, to be served on.
    pub fn resume(parcel: Parcel, seat: Seat) -> Result<Self, ResumeError> {
        Connection::resume(parcel, seat).map(Self::new)
    }

    /// The same WebSocket with another limit for messages, in bytes. To be set before the first message.
    #[must_use]
    pub fn message_limit(mut self, limit: usize) -> Self {
        self.cutter.set_limit(limit);
        self.engine.set_config(|settings| *settings = config(limit));
        self
    }

    /// What the program wrote on the parcel; empty for a new WebSocket.
    pub fn label(&self) -> &[u8] {
        self.connection.label()
    }

    /// The next message, or what is asked; what is asked comes first. Cancel-safe.
    pub async fn next(&mut self) -> Result<Event, WebSocketError> {
        loop {
            if let Some(event) = self.next_unit().await? {
                return Ok(event);
            }
            if !self.connection.has_room() {
                // what has arrived may well be whole, but its answers would only pile up
                match self.connection.room_or_asked().await? {
                    Some(asked) => return Ok(Event::Asked(asked)),
                    None => continue,
                }
            }
            match self.connection.turn(&mut self.input).await? {
                Turn::Asked(asked) => return Ok(Event::Asked(asked)),
                Turn::Read(0) => return Ok(Event::Closed(None)),
                Turn::Read(_) => self.heard = Instant::now(),
            }
        }
    }

    /// When the peer was last heard of, be it by a pong: for those who ask silent peers whether they are there.
    pub fn last_heard(&self) -> Instant {
        self.heard
    }

    /// Handles what has arrived whole, up to the next event.
    async fn next_unit(&mut self) -> Result<Option<Event>, WebSocketError> {
        if let Some(asked) = self.connection.asked_now() {
            return Ok(Some(Event::Asked(asked)));
        }
        while self.connection.has_room() {
            let unit = match self.cutter.cut(&mut self.input) {
                Ok(Some(unit)) => unit,
                Ok(None) => break,
                Err(_) => {
                    let limit = self.cutter.limit();
                    self.shut(CloseCode::Size, "message too long").await;
                    return Err(WebSocketError::TooLong { limit });
                }
            };
            self.engine.get_mut().input = unit;
            match self.engine.read() {
                Ok(Message::Close(reason)) => {
                    self.pass_on()?;
                    let _ = timeout(CLOSE_LIMIT, self.connection.shutdown()).await;
                    return Ok(Some(Event::Closed(reason)));
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => self.pass_on()?,
                Ok(message) => return Ok(Some(Event::Message(message))),
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                }
                Err(error) => {
                    self.shut(CloseCode::Protocol, "protocol error").await;
                    return Err(WebSocketError::Protocol(error.into()));
                }
            }
        }
        Ok(None)
    }

    /// Takes the message whole or, if the future is dropped, not at all. Waits while many bytes wait for the peer, but not for the
    /// peer to take this message: [`next`](Self::next) goes on writing.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), WebSocketError> {
        self.connection.room().await?;
        let written = self.engine.write(message.into());
        written.map_err(|error| WebSocketError::Protocol(error.into()))?;
        self.pass_on()?;
        Ok(())
    }

    /// Packs the WebSocket up, with a label that tells the successor what it must know of this peer.
    ///
    /// # Errors
    /// See [`Connection::give`].
    pub fn give(mut self, label: impl Into<Vec<u8>>) -> io::Result<()> {
        self.pass_on()?;
        self.connection.push_back(self.input);
        self.connection.push_back(self.cutter.held());
        self.connection.give(label)
    }

    /// Tells the peer that the service restarts (close code 1012), so that it comes back, and waits a little for its goodbye.
    pub async fn leave(self) {
        self.close(CloseCode::Restart, "service restart").await;
    }

    /// Closes the WebSocket, and waits a little for the peer's goodbye. Messages that arrive meanwhile are dropped.
    pub async fn close(mut self, code: CloseCode, reason: &'static str) {
        self.shut(code, reason).await;
        let goodbye = async {
            let mut rest = BytesMut::new();
            while let Ok(Turn::Read(1..) | Turn::Asked(_)) = self.connection.turn(&mut rest).await {
                rest.clear();
            }
        };
        let _ = timeout(CLOSE_LIMIT, goodbye).await;
    }

    /// Sends a close frame and nothing after it.
    async fn shut(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // an engine that is closed already has said what there is to say
        let _ = self.engine.close(Some(frame));
        if self.pass_on().is_ok() {
            let _ = timeout(CLOSE_LIMIT, self.connection.shutdown()).await;
        }
    }

    #[cfg(test)]
    pub(super) fn connection_has_room(&self) -> bool {
        self.connection.has_room()
    }

    /// Hands what the engine has written to the connection.
    fn pass_on(&mut self) -> io::Result<()> {
        // into memory; the only failure is that the WebSocket is closed, and then its goodbye is in the pipe
        let _ = self.engine.flush();
        let output = self.engine.get_mut().output.split();
        self.connection.accept(&output)
    }
}

/// What the engine takes of a unit at a time, and allocates for every WebSocket.
const ENGINE_READ: usize = 2048;

fn config(limit: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(ENGINE_READ)
        .write_buffer_size(0)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit))
}

/// The engine's socket: memory. It reads one whole unit at a time, and writes without limit; who calls it minds the limits.
#[derive(Debug, Default)]
struct Pipe {
    input: Bytes,
    output: BytesMut,
}

impl Read for Pipe {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = room.len().min(self.input.len());
        self.input.copy_to_slice(&mut room[..count]);
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
