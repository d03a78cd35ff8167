//! A client that says exactly what is told over one HTTP/1.1 connection.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub struct Http {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
    /// The server closes the connection after this.
    pub last: bool,
}

impl Http {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// The address of this end.
    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }

    /// Asks and waits for the answer.
    pub async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(path).await?;
        self.answer().await
    }

    /// Asks.
    pub async fn send(&mut self, path: &str) -> io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await
    }

    /// Waits for the answer to what was asked; may be called again if the waiting was given up.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_lowercase();
        let header = |name: &str| {
            let line = head.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let length: usize = header("content-length")
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no content-length: {head}")))?;
        while self.buffer.len() < end + length {
            self.more().await?;
        }
        let status = head
            .split_whitespace()
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no status: {head}")))?;
        let answer = Answer {
            status,
            body: String::from_utf8_lossy(&self.buffer[end..end + length]).into_owned(),
            last: header("connection").is_some_and(|value| value == "close"),
        };
        self.buffer.drain(..end + length);
        Ok(answer)
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
