//! What two generations may hold at once.
//!
//! A listening socket may have two holders: the kernel queues connections once, for both, and the queue lives as long as one of
//! them. So shareables are passed, never re-made: the successor finds each by its name, and binds only what nobody gave it.
//!
//! The table holds every descriptor of this process that is to go to the next one. What was inherited waits in it, unclaimed,
//! until the program asks for that name; what nobody asked for by the time of the commit is closed, and named.
//!
//! Nothing here calls `shutdown(2)`, which would end a socket for all its holders, and nothing clears `O_NONBLOCK`, which belongs
//! to all of them as well.

mod accept;
mod bind;
mod claim;
mod datagram;
mod error;
mod lone;
mod name;
mod path;
mod tcp;
mod unix;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::sockopt::set_socket_reuseport;
use serde::{Deserialize, Serialize};

pub use self::datagram::{UdpSocket, UnixDatagram};
pub use self::error::{InheritError, ListenError};
pub(crate) use self::lone::{Lone, tcp as lone_tcp, unix as lone_unix};
pub(crate) use self::name::{MAX_SHAREABLES, Name};
pub(crate) use self::path::FileId;
pub use self::tcp::TcpListener;
pub use self::unix::{UnixAddress, UnixListener, UnixSeqpacket, UnixSeqpacketListener};

use self::wanted::Wanted;
use crate::describe::{self, Address, Description, Kind};
use crate::gate::Gate;

/// How long a queue of connections the kernel is asked for: as long as `net.core.somaxconn` allows, which caps it.
pub(crate) const BACKLOG: i32 = i32::MAX;

/// A shareable as it is announced to another process, beside the descriptor itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// Its name, with the member number if it belongs to a group.
    pub(crate) name: String,
    /// What it is.
    pub(crate) description: Description,
    /// The file that stands for it, if a generation of this line bound it to a path and so has to remove that path at the end.
    /// A socket of the service manager has none: its path is the manager's.
    pub(crate) file: Option<FileId>,
    /// Where it is bound, if the kernel's address of a socket has no room for that path: what the description says then is a way
    /// through the process that bound it.
    #[serde(default)]
    pub(crate) deep: Option<Address>,
}

impl Listing {
    /// Where clients find it.
    pub(crate) fn address(&self) -> &Address {
        self.deep.as_ref().unwrap_or(&self.description.address)
    }
}

/// The descriptors that generations share.
#[derive(Debug)]
pub(crate) struct Shareables {
    gate: Gate,
    backlog: i32,
    unclaimed: BTreeMap<Name, Held>,
    claimed: BTreeMap<Name, Held>,
}

#[derive(Debug, Clone)]
struct Held {
    descriptor: Arc<OwnedFd>,
    description: Description,
    file: Option<FileId>,
    deep: Option<Address>,
    /// Whether this process bound it; else it was inherited.
    bound_here: bool,
}

impl Held {
    /// What it is, and where clients find it.
    fn description(&self) -> Description {
        let description = self.description.clone();
        match &self.deep {
            Some(deep) => Description {
                address: deep.clone(),
                ..description
            },
            None => description,
        }
    }
}

/// A socket on its way from the table to the type that serves it.
#[derive(Debug)]
struct Obtained {
    name: String,
    socket: Arc<OwnedFd>,
    gate: Gate,
    opening: Opening,
}

/// What is left to do to a socket when the gate opens for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Opening {
    /// Nothing.
    Done,
    /// Ask for a queue of that length; the socket may not be listening yet.
    Listen(i32),
    /// Bind it.
    Bind(Address),
}

/// An inherited descriptor that the program did not ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unclaimed {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) address: Address,
}

/// Whose paths are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paths {
    /// Those of all sockets in the table: the last generation ends.
    All,
    /// Those that this process bound itself: it gives up before it owns anything.
    BoundHere,
}

impl Shareables {
    /// An empty table; what is claimed from it asks `gate` before it takes anything in.
    pub(crate) fn new(gate: Gate) -> Self {
        Self {
            gate,
            backlog: BACKLOG,
            unclaimed: BTreeMap::new(),
            claimed: BTreeMap::new(),
        }
    }

    /// Asks for queues of that many connections, from now on and of inherited listeners as well.
    pub(crate) fn set_backlog(&mut self, backlog: u32) {
        self.backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    }

