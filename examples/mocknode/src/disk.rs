//! The few ways in which a file can be made to outlive a power cut.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes the entries of directory `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces `path` whole: a reader sees the old or the new contents, never a mixture, and once
/// this returns a power cut does not bring back the old ones.
pub(crate) fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    swap(path, contents, mode)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Like [`replace`], but a power cut may bring back the old contents.
pub(crate) fn swap(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut name = OsString::from(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let unfinished = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&unfinished)?;
    file.write_all(contents)?;
    file.sync_data()?;
    fs::rename(&unfinished, path)
}
