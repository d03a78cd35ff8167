//! A whole tree from one place to another.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

use super::carry::{Carried, Order, Way};
use super::error::{BackupError, Doing};
use super::flush::Flush;
use super::parallel;
use super::progress::{Observer, Stage};
use super::tree::{Attrs, Kind, Node};

/// Makes `to` with all directories and symlinks of `nodes`, and carries the files ordered. The
/// results are in the order of the orders. Not everything is durable yet (see [`Flush::tree`]), and
/// `to` itself has not its attributes (see [`seal`]).
pub(crate) fn transfer(
    from: &Path,
    to: &Path,
    nodes: &[Node],
    orders: &[Order<'_>],
    flush: Flush,
    observer: &dyn Observer,
) -> Result<Vec<Carried>, BackupError> {
    let owner = keeps_owners();
    let way = Way {
        from,
        to,
        owner,
        flush,
    };
    for node in nodes {
        let at = to.join(&node.rel);
        match &node.kind {
            // Without the root's, `join` would append a slash.
            Kind::Dir => make_dir(if node.is_root() { to } else { &at })?,
            Kind::Symlink(target) => {
                symlink(target, &at).doing("creating the symlink", &at)?;
                node.attrs
                    .give_symlink(&at, owner)
                    .doing("setting owner and times of", &at)?;
            }
            Kind::File => {}
        }
    }
    let carried = parallel::run(
        Stage::Copying,
        orders,
        Order::bytes,
        observer,
        |order, scratch, meter| order.carry(way, scratch, meter),
    )?;
    // A directory's times change with every name made in it, so the innermost come first.
    for node in nodes.iter().rev() {
        if node.kind == Kind::Dir && !node.is_root() {
            give(&to.join(&node.rel), &node.attrs)?;
        }
    }
    Ok(carried)
}

/// Gives the root of a tree its attributes, durably. It stays writable for its owner, because a
/// directory that is not cannot be renamed into another.
pub(crate) fn seal(tree: &Path, attrs: &Attrs) -> Result<(), BackupError> {
    let attrs = Attrs {
        mode: attrs.mode | 0o200,
        ..*attrs
    };
    give(tree, &attrs)?;
    crate::files::sync_dir(tree).doing("flushing", tree)
}

/// Gives the root of a tree its attributes when it has its place: takes back what [`seal`] added,
/// and the time of the rename, which XFS counts as a modification of what is moved.
pub(crate) fn unseal(tree: &Path, attrs: &Attrs) -> Result<(), BackupError> {
    give(tree, attrs)
}

fn give(dir: &Path, attrs: &Attrs) -> Result<(), BackupError> {
    File::open(dir)
        .and_then(|dir| attrs.give(&dir, keeps_owners()))
        .doing("setting owner, mode and times of", dir)
}

fn make_dir(at: &Path) -> Result<(), BackupError> {
    DirBuilder::new()
        .mode(0o700)
        .create(at)
        .doing("creating", at)
}

/// Only root can give files to others.
pub(crate) fn keeps_owners() -> bool {
    rustix::process::geteuid().is_root()
}
