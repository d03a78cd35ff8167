//! Why the store of proposals failed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum ProposalsError {
    /// Another process has it open.
    #[error("{} is open in another process: stop that process first", .path.display())]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// The store failed.
    #[error("{doing} {}: {source}", .path.display())]
    Store {
        /// What was being done.
        doing: &'static str,
        /// The store.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Box<redb::Error>,
    },
    /// What is in it is not what was written.
    #[error(
        "{} is damaged: {what}; put a backup of it in its place, or remove it: it holds only blocks that are proposed and not \
         decided, which the other validators have too. (A chain's only validator may then have to abstain, and says what to do.)",
        .path.display()
    )]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It was closed.
    #[error("{} is closed", .path.display())]
    Closed {
        /// The store.
        path: PathBuf,
    },
}

impl ProposalsError {
    /// Names what failed.
    pub(super) fn named(path: &Path, doing: &'static str, error: redb::Error) -> Self {
        let path = path.to_owned();
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse { path },
            redb::Error::Corrupted(what) => Self::Damaged { path, what },
            redb::Error::Io(error)
                if [ErrorKind::InvalidData, ErrorKind::UnexpectedEof].contains(&error.kind()) =>
            {
                let what = error.to_string();
                Self::Damaged { path, what }
            }
            error => Self::Store {
                doing,
                path,
                source: Box::new(error),
            },
        }
    }

    /// Whether the disk was full: once there is room, the same may be tried again.
    pub(super) fn is_disk_full(&self) -> bool {
        use ErrorKind::{QuotaExceeded, StorageFull};
        let Self::Store { source, .. } = self else {
            return false;
        };
        matches!(&**source, redb::Error::Io(error) if [StorageFull, QuotaExceeded].contains(&error.kind()))
    }
}
