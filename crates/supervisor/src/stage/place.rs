//! Putting a file into its place whole: written beside it, synced, renamed.
//!
//! These commands are often run as root on the home of a service that is not. What they make goes
//! to the owner of the directory that it is made in: the node must be able to write its own plan
//! over the operator's, and the supervisor to write beside the binary.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::files::sync_dir;

/// A file beside its place, durable but not in it yet. Removed again if it never gets there.
#[derive(Debug)]
pub(super) struct Fresh {
    path: PathBuf,
    place: PathBuf,
}

impl Fresh {
    /// A file with this content.
    pub(super) fn of(content: &[u8], place: &Path, mode: u32) -> io::Result<Self> {
        Self::filled(place, mode, |file| file.write_all(content))
    }

    /// A copy of an open file.
    pub(super) fn copy(source: &mut File, place: &Path, mode: u32) -> io::Result<Self> {
        Self::filled(place, mode, |file| io::copy(source, file).map(drop))
    }

    fn filled(
        place: &Path,
        mode: u32,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<Self> {
        let name = place
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
        let mut fresh = std::ffi::OsString::from(".");
        fresh.push(name);
        fresh.push(".new");
        let fresh = Self {
            path: place.with_file_name(fresh),
            place: place.to_owned(),
        };
        // What a crash left over may have another mode or owner, which opening would keep.
        match fs::remove_file(&fresh.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&fresh.path)?;
        give_to_owner_of_parent(&fresh.path)?;
        write(&mut file)?;
        file.sync_all()?;
        Ok(fresh)
    }

    /// Where it lies until it is put into its place.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it there in the stead of what may be there.
    pub(super) fn replace(self) -> io::Result<()> {
        fs::rename(&self.path, &self.place)?;
        self.sync()
    }

    /// Puts it there if nothing is; else the error is `AlreadyExists`.
    pub(super) fn place(self) -> io::Result<()> {
        match renameat_with(CWD, &self.path, CWD, &self.place, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            // Network and FUSE file systems need not know the flag; all of them know links.
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::hard_link(&self.path, &self.place)?;
                fs::remove_file(&self.path)?;
            }
            Err(e) => return Err(e.into()),
        }
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        self.place.parent().map_or(Ok(()), sync_dir)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // Gone already if it was put into its place.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a directory and those above it that are not there.
pub(super) fn make_directories(path: &Path, mode: u32) -> io::Result<()> {
    let missing: Vec<_> = path
        .ancestors()
        .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
        .collect();
    for directory in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(directory) {
            Ok(()) => give_to_owner_of_parent(directory)?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
            Err(e) => return Err(e),
        }
    }
    if path.is_dir() {
        Ok(())
    } else {
        Err(Errno::NOTDIR.into())
    }
}

/// Gives what root made to the owner of the directory that it is in.
pub(super) fn give_to_owner_of_parent(path: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let parent = fs::metadata(parent)?;
    let own = fs::symlink_metadata(path)?;
    if (own.uid(), own.gid()) == (parent.uid(), parent.gid()) {
        return Ok(());
    }
    std::os::unix::fs::lchown(path, Some(parent.uid()), Some(parent.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_place_that_is_taken_is_kept_unless_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("simd");
        fs::write(dir.path().join(".simd.new"), "left over").unwrap();
        Fresh::of(b"one", &place, 0o755).unwrap().place().unwrap();
        assert_eq!(
            fs::metadata(&place).unwrap().permissions().mode() & 0o700,
            0o700
        );
        let error = Fresh::of(b"two", &place, 0o755)
            .unwrap()
            .place()
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&place).unwrap(), b"one");
        assert_eq!(names(dir.path()), ["simd"], "nothing is left beside it");
        Fresh::of(b"two", &place, 0o755).unwrap().replace().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"two");
    }

    #[test]
    fn a_file_can_be_copied_over_itself() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("simd");
        fs::write(&place, "same").unwrap();
        let mut source = File::open(&place).unwrap();
        Fresh::copy(&mut source, &place, 0o755)
            .unwrap()
            .replace()
            .unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"same");
        assert_eq!(names(dir.path()), ["simd"]);
    }

    #[test]
    fn directories_are_made_down_to_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        make_directories(&deep, 0o750).unwrap();
        make_directories(&deep, 0o750).unwrap();
        assert_eq!(
            fs::metadata(&deep).unwrap().permissions().mode() & 0o777,
            0o750
        );
        fs::write(deep.join("file"), "").unwrap();
        make_directories(&deep.join("file/d"), 0o750).unwrap_err();
        make_directories(&deep.join("file"), 0o750).unwrap_err();
    }

    #[test]
    fn what_fails_on_the_way_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut directory = File::open(dir.path()).unwrap();
        let place = dir.path().join("simd");
        Fresh::copy(&mut directory, &place, 0o755).unwrap_err();
        assert!(names(dir.path()).is_empty());
    }
}
