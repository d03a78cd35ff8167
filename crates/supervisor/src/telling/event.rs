//! What happened, as data: one enum for everything that the supervisor tells the operator.
//!
//! The same JSON goes into the history, to hooks, to the webhook and over the socket:
//! `{"seq":12,"time":"2026-11-21T03:24:05.123Z","kind":"node-started","pid":4242,…}`.
//! Kinds and fields are only ever added. A reader of this version keeps a kind that it does not
//! know as it is ([`Event::Other`]), so an older `baton` can follow a newer supervisor.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::change::Change;
use super::time::{Time, millis};
use crate::due::Author;

/// The longest record that is written, in bytes of JSON. Longer texts in it are shortened.
pub const MAX_RECORD_BYTES: usize = 16 << 10;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A supervisor took the home.
    SupervisorStarted {
        /// Its version.
        version: String,
        /// `$DAEMON_HOME`.
        home: PathBuf,
        /// An upgrade that was interrupted is being finished.
        resumed: bool,
    },
    /// The supervisor is about to exit.
    SupervisorStopped {
        /// With this code.
        exit_code: i32,
    },
    /// The node's process was started.
    NodeStarted {
        /// Its process id.
        pid: u32,
        /// Which process in the line of processes it is, from 1.
        generation: u64,
        /// The release's directory below `cosmovisor/`, such as `upgrades/v2`.
        release: String,
        /// The binary.
        binary: PathBuf,
    },
    /// The node was asked to stop.
    NodeStopping {
        /// Its process id.
        pid: u32,
        /// Why.
        why: String,
    },
    /// The node did not stop within the grace and was killed.
    NodeKilled {
        /// Its process id.
        pid: u32,
        /// The grace that it had.
        #[serde(rename = "grace_ms", with = "millis")]
        grace: Duration,
    },
    /// The node's process ended, by itself or as asked.
    NodeExited {
        /// Its process id.
        pid: u32,
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// The number of the signal that ended it.
        signal: Option<i32>,
        /// How long it ran.
        #[serde(rename = "ran_for_ms", with = "millis")]
        ran_for: Duration,
    },
    /// A process was started that is to take over from the one that serves.
    HandingOver {
        /// What for: `reload`, `upgrade v2`.
        why: String,
        /// The process that serves.
        from: u32,
        /// The one that is to take over.
        to: u32,
        /// The binary.
        binary: PathBuf,
        /// It is taken back just before the new one would serve.
        dry_run: bool,
    },
    /// Another process is the node now.
    NodeChanged {
        /// Which process in the line of processes it is.
        generation: u64,
        /// How it came to be.
        change: Box<Change>,
    },
    /// A process was to take over and did not; the one before serves on.
    HandoverFailed {
        /// What for.
        why: String,
        /// What went wrong.
        error: String,
        /// What the operator can do.
        what_to_do: String,
    },
    /// A process could have taken over; the one before serves on, as was wanted.
    HandoverRehearsed {
        /// What for.
        why: String,
        /// How long it took.
        #[serde(rename = "took_ms", with = "millis")]
        took: Duration,
    },
    /// A process of the node was found that serves; it was not started just now.
    NodeFound {
        /// Its process id.
        pid: u32,
        /// Which process in the line of processes it is.
        generation: u64,
        /// The release's directory below `cosmovisor/`.
        release: String,
        /// The binary.
        binary: PathBuf,
        /// How it came to be found.
        why: String,
    },
    /// A process that had handed over has ended.
    GenerationEnded {
        /// Its process id.
        pid: u32,
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// The number of the signal that ended it.
        signal: Option<i32>,
    },
    /// The node will be started again.
    NodeRestarting {
        /// After this delay.
        #[serde(rename = "in_ms", with = "millis")]
        delay: Duration,
        /// The how-manieth attempt in a row this is, from 1.
        attempt: u32,
    },
    /// The node ended too often; it is not started again.
    CrashLoop {
        /// So many exits
        exits: u32,
        /// within this time.
        #[serde(rename = "within_ms", with = "millis")]
        within: Duration,
        /// What the operator can do.
        what_to_do: String,
    },
    /// A plan was found.
    PlanSeen {
        /// The upgrade's name.
        name: String,
        /// The block at which it is due.
        height: u64,
        /// What the proposal said.
        info: String,
        /// Who wrote it.
        provenance: Author,
    },
    /// A plan file will never be a plan.
    PlanMalformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// A plan is not due yet.
    PlanWaiting {
        /// The upgrade's name.
        name: String,
        /// The block at which it is due.
        height: u64,
        /// What is waited for.
        why: String,
    },
    /// A plan will not be followed.
    PlanRefused {
        /// The upgrade's name.
        name: String,
        /// The block at which it would have been due.
        height: u64,
        /// Why not.
        why: String,
        /// What the operator can do; empty if nothing needs doing.
        what_to_do: String,
    },
    /// A planned binary is being fetched.
    PrefetchStarted {
        /// The upgrade's name.
        name: String,
        /// From where, without credentials.
        url: String,
    },
    /// So much of it has arrived. Not kept.
    PrefetchProgress {
        /// The upgrade's name.
        name: String,
        /// Bytes that have arrived.
        bytes_done: u64,
        /// Bytes in all, if the server says.
        bytes_total: Option<u64>,
    },
    /// A planned binary is in place.
    PrefetchFinished {
        /// The upgrade's name.
        name: String,
        /// Bytes that were fetched.
        bytes: u64,
        /// Its checksum was given and right.
        verified: bool,
        /// How long it took.
        #[serde(rename = "took_ms", with = "millis")]
        took: Duration,
    },
    /// A planned binary could not be fetched.
    PrefetchFailed {
        /// The upgrade's name.
        name: String,
        /// Why.
        error: String,
        /// What the operator can do.
        what_to_do: String,
    },
    /// An upgrade began.
    UpgradeStarted {
        /// Its name.
        name: String,
        /// Its height.
        height: u64,
    },
    /// An upgrade that was interrupted goes on.
    UpgradeResumed {
        /// Its name.
        name: String,
        /// Its height.
        height: u64,
        /// The step that it had reached.
        step: String,
    },
    /// An upgrade reached a step.
    UpgradeStep {
        /// Its name.
        name: String,
        /// The step that is done, such as `backed-up`.
        step: String,
        /// How long the step took.
        #[serde(rename = "took_ms", with = "millis")]
        took: Duration,
    },
    /// An upgrade cannot go on; the node stays down.
    UpgradeFailed {
        /// Its name.
        name: String,
        /// The step that failed.
        step: String,
        /// Why.
        error: String,
        /// What the operator can do.
        what_to_do: String,
    },
    /// An upgrade cannot go on; the old node stands still at the height and answers on.
    UpgradeStands {
        /// Its name.
        name: String,
        /// Its height.
        height: u64,
        /// The step that failed.
        step: String,
        /// Why.
        error: String,
        /// What the operator can do.
        what_to_do: String,
    },
    /// The new binary runs and makes blocks.
    UpgradeConfirmed {
        /// The upgrade's name.
        name: String,
        /// Its height.
        height: u64,
        /// For how long no node ran.
        #[serde(rename = "pause_ms", with = "millis")]
        pause: Duration,
        /// From due to confirmed.
        #[serde(rename = "total_ms", with = "millis")]
        total: Duration,
    },
    /// The previous release runs again.
    RolledBack {
        /// The upgrade that was taken back.
        name: String,
        /// The release that was left.
        from: String,
        /// The release that `current` points to now.
        to: String,
        /// The backup whose data was put back, if any.
        backup: Option<PathBuf>,
        /// Why.
        why: String,
    },
    /// So much of the backup is made. Not kept.
    BackupProgress {
        /// Bytes done.
        bytes_done: u64,
        /// Bytes in all.
        bytes_total: u64,
        /// Files done.
        files_done: u64,
        /// Files in all.
        files_total: u64,
    },
    /// A backup was made.
    BackupMade {
        /// Where it lies.
        path: PathBuf,
        /// How it was made: `reflink`, `hardlink` or `copy`.
        mode: String,
        /// The size of what it holds.
        bytes: u64,
        /// The number of files in it.
        files: u64,
        /// How long it took.
        #[serde(rename = "took_ms", with = "millis")]
        took: Duration,
    },
    /// Old backups were removed because newer ones are enough.
    BackupsPruned {
        /// Which.
        paths: Vec<PathBuf>,
    },
    /// Plans of the batch list whose height the chain passed without them.
    BatchMissed {
        /// Which.
        entries: Vec<MissedPlan>,
    },
    /// The supervisor received a signal and acted on it.
    SignalReceived {
        /// Its number.
        signal: i32,
    },
    /// Something else that the operator should know.
    Warning {
        /// What is wrong.
        text: String,
        /// What the operator can do.
        what_to_do: String,
    },
    /// A kind that this version does not know, as it was read.
    #[serde(untagged)]
    Other(Map<String, Value>),
}

