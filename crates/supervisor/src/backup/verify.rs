//! Is a backup still what it was when it was made?
//!
//! Files that were copied are read and their hash compared. Linked and cloned files were not read
//! when the backup was made (that is why it took no time), so they have no hash: they are compared
//! by size and time of modification, and a linked one by its inode, which shows that nothing has
//! replaced, cut or rewritten it.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::carry::How;
use super::content::{self, Cut};
use super::error::BackupError;
use super::manifest::{self, Line, MANIFEST, Summary, What};
use super::parallel;
use super::progress::{Observer, Stage};
use super::tree::{Kind, Node, Tree};

/// The most differences that are listed; all are counted.
const MAX_LISTED: usize = 100;

/// What was found.
#[derive(Debug, Clone)]
pub struct Verification {
    /// What the backup is.
    pub summary: Summary,
    /// Files whose content was read and compared.
    pub hashed: u64,
    /// Their bytes.
    pub hashed_bytes: u64,
    /// Files without a hash, compared by size and time.
    pub by_size_and_time: u64,
    /// Whether no linked file has the inode it had: the whole backup was copied to another place,
    /// and its linked files can be compared by size and time only.
    pub moved: bool,
    /// The first differences, in the order of the manifest.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub differences_total: u64,
}

/// One file that is not what the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Within the backup.
    pub path: PathBuf,
    /// What is different.
    pub what: Wrong,
}

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It is not there.
    Missing,
    /// It is there, but not in the manifest.
    Extra,
    /// A directory instead of a file, or the like.
    Kind,
    /// Another size.
    Size {
        /// In the manifest.
        expected: u64,
        /// Found.
        found: u64,
    },
    /// Another content.
    Content,
    /// A symlink to elsewhere.
    Target,
    /// A linked file is another file now.
    Replaced,
    /// A linked or cloned file was written to.
    Written,
    /// It cannot be read.
    Unreadable(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.what {
            Wrong::Missing => write!(f, "{path} is missing"),
            Wrong::Extra => write!(f, "{path} was added"),
            Wrong::Kind => write!(f, "{path} is of another kind"),
            Wrong::Size { expected, found } => {
                write!(f, "{path} has {found} bytes instead of {expected}")
            }
            Wrong::Content => write!(f, "{path} has another content"),
            Wrong::Target => write!(f, "{path} points elsewhere"),
            Wrong::Replaced => write!(f, "{path} was replaced by another file"),
            Wrong::Written => write!(f, "{path} was written to"),
            Wrong::Unreadable(why) => write!(f, "{path} cannot be read: {why}"),
        }
    }
}

impl Verification {
    /// Whether the backup is what it was.
    pub fn is_sound(&self) -> bool {
        self.differences_total == 0
    }
}

/// Compares a backup with its manifest, file by file.
pub fn verify(backup: &Path, observer: &dyn Observer) -> Result<Verification, BackupError> {
    let compared = Compared::new(backup, observer)?;
    let mut differences = compared.differences;
    let read = parallel::run(
        Stage::Verifying,
        &compared.to_hash,
        |(_, node, _)| node.seen.size.min(node.seen.allocated),
        observer,
        |(index, node, expected), scratch, meter| {
            let path = backup.join(&node.rel);
            let hash = match File::open(&path) {
                Ok(file) => {
                    let seen = node.seen;
                    content::hash(&file, seen.size, seen.is_sparse(), scratch, meter)
                }
                Err(e) => Err(Cut::Read(e)),
            };
            let what = match hash {
                Ok(hash) if hash == *expected => return Ok(None),
                Ok(_) => Wrong::Content,
                Err(Cut::Short(found)) => Wrong::Size {
                    expected: node.seen.size,
                    found,
                },
                Err(Cut::Read(e) | Cut::Write(e)) => Wrong::Unreadable(e.to_string()),
                Err(Cut::Stopped) => return Err(BackupError::Cancelled),
            };
            Ok(Some((*index, what)))
        },
    )?;
    for (index, what) in read.into_iter().flatten() {
        let path = compared.lines[index].path.clone();
        differences.push((index, Difference { path, what }));
    }
    differences.sort_by_key(|(index, _)| *index);
    Ok(Verification {
        hashed: compared.to_hash.len() as u64,
        hashed_bytes: compared.to_hash.iter().map(|(_, n, _)| n.seen.size).sum(),
        by_size_and_time: compared.by_size_and_time,
        moved: compared.moved,
        differences_total: differences.len() as u64,
        differences: differences
            .into_iter()
            .take(MAX_LISTED)
            .map(|(_, d)| d)
            .collect(),
        summary: compared.summary,
    })
}

