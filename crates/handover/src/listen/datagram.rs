//! Sockets without connections.
//!
//! Receiving is what only one generation may do at a time; so it asks the gate. Sending is free: two generations may answer
//! from one address. Datagrams that come in while nobody receives wait in the socket's buffer, and when it is full
//! (`SO_RCVBUF`) the kernel drops what comes over UDP, and lets senders over Unix sockets wait.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, getsockname, recvfrom, sendto};
use tokio::io::{Interest, Ready};

use super::bind::{bind_to, unix_address};
use super::{Obtained, Opening};
use crate::describe::{Address, address_of};
use crate::gate::Gate;
use crate::sys::Registered;

/// A datagram socket and the gate before its receiving side.
#[derive(Debug)]
struct Datagrams {
    name: String,
    socket: Registered,
    gate: Gate,
    /// The address to bind when the gate first opens, for a socket that joins a group served by another generation.
    pending: Mutex<Option<Address>>,
    is_pending: AtomicBool,
}

impl Datagrams {
    fn new(obtained: Obtained) -> io::Result<Self> {
        let pending = match obtained.opening {
            Opening::Bind(address) => Some(address),
            Opening::Done | Opening::Listen(_) => None,
        };
        let both = Interest::READABLE | Interest::WRITABLE;
        Ok(Self {
            name: obtained.name,
            socket: Registered::new(obtained.socket, both)?,
            gate: obtained.gate,
            is_pending: AtomicBool::new(pending.is_some()),
            pending: Mutex::new(pending),
        })
    }

    /// Binds the socket if that is still to be done; the gate has to be open.
    fn open(&self) -> io::Result<()> {
        if !self.is_pending.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = &*pending {
            bind_to(&self.socket, address)?;
            *pending = None;
            self.is_pending.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// The address it has, or will have.
    fn address(&self) -> io::Result<Address> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match &*pending {
            Some(address) => Ok(address.clone()),
            None => Ok(address_of(getsockname(&self.socket)?)?),
        }
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
            match gate.while_open(|| self.open()) {
                None => continue,
                Some(opened) => opened?,
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
        // Sent before it is bound, a datagram would come from a port that the kernel makes up.
        while self.is_pending.load(Ordering::Acquire) {
            if !self.gate.clone().opened().await {
                let what = "the successor took over before this socket was bound";
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, what));
            }
            self.gate.while_open(|| self.open()).transpose()?;
        }
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
    pub(super) fn new(obtained: Obtained) -> io::Result<Self> {
        Datagrams::new(obtained).map(Self)
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

    /// Sends one datagram, at any time; except that a socket added to an inherited group waits for the commit first.
    pub async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.0
            .send(|socket| sendto(socket, datagram, SendFlags::NOSIGNAL, &to))
            .await
    }

    /// The address it is bound to; the real port if 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self.0.address()? {
            Address::Inet(address) => Ok(address),
            other => Err(io::Error::other(format!(
                "a UDP socket is bound to {other}"
            ))),
        }
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
    pub(super) fn new(obtained: Obtained) -> io::Result<Self> {
        Datagrams::new(obtained).map(Self)
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
