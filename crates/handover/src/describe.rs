//! What a descriptor really is, as the kernel tells it.
//!
//! A number or a name that came from another process is a claim. Before a descriptor is used, the kernel is asked what it is,
//! and every difference from the claim is named.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::net::sockopt::{
    ipv6_v6only, socket_acceptconn, socket_domain, socket_protocol, socket_reuseport, socket_type,
};
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, getsockname, ipproto};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The kind of a descriptor. Whether a socket listens or is a connection says [`Description::accepting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// UDP over IPv4 or IPv6.
    Udp,
    /// A Unix stream socket.
    Unix,
    /// A Unix datagram socket.
    UnixDatagram,
    /// A Unix seqpacket socket.
    UnixSeqpacket,
    /// Anything that is not a socket: a file, a directory, a pipe, a memory file.
    File,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixDatagram => "unix datagram",
            Self::UnixSeqpacket => "unix seqpacket",
            Self::File => "file",
        })
    }
}

/// The local address of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// An IP address and port.
    Inet(#[serde(with = "whole_inet")] SocketAddr),
    /// A Unix socket in the file system.
    Path(#[serde(with = "path_bytes")] PathBuf),
    /// A Unix socket in Linux's abstract name space; the name without its leading zero byte.
    Abstract(Vec<u8>),
    /// None: a file, or a Unix socket that is not bound.
    None,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
            Self::None => f.write_str("no address"),
        }
    }
}

/// A path is bytes on Unix, and need not be text.
mod path_bytes {
    use super::{Deserialize, OsStrExt, OsStringExt, PathBuf};

    pub(super) fn serialize<S: serde::Serializer>(
        path: &std::path::Path,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(path.as_os_str().as_bytes())
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PathBuf, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        Ok(std::ffi::OsString::from_vec(bytes).into())
    }
}

/// Serde leaves the scope of a link-local IPv6 address out, without which it is another address.
mod whole_inet {
    use std::net::{IpAddr, SocketAddr, SocketAddrV6};

    use super::{Deserialize, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        address: &SocketAddr,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let (flow, scope) = match address {
            SocketAddr::V4(_) => (0, 0),
            SocketAddr::V6(v6) => (v6.flowinfo(), v6.scope_id()),
        };
        (address.ip(), address.port(), flow, scope).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SocketAddr, D::Error> {
        let (ip, port, flow, scope) = <(IpAddr, u16, u32, u32)>::deserialize(deserializer)?;
        Ok(match ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope)),
        })
    }
}

/// What a descriptor is. Equal in every process that holds the same open file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its kind.
    pub kind: Kind,
    /// Its local address.
    pub address: Address,
    /// Whether it is a socket that accepts connections (`SO_ACCEPTCONN`).
    pub accepting: bool,
    /// Whether it shares its address with others (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// Whether it is an IPv6 socket that leaves IPv4 alone (`IPV6_V6ONLY`).
    pub v6only: bool,
    /// The device of its inode (`st_dev`).
    pub device: u64,
    /// Its inode (`st_ino`); for a socket the number that `/proc/net` and `ss` show.
    pub inode: u64,
}

/// Why a descriptor cannot be described.
#[derive(Debug, Error)]
pub enum DescribeError {
    /// The kernel refused a question.
    #[error("cannot read {what} of the descriptor")]
    Ask {
        /// What was asked for.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A socket that is neither TCP, UDP nor Unix.
    #[error("sockets of address family {family}, type {socket_type} cannot be handed over")]
    Unsupported {
        /// The number of the address family (`AF_*`).
        family: u16,
        /// The number of the type (`SOCK_*`).
        socket_type: u32,
    },
}

/// Why a descriptor is not what was claimed.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// It cannot be told what it is.
    #[error(transparent)]
    Describe(#[from] DescribeError),
    /// It is something else.
    #[error("the descriptor is not what was announced: {}", listed(.0))]
    Differs(Vec<Difference>),
    /// It is a socket in blocking mode, which would hang an asynchronous runtime. The mode belongs to all holders of the
    /// socket; somebody has switched it.
    #[error("the socket {0} is in blocking mode: a process that shares it has cleared O_NONBLOCK")]
    Blocking(Address),
}

/// One thing in which a descriptor differs from what was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub what: &'static str,
    /// What was claimed.
    pub claimed: String,
    /// What the kernel says.
    pub found: String,
}

fn listed(differences: &[Difference]) -> String {
    let each = |it: &Difference| format!("{} is {}, not {}", it.what, it.found, it.claimed);
    differences.iter().map(each).collect::<Vec<_>>().join("; ")
}

impl Description {
    /// Asks the kernel what `descriptor` is.
    pub fn of(descriptor: impl AsFd) -> Result<Self, DescribeError> {
        let fd = descriptor.as_fd();
        let stat = fstat(fd).map_err(ask("the inode"))?;
        let mut description = Self {
            kind: Kind::File,
            address: Address::None,
            accepting: false,
            reuse_port: false,
            v6only: false,
            device: stat.st_dev,
            inode: stat.st_ino,
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Ok(description);
        }
        let family = socket_domain(fd).map_err(ask("the address family"))?;
        let socket_type = socket_type(fd).map_err(ask("the type"))?;
        let protocol = socket_protocol(fd).map_err(ask("the protocol"))?;
        let inet = family == AddressFamily::INET || family == AddressFamily::INET6;
        let tcp = protocol == Some(ipproto::TCP) || protocol == Some(ipproto::MPTCP);
        description.kind = match (family, socket_type) {
            (_, SocketType::STREAM) if inet && tcp => Kind::Tcp,
            (_, SocketType::DGRAM) if inet && protocol == Some(ipproto::UDP) => Kind::Udp,
            (AddressFamily::UNIX, SocketType::STREAM) => Kind::Unix,
            (AddressFamily::UNIX, SocketType::DGRAM) => Kind::UnixDatagram,
            (AddressFamily::UNIX, SocketType::SEQPACKET) => Kind::UnixSeqpacket,
            (family, socket_type) => {
                return Err(DescribeError::Unsupported {
                    family: family.as_raw(),
                    socket_type: socket_type.as_raw(),
                });
            }
        };
        description.address = local_address(fd)?;
        description.accepting = socket_acceptconn(fd).map_err(ask("SO_ACCEPTCONN"))?;
        if inet {
            description.reuse_port = socket_reuseport(fd).map_err(ask("SO_REUSEPORT"))?;
        }
        if family == AddressFamily::INET6 {
            description.v6only = ipv6_v6only(fd).map_err(ask("IPV6_V6ONLY"))?;
        }
        Ok(description)
    }

    /// Whether it is a socket.
    pub fn is_socket(&self) -> bool {
        self.kind != Kind::File
    }
}

/// Checks that `descriptor` is what `claimed` says and, if it is a socket, that it does not block.
pub(crate) fn verify(descriptor: impl AsFd, claimed: &Description) -> Result<(), VerifyError> {
    let fd = descriptor.as_fd();
    let found = Description::of(fd)?;
    let differences = differences(claimed, &found);
    if !differences.is_empty() {
        return Err(VerifyError::Differs(differences));
    }
    if found.is_socket() && !is_nonblocking(fd)? {
        return Err(VerifyError::Blocking(found.address));
    }
    Ok(())
}

/// Whether the open file is in non-blocking mode (`O_NONBLOCK`).
pub(crate) fn is_nonblocking(descriptor: impl AsFd) -> Result<bool, DescribeError> {
    let flags = fcntl_getfl(descriptor).map_err(ask("the mode"))?;
    Ok(flags.contains(OFlags::NONBLOCK))
}

fn differences(claimed: &Description, found: &Description) -> Vec<Difference> {
    fn differ<T: PartialEq + fmt::Display>(
        what: &'static str,
        claimed: &T,
        found: &T,
    ) -> Option<Difference> {
        (claimed != found).then(|| Difference {
            what,
            claimed: claimed.to_string(),
            found: found.to_string(),
        })
    }
    [
        differ("its kind", &claimed.kind, &found.kind),
        differ("its address", &claimed.address, &found.address),
        differ("SO_ACCEPTCONN", &claimed.accepting, &found.accepting),
        differ("SO_REUSEPORT", &claimed.reuse_port, &found.reuse_port),
        differ("IPV6_V6ONLY", &claimed.v6only, &found.v6only),
        differ("its device", &claimed.device, &found.device),
        differ("its inode", &claimed.inode, &found.inode),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn local_address(fd: impl AsFd) -> Result<Address, DescribeError> {
    let raw = getsockname(fd).map_err(ask("the address"))?;
    address_of(raw).map_err(ask("the address"))
}

/// The address in a form that can be sent and compared.
pub(crate) fn address_of(raw: SocketAddrAny) -> rustix::io::Result<Address> {
    if raw.address_family() != AddressFamily::UNIX {
        return Ok(Address::Inet(raw.try_into()?));
    }
    let unix = SocketAddrUnix::try_from(raw)?;
    Ok(if let Some(path) = unix.path_bytes() {
        Address::Path(std::ffi::OsStr::from_bytes(path).into())
    } else {
        // The kernel gives an unbound socket no name; rustix reads that as an empty abstract one.
        match unix.abstract_name() {
            Some(name) if !name.is_empty() => Address::Abstract(name.to_vec()),
            _ => Address::None,
        }
    })
}

fn ask(what: &'static str) -> impl Fn(rustix::io::Errno) -> DescribeError {
    move |errno| DescribeError::Ask {
        what,
        source: errno.into(),
    }
}

#[cfg(test)]
mod tests;
