//! A directory as it is: every file with what identifies it and what must be kept of it.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid};

use super::error::{BackupError, Change, Doing};

/// The most files and directories that a backup takes.
pub(crate) const MAX_NODES: usize = 5_000_000;

/// One file, directory or symlink.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Below the root; empty for the root itself.
    pub(crate) rel: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) seen: Seen,
    pub(crate) attrs: Attrs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir,
    File,
    /// With its target, as it is written there.
    Symlink(PathBuf),
}

/// What tells whether a file is still the one that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    /// Bytes on the disk: fewer than `size` for a sparse file.
    pub(crate) allocated: u64,
    pub(crate) mtime: Stamp,
}

/// What is kept of a file beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attrs {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Stamp,
    pub(crate) atime: Stamp,
}

/// Seconds since 1970 and nanoseconds.
pub(crate) type Stamp = (i64, u32);

/// What a backup leaves out: sockets, pipes, devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Below the data directory.
    pub path: PathBuf,
    /// What it is.
    pub what: &'static str,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (a {})", self.path.display(), self.what)
    }
}

/// A directory and all that is in it, each after its parent, in the order of the names.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) nodes: Vec<Node>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Seen {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            // st_blocks counts 512 bytes, whatever the block size is (stat(2)).
            allocated: meta.blocks().saturating_mul(512),
            mtime: stamp(meta.mtime(), meta.mtime_nsec()),
        }
    }

    /// What has happened since.
    pub(crate) fn change(&self, now: Option<&Self>) -> Option<Change> {
        let Some(now) = now else {
            return Some(Change::Vanished);
        };
        let (from, to) = (self.size, now.size);
        if (now.dev, now.ino) != (self.dev, self.ino) {
            Some(Change::Replaced)
        } else if to < from {
            Some(Change::Shrank { from, to })
        } else if to > from {
            Some(Change::Grew { from, to })
        } else if now.mtime != self.mtime {
            Some(Change::Written)
        } else {
            None
        }
    }

    pub(crate) fn is_sparse(&self) -> bool {
        self.allocated < self.size
    }
}

