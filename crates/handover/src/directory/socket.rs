//! Sockets addressed by a directory's descriptor and a name, so that the length of the directory's path does not matter.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// How many may wait to be accepted.
const BACKLOG: i32 = 64;

pub(super) fn listen(directory: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::bind(&socket, &address(directory, name)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// `None` if nobody listens there.
pub(super) fn connect(directory: &OwnedFd, name: &str) -> rustix::io::Result<Option<OwnedFd>> {
    let socket = socket()?;
    match rustix::net::connect(&socket, &address(directory, name)?) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(super) fn is_listening(directory: &OwnedFd, name: &str) -> rustix::io::Result<bool> {
    match connect(directory, name) {
        Ok(connected) => Ok(connected.is_some()),
        // Its queue is full: somebody is there, if busy. Or it is no socket of this kind, and none of ours.
        Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(true),
        Err(errno) => Err(errno),
    }
}

fn socket() -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
}

fn address(directory: &OwnedFd, name: &str) -> rustix::io::Result<SocketAddrUnix> {
    let directory = directory.as_raw_fd();
    SocketAddrUnix::new(format!("/proc/self/fd/{directory}/{name}"))
}
