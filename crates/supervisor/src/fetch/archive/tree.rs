//! The directory an archive is unpacked into, and what may be written there.
//!
//! Two rules keep everything inside, whatever the order of entries. First: every parent of an entry
//! is a real directory of this tree, never a link, so nothing is written through a link. Second: a
//! link's target is relative, has `..` only at its start, and no more of them than the link is deep;
//! as the link's own directory is real, the target starts inside, and other links met on the way obey
//! the same rule.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use super::super::disk::NoSpace;
use super::{ArchiveError, Bounds, Watch};

/// How deep a path may go, and how long it may be in bytes (Linux's `PATH_MAX`).
const MAX_DEPTH: usize = 64;
const MAX_PATH: usize = 4096;
/// How often the watcher is told.
const WATCH_EVERY: u64 = 4 << 20;

/// What is wrong with an entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// `..` in its path.
    Outside,
    /// An absolute path.
    Absolute,
    /// No path at all.
    Nameless,
    /// A path too deep or too long.
    TooDeep,
    /// A second entry of the same path.
    Duplicate,
    /// A link whose target is not inside.
    LinkOutside(String),
    /// A path that leads through a link.
    ThroughLink(String),
    /// A path that leads through a file.
    ThroughFile(String),
    /// A hard link to what is not a file unpacked before.
    LinkToNothing(String),
    /// A device, a pipe or something unknown.
    Special(String),
    /// A sparse file in a format that is not read.
    Sparse,
    /// Encrypted.
    Encrypted,
    /// A compression that is not read.
    Compression(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => f.write_str("leads out of the archive: its path contains '..'"),
            Self::Absolute => f.write_str("has an absolute path"),
            Self::Nameless => f.write_str("has no name"),
            Self::TooDeep => write!(
                f,
                "is more than {MAX_DEPTH} directories deep or its path longer than {MAX_PATH} bytes (limits)"
            ),
            Self::Duplicate => f.write_str("is in the archive twice"),
            Self::LinkOutside(target) => write!(
                f,
                "is a link to \"{target}\": only relative targets inside of the archive are \
                 accepted, with '..' only at their start"
            ),
            Self::ThroughLink(link) => write!(f, "would be written through the link \"{link}\""),
            Self::ThroughFile(file) => write!(f, "lies below \"{file}\", which is a file"),
            Self::LinkToNothing(target) => write!(
                f,
                "is a hard link to \"{target}\", which is not a file unpacked before it"
            ),
            Self::Special(what) => write!(f, "is {what}; only files, directories and links are unpacked"),
            Self::Sparse => f.write_str(
                "is a sparse file in the PAX format, which is not supported; pack it without --sparse",
            ),
            Self::Encrypted => f.write_str("is encrypted"),
            Self::Compression(name) => write!(
                f,
                "is compressed with {name}, which is not supported in zip files (supported: \
                 stored, deflate, bzip2, zstd)"
            ),
        }
    }
}

