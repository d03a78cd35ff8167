//! Putting a backup in the place of the data.
//!
//! The new directory is built beside the present one and every file that has a hash is compared
//! while it is copied, so a damaged backup changes nothing. **Commit point: the rename by which the
//! two directories change places.** Before it the old data is at `data`, after it the new; the old
//! is then given the name `data-before-restore-Y-M-D` and never removed. Where the file system
//! cannot exchange two names there is an instant without `data`; [`super::settle`] ends it after a
//! crash.
//!
//! What the node may write to is never shared with the backup: immutable files may be linked, all
//! others are cloned or copied.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use rustix::fs::{AtFlags, CWD, RenameFlags, StatxAttributes, StatxFlags, renameat_with, statx};
use rustix::io::Errno;

use super::error::{BackupError, Bytes, Doing};
use super::flush::Flush;
use super::manifest::Summary;
use super::mode::{Method, Mode, Passed};
use super::name::Day;
use super::plan::Plan;
use super::progress::Observer;
use super::settle::{self, Place, Settled};
use super::signing::{self, Choice, Decided, Signing};
use super::source::Source;
use super::space;
use super::text;
use super::transfer::{seal, transfer, unseal};
use super::verify::{Difference, verify};
use super::workspace::{Swap, Work, Workspace};
use crate::files::sync_dir;

/// The most differences that an error shows.
const SHOWN: usize = 5;

/// What to restore, and where.
#[derive(Debug, Clone)]
pub struct Request {
    /// The backup.
    pub backup: PathBuf,
    /// The data directory; a symlink is followed and stays. It need not exist.
    pub data: PathBuf,
    /// How; [`Mode::Off`] is taken for [`Mode::Auto`].
    pub mode: Mode,
    /// Which signing state the validator gets.
    pub signing: Choice,
    /// Restore a backup without a manifest too.
    pub accept_unverified: bool,
    /// The local date, for the name of what is put aside.
    pub today: Date,
}

/// What a restore does, or did.
#[derive(Debug, Clone)]
pub struct Restoration {
    /// The backup.
    pub backup: PathBuf,
    /// What it is; `None` without a manifest.
    pub summary: Option<Summary>,
    /// The data directory, symlinks resolved.
    pub data: PathBuf,
    /// Where the present data goes; `None` if there is none.
    pub aside: Option<PathBuf>,
    /// How.
    pub method: Method,
    /// The methods that were not used, and why.
    pub passed: Vec<Passed>,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes needed beside the present data.
    pub needed: u64,
    /// The bytes free there.
    pub free: u64,
    /// Which signing state the validator gets, and why; empty if there is none here or in the backup.
    pub signing: Vec<Signing>,
    /// How restores that were interrupted before were brought to an end.
    pub settled: Vec<Settled>,
}

/// Why a restore did not happen. The data is as it was before, unless the error says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file or directory, or the backup's manifest.
    #[error(transparent)]
    Backup(BackupError),
    /// The disk or a quota filled up on the way.
    #[error(
        "{doing} {}: {source}; what was restored so far is removed and nothing was changed; free some space there",
        .path.display()
    )]
    Full {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No manifest, and the operator did not allow that.
    #[error(
        "{} has no manifest, so nobody knows whether it is whole: cosmovisor made it, or it is damaged; nothing was changed; --accept-unverified restores it all the same",
        .0.display()
    )]
    Unverified(PathBuf),
    /// The backup is not what its manifest says.
    #[error("{}", damaged(.backup, .differences))]
    Damaged {
        /// The backup.
        backup: PathBuf,
        /// What is different.
        differences: Vec<Difference>,
    },
    /// Backup and data lie in each other.
    #[error("{} and {} lie in each other; nothing was changed", .backup.display(), .data.display())]
    Overlap {
        /// The backup.
        backup: PathBuf,
        /// The data.
        data: PathBuf,
    },
    /// The data directory cannot be renamed.
    #[error(
        "{} is a mount point, which cannot be renamed aside; nothing was changed; mount the disk one directory higher, or copy {} into it by hand", .data.display(), .backup.display()
    )]
    MountPoint {
        /// The data.
        data: PathBuf,
        /// The backup.
        backup: PathBuf,
    },
    /// Too little space beside the present data.
    #[error(
        "restoring {} ({how}) needs {} in {}, which has {} free; nothing was changed; free some space there",
        .backup.display(), Bytes(*.needed), .at.display(), Bytes(*.free)
    )]
    Space {
        /// The backup.
        backup: PathBuf,
        /// Where it is to be built.
        at: PathBuf,
        /// The method.
        how: Method,
        /// The bytes needed.
        needed: u64,
        /// The bytes free.
        free: u64,
    },
    /// The signing states cannot be compared.
    #[error(
        "the present {} cannot be compared with the backup's ({}): {}; with an older state the validator could sign twice; nothing was changed; repair the file, or choose with --signing-state=backup",
        .data.join(.signing.file).display(), .signing.backup, .signing.present
    )]
    SigningState {
        /// The data.
        data: PathBuf,
        /// What was read.
        signing: Signing,
    },
    /// Something else renamed directories at the same time.
    #[error(
        "something else has put another directory in the place of {} during the restore; what was restored, or what was there before, lies in {}: look at both and rename by hand",
        .data.display(), .left.display()
    )]
    Interfered {
        /// The data.
        data: PathBuf,
        /// Where the rest is.
        left: PathBuf,
    },
    /// Data appeared where there was none.
    #[error("{} has appeared during the restore; nothing was changed; look what made it", .0.display())]
    Occupied(PathBuf),
    /// Another restore is under way.
    #[error(
        "a restore of this data is under way in {} (its owner.json names the process); wait for it",
        .0.display()
    )]
    Running(PathBuf),
}

