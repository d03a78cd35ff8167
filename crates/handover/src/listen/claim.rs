//! What a program asks the table for.
//!
//! One method per kind, all with one rule: the name decides. An inherited descriptor of that name is taken if it is what is asked
//! for; else a new one is bound and the inherited one stays unclaimed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::SocketAddr;

use super::datagram::{UdpSocket, UnixDatagram};
use super::error::ListenError;
use super::tcp::TcpListener;
use super::unix::{UnixAddress, UnixListener, UnixSeqpacketListener};
use super::wanted::Wanted;
use super::{Obtained, Shareables};
use crate::describe::{Address, Kind};
use crate::reach::{MAX_NAME, SUN_PATH};

/// All of these panic outside a tokio runtime, except `file`.
impl Shareables {
    /// The TCP listener of that name. Port 0 takes whichever port was inherited.
    ///
    /// As in std and tokio, `[::]` takes IPv4 as well unless `net.ipv6.bindv6only` is set; such an inherited listener answers for
    /// `0.0.0.0` of the same port too.
    pub(crate) fn tcp(
        &mut self,
        name: &str,
        address: SocketAddr,
    ) -> Result<TcpListener, ListenError> {
        self.single(name, &inet(Kind::Tcp, address), TcpListener::new)
    }

    /// At least `count` TCP listeners (and at least one) on one address, among which the kernel spreads connections
    /// (`SO_REUSEPORT`).
    ///
    /// Each has a queue of its own, so every inherited one is kept and must be accepted from, even if `count` is less. One that
    /// is added to inherited ones listens when this process first accepts from it, and not before the commit.
    pub(crate) fn tcp_group(
        &mut self,
        name: &str,
        address: SocketAddr,
        count: usize,
    ) -> Result<Vec<TcpListener>, ListenError> {
        self.several(name, inet(Kind::Tcp, address), count, TcpListener::new)
    }

    /// The UDP socket of that name. Port 0 takes whichever port was inherited.
    pub(crate) fn udp(
        &mut self,
        name: &str,
        address: SocketAddr,
    ) -> Result<UdpSocket, ListenError> {
        self.single(name, &inet(Kind::Udp, address), UdpSocket::new)
    }

    /// At least `count` UDP sockets (and at least one) on one address, among which the kernel spreads peers (`SO_REUSEPORT`).
    ///
    /// A socket added to the group changes which peer goes to which socket. Every inherited one is kept, as for TCP; one that is
    /// added to inherited ones is bound when this process first receives from it, and not before the commit.
    pub(crate) fn udp_group(
        &mut self,
        name: &str,
        address: SocketAddr,
        count: usize,
    ) -> Result<Vec<UdpSocket>, ListenError> {
        self.several(name, inet(Kind::Udp, address), count, UdpSocket::new)
    }

    /// The Unix stream listener of that name. A socket at the path that nobody answers on is replaced.
    pub(crate) fn unix(
        &mut self,
        name: &str,
        address: &UnixAddress,
    ) -> Result<UnixListener, ListenError> {
        let wanted = local(name, Kind::Unix, address)?;
        self.single(name, &wanted, UnixListener::new)
    }

    /// The Unix seqpacket listener of that name. A socket at the path that nobody answers on is replaced.
    pub(crate) fn unix_seqpacket(
        &mut self,
        name: &str,
        address: &UnixAddress,
    ) -> Result<UnixSeqpacketListener, ListenError> {
        let wanted = local(name, Kind::UnixSeqpacket, address)?;
        self.single(name, &wanted, UnixSeqpacketListener::new)
    }

    /// The Unix datagram socket of that name. A socket at the path that nobody answers on is replaced.
    pub(crate) fn unix_datagram(
        &mut self,
        name: &str,
        address: &UnixAddress,
    ) -> Result<UnixDatagram, ListenError> {
        let wanted = local(name, Kind::UnixDatagram, address)?;
        self.single(name, &wanted, UnixDatagram::new)
    }

    /// The open file of that name: inherited, with its offset and its `flock`, or what `open` opens.
    ///
    /// The table keeps a copy of the descriptor to hand it over; so closing the file does not release its lock, unlocking does.
    pub(crate) fn file(
        &mut self,
        name: &str,
        open: impl FnOnce() -> io::Result<File>,
    ) -> Result<File, ListenError> {
        let name = self.claimable(name)?;
        let wanted = Wanted {
            kind: Kind::File,
            address: Address::None,
            accepting: false,
        };
        let inherited = self.claim(&name, &wanted);
        let descriptor = inherited.map_or_else(
            || {
                self.room(&name)?;
                let opened = open().map_err(|source| ListenError::Open {
                    name: name.to_string(),
                    source,
                })?;
                self.enter(&name, opened.into(), None, None)
            },
            Ok,
        )?;
        let copy = descriptor.try_clone().map_err(|source| ListenError::Use {
            name: name.to_string(),
            source,
        })?;
        Ok(copy.into())
    }

    fn single<T>(
        &mut self,
        name: &str,
        wanted: &Wanted,
        wrap: impl Fn(Obtained) -> io::Result<T>,
    ) -> Result<T, ListenError> {
        wrapped(self.one(name, wanted)?, wrap)
    }

    fn several<T>(
        &mut self,
        name: &str,
        wanted: Wanted,
        count: usize,
        wrap: impl Fn(Obtained) -> io::Result<T>,
    ) -> Result<Vec<T>, ListenError> {
        let members = self.group(name, wanted, count)?;
        members
            .into_iter()
            .map(|member| wrapped(member, &wrap))
            .collect()
    }
}

fn wrapped<T>(
    obtained: Obtained,
    wrap: impl Fn(Obtained) -> io::Result<T>,
) -> Result<T, ListenError> {
    let name = obtained.name.clone();
    wrap(obtained).map_err(|source| ListenError::Use { name, source })
}

pub(super) fn inet(kind: Kind, address: SocketAddr) -> Wanted {
    Wanted {
        kind,
        address: Address::Inet(address),
        accepting: kind == Kind::Tcp,
    }
}

pub(super) fn local(name: &str, kind: Kind, address: &UnixAddress) -> Result<Wanted, ListenError> {
    let address = address.absolute().map_err(|source| ListenError::Path {
        name: name.to_owned(),
        source,
    })?;
    match &address {
        Address::Abstract(name) if (1..SUN_PATH).contains(&name.len()) => {}
        Address::Path(path) => {
            let last = path.file_name().map_or(0, OsStr::len);
            if path.as_os_str().len() >= SUN_PATH && last > MAX_NAME {
                return Err(ListenError::Deep {
                    name: name.to_owned(),
                    address,
                    limit: MAX_NAME,
                });
            }
        }
        _ => {
            return Err(ListenError::Length {
                name: name.to_owned(),
                address,
                limit: SUN_PATH - 1,
            });
        }
    }
    Ok(Wanted {
        kind,
        address,
        accepting: kind != Kind::UnixDatagram,
    })
}
