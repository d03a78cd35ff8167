//! What a restore that was interrupted left, and how it is brought to an end.
//!
//! A restore builds the new directory in a workspace beside the present one, records the new one's
//! inode there, and lets the two change places. An inode keeps its number through renames, so
//! after a crash the record tells which directory is which, and nothing but what Baton built is
//! ever removed. A restore that is not interrupted ends by this same code.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::{BackupError, Doing};
use super::name::numbered;
use super::restore::RestoreError;
use super::text;
use super::workspace::{Found, Swap, Work, Workspace, rename_to_free};
use crate::files::sync_dir;

/// The most directories put aside on one day.
const MAX_ASIDE: u32 = 999;

/// How many symlinks lead to the data at most, as in the kernel.
const MAX_LINKS: u32 = 40;

/// How an interrupted restore was brought to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It had changed nothing; what it had built is removed.
    Undone,
    /// The restored data is in its place now.
    Finished,
    /// The restored data was in its place; the data from before has this name now.
    SetAside(PathBuf),
    /// Something was changed by hand meanwhile; what is here was left alone.
    LeftAlone(PathBuf),
}

/// The data directory with symlinks resolved, whether it is there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) data: PathBuf,
    pub(crate) parent: PathBuf,
    /// The directory's name, as text.
    pub(crate) stem: String,
}

impl Place {
    pub(crate) fn of(data: &Path) -> Result<Self, BackupError> {
        let real = match fs::canonicalize(data) {
            Ok(real) => real,
            // A restore may have been interrupted while there is none.
            Err(e) if e.kind() == io::ErrorKind::NotFound => follow(data)?,
            Err(e) => return Err(BackupError::at("finding", data, e)),
        };
        let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
            return Err(BackupError::NotADirectory(data.to_owned()));
        };
        let parent = fs::canonicalize(parent).doing("finding", parent)?;
        Ok(Self {
            data: parent.join(name),
            stem: text::to_text(Path::new(name)),
            parent,
        })
    }

    fn ino(path: &Path) -> Result<Option<u64>, BackupError> {
        match fs::symlink_metadata(path) {
            Ok(meta) => Ok(Some(meta.ino())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(BackupError::at("looking at", path, e)),
        }
    }

    /// Gives a directory the first free name of this stem.
    pub(crate) fn set_aside(&self, from: &Path, stem: &Path) -> Result<PathBuf, BackupError> {
        for number in 1..=MAX_ASIDE {
            let path = self.aside(stem, number);
            if rename_to_free(from, &path).doing("renaming to", &path)? {
                sync_dir(&self.parent).doing("flushing", &self.parent)?;
                return Ok(path);
            }
        }
        let dest = self.parent.clone();
        let limit = MAX_ASIDE;
        Err(BackupError::NoName { dest, limit })
    }

    /// The name that [`Place::set_aside`] would give.
    pub(crate) fn free_aside(&self, stem: &Path) -> Option<PathBuf> {
        (1..=MAX_ASIDE)
            .map(|number| self.aside(stem, number))
            .find(|path| fs::symlink_metadata(path).is_err())
    }

    fn aside(&self, stem: &Path, number: u32) -> PathBuf {
        let suffix = std::fmt::from_fn(|f| numbered(f, number)).to_string();
        let mut name = stem.as_os_str().to_owned();
        name.push(suffix);
        self.parent.join(name)
    }
}

/// Where a symlink leads although nothing is there.
fn follow(path: &Path) -> Result<PathBuf, BackupError> {
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => return Ok(at),
        }
    }
    let looped = io::Error::other(format!("more than {MAX_LINKS} symlinks"));
    Err(BackupError::at("following", path, looped))
}

/// What to do about a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Remove it with what was built in it.
    Discard,
    /// Put what was built in its place.
    Finish,
    /// What is in it is the data from before.
    SetAside,
    /// Remove it; nothing is in it.
    Clear,
    /// It cannot be told.
    Leave,
}

