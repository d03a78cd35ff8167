//! A backup that the node itself writes, while it goes on answering.
//!
//! Only the node knows when its data is of one moment, and how to read it without stopping. So it is given an empty directory in a
//! workspace, and what it has put there is compared with the list that it wrote last, file by file, before it becomes a backup like any
//! other: with a manifest, under its name by one rename. The list is `snapshot.json`, as `docs/node-contract.md` has it.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use blake3::Hash;
use jiff::Timestamp;
use serde::Deserialize;

use super::carry::How;
use super::content::{self, Cut};
use super::error::{BackupError, Doing};
use super::list::{self, Entry};
use super::manifest::{self, Line, MANIFEST, Summary};
use super::mode::Method;
use super::parallel;
use super::progress::{Observer, Stage};
use super::take::{Places, Report, Request};
use super::text;
use super::transfer::{seal, unseal};
use super::tree::{Attrs, Kind, MAX_NODES, Node, Tree};
use super::workspace::Workspace;
use crate::files::sync_dir;

/// The node's list.
const LIST: &str = "snapshot.json";
/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 1 << 30;

/// What there is to do for a snapshot.
#[derive(Debug)]
pub enum Prepared {
    /// The backup of this upgrade is there already.
    Found(Box<Entry>),
    /// The node is to write into [`Snapshot::target`].
    Ready(Box<Snapshot>),
}

/// A snapshot that the node is to write. Dropped before it is complete, it is removed.
#[derive(Debug)]
pub struct Snapshot {
    request: Request,
    places: Places,
    work: Workspace,
    swept: Vec<PathBuf>,
    begun: Instant,
}

#[derive(Debug, Deserialize)]
struct List {
    format: u32,
    files: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    path: String,
    bytes: u64,
    #[serde(default)]
    blake3: Option<String>,
    #[serde(default)]
    linked: bool,
}

/// A file as it was found, and what it must be.
struct Checked<'a> {
    node: &'a Node,
    how: How,
    hash: Option<Hash>,
}

/// Makes an empty directory for a snapshot, unless the upgrade has its backup already.
pub fn prepare_snapshot(request: Request) -> Result<Prepared, BackupError> {
    let begun = Instant::now();
    let places = Places::of(&request)?;
    let swept = list::sweep(&places.dest)?.removed;
    if let Some(upgrade) = &request.upgrade
        && let Some(found) = list::find_for(&places.dest, &places.data, &upgrade.id)?
    {
        return Ok(Prepared::Found(Box::new(found)));
    }
    let work = places.workspace(&request)?;
    let tree = work.tree();
    DirBuilder::new()
        .mode(0o700)
        .create(&tree)
        .doing("creating", &tree)?;
    Ok(Prepared::Ready(Box::new(Snapshot {
        request,
        places,
        work,
        swept,
        begun,
    })))
}

impl Snapshot {
    /// Where the node is to write.
    pub fn target(&self) -> PathBuf {
        self.work.tree()
    }

    /// Checks what the node has written and makes it a backup. Blocks for as long as it takes.
    pub fn complete(self, observer: &dyn Observer) -> Result<Report, BackupError> {
        let to = self.target();
        let listed = read_list(&to)?;
        let path = to.join(LIST);
        fs::remove_file(&path).doing("removing", &path)?;
        let tree = Tree::scan(&to, &[MANIFEST], || observer.cancelled())?;
        let checked = check(&tree, listed, &self.places.data, observer)?;

        let mut summary = Summary::new(
            &self.places.data,
            Method::Snapshot,
            &[],
            self.request.upgrade.clone(),
            Timestamp::now(),
        );
        let data = fs::metadata(&self.places.data).doing("looking at", &self.places.data)?;
        let root = Attrs::of(&data);
        let mut files: HashMap<&Path, (How, Option<Hash>)> = checked
            .into_iter()
            .map(|file| (file.node.rel.as_path(), (file.how, file.hash)))
            .collect();
        let mut lines = Vec::with_capacity(tree.nodes.len());
        for node in &tree.nodes {
            let mut node = node.clone();
            if node.is_root() {
                node.attrs = root;
            }
            let line = Line::new(&node, files.remove(node.rel.as_path()));
            summary.count(&line);
            lines.push(line);
        }
        for node in tree.nodes.iter().rev().filter(|n| n.kind == Kind::Dir) {
            let dir = to.join(&node.rel);
            sync_dir(&dir).doing("flushing", &dir)?;
        }
        manifest::write(&to, &summary, &lines)?;
        seal(&to, &root)?;
        if observer.cancelled() {
            return Err(BackupError::Cancelled);
        }
        let path = self.places.publish(&to, self.request.today)?;
        unseal(&path, &root)?;
        self.work.remove()?;
        Ok(Report {
            path,
            summary,
            passed: Vec::new(),
            copied_instead: None,
            skipped: Vec::new(),
            owners_lost: false,
            swept: self.swept,
            took: self.begun.elapsed(),
        })
    }
}

