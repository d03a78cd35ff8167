//! The upgrade: a journaled procedure that a crash can interrupt anywhere and the next start
//! resumes.
//!
//! ```text
//! Due → Stopped → BackedUp → CustomDone → Fetched → Switched → Prepared → Started → Confirmed
//!       ·········· the old release runs next ·······│ commit │··· the new one runs next ···
//! ```
//!
//! A node that can hand over is not stopped: it stands still and answers until the new binary has taken over, after `Prepared`.
//!
//! The commit point is the rename that replaces `current`. [`machine`] decides, [`journal`]
//! remembers, [`steps`] acts.

pub mod journal;
pub mod machine;
pub mod scripts;
pub mod steps;

pub use journal::{Journal, JournalError, Way};
pub use machine::{Action, Event, Machine, Policy, Stage, Step};
