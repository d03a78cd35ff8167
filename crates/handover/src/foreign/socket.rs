//! The sockets that are held.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::activation::{self, ActivationError};
use crate::describe::Description;
use crate::listen::{InheritError, ListenError, Lone, Name, UnixAddress, lone_tcp, lone_unix};

/// A listening socket that is held for a program, and its name.
#[derive(Debug)]
pub struct Socket {
    name: String,
    descriptor: Held,
    description: Description,
}

#[derive(Debug)]
enum Held {
    Bound(Lone),
    Activated(OwnedFd),
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Bound(lone) => lone.socket.as_fd(),
            Self::Activated(descriptor) => descriptor.as_fd(),
        }
    }
}

impl Socket {
    /// Binds a TCP listener. Its queue is as long as the system allows (`net.core.somaxconn`).
    ///
    /// # Errors
    ///
    /// If the name has a colon or is otherwise none for systemd, or the address cannot be had.
    pub fn tcp(name: &str, address: SocketAddr) -> Result<Self, ListenError> {
        checked(name)?;
        Self::bound(name, lone_tcp(name, address)?)
    }

    /// Binds a Unix stream listener, with this mode if it is a file. A leftover there that nobody answers on is replaced.
    ///
    /// # Errors
    ///
    /// As [`Socket::tcp`]; and if there is something else at the path.
    pub fn unix(name: &str, address: &UnixAddress, mode: Option<u32>) -> Result<Self, ListenError> {
        checked(name)?;
        let lone = lone_unix(name, address)?;
        if let (Some(path), Some(mode)) = (lone.path(), mode) {
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(unusable(name))?;
        }
        Self::bound(name, lone)
    }

    fn bound(name: &str, lone: Lone) -> Result<Self, ListenError> {
        // As systemd passes its own: a program may well call a plain accept. Those that want it otherwise switch it themselves.
        rustix::io::ioctl_fionbio(&lone.socket, false)
            .map_err(|errno| unusable(name)(errno.into()))?;
        let description = describe(name, &lone.socket)?;
        Ok(Self {
            name: name.to_owned(),
            descriptor: Held::Bound(lone),
            description,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is; with the real port, if 0 was asked for.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether the service manager passed it; else it was bound here.
    pub fn is_activated(&self) -> bool {
        matches!(self.descriptor, Held::Activated(_))
    }

    /// The file that stands for it, if it was bound here to one.
    pub fn path(&self) -> Option<&Path> {
        match &self.descriptor {
            Held::Bound(lone) => lone.path(),
            Held::Activated(_) => None,
        }
    }

    /// Removes the file that stands for it, unless another socket has that path by now. Never done by dropping, since another process may
    /// go on with a copy.
    pub fn unlink(&self) -> io::Result<bool> {
        match &self.descriptor {
            Held::Bound(lone) => lone.unlink(),
            Held::Activated(_) => Ok(false),
        }
    }

    /// Whoever has a copy of it finds nobody waiting instead of waiting for somebody.
    pub(super) fn never_blocks(&self) -> io::Result<()> {
        Ok(rustix::io::ioctl_fionbio(self.descriptor.as_fd(), true)?)
    }

    pub(super) fn copy(&self) -> io::Result<OwnedFd> {
        self.descriptor.as_fd().try_clone_to_owned()
    }
}

/// The sockets that the service manager passed to this process, in its order; none if it passed none. Can be had once.
///
/// # Errors
///
/// If the environment speaks of sockets that are not there.
pub fn activated() -> Result<Vec<Socket>, ActivationError> {
    let socket = |(descriptor, name): (OwnedFd, String)| {
        let description = Description::of(&descriptor).map_err(|source| InheritError::Verify {
            name: name.clone(),
            source: source.into(),
        })?;
        Ok(Socket {
            name,
            descriptor: Held::Activated(descriptor),
            description,
        })
    };
    activation::adopt()?.into_iter().map(socket).collect()
}

fn checked(name: &str) -> Result<(), ListenError> {
    Name::base(name).map(drop).map_err(|why| ListenError::Name {
        name: name.to_owned(),
        why,
    })
}

fn describe(name: &str, socket: impl AsFd) -> Result<Description, ListenError> {
    Description::of(socket).map_err(|source| ListenError::Describe {
        name: name.to_owned(),
        source,
    })
}

fn unusable(name: &str) -> impl FnOnce(io::Error) -> ListenError {
    move |source| ListenError::Use {
        name: name.to_owned(),
        source,
    }
}
