//! Descriptors from the service manager.
//!
//! systemd opens sockets before it starts a service (socket activation) and keeps descriptors for one that has died (the FD
//! store). Both arrive in one way: as descriptors from number 3 on, with their names in the environment (`sd_listen_fds(3)`).
//! They enter the table as what a predecessor sends does, and are claimed by name. A socket unit's name is its
//! `FileDescriptorName=`; without one it is the unit's own (`web.socket`).
//!
//! The environment also reaches processes that it was not meant for; so nothing is touched unless `LISTEN_PID` is this process.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::process::Command;

use sd_notify::NotifyState;
use thiserror::Error;

use crate::describe::Description;
use crate::listen::{InheritError, MAX_SHAREABLES, Name, Shareables};
use crate::sys::{self, AdoptError, Expect};

/// The variables of the protocol. A successor must not inherit them: they speak of its predecessor.
pub(crate) const VARIABLES: [&str; 4] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
];

/// The first number (`SD_LISTEN_FDS_START`).
pub(crate) const FIRST: RawFd = 3;

/// What the service manager calls a descriptor that has no name (`sd_listen_fds_with_names(3)`).
const UNNAMED: &str = "unknown";

/// Why what the service manager passed cannot be taken.
#[derive(Debug, Error)]
pub enum ActivationError {
    /// A variable is no number.
    #[error("the environment says {variable}={value:?}, which is not a number from 0 to {limit}")]
    Number {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The largest number allowed.
        limit: u32,
    },
    /// There are more or fewer names than descriptors.
    #[error("LISTEN_FDNAMES has {names} names for {descriptors} descriptors")]
    Count {
        /// How many names.
        names: usize,
        /// How many descriptors.
        descriptors: usize,
    },
    /// A descriptor is not what it has to be.
    #[error("the service manager passed {name} as descriptor {number}, which cannot be taken")]
    Adopt {
        /// Its name.
        name: String,
        /// Its number.
        number: RawFd,
        /// Why.
        source: AdoptError,
    },
    /// The table does not take it.
    #[error("the service manager passed a descriptor that cannot be used")]
    Inherit(#[from] InheritError),
}

/// Takes all descriptors that the service manager passed to this process into the table, and answers how many.
pub(crate) fn inherit(table: &mut Shareables) -> Result<usize, ActivationError> {
    let adopted = adopt()?;
    let names = distinct(adopted.iter().map(|(_, name)| name.as_str()))?;
    let count = names.len();
    for ((descriptor, _), name) in adopted.into_iter().zip(names) {
        table.inherit_activated(&name.to_string(), descriptor)?;
    }
    Ok(count)
}

/// All descriptors that the service manager passed to this process, with their names; several may have one name. They are marked
/// close-on-exec first of all, so that no child of this process gets them.
pub(crate) fn adopt() -> Result<Vec<(OwnedFd, String)>, ActivationError> {
    let variable = |name: &str| std::env::var(name).ok();
    let passed = passed(
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        variable("LISTEN_FDNAMES").as_deref(),
        std::process::id(),
    )?;
    let mut adopted: Vec<(OwnedFd, String)> = Vec::with_capacity(passed.len());
    for (number, name) in passed {
        match sys::adopt(number, Expect::Anything) {
            Ok(descriptor) => adopted.push((descriptor, name)),
            Err(source) => {
                return Err(ActivationError::Adopt {
                    name,
                    number,
                    source,
                });
            }
        }
    }
    Ok(without_twins(adopted)?)
}

/// Keeps the variables of the protocol from a child.
pub(crate) fn conceal(command: &mut Command) {
    for variable in VARIABLES {
        command.env_remove(variable);
    }
}

/// Gives the service manager a copy of a descriptor, to be passed to this service's next process should this one die.
///
/// Does nothing without a service manager. A descriptor that is there already is not stored twice. It is not watched
/// (`FDPOLL=0`): it stays until it is removed, whatever happens to the socket.
///
/// # Errors
///
/// If the service manager's socket cannot be reached; not if `FileDescriptorStoreMax=` is too low, of which it tells nobody.
pub(crate) fn store(name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let message = [
        NotifyState::FdStore,
        NotifyState::FdName(name),
        NotifyState::Custom("FDPOLL=0"),
    ];
    sd_notify::notify_with_fds(&message, &[descriptor])
}

/// Has the service manager close its copies of that name.
pub(crate) fn remove(name: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)])
}

/// Which descriptors the environment says were passed to the process `own`, under which names.
fn passed(
    pid: Option<&str>,
    fds: Option<&str>,
    names: Option<&str>,
    own: u32,
) -> Result<Vec<(RawFd, String)>, ActivationError> {
    let (Some(pid), Some(fds)) = (pid, fds) else {
        return Ok(Vec::new());
    };
    if number("LISTEN_PID", pid, u32::MAX)? != own {
        return Ok(Vec::new());
    }
    let limit = u32::try_from(MAX_SHAREABLES).expect("a few thousand");
    let count = number("LISTEN_FDS", fds, limit)?;
    let count = usize::try_from(count).expect("a few thousand");
    let names = match names {
        Some(names) if count > 0 => names.split(':').map(str::to_owned).collect(),
        _ => vec![UNNAMED.to_owned(); count],
    };
    if names.len() != count {
        return Err(ActivationError::Count {
            names: names.len(),
            descriptors: count,
        });
    }
    let called = |name: String| {
        if name.is_empty() {
            UNNAMED.to_owned()
        } else {
            name
        }
    };
    Ok((FIRST..).zip(names.into_iter().map(called)).collect())
}

fn number(variable: &'static str, value: &str, limit: u32) -> Result<u32, ActivationError> {
    let parsed = value.parse().ok().filter(|number| *number <= limit);
    parsed.ok_or_else(|| ActivationError::Number {
        variable,
        value: value.to_owned(),
        limit,
    })
}

/// Leaves out what is there twice under one name: a socket unit's socket that was also put in the FD store is one socket, and
/// not a group of two.
fn without_twins(
    descriptors: Vec<(OwnedFd, String)>,
) -> Result<Vec<(OwnedFd, String)>, InheritError> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(descriptors.len());
    for (descriptor, name) in descriptors {
        let description = Description::of(&descriptor).map_err(|source| InheritError::Verify {
            name: name.clone(),
            source: source.into(),
        })?;
        if seen.insert((name.clone(), description.device, description.inode)) {
            kept.push((descriptor, name));
        }
    }
    Ok(kept)
}

/// A name for each, in their order: of those called the same, the second and later become further members of a group.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<Name>, InheritError> {
    let parse = |name: &str| {
        Name::parse(name).map_err(|why| InheritError::Name {
            name: name.to_owned(),
            why,
        })
    };
    let mut names = names.map(parse).collect::<Result<Vec<_>, _>>()?;
    // Names that were given come before numbers that are made up: `web`, `web`, `web#1` are `web`, `web#2`, `web#1`.
    let given: BTreeSet<Name> = names.iter().cloned().collect();
    let mut taken = BTreeSet::new();
    for name in &mut names {
        if !taken.insert(name.clone()) {
            let free = (1..MAX_SHAREABLES)
                .map(|member| name.member(member))
                .find(|it| !given.contains(it) && !taken.contains(it));
            *name = free.ok_or_else(|| InheritError::TooMany {
                name: name.to_string(),
            })?;
            taken.insert(name.clone());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
