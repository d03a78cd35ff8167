//! What comes next in an upgrade. No I/O, no clock: events in, actions out.
//!
//! A stage says what has been done and is on disk before the next step begins. Every step may be
//! performed again: a crash between doing and recording repeats it.
//!
//! There are two ways. Most nodes are stopped first and started last. A node that can hand over stands still at the plan's height and
//! goes on answering while the same steps are made beside it; then the new binary takes over from it ([`Step::HandOver`]). Whatever fails
//! before that leaves it as it is.

use serde::{Deserialize, Serialize};

use super::journal::{Failure, Journal, StepTime, Way};

/// What has been done. The order is the order of the procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The plan was found due.
    Due,
    /// The node and all its processes are gone.
    Stopped,
    /// The data directory is backed up, or that is turned off.
    BackedUp,
    /// The operator's own script has run, if there is one.
    CustomDone,
    /// The new release is in place and looks right.
    Fetched,
    /// `current` points to the new release.
    Switched,
    /// The new binary's `pre-upgrade` has run.
    Prepared,
    /// The new binary was started.
    Started,
    /// The chain has gone on under the new binary.
    Confirmed,
    /// The new binary failed too often: the old data is being put back.
    RollingBack,
    /// The old data is back, the link not yet.
    DataRestored,
    /// The old release runs again, and this plan is refused until its binary changes.
    RolledBack,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// End the node and its process group.
    Stop,
    /// Back up the data directory.
    BackUp,
    /// Run the operator's own script.
    CustomPreUpgrade,
    /// See that the new release is in place, downloading it if allowed.
    Fetch,
    /// Replace `current`: the commit point.
    Switch,
    /// Run the new binary's `pre-upgrade`.
    PreUpgrade,
    /// Start the new binary.
    Start,
    /// Start the new binary beside the old one and have it take over.
    HandOver,
    /// Put the link back after a failed `pre-upgrade`.
    SwitchBack,
    /// Put the data back.
    RestoreData,
    /// Put the link back, for good.
    RestoreLink,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The step asked for is done.
    Done {
        /// How long it took, in milliseconds.
        took_ms: u64,
        /// Whether there was anything to do. What changed nothing need not be remembered, which
        /// saves a wait for the disk while the node is down.
        changed: bool,
    },
    /// The step asked for failed.
    Failed {
        /// What went wrong, for the operator.
        error: String,
        /// When, in seconds since 1970.
        at_s: i64,
    },
    /// The chain was seen at this height.
    Height(u64),
    /// The new binary has run for long without giving a height.
    Outlived,
    /// The new binary ended by itself before the upgrade was confirmed.
    Died {
        /// When, in seconds since 1970.
        at_s: i64,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write the journal, durably, before anything that follows.
    Record,
    /// Perform a step and say how it went.
    Perform(Step),
    /// The upgrade waits for the operator to start the node.
    LeaveDown,
    /// Give up for now; the next start tries the failed step again.
    GiveUp,
    /// The upgrade is over and well.
    Confirmed,
    /// The upgrade was undone; the old release is to be started.
    RolledBack,
}

/// What the operator configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Start the new binary after the switch.
    pub restart: bool,
    /// Undo the upgrade after this many deaths within this many seconds.
    pub rollback: Option<(u32, i64)>,
}

/// One upgrade on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// What is on disk, or will be at the next [`Action::Record`].
    pub journal: Journal,
    policy: Policy,
    /// The step under way.
    step: Option<Step>,
}

impl Machine {
    /// An upgrade as the journal has it.
    pub fn new(journal: Journal, policy: Policy) -> Self {
        Self {
            journal,
            policy,
            step: None,
        }
    }

    /// The step under way.
    pub fn step_under_way(&self) -> Option<Step> {
        self.step
    }

    /// It failed while the old node goes on answering, and waits for the operator.
    pub fn is_standing(&self) -> bool {
        self.step.is_none() && self.journal.failure.is_some() && self.journal.way == Way::Relay
    }

    /// The old node is gone, or is to go: what is left is done as for one that is stopped. To be gone on with by
    /// [`resume`](Self::resume).
    pub fn fall_back(&mut self) {
        self.step = None;
        self.journal.way = Way::StopAndStart;
    }

    /// The new binary was found to have taken over already: the supervisor was killed before it could record that.
    pub fn has_taken_over(&mut self) -> Vec<Action> {
        self.journal.failure = None;
        self.step = Some(Step::HandOver);
        self.step(Event::Done {
            took_ms: 0,
            changed: true,
        })
    }

    /// Begins, or goes on where the journal left off.
    pub fn resume(&mut self) -> Vec<Action> {
        // Beyond a failure that is tried again, nothing differs from what is on disk.
        let mut actions = match self.journal.failure.take() {
            Some(_) => vec![Action::Record],
            None => vec![],
        };
        actions.extend(self.next());
        actions
    }

