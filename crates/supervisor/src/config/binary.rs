//! A node's executable must be a regular file that everyone may execute; the second is mended.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::go_text::io_error;

/// Why a file cannot be used as a node's executable.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// It cannot be looked at; most likely it is not there.
    #[error("stat {}: {}", path.display(), io_error(source))]
    Stat {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is a directory, a socket or the like.
    #[error("{} is not a regular file", path.file_name().unwrap_or_default().display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be made executable.
    #[error("chmod {}: {}", path.display(), io_error(source))]
    Chmod {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Checks that a file, or what a link leads to, can be executed, and lets everyone execute it.
pub fn ensure_binary(path: &Path) -> Result<(), BinaryError> {
    let metadata = fs::metadata(path).map_err(|source| BinaryError::Stat {
        path: path.to_owned(),
        source,
    })?;
    if !metadata.is_file() {
        return Err(BinaryError::NotRegular {
            path: path.to_owned(),
        });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o111 == 0o111 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode | 0o111)).map_err(|source| {
        BinaryError::Chmod {
            path: path.to_owned(),
            source,
        }
    })
}
