//! How things stand, as data: what `GET /status` and `baton status --json` give.
//!
//! The JSON is stable: every key below is always there, `null` where nothing is known, and keys
//! are only ever added. Instants are RFC 3339 in UTC, spans are whole milliseconds in keys that
//! end in `_ms`, sizes are bytes. Most of it follows from the events (see
//! [`Status::apply`]); heights and room on disk are set as they are read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::change::{Change, How};
use super::event_text;
use super::time::{Time, millis};
use crate::due::Author;

/// How things stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The supervisor itself.
    pub supervisor: Supervisor,
    /// The node.
    pub node: Node,
    /// The upgrade to come.
    pub plan: Option<PendingPlan>,
    /// The upgrade that is being made.
    pub upgrade: Option<Upgrade>,
    /// The upgrade that failed while the old node goes on answering at its height: it waits for the operator.
    #[serde(default)]
    pub standing: Option<Standing>,
    /// The last upgrade that ended, one way or another.
    pub last_upgrade: Option<LastUpgrade>,
    /// The last time that one process of the node made room for another.
    #[serde(default)]
    pub last_change: Option<LastChange>,
    /// The backups that are known, oldest first, at most [`MAX_BACKUPS`].
    pub backups: Vec<Backup>,
    /// The last thing that went wrong. It stays until another takes its place.
    pub last_error: Option<LastError>,
}

/// How many backups `status` remembers.
pub const MAX_BACKUPS: usize = 32;

/// The supervisor itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisor {
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Since when it runs.
    pub since: Time,
    /// `$DAEMON_HOME`.
    pub home: PathBuf,
    /// `$DAEMON_NAME`.
    pub name: String,
    /// The address that the admin server is bound to.
    pub admin_address: Option<String>,
    /// The settings that differ from their defaults, without secrets.
    pub config: BTreeMap<String, String>,
}

/// The node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What it does.
    pub state: NodeState,
    /// Since when it does that.
    pub since: Option<Time>,
    /// Its process id, while there is a process.
    pub pid: Option<u32>,
    /// Which process in the line of processes it is, from 1; 0 before the first.
    pub generation: u64,
    /// The release's directory below `cosmovisor/`, such as `upgrades/v2`.
    pub release: Option<String>,
    /// The binary.
    pub binary: Option<PathBuf>,
    /// It can hand over to the next process: it need not be stopped for it.
    #[serde(default)]
    pub hands_over: bool,
    /// Processes that have handed over to it and finish what they have in hand.
    #[serde(default)]
    pub leaving: Vec<u32>,
    /// The last height that was read.
    pub height: Option<u64>,
    /// From where: `rpc`, `grpc` or `binary`.
    pub height_source: Option<String>,
    /// When.
    pub height_at: Option<Time>,
    /// The mean time of the last blocks.
    pub block_time_ms: Option<u64>,
    /// How often it was started again after it had ended by itself.
    pub restarts: u64,
    /// How the last process ended.
    pub last_exit: Option<Exit>,
}

/// What the node does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// It was not started yet.
    #[default]
    NotStarted,
    /// It runs.
    Running,
    /// It was asked to stop.
    Stopping,
    /// It ended and will be started again after a delay.
    Restarting,
    /// It does not run.
    Down,
}

/// How a process of the node ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// When.
    pub at: Time,
    /// How long it ran.
    #[serde(rename = "ran_for_ms", with = "millis")]
    pub ran_for: Duration,
    /// The supervisor had asked for it.
    pub asked: bool,
}

/// The upgrade to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingPlan {
    /// Its name.
    pub name: String,
    /// The block at which it is due.
    pub height: u64,
    /// What the proposal said.
    pub info: String,
    /// Who wrote it.
    pub provenance: Author,
    /// What is waited for.
    pub waiting_for: Option<String>,
    /// Blocks until then.
    pub blocks_to_go: Option<u64>,
    /// Seconds until then, at the pace of the last blocks.
    pub estimated_seconds: Option<u64>,
    /// Its binary is in place.
    pub fetched: bool,
    /// The binary's checksum was given and right.
    pub verified: bool,
    /// How far fetching is.
    pub progress: Option<Progress>,
    /// The room that its backup and binary need.
    pub disk: Option<Disk>,
}

/// Room on disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What the upgrade needs.
    pub needed: u64,
    /// What there is.
    pub free: u64,
}

/// The upgrade that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// Its name.
    pub name: String,
    /// Its height.
    pub height: u64,
    /// The last step that is done, `due` at first.
    pub step: String,
    /// When that step was done.
    pub since: Time,
    /// The steps so far.
    pub steps: Vec<Step>,
    /// How far the step that is being done is, if it is one that takes long.
    pub progress: Option<Progress>,
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `backup` or `fetch`.
    pub what: String,
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all, if known.
    pub bytes_total: Option<u64>,
    /// Files done, where files are counted.
    pub files_done: Option<u64>,
    /// Files in all.
    pub files_total: Option<u64>,
}