fn read_list(to: &Path) -> Result<Vec<Listed>, BackupError> {
    let path = to.join(LIST);
    let bad = |why: String| BackupError::Snapshot {
        path: path.clone(),
        why,
    };
    let file = File::open(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => bad("the node has not written it".to_owned()),
        _ => BackupError::at("opening", &path, e),
    })?;
    let mut text = Vec::new();
    let read = file
        .take(MAX_LIST + 1)
        .read_to_end(&mut text)
        .doing("reading", &path)?;
    if read as u64 > MAX_LIST {
        return Err(bad(format!("it has more than {MAX_LIST} bytes")));
    }
    let list: List = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
    if list.format != 1 {
        return Err(bad(format!(
            "format {}, but this version reads 1",
            list.format
        )));
    }
    if list.files.len() > MAX_NODES {
        return Err(bad(format!("more than {MAX_NODES} files")));
    }
    Ok(list.files)
}

/// Compares what is there with what is listed, and reads what has a hash.
fn check<'a>(
    tree: &'a Tree,
    listed: Vec<Listed>,
    data: &Path,
    observer: &dyn Observer,
) -> Result<Vec<Checked<'a>>, BackupError> {
    let bad = |rel: &Path, why: String| BackupError::Snapshot {
        path: tree.root.join(rel),
        why,
    };
    let mut listed: HashMap<PathBuf, Listed> = listed
        .into_iter()
        .map(|file| (text::from_text(&file.path), file))
        .collect();
    if let Some(skipped) = tree.skipped.first() {
        return Err(bad(&skipped.path, format!("it is a {}", skipped.what)));
    }
    let mut checked = Vec::new();
    for node in &tree.nodes {
        match node.kind {
            Kind::Dir => continue,
            Kind::Symlink(_) => return Err(bad(&node.rel, "it is a symlink".to_owned())),
            Kind::File => {}
        }
        let Some(file) = listed.remove(&node.rel) else {
            return Err(bad(
                &node.rel,
                "the node's list does not have it".to_owned(),
            ));
        };
        if file.bytes != node.seen.size {
            let why = format!("{} bytes instead of {}", node.seen.size, file.bytes);
            return Err(bad(&node.rel, why));
        }
        let hash = match &file.blake3 {
            Some(hash) => Some(
                Hash::from_hex(hash)
                    .map_err(|_| bad(&node.rel, format!("its hash {hash:?} is none")))?,
            ),
            None if file.linked => None,
            None => return Err(bad(&node.rel, "it was copied, and has no hash".to_owned())),
        };
        if file.linked {
            // Its name in the data may be gone by now; if it is there, it must be that very file.
            let there = fs::symlink_metadata(data.join(&node.rel)).ok();
            let other =
                there.filter(|there| (there.dev(), there.ino()) != (node.seen.dev, node.seen.ino));
            if other.is_some() {
                return Err(bad(
                    &node.rel,
                    "it is not the file that the data has".to_owned(),
                ));
            }
        }
        checked.push(Checked {
            node,
            how: if file.linked {
                How::Linked
            } else {
                How::Copied
            },
            hash,
        });
    }
    if let Some(missing) = listed.into_keys().min() {
        return Err(bad(&missing, "it is missing".to_owned()));
    }
    let to_read: Vec<&Checked<'_>> = checked.iter().filter(|file| file.hash.is_some()).collect();
    parallel::run(
        Stage::Verifying,
        &to_read,
        |file| file.node.seen.size.min(file.node.seen.allocated),
        observer,
        |file, scratch, meter| {
            let path = tree.root.join(&file.node.rel);
            let opened = File::open(&path).doing("opening", &path)?;
            let seen = file.node.seen;
            match content::hash(&opened, seen.size, seen.is_sparse(), scratch, meter) {
                Ok(found) if Some(found) == file.hash => Ok(()),
                Ok(_) => Err(bad(
                    &file.node.rel,
                    "its content has another hash".to_owned(),
                )),
                Err(Cut::Short(found)) => {
                    Err(bad(&file.node.rel, format!("it ends at {found} bytes")))
                }
                Err(Cut::Read(e) | Cut::Write(e)) => Err(BackupError::at("reading", &path, e)),
                Err(Cut::Stopped) => Err(BackupError::Cancelled),
            }
        },
    )?;
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{Mode, Upgrade, verify};
    use crate::plan::Plan;
    use serde_json::{Value, json};

    fn request(dir: &Path) -> Request {
        Request {
            data: dir.join("data"),
            dest_dir: dir.to_owned(),
            mode: Mode::Auto,
            immutable: Vec::new(),
            upgrade: Some(Upgrade {
                id: "v2@9#1".to_owned(),
                plan: Plan {
                    name: "v2".to_owned(),
                    height: 9,
                    info: String::new(),
                },
            }),
            today: jiff::civil::date(2026, 1, 2),
        }
    }

    /// A data directory, and what a node would put into the target.
    fn written(dir: &Path) -> Snapshot {
        let data = dir.join("data");
        fs::create_dir_all(data.join("db")).unwrap();
        fs::write(data.join("db/1.sst"), "table").unwrap();
        let Prepared::Ready(snapshot) = prepare_snapshot(request(dir)).unwrap() else {
            panic!("nothing is there yet");
        };
        let to = snapshot.target();
        fs::create_dir(to.join("db")).unwrap();
        fs::hard_link(data.join("db/1.sst"), to.join("db/1.sst")).unwrap();
        fs::write(to.join("state"), "state").unwrap();
        *snapshot
    }

    fn list() -> Value {
        let hash = blake3::hash(b"state").to_hex();
        json!({ "format": 1, "height": 9, "files": [
            { "path": "db/1.sst", "bytes": 5, "linked": true },
            { "path": "state", "bytes": 5, "blake3": hash.as_str() },
        ]})
    }

    fn completed(snapshot: Snapshot, list: &Value) -> Result<Report, BackupError> {
        fs::write(snapshot.target().join(LIST), list.to_string()).unwrap();
        snapshot.complete(&())
    }

    #[test]
    fn what_a_node_wrote_becomes_a_backup_like_any_other() {
        let dir = tempfile::tempdir().unwrap();
        let report = completed(written(dir.path()), &list()).unwrap();
        assert_eq!(report.path, dir.path().join("data-backup-2026-1-2"));
        assert_eq!((report.summary.files, report.summary.linked_bytes), (2, 5));
        assert!(!report.path.join(LIST).exists());
        assert!(verify(&report.path, &()).unwrap().is_sound());
        let again = prepare_snapshot(request(dir.path())).unwrap();
        assert!(matches!(again, Prepared::Found(found) if found.path == report.path));
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn what_is_not_as_listed_becomes_none() {
        type Spoil = fn(&mut Value, &Path);
        let cases: &[(&str, Spoil)] = &[
            ("its content has another hash", |_, to| {
                fs::write(to.join("state"), "stale").unwrap();
            }),
            ("5 bytes instead of 4", |list, _| {
                list["files"][0]["bytes"] = json!(4);
            }),
            ("it is missing", |_, to| {
                fs::remove_file(to.join("state")).unwrap();
            }),
            ("does not have it", |_, to| {
                fs::write(to.join("more"), "").unwrap();
            }),
            ("has no hash", |list, _| {
                list["files"][1]["blake3"] = Value::Null;
            }),
            ("it is a symlink", |_, to| {
                std::os::unix::fs::symlink("state", to.join("link")).unwrap();
            }),
            ("not the file that the data has", |_, to| {
                fs::remove_file(to.join("db/1.sst")).unwrap();
                fs::write(to.join("db/1.sst"), "table").unwrap();
            }),
            ("format 2", |list, _| {
                list["format"] = json!(2);
            }),
        ];
        for (says, spoil) in cases {
            let dir = tempfile::tempdir().unwrap();
            let snapshot = written(dir.path());
            let mut list = list();
            spoil(&mut list, &snapshot.target());
            let error = completed(snapshot, &list).unwrap_err().to_string();
            assert!(error.contains(says), "{says}: {error}");
            let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
            assert_eq!(left.len(), 1, "{says}: {left:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        let error = written(dir.path()).complete(&()).unwrap_err();
        assert!(error.to_string().contains("has not written it"), "{error}");
    }
}