    /// Takes in what a predecessor sent, if it is what the listing says.
    pub(crate) fn inherit(
        &mut self,
        listing: Listing,
        descriptor: OwnedFd,
    ) -> Result<(), InheritError> {
        let name = self.inheritable(&listing.name)?;
        describe::verify(&descriptor, &listing.description).map_err(|source| {
            InheritError::Verify {
                name: listing.name,
                source,
            }
        })?;
        self.unclaimed.insert(
            name,
            Held {
                descriptor: Arc::new(descriptor),
                description: listing.description,
                file: listing.file,
                deep: listing.deep,
                bound_here: false,
            },
        );
        Ok(())
    }

    /// Takes in a descriptor of the service manager, which says its name and nothing else. A socket is made non-blocking.
    pub(crate) fn inherit_activated(
        &mut self,
        name: &str,
        descriptor: OwnedFd,
    ) -> Result<(), InheritError> {
        let key = self.inheritable(name)?;
        let description = Description::of(&descriptor).map_err(|source| InheritError::Verify {
            name: name.to_owned(),
            source: source.into(),
        })?;
        if description.is_socket() {
            rustix::io::ioctl_fionbio(&descriptor, true).map_err(|errno| InheritError::Use {
                name: name.to_owned(),
                source: errno.into(),
            })?;
        }
        self.unclaimed.insert(
            key,
            Held {
                descriptor: Arc::new(descriptor),
                description,
                file: None,
                deep: None,
                bound_here: false,
            },
        );
        Ok(())
    }

    fn inheritable(&self, name: &str) -> Result<Name, InheritError> {
        let key = Name::parse(name).map_err(|why| InheritError::Name {
            name: name.to_owned(),
            why,
        })?;
        if self.unclaimed.contains_key(&key) || self.claimed.contains_key(&key) {
            return Err(InheritError::Duplicate {
                name: name.to_owned(),
            });
        }
        if self.unclaimed.len() + self.claimed.len() >= MAX_SHAREABLES {
            return Err(InheritError::TooMany {
                name: name.to_owned(),
            });
        }
        Ok(key)
    }

    /// One socket of that name, inherited or bound.
    fn one(&mut self, name: &str, wanted: &Wanted) -> Result<Obtained, ListenError> {
        let name = self.claimable(name)?;
        if let Some(inherited) = self.claim(&name, wanted) {
            let opening = self.refresh(wanted);
            return Ok(self.obtained(&name, inherited, opening));
        }
        let socket = self.bind(&name, wanted, false)?;
        Ok(self.obtained(&name, socket, Opening::Done))
    }

    /// All inherited sockets of that group, and as many more as `count` asks for.
    fn group(
        &mut self,
        name: &str,
        mut wanted: Wanted,
        count: usize,
    ) -> Result<Vec<Obtained>, ListenError> {
        let name = self.claimable(name)?;
        let of_group = |key: &&Name| key.same_base(&name);
        let inherited: Vec<Name> = self.unclaimed.keys().filter(of_group).cloned().collect();
        let mut members = Vec::new();
        for key in inherited {
            if let Some(socket) = self.claim(&key, &wanted) {
                // The first one settles the address: port 0 would give each member another port.
                wanted.address = self.claimed[&key].description.address.clone();
                members.push(self.obtained(&key, socket, self.refresh(&wanted)));
            }
        }
        let served_already = !members.is_empty();
        if members.len() < count {
            // One that was bound alone does not share its address yet.
            for member in &members {
                set_socket_reuseport(&member.socket, true).map_err(|errno| ListenError::Use {
                    name: member.name.clone(),
                    source: errno.into(),
                })?;
            }
        }
        let mut number = 0;
        while members.len() < count.max(1) {
            let key = name.member(number);
            number += 1;
            if self.claimed.contains_key(&key) || self.unclaimed.contains_key(&key) {
                continue;
            }
            if served_already {
                members.push(self.join(&key, &wanted)?);
            } else {
                let socket = self.bind(&key, &wanted, true)?;
                wanted.address = self.claimed[&key].description.address.clone();
                members.push(self.obtained(&key, socket, Opening::Done));
            }
        }
        Ok(members)
    }

