//! A byte stream that can be packed up and served on by another process.
//!
//! Bytes that were read and not used, and bytes that were written and not taken by the kernel, belong to the connection, not to
//! the task that serves it. So dropping a future loses nothing, and giving the connection away takes everything along.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use rustix::net::{AddressFamily, SendFlags, SocketType, sockopt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::seat::{Asked, Asking, Seat};
use crate::{Monotonic, Parcel};

/// Bytes that may wait for a peer that does not read, before writing waits too. What is given away may be more: see
/// [`Connection::send`].
pub const UNSENT_LIMIT: usize = 64 * 1024;

/// Room for one read.
const READ_AT_ONCE: usize = 8 * 1024;

/// A live TCP or Unix stream connection with a seat in the registry.
///
/// Reading yields the bytes that came with the parcel first. Writing hands the bytes to the kernel, or keeps up to
/// [`UNSENT_LIMIT`] of them; flush to wait until the kernel has all.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    seat: Seat,
    /// Read and given back, in order; before what the socket holds.
    unread: VecDeque<Bytes>,
    unsent: BytesMut,
    label: Vec<u8>,
}

/// What [`Connection::turn`] woke up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// So many bytes were added to the buffer; none: the peer sends no more.
    Read(usize),
    /// The handover wants something.
    Asked(Asked),
}

