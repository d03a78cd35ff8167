//! Zip files, entry by entry.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use ::zip::CompressionMethod;

use super::super::causes::causes;
use super::super::disk::NoSpace;
use super::ArchiveError;
use super::meter::Meter;
use super::tree::{Problem, Tree, entry};

/// What the directory of a zip file may take, and the search for it.
const DIRECTORY: u64 = 16 << 20;
/// The longest target of a symbolic link.
const MAX_TARGET: u64 = 4096;

pub(super) fn unpack(mut file: File, tree: &mut Tree<'_>) -> Result<(), ArchiveError> {
    let count = count_entries(&mut file).map_err(|e| damaged(&e))?;
    if count > tree.bounds().entries {
        return Err(ArchiveError::TooManyEntries {
            limit: tree.bounds().entries,
        });
    }
    let meter = Meter::new(u64::MAX);
    meter.allow(DIRECTORY);
    let reader = meter.reader(BufReader::new(file));
    let mut archive = ::zip::ZipArchive::new(reader).map_err(|e| match meter.exceeded() {
        Some(_) => ArchiveError::HeadersTooLarge { limit: DIRECTORY },
        None => damaged(&e.into()),
    })?;
    meter.allow(u64::MAX);
    // The library keeps one entry per name, and the last directory that looks right.
    if archive.len() as u64 != count {
        return Err(ArchiveError::Damaged {
            kind: "zip",
            reason: format!(
                "it announces {count} entries but has {} different names",
                archive.len()
            ),
        });
    }
    if let Some(size) = archive.decompressed_size() {
        let limit = tree.bounds().bytes;
        match u64::try_from(size) {
            Ok(size) if size <= limit => NoSpace::check(tree.root(), size)?,
            _ => return Err(ArchiveError::TooLarge { limit }),
        }
    }
    for index in 0..archive.len() {
        unpack_entry(&mut archive, index, tree)?;
    }
    Ok(())
}

fn unpack_entry<R: Read + Seek>(
    archive: &mut ::zip::ZipArchive<R>,
    index: usize,
    tree: &mut Tree<'_>,
) -> Result<(), ArchiveError> {
    const KIND: u32 = 0o170_000;
    const FILE: u32 = 0o100_000;
    const DIRECTORY: u32 = 0o040_000;
    const LINK: u32 = 0o120_000;

    let raw = archive
        .by_index_raw(index)
        .map_err(|e| damaged(&e.into()))?;
    let name = raw.name().to_owned();
    let refuse = |problem| Err(entry(name.as_bytes(), problem));
    if raw.encrypted() {
        return refuse(Problem::Encrypted);
    }
    match raw.compression() {
        CompressionMethod::Stored
        | CompressionMethod::Deflated
        | CompressionMethod::Bzip2
        | CompressionMethod::Zstd => {}
        // Among others LZMA, whose decoder allocates what the file tells it to.
        other => return refuse(Problem::Compression(other.to_string())),
    }
    let mode = raw.unix_mode().unwrap_or(0o644);
    drop(raw);

    let mut item = archive.by_index(index).map_err(|e| damaged(&e.into()))?;
    let damaged = |e: io::Error| damaged(&e);
    match mode & KIND {
        _ if name.ends_with('/') => tree.directory(name.as_bytes()),
        DIRECTORY => tree.directory(name.as_bytes()),
        0 | FILE => tree.file(name.as_bytes(), mode, &mut item, &damaged),
        LINK => {
            let mut target = Vec::new();
            item.take(MAX_TARGET + 1)
                .read_to_end(&mut target)
                .map_err(damaged)?;
            tree.symlink(name.as_bytes(), &target)
        }
        other => refuse(Problem::Special(format!(
            "a device or pipe (mode {other:o})"
        ))),
    }
}

/// How many entries the end record announces. The library would read them all into memory first.
fn count_entries(file: &mut File) -> io::Result<u64> {
    const END: usize = 22;
    const MAX_COMMENT: u64 = 0xFFFF;
    let length = file.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(END as u64 + MAX_COMMENT);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(END as u64 + MAX_COMMENT).read_to_end(&mut tail)?;
    let u16_at = |at: usize| u64::from(u16::from_le_bytes([tail[at], tail[at + 1]]));
    let end = (0..=tail.len().saturating_sub(END))
        .rev()
        .find(|&at| {
            tail.len() >= END
                && tail[at..].starts_with(b"PK\x05\x06")
                && at as u64 + END as u64 + u16_at(at + 20) == tail.len() as u64
        })
        .ok_or_else(|| io::Error::other("no end record found; it is cut off or no zip file"))?;
    file.rewind()?;
    Ok(match u16_at(end + 10) {
        // The count is elsewhere, and more than any release has.
        0xFFFF => u64::MAX,
        count => count,
    })
}

fn damaged(error: &io::Error) -> ArchiveError {
    ArchiveError::Damaged {
        kind: "zip",
        reason: causes(error),
    }
}
