//! What lies in a backup directory: complete backups, Cosmovisor's, and what crashes left.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::{BackupError, Doing};
use super::manifest::{self, Summary};
use super::name::Name;
use super::workspace::{Found, Work, Workspace};

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// The day, and which of that day.
    pub name: Name,
    /// Whether it can be trusted.
    pub state: State,
}

/// Whether a backup can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Made by Baton, complete.
    Complete(Box<Summary>),
    /// Without a manifest: made by Cosmovisor, complete or not.
    Unverified,
    /// With a manifest that cannot be read.
    Broken(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete(summary) => write!(f, "complete ({})", summary.method),
            Self::Unverified => f.write_str("unverified: without a manifest"),
            Self::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}

impl Entry {
    /// What it is, if Baton made it and it is complete.
    pub fn summary(&self) -> Option<&Summary> {
        match &self.state {
            State::Complete(summary) => Some(summary),
            State::Unverified | State::Broken(_) => None,
        }
    }
}

/// What crashes had left in a backup directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Removed.
    pub removed: Vec<PathBuf>,
    /// Left alone: still being made, not ours, or not removable.
    pub left: Vec<PathBuf>,
}

/// The backups in a directory, oldest first. Reads headers only.
pub fn list(dest_dir: &Path) -> Result<Vec<Entry>, BackupError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dest_dir).doing("reading", dest_dir)? {
        let entry = entry.doing("reading", dest_dir)?;
        let Some(name) = Name::parse(&entry.file_name()) else {
            continue;
        };
        let path = entry.path();
        if !path.is_dir() {
            continue;
        }
        let state = match manifest::read_summary(&path) {
            Ok(Some(summary)) => State::Complete(Box::new(summary)),
            Ok(None) => State::Unverified,
            Err(error) => State::Broken(error.to_string()),
        };
        entries.push(Entry { path, name, state });
    }
    entries.sort_by_key(|e| e.name);
    Ok(entries)
}

/// The complete backup of this data that was made for the upgrade with this id.
pub fn find_for(
    dest_dir: &Path,
    data: &Path,
    upgrade_id: &str,
) -> Result<Option<Entry>, BackupError> {
    let data = fs::canonicalize(data).doing("finding the data directory", data)?;
    Ok(list(dest_dir)?.into_iter().rev().find(|entry| {
        entry.summary().is_some_and(|s| {
            s.source == data && s.upgrade.as_ref().is_some_and(|u| u.id == upgrade_id)
        })
    }))
}

/// Removes what crashes left of backups that were being made or removed.
pub fn sweep(dest_dir: &Path) -> Result<Swept, BackupError> {
    let mut swept = Swept::default();
    for path in workspaces(dest_dir)? {
        let removed = match Workspace::find(&path)? {
            Found::Left(owner, workspace) if owner.work == Work::Backup => {
                match workspace.remove() {
                    Ok(()) => true,
                    Err(error) => {
                        tracing::warn!(%error, "an incomplete backup could not be removed");
                        false
                    }
                }
            }
            // Its maker died before it could mark it as its own. Only an empty one is removed.
            Found::Foreign => fs::remove_dir(&path).is_ok(),
            Found::Left(..) | Found::Held => false,
        };
        if removed {
            &mut swept.removed
        } else {
            &mut swept.left
        }
        .push(path);
    }
    Ok(swept)
}

/// Directories with the name of a backup that is being made.
pub(crate) fn workspaces(dest_dir: &Path) -> Result<Vec<PathBuf>, BackupError> {
    Workspace::names(dest_dir, |stem| Name::parse(stem.as_ref()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_listed_by_day_and_number_whoever_made_them() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "data-backup-2026-11-3",
            "data-backup-2026-2-11-2",
            "data-backup-2026-2-11",
            "data-backup-2026-2-11-10",
            "data",
            ".data-backup-2026-2-11.7.partial",
        ] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("data-backup-2026-1-1"), "a file").unwrap();
        let damaged = dir.path().join("data-backup-2026-11-3");
        fs::write(damaged.join(manifest::MANIFEST), "?\n").unwrap();
        let entries = list(dir.path()).unwrap();
        let names: Vec<_> = entries.iter().map(|e| e.name.to_string()).collect();
        assert_eq!(
            names,
            [
                "data-backup-2026-2-11",
                "data-backup-2026-2-11-2",
                "data-backup-2026-2-11-10",
                "data-backup-2026-11-3"
            ]
        );
        assert!(entries[..3].iter().all(|e| e.state == State::Unverified));
        assert!(matches!(&entries[3].state, State::Broken(why) if why.contains("line 1")));
        assert_eq!(
            entries[0].state.to_string(),
            "unverified: without a manifest"
        );
    }

    #[test]
    fn only_batons_dead_leftovers_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let stem = "data-backup-2026-2-11";
        let dead = Workspace::create(dir.path(), stem, Work::Backup).unwrap();
        fs::create_dir_all(dead.tree().join("a")).unwrap();
        fs::write(dead.tree().join("a/b"), "x").unwrap();
        let dead = dead.keep();
        let restore = Workspace::create(dir.path(), stem, Work::Restore)
            .unwrap()
            .keep();
        let live = Workspace::create(dir.path(), stem, Work::Backup).unwrap();
        let foreign = at(".data-backup-2026-2-11.1.partial");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("mine"), "").unwrap();
        let empty = at(".data-backup-2026-2-11.2.partial");
        fs::create_dir(&empty).unwrap();
        let swept = sweep(dir.path()).unwrap();
        assert_eq!(swept.removed, {
            let mut both = vec![empty, dead];
            both.sort();
            both
        });
        assert_eq!(swept.left.len(), 3);
        assert!(foreign.join("mine").exists() && restore.exists() && live.path().exists());
    }
}
