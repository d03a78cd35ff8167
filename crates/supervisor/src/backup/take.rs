//! Taking a backup.
//!
//! **Commit point: the rename that gives the backup its name.** Before it there is a hidden
//! workspace, which the next run removes; after it the backup is complete, durable and has its
//! manifest. Killed anywhere, a caller that names its upgrade finds the backup or takes it once
//! more, never twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;

use super::error::{BackupError, Doing};
use super::flush::Flush;
use super::list::{self, Entry};
use super::manifest::{self, Line, MANIFEST, Summary, Upgrade};
use super::mode::{Method, Mode, Passed};
use super::name::{MAX_PER_DAY, Name};
use super::pattern::Patterns;
use super::plan::Plan;
use super::progress::{Observer, Progress, Stage};
use super::space::{self, Ask};
use super::transfer::{keeps_owners, seal, transfer, unseal};
use super::tree::{Kind, Skipped, Tree};
use super::workspace::{Work, Workspace, rename_to_free};
use crate::files::sync_dir;

/// What to back up, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The data directory; a symlink is followed.
    pub data: PathBuf,
    /// Where backups are kept (`DAEMON_DATA_BACKUP_DIR`).
    pub dest_dir: PathBuf,
    /// How (`BATON_BACKUP_MODE`).
    pub mode: Mode,
    /// Files that are only ever created and unlinked, beside `*.sst` and `*.ldb`
    /// (`BATON_BACKUP_IMMUTABLE`).
    pub immutable: Vec<String>,
    /// The upgrade that it is for. One with the same id is not backed up twice.
    pub upgrade: Option<Upgrade>,
    /// The local date, for the name.
    pub today: Date,
}

/// What came of a request.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A backup was taken.
    Taken(Box<Report>),
    /// The backup of this upgrade was there already.
    Found(Box<Entry>),
    /// Backups are off.
    Off,
}

/// A backup that was taken.
#[derive(Debug, Clone)]
pub struct Report {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub summary: Summary,
    /// The methods that were not used, and why.
    pub passed: Vec<Passed>,
    /// Files that were copied although they should have been linked or cloned, and why the first
    /// of them was.
    pub copied_instead: Option<(u64, String)>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// Whether files belong to us instead of their owners, because we are not root.
    pub owners_lost: bool,
    /// What crashes had left here, now removed.
    pub swept: Vec<PathBuf>,
    /// How long it took.
    pub took: Duration,
}

/// What a backup would take, for `doctor`.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// The method that would be used.
    pub method: Method,
    /// The methods that would not be, and why.
    pub passed: Vec<Passed>,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes needed.
    pub needed: u64,
    /// The bytes free.
    pub free: u64,
}

/// Takes a backup of a data directory that nothing writes to.
///
/// Blocks for as long as it takes; [`Observer::cancelled`] ends it.
pub fn take(request: &Request, observer: &dyn Observer) -> Result<Outcome, BackupError> {
    take_with(request, observer, &space::ask)
}

/// Tells what [`take`] would do, and fails as it would before it copies.
pub fn estimate(request: &Request, observer: &dyn Observer) -> Result<Estimate, BackupError> {
    let patterns = Patterns::new(&request.immutable)?;
    let places = Places::of(request)?;
    let tree = places.scan(observer)?;
    let work = places.workspace(request)?;
    let plan = Plan::make(&tree, &work, request.mode, &patterns, |_| None)?;
    let (needed, free) = places.room(&tree, &plan, &space::ask)?;
    Ok(Estimate {
        method: plan.method,
        files: plan.orders.len() as u64,
        bytes: tree.files().map(|n| n.seen.size).sum(),
        passed: plan.passed,
        needed,
        free,
    })
}

