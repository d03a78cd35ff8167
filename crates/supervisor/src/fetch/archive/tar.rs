//! Tar files, entry by entry.

use std::fs::File;
use std::io;

use ::tar::EntryType;

use super::super::causes::causes;
use super::ArchiveError;
use super::compression::Compression;
use super::meter::{Exceeded, Meter};
use super::tree::{Problem, Tree, entry};

/// What stands between two files' contents: headers, long names, PAX records, padding.
const HEADERS: u64 = 1 << 20;

pub(super) fn unpack(
    file: File,
    compression: Compression,
    tree: &mut Tree<'_>,
) -> Result<(), ArchiveError> {
    let limit = tree.bounds().bytes;
    // Headers and padding come on top of the contents; an archive made of nothing else ends here.
    let meter = Meter::new(limit.saturating_add(64 * HEADERS));
    let damaged = |e: io::Error| match meter.exceeded() {
        Some(Exceeded::Total) => ArchiveError::TooLarge { limit },
        Some(Exceeded::Step) => ArchiveError::HeadersTooLarge { limit: HEADERS },
        None => ArchiveError::Damaged {
            kind: match compression {
                Compression::None => "tar",
                Compression::Gz => "tar.gz",
                Compression::Bz2 => "tar.bz2",
                Compression::Xz => "tar.xz",
                Compression::Zst => "tar.zst",
            },
            reason: causes(&e),
        },
    };
    let reader = meter.reader(compression.reader(file).map_err(damaged)?);
    let mut archive = ::tar::Archive::new(reader);
    let mut entries = archive.entries().map_err(damaged)?;
    loop {
        meter.allow(HEADERS);
        let Some(next) = entries.next() else { break };
        let mut item = next.map_err(damaged)?;
        let name = item.path_bytes().into_owned();
        if let Some(records) = item.pax_extensions().map_err(damaged)? {
            for record in records {
                let record = record.map_err(damaged)?;
                if record.key_bytes().starts_with(b"GNU.sparse.") {
                    return Err(entry(&name, Problem::Sparse));
                }
            }
        }
        let kind = item.header().entry_type();
        match kind {
            // Before POSIX a directory was a file whose name ends with a slash.
            EntryType::Regular if name.ends_with(b"/") => tree.directory(&name)?,
            EntryType::Directory => tree.directory(&name)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mode = item.header().mode().map_err(damaged)?;
                meter.allow(u64::MAX);
                tree.file(&name, mode, &mut item, &damaged)?;
            }
            EntryType::Symlink | EntryType::Link => {
                let target = item.link_name_bytes().unwrap_or_default().into_owned();
                if kind == EntryType::Symlink {
                    tree.symlink(&name, &target)?;
                } else {
                    tree.hard_link(&name, &target)?;
                }
            }
            // Comments about the whole archive, such as the commit that `git archive` notes.
            EntryType::XGlobalHeader => {}
            other => return Err(entry(&name, Problem::Special(special(other)))),
        }
    }
    // Compressed streams carry their check value at the very end.
    meter.allow(u64::MAX);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    Ok(())
}

fn special(kind: EntryType) -> String {
    match kind {
        EntryType::Char => "a character device".to_owned(),
        EntryType::Block => "a block device".to_owned(),
        EntryType::Fifo => "a named pipe".to_owned(),
        other => format!("of the unknown type {:?}", char::from(other.as_byte())),
    }
}
