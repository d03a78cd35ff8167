//! TCP listeners.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with, getsockname};
use tokio::net::TcpStream;

use super::Obtained;
use super::accept::Acceptor;

/// A TCP listener that is handed over: it never closes while a process is there to accept.
///
/// It accepts only while this process has the duty to: before the commit and during a handover connections queue in the kernel.
/// The socket is shared with the predecessor and the successor; what is set on it (options, `O_NONBLOCK`) is set for all, and
/// `shutdown(2)` would end it for all.
#[derive(Debug)]
pub struct TcpListener(Acceptor);

impl TcpListener {
    pub(super) fn new(obtained: Obtained) -> io::Result<Self> {
        Acceptor::new(obtained).map(Self)
    }

    /// The next connection and its peer's address; `None` once the successor accepts in this process's stead, for ever.
    ///
    /// Waits while it is not this process's turn. Connections that break off before they are accepted are passed over; when
    /// descriptors run out, it says so once in the log, waits and tries again. Cancel safe.
    ///
    /// # Errors
    ///
    /// Only what makes the listener useless, such as a lost runtime.
    pub async fn accept(&mut self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        let accepted = self.accept_seated(|| ()).await?;
        Ok(accepted.map(|(stream, peer, ())| (stream, peer)))
    }

    /// As [`accept`](Self::accept), and calls `seat` for the connection before the gate can shut: no handover misses it.
    pub(crate) async fn accept_seated<S>(
        &mut self,
        seat: impl Fn() -> S,
    ) -> io::Result<Option<(TcpStream, SocketAddr, S)>> {
        let accepted = self
            .0
            .accept(|socket| {
                let (stream, peer) =
                    acceptfrom_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
                // A client that is gone already has no address any more on some kernels: its connection is not worth having.
                let peer = peer
                    .map(SocketAddr::try_from)
                    .ok_or(rustix::io::Errno::CONNABORTED)??;
                Ok((stream, peer, seat()))
            })
            .await?;
        let Some((stream, peer, seat)) = accepted else {
            return Ok(None);
        };
        let stream = TcpStream::from_std(stream.into())?;
        Ok(Some((stream, peer, seat)))
    }

    /// The address it listens on; the real port if 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address: SocketAddrAny = getsockname(&self.0)?;
        Ok(address.try_into()?)
    }

    /// The name it is handed over under.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