fn take_with(
    request: &Request,
    observer: &dyn Observer,
    ask: Ask<'_>,
) -> Result<Outcome, BackupError> {
    if request.mode == Mode::Off {
        return Ok(Outcome::Off);
    }
    let begun = Instant::now();
    let patterns = Patterns::new(&request.immutable)?;
    let places = Places::of(request)?;
    let swept = list::sweep(&places.dest)?.removed;
    if let Some(upgrade) = &request.upgrade
        && let Some(found) = list::find_for(&places.dest, &places.data, &upgrade.id)?
    {
        return Ok(Outcome::Found(Box::new(found)));
    }
    let tree = places.scan(observer)?;
    let work = places.workspace(request)?;
    let plan = Plan::make(&tree, &work, request.mode, &patterns, |_| None)?;
    places.room(&tree, &plan, ask)?;
    fault!("backup::planned", work.path());

    let to = work.tree();
    let way = Flush::choose(&tree.nodes, &plan.orders);
    let carried = transfer(&places.data, &to, &tree.nodes, &plan.orders, way, observer)?;
    fault!("backup::copied", &to);
    tree.check_unchanged(|| observer.cancelled())?;

    observer.progress(Progress {
        stage: Stage::Flushing,
        files_done: 0,
        files_total: 0,
        bytes_done: 0,
        bytes_total: 0,
    });
    way.tree(&to, &tree.nodes)?;
    fault!("backup::flushed", &to);

    let mut copied_instead = None;
    for one in carried.iter().filter_map(|c| c.instead.as_ref()) {
        copied_instead.get_or_insert((0, one.clone())).0 += 1;
    }
    let mut summary = Summary::new(
        &places.data,
        plan.method,
        patterns.as_slice(),
        request.upgrade.clone(),
        Timestamp::now(),
    );
    summary.skipped = tree.skipped.len() as u64;
    let mut carried = carried.into_iter();
    let mut lines = Vec::with_capacity(tree.nodes.len());
    for node in &tree.nodes {
        let how = match node.kind {
            Kind::File => carried.next().map(|c| (c.how, c.hash)),
            _ => None,
        };
        let line = Line::new(node, how);
        summary.count(&line);
        lines.push(line);
    }
    manifest::write(&to, &summary, &lines)?;
    fault!("backup::manifest", &to);
    seal(&to, &tree.nodes[0].attrs)?;
    if observer.cancelled() {
        return Err(BackupError::Cancelled);
    }
    let path = places.publish(&to, request.today)?;
    fault!("backup::renamed", &path);
    unseal(&path, &tree.nodes[0].attrs)?;
    work.remove()?;
    Ok(Outcome::Taken(Box::new(Report {
        path,
        summary,
        passed: plan.passed,
        copied_instead,
        owners_lost: owners_lost(&tree),
        skipped: tree.skipped,
        swept,
        took: begun.elapsed(),
    })))
}

fn owners_lost(tree: &Tree) -> bool {
    let me = rustix::process::geteuid().as_raw();
    !keeps_owners() && tree.nodes.iter().any(|n| n.attrs.uid != me)
}

/// Where from and where to, symlinks resolved.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) data: PathBuf,
    pub(super) dest: PathBuf,
}

impl Places {
    pub(super) fn of(request: &Request) -> Result<Self, BackupError> {
        let dir = |path: &Path, doing| -> Result<PathBuf, BackupError> {
            let real = fs::canonicalize(path).doing(doing, path)?;
            if !real.is_dir() {
                return Err(BackupError::NotADirectory(path.to_owned()));
            }
            Ok(real)
        };
        let data = dir(&request.data, "finding the data directory")?;
        let dest = dir(&request.dest_dir, "finding the backup directory")?;
        if dest.starts_with(&data) {
            return Err(BackupError::Inside {
                inner: dest,
                outer: data,
                hint: "the backup would contain itself; name a directory outside of the data in DAEMON_DATA_BACKUP_DIR",
            });
        }
        for leftover in list::workspaces(&dest)? {
            if data.starts_with(&leftover) {
                return Err(BackupError::Inside {
                    inner: data,
                    outer: leftover,
                    hint: "that is a backup which was never completed and will be removed; put the data elsewhere",
                });
            }
        }
        Ok(Self { data, dest })
    }

    fn scan(&self, observer: &dyn Observer) -> Result<Tree, BackupError> {
        Tree::scan(&self.data, &[MANIFEST], || observer.cancelled())
    }

    pub(super) fn workspace(&self, request: &Request) -> Result<Workspace, BackupError> {
        let name = Name {
            date: request.today,
            number: 1,
        };
        Workspace::create(&self.dest, &name.to_string(), Work::Backup)
    }

    /// Bytes needed and bytes free, or an error if they do not suffice.
    fn room(&self, tree: &Tree, plan: &Plan<'_>, ask: Ask<'_>) -> Result<(u64, u64), BackupError> {
        let room = ask(&self.dest).doing("asking for the free space of", &self.dest)?;
        let need = space::need(&tree.nodes, &plan.orders, room.block);
        if need.bytes > room.bytes {
            return Err(BackupError::Space {
                data: self.data.clone(),
                dest: self.dest.clone(),
                how: plan.method,
                passed: plan.passed.clone(),
                needed: need.bytes,
                free: room.bytes,
            });
        }
        match room.inodes {
            Some(free) if need.inodes > free => Err(BackupError::Inodes {
                data: self.data.clone(),
                dest: self.dest.clone(),
                needed: need.inodes,
                free,
            }),
            _ => Ok((need.bytes, room.bytes)),
        }
    }

    /// Gives the backup the first free name of the day.
    pub(super) fn publish(&self, tree: &Path, date: Date) -> Result<PathBuf, BackupError> {
        for number in 1..=MAX_PER_DAY {
            let path = self.dest.join(Name { date, number }.to_string());
            if rename_to_free(tree, &path).doing("renaming the backup to", &path)? {
                sync_dir(&self.dest).doing("flushing", &self.dest)?;
                return Ok(path);
            }
        }
        Err(BackupError::NoName {
            dest: self.dest.clone(),
            limit: MAX_PER_DAY,
        })
    }
}

#[cfg(test)]
#[path = "take_tests.rs"]
mod tests;
