//! An artefact unpacked: only into its own directory, only so much, only files, directories and links
//! that stay inside.
//!
//! What comes from the network is hostile until proven otherwise, even with a matching checksum: the
//! plan that carries the checksum may come from the same hand. Everything that could reach outside of
//! the directory or fill the machine is refused by name. Ownership, setuid bits, extended attributes
//! and write permission for others are never taken over from an archive.

mod compression;
mod meter;
mod tar;
mod tree;
mod zip;

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use compression::Compression;
pub use tree::Problem;

use super::disk::NoSpace;
use tree::Tree;

/// How an artefact is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A zip file.
    Zip,
    /// A tar file, compressed or not.
    Tar(Compression),
    /// One compressed file.
    Single(Compression),
}

impl Kind {
    /// The names that `?archive=` and suffixes know.
    pub const NAMES: [&str; 14] = [
        "zip", "tar", "tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "txz", "tar.zst", "tzst", "gz",
        "bz2", "xz", "zst",
    ];

    /// The kind with a name out of [`Self::NAMES`].
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "zip" => Self::Zip,
            "tar" => Self::Tar(Compression::None),
            "tar.gz" | "tgz" => Self::Tar(Compression::Gz),
            "tar.bz2" | "tbz2" => Self::Tar(Compression::Bz2),
            "tar.xz" | "txz" => Self::Tar(Compression::Xz),
            "tar.zst" | "tzst" => Self::Tar(Compression::Zst),
            "gz" => Self::Single(Compression::Gz),
            "bz2" => Self::Single(Compression::Bz2),
            "xz" => Self::Single(Compression::Xz),
            "zst" => Self::Single(Compression::Zst),
            _ => return None,
        })
    }

    /// The kind that the longest known suffix of a path tells.
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.match_indices('.')
            .find_map(|(dot, _)| Self::named(&name[dot + 1..]))
    }
}

/// How much an archive may unpack to.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Entries of any kind.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// An entry that no honest release has.
    #[error("archive entry \"{entry}\" {problem}")]
    Entry {
        /// The entry as the archive names it.
        entry: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// More entries than allowed.
    #[error("the archive has more than {limit} entries (limit)")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// More bytes than allowed.
    #[error("the archive unpacks to more than {limit} bytes (limit)")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// More description than content.
    #[error("the archive's headers take more than {limit} bytes (limit)")]
    HeadersTooLarge {
        /// The limit.
        limit: u64,
    },
    /// Not what its name says, cut off, or broken.
    #[error("the archive cannot be read as {kind}: {reason}")]
    Damaged {
        /// What it was read as.
        kind: &'static str,
        /// What the reader says.
        reason: String,
    },
    /// Nothing in it.
    #[error("the archive is empty")]
    Empty,
    /// The disk is full.
    #[error("unpacking the archive: {0}")]
    NoSpace(#[from] NoSpace),
    /// The file system refused.
    #[error("unpacking the archive: cannot {doing} {path}: {source}", path = .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// The observer asked to stop.
    #[error("unpacking the archive was cancelled")]
    Cancelled,
}

/// Called with the bytes written so far; asks to stop by breaking.
pub(super) type Watch<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

/// Unpacks `artefact` into the existing, empty directory `into`. A compressed single file comes out
/// as `single_name`, which may contain directories. Returns the regular files, relative to `into`.
pub(super) fn unpack(
    artefact: &Path,
    kind: Kind,
    into: &Path,
    single_name: &Path,
    bounds: Bounds,
    watch: Watch<'_>,
) -> Result<Vec<PathBuf>, ArchiveError> {
    let file = File::open(artefact).map_err(|source| ArchiveError::Io {
        doing: "open",
        path: artefact.to_owned(),
        source,
    })?;
    let mut tree = Tree::new(into, bounds, watch);
    match kind {
        Kind::Zip => zip::unpack(file, &mut tree)?,
        Kind::Tar(compression) => tar::unpack(file, compression, &mut tree)?,
        Kind::Single(compression) => {
            compression::unpack_single(file, compression, single_name, &mut tree)?;
        }
    }
    tree.finish()
}

#[cfg(test)]
pub(super) mod tests;