/// Decides by the inodes of the new directory, of what is in the data's place, and of what is in
/// the workspace.
fn decide(new: Option<u64>, data: Option<u64>, tree: Option<u64>) -> Step {
    match (new, data, tree) {
        // Not complete, so the data was not touched.
        (None, _, _) => Step::Discard,
        (Some(_), _, None) => Step::Clear,
        (Some(new), None, Some(tree)) if tree == new => Step::Finish,
        (Some(new), Some(data), Some(tree)) if tree == new && data != new => Step::Discard,
        (Some(new), Some(data), Some(_)) if data == new => Step::SetAside,
        // The restored data has been moved away by hand: the workspace has the data from before.
        (Some(_), None, Some(_)) => Step::SetAside,
        (Some(_), Some(_), Some(_)) => Step::Leave,
    }
}

/// Brings to an end what interrupted restores of this data directory left. To be called before the
/// node is started.
pub fn settle(data: &Path) -> Result<Vec<Settled>, RestoreError> {
    let place = Place::of(data)?;
    let mut settled = Vec::new();
    for path in Workspace::names(&place.parent, |stem| stem == place.stem)? {
        match Workspace::find(&path)? {
            Found::Left(owner, workspace) => match owner.work {
                Work::Restore | Work::Backup => settled.push(end(&place, workspace, None)?),
                Work::Swap(swap) => settled.push(end(&place, workspace, Some(&swap))?),
            },
            Found::Held => return Err(RestoreError::Running(path)),
            Found::Foreign => {}
        }
    }
    Ok(settled)
}

/// Brings one restore to its end.
pub(crate) fn end(
    place: &Place,
    workspace: Workspace,
    swap: Option<&Swap>,
) -> Result<Settled, BackupError> {
    let tree = workspace.tree();
    let new = swap.map(|s| s.new_ino);
    let step = decide(new, Place::ino(&place.data)?, Place::ino(&tree)?);
    let settled = match (step, swap) {
        (Step::Finish, _) => {
            if !rename_to_free(&tree, &place.data).doing("renaming to", &place.data)? {
                return Ok(Settled::LeftAlone(workspace.keep()));
            }
            sync_dir(&place.parent).doing("flushing", &place.parent)?;
            Settled::Finished
        }
        (Step::SetAside, Some(swap)) => Settled::SetAside(place.set_aside(&tree, &swap.aside)?),
        (Step::Leave | Step::SetAside, _) => return Ok(Settled::LeftAlone(workspace.keep())),
        (Step::Clear, _) => Settled::Finished,
        (Step::Discard, _) => Settled::Undone,
    };
    workspace.remove()?;
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_what_was_built_is_ever_discarded() {
        let inodes = [None, Some(1), Some(2), Some(3)];
        for new in [None, Some(1)] {
            for data in inodes {
                for tree in inodes {
                    // Two names of one directory do not exist.
                    if data == tree && data.is_some() {
                        continue;
                    }
                    let step = decide(new, data, tree);
                    if step == Step::Discard && new.is_some() {
                        assert_eq!(tree, new, "{data:?}");
                        assert!(data.is_some(), "nothing would be left");
                    }
                    if step == Step::Finish {
                        assert_eq!((data, tree), (None, new));
                    }
                    if step == Step::Clear {
                        assert_eq!(tree, None);
                    }
                    if step == Step::SetAside {
                        assert!(tree.is_some() && tree != new);
                    }
                }
            }
        }
        assert_eq!(decide(Some(1), Some(1), Some(2)), Step::SetAside);
        assert_eq!(decide(Some(1), Some(2), Some(1)), Step::Discard);
        assert_eq!(decide(Some(1), None, Some(1)), Step::Finish);
        assert_eq!(decide(Some(1), Some(1), None), Step::Clear);
        assert_eq!(decide(Some(1), Some(2), Some(3)), Step::Leave);
        assert_eq!(decide(None, Some(2), Some(3)), Step::Discard);
    }

    #[test]
    fn the_place_is_found_behind_symlinks_even_when_nothing_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(real.join("disk")).unwrap();
        fs::create_dir_all(real.join("home")).unwrap();
        symlink("../disk/node", real.join("home/data")).unwrap();
        let place = Place::of(&real.join("home/data")).unwrap();
        assert_eq!(place.data, real.join("disk/node"));
        fs::create_dir(real.join("disk/node")).unwrap();
        assert_eq!(Place::of(&real.join("home/data")).unwrap(), place);
        symlink("loop", real.join("loop")).unwrap();
        assert!(Place::of(&real.join("loop")).is_err());
        let error = Place::of(&real.join("no/where/data")).unwrap_err();
        assert!(error.to_string().contains("no/where"), "{error}");
    }
}
