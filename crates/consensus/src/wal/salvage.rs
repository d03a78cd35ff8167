//! A log that cannot be opened, or is not the one that was written, does not keep a node down.
//!
//! The sign guard keeps this node from signing twice at one place. Only the log knows more: once a validator has
//! precommitted a block it is *locked*, and may not vote for another at that height unless two thirds did. A validator that
//! forgets this can help to decide a second block where the first may have been decided. So where the log of a height is
//! lost in which the guard remembers a precommit for a block, nothing is signed until that height is over; the others
//! decide it. In every other case nothing was forgotten that matters.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use malachite::wal::Log;
use tracing::{error, warn};

use crate::guard::{Guard, GuardError};

/// How many damaged logs are kept beside the good one.
const KEPT: u32 = 100;

/// What was found in a log's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// A log that can be read, of this height.
    Whole(u64),
    Nothing,
    /// Something else, which lies there now.
    Damaged(PathBuf),
}

/// Makes sure that the log at `path` can be opened.
pub(crate) fn salvage(path: &Path) -> io::Result<Found> {
    if !path.try_exists()? {
        return Ok(Found::Nothing);
    }
    let cause = match Log::open(path) {
        Ok(log) => return Ok(Found::Whole(log.sequence())),
        Err(error)
            if [ErrorKind::InvalidData, ErrorKind::UnexpectedEof].contains(&error.kind()) =>
        {
            error
        }
        Err(error) => return Err(error),
    };
    let aside = aside(path)?;
    fs::rename(path, &aside)?;
    warn!(
        path = %path.display(), aside = %aside.display(), %cause,
        "the write-ahead log of consensus is damaged: it was set aside and a new one is begun. Look after the disk; the file \
         that was set aside may be removed"
    );
    Ok(Found::Damaged(aside))
}

/// A name that nothing has yet.
fn aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1..=KEPT {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        let name = PathBuf::from(name);
        if !name.try_exists()? {
            return Ok(name);
        }
    }
    let path = path.display();
    Err(io::Error::other(format!(
        "{path} was damaged {KEPT} times: mend the disk and remove the files {path}.damaged-*"
    )))
}

/// Has the guard sign nothing at the height after `tip` if a lock may have been forgotten there.
pub(crate) fn heed(found: &Found, guard: &Guard, tip: u64) -> Result<(), GuardError> {
    let height = tip + 1;
    if *found == Found::Whole(height) || guard.precommitted(height).is_none() {
        return Ok(());
    }
    error!(
        height,
        ?found,
        "this node has voted for a block at this height, and the write-ahead log that tells all about it is lost: it signs \
         nothing more until the height is over"
    );
    guard.raise(height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_log_is_set_aside_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        assert_eq!(salvage(&path).unwrap(), Found::Nothing);
        let mut log = Log::open(&path).unwrap();
        log.reset(7).unwrap();
        log.append(b"entry").unwrap();
        log.flush().unwrap();
        drop(log);
        assert_eq!(salvage(&path).unwrap(), Found::Whole(7));
        for (number, bytes) in ["hi", "no log at all"].iter().enumerate() {
            fs::write(&path, bytes).unwrap();
            let found = salvage(&path).unwrap();
            let aside = dir.path().join(format!("wal.damaged-{}", number + 1));
            assert_eq!(found, Found::Damaged(aside.clone()));
            assert_eq!(fs::read(aside).unwrap(), bytes.as_bytes());
            assert!(!path.exists());
        }
        // what is no file is not touched
        assert!(salvage(dir.path()).is_err());
    }
}
