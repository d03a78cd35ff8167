//! The channel between two generations: whole packets, descriptors beside them.
//!
//! `SOCK_SEQPACKET` keeps packets apart, so a descriptor never comes loose from the frame that announces it, and one reader that
//! always uses `recvmsg` can lose none. Sending and receiving are cancel-safe: a packet goes or comes whole or not at all.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::Interest;

use crate::sys::{self, Registered};

use crate::protocol::frame::{DESCRIPTOR_LIMIT, PACKET_LIMIT, PacketError, decode, encode};

/// Why nothing more can be said or heard.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The system refused.
    #[error("cannot {doing} the handover channel: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// What came is not what the protocol allows.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The kernel cut the packet or its descriptors.
    #[error(
        "the kernel cut a packet ({what}): too few free descriptors, or a packet above {PACKET_LIMIT} bytes"
    )]
    Cut {
        /// The bytes or the descriptors.
        what: &'static str,
    },
    /// The other side closed.
    #[error("the other side closed the handover channel")]
    Closed,
}

impl ChannelError {
    fn system(doing: &'static str, source: impl Into<io::Error>) -> Self {
        Self::System {
            doing,
            source: source.into(),
        }
    }
}

/// Who is at the other end, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its process when the connection was made; 0 if it is in another pid namespace.
    pub(crate) pid: u32,
    /// Its effective user.
    pub(crate) uid: u32,
}

/// One end of a channel.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: Registered,
}

/// One packet that came.
#[derive(Debug)]
pub(crate) struct Packet {
    bytes: Vec<u8>,
    /// How many descriptors came.
    came: usize,
    /// The descriptors that came with it, closed on exec. Whoever wants them takes them out.
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Packet {
    /// The head, and the tail behind it.
    pub(crate) fn open<'p, H: Deserialize<'p>>(&'p self) -> Result<(H, &'p [u8]), PacketError> {
        decode(&self.bytes, self.came)
    }
}

impl Channel {
    /// A channel over a connected `SOCK_SEQPACKET` socket.
    pub(crate) fn new(socket: OwnedFd) -> Result<Self, ChannelError> {
        rustix::io::ioctl_fionbio(&socket, true)
            .map_err(|error| ChannelError::system("set up", error))?;
        let socket = Registered::new(Arc::new(socket), Interest::READABLE | Interest::WRITABLE)
            .map_err(|error| ChannelError::system("register", error))?;
        Ok(Self { socket })
    }

    /// A connected pair of sockets, both closed on exec; one end is for a process to be started.
    pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), ChannelError> {
        socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|error| ChannelError::system("make", error))
    }

    /// Who is at the other end. Of a socket pair it is the process that made the pair.
    pub(crate) fn peer(&self) -> Result<Peer, ChannelError> {
        let peer = sys::peer_credentials(self.socket.as_fd())
            .map_err(|error| ChannelError::system("ask who is at the other end of", error))?;
        Ok(Peer {
            pid: peer
                .pid
                .and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
                .unwrap_or(0),
            uid: peer.uid,
        })
    }

    /// Sends one packet; waits while the other side's queue is full.
    pub(crate) async fn send<H: Serialize>(
        &self,
        head: &H,
        tail: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let packet = encode(head, tail, descriptors.len())?;
        loop {
            let mut ready = self
                .socket
                .writable()
                .await
                .map_err(|error| ChannelError::system("wait for", error))?;
            match ready.try_io(|socket| transmit(socket.as_fd(), &packet, descriptors)) {
                Ok(sent) => return sent.map_err(broken("send on")),
                Err(_would_block) => {}
            }
        }
    }

    /// Sends one packet now or not at all: when it returns `Ok` the kernel has the packet.
    pub(crate) fn send_now<H: Serialize>(&self, head: &H) -> Result<(), ChannelError> {
        let packet = encode(head, &[], 0)?;
        transmit(self.socket.as_fd(), &packet, &[]).map_err(broken("send on"))
    }

    /// The next packet.
    pub(crate) async fn receive(&self) -> Result<Packet, ChannelError> {
        loop {
            let mut ready = self
                .socket
                .readable()
                .await
                .map_err(|error| ChannelError::system("wait for", error))?;
            match ready.try_io(|socket| Ok(collect(socket.as_fd()))) {
                Ok(Ok(Err(Collected::WouldBlock))) => ready.clear_ready(),
                Ok(Ok(Err(Collected::Failed(error)))) => return Err(error),
                Ok(Ok(Ok(packet))) => return Ok(packet),
                Ok(Err(error)) => return Err(ChannelError::system("receive from", error)),
                Err(_would_block) => {}
            }
        }
    }

    /// A packet that is already there, if one is.
    pub(crate) fn receive_now(&self) -> Result<Option<Packet>, ChannelError> {
        match collect(self.socket.as_fd()) {
            Ok(packet) => Ok(Some(packet)),
            Err(Collected::WouldBlock) => Ok(None),
            Err(Collected::Failed(error)) => Err(error),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn broken(doing: &'static str) -> impl FnOnce(io::Error) -> ChannelError {
    move |error| match error.kind() {
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::NotConnected => ChannelError::Closed,
        _ => ChannelError::system(doing, error),
    }
}

fn transmit(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTOR_LIMIT))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other(
            "more descriptors than one packet may carry",
        ));
    }
    loop {
        match sendmsg(
            socket,
            &[IoSlice::new(packet)],
            &mut control,
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        ) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            // A packet goes whole or not at all.
            Ok(_) => return Ok(()),
        }
    }
}

