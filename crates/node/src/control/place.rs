//! A socket's address has room for 107 bytes of path; a home may lie deeper.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The longest path that fits into the address of a socket (`sun_path`, with its zero).
pub(super) const MAX_PATH: usize = 107;

/// A path to the same socket that fits, for as long as this is kept.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    _directory: Option<File>,
}

impl Place {
    pub(super) fn of(socket: &Path) -> io::Result<Self> {
        if socket.as_os_str().len() <= MAX_PATH {
            return Ok(Self {
                path: socket.to_owned(),
                _directory: None,
            });
        }
        let unfit = || io::Error::new(io::ErrorKind::InvalidInput, "no path of a socket");
        let (parent, name) = (
            socket.parent().ok_or_else(unfit)?,
            socket.file_name().ok_or_else(unfit)?,
        );
        let directory = File::open(parent)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(Self {
            path,
            _directory: Some(directory),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
