//! A copy of the data directory that costs almost nothing where the file system helps, and that is
//! known to be whole.
//!
//! Five ideas carry it:
//!
//! - Most of an LSM store is immutable, so sharing those files is as safe as copying them, and a
//!   copy of 10 GiB becomes a copy of some megabytes ([`Mode`]).
//! - A backup is made under a hidden name and gets its own by one rename, after everything in it
//!   is durable: a directory called `data-backup-…` is complete, or Cosmovisor made it.
//! - Its manifest, written last, tells what every file was, so it can be verified before it is
//!   needed ([`verify`]) and again before it is used ([`restore`]).
//! - A node that can write a snapshot of itself need not be stopped for it ([`Snapshot`]).
//! - Nothing of the operator's is removed: a restore puts the present data aside, whole.
//!
//! Everything here blocks: call it on a thread that may.

#[macro_use]
mod fault;

mod carry;
mod content;
mod error;
mod flush;
mod list;
mod manifest;
mod mode;
mod name;
mod parallel;
mod pattern;
mod plan;
mod progress;
mod prune;
mod restore;
mod settle;
mod signing;
mod snapshot;
mod source;
mod space;
mod take;
mod text;
mod transfer;
mod tree;
mod verify;
mod workspace;

#[cfg(all(test, feature = "failpoints"))]
mod crash_tests;
#[cfg(test)]
mod testing;

pub use error::{BackupError, Bytes, Change};
pub use list::{Entry, State, Swept, find_for, list, sweep};
pub use manifest::{MANIFEST, Summary, Upgrade};
pub use mode::{Method, Mode, Passed, UnknownMode};
pub use name::Name;
pub use pattern::{PatternError, Patterns};
pub use progress::{Observer, Progress, Stage};
pub use prune::{Pruned, prune};
pub use restore::{
    Request as RestoreRequest, Restoration, RestoreError, plan as plan_restore, restore,
};
pub use settle::{Settled, settle};
pub use signing::{Choice as SigningChoice, Kept, Position, Signing, StateFile};
pub use snapshot::{Prepared, Snapshot, prepare_snapshot};
pub use take::{Estimate, Outcome, Report, Request, estimate, take};
pub use tree::Skipped;
pub use verify::{Difference, Verification, Wrong, verify};