/// A moved connection cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The parcel holds something other than a stream socket of the internet or Unix family.
    #[error("cannot serve a moved {kind:?} connection: its socket is a {what}")]
    NotAStream {
        /// The parcel's kind.
        kind: String,
        /// Family and type of the socket.
        what: String,
    },
    /// The socket could not be examined or registered with the runtime.
    #[error("cannot take up a moved {kind:?} connection")]
    Socket {
        /// The parcel's kind.
        kind: String,
        /// Why.
        source: io::Error,
    },
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(stream: impl Into<Accepted>, seat: Seat) -> Self {
        Self {
            stream: stream.into().0,
            seat,
            unread: VecDeque::new(),
            unsent: BytesMut::new(),
            label: Vec::new(),
        }
    }

    /// A connection that was moved in or has come back, to be served on.
    pub fn resume(parcel: Parcel, seat: Seat) -> Result<Self, ResumeError> {
        let kind = parcel.kind;
        let stream = match Stream::take_up(parcel.socket) {
            Ok(Ok(stream)) => stream,
            Ok(Err(what)) => return Err(ResumeError::NotAStream { kind, what }),
            Err(source) => return Err(ResumeError::Socket { kind, source }),
        };
        let mut connection = Self {
            stream,
            seat,
            unread: VecDeque::new(),
            unsent: BytesMut::from(&parcel.unsent[..]),
            label: parcel.label,
        };
        connection.push_back(parcel.unread);
        connection.seat.kind().takes_up(parcel.frozen);
        Ok(connection)
    }

    /// What the program wrote on the parcel; empty for a new connection.
    pub fn label(&self) -> &[u8] {
        &self.label
    }

    /// The peer's address, if it has one: of a TCP connection that is not reset.
    pub fn peer(&self) -> Option<SocketAddr> {
        match &self.stream {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// The connection's place in the registry.
    pub fn seat(&mut self) -> &mut Seat {
        &mut self.seat
    }

    /// A second ear for what is asked, for a `select!` that borrows the connection.
    pub fn asking(&self) -> Asking {
        self.seat.asking()
    }

    /// Waits until a handover wants something of this connection. Cancel-safe.
    pub async fn asked(&mut self) -> Asked {
        self.seat.asked().await
    }

    /// What is asked at this moment and was not heard yet.
    #[cfg(feature = "websocket")]
    pub(crate) fn asked_now(&mut self) -> Option<Asked> {
        let asked = std::pin::pin!(self.seat.asked());
        match asked.poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(asked) => Some(asked),
            Poll::Pending => None,
        }
    }

    /// Reads into the buffer, or hears what is asked; what is asked comes first. Meanwhile it writes what waits to be written, and
    /// it does not read while the peer leaves [`UNSENT_LIMIT`] bytes untaken. Cancel-safe.
    pub async fn turn(&mut self, buffer: &mut BytesMut) -> io::Result<Turn> {
        buffer.reserve(READ_AT_ONCE);
        let mut asking = self.seat.asking();
        tokio::select! {
            biased;
            asked = asking.asked() => {
                self.seat.hear(asking);
                Ok(Turn::Asked(asked))
            }
            read = self.read_and_drain(buffer) => Ok(Turn::Read(read?)),
        }
    }

    async fn read_and_drain(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        std::future::poll_fn(|cx| {
            if !self.poll_room(cx)?.is_ready() {
                return Poll::Pending;
            }
            let read = std::pin::pin!(self.read_buf(buffer));
            read.poll(cx)
        })
        .await
    }

    /// Gives back bytes that were read and not used; they are read again before anything else.
    pub fn push_back(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.unread.push_front(bytes);
        }
    }

    /// Takes the message whole or, if the future is dropped, not at all. Waits while more than [`UNSENT_LIMIT`] bytes wait for the
    /// peer. Does not wait for the peer to read the message; flush for that.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.room().await?;
        self.accept(message)
    }

    /// Waits until less than [`UNSENT_LIMIT`] bytes wait for the peer. Cancel-safe.
    pub(crate) async fn room(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_room(cx)).await
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_drain(cx) {
            Poll::Pending if self.unsent.len() < UNSENT_LIMIT => Poll::Ready(Ok(())),
            drained => drained,
        }
    }

    /// Whether less than [`UNSENT_LIMIT`] bytes wait for the peer.
    #[cfg(feature = "websocket")]
    pub(crate) fn has_room(&self) -> bool {
        self.unsent.len() < UNSENT_LIMIT
    }

    /// Waits for room, or hears what is asked. Cancel-safe.
    #[cfg(feature = "websocket")]
    pub(crate) async fn room_or_asked(&mut self) -> io::Result<Option<Asked>> {
        let mut asking = self.seat.asking();
        tokio::select! {
            biased;
            asked = asking.asked() => {
                self.seat.hear(asking);
                Ok(Some(asked))
            }
            room = self.room() => room.map(|()| None),
        }
    }

    /// Takes bytes to be written, however many, and writes what the kernel takes at once.
    pub(crate) fn accept(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unsent.extend_from_slice(bytes);
        while !self.unsent.is_empty() {
            match self.stream.write_now(&self.unsent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.unsent.advance(written),
                Err(full) if full.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Packs the connection up, with a label that tells the successor what it must know. From here on nobody in this process reads
    /// or writes the socket, and the runtime does not watch it.
    ///
    /// # Errors
    /// The runtime could not let go of the socket. The connection is closed.
    pub fn give(self, label: impl Into<Vec<u8>>) -> io::Result<()> {
        let (seat, parcel) = self.pack(label.into())?;
        seat.give(parcel);
        Ok(())
    }

    /// The same connection under the name of another kind: a protocol that begins inside another one.
    #[must_use]
    pub fn reseat(mut self, kind: &super::Kind) -> Self {
        self.seat = kind.seat();
        self
    }

    fn pack(self, label: Vec<u8>) -> io::Result<(Seat, Parcel)> {
        let socket = self.stream.let_go()?;
        let parcel = Parcel {
            kind: self.seat.kind().name().to_owned(),
            socket,
            unread: self.unread.iter().flatten().copied().collect(),
            unsent: self.unsent.to_vec(),
            label,
            frozen: Monotonic::now(),
        };
        Ok((self.seat, parcel))
    }

    /// Hands the kept bytes to the kernel.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let written = ready!(self.stream.poll_write(cx, &self.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the kernel has all that was written.
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(first) = this.unread.front_mut() else {
            return this.stream.poll_read(cx, buffer);
        };
        let taken = first.len().min(buffer.remaining());
        buffer.put_slice(&first.split_to(taken));
        if first.is_empty() {
            this.unread.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(drained) = this.poll_drain(cx) {
            drained?;
            if let Poll::Ready(written) = this.stream.poll_write_vectored(cx, slices) {
                return Poll::Ready(written);
            }
        }
        let room = UNSENT_LIMIT.saturating_sub(this.unsent.len());
        if room == 0 {
            return Poll::Pending;
        }
        let mut taken = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(room - taken)];
            this.unsent.extend_from_slice(part);
            taken += part.len();
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        this.stream.poll_shutdown(cx)
    }
}

/// A stream that a connection can be made of.
#[derive(Debug)]
pub struct Accepted(Stream);

impl From<TcpStream> for Accepted {
    fn from(stream: TcpStream) -> Self {
        Self(Stream::Tcp(stream))
    }
}

impl From<UnixStream> for Accepted {
    fn from(stream: UnixStream) -> Self {
        Self(Stream::Unix(stream))
    }
}

impl Stream {
    /// Registers a socket with the runtime; what it is instead if it is no stream.
    fn take_up(socket: OwnedFd) -> io::Result<Result<Self, String>> {
        let (family, form) = (
            sockopt::socket_domain(&socket)?,
            sockopt::socket_type(&socket)?,
        );
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(match (family, form) {
            (AddressFamily::INET | AddressFamily::INET6, SocketType::STREAM) => {
                Ok(Self::Tcp(TcpStream::from_std(socket.into())?))
            }
            (AddressFamily::UNIX, SocketType::STREAM) => {
                Ok(Self::Unix(UnixStream::from_std(socket.into())?))
            }
            (family, form) => Err(format!(
                "socket of family {} and type {}",
                family.as_raw(),
                form.as_raw()
            )),
        })
    }

    /// Deregisters the socket from the runtime's epoll set; afterwards that would be impossible, because the registration belongs
    /// to the open file and outlives our descriptor when another process holds a copy.
    fn let_go(self) -> io::Result<OwnedFd> {
        Ok(match self {
            Self::Tcp(stream) => stream.into_std()?.into(),
            Self::Unix(stream) => stream.into_std()?.into(),
        })
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    /// Writes what the kernel takes at once. Past the runtime, which takes a new socket for full until it has heard of it.
    fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let socket = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let written = rustix::io::retry_on_intr(|| rustix::net::send(socket, bytes, flags))?;
        Ok(written)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
