//! Is there a binary to run? The check before every start and every switch.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why a release cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// The file cannot be looked at, mostly because it is not there.
    #[error("stat {}: {}", .path.display(), crate::config::go_text::io_error(.source))]
    Missing {
        /// The binary.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a directory or something stranger.
    #[error("{} is not a regular file", .0.file_name().unwrap_or_default().display())]
    NotAFile(PathBuf),
    /// It is not executable and cannot be made so.
    #[error("chmod {}: {}", .path.display(), crate::config::go_text::io_error(.source))]
    Mode {
        /// The binary.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Sees that the binary is a regular file (links followed) and executable, making it so if need
/// be, as upstream does.
pub fn ensure(path: &Path) -> Result<(), BinaryError> {
    let meta = fs::metadata(path).map_err(|source| BinaryError::Missing {
        path: path.to_owned(),
        source,
    })?;
    if !meta.is_file() {
        return Err(BinaryError::NotAFile(path.to_owned()));
    }
    let mode = meta.permissions().mode();
    if mode & 0o111 == 0o111 {
        return Ok(());
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o111)) {
        Ok(()) => Ok(()),
        // Executable for somebody, and not ours to change: the start will tell.
        Err(_) if mode & 0o111 != 0 => Ok(()),
        Err(source) => Err(BinaryError::Mode {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ensure_bin() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("dummyd");
        assert!(matches!(ensure(&bin), Err(BinaryError::Missing { .. })));
        fs::write(&bin, "x").unwrap();
        ensure(&bin).unwrap();
        let mode = fs::metadata(&bin).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("dummyd", &link).unwrap();
        ensure(&link).unwrap();
        let error = ensure(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("is not a regular file"), "{error}");
    }
}
