//! Unix listeners and where they listen.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::net::{SocketFlags, accept_with};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::Obtained;
use super::accept::Acceptor;
use crate::describe::Address;
use crate::sys::Registered;

/// Where a Unix socket is bound.
///
/// Text that begins with `@` is an abstract name, as `ss` and systemd write it; `./@name` is a file of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnixAddress {
    /// In the file system. A relative path is taken from the working directory at the time of binding.
    Path(PathBuf),
    /// In Linux's abstract name space: no file, no permissions, seen by every process of the network namespace.
    Abstract(Vec<u8>),
}

impl UnixAddress {
    /// The address as sockets have it: paths are absolute, so that a later generation finds them from any directory.
    pub(super) fn absolute(&self) -> io::Result<Address> {
        Ok(match self {
            Self::Path(path) => Address::Path(std::path::absolute(path)?),
            Self::Abstract(name) => Address::Abstract(name.clone()),
        })
    }
}

impl From<&str> for UnixAddress {
    fn from(text: &str) -> Self {
        match text.strip_prefix('@') {
            Some(name) => Self::Abstract(name.into()),
            None => Self::Path(text.into()),
        }
    }
}

impl From<PathBuf> for UnixAddress {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for UnixAddress {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

/// A Unix stream listener that is handed over; see [`TcpListener`](super::TcpListener), of which all holds here.
#[derive(Debug)]
pub struct UnixListener(Acceptor);

impl UnixListener {
    pub(super) fn new(obtained: Obtained) -> io::Result<Self> {
        Acceptor::new(obtained).map(Self)
    }

    /// The next connection; `None` once the successor accepts in this process's stead, for ever. Cancel safe.
    ///
    /// # Errors
    ///
    /// Only what makes the listener useless.
    pub async fn accept(&mut self) -> io::Result<Option<UnixStream>> {
        let accepted = self.accept_seated(|| ()).await?;
        Ok(accepted.map(|(stream, ())| stream))
    }

    /// As [`accept`](Self::accept), and calls `seat` for the connection before the gate can shut: no handover misses it.
    pub(crate) async fn accept_seated<S>(
        &mut self,
        seat: impl Fn() -> S,
    ) -> io::Result<Option<(UnixStream, S)>> {
        let accepted = self.0.accept(|socket| Ok((take(socket)?, seat()))).await?;
        match accepted {
            Some((stream, seat)) => Ok(Some((UnixStream::from_std(stream.into())?, seat))),
            None => Ok(None),
        }
    }

    /// The name it is handed over under.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A Unix seqpacket listener that is handed over; see [`TcpListener`](super::TcpListener), of which all holds here.
#[derive(Debug)]
pub struct UnixSeqpacketListener(Acceptor);

impl UnixSeqpacketListener {
    pub(super) fn new(obtained: Obtained) -> io::Result<Self> {
        Acceptor::new(obtained).map(Self)
    }

    /// The next connection; `None` once the successor accepts in this process's stead, for ever. Cancel safe.
    ///
    /// # Errors
    ///
    /// Only what makes the listener useless.
    pub async fn accept(&mut self) -> io::Result<Option<UnixSeqpacket>> {
        match self.0.accept(take).await? {
            Some(socket) => Ok(Some(UnixSeqpacket::new(socket)?)),
            None => Ok(None),
        }
    }

    /// The name it is handed over under.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

impl AsFd for UnixSeqpacketListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn take(socket: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// A connection that keeps the bounds of messages.
#[derive(Debug)]
pub struct UnixSeqpacket(Registered);

impl UnixSeqpacket {
    /// Takes a connected socket, which is made non-blocking, into the runtime this is called in.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        Registered::new(Arc::new(socket), both).map(Self)
    }

    /// Sends one message. Cancel safe: it goes whole or not at all.
    pub async fn send(&self, message: &[u8]) -> io::Result<()> {
        let flags = rustix::net::SendFlags::NOSIGNAL;
        self.0
            .async_io(Interest::WRITABLE, |socket| {
                rustix::net::send(socket, message, flags).map_err(io::Error::from)
            })
            .await?;
        Ok(())
    }

    /// Receives one message into `buffer` and answers its length; 0 when the peer has closed (or sent an empty message, which
    /// looks the same). Cancel safe.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the message was longer than `buffer`; it is lost.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len();
        let whole = self
            .0
            .async_io(Interest::READABLE, |socket| {
                // With TRUNC the kernel answers the real length of a message that did not fit.
                let (_, whole) =
                    rustix::net::recv(socket, &mut *buffer, rustix::net::RecvFlags::TRUNC)?;
                Ok(whole)
            })
            .await?;
        if whole > room {
            let what = format!("a message of {whole} bytes does not fit into {room}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(whole)
    }

    /// The socket, registered with no runtime any more: to be moved to a successor.
    pub fn into_fd(self) -> OwnedFd {
        Arc::into_inner(self.0.into_inner()).expect("a connection has one holder in this process")
    }
}

impl AsFd for UnixSeqpacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
