//! Room on the disk, and getting bytes onto it for good.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A file system without the room that is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no space left in {dir}: {needed} needed, {free} bytes free; make room and try again",
    dir = .dir.display(),
    needed = .needed.map_or_else(|| "more bytes".to_owned(), |n| format!("{n} bytes")),
)]
pub struct NoSpace {
    /// Where the bytes were to go.
    pub dir: PathBuf,
    /// How many more bytes are needed, where known.
    pub needed: Option<u64>,
    /// How many this user may still use.
    pub free: u64,
}

impl NoSpace {
    /// The figures for `dir` if `error` says that its file system (or the user's quota) is full.
    pub(super) fn from_error(error: &io::Error, dir: &Path) -> Option<Self> {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        full.then(|| Self {
            dir: dir.to_owned(),
            needed: None,
            free: free_bytes(dir).unwrap_or(0),
        })
    }

    /// Fails if `needed` more bytes do not fit into `dir`. A file system that will not say passes.
    pub(super) fn check(dir: &Path, needed: u64) -> Result<(), Self> {
        match free_bytes(dir) {
            Ok(free) if free < needed => Err(Self {
                dir: dir.to_owned(),
                needed: Some(needed),
                free,
            }),
            _ => Ok(()),
        }
    }
}

/// How many bytes an unprivileged user may still write below `dir`.
fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a tree durable, contents before the names that lead to them. Links are not followed.
pub(super) fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_checked_against_the_file_system() {
        let dir = tempfile::tempdir().unwrap();
        NoSpace::check(dir.path(), 0).unwrap();
        let error = NoSpace::check(dir.path(), u64::MAX).unwrap_err();
        assert!(error.free > 0);
        let text = error.to_string();
        assert!(
            text.contains(&format!("{} bytes needed", u64::MAX)),
            "{text}"
        );
        assert!(
            text.contains(&format!("{} bytes free", error.free)),
            "{text}"
        );
    }

    #[test]
    fn a_full_disk_is_told_from_other_errors() {
        let dir = tempfile::tempdir().unwrap();
        let full = io::Error::from(rustix::io::Errno::NOSPC);
        assert!(NoSpace::from_error(&full, dir.path()).is_some());
        let quota = io::Error::from(rustix::io::Errno::DQUOT);
        assert!(NoSpace::from_error(&quota, dir.path()).is_some());
        let other = io::Error::from(rustix::io::Errno::IO);
        assert!(NoSpace::from_error(&other, dir.path()).is_none());
    }

    #[test]
    fn a_tree_with_links_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("bin/simd"), b"x").unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).unwrap();
        sync_tree(dir.path()).unwrap();
        assert!(sync_tree(&dir.path().join("absent")).is_err());
    }
}
