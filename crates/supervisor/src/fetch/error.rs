//! Why a fetch did not bring a release, in the words that the operator gets to read.

use std::io;
use std::path::PathBuf;

use super::archive::ArchiveError;
use super::disk::NoSpace;
use super::executable::NotExecutable;
use super::info::InfoError;
use super::layout::LayoutError;
use super::run::Interrupted;
use super::source::SourceError;
use super::start::CannotStart;
use super::transfer::TransferError;

/// Why there is no release after a fetch. Whatever it was, `upgrades/<name>` is as it was before, but
/// for a leftover directory that was being completed, and trying again is safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A name that is not one directory or file name.
    #[error("{what} \"{name}\" cannot be used as a file name")]
    Name {
        /// Which name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The plan's info is of no use.
    #[error(transparent)]
    Info(#[from] InfoError),
    /// The plan's info is a URL that is of no use.
    #[error("invalid url \"{url}\": {source}")]
    InfoUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        source: SourceError,
    },
    /// The plan's info is behind a URL that did not give it.
    #[error("could not download url \"{url}\": {source}")]
    InfoDownload {
        /// The URL.
        url: String,
        /// Why.
        source: Box<FetchError>,
    },
    /// There is nothing behind the URL of the plan's info.
    #[error("no content returned by \"{0}\"")]
    NoContent(String),
    /// A list of checksums could not be had.
    #[error("invalid checksum: Error downloading checksum file: {0}")]
    List(Box<FetchError>),
    /// A list of checksums that does not name the artefact.
    #[error("invalid checksum: no checksum found in: {list} for {name}")]
    NotListed {
        /// The list.
        list: String,
        /// The artefact's name.
        name: String,
    },
    /// The bytes did not arrive.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// Other bytes arrived than the plan says.
    #[error("Checksums did not match for {url}.\nExpected: {expected}\nGot: {got}")]
    Mismatch {
        /// Where they came from.
        url: String,
        /// The digest that the plan says.
        expected: String,
        /// The digest of what arrived.
        got: String,
    },
    /// The artefact could not be unpacked.
    #[error("\"{url}\": {source}")]
    Archive {
        /// Where it came from.
        url: String,
        /// Why.
        source: ArchiveError,
    },
    /// There is no binary in it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// What should be the binary cannot be executed here.
    #[error("\"{url}\" is not a binary for this machine: {reason}", reason = .source.reason())]
    NotExecutable {
        /// Where it came from.
        url: String,
        /// What it is.
        source: NotExecutable,
    },
    /// The binary does not run.
    #[error("the binary from \"{url}\" does not start: {reason}", reason = .source.reason())]
    CannotStart {
        /// Where it came from.
        url: String,
        /// Why.
        source: CannotStart,
    },
    /// Something is in the way that this program did not put there.
    #[error("{path} is in the way: {what}; move it away and try again", path = .path.display())]
    InTheWay {
        /// What is in the way.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// The disk is full.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// The file system refused.
    #[error("cannot {doing} {path}: {source}", path = .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// A limit was reached, or the observer asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// The part of a fetch that failed, for those who put Cosmovisor's words in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading the plan's info.
    Info,
    /// Finding this machine in it.
    Choice,
    /// Getting and unpacking the artefact.
    Download,
    /// Looking at the binary.
    Check,
}

impl Stage {
    /// What Cosmovisor writes before an error of this stage when it upgrades.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Info => "cannot parse upgrade info: ",
            Self::Choice => "",
            Self::Download => "cannot download binary. ",
            Self::Check => "downloaded binary doesn't check out: ",
        }
    }
}

impl FetchError {
    /// The part of the fetch that failed.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Info(InfoError::NoBinary { .. }) => Stage::Choice,
            Self::Info(_)
            | Self::InfoUrl { .. }
            | Self::InfoDownload { .. }
            | Self::NoContent(_) => Stage::Info,
            Self::NotExecutable { .. } | Self::CannotStart { .. } => Stage::Check,
            _ => Stage::Download,
        }
    }

    /// Whether the observer asked for this.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Interrupted(Interrupted::Cancelled)
            | Self::Transfer(TransferError::Interrupted {
                source: Interrupted::Cancelled,
                ..
            })
            | Self::Archive {
                source: ArchiveError::Cancelled,
                ..
            } => true,
            Self::InfoDownload { source, .. } | Self::List(source) => source.is_cancelled(),
            _ => false,
        }
    }

    /// Whether what was downloaded so far is worth keeping for the next try.
    pub(super) fn keeps_download(&self) -> bool {
        match self {
            Self::Transfer(_) | Self::Interrupted(_) | Self::NoSpace(_) => true,
            Self::Archive { source, .. } => {
                matches!(source, ArchiveError::NoSpace(_) | ArchiveError::Cancelled)
            }
            _ => false,
        }
    }
}