impl From<BackupError> for RestoreError {
    /// A backup can be made on another disk, the data cannot be restored to one.
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Full {
                doing,
                path,
                source,
            } => Self::Full {
                doing,
                path,
                source,
            },
            other => Self::Backup(other),
        }
    }
}

fn damaged(backup: &Path, differences: &[Difference]) -> String {
    let shown: Vec<_> = differences
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    let more = match differences.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the backup {} is damaged: {}{more}; nothing was changed; restore another one",
        backup.display(),
        shown.join(", ")
    )
}

/// Verifies a backup and tells what [`restore`] would do, without doing it.
pub fn plan(request: &Request, observer: &dyn Observer) -> Result<Restoration, RestoreError> {
    let found = Restore::look(request, observer)?;
    if found.source.summary.is_some() {
        let verified = verify(&found.source.path, observer)?;
        if !verified.is_sound() {
            let backup = found.source.path;
            let differences = verified.differences;
            return Err(RestoreError::Damaged {
                backup,
                differences,
            });
        }
    }
    let work = Workspace::create(&found.place.parent, &found.place.stem, Work::Restore)?;
    let plan = found.plan(request, &work)?;
    let room = found.room(&plan)?;
    let aside = if found.present {
        found.place.free_aside(&found.aside)
    } else {
        None
    };
    Ok(found.told(&plan, room, aside, Vec::new()))
}

/// Puts a backup in the place of the data.
///
/// The node must be stopped. Blocks for as long as it takes; [`Observer::cancelled`] ends it as
/// long as nothing is changed.
pub fn restore(request: &Request, observer: &dyn Observer) -> Result<Restoration, RestoreError> {
    let settled = settle::settle(&request.data)?;
    let found = Restore::look(request, observer)?;
    let mut work = Workspace::create(&found.place.parent, &found.place.stem, Work::Restore)?;
    let plan = found.plan(request, &work)?;
    let room = found.room(&plan)?;

    let to = work.tree();
    let nodes = &found.source.tree.nodes;
    let way = Flush::choose(nodes, &plan.orders);
    transfer(&found.source.path, &to, nodes, &plan.orders, way, observer)?;
    fault!("backup::built", &to);
    found.source.tree.check_unchanged(|| observer.cancelled())?;
    for carrier in found
        .signing
        .iter()
        .filter_map(|(_, carrier)| carrier.as_ref())
    {
        carrier.put(&to)?;
    }
    way.tree(&to, nodes)?;
    let attrs = &nodes[0].attrs;
    seal(&to, attrs)?;
    if observer.cancelled() {
        return Err(BackupError::Cancelled.into());
    }
    let swap = Swap {
        new_ino: fs::metadata(&to).doing("looking at", &to)?.ino(),
        aside: found.aside.clone(),
    };
    work.record(Work::Swap(swap.clone()))?;
    fault!("backup::ready", &to);
    let swapped = found.change_places(&to);
    let ended = settle::end(&found.place, work, Some(&swap));
    let put_aside = swapped?;
    let aside = match ended? {
        Settled::SetAside(path) => Some(path),
        Settled::Finished => put_aside,
        Settled::LeftAlone(left) => {
            let data = found.place.data;
            return Err(RestoreError::Interfered { data, left });
        }
        Settled::Undone => return Err(RestoreError::Occupied(found.place.data)),
    };
    unseal(&found.place.data, attrs)?;
    Ok(found.told(&plan, room, aside, settled))
}

/// What was found out before anything is written.
struct Restore {
    source: Source,
    place: Place,
    /// Whether there is data now.
    present: bool,
    signing: Decided,
    /// The name for the present data, without a number.
    aside: PathBuf,
}