    /// One more socket for an address that another generation serves. It takes nothing in before this process has the duty: what
    /// the kernel gave to it would be lost, were the handover rolled back.
    fn join(&mut self, name: &Name, wanted: &Wanted) -> Result<Obtained, ListenError> {
        self.room(name)?;
        let failed = |source| ListenError::Bind {
            name: name.to_string(),
            address: wanted.address.clone(),
            source,
        };
        let socket = bind::unbound(wanted, true).map_err(failed)?;
        let opening = if wanted.accepting {
            // A TCP socket gets nothing until it listens; so the address can be had at once.
            bind::bind_to(&socket, &wanted.address).map_err(failed)?;
            Opening::Listen(self.backlog)
        } else {
            Opening::Bind(wanted.address.clone())
        };
        let socket = self.enter(name, socket, None, None)?;
        Ok(self.obtained(name, socket, opening))
    }

    /// What an inherited socket needs when this process gets the duty: another length of its queue than the predecessor's,
    /// perhaps. Not before, since the queue is the predecessor's as well.
    fn refresh(&self, wanted: &Wanted) -> Opening {
        if wanted.accepting {
            Opening::Listen(self.backlog)
        } else {
            Opening::Done
        }
    }

    fn obtained(&self, name: &Name, socket: Arc<OwnedFd>, opening: Opening) -> Obtained {
        Obtained {
            name: name.to_string(),
            socket,
            gate: self.gate.clone(),
            opening,
        }
    }

    /// The name, if it may be asked for now.
    fn claimable(&self, name: &str) -> Result<Name, ListenError> {
        let key = Name::base(name).map_err(|why| ListenError::Name {
            name: name.to_owned(),
            why,
        })?;
        if self.claimed.keys().any(|claimed| claimed.same_base(&key)) {
            return Err(ListenError::Duplicate {
                name: name.to_owned(),
            });
        }
        Ok(key)
    }

    /// The inherited socket of that very name, if there is one and it is what is wanted.
    fn claim(&mut self, name: &Name, wanted: &Wanted) -> Option<Arc<OwnedFd>> {
        let found = self.unclaimed.get(name)?.description();
        if !wanted.is_met_by(&found) {
            tracing::warn!(
                name = %name,
                inherited = %found.address,
                inherited_kind = %found.kind,
                wanted = %wanted.address,
                wanted_kind = %wanted.kind,
                "the inherited socket of this name is another one: binding anew, leaving it unclaimed"
            );
            return None;
        }
        let held = self.unclaimed.remove(name).expect("it was found just now");
        tracing::debug!(name = %name, address = %found.address, "inherited");
        let socket = Arc::clone(&held.descriptor);
        self.claimed.insert(name.clone(), held);
        Some(socket)
    }

    fn bind(
        &mut self,
        name: &Name,
        wanted: &Wanted,
        reuse_port: bool,
    ) -> Result<Arc<OwnedFd>, ListenError> {
        self.room(name)?;
        if let Address::Path(path) = &wanted.address {
            self.free(name, wanted)?;
            let bound = path::bind_path(&name.to_string(), wanted, path, self.backlog)?;
            let deep = (!bound.is_direct).then(|| wanted.address.clone());
            return self.enter(name, bound.socket, Some(bound.file), deep);
        }
        let socket = match bind::bound(wanted, reuse_port, self.backlog) {
            Ok(socket) => socket,
            Err(source) => {
                if source.kind() == io::ErrorKind::AddrInUse {
                    self.free(name, wanted)?;
                }
                return Err(ListenError::Bind {
                    name: name.to_string(),
                    address: wanted.address.clone(),
                    source,
                });
            }
        };
        self.enter(name, socket, None, None)
    }

    /// An error if one more would be too many.
    fn room(&self, name: &Name) -> Result<(), ListenError> {
        if self.claimed.len() + self.unclaimed.len() >= MAX_SHAREABLES {
            return Err(ListenError::TooMany {
                name: name.to_string(),
            });
        }
        Ok(())
    }

