//! Binding what was not inherited.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, ipproto, listen, socket_with,
};

use super::wanted::Wanted;
use crate::describe::{Address, Kind};

/// A new socket, non-blocking and close-on-exec, not bound yet.
///
/// As in std and tokio, a TCP listener gets `SO_REUSEADDR` (so that connections of a former process in TIME-WAIT are no
/// obstacle), and `IPV6_V6ONLY` is left to the system: unless `net.ipv6.bindv6only` is set, `[::]` takes IPv4 as well.
pub(super) fn unbound(wanted: &Wanted, reuse_port: bool) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket_type, protocol) = match wanted.kind {
        Kind::Tcp => (SocketType::STREAM, Some(ipproto::TCP)),
        Kind::Udp => (SocketType::DGRAM, Some(ipproto::UDP)),
        Kind::Unix => (SocketType::STREAM, None),
        Kind::UnixDatagram => (SocketType::DGRAM, None),
        Kind::UnixSeqpacket => (SocketType::SEQPACKET, None),
        Kind::File => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let family = match &wanted.address {
        Address::Inet(address) if address.is_ipv4() => AddressFamily::INET,
        Address::Inet(_) => AddressFamily::INET6,
        _ => AddressFamily::UNIX,
    };
    let socket = socket_with(family, socket_type, flags, protocol)?;
    if wanted.kind == Kind::Tcp {
        set_socket_reuseaddr(&socket, true)?;
    }
    if reuse_port {
        set_socket_reuseport(&socket, true)?;
    }
    Ok(socket)
}

/// Gives the socket its address.
pub(super) fn bind_to(socket: impl AsFd, address: &Address) -> io::Result<()> {
    match address {
        Address::Inet(address) => bind(socket, address)?,
        address => bind(socket, &unix_address(address)?)?,
    }
    Ok(())
}

/// A new socket that is what `wanted` says; listening if it is to accept.
pub(super) fn bound(wanted: &Wanted, reuse_port: bool, backlog: i32) -> io::Result<OwnedFd> {
    let socket = unbound(wanted, reuse_port)?;
    bind_to(&socket, &wanted.address)?;
    if wanted.accepting {
        listen(&socket, backlog)?;
    }
    Ok(socket)
}

/// The kernel's form of a Unix address.
pub(super) fn unix_address(address: &Address) -> rustix::io::Result<SocketAddrUnix> {
    match address {
        Address::Path(path) => SocketAddrUnix::new(path),
        Address::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
        Address::Inet(_) => Err(rustix::io::Errno::AFNOSUPPORT),
        Address::None => Err(rustix::io::Errno::DESTADDRREQ),
    }
}
