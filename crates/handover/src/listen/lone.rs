//! A socket that belongs to no table: it is held for other programs, and never accepted from here.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::claim::{inet, local};
use super::error::ListenError;
use super::path::FileId;
use super::{BACKLOG, UnixAddress, bind, path};
use crate::describe::{Address, Kind};

/// A listening socket, and the file that stands for it if it has one.
#[derive(Debug)]
pub(crate) struct Lone {
    pub(crate) socket: OwnedFd,
    file: Option<(PathBuf, FileId)>,
}

impl Lone {
    /// The file that stands for it.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Removes its path, unless another socket has it by now; whether it did.
    pub(crate) fn unlink(&self) -> io::Result<bool> {
        match &self.file {
            Some((path, file)) => path::unlink(path, *file),
            None => Ok(false),
        }
    }
}

/// A new TCP listener.
pub(crate) fn tcp(name: &str, address: SocketAddr) -> Result<Lone, ListenError> {
    let wanted = inet(Kind::Tcp, address);
    let socket = bind::bound(&wanted, false, BACKLOG)
        .map_err(|source| refused(name, &wanted.address, source))?;
    Ok(Lone { socket, file: None })
}

/// A new Unix stream listener. A leftover that nobody answers on is replaced.
pub(crate) fn unix(name: &str, address: &UnixAddress) -> Result<Lone, ListenError> {
    let wanted = local(name, Kind::Unix, address)?;
    if let Address::Path(path) = &wanted.address {
        let bound = path::bind_path(name, &wanted, path, BACKLOG)?;
        return Ok(Lone {
            socket: bound.socket,
            file: Some((path.clone(), bound.file)),
        });
    }
    let socket = bind::bound(&wanted, false, BACKLOG)
        .map_err(|source| refused(name, &wanted.address, source))?;
    Ok(Lone { socket, file: None })
}

fn refused(name: &str, address: &Address, source: io::Error) -> ListenError {
    ListenError::Bind {
        name: name.to_owned(),
        address: address.clone(),
        source,
    }
}
