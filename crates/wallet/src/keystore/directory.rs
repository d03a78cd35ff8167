//! The key files of a directory: found, read, and written so that no crash loses one.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use super::{KeyFile, KeystoreError, MAX_FILE_LEN, MAX_KEYS};

/// What tells that a file is not the one read before.
type Stamp = (u64, u64, i64, i64, i64, i64);

/// What the files of a directory hold. Files are read when they are new or changed, so that ones
/// dropped in, edited or removed are seen at the next look.
#[derive(Debug, Default)]
pub(super) struct Directory {
    seen: HashMap<PathBuf, (Stamp, Arc<KeyFile>)>,
}

/// What a look at a directory found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Sorted by path.
    pub(super) keys: Vec<(PathBuf, Arc<KeyFile>)>,
    /// One for each file that is no key, sorted by path.
    pub(super) unreadable: Vec<KeystoreError>,
}

impl Directory {
    /// Looks at `dir`. A directory that does not exist is empty.
    pub(super) fn look(&mut self, dir: &Path) -> Result<Look, KeystoreError> {
        let listing = || -> std::io::Result<Vec<(PathBuf, Stamp)>> {
            let mut found = Vec::new();
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let metadata = match entry.metadata() {
                    // Removed since it was listed.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    other => other?,
                };
                if metadata.is_file() && is_key_name(&entry.file_name().to_string_lossy()) {
                    found.push((entry.path(), stamp(&metadata)));
                }
            }
            found.sort();
            Ok(found)
        };
        let found = match listing() {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            other => other.map_err(KeystoreError::io("list the keys of", dir))?,
        };
        if found.len() > MAX_KEYS {
            return Err(KeystoreError::TooManyKeys(dir.to_owned()));
        }
        let mut look = Look::default();
        let mut seen = HashMap::with_capacity(found.len());
        for (path, stamp) in found {
            let known = self
                .seen
                .remove(&path)
                .and_then(|(then, key)| (then == stamp).then_some(key));
            match known.map_or_else(|| read_key(&path).map(|(key, _)| Arc::new(key)), Ok) {
                Ok(key) => {
                    look.keys.push((path.clone(), key.clone()));
                    seen.insert(path, (stamp, key));
                }
                Err(error) => look.unreadable.push(error),
            }
        }
        self.seen = seen;
        Ok(look)
    }
}

/// Editors' backups and hidden files, ours in the making among them, are no keys.
fn is_key_name(name: &str) -> bool {
    !name.starts_with('.') && !name.ends_with('~')
}

fn stamp(metadata: &Metadata) -> Stamp {
    (
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    )
}

/// Reads one key file, and gives its bytes too.
pub(super) fn read_key(path: &Path) -> Result<(KeyFile, Vec<u8>), KeystoreError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes))
        .map_err(KeystoreError::io("read", path))?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err(KeystoreError::LongFile(path.to_owned()));
    }
    let malformed = |source| KeystoreError::Malformed {
        file: path.to_owned(),
        source,
    };
    let key: KeyFile = serde_json::from_slice(&bytes).map_err(malformed)?;
    if key.alias.is_empty() {
        return Err(malformed(serde::de::Error::custom("the alias is empty")));
    }
    Ok((key, bytes))
}

/// Puts `content` in the place of `path`, wholly or not at all: temporary file, fsync, rename,
/// fsync of the directory. The directory is made if need be, for its owner only, as is the file.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), KeystoreError> {
    let dir = path
        .parent()
        .expect("a key file lies in the keystore's directory");
    let name = path
        .file_name()
        .expect("a key file has a name")
        .to_string_lossy();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(KeystoreError::io("create the directory", dir))?;
    let temporary = dir.join(format!(".{name}.tmp-{}", Uuid::new_v4().simple()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .map_err(KeystoreError::io("write", &temporary))
        .and_then(|()| {
            fs::rename(&temporary, path).map_err(KeystoreError::io("put in place", path))
        });
    if written.is_err() {
        // The first fault is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| sync(dir))
}

/// Removes `path` for good.
pub(super) fn remove(path: &Path) -> Result<(), KeystoreError> {
    fs::remove_file(path).map_err(KeystoreError::io("remove", path))?;
    sync(
        path.parent()
            .expect("a key file lies in the keystore's directory"),
    )
}

fn sync(dir: &Path) -> Result<(), KeystoreError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(KeystoreError::io("sync the directory", dir))
}
