//! One supervisor a home: an advisory lock that the kernel drops with its holder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another supervisor runs on this home.
    #[error(
        "another supervisor{} already runs on this home (it holds {}); stop it first, or use `baton status` to see what it does",
        holder(*.pid), .path.display()
    )]
    Held {
        /// Its process, if it wrote it down.
        pid: Option<u32>,
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be made.
    #[error("taking the lock {}: {source}", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// Makes Baton's directory, readable by its owner only.
pub fn make_directory(baton: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(baton) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

/// Takes the lock in Baton's directory, or tells who holds it.
pub fn take(baton: &Path) -> Result<Lock, LockError> {
    let path = baton.join("lock");
    let io = |source| LockError::Io {
        path: path.clone(),
        source,
    };
    make_directory(baton).map_err(io)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let pid = file
                .read_to_string(&mut text)
                .ok()
                .and_then(|_| text.trim().parse().ok());
            return Err(LockError::Held { pid, path });
        }
        Err(e) => return Err(io(e.into())),
    }
    // For a reader only; the lock itself is the kernel's, so a full disk does no harm here.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock { _file: file })
}

/// The supervisor that holds the lock, if one does. Takes nothing.
pub fn held_by(baton: &Path) -> Option<u32> {
    let path = baton.join("lock");
    let file = File::open(&path).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Some(fs::read_to_string(&path).ok()?.trim().parse().unwrap_or(0))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let baton = dir.path().join(".baton");
        assert_eq!(held_by(&baton), None);
        let lock = take(&baton).unwrap();
        assert_eq!(held_by(&baton), Some(std::process::id()));
        let error = take(&baton).unwrap_err().to_string();
        assert!(
            error.contains(&format!("pid {}", std::process::id())),
            "{error}"
        );
        drop(lock);
        assert_eq!(held_by(&baton), None);
        take(&baton).unwrap();
    }
}