    /// Takes in what happened.
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Done { took_ms, changed } => match self.step.take() {
                Some(step) => self.done(step, took_ms, changed),
                None => vec![],
            },
            Event::Failed { error, at_s } => match self.step.take() {
                Some(step) => self.failed(step, error, at_s),
                None => vec![],
            },
            Event::Height(at)
                if self.journal.stage == Stage::Started && at > self.journal.plan.height =>
            {
                self.confirm()
            }
            Event::Outlived if self.journal.stage == Stage::Started => self.confirm(),
            Event::Died { at_s } if self.journal.stage == Stage::Started => self.died(at_s),
            _ => vec![],
        }
    }

    fn next(&mut self) -> Vec<Action> {
        let relay = self.journal.way == Way::Relay;
        let step = match self.journal.stage {
            Stage::Due if relay => Step::BackUp,
            Stage::Due => Step::Stop,
            Stage::Stopped => Step::BackUp,
            Stage::BackedUp => Step::CustomPreUpgrade,
            Stage::CustomDone => Step::Fetch,
            Stage::Fetched => Step::Switch,
            Stage::Switched => Step::PreUpgrade,
            Stage::Prepared if !relay && !self.policy.restart && !self.journal.left_down => {
                self.journal.left_down = true;
                return vec![Action::Record, Action::LeaveDown];
            }
            Stage::Prepared if relay => Step::HandOver,
            // A supervisor that was killed here starts the new binary again.
            Stage::Prepared | Stage::Started => Step::Start,
            Stage::RollingBack => Step::RestoreData,
            Stage::DataRestored => Step::RestoreLink,
            Stage::Confirmed => return vec![Action::Confirmed],
            Stage::RolledBack => return vec![Action::RolledBack],
        };
        self.step = Some(step);
        vec![Action::Perform(step)]
    }

    fn done(&mut self, step: Step, took_ms: u64, changed: bool) -> Vec<Action> {
        let Some(stage) = step.leads_to() else {
            return vec![Action::GiveUp];
        };
        self.journal.stage = stage;
        self.journal.steps.retain(|done| done.step != step);
        self.journal.steps.push(StepTime { step, took_ms });
        let mut actions = Vec::new();
        if changed {
            actions.push(Action::Record);
        }
        if !matches!(step, Step::Start | Step::HandOver) {
            actions.extend(self.next());
        }
        actions
    }

    fn failed(&mut self, step: Step, error: String, at_s: i64) -> Vec<Action> {
        if step == Step::SwitchBack {
            // Nothing is lost: the next start switches forward again before it goes on.
            return vec![Action::GiveUp];
        }
        self.journal.failure = Some(Failure { step, error, at_s });
        if matches!(step, Step::PreUpgrade | Step::HandOver) {
            // Recorded before the link goes back: a crash in between finds the link ahead of the
            // stage, and switching twice is harmless.
            self.journal.stage = Stage::Fetched;
            self.step = Some(Step::SwitchBack);
            return vec![Action::Record, Action::Perform(Step::SwitchBack)];
        }
        vec![Action::Record, Action::GiveUp]
    }

    fn confirm(&mut self) -> Vec<Action> {
        self.journal.stage = Stage::Confirmed;
        vec![Action::Record, Action::Confirmed]
    }

    fn died(&mut self, at_s: i64) -> Vec<Action> {
        self.journal.deaths.push(at_s);
        let Some((limit, window_s)) = self.policy.rollback else {
            return vec![Action::Record];
        };
        // A clock set back must not make old deaths look recent for ever.
        self.journal
            .deaths
            .retain(|death| (at_s - death).abs() <= window_s);
        if self.journal.deaths.len() < limit as usize {
            return vec![Action::Record];
        }
        if self.journal.backup.is_none() {
            // Old binary on migrated data would be worse than no node.
            self.journal.failure = Some(Failure {
                step: Step::RestoreData,
                error: format!(
                    "the new binary failed {limit} times, but there is no backup to roll back to"
                ),
                at_s,
            });
            return vec![Action::Record];
        }
        self.journal.stage = Stage::RollingBack;
        let mut actions = vec![Action::Record];
        actions.extend(self.next());
        actions
    }
}

impl Stage {
    /// The upgrade is no longer on its way.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Confirmed | Self::RolledBack)
    }

    /// How the stage is called in logs and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Stopped => "stopped",
            Self::BackedUp => "backed-up",
            Self::CustomDone => "custom-done",
            Self::Fetched => "fetched",
            Self::Switched => "switched",
            Self::Prepared => "prepared",
            Self::Started => "started",
            Self::Confirmed => "confirmed",
            Self::RollingBack => "rolling-back",
            Self::DataRestored => "data-restored",
            Self::RolledBack => "rolled-back",
        }
    }
}

impl Step {
    /// The stage that the step brings about; none where it undoes one.
    pub fn leads_to(self) -> Option<Stage> {
        Some(match self {
            Self::Stop => Stage::Stopped,
            Self::BackUp => Stage::BackedUp,
            Self::CustomPreUpgrade => Stage::CustomDone,
            Self::Fetch => Stage::Fetched,
            Self::Switch => Stage::Switched,
            Self::PreUpgrade => Stage::Prepared,
            Self::Start | Self::HandOver => Stage::Started,
            Self::SwitchBack => return None,
            Self::RestoreData => Stage::DataRestored,
            Self::RestoreLink => Stage::RolledBack,
        })
    }

    /// How the step is called in logs and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::BackUp => "back-up",
            Self::CustomPreUpgrade => "custom-pre-upgrade",
            Self::Fetch => "fetch",
            Self::Switch => "switch",
            Self::PreUpgrade => "pre-upgrade",
            Self::Start => "start",
            Self::HandOver => "hand-over",
            Self::SwitchBack => "switch-back",
            Self::RestoreData => "restore-data",
            Self::RestoreLink => "restore-link",
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