impl Attrs {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self {
            mode: meta.permissions().mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            mtime: stamp(meta.mtime(), meta.mtime_nsec()),
            atime: stamp(meta.atime(), meta.atime_nsec()),
        }
    }

    pub(crate) fn times(&self) -> Timestamps {
        let spec = |(tv_sec, nanos): Stamp| Timespec {
            tv_sec,
            tv_nsec: nanos.into(),
        };
        Timestamps {
            last_access: spec(self.atime),
            last_modification: spec(self.mtime),
        }
    }

    /// Gives a file or directory its owner, mode and times, in the order in which none undoes
    /// another.
    pub(crate) fn give(&self, to: &File, owner: bool) -> io::Result<()> {
        if owner {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            rustix::fs::fchown(to, Some(uid), Some(gid))?;
        }
        rustix::fs::fchmod(to, Mode::from_raw_mode(self.mode))?;
        rustix::fs::futimens(to, &self.times())?;
        Ok(())
    }

    /// The same for a symlink, which has no mode.
    pub(crate) fn give_symlink(&self, at: &Path, owner: bool) -> io::Result<()> {
        if owner {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            rustix::fs::chownat(CWD, at, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        rustix::fs::utimensat(CWD, at, &self.times(), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }
}

fn stamp(secs: i64, nanos: i64) -> Stamp {
    (secs, u32::try_from(nanos).unwrap_or(0))
}

impl Tree {
    /// Looks at a directory. At its top, `without` and the `lost+found` of a file system are left
    /// out.
    pub(crate) fn scan(
        root: &Path,
        without: &[&str],
        cancelled: impl Fn() -> bool,
    ) -> Result<Self, BackupError> {
        Self::scan_up_to(MAX_NODES, root, without, cancelled)
    }

    fn scan_up_to(
        limit: usize,
        root: &Path,
        without: &[&str],
        cancelled: impl Fn() -> bool,
    ) -> Result<Self, BackupError> {
        let meta = fs::symlink_metadata(root).doing("looking at", root)?;
        if !meta.is_dir() {
            return Err(BackupError::NotADirectory(root.to_owned()));
        }
        let mut tree = Self {
            root: root.to_owned(),
            nodes: vec![Node::new(PathBuf::new(), Kind::Dir, &meta)],
            skipped: Vec::new(),
        };
        let mut dirs = vec![PathBuf::new()];
        while let Some(dir) = dirs.pop() {
            if cancelled() {
                return Err(BackupError::Cancelled);
            }
            let at = root.join(&dir);
            let mut names = Vec::new();
            for entry in fs::read_dir(&at).map_err(|e| gone_or("reading", &at, e))? {
                names.push(entry.doing("reading", &at)?.file_name());
                if tree.nodes.len() + names.len() > limit {
                    let path = root.to_owned();
                    return Err(BackupError::TooMany { path, limit });
                }
            }
            names.sort_unstable();
            let top = dir.as_os_str().is_empty();
            let mut below = Vec::new();
            for name in names {
                if top && (name == "lost+found" || without.iter().any(|w| name == OsStr::new(w))) {
                    continue;
                }
                if let Some(node) = tree.look(dir.join(name))? {
                    if node.kind == Kind::Dir {
                        below.push(node.rel.clone());
                    }
                    tree.nodes.push(node);
                }
            }
            below.reverse();
            dirs.append(&mut below);
        }
        Ok(tree)
    }

    fn look(&mut self, rel: PathBuf) -> Result<Option<Node>, BackupError> {
        let at = self.root.join(&rel);
        let meta = fs::symlink_metadata(&at).map_err(|e| gone_or("looking at", &at, e))?;
        let file_type = meta.file_type();
        let kind = if file_type.is_file() {
            Kind::File
        } else if file_type.is_dir() {
            Kind::Dir
        } else if file_type.is_symlink() {
            Kind::Symlink(fs::read_link(&at).map_err(|e| gone_or("reading", &at, e))?)
        } else {
            let what = if file_type.is_socket() {
                "socket"
            } else if file_type.is_fifo() {
                "pipe"
            } else {
                "device"
            };
            self.skipped.push(Skipped { path: rel, what });
            return Ok(None);
        };
        Ok(Some(Node::new(rel, kind, &meta)))
    }

    /// The files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| n.kind == Kind::File)
    }

    /// Whether every file is still what it was when it was looked at.
    pub(crate) fn check_unchanged(&self, cancelled: impl Fn() -> bool) -> Result<(), BackupError> {
        for (i, node) in self.files().enumerate() {
            if i % 1024 == 0 && cancelled() {
                return Err(BackupError::Cancelled);
            }
            let path = self.root.join(&node.rel);
            let now = match fs::symlink_metadata(&path) {
                Ok(meta) => Some(Seen::of(&meta)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                Err(e) => return Err(BackupError::at("looking at", &path, e)),
            };
            if let Some(change) = node.seen.change(now.as_ref()) {
                return Err(BackupError::Changed { path, change });
            }
        }
        Ok(())
    }
}

impl Node {
    fn new(rel: PathBuf, kind: Kind, meta: &Metadata) -> Self {
        Self {
            rel,
            kind,
            seen: Seen::of(meta),
            attrs: Attrs::of(meta),
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.rel.as_os_str().is_empty()
    }
}

/// What was listed a moment ago and is gone was removed by something still alive.
fn gone_or(doing: &'static str, path: &Path, error: io::Error) -> BackupError {
    if error.kind() == io::ErrorKind::NotFound {
        let path = path.to_owned();
        let change = Change::Vanished;
        return BackupError::Changed { path, change };
    }
    BackupError::at(doing, path, error)
}

/// Removes a directory that Baton made, with all that is in it, however its modes are.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        // A directory without write permission keeps its content, unless we are root.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            open_up(dir)?;
            fs::remove_dir_all(dir)
        }
        other => other,
    }
}