    /// Enters what this process opened itself.
    fn enter(
        &mut self,
        name: &Name,
        descriptor: OwnedFd,
        file: Option<FileId>,
        deep: Option<Address>,
    ) -> Result<Arc<OwnedFd>, ListenError> {
        let description = Description::of(&descriptor).map_err(|source| ListenError::Describe {
            name: name.to_string(),
            source,
        })?;
        tracing::debug!(name = %name, address = %description.address, "bound");
        let descriptor = Arc::new(descriptor);
        let held = Held {
            descriptor: Arc::clone(&descriptor),
            description,
            file,
            deep,
            bound_here: true,
        };
        self.claimed.insert(name.clone(), held);
        Ok(descriptor)
    }

    /// An error if a socket in this table stands in the way.
    fn free(&self, name: &Name, wanted: &Wanted) -> Result<(), ListenError> {
        let in_the_way = self
            .unclaimed
            .iter()
            .chain(&self.claimed)
            .find(|(_, held)| wanted.collides_with(&held.description()));
        match in_the_way {
            None => Ok(()),
            Some((holder, held)) => Err(ListenError::Held {
                name: name.to_string(),
                address: wanted.address.clone(),
                holder: holder.to_string(),
                held: held.description().address,
            }),
        }
    }

    /// What goes to a successor: every claimed descriptor with its listing, described as it is now. Members of a group that have
    /// not been opened yet stay here: they have taken nothing in.
    pub(crate) fn offers(&self) -> Result<Vec<(Listing, BorrowedFd<'_>)>, ListenError> {
        let mut offers = Vec::with_capacity(self.claimed.len());
        for (name, held) in &self.claimed {
            let description =
                Description::of(&held.descriptor).map_err(|source| ListenError::Describe {
                    name: name.to_string(),
                    source,
                })?;
            if is_open(&description) {
                let listing = Listing {
                    name: name.to_string(),
                    description,
                    file: held.file,
                    deep: held.deep.clone(),
                };
                offers.push((listing, held.descriptor.as_fd()));
            }
        }
        Ok(offers)
    }

    /// The inherited descriptors that the program has not asked for (yet).
    pub(crate) fn unclaimed(&self) -> Vec<Unclaimed> {
        let named = |(name, held): (&Name, &Held)| Unclaimed {
            name: name.to_string(),
            kind: held.description.kind,
            address: held.description().address,
        };
        self.unclaimed.iter().map(named).collect()
    }

    /// Closes what nobody asked for, and removes the paths of those that this line of generations bound; says what it was. For
    /// the time when the predecessor can no longer take over again: the path is gone for it as well.
    pub(crate) fn close_unclaimed(&mut self) -> Vec<Unclaimed> {
        let names = self.unclaimed();
        for unclaimed in &names {
            tracing::warn!(
                name = unclaimed.name,
                kind = %unclaimed.kind,
                address = %unclaimed.address,
                "closing an inherited descriptor that this program did not ask for"
            );
        }
        for (name, held) in std::mem::take(&mut self.unclaimed) {
            unlink(&name, &held);
        }
        names
    }

    /// Removes paths of Unix sockets, unless another process has put its own there. Never done by dropping: a predecessor's end
    /// must not take the path from its successor.
    pub(crate) fn unlink_paths(&self, which: Paths) {
        for (name, held) in &self.claimed {
            if which == Paths::All || held.bound_here {
                unlink(name, held);
            }
        }
    }

    /// The inodes of all sockets in the table, by which a socket that was opened behind its back is told apart.
    pub(crate) fn inodes(&self) -> BTreeSet<u64> {
        let all = self.claimed.values().chain(self.unclaimed.values());
        all.map(|held| held.description.inode).collect()
    }
}

/// Whether something can come in through it.
fn is_open(description: &Description) -> bool {
    match (description.kind, &description.address) {
        (Kind::Tcp | Kind::Unix | Kind::UnixSeqpacket, _) => description.accepting,
        (Kind::Udp, Address::Inet(address)) => address.port() != 0,
        (Kind::Udp | Kind::UnixDatagram, address) => *address != Address::None,
        (Kind::File, _) => true,
    }
}

fn unlink(name: &Name, held: &Held) {
    let (Address::Path(path), Some(file)) = (held.description().address, held.file) else {
        return;
    };
    match path::unlink(&path, file) {
        Ok(true) => {
            tracing::debug!(name = %name, path = %path.display(), "removed the socket's path");
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(name = %name, path = %path.display(), %error, "cannot remove the socket's path");
        }
    }
}

#[cfg(test)]
mod tests;
