//! How what was copied reaches the disk.
//!
//! `syncfs` is one journal commit for any number of files, but it also waits for everything else
//! that waits to be written on that file system, which on a busy machine takes longer than a small
//! backup. So a few files are flushed one by one, by the workers that wrote them, and many together;
//! and even then the large ones at once, which keeps the disk busy while others are read. Of a
//! linked file only the name is new: its store has flushed the content before it referred to it.

use std::fs::File;
use std::io;
use std::path::Path;

use super::carry::{How, Order};
use super::error::{BackupError, Doing};
use super::tree::{Kind, Node};
use crate::files::sync_dir;

/// The most files and directories that are flushed one by one. Each may cost a journal commit,
/// a few milliseconds on a usual disk.
const FEW: usize = 256;

/// Files from this size on are flushed at once even if there are many.
const LARGE: u64 = 1 << 20;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Each file and directory by itself.
    Each,
    /// The large files by themselves, the rest with the whole file system.
    Together,
}

impl Flush {
    pub(crate) fn choose(nodes: &[Node], orders: &[Order<'_>]) -> Self {
        let written = orders.iter().filter(|o| o.how != How::Linked).count();
        let dirs = nodes.iter().filter(|n| n.kind == Kind::Dir).count();
        if written + dirs <= FEW {
            Self::Each
        } else {
            Self::Together
        }
    }

    /// Flushes a file that was just written, or leaves it for later.
    pub(crate) fn file(self, file: &File, size: u64) -> io::Result<()> {
        match self {
            Self::Each => file.sync_all(),
            Self::Together if size >= LARGE => file.sync_data(),
            Self::Together => Ok(()),
        }
    }

    /// Makes durable what is left of a tree: its directories, with the names that were linked.
    pub(crate) fn tree(self, root: &Path, nodes: &[Node]) -> Result<(), BackupError> {
        match self {
            Self::Each => {
                for node in nodes.iter().rev().filter(|n| n.kind == Kind::Dir) {
                    let dir = root.join(&node.rel);
                    sync_dir(&dir).doing("flushing", &dir)?;
                }
                Ok(())
            }
            Self::Together => File::open(root)
                .and_then(|dir| Ok(rustix::fs::syncfs(&dir)?))
                .doing("flushing", root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use std::fs;

    #[test]
    fn few_files_are_flushed_each_and_many_together() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        for i in 0..=FEW {
            fs::write(dir.path().join(format!("d/{i}")), "x").unwrap();
        }
        let tree = Tree::scan(dir.path(), &[], || false).unwrap();
        let way = |copied: usize| {
            let how = |i| if i < copied { How::Copied } else { How::Linked };
            let orders: Vec<_> = (tree.files().enumerate())
                .map(|(i, node)| Order {
                    node,
                    how: how(i),
                    strict: false,
                    expect: None,
                })
                .collect();
            Flush::choose(&tree.nodes, &orders)
        };
        // There are two directories.
        assert_eq!(way(FEW - 2), Flush::Each);
        assert_eq!(way(FEW - 1), Flush::Together);
        for way in [Flush::Each, Flush::Together] {
            way.tree(dir.path(), &tree.nodes).unwrap();
            let missing = way.tree(&dir.path().join("missing"), &tree.nodes);
            assert!(missing.is_err());
        }
    }
}
