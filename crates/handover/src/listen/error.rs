//! What can go wrong with a shareable.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::name::MAX_SHAREABLES;
use crate::describe::{Address, DescribeError, VerifyError};

/// Why a shareable could not be had.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The name is not one that can travel.
    #[error("{name:?} cannot name a shareable: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The name was asked for before in this process.
    #[error("the shareable {name} is asked for twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The table is full.
    #[error("there are more than {MAX_SHAREABLES} shareables; {name} is one too many")]
    TooMany {
        /// The name.
        name: String,
    },
    /// The address is taken by a socket that came from the predecessor or the service manager under another name, or that
    /// this process holds already.
    #[error(
        "{name} cannot have {address}: {holder} holds {held}; {}",
        advice(name, holder)
    )]
    Held {
        /// The name that was asked for.
        name: String,
        /// The address that was asked for.
        address: Address,
        /// The name under which it is held.
        holder: String,
        /// The address that is held.
        held: Address,
    },
    /// The kernel does not give the address.
    #[error("{name} cannot have {address}")]
    Bind {
        /// The name that was asked for.
        name: String,
        /// The address that was asked for.
        address: Address,
        /// The kernel's answer.
        source: io::Error,
    },
    /// There is something else at the path, which is not ours to remove.
    #[error("{name} cannot have {path}: there is something that is not a socket")]
    NotASocket {
        /// The name that was asked for.
        name: String,
        /// The path.
        path: PathBuf,
    },
    /// Another process serves the path.
    #[error("{name} cannot have {path}: another process answers there")]
    Answered {
        /// The name that was asked for.
        name: String,
        /// The path.
        path: PathBuf,
    },
    /// Another process is replacing sockets in the same directory.
    #[error(
        "{name} cannot replace the stale socket {path}: its directory stayed locked (flock) for {waited_ms} ms"
    )]
    Locked {
        /// The name that was asked for.
        name: String,
        /// The path.
        path: PathBuf,
        /// How long the lock was waited for, in milliseconds.
        waited_ms: u64,
    },
    /// A relative path has nothing to be relative to, or the path is empty.
    #[error(
        "{name} has no usable path: the working directory cannot be told, or the path is empty"
    )]
    Path {
        /// The name that was asked for.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The address of a Unix socket is too long for the kernel, or empty.
    #[error("{name} cannot have {address}: a Unix address has from 1 to {limit} bytes")]
    Length {
        /// The name that was asked for.
        name: String,
        /// The address, absolute.
        address: Address,
        /// The limit in bytes.
        limit: usize,
    },
    /// The path is longer than the kernel's addresses, and its last part leaves no room for the way around that.
    #[error(
        "{name} cannot have {address}: the last part of so long a path has at most {limit} bytes"
    )]
    Deep {
        /// The name that was asked for.
        name: String,
        /// The address, absolute.
        address: Address,
        /// The limit in bytes.
        limit: usize,
    },
    /// The program's own function to open the file failed.
    #[error("{name} cannot be opened")]
    Open {
        /// The name that was asked for.
        name: String,
        /// Its error.
        source: io::Error,
    },
    /// The descriptor cannot be put to use.
    #[error("{name} is there, but cannot be used")]
    Use {
        /// The name that was asked for.
        name: String,
        /// The kernel's or the runtime's answer.
        source: io::Error,
    },
    /// It cannot be told what the descriptor is.
    #[error("{name} cannot be inspected")]
    Describe {
        /// The name that was asked for.
        name: String,
        /// Why.
        source: DescribeError,
    },
}

fn advice(name: &str, holder: &str) -> &'static str {
    if holder.split('#').next() == Some(name) {
        "the predecessor serves that one until the commit, so the two cannot change places in a handover: keep the address, or restart"
    } else {
        "ask for it under that name, or let it go first"
    }
}

/// Why an inherited descriptor is not taken into the table.
#[derive(Debug, Error)]
pub enum InheritError {
    /// Its name is not one that can travel.
    #[error("an inherited descriptor is called {name:?}, which is no name: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is one of that name.
    #[error("two inherited descriptors are called {name}")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The table is full.
    #[error("more than {MAX_SHAREABLES} descriptors are inherited; {name} is one too many")]
    TooMany {
        /// The name.
        name: String,
    },
    /// It is not what its sender said.
    #[error("the inherited {name} is refused")]
    Verify {
        /// The name.
        name: String,
        /// What is wrong.
        source: VerifyError,
    },
    /// It cannot be made ready for use.
    #[error("the inherited {name} cannot be used")]
    Use {
        /// The name.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
}
