//! Files that must survive a crash, and files that only their owner may read.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Replaces the file at `path` such that a crash leaves the old or the new one, whole.
pub(crate) fn write_atomic(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
    let mut fresh = OsString::from(".");
    fresh.push(name);
    fresh.push(".new");
    let fresh = path.with_file_name(fresh);
    // A leftover may have another mode or owner, which opening would keep.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&fresh)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    drop(file);
    if let Err(error) = written.and_then(|()| fs::rename(&fresh, path)) {
        // On a full disk what was begun only takes room.
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    sync_parent(path)
}

/// Makes the name of a file durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// Makes a directory and those above it, for their owner only; one that is there is left as it is.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    sync_parent(path)
}

/// The permissions of a file.
pub(crate) fn mode(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

/// The permissions of a file that others than its owner have: none of `0o077` is good for a secret.
pub(crate) fn open_to_others(path: &Path) -> io::Result<Option<u32>> {
    let mode = mode(path)?;
    Ok((mode & 0o077 != 0).then_some(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_content_replaces_the_old_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/key");
        make_private_dir(path.parent().unwrap()).unwrap();
        assert_eq!(open_to_others(&dir.path().join("a")).unwrap(), None);
        fs::write(path.with_file_name(".key.new"), "left over").unwrap();
        write_atomic(&path, b"one", 0o644).unwrap();
        assert_eq!(open_to_others(&path).unwrap(), Some(0o644));
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(open_to_others(&path).unwrap(), None);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