/// A plan of the batch list that was missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedPlan {
    /// The upgrade's name.
    pub name: String,
    /// Its height.
    pub height: u64,
}

/// Something wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong.
    pub text: String,
    /// What the operator can do; may be empty.
    pub what_to_do: String,
}

impl Event {
    /// The `kind` in its JSON.
    pub fn kind(&self) -> &str {
        match self {
            Self::SupervisorStarted { .. } => "supervisor-started",
            Self::SupervisorStopped { .. } => "supervisor-stopped",
            Self::NodeStarted { .. } => "node-started",
            Self::NodeStopping { .. } => "node-stopping",
            Self::NodeKilled { .. } => "node-killed",
            Self::NodeExited { .. } => "node-exited",
            Self::HandingOver { .. } => "handing-over",
            Self::NodeChanged { .. } => "node-changed",
            Self::HandoverFailed { .. } => "handover-failed",
            Self::HandoverRehearsed { .. } => "handover-rehearsed",
            Self::NodeFound { .. } => "node-found",
            Self::GenerationEnded { .. } => "generation-ended",
            Self::NodeRestarting { .. } => "node-restarting",
            Self::CrashLoop { .. } => "crash-loop",
            Self::PlanSeen { .. } => "plan-seen",
            Self::PlanMalformed { .. } => "plan-malformed",
            Self::PlanWaiting { .. } => "plan-waiting",
            Self::PlanRefused { .. } => "plan-refused",
            Self::PrefetchStarted { .. } => "prefetch-started",
            Self::PrefetchProgress { .. } => "prefetch-progress",
            Self::PrefetchFinished { .. } => "prefetch-finished",
            Self::PrefetchFailed { .. } => "prefetch-failed",
            Self::UpgradeStarted { .. } => "upgrade-started",
            Self::UpgradeResumed { .. } => "upgrade-resumed",
            Self::UpgradeStep { .. } => "upgrade-step",
            Self::UpgradeFailed { .. } => "upgrade-failed",
            Self::UpgradeStands { .. } => "upgrade-stands",
            Self::UpgradeConfirmed { .. } => "upgrade-confirmed",
            Self::RolledBack { .. } => "rolled-back",
            Self::BackupProgress { .. } => "backup-progress",
            Self::BackupMade { .. } => "backup-made",
            Self::BackupsPruned { .. } => "backups-pruned",
            Self::BatchMissed { .. } => "batch-missed",
            Self::SignalReceived { .. } => "signal-received",
            Self::Warning { .. } => "warning",
            Self::Other(fields) => fields.get("kind").and_then(Value::as_str).unwrap_or("?"),
        }
    }