fn open_up(dir: &Path) -> io::Result<()> {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn never() -> bool {
        false
    }

    #[test]
    fn a_tree_is_listed_parents_first_and_without_what_cannot_be_copied() {
        let dir = tempfile::tempdir().unwrap();
        let at = |p: &str| dir.path().join(p);
        fs::create_dir_all(at("b/c")).unwrap();
        fs::create_dir_all(at("lost+found")).unwrap();
        fs::create_dir_all(at("b/lost+found")).unwrap();
        fs::write(at("b/c/f"), "x").unwrap();
        fs::write(at("a"), "").unwrap();
        fs::write(at("left-out"), "").unwrap();
        symlink("../nowhere", at("b/l")).unwrap();
        let _socket = UnixListener::bind(at("s")).unwrap();
        let tree = Tree::scan(dir.path(), &["left-out"], never).unwrap();
        let names: Vec<_> = tree.nodes.iter().map(|n| n.rel.to_str().unwrap()).collect();
        assert_eq!(names, ["", "a", "b", "b/c", "b/l", "b/lost+found", "b/c/f"]);
        assert_eq!(tree.nodes[4].kind, Kind::Symlink("../nowhere".into()));
        let path = PathBuf::from("s");
        assert_eq!(
            tree.skipped,
            [Skipped {
                path,
                what: "socket"
            }]
        );
    }

    #[test]
    fn the_limit_and_a_cancellation_end_a_scan() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..10 {
            fs::write(dir.path().join(i.to_string()), "").unwrap();
        }
        let error = Tree::scan_up_to(10, dir.path(), &[], never).unwrap_err();
        assert!(error.to_string().contains("more than 10 files"), "{error}");
        assert_eq!(
            Tree::scan_up_to(11, dir.path(), &[], never)
                .unwrap()
                .nodes
                .len(),
            11
        );
        assert!(matches!(
            Tree::scan(dir.path(), &[], || true),
            Err(BackupError::Cancelled)
        ));
    }

    #[test]
    fn each_way_in_which_a_file_changes_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let f = dir.path().join("f");
        fs::write(&f, "12345").unwrap();
        let tree = || Tree::scan(dir.path(), &[], never).unwrap();
        let change = |tree: &Tree| match tree.check_unchanged(never) {
            Err(BackupError::Changed { path, change }) => {
                assert_eq!(path, f);
                Some(change)
            }
            Ok(()) => None,
            Err(e) => panic!("{e}"),
        };
        let before = tree();
        assert_eq!(change(&before), None);
        File::options()
            .append(true)
            .open(&f)
            .unwrap()
            .set_len(3)
            .unwrap();
        assert_eq!(change(&before), Some(Change::Shrank { from: 5, to: 3 }));
        fs::write(&f, "1234567").unwrap();
        assert_eq!(change(&before), Some(Change::Grew { from: 5, to: 7 }));
        fs::write(&f, "12345").unwrap();
        let past = std::time::UNIX_EPOCH;
        File::options()
            .append(true)
            .open(&f)
            .unwrap()
            .set_modified(past)
            .unwrap();
        assert_eq!(change(&before), Some(Change::Written));
        let other = dir.path().join("other");
        fs::write(&other, "12345").unwrap();
        fs::rename(&other, &f).unwrap();
        assert_eq!(change(&before), Some(Change::Replaced));
        fs::remove_file(&f).unwrap();
        assert_eq!(change(&before), Some(Change::Vanished));
    }

    #[test]
    fn a_tree_without_write_permission_can_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("t");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/f"), "x").unwrap();
        for d in ["a/b", "a"] {
            fs::set_permissions(top.join(d), fs::Permissions::from_mode(0o500)).unwrap();
        }
        // Root needs no permission, so the opening is looked at by itself.
        open_up(&top).unwrap();
        for d in ["a/b", "a", ""] {
            let mode = fs::metadata(top.join(d)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{d}");
        }
        remove(&top).unwrap();
        assert!(!top.exists());
        remove(&top).unwrap();
    }
}
