//! A copy of a namespace's data of one moment, written while it goes on; see `docs/node-contract.md`.
//!
//! Stores are copied from read transactions, those that follow the chain first and the chain last: none of the copies is
//! ahead of it. All else in the directory is small. The list of what is there is written last: a snapshot without one is
//! known to be broken.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use baton_api::feeds::Feeds;
use baton_api::tokens::Tokens;
use baton_chain::trace::Tracer;
use baton_wallet::Wallet;
use serde::Serialize;

use super::view::View;
use crate::files;
use crate::home::Paths;

/// The list's name.
const LIST: &str = "snapshot.json";
/// Directories within directories.
const DEPTH: usize = 8;
/// What is left behind by a write that was cut short, or belongs to nobody.
const UNFINISHED: [&str; 3] = ["new", "tmp", "broken"];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", .path.display())]
pub(crate) struct SnapshotError {
    path: PathBuf,
    source: Failure,
}

fn failed<E: Into<Failure>>(path: &Path) -> impl FnOnce(E) -> SnapshotError + use<E> {
    let path = path.to_owned();
    move |source| SnapshotError {
        path,
        source: source.into(),
    }
}

/// What a snapshot holds.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot {
    format: u32,
    /// The block at which it stands.
    pub(crate) height: u64,
    files: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    bytes: u64,
    blake3: String,
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

/// The stores besides the chain, as long as they are open. Cheap to clone; it keeps none of them open.
#[derive(Clone)]
pub(super) struct Stores {
    paths: Paths,
    wallet: Option<Weak<Wallet>>,
    tokens: Weak<Tokens>,
    feeds: Weak<Feeds>,
    tracer: Tracer,
}

impl Stores {
    pub(super) fn new(
        paths: &Paths,
        wallet: Option<&Arc<Wallet>>,
        tokens: &Arc<Tokens>,
        feeds: &Arc<Feeds>,
        tracer: &Tracer,
    ) -> Self {
        Self {
            paths: paths.clone(),
            wallet: wallet.map(Arc::downgrade),
            tokens: Arc::downgrade(tokens),
            feeds: Arc::downgrade(feeds),
            tracer: tracer.clone(),
        }
    }

    pub(super) fn tokens(&self) -> Option<Arc<Tokens>> {
        self.tokens.upgrade()
    }

    /// Writes a snapshot into the empty directory `target`.
    pub(super) fn snapshot(&self, view: &View, target: &Path) -> Result<Snapshot, SnapshotError> {
        let mut there = fs::read_dir(target).map_err(failed(target))?;
        if there.next().is_some() {
            return Err(failed(target)("it is not empty"));
        }
        let to = Paths {
            data: target.to_owned(),
            ..self.paths.clone()
        };
        let closed = || failed(&self.paths.data)("its stores are closed");
        let tokens = self.tokens.upgrade().ok_or_else(closed)?;
        tokens.copy_to(&to.tokens()).map_err(failed(&to.tokens()))?;
        let feeds = self.feeds.upgrade().ok_or_else(closed)?;
        feeds.copy_to(&to.feeds()).map_err(failed(&to.feeds()))?;
        if let Some(wallet) = &self.wallet {
            let wallet = wallet.upgrade().ok_or_else(closed)?;
            wallet.copy_to(&to.wallet()).map_err(failed(&to.wallet()))?;
        }
        self.tracer
            .copy_to(&to.trace())
            .map_err(failed(&to.trace()))?;
        view.outlook.copy_to(target).map_err(failed(target))?;
        view.pool.keep(&to.pool()).map_err(failed(&to.pool()))?;
        copy_rest(&self.paths.data, target, Path::new(""), DEPTH)?;
        let copied = view.chain.copy_to(&to.core());
        let height = copied.map_err(failed(&to.core()))?;

        let mut listed = Vec::new();
        list(target, Path::new(""), &mut listed)?;
        listed.sort_by(|one: &Entry, other| one.path.cmp(&other.path));
        let snapshot = Snapshot {
            format: 1,
            height,
            files: listed,
        };
        let path = target.join(LIST);
        let text = serde_json::to_vec(&snapshot).map_err(failed(&path))?;
        files::write_atomic(&path, &text, 0o600).map_err(failed(&path))?;
        Ok(snapshot)
    }
}

