//! What can go wrong with a backup, told so that the operator knows what to do at night.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::mode::{Method, Passed};
use super::pattern::PatternError;

/// Why a backup was not made, found sound, or removed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or directory could not be read or written.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Too little space, found before anything was written.
    #[error(
        "the backup of {} needs {} ({how}{}) but {} has {} free; {}",
        .data.display(), Bytes(*.needed), reasons(.passed), .dest.display(), Bytes(*.free), room_hint(*.how)
    )]
    Space {
        /// What was to be backed up.
        data: PathBuf,
        /// Into which directory.
        dest: PathBuf,
        /// The method, for which the need is reckoned.
        how: Method,
        /// The methods that would need less, and why they do not work.
        passed: Vec<Passed>,
        /// The bytes needed.
        needed: u64,
        /// The bytes free.
        free: u64,
    },
    /// Too few inodes, found before anything was written.
    #[error(
        "the backup of {} needs {needed} inodes but {} has {free} left (see df -i); free some there or name another disk in DAEMON_DATA_BACKUP_DIR",
        .data.display(), .dest.display()
    )]
    Inodes {
        /// What was to be backed up.
        data: PathBuf,
        /// Into which directory.
        dest: PathBuf,
        /// The inodes needed.
        needed: u64,
        /// The inodes left.
        free: u64,
    },
    /// The disk or a quota filled up on the way.
    #[error(
        "{doing} {}: {source}; the incomplete copy is removed; {}",
        .path.display(), room_hint(Method::Copy)
    )]
    Full {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file changed under the copy.
    #[error(
        "{} {change} while it was being copied: something still writes there; stop the node and every process that uses this directory (fuser -v on it names them), then try again",
        .path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// What happened to it.
        change: Change,
    },
    /// The file system cannot clone, and the operator allows nothing else.
    #[error(
        "the mode reflink is impossible from {} to {}: {why}; use auto, which links or copies where it cannot clone",
        .from.display(), .to.display()
    )]
    NoReflink {
        /// From where.
        from: PathBuf,
        /// Into which directory.
        to: PathBuf,
        /// Why it is impossible.
        why: String,
    },
    /// Source and destination lie in each other.
    #[error("{} lies inside {}: {hint}", .inner.display(), .outer.display())]
    Inside {
        /// The inner directory.
        inner: PathBuf,
        /// The outer directory.
        outer: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// Not a directory.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// More files than the limit.
    #[error("{} holds more than {limit} files and directories, the limit of a backup", .path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// Every name of this day is taken.
    #[error("{} already holds {limit} backups of this day; remove some", .dest.display())]
    NoName {
        /// The directory.
        dest: PathBuf,
        /// The limit.
        limit: u32,
    },
    /// A pattern of immutable files is dangerous or empty.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// No manifest.
    #[error(
        "{} has no manifest: cosmovisor made it, or it is damaged; it cannot be verified",
        .0.display()
    )]
    NoManifest(PathBuf),
    /// The manifest cannot be read.
    #[error("the manifest {} is damaged at line {line}: {why}", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A file in a backup is not what the manifest says.
    #[error("the backup file {} is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What the node wrote for a snapshot is not what it says.
    #[error("the node's snapshot is not sound: {}: {why}; nothing was changed, and it is removed", .path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

fn reasons(passed: &[Passed]) -> String {
    let mut all = String::new();
    for one in passed {
        all.push_str("; ");
        all.push_str(&one.to_string());
    }
    all
}

fn room_hint(how: Method) -> &'static str {
    match how {
        Method::Copy => {
            "free some space there or name a larger disk in DAEMON_DATA_BACKUP_DIR; on the file system of the data itself, BATON_BACKUP_MODE=auto links or clones files and needs little"
        }
        Method::Hardlink | Method::Reflink | Method::Snapshot => {
            "free some space there or name a larger disk in DAEMON_DATA_BACKUP_DIR"
        }
    }
}

/// What happened to a file that should have stayed as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is gone.
    Vanished,
    /// It is shorter.
    Shrank {
        /// Bytes before.
        from: u64,
        /// Bytes now.
        to: u64,
    },
    /// It is longer.
    Grew {
        /// Bytes before.
        from: u64,
        /// Bytes now.
        to: u64,
    },
    /// Another file has its name.
    Replaced,
    /// Its time of modification is another.
    Written,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vanished => f.write_str("vanished"),
            Self::Shrank { from, to } => write!(f, "shrank from {from} to {to} bytes"),
            Self::Grew { from, to } => write!(f, "grew from {from} to {to} bytes"),
            Self::Replaced => f.write_str("was replaced by another file"),
            Self::Written => f.write_str("was written to"),
        }
    }
}

/// Bytes as people read them, and exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let mut unit = 0;
        let mut tenths = u128::from(self.0) * 10 / 1024;
        if tenths < 10 {
            return write!(f, "{} bytes", self.0);
        }
        while tenths >= 10_240 {
            tenths /= 1024;
            unit += 1;
        }
        write!(f, "{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// Says what was being done, to which file.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, BackupError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, BackupError> {
        self.map_err(|e| BackupError::at(doing, path, e.into()))
    }
}

impl BackupError {
    /// An error of the system, told apart by what the operator has to do.
    pub(crate) fn at(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                doing,
                path,
                source,
            },
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 << 30, "10.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
    }

    #[test]
    fn a_full_disk_is_told_from_other_errors() {
        let full = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let told = BackupError::at("writing", Path::new("/b/x"), full).to_string();
        assert!(
            told.starts_with("writing /b/x: No space left on device"),
            "{told}"
        );
        assert!(told.contains("DAEMON_DATA_BACKUP_DIR"), "{told}");
        let denied = io::Error::from_raw_os_error(rustix::io::Errno::ACCESS.raw_os_error());
        let told = BackupError::at("reading", Path::new("/b/x"), denied).to_string();
        assert!(
            told.starts_with("reading /b/x: Permission denied"),
            "{told}"
        );
    }
}
