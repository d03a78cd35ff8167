//! How each file of a tree will be carried to a place, found by trying there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use blake3::Hash;
use rustix::fs::ioctl_ficlone;
use rustix::io::Errno;

use super::carry::{How, Order, create, link};
use super::error::{BackupError, Doing};
use super::mode::{Method, Mode, Passed, choose};
use super::pattern::Patterns;
use super::tree::{Node, Tree};
use super::workspace::Workspace;

/// What will be done with each file.
pub(crate) struct Plan<'a> {
    pub(crate) method: Method,
    pub(crate) passed: Vec<Passed>,
    /// In the order of the tree.
    pub(crate) orders: Vec<Order<'a>>,
}

impl<'a> Plan<'a> {
    /// Tries the methods that the mode allows, from the tree to the workspace. `expect` is what a
    /// file's content must hash to.
    pub(crate) fn make(
        tree: &'a Tree,
        work: &Workspace,
        mode: Mode,
        patterns: &Patterns,
        expect: impl Fn(&Node) -> Option<Hash>,
    ) -> Result<Self, BackupError> {
        let at = work.path().join("probe");
        let mut broken = None;
        let probed = choose(mode, |method| match probe(method, tree, patterns, &at) {
            Ok(refusal) => refusal,
            // What has nothing to do with the method will stop the copy as well.
            Err(error) => {
                let why = error.to_string();
                broken = Some(error);
                Some(why)
            }
        });
        if let Some(error) = broken {
            return Err(error);
        }
        let (method, passed) = probed.map_err(|why| BackupError::NoReflink {
            from: tree.root.clone(),
            to: work.path().parent().unwrap_or(work.path()).to_owned(),
            why,
        })?;
        let device = fs::metadata(work.path())
            .doing("looking at", work.path())?
            .dev();
        let how = |node: &Node| match method {
            Method::Reflink => How::Cloned,
            // Another disk mounted within the data cannot be linked from.
            Method::Hardlink if node.seen.dev == device && patterns.matches(&node.rel) => {
                How::Linked
            }
            _ => How::Copied,
        };
        let orders = tree
            .files()
            .map(|node| Order {
                node,
                how: how(node),
                strict: mode == Mode::Reflink,
                expect: expect(node),
            })
            .collect();
        Ok(Self {
            method,
            passed,
            orders,
        })
    }
}

/// Why a method does not work between these two places, found by trying it once.
fn probe(
    method: Method,
    tree: &Tree,
    patterns: &Patterns,
    at: &Path,
) -> Result<Option<String>, BackupError> {
    let tried = match method {
        // The other is no method of ours: it is never probed.
        Method::Copy | Method::Snapshot => return Ok(None),
        Method::Reflink => {
            let Some(sample) = tree.files().max_by_key(|n| n.seen.size) else {
                return Ok(None);
            };
            let from = tree.root.join(&sample.rel);
            let source = fs::File::open(&from).doing("opening", &from)?;
            let target = create(at)?;
            if sample.seen.size > 0 {
                ioctl_ficlone(&target, &source)
            } else {
                Ok(())
            }
        }
        Method::Hardlink => {
            let Some(sample) = tree.files().find(|n| patterns.matches(&n.rel)) else {
                let patterns = patterns.as_slice().join(" or ");
                return Ok(Some(format!("no file is named {patterns}")));
            };
            link(&tree.root.join(&sample.rel), at)
        }
    };
    match fs::remove_file(at) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(BackupError::at("removing", at, e));
        }
        _ => {}
    }
    Ok(tried.err().map(why_not))
}

/// What the errors of cloning and linking mean for an operator.
fn why_not(errno: Errno) -> String {
    match errno {
        Errno::XDEV => "the two directories are on different file systems".to_owned(),
        Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS => {
            "the file system does not support it".to_owned()
        }
        other => io::Error::from(other).to_string(),
    }
}
