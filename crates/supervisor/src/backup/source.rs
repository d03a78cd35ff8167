//! A backup as something to restore from: its files, with the attributes and hashes that the
//! manifest says they had.

use std::collections::HashMap;
use std::path::PathBuf;

use super::error::BackupError;
use super::manifest::{Line, MANIFEST, Summary, What};
use super::pattern::Patterns;
use super::progress::Observer;
use super::restore::RestoreError;
use super::tree::{Attrs, Tree};
use super::verify::Compared;

/// A backup that is sound as far as can be seen without reading it.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// What it is; `None` without a manifest.
    pub(crate) summary: Option<Summary>,
    pub(crate) tree: Tree,
    pub(crate) hashes: HashMap<PathBuf, blake3::Hash>,
    /// Which of its files may be linked.
    pub(crate) patterns: Patterns,
}

impl Source {
    pub(crate) fn open(
        path: PathBuf,
        accept_unverified: bool,
        observer: &dyn Observer,
    ) -> Result<Self, RestoreError> {
        match Compared::new(&path, observer) {
            Ok(compared) if compared.differences.is_empty() => Ok(Self::described(path, compared)?),
            Ok(compared) => {
                let differences = compared.differences.into_iter().map(|(_, d)| d);
                Err(RestoreError::Damaged {
                    backup: path,
                    differences: differences.collect(),
                })
            }
            Err(BackupError::NoManifest(_)) if accept_unverified => Ok(Self {
                tree: Tree::scan(&path, &[MANIFEST], || observer.cancelled())?,
                path,
                summary: None,
                hashes: HashMap::new(),
                patterns: Patterns::new::<&str>(&[]).map_err(BackupError::from)?,
            }),
            Err(BackupError::NoManifest(backup)) => Err(RestoreError::Unverified(backup)),
            Err(error) => Err(error.into()),
        }
    }

    /// The manifest knows better than the files: an operator may have changed their owners, or
    /// protected the backup by changing its modes.
    fn described(path: PathBuf, compared: Compared) -> Result<Self, BackupError> {
        let patterns = Patterns::new(&compared.summary.immutable)?;
        let mut tree = compared.tree;
        let mut lines: HashMap<PathBuf, Line> = compared
            .lines
            .into_iter()
            .map(|line| (line.path.clone(), line))
            .collect();
        let mut hashes = HashMap::new();
        for node in &mut tree.nodes {
            let Some(line) = lines.remove(&node.rel) else {
                continue;
            };
            node.attrs = Attrs {
                mode: line.mode,
                uid: line.uid,
                gid: line.gid,
                mtime: line.mtime,
                atime: node.attrs.atime,
            };
            if let What::File {
                blake3: Some(hash), ..
            } = line.what
            {
                hashes.insert(line.path, hash);
            }
        }
        Ok(Self {
            path,
            summary: Some(compared.summary),
            tree,
            hashes,
            patterns,
        })
    }
}
