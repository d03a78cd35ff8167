//! A copy of the data of one moment, made by the node itself while it goes on answering.
//!
//! Tables are never changed once they are written, so they get a second name; all else is copied. The list of what is there
//! is written last: a snapshot without one is known to be broken. See `docs/node-contract.md`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::disk;

/// The list's name.
const MANIFEST: &str = "snapshot.json";
/// Files that belong to the running process.
const NOT_DATA: [&str; 3] = ["LOCK", "grandchild.pid", "grandchild.log"];
/// Directories within directories.
const DEPTH: usize = 16;

/// What a snapshot holds.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot {
    format: u32,
    /// The block it stands at.
    pub(crate) height: u64,
    files: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    bytes: u64,
    /// Of a file that was copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
    /// A second name of a file that is never changed again.
    linked: bool,
}

impl Snapshot {
    /// How many files.
    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    /// How many bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.bytes).sum()
    }
}

/// Writes a snapshot of the directory `data`, which nobody writes to meanwhile, into the empty directory `target`.
pub(crate) fn write(data: &Path, target: &Path, height: u64) -> Result<Snapshot, String> {
    let told = |path: &Path, error: &io::Error| format!("{}: {error}", path.display());
    let mut there = fs::read_dir(target).map_err(|error| told(target, &error))?;
    if there.next().is_some() {
        return Err(format!("{} is not empty", target.display()));
    }
    let mut snapshot = Snapshot {
        format: 1,
        height,
        files: Vec::new(),
    };
    copy(data, target, Path::new(""), DEPTH, &mut snapshot.files)
        .map_err(|(path, error)| told(&path, &error))?;
    let manifest = serde_json::to_vec(&snapshot).map_err(|error| error.to_string())?;
    let path = target.join(MANIFEST);
    disk::replace(&path, &manifest, 0o600).map_err(|error| told(&path, &error))?;
    Ok(snapshot)
}

fn copy(
    data: &Path,
    target: &Path,
    below: &Path,
    depth: usize,
    files: &mut Vec<Entry>,
) -> Result<(), (PathBuf, io::Error)> {
    let from = data.join(below);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    for entry in fs::read_dir(&from).map_err(at(&from))? {
        let entry = entry.map_err(at(&from))?;
        let name = below.join(entry.file_name());
        let (source, copied) = (data.join(&name), target.join(&name));
        let kind = entry.file_type().map_err(at(&source))?;
        if kind.is_dir() && depth > 0 {
            fs::create_dir(&copied).map_err(at(&copied))?;
            copy(data, target, &name, depth - 1, files)?;
        } else if kind.is_file() && !NOT_DATA.iter().any(|other| name == Path::new(other)) {
            let is_table = name
                .extension()
                .is_some_and(|extension| extension == "sst" || extension == "ldb");
            let linked = is_table && fs::hard_link(&source, &copied).is_ok();
            if !linked {
                fs::copy(&source, &copied).map_err(at(&copied))?;
                File::open(&copied)
                    .and_then(|file| file.sync_all())
                    .map_err(at(&copied))?;
            }
            files.push(entry_of(&copied, &name, linked).map_err(at(&copied))?);
        }
    }
    let into = target.join(below);
    disk::sync_dir(&into).map_err(at(&into))
}

fn entry_of(file: &Path, name: &Path, linked: bool) -> io::Result<Entry> {
    let mut opened = File::open(file)?;
    let mut bytes = opened.metadata()?.len();
    let mut blake3 = None;
    if !linked {
        let mut hasher = blake3::Hasher::new();
        bytes = io::copy(&mut opened, &mut hasher)?;
        blake3 = Some(hasher.finalize().to_hex().to_string());
    }
    Ok(Entry {
        path: name.display().to_string(),
        bytes,
        blake3,
        linked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lists_what_it_copied_and_wants_an_empty_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (data, target) = (dir.path().join("data"), dir.path().join("target"));
        fs::create_dir_all(data.join("app.db")).unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(data.join("app.db/1.sst"), "table").unwrap();
        fs::write(data.join("app.db/CURRENT"), "1").unwrap();
        fs::write(data.join("LOCK"), "7").unwrap();
        let snapshot = write(&data, &target, 9).unwrap();
        assert_eq!((snapshot.files(), snapshot.bytes()), (2, 6));
        assert!(!target.join("LOCK").exists());
        let told: serde_json::Value =
            serde_json::from_slice(&fs::read(target.join(MANIFEST)).unwrap()).unwrap();
        assert_eq!(told["height"], 9);
        let entry = |path| {
            let files = told["files"].as_array().unwrap();
            files.iter().find(|entry| entry["path"] == path).unwrap()
        };
        let hash = blake3::hash(b"1").to_hex();
        assert_eq!(entry("app.db/CURRENT")["blake3"], hash.as_str());
        assert_eq!(entry("app.db/1.sst")["linked"], true);
        assert_eq!(entry("app.db/1.sst").get("blake3"), None);
        let error = write(&data, &target, 9).unwrap_err();
        assert!(error.contains("not empty"), "{error}");
    }
}
