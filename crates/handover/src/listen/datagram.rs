//! Sockets without connections.
//!
//! Receiving is what only one generation may do at a time; so it asks the gate. Sending is free: two generations may answer
//! from one address. Datagrams that come in while nobody receives wait in the socket's buffer, and when it is full
//! (`SO_RCVBUF`) the kernel drops what comes over UDP, and lets senders over Unix sockets wait.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, getsockname, recvfrom, sendto};
use tokio::io::{Interest, Ready};

use super::bind::unix_address;
use crate::describe::{Address, address_of};
use crate::gate::Gate;
use crate::sys::Registered;

/// A datagram socket and the gate before its receiving side.
#[derive(Debug)]
struct Datagrams {
    name: String,
    socket: Registered,
    gate: Gate,
}

impl Datagrams {
    fn new(name: String, socket: Arc<OwnedFd>, gate: Gate) -> io::Result<Self> {
        let both = Interest::READABLE | Interest::WRITABLE;
        Ok(Self {
            name,
            socket: Registered::new(socket, both)?,
            gate,
        })
    }

    /// The next datagram and its sender; `None` once the gate is closed for good.
    async fn recv_from(
        &self,
        buffer: &mut [u8],
    ) -> io::Result<Option<(usize, Option<SocketAddrAny>)>> {
        let mut gate = self.gate.clone();
        loop {
            if !gate.opened().await {
                return Ok(None);
            }
            // A buffer that never runs dry must not starve the other tasks of this thread.
            tokio::task::consume_budget().await;
            let mut ready = tokio::select! {
                biased;
                () = gate.shut() => continue,
                ready = self.socket.readable() => ready?,
            };
            // A shut gate leaves the readiness as it is: it will not be announced again when the gate opens.
            let received =
                gate.while_open(|| recvfrom(&self.socket, &mut *buffer, RecvFlags::empty()));
            match received {
                None | Some(Err(Errno::INTR)) => {}
                Some(Err(Errno::AGAIN)) => ready.clear_ready_matching(Ready::READABLE),
                Some(Err(errno)) => return Err(errno.into()),
                Some(Ok((_, len, from))) => return Ok(Some((len, from))),
            }
        }
    }

    async fn send(
        &self,
        send: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<usize>,
    ) -> io::Result<usize> {
        self.socket
            .async_io(Interest::WRITABLE, |socket| {
                send(socket.as_fd()).map_err(io::Error::from)
            })
            .await
    }
}

/// A UDP socket that is handed over: its address and its buffer are never lost.
///
/// The socket is shared with the predecessor and the successor; what is set on it is set for all. It is not to be connected:
/// that would shut all other peers out, for all holders. Both `recv_from` and `send_to` take `&self`; two tasks that receive at
/// the same time share the datagrams between them.
#[derive(Debug)]
pub struct UdpSocket(Datagrams);

impl UdpSocket {
    pub(super) fn new(name: String, socket: Arc<OwnedFd>, gate: Gate) -> io::Result<Self> {
        Datagrams::new(name, socket, gate).map(Self)
    }

    /// Receives one datagram and answers its length and its sender; `None` once the successor receives in this process's stead,
    /// for ever. Waits while it is not this process's turn. What does not fit into `buffer` is lost. Cancel safe.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        let Some((len, from)) = self.0.recv_from(buffer).await? else {
            return Ok(None);
        };
        let from =
            from.ok_or_else(|| io::Error::other("the kernel names no sender of a UDP datagram"))?;
        Ok(Some((len, from.try_into()?)))
    }

    /// Sends one datagram, at any time.
    pub async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.0
            .send(|socket| sendto(socket, datagram, SendFlags::NOSIGNAL, &to))
            .await
    }

    /// The address it is bound to; the real port if 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(getsockname(&self.0.socket)?.try_into()?)
    }

    /// The name it is handed over under.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

/// A Unix datagram socket that is handed over; see [`UdpSocket`], of which all holds here.
#[derive(Debug)]
pub struct UnixDatagram(Datagrams);

impl UnixDatagram {
    pub(super) fn new(name: String, socket: Arc<OwnedFd>, gate: Gate) -> io::Result<Self> {
        Datagrams::new(name, socket, gate).map(Self)
    }

    /// Receives one datagram and answers its length and its sender, which is [`Address::None`] if the sender is not bound;
    /// `None` once the successor receives in this process's stead, for ever. Cancel safe.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Address)>> {
        let Some((len, from)) = self.0.recv_from(buffer).await? else {
            return Ok(None);
        };
        let from = from.map_or(Ok(Address::None), address_of)?;
        Ok(Some((len, from)))
    }

    /// Sends one datagram, at any time.
    pub async fn send_to(&self, datagram: &[u8], to: &Address) -> io::Result<usize> {
        let to = unix_address(to)?;
        self.0
            .send(|socket| sendto(socket, datagram, SendFlags::NOSIGNAL, &to))
            .await
    }

    /// The name it is handed over under.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}