/// A step of an upgrade that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub step: String,
    /// How long it took.
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
}

/// An upgrade that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUpgrade {
    /// Its name.
    pub name: String,
    /// Its height, if it is still known.
    pub height: Option<u64>,
    /// How it ended.
    pub result: UpgradeResult,
    /// When.
    pub at: Time,
    /// Which way was used, if it came so far.
    #[serde(default)]
    pub how: Option<How>,
    /// How long each step took.
    pub steps: Vec<Step>,
    /// For how long no node ran, if it was confirmed.
    pub pause_ms: Option<u64>,
    /// From due to confirmed, if it was.
    pub total_ms: Option<u64>,
}

/// An upgrade that waits for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// Its height.
    pub height: u64,
    /// The step that failed.
    pub step: String,
    /// Why.
    pub error: String,
    /// What the operator can do.
    pub what_to_do: String,
    /// Since when.
    pub since: Time,
}

/// The last time that one process of the node made room for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastChange {
    /// When.
    pub at: Time,
    /// How.
    #[serde(flatten)]
    pub change: Change,
}

/// How an upgrade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpgradeResult {
    /// The new binary makes blocks.
    Confirmed,
    /// A step failed; the node stayed down.
    Failed,
    /// The previous release runs again.
    RolledBack,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Where it lies.
    pub path: PathBuf,
    /// How it was made: `reflink`, `hardlink` or `copy`.
    pub mode: String,
    /// The size of what it holds.
    pub bytes: u64,
    /// The number of files in it.
    pub files: u64,
    /// How long it took.
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
    /// When it was made.
    pub at: Time,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// What.
    pub text: String,
    /// What the operator can do; may be empty.
    pub what_to_do: String,
    /// When.
    pub at: Time,
}

impl Status {
    /// How things stand when a supervisor has just started.
    pub fn new(supervisor: Supervisor) -> Self {
        Self {
            supervisor,
            node: Node::default(),
            plan: None,
            upgrade: None,
            standing: None,
            last_upgrade: None,
            last_change: None,
            backups: Vec::new(),
            last_error: None,
        }
    }

    /// The chain is at `height`, says `source`, and makes a block every `block_time`.
    pub fn see_height(
        &mut self,
        height: u64,
        source: &str,
        at: Time,
        block_time: Option<Duration>,
    ) {
        self.node.height = Some(height);
        if self.node.height_source.as_deref() != Some(source) {
            self.node.height_source = Some(source.to_owned());
        }
        self.node.height_at = Some(at);
        self.node.block_time_ms =
            block_time.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX));
        self.reckon_plan();
    }

    /// How far away the plan is.
    pub(super) fn reckon_plan(&mut self) {
        let Some(plan) = &mut self.plan else { return };
        plan.blocks_to_go = self.node.height.map(|at| plan.height.saturating_sub(at));
        plan.estimated_seconds = plan
            .blocks_to_go
            .zip(self.node.block_time_ms)
            .map(|(blocks, ms)| blocks.saturating_mul(ms) / 1_000);
    }

    /// Does the node run, with no upgrade under way?
    pub fn is_ready(&self) -> bool {
        self.node.state == NodeState::Running && self.upgrade.is_none() && self.standing.is_none()
    }

    /// The one line that says it: for systemd, for `/readyz` and at the top of `status`.
    pub fn headline(&self) -> String {
        if let Some(upgrade) = &self.upgrade {
            return format!(
                "upgrading to {} at height {}: {}",
                upgrade.name, upgrade.height, upgrade.step
            );
        }
        let release = self.node.release.as_deref().unwrap_or("?");
        if let (NodeState::Running, Some(standing)) = (self.node.state, &self.standing) {
            return format!(
                "upgrade {} failed; {release} answers on at height {} and makes no blocks",
                standing.name, standing.height
            );
        }
        match self.node.state {
            NodeState::NotStarted => "the node was not started yet".to_owned(),
            NodeState::Running => match &self.plan {
                Some(plan) => format!(
                    "running {release}; {} planned at height {}",
                    plan.name, plan.height
                ),
                None => format!("running {release}"),
            },
            NodeState::Stopping => format!("stopping {release}"),
            NodeState::Restarting => format!("{release} {}; to be started again", self.ended()),
            NodeState::Down => match &self.last_upgrade {
                Some(last) if last.result == UpgradeResult::Failed => {
                    format!("the node is down: upgrade {} failed", last.name)
                }
                _ => format!("the node is down: {release} {}", self.ended()),
            },
        }
    }

    fn ended(&self) -> String {
        self.node.last_exit.as_ref().map_or_else(
            || "ended".to_owned(),
            |e| event_text::ending(e.code, e.signal),
        )
    }
}
