//! A data directory as a node leaves it, and ways to look at two of them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use jiff::civil::{Date, date};

use super::{Entry, Mode, Observer, Outcome, Progress, Report, Request, Upgrade, list, take};
use crate::plan::Plan;

pub(crate) const TODAY: Date = date(2026, 11, 3);

/// A node's home with data in it.
pub(crate) struct Home {
    _dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap();
        lsm(&path.join("data"));
        Self { _dir: dir, path }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(crate) fn request(&self, mode: Mode) -> Request {
        Request {
            data: self.data(),
            dest_dir: self.path.clone(),
            mode,
            immutable: Vec::new(),
            upgrade: None,
            today: TODAY,
        }
    }

    pub(crate) fn take(&self, mode: Mode) -> Report {
        taken(take(&self.request(mode), &()).unwrap())
    }

    /// Removes the data, closed directories too.
    pub(crate) fn lose_data(&self) {
        super::tree::remove(&self.data()).unwrap();
    }

    pub(crate) fn list(&self) -> Vec<Entry> {
        list(&self.path).unwrap()
    }

    /// All names in the home, hidden ones too.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.path)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn taken(outcome: Outcome) -> Report {
    match outcome {
        Outcome::Taken(report) => *report,
        other => panic!("no backup was taken: {other:?}"),
    }
}

pub(crate) fn upgrade(id: &str) -> Upgrade {
    Upgrade {
        id: id.to_owned(),
        plan: Plan {
            name: "v2".to_owned(),
            height: 49,
            info: String::new(),
        },
    }
}

/// Fills a directory with what a store and a validator write, and with what is easily lost.
pub(crate) fn lsm(data: &Path) {
    let db = data.join("application.db");
    fs::create_dir_all(&db).unwrap();
    for i in 0..20_u8 {
        let name = format!("{i:06}.{}", if i % 2 == 0 { "ldb" } else { "sst" });
        fs::write(db.join(name), vec![i; 3000 + usize::from(i)]).unwrap();
    }
    fs::write(db.join("CURRENT"), "MANIFEST-000004\n").unwrap();
    fs::write(db.join("MANIFEST-000004"), vec![7; 900]).unwrap();
    fs::write(db.join("000021.log"), vec![9; 70_000]).unwrap();
    fs::write(db.join("LOCK"), "").unwrap();
    fs::create_dir_all(data.join("cs.wal")).unwrap();
    fs::write(data.join("cs.wal/wal"), vec![3; 5000]).unwrap();
    sign(data, 48);
    fs::write(
        data.join("upgrade-info.json"),
        "{\"name\":\"v2\",\"height\":49}",
    )
    .unwrap();
    symlink("application.db/CURRENT", data.join("a-link")).unwrap();
    fs::write(data.join(odd_name()), "odd").unwrap();
    let sparse = File::create(data.join("sparse")).unwrap();
    sparse.write_all_at(b"in the middle", 5 << 20).unwrap();
    sparse.set_len(8 << 20).unwrap();
    fs::create_dir(data.join("closed")).unwrap();
    fs::write(data.join("closed/key"), "secret").unwrap();
    set_mode(&data.join("closed/key"), 0o400);
    set_mode(&data.join("closed"), 0o500);
    let past = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    for path in ["closed", "application.db/CURRENT", "application.db", "."] {
        File::open(data.join(path))
            .unwrap()
            .set_modified(past)
            .unwrap();
    }
}

/// A name that is not UTF-8.
pub(crate) fn odd_name() -> PathBuf {
    std::ffi::OsString::from_vec(b"odd\xff%".to_vec()).into()
}

/// Writes the signing state of a height.
pub(crate) fn sign(data: &Path, height: u64) {
    let state = format!("{{\"height\":\"{height}\",\"round\":0,\"step\":3}}");
    fs::write(data.join("priv_validator_state.json"), state).unwrap();
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What a tree holds: kind and content, mode, owner and time of modification, by path.
pub(crate) type Content = BTreeMap<PathBuf, (String, u32, u32, i64, i64)>;

pub(crate) fn content(root: &Path) -> Content {
    let mut all = BTreeMap::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        let at = root.join(&dir);
        let names = fs::read_dir(&at)
            .unwrap()
            .map(|e| dir.join(e.unwrap().file_name()));
        for rel in names.chain([dir.clone()]) {
            let meta = fs::symlink_metadata(root.join(&rel)).unwrap();
            let what = if meta.is_dir() {
                if rel != dir {
                    dirs.push(rel);
                    continue;
                }
                "a directory".to_owned()
            } else if meta.is_symlink() {
                format!("to {}", fs::read_link(root.join(&rel)).unwrap().display())
            } else {
                let bytes = fs::read(root.join(&rel)).unwrap();
                format!("{} bytes, {}", bytes.len(), blake3::hash(&bytes))
            };
            let mode = if meta.is_symlink() { 0 } else { meta.mode() };
            all.insert(
                rel,
                (what, mode, meta.uid(), meta.mtime(), meta.mtime_nsec()),
            );
        }
    }
    all
}

/// The same without the directory itself, of which XFS changes the time when it is moved.
pub(crate) fn within(root: &Path) -> Content {
    let mut all = content(root);
    all.remove(Path::new(""));
    all
}

/// Does something once, at the first report of a stage.
pub(crate) struct At<F: Fn()> {
    act: F,
    done: Cell<bool>,
}

impl<F: Fn()> At<F> {
    pub(crate) fn beginning(act: F) -> Self {
        let done = Cell::new(false);
        Self { act, done }
    }
}

impl<F: Fn()> Observer for At<F> {
    fn progress(&self, _: Progress) {
        if !self.done.replace(true) {
            (self.act)();
        }
    }
}