/// A backup compared by all but content.
pub(crate) struct Compared {
    pub(crate) summary: Summary,
    pub(crate) lines: Vec<Line>,
    /// The backup's files, in the order of the manifest as far as they are in it.
    pub(crate) tree: Tree,
    /// What differs, by the line of the manifest.
    pub(crate) differences: Vec<(usize, Difference)>,
    /// What is left to read: the line, the file and its hash.
    to_hash: Vec<(usize, Node, blake3::Hash)>,
    by_size_and_time: u64,
    moved: bool,
}

impl Compared {
    pub(crate) fn new(backup: &Path, observer: &dyn Observer) -> Result<Self, BackupError> {
        let (summary, lines) = manifest::read(backup)?;
        let tree = Tree::scan(backup, &[MANIFEST], || observer.cancelled())?;
        let mut found: HashMap<&Path, &Node> =
            tree.nodes.iter().map(|n| (n.rel.as_path(), n)).collect();
        let (mut differences, mut to_hash) = (Vec::new(), Vec::new());
        let (mut by_size_and_time, mut linked) = (0, 0_u64);
        let mut other_inode = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let node = found.remove(line.path.as_path());
            let what = node.map_or(Some(Wrong::Missing), |node| compare(line, node));
            if let (
                None,
                Some(node),
                What::File {
                    how, blake3, ino, ..
                },
            ) = (&what, node, &line.what)
            {
                match blake3 {
                    Some(hash) => to_hash.push((index, node.clone(), *hash)),
                    None => by_size_and_time += 1,
                }
                linked += u64::from(*how == How::Linked);
                if ino.is_some_and(|ino| ino != node.seen.ino) {
                    other_inode.push(index);
                }
            }
            if let Some(what) = what {
                let path = line.path.clone();
                differences.push((index, Difference { path, what }));
            }
        }
        let moved = linked > 0 && other_inode.len() as u64 == linked;
        if !moved {
            for index in other_inode {
                let path = lines[index].path.clone();
                let what = Wrong::Replaced;
                differences.push((index, Difference { path, what }));
            }
        }
        let mut extra: Vec<&Path> = found.into_keys().collect();
        extra.extend(tree.skipped.iter().map(|s| s.path.as_path()));
        extra.sort_unstable();
        for path in extra {
            let path = path.to_owned();
            let what = Wrong::Extra;
            differences.push((lines.len(), Difference { path, what }));
        }
        differences.sort_by_key(|(index, _)| *index);
        Ok(Self {
            summary,
            lines,
            tree,
            differences,
            to_hash,
            by_size_and_time,
            moved,
        })
    }
}

/// What can be seen without reading the content.
fn compare(line: &Line, node: &Node) -> Option<Wrong> {
    match (&line.what, &node.kind) {
        (What::Dir, Kind::Dir) => None,
        (What::Symlink { target }, Kind::Symlink(found)) => {
            (target != found).then_some(Wrong::Target)
        }
        (What::File { size, blake3, .. }, Kind::File) => {
            let (expected, found) = (*size, node.seen.size);
            if expected != found {
                Some(Wrong::Size { expected, found })
            } else if blake3.is_none() && line.mtime != node.seen.mtime {
                Some(Wrong::Written)
            } else {
                None
            }
        }
        _ => Some(Wrong::Kind),
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