/// The tree being written.
pub(super) struct Tree<'a> {
    root: &'a Path,
    bounds: Bounds,
    entries: u64,
    bytes: u64,
    told: u64,
    files: Vec<PathBuf>,
    watch: Watch<'a>,
    buffer: Vec<u8>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: &'a Path, bounds: Bounds, watch: Watch<'a>) -> Self {
        Self {
            root,
            bounds,
            entries: 0,
            bytes: 0,
            told: 0,
            files: Vec::new(),
            watch,
            buffer: vec![0; 64 * 1024],
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(super) fn root(&self) -> &Path {
        self.root
    }

    /// Makes a directory; one that is there already is fine.
    pub(super) fn directory(&mut self, name: &[u8]) -> Result<(), ArchiveError> {
        self.count()?;
        let path = components(name).map_err(|p| entry(name, p))?;
        self.make_directories(name, &path)
    }

    /// Writes a file from `reader`, whose failures `damaged` puts into words. Of `mode` the
    /// permissions of the owner, and reading and executing for others, are kept.
    pub(super) fn file(
        &mut self,
        name: &[u8],
        mode: u32,
        reader: &mut dyn Read,
        damaged: &dyn Fn(io::Error) -> ArchiveError,
    ) -> Result<(), ArchiveError> {
        self.count()?;
        let path = self.new_path(name)?;
        let target = self.root.join(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode & 0o755 | 0o600)
            .open(&target)
            .map_err(|e| self.refused(name, "create", &target, e))?;
        self.copy(reader, &mut file, &target, damaged)?;
        self.files.push(path);
        Ok(())
    }

    /// Makes a symbolic link.
    pub(super) fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        self.count()?;
        let path = self.new_path(name)?;
        let depth = path.components().count() - 1;
        if !stays_inside(target, depth) {
            return Err(entry(name, Problem::LinkOutside(lossy(target))));
        }
        let link = self.root.join(&path);
        std::os::unix::fs::symlink(OsStr::from_bytes(target), &link)
            .map_err(|e| self.refused(name, "create the link", &link, e))
    }

    /// Makes a second name for a file that was unpacked before.
    pub(super) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        self.count()?;
        let path = self.new_path(name)?;
        let known = components(target)
            .ok()
            .map(|c| c.iter().collect::<PathBuf>())
            .filter(|t| self.files.contains(t))
            .ok_or_else(|| entry(name, Problem::LinkToNothing(lossy(target))))?;
        let link = self.root.join(&path);
        fs::hard_link(self.root.join(known), &link)
            .map_err(|e| self.refused(name, "create the link", &link, e))?;
        self.files.push(path);
        Ok(())
    }

    /// The regular files, in the archive's order.
    pub(super) fn finish(self) -> Result<Vec<PathBuf>, ArchiveError> {
        if self.entries == 0 {
            return Err(ArchiveError::Empty);
        }
        Ok(self.files)
    }

    fn count(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(ArchiveError::TooManyEntries {
                limit: self.bounds.entries,
            });
        }
        Ok(())
    }

    /// The path of an entry that is to be made, with its parents there.
    fn new_path(&mut self, name: &[u8]) -> Result<PathBuf, ArchiveError> {
        let path = components(name).map_err(|p| entry(name, p))?;
        let Some((_, parents)) = path.split_last() else {
            return Err(entry(name, Problem::Nameless));
        };
        self.make_directories(name, parents)?;
        Ok(path.iter().collect())
    }

    fn make_directories(&self, name: &[u8], path: &[OsString]) -> Result<(), ArchiveError> {
        let mut at = self.root.to_owned();
        for component in path {
            at.push(component);
            let relative = || {
                let inside = at.strip_prefix(self.root).unwrap_or(&at);
                inside.to_string_lossy().into_owned()
            };
            match fs::symlink_metadata(&at) {
                Ok(meta) if meta.is_dir() => {}
                Ok(meta) if meta.is_symlink() => {
                    return Err(entry(name, Problem::ThroughLink(relative())));
                }
                Ok(_) => return Err(entry(name, Problem::ThroughFile(relative()))),
                Err(e) if e.kind() == io::ErrorKind::NotFound => DirBuilder::new()
                    .mode(0o755)
                    .create(&at)
                    .map_err(|e| self.refused(name, "create the directory", &at, e))?,
                Err(e) => return Err(self.refused(name, "look at", &at, e)),
            }
        }
        Ok(())
    }

    fn copy(
        &mut self,
        reader: &mut dyn Read,
        file: &mut File,
        path: &Path,
        damaged: &dyn Fn(io::Error) -> ArchiveError,
    ) -> Result<(), ArchiveError> {
        loop {
            let n = match reader.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(damaged(e)),
            };
            self.bytes += n as u64;
            if self.bytes > self.bounds.bytes {
                return Err(ArchiveError::TooLarge {
                    limit: self.bounds.bytes,
                });
            }
            file.write_all(&self.buffer[..n])
                .map_err(|e| self.refused(b"", "write", path, e))?;
            if self.bytes - self.told >= WATCH_EVERY {
                self.tell()?;
            }
        }
        self.tell()
    }

    fn tell(&mut self) -> Result<(), ArchiveError> {
        self.told = self.bytes;
        match (self.watch)(self.bytes) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ArchiveError::Cancelled),
        }
    }

    /// Puts an answer of the file system into words.
    fn refused(
        &self,
        name: &[u8],
        doing: &'static str,
        path: &Path,
        source: io::Error,
    ) -> ArchiveError {
        if source.kind() == io::ErrorKind::AlreadyExists {
            return entry(name, Problem::Duplicate);
        }
        if let Some(full) = NoSpace::from_error(&source, self.root) {
            return full.into();
        }
        ArchiveError::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

/// An error about one entry.
pub(super) fn entry(name: &[u8], problem: Problem) -> ArchiveError {
    ArchiveError::Entry {
        entry: lossy(name),
        problem,
    }
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(200)]).into_owned()
}