/// Copies all files that are not copied yet, but for the chain's, which comes last.
fn copy_rest(data: &Path, target: &Path, below: &Path, depth: usize) -> Result<(), SnapshotError> {
    let from = data.join(below);
    for entry in fs::read_dir(&from).map_err(failed(&from))? {
        let entry = entry.map_err(failed(&from))?;
        let name = below.join(entry.file_name());
        let (source, copy) = (data.join(&name), target.join(&name));
        let kind = entry.file_type().map_err(failed(&source))?;
        if kind.is_dir() && depth > 0 {
            fs::create_dir_all(&copy).map_err(failed(&copy))?;
            copy_rest(data, target, &name, depth - 1)?;
        } else if kind.is_file() && !copy.exists() && !is_left_out(&name) {
            match fs::copy(&source, &copy) {
                // small files are replaced and removed at any time
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => drop(copied.map_err(failed(&copy))?),
            }
        }
    }
    Ok(())
}

fn is_left_out(name: &Path) -> bool {
    let unfinished = |extension: &OsStr| UNFINISHED.iter().any(|other| extension == *other);
    name == Path::new("core.redb") || name.extension().is_some_and(unfinished)
}

/// Flushes and lists all files, and flushes the directories.
fn list(target: &Path, below: &Path, found: &mut Vec<Entry>) -> Result<(), SnapshotError> {
    let directory = target.join(below);
    for entry in fs::read_dir(&directory).map_err(failed(&directory))? {
        let entry = entry.map_err(failed(&directory))?;
        let name = below.join(entry.file_name());
        let path = target.join(&name);
        if entry.file_type().map_err(failed(&path))?.is_dir() {
            list(target, &name, found)?;
            continue;
        }
        let mut file = File::open(&path).map_err(failed(&path))?;
        file.sync_all().map_err(failed(&path))?;
        let mut hasher = blake3::Hasher::new();
        let bytes = io::copy(&mut file, &mut hasher).map_err(failed(&path))?;
        found.push(Entry {
            path: spelled(&name),
            bytes,
            blake3: hasher.finalize().to_hex().to_string(),
        });
    }
    let synced = File::open(&directory).and_then(|directory| directory.sync_all());
    synced.map_err(failed(&directory))
}

/// A path as text: what is not UTF-8, and the percent sign, as `%XX`.
fn spelled(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            write!(text, "%{byte:02X}").expect("text can be written to");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_there_and_unfinished_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (data, target) = (dir.path().join("data"), dir.path().join("target"));
        fs::create_dir_all(data.join("consensus")).unwrap();
        fs::create_dir(&target).unwrap();
        for (name, text) in [
            ("peers.json", "[]"),
            ("peers.tmp", "["),
            ("core.redb", "copied otherwise"),
            ("consensus/guard", "newer"),
        ] {
            fs::write(data.join(name), text).unwrap();
        }
        fs::create_dir(target.join("consensus")).unwrap();
        fs::write(target.join("consensus/guard"), "older").unwrap();
        copy_rest(&data, &target, Path::new(""), DEPTH).unwrap();
        let mut found = Vec::new();
        list(&target, Path::new(""), &mut found).unwrap();
        let mut names: Vec<_> = found.iter().map(|entry| entry.path.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["consensus/guard", "peers.json"]);
        let guard = found.iter().find(|entry| entry.path == "consensus/guard");
        let hash = blake3::hash(b"older").to_hex().to_string();
        assert_eq!(guard.unwrap().blake3, hash);
    }

    #[test]
    fn names_are_spelled_without_losing_a_byte() {
        let odd = OsStr::from_bytes(b"a/od\xffd%");
        assert_eq!(spelled(Path::new(odd)), "a/od%FFd%25");
    }
}
