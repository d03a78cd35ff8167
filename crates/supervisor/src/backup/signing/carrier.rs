//! A memory as it lies in a data directory, to be put into another as it is.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use super::super::error::{BackupError, Doing};
use super::super::transfer::keeps_owners;
use super::super::tree::Attrs;
use super::{Memory, StateFile};
use crate::files::write_atomic;

/// The file, to be put somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carrier {
    memory: Memory,
    what: What,
    attrs: Attrs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// A file with its bytes.
    File(Vec<u8>),
    /// A symlink to where the state is kept, outside of the data.
    Symlink(PathBuf),
}

/// Reads the memory of a data directory.
pub(super) fn read(
    memory: Memory,
    data: &Path,
) -> Result<(StateFile, Option<Carrier>), BackupError> {
    let unreadable = |why: String| Ok((StateFile::Unreadable(why), None));
    let path = data.join(memory.file());
    let own = match fs::symlink_metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((StateFile::Absent, None)),
        meta => meta.doing("looking at", &path)?,
    };
    let meta = match fs::metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return unreadable("a symlink to nowhere".to_owned());
        }
        meta => meta.doing("looking at", &path)?,
    };
    if !meta.is_file() {
        return unreadable("not a file".to_owned());
    }
    let limit = memory.max_bytes();
    if meta.len() > limit {
        return unreadable(format!("{} bytes, the limit is {limit}", meta.len()));
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|f| f.take(limit).read_to_end(&mut bytes))
        .doing("reading", &path)?;
    let state = memory.parse(&bytes);
    let what = if own.is_symlink() {
        What::Symlink(fs::read_link(&path).doing("reading", &path)?)
    } else {
        What::File(bytes)
    };
    let attrs = Attrs::of(&own);
    Ok((
        state,
        Some(Carrier {
            memory,
            what,
            attrs,
        }),
    ))
}

impl Carrier {
    /// Puts the memory into a data directory, in the place of what is there.
    pub(crate) fn put(&self, data: &Path) -> Result<(), BackupError> {
        let path = data.join(self.memory.file());
        self.write(&path).doing("writing the signing state", &path)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let owner = keeps_owners();
        if let Some(parent) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)?;
        }
        match &self.what {
            What::File(bytes) => {
                write_atomic(path, bytes, 0o600)?;
                let file = File::open(path)?;
                self.attrs.give(&file, owner)?;
                file.sync_all()
            }
            What::Symlink(target) => {
                match fs::remove_file(path) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => symlink(target, path)?,
                }
                self.attrs.give_symlink(path, owner)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(Memory::Comet.file());
        let state = || read(Memory::Comet, dir.path()).unwrap().0;
        assert_eq!(state(), StateFile::Absent);
        symlink("nowhere", &file).unwrap();
        assert!(matches!(state(), StateFile::Unreadable(why) if why == "a symlink to nowhere"));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(matches!(state(), StateFile::Unreadable(why) if why == "not a file"));
        fs::remove_dir(&file).unwrap();
        fs::write(&file, vec![b' '; 70_000]).unwrap();
        assert!(
            matches!(state(), StateFile::Unreadable(why) if why.contains("the limit is 65536"))
        );
    }

    #[test]
    fn a_memory_is_put_where_no_directory_was() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = from.path().join(Memory::Guard.file());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let bytes = super::super::guard::written(&[(7, 0, 2)], None);
        fs::write(&file, &bytes).unwrap();
        let (_, carrier) = read(Memory::Guard, from.path()).unwrap();
        carrier.unwrap().put(to.path()).unwrap();
        assert_eq!(
            fs::read(to.path().join(Memory::Guard.file())).unwrap(),
            bytes
        );
    }
}
