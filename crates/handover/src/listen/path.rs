//! Unix sockets in the file system.
//!
//! A path outlives the socket that made it. So a start finds leftovers, and must tell them from a socket that somebody serves;
//! and an end must remove the path, but not if another process has put its own there. The first is asked by connecting, under a
//! lock on the directory so that two starts do not both take the leftover for theirs; the second by remembering the inode.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, flock, open, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::{Deserialize, Serialize};

use super::bind::bound;
use super::error::ListenError;
use super::wanted::Wanted;
use crate::describe::{Address, Kind};
use crate::reach::SocketPath;

/// How long a start waits for another one in the same directory: each holds the lock for a few system calls.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE_MS: u64 = 10;

/// Which file a path named when the socket was bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file the path names now, which need not be a socket.
    fn of(path: &Path) -> rustix::io::Result<Self> {
        let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }
}

/// A socket that is bound at a path.
pub(super) struct Bound {
    pub(super) socket: OwnedFd,
    pub(super) file: FileId,
    /// Whether the kernel's address of it is the path.
    pub(super) is_direct: bool,
}

/// Binds at a path. A socket there that nobody answers on is a leftover and is replaced; anything else stays.
pub(super) fn bind_path(
    name: &str,
    wanted: &Wanted,
    path: &Path,
    backlog: i32,
) -> Result<Bound, ListenError> {
    let failed = |source: io::Error| ListenError::Bind {
        name: name.to_owned(),
        address: wanted.address.clone(),
        source,
    };
    // Between a socket's bind and its listen it answers like a leftover; the lock hides that moment from other starts.
    let _lock = lock_directory(path).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => ListenError::Locked {
            name: name.to_owned(),
            path: path.to_owned(),
            waited_ms: u64::from(LOCK_TRIES) * LOCK_PAUSE_MS,
        },
        _ => failed(error),
    })?;
    let way = SocketPath::of(path).map_err(failed)?;
    let reached = Wanted {
        address: Address::Path(way.path().to_owned()),
        ..wanted.clone()
    };
    let socket = match bound(&reached, false, backlog) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_leftover(name, wanted.kind, path)?;
            bound(&reached, false, backlog)
        }
        answer => answer,
    }
    .map_err(failed)?;
    let file = FileId::of(path).map_err(|errno| failed(errno.into()))?;
    Ok(Bound {
        socket,
        file,
        is_direct: way.is_direct(),
    })
}

/// Removes the path if it still names the file that was bound; whether it did.
pub(super) fn unlink(path: &Path, file: FileId) -> io::Result<bool> {
    let _lock = match lock_directory(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        answer => answer?,
    };
    match FileId::of(path) {
        Ok(found) if found == file => {}
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    }
    unlinkat(CWD, path, AtFlags::empty())?;
    Ok(true)
}

fn remove_leftover(name: &str, kind: Kind, path: &Path) -> Result<(), ListenError> {
    let failed = |errno: Errno| ListenError::Bind {
        name: name.to_owned(),
        address: Address::Path(path.to_owned()),
        source: errno.into(),
    };
    let stat = match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(ListenError::NotASocket {
            name: name.to_owned(),
            path: path.to_owned(),
        });
    }
    let answer = probe(kind, path);
    match answer.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)) {
        Err(Errno::CONNREFUSED) => {
            tracing::warn!(name, path = %path.display(), "replacing a leftover socket that nobody answers on");
            unlinkat(CWD, path, AtFlags::empty()).map_err(failed)
        }
        Err(Errno::NOENT) => Ok(()),
        // Connected; or its queue is full; or somebody serves it with another type of socket.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(ListenError::Answered {
            name: name.to_owned(),
            path: path.to_owned(),
        }),
        Err(errno) => Err(failed(errno)),
    }
}

fn probe(kind: Kind, path: &Path) -> io::Result<()> {
    let socket_type = match kind {
        Kind::UnixDatagram => SocketType::DGRAM,
        Kind::UnixSeqpacket => SocketType::SEQPACKET,
        _ => SocketType::STREAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, socket_type, flags, None)?;
    let way = SocketPath::of(path)?;
    Ok(connect(&socket, &SocketAddrUnix::new(way.path())?)?)
}

/// Locks the directory of `path` until the result is dropped. A directory that may be used but not read cannot be locked, and
/// is not.
fn lock_directory(path: &Path) -> io::Result<Option<OwnedFd>> {
    let directory = path.parent().map_or(OsStr::new("/"), Path::as_os_str);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match open(directory, flags, Mode::empty()) {
        Err(Errno::ACCESS) => return Ok(None),
        answer => answer?,
    };
    for _ in 0..LOCK_TRIES {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(directory)),
            Err(Errno::AGAIN) => std::thread::sleep(Duration::from_millis(LOCK_PAUSE_MS)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}