    /// Is it kept in the history and told to hooks? Progress is only shown while it happens.
    pub fn is_kept(&self) -> bool {
        !matches!(
            self,
            Self::PrefetchProgress { .. } | Self::BackupProgress { .. }
        )
    }

    /// What is wrong, if the event says that something is.
    pub fn trouble(&self) -> Option<Trouble> {
        let (text, what_to_do) = match self {
            Self::CrashLoop { what_to_do, .. }
            | Self::PrefetchFailed { what_to_do, .. }
            | Self::UpgradeFailed { what_to_do, .. }
            | Self::UpgradeStands { what_to_do, .. }
            | Self::HandoverFailed { what_to_do, .. }
            | Self::Warning { what_to_do, .. } => (self.to_string(), what_to_do.clone()),
            // A plan may be refused as a matter of course: it is the one that runs.
            Self::PlanRefused { what_to_do, .. } if !what_to_do.is_empty() => {
                (self.to_string(), what_to_do.clone())
            }
            Self::PlanMalformed { path, .. } => (
                self.to_string(),
                format!("mend {} or move it away", path.display()),
            ),
            Self::BatchMissed { .. } => (
                self.to_string(),
                "check with the chain's releases which binary these heights need".to_owned(),
            ),
            Self::RolledBack { .. } => (
                self.to_string(),
                "find out why the new binary failed before the upgrade is tried again".to_owned(),
            ),
            Self::NodeKilled { .. } => (
                self.to_string(),
                "give the node more time with DAEMON_SHUTDOWN_GRACE".to_owned(),
            ),
            _ => return None,
        };
        Some(Trouble { text, what_to_do })
    }
}

/// An event with its place in the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number; it goes on over restarts of the supervisor. A gap means lost events.
    pub seq: u64,
    /// When it happened.
    pub time: Time,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// The record as one line of JSON, without the line's end, at most [`MAX_RECORD_BYTES`] long.
    pub fn to_json(&self) -> String {
        let whole = serde_json::to_string(self).expect("a record has only string keys");
        if whole.len() <= MAX_RECORD_BYTES {
            return whole;
        }
        let mut value: Value =
            serde_json::from_str(&whole).expect("what was just written can be read");
        let mut longest = MAX_RECORD_BYTES / 2;
        loop {
            shorten(&mut value, longest);
            let json = value.to_string();
            if json.len() <= MAX_RECORD_BYTES || longest == 0 {
                return json;
            }
            longest /= 2;
        }
    }
}

/// Cuts every text in the value to `longest` bytes, and every list to as many entries.
fn shorten(value: &mut Value, longest: usize) {
    match value {
        Value::String(text) if text.len() > longest => {
            let end = (0..=longest).rev().find(|i| text.is_char_boundary(*i));
            text.truncate(end.unwrap_or(0));
            text.push('…');
        }
        Value::Array(entries) => {
            entries.truncate(longest);
            for entry in entries {
                shorten(entry, longest);
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(|v| shorten(v, longest)),
        _ => {}
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
