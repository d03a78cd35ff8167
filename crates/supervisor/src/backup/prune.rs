//! Removing backups that newer ones have made superfluous.
//!
//! Only Baton's own of this data, and only when the newest has just been verified: a backup that
//! turns out to be damaged must not have cost the older ones.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::{BackupError, Doing};
use super::list::{self, Entry};
use super::progress::Observer;
use super::verify::verify;
use super::workspace::{Work, Workspace};
use crate::files::sync_dir;

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// These backups.
    pub removed: Vec<PathBuf>,
    /// Why none was although there are more than wanted.
    pub held_back: Option<String>,
}

/// Keeps the newest `keep` backups of this data directory (0: all of them).
pub fn prune(
    dest_dir: &Path,
    data: &Path,
    keep: usize,
    observer: &dyn Observer,
) -> Result<Pruned, BackupError> {
    let mut pruned = Pruned::default();
    if keep == 0 {
        return Ok(pruned);
    }
    let data = fs::canonicalize(data).doing("finding the data directory", data)?;
    let ours = ours(list::list(dest_dir)?, &data);
    if ours.len() <= keep {
        return Ok(pruned);
    }
    let newest = &ours[0];
    let verified = verify(&newest.path, observer);
    pruned.held_back = match verified {
        Ok(found) => found.differences.first().map(|first| {
            let total = found.differences_total;
            format!(
                "the newest backup {} is damaged ({total} differences; {first})",
                newest.path.display()
            )
        }),
        Err(BackupError::Cancelled) => return Err(BackupError::Cancelled),
        Err(error) => Some(format!("the newest backup cannot be verified: {error}")),
    };
    if pruned.held_back.is_some() {
        return Ok(pruned);
    }
    // The oldest first: interrupted, the newer ones are still there.
    for entry in ours[keep..].iter().rev() {
        if observer.cancelled() {
            return Err(BackupError::Cancelled);
        }
        remove(dest_dir, entry)?;
        pruned.removed.push(entry.path.clone());
    }
    Ok(pruned)
}

/// Complete backups of this data, newest first. One that the data itself lies in (an operator
/// pointed `data` at it) is none of them.
fn ours(entries: Vec<Entry>, data: &Path) -> Vec<Entry> {
    let mut ours: Vec<Entry> = entries
        .into_iter()
        .filter(|e| e.summary().is_some_and(|s| s.source == data))
        .filter(|e| fs::canonicalize(&e.path).is_ok_and(|path| !data.starts_with(path)))
        .collect();
    ours.sort_by_key(|e| Reverse((e.summary().map(|s| s.taken_at), e.name)));
    ours
}

/// Takes the backup's name away first, so that half of one is never seen under it.
fn remove(dest_dir: &Path, entry: &Entry) -> Result<(), BackupError> {
    let work = Workspace::create(dest_dir, &entry.name.to_string(), Work::Backup)?;
    let from = &entry.path;
    let renamed = match fs::rename(from, work.tree()) {
        // Without write permission on itself, a directory cannot be moved into another.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            fs::set_permissions(from, fs::Permissions::from_mode(0o700))
                .and_then(|()| fs::rename(from, work.tree()))
        }
        renamed => renamed,
    };
    renamed.doing("removing", from)?;
    sync_dir(dest_dir).doing("flushing", dest_dir)?;
    fault!("backup::unnamed", from);
    work.remove()
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