impl Restore {
    fn look(request: &Request, observer: &dyn Observer) -> Result<Self, RestoreError> {
        let backup = fs::canonicalize(&request.backup).doing("finding", &request.backup)?;
        if !backup.is_dir() {
            return Err(BackupError::NotADirectory(backup).into());
        }
        let place = Place::of(&request.data)?;
        let data = &place.data;
        if data.starts_with(&backup) || backup.starts_with(data) {
            let data = data.clone();
            return Err(RestoreError::Overlap { backup, data });
        }
        let present = match fs::symlink_metadata(data) {
            Ok(meta) if !meta.is_dir() => {
                return Err(BackupError::NotADirectory(data.clone()).into());
            }
            Ok(_) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(BackupError::at("looking at", data, e).into()),
        };
        if present && is_mount_point(data).doing("looking at", data)? {
            let data = data.clone();
            return Err(RestoreError::MountPoint { data, backup });
        }
        let signing = signing::look(data, &backup, request.signing)?.map_err(|signing| {
            let data = data.clone();
            RestoreError::SigningState { data, signing }
        })?;
        let aside = format!("{}-before-restore-{}", place.stem, Day(request.today));
        Ok(Self {
            source: Source::open(backup, request.accept_unverified, observer)?,
            place,
            present,
            signing,
            aside: text::from_text(&aside),
        })
    }

    fn plan(&self, request: &Request, work: &Workspace) -> Result<Plan<'_>, BackupError> {
        let mode = match request.mode {
            Mode::Off => Mode::Auto,
            mode => mode,
        };
        let source = &self.source;
        Plan::make(&source.tree, work, mode, &source.patterns, |node| {
            source.hashes.get(&node.rel).copied()
        })
    }

    fn room(&self, plan: &Plan<'_>) -> Result<(u64, u64), RestoreError> {
        let at = &self.place.parent;
        let room = space::ask(at).doing("asking for the free space of", at)?;
        let need = space::need(&self.source.tree.nodes, &plan.orders, room.block);
        if need.bytes > room.bytes {
            return Err(RestoreError::Space {
                backup: self.source.path.clone(),
                at: at.clone(),
                how: plan.method,
                needed: need.bytes,
                free: room.bytes,
            });
        }
        Ok((need.bytes, room.bytes))
    }

    /// Lets the new directory and the present data change places, and tells where the data is if
    /// it already has its name.
    fn change_places(&self, new: &Path) -> Result<Option<PathBuf>, RestoreError> {
        let (data, parent) = (&self.place.data, &self.place.parent);
        if !self.present {
            // `settle::end` puts it in the empty place.
            return Ok(None);
        }
        match exchange(new, data) {
            Ok(()) => {
                sync_dir(parent).doing("flushing", parent)?;
                fault!("backup::exchanged", data);
                Ok(None)
            }
            Err(Errno::BUSY | Errno::XDEV) => Err(RestoreError::MountPoint {
                data: data.clone(),
                backup: self.source.path.clone(),
            }),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let aside = self.place.set_aside(data, &self.aside)?;
                fault!("backup::aside", data);
                Ok(Some(aside))
            }
            Err(e) => Err(BackupError::at("renaming the restored data to", data, e.into()).into()),
        }
    }

    fn told(
        &self,
        plan: &Plan<'_>,
        (needed, free): (u64, u64),
        aside: Option<PathBuf>,
        settled: Vec<Settled>,
    ) -> Restoration {
        Restoration {
            backup: self.source.path.clone(),
            summary: self.source.summary.clone(),
            data: self.place.data.clone(),
            aside,
            method: plan.method,
            passed: plan.passed.clone(),
            files: plan.orders.len() as u64,
            bytes: self.source.tree.files().map(|n| n.seen.size).sum(),
            needed,
            free,
            signing: self.signing.iter().map(|(one, _)| one.clone()).collect(),
            settled,
        }
    }
}

fn exchange(a: &Path, b: &Path) -> rustix::io::Result<()> {
    #[cfg(feature = "failpoints")]
    fail::fail_point!("backup::exchange", |_| Err(Errno::INVAL));
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)
}

/// Whether another file system, or another part of this one, is mounted here.
fn is_mount_point(dir: &Path) -> io::Result<bool> {
    let found = statx(CWD, dir, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
    if found
        .stx_attributes_mask
        .contains(StatxAttributes::MOUNT_ROOT)
    {
        return Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    // Before Linux 5.8: at least another device shows.
    let parent = dir.parent().unwrap_or(dir);
    Ok(fs::metadata(dir)?.dev() != fs::metadata(parent)?.dev())
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
