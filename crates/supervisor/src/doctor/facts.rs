//! What is known about a home, as data.

use std::path::PathBuf;

use crate::backup::Estimate;
use crate::config::Config;
use crate::layout::Release;
use crate::plan::Plan;
use crate::stage::prepare::NoAddress;
use crate::upgrade::Journal;

/// Everything that was found out.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What is wrong with the configuration.
    pub(super) errors: Vec<String>,
    /// Names that look like settings and are none.
    pub(super) ignored: Vec<String>,
    /// The home, if the configuration says where it is.
    pub(super) home: Option<Box<Home>>,
}

/// What was found out about the home.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) config: Config,
    /// Who looks, and who owns `cosmovisor/`.
    pub(super) user: u32,
    pub(super) owner: u32,
    /// Directories that an upgrade writes to.
    pub(super) written: Vec<(PathBuf, Access)>,
    /// What `current` points to.
    pub(super) current: Current,
    /// The binary that runs.
    pub(super) current_binary: Binary,
    /// The directories in `upgrades/`.
    pub(super) releases: Vec<Directory>,
    pub(super) plan_file: PlanFile,
    /// What the chain plans.
    pub(super) chain: Result<Option<Plan>, String>,
    /// Upgrades that are to come.
    pub(super) pending: Vec<Pending>,
    /// How many entries the batch list has.
    pub(super) batch: Result<usize, String>,
    pub(super) journal: Result<Option<Journal>, String>,
    pub(super) data: Data,
    pub(super) backup_dir: Access,
    /// What a backup would take; unset if none is made.
    pub(super) estimate: Option<Result<Estimate, String>>,
    /// Backups that are complete, and those that are not or not known to be.
    pub(super) backups: Result<(usize, Vec<PathBuf>), String>,
    /// The supervisor that has the lock.
    pub(super) supervisor: Option<u32>,
    /// A node whose supervisor was killed.
    pub(super) left_behind: Option<i32>,
    /// The chain's height and who told it.
    pub(super) height: Result<(u64, String), String>,
    pub(super) hook: Option<(PathBuf, Binary)>,
    pub(super) custom: Option<(PathBuf, Binary)>,
    /// The clock, and the latest time at which it wrote one of our files.
    pub(super) now_s: i64,
    pub(super) newest_s: Option<i64>,
}

/// Whether a directory can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    Writable,
    Refused(String),
    Absent,
}

/// What a program looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binary {
    /// Nothing is there.
    Missing,
    /// This machine can run it.
    Runs,
    /// This machine could run it, were it marked as executable; and whether we may mark it.
    NotMarked {
        /// We may.
        ours: bool,
    },
    /// This machine cannot run it, and why.
    Unfit(String),
}

/// What `current` points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Current {
    /// Nothing is there; the next start makes it point to genesis.
    Unmade,
    To(Release),
    Wrong(String),
}

/// A directory in `upgrades/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) name: String,
    pub(super) binary: Binary,
    /// The name that `run` looks for instead, if it is another one.
    pub(super) looked_for: Option<String>,
}

/// The plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PlanFile {
    Absent,
    Plan(Plan),
    /// Being written, or cut off.
    Incomplete(String),
    Wrong(String),
}

/// An upgrade to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) plan: Plan,
    /// Who says so.
    pub(super) said_by: &'static str,
    /// The binary's path.
    pub(super) path: PathBuf,
    pub(super) binary: Binary,
    /// Where it can be fetched.
    pub(super) address: Result<String, NoAddress>,
}

/// The data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    Wrong(String),
    Dangling(PathBuf),
    There {
        /// With links resolved, if it is one.
        real: Option<PathBuf>,
        mount_point: bool,
        access: Access,
    },
}
