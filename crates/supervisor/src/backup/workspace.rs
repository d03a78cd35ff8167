//! The hidden directory in which something is made before it gets its name by one rename:
//! `.data-backup-2026-11-21.4711.partial/`, with the work in `tree/` and `owner.json` beside it.
//!
//! `owner.json` shows that Baton made the directory, and is locked while its maker lives. So what
//! a crash left can be told from what is being made and from the operator's files, and an
//! incomplete backup never carries the name of a complete one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::{BackupError, Doing};
use super::tree;
use crate::files::sync_dir;

const OWNER: &str = "owner.json";

/// The largest `owner.json` that is read, in bytes.
const MAX_OWNER: u64 = 64 << 10;

/// How often a directory is made anew whose name is taken or that is swept away while it is made.
const MAX_TRIES: u32 = 100;

/// What is in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// The process, for people.
    pub(crate) pid: u32,
    pub(crate) work: Work,
}

/// What is being made there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Work {
    /// A backup; or one that is being removed.
    Backup,
    /// A data directory that is not complete yet.
    Restore,
    /// A complete data directory that may already have changed places with the present one.
    Swap(Swap),
}

/// What tells the two apart after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Swap {
    /// The inode of the new directory, which keeps it through renames.
    pub(crate) new_ino: u64,
    /// The name for the old directory.
    #[serde(with = "super::text")]
    pub(crate) aside: PathBuf,
}

/// A directory of this process, removed when dropped.
#[derive(Debug)]
pub(crate) struct Workspace {
    path: PathBuf,
    owner: File,
    keep: bool,
}

/// A directory that was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its maker is gone; this process now holds it.
    Left(Owner, Workspace),
    /// Its maker lives, or its lock cannot be told.
    Held,
    /// Not made by Baton, or not yet.
    Foreign,
}

impl Workspace {
    /// Makes a directory `.<stem>.<pid>.partial` in `parent`.
    pub(crate) fn create(parent: &Path, stem: &str, work: Work) -> Result<Self, BackupError> {
        let pid = process::id();
        let mut path = parent.join(format!(".{stem}.{pid}.partial"));
        let owner = Owner { pid, work };
        for again in 2..MAX_TRIES {
            match Self::try_create(&path, &owner) {
                Ok(Some(workspace)) => return Ok(workspace),
                Ok(None) => {}
                Err(e) => return Err(BackupError::at("creating", &path, e)),
            }
            path = parent.join(format!(".{stem}.{pid}-{again}.partial"));
        }
        let taken = io::Error::new(io::ErrorKind::AlreadyExists, "all names are taken");
        Err(BackupError::at("creating", &path, taken))
    }

    /// `Ok(None)`: the name is taken, or someone who looked for leftovers was quicker.
    fn try_create(path: &Path, owner: &Owner) -> io::Result<Option<Self>> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            made => made?,
        }
        let file = match OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path.join(OWNER))
        {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        // Where there are no locks, nobody takes this directory for a leftover: see `find`.
        if !lock(&file).unwrap_or(true) || !is_at(&file, &path.join(OWNER)) {
            return Ok(None);
        }
        let mut workspace = Self {
            path: path.to_owned(),
            owner: file,
            keep: false,
        };
        // Not flushed: a power cut may leave it empty, and that is taken for an incomplete work.
        workspace.owner.write_all(&serde_json::to_vec(owner)?)?;
        Ok(Some(workspace))
    }

    /// Records durably what is in the directory from now on. The lock passes to the new record,
    /// and dropping no longer removes anything.
    pub(crate) fn record(&mut self, work: Work) -> Result<(), BackupError> {
        let owner = Owner {
            pid: process::id(),
            work,
        };
        let fresh = self.path.join("owner.json.new");
        let written = (|| -> io::Result<File> {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            // Nobody else looks at this name, so the lock is free where there are locks.
            lock(&file).unwrap_or(true);
            file.write_all(&serde_json::to_vec(&owner)?)?;
            file.sync_all()?;
            fs::rename(&fresh, self.path.join(OWNER))?;
            sync_dir(&self.path)?;
            Ok(file)
        })();
        self.owner = written.doing("writing", &fresh)?;
        // What is here may soon be the operator's.
        self.keep = true;
        Ok(())
    }

    /// Where the work is.
    pub(crate) fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory for a later run.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.keep = true;
        self.path.clone()
    }

    /// Removes the directory with what is left in it.
    pub(crate) fn remove(mut self) -> Result<(), BackupError> {
        self.keep = true;
        self.clear().doing("removing", &self.path)
    }

    /// The owner goes last: while it is there, what is left can be recognised.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                tree::remove(&entry.path())?;
            } else if entry.file_name() != OWNER {
                fs::remove_file(entry.path())?;
            }
        }
        fs::remove_file(self.path.join(OWNER))?;
        fs::remove_dir(&self.path)
    }

    /// Looks at a directory with the name of a workspace.
    pub(crate) fn find(path: &Path) -> Result<Found, BackupError> {
        let at = path.join(OWNER);
        let file = match OpenOptions::new().read(true).write(true).open(&at) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Foreign),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(Found::Held),
            Err(e) => return Err(BackupError::at("opening", &at, e)),
        };
        if !lock(&file).unwrap_or(false) || !is_at(&file, &at) {
            return Ok(Found::Held);
        }
        let mut text = Vec::new();
        (&file)
            .take(MAX_OWNER)
            .read_to_end(&mut text)
            .doing("reading", &at)?;
        let workspace = Self {
            path: path.to_owned(),
            owner: file,
            keep: true,
        };
        Ok(match serde_json::from_slice(&text) {
            Ok(owner) => Found::Left(owner, workspace),
            // Empty after a crash before or soon after it was written. What changes the operator's
            // files is recorded durably, so this is none of that.
            Err(_) if text.is_empty() => {
                let (pid, work) = (0, Work::Backup);
                Found::Left(Owner { pid, work }, workspace)
            }
            Err(_) => Found::Foreign,
        })
    }

    /// The directories in `parent` that have the name of a workspace of this stem.
    pub(crate) fn names(
        parent: &Path,
        is_stem: impl Fn(&str) -> bool,
    ) -> Result<Vec<PathBuf>, BackupError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(parent).doing("reading", parent)? {
            let entry = entry.doing("reading", parent)?;
            if entry
                .file_name()
                .to_str()
                .and_then(stem)
                .is_some_and(&is_stem)
            {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = self.clear()
        {
            tracing::warn!(path = %self.path.display(), %error, "an incomplete directory could not be removed");
        }
    }
}