/// The directories and file of an entry's name; empty for the root itself.
fn components(name: &[u8]) -> Result<Vec<OsString>, Problem> {
    if name.is_empty() {
        return Err(Problem::Nameless);
    }
    if name.len() > MAX_PATH {
        return Err(Problem::TooDeep);
    }
    let mut path = Vec::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(part) => path.push(part.to_owned()),
            Component::CurDir => {}
            Component::ParentDir => return Err(Problem::Outside),
            Component::RootDir | Component::Prefix(_) => return Err(Problem::Absolute),
        }
    }
    if path.len() > MAX_DEPTH {
        return Err(Problem::TooDeep);
    }
    Ok(path)
}

/// Whether a link `depth` directories deep with this target stays in the tree.
fn stays_inside(target: &[u8], depth: usize) -> bool {
    if target.is_empty() || target.len() > MAX_PATH {
        return false;
    }
    let (mut ups, mut downs) = (0, 0);
    for component in Path::new(OsStr::from_bytes(target)).components() {
        match component {
            Component::Normal(_) => downs += 1,
            Component::CurDir => {}
            Component::ParentDir if downs == 0 => ups += 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    ups <= depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_or_problems() {
        let ok = |name: &str| {
            let path: PathBuf = components(name.as_bytes()).unwrap().iter().collect();
            path
        };
        assert_eq!(ok("./bin//simd"), PathBuf::from("bin/simd"));
        assert_eq!(ok("./"), PathBuf::new());
        assert_eq!(ok("..a/b.."), PathBuf::from("..a/b.."));
        for (name, problem) in [
            ("", Problem::Nameless),
            ("../x", Problem::Outside),
            ("a/../b", Problem::Outside),
            ("a/..", Problem::Outside),
            ("/etc/passwd", Problem::Absolute),
            (&"a/".repeat(65), Problem::TooDeep),
            (&"a".repeat(5000), Problem::TooDeep),
        ] {
            assert_eq!(components(name.as_bytes()), Err(problem), "{name}");
        }
    }

    #[test]
    fn targets_of_links_must_stay_inside() {
        for (target, depth, inside) in [
            ("libfoo.so.1", 0, true),
            ("../lib/libfoo.so", 1, true),
            ("./a/./b", 0, true),
            ("../x", 0, false),
            ("../../x", 1, false),
            ("a/../../x", 1, false),
            ("a/..", 0, false),
            ("a/..", 1, false),
            ("/etc/passwd", 5, false),
            ("", 1, false),
        ] {
            assert_eq!(stays_inside(target.as_bytes(), depth), inside, "{target}");
        }
    }

    proptest::proptest! {
        /// Whatever links an archive makes, none resolves to a place outside.
        #[test]
        fn no_set_of_links_leads_outside(
            links in proptest::collection::vec(
                ("[abc](/[abc]){0,2}", "(\\.\\./){0,3}([abc]|\\.|\\.\\.)(/([abc]|\\.\\.)){0,3}"),
                1..12,
            ),
        ) {
            let outer = tempfile::tempdir().unwrap();
            let outer = outer.path().canonicalize().unwrap();
            fs::write(outer.join("a"), "outside").unwrap();
            let root = outer.join("root");
            fs::create_dir(&root).unwrap();
            let mut go_on = |_| ControlFlow::Continue(());
            let bounds = Bounds { entries: 100, bytes: 100 };
            let mut tree = Tree::new(&root, bounds, &mut go_on);
            for (name, target) in &links {
                let _ = tree.symlink(name.as_bytes(), target.as_bytes());
            }
            for (name, _) in &links {
                let path = root.join(name);
                if let Ok(real) = path.canonicalize() {
                    proptest::prop_assert!(real.starts_with(&root), "{path:?} -> {real:?}");
                }
            }
        }
    }
}
