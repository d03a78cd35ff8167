//! Paths of Unix sockets, however long.
//!
//! The kernel's address of a socket has room for 107 bytes of path. Where a path is longer, its directory is opened and the socket is
//! named through that descriptor, `/proc/self/fd/<n>/<name>`: the kernel goes to the same file, to bind it and to connect to it. The
//! name that a socket then tells of itself means nothing to other processes, so whoever passes it on tells its path beside it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// The kernel's room for a path and its final zero, or for an abstract name and its leading one (`sun_path`, unix(7)).
pub(crate) const SUN_PATH: usize = 108;

/// The longest name of a socket in a directory that is reached through its descriptor.
pub(crate) const MAX_NAME: usize = SUN_PATH - 1 - "/proc/self/fd/2147483647/".len();

/// A socket's path in a form that fits into its address.
///
/// ```
/// use baton_handover::SocketPath;
///
/// let directory = tempfile::tempdir()?;
/// let deep = directory.path().join("d".repeat(150));
/// std::fs::create_dir(&deep)?;
/// let socket = deep.join("web.sock");
/// let _listener = std::os::unix::net::UnixListener::bind(SocketPath::of(&socket)?.path())?;
/// std::os::unix::net::UnixStream::connect(SocketPath::of(&socket)?.path())?;
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    /// Keeps `/proc/self/fd/<n>` alive.
    directory: Option<OwnedFd>,
}

impl SocketPath {
    /// The path itself if it fits; else a way through its directory, which has to be there.
    pub fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().as_bytes().len() < SUN_PATH {
            return Ok(Self {
                path: path.to_owned(),
                directory: None,
            });
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty())?;
        let way = format!("/proc/self/fd/{}", directory.as_raw_fd());
        Ok(Self {
            path: Path::new(&way).join(name),
            directory: Some(directory),
        })
    }

    /// Good in this process, for as long as this is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path itself fits.
    pub(crate) fn is_direct(&self) -> bool {
        self.directory.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_address_is_used_as_it_is() {
        let path = format!("/{}", "a".repeat(SUN_PATH - 2));
        let reached = SocketPath::of(Path::new(&path)).expect("it fits");
        assert_eq!(reached.path(), Path::new(&path));
        assert!(reached.is_direct());
        let error = SocketPath::of(Path::new(&(path + "a/b"))).expect_err("no such directory");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
