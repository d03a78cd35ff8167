//! The compressions an archive may use, as readers with bounded memory.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::ArchiveError;
use super::tree::Tree;

/// A compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None at all.
    None,
    /// gzip, one or several members.
    Gz,
    /// bzip2, one or several streams.
    Bz2,
    /// xz, one or several streams.
    Xz,
    /// Zstandard, one or several frames.
    Zst,
}

/// What an xz stream may demand of memory. `xz -9` takes 65 MiB; only hand-made settings take more.
const XZ_MEMORY: u64 = 256 << 20;
/// The largest window of a Zstandard frame, as a power of two: what `zstd --ultra -22 --long` uses
/// and the format's own default limit, 128 MiB.
const ZST_WINDOW_LOG: u32 = 27;

impl Compression {
    /// The name for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "tar",
            Self::Gz => "gzip",
            Self::Bz2 => "bzip2",
            Self::Xz => "xz",
            Self::Zst => "zstd",
        }
    }

    /// A reader of what `file` holds.
    pub(super) fn reader(self, file: File) -> io::Result<Box<dyn Read>> {
        // liblzma's LZMA_CONCATENATED: several streams one after another are one file.
        const CONCATENATED: u32 = 0x08;
        let file = BufReader::with_capacity(64 * 1024, file);
        Ok(match self {
            Self::None => Box::new(file),
            Self::Gz => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Self::Bz2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
            }
            Self::Zst => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
                decoder.window_log_max(ZST_WINDOW_LOG)?;
                Box::new(decoder)
            }
        })
    }
}

/// Unpacks a file that is one compressed file and nothing else.
pub(super) fn unpack_single(
    file: File,
    compression: Compression,
    name: &Path,
    tree: &mut Tree<'_>,
) -> Result<(), ArchiveError> {
    let damaged = |e: io::Error| ArchiveError::Damaged {
        kind: compression.name(),
        reason: e.to_string(),
    };
    let mut reader = compression.reader(file).map_err(damaged)?;
    tree.file(name.as_os_str().as_bytes(), 0o755, &mut reader, &damaged)
}