/// The stem of a workspace's name.
fn stem(name: &str) -> Option<&str> {
    let (stem, pid) = name
        .strip_prefix('.')?
        .strip_suffix(".partial")?
        .rsplit_once('.')?;
    let (pid, again) = pid.split_once('-').unwrap_or((pid, "2"));
    let number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    (number(pid) && number(again)).then_some(stem)
}

/// Whether the lock was free; it is held until the file is closed, also by a crash.
fn lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Renames a directory to a name that is free. `Ok(false)`: it is taken.
pub(crate) fn rename_to_free(from: &Path, to: &Path) -> io::Result<bool> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // The file system does not know the flag. A directory is only ever renamed over an empty
        // one, so looking first loses nothing but an empty directory made in between.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::symlink_metadata(to) {
            Ok(_) => Ok(false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => fs::rename(from, to).map(|()| true),
            Err(e) => Err(e),
        },
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_held_while_its_maker_lives_and_gone_when_it_fails() {
        let dir = tempfile::tempdir().unwrap();
        let first = Workspace::create(dir.path(), "data-backup-2026-1-2", Work::Backup).unwrap();
        let second = Workspace::create(dir.path(), "data-backup-2026-1-2", Work::Backup).unwrap();
        assert_ne!(first.path(), second.path());
        let all = || Workspace::names(dir.path(), |s| s.starts_with("data-backup-")).unwrap();
        assert_eq!(all().len(), 2);
        assert!(matches!(
            Workspace::find(first.path()).unwrap(),
            Found::Held
        ));
        fs::create_dir_all(first.tree().join("a")).unwrap();
        drop(first);
        assert_eq!(all(), [second.path()]);
    }

    #[test]
    fn a_leftover_is_found_with_its_record() {
        let dir = tempfile::tempdir().unwrap();
        let mut made = Workspace::create(dir.path(), "data", Work::Restore).unwrap();
        let swap = Work::Swap(Swap {
            new_ino: 7,
            aside: "data-before".into(),
        });
        made.record(swap.clone()).unwrap();
        assert!(matches!(Workspace::find(made.path()).unwrap(), Found::Held));
        let path = made.keep();
        let Found::Left(owner, found) = Workspace::find(&path).unwrap() else {
            panic!("not found");
        };
        assert_eq!(owner.work, swap);
        fs::create_dir(found.tree()).unwrap();
        found.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_baton_did_not_make_is_foreign() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".data-backup-2026-1-2.17.partial");
        fs::create_dir(&path).unwrap();
        assert!(matches!(Workspace::find(&path).unwrap(), Found::Foreign));
        fs::write(path.join(OWNER), "{\"mine\":1}").unwrap();
        assert!(matches!(Workspace::find(&path).unwrap(), Found::Foreign));
        fs::write(path.join(OWNER), "").unwrap();
        assert!(matches!(Workspace::find(&path).unwrap(), Found::Left(..)));
        assert!(path.exists());
    }

    #[test]
    fn only_names_of_workspaces_are_taken_for_them() {
        assert_eq!(stem(".data.17.partial"), Some("data"));
        assert_eq!(stem(".a.b.17-3.partial"), Some("a.b"));
        for other in [
            "data.17.partial",
            ".data.partial",
            ".data.x.partial",
            ".data.17-.partial",
            ".data.17",
        ] {
            assert_eq!(stem(other), None, "{other}");
        }
    }

    #[test]
    fn a_taken_name_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        assert!(!rename_to_free(&a, &b).unwrap());
        fs::remove_dir(&b).unwrap();
        assert!(rename_to_free(&a, &b).unwrap());
        assert!(b.exists() && !a.exists());
    }
}