enum Collected {
    WouldBlock,
    Failed(ChannelError),
}

fn collect(socket: BorrowedFd<'_>) -> Result<Packet, Collected> {
    let mut bytes = vec![0; PACKET_LIMIT];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTOR_LIMIT))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
        ) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(Collected::WouldBlock),
            Err(Errno::CONNRESET) => return Err(Collected::Failed(ChannelError::Closed)),
            Err(error) => {
                return Err(Collected::Failed(ChannelError::system(
                    "receive from",
                    error,
                )));
            }
            Ok(received) => break received,
        }
    };
    // Taken first: whatever is wrong with the packet, its descriptors are closed.
    let descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Collected::Failed(ChannelError::Cut {
            what: "descriptors",
        }));
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(Collected::Failed(ChannelError::Cut { what: "bytes" }));
    }
    if received.bytes == 0 {
        return Err(Collected::Failed(ChannelError::Closed));
    }
    bytes.truncate(received.bytes);
    Ok(Packet {
        bytes,
        came: descriptors.len(),
        descriptors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::Frame;

    fn pair() -> (Channel, Channel) {
        let (one, other) = Channel::pair().unwrap();
        (Channel::new(one).unwrap(), Channel::new(other).unwrap())
    }

    #[tokio::test]
    async fn descriptors_come_with_their_packet_and_close_on_exec() {
        let (one, other) = pair();
        let file = tempfile::tempfile().unwrap();
        let many: Vec<_> = (0..DESCRIPTOR_LIMIT).map(|_| file.as_fd()).collect();
        one.send(&Frame::Accept, b"", &[]).await.unwrap();
        one.send(&Frame::Took { batch: 1 }, b"tail", &many)
            .await
            .unwrap();
        let first = other.receive().await.unwrap();
        assert_eq!(first.open::<Frame>().unwrap(), (Frame::Accept, &b""[..]));
        assert!(first.descriptors.is_empty());
        let second = other.receive().await.unwrap();
        assert_eq!(
            second.open::<Frame>().unwrap(),
            (Frame::Took { batch: 1 }, &b"tail"[..])
        );
        assert_eq!(second.descriptors.len(), DESCRIPTOR_LIMIT);
        for descriptor in &second.descriptors {
            let flags = rustix::io::fcntl_getfd(descriptor).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    #[tokio::test]
    async fn one_descriptor_more_is_refused() {
        let (one, _other) = pair();
        let file = tempfile::tempfile().unwrap();
        let many: Vec<_> = (0..=DESCRIPTOR_LIMIT).map(|_| file.as_fd()).collect();
        let error = one.send(&Frame::Accept, b"", &many).await.unwrap_err();
        assert!(matches!(
            error,
            ChannelError::Packet(PacketError::TooManyDescriptors { count: 254 })
        ));
    }

    #[tokio::test]
    async fn what_was_sent_before_the_end_is_still_heard() {
        let (one, other) = pair();
        one.send_now(&Frame::Ready).unwrap();
        drop(one);
        assert_eq!(
            other.receive().await.unwrap().open::<Frame>().unwrap().0,
            Frame::Ready
        );
        assert!(matches!(
            other.receive().await.unwrap_err(),
            ChannelError::Closed
        ));
        assert!(matches!(
            other.send_now(&Frame::Ready).unwrap_err(),
            ChannelError::Closed
        ));
    }

    #[tokio::test]
    async fn a_full_queue_waits_and_loses_nothing() {
        let (one, other) = pair();
        let tail = vec![7; 32 * 1024];
        let sender = tokio::spawn(async move {
            for batch in 0..100 {
                one.send(&Frame::Took { batch }, &tail, &[]).await.unwrap();
            }
        });
        for batch in 0..100 {
            let packet = other.receive().await.unwrap();
            assert_eq!(packet.open::<Frame>().unwrap().0, Frame::Took { batch });
        }
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn the_peer_of_a_pair_is_its_maker() {
        let (one, _other) = pair();
        let peer = one.peer().unwrap();
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    }
}
