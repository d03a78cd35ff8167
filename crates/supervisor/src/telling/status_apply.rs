//! How each event changes how things stand. Pure: the same events give the same status, which is
//! how a new supervisor learns of the last upgrade from the history.

use super::change::How;
use super::event::Event;
use super::status::{
    Backup, Exit, LastChange, LastError, LastUpgrade, MAX_BACKUPS, NodeState, PendingPlan,
    Progress, Standing, Status, Step, Upgrade, UpgradeResult,
};
use super::time::Time;

impl Status {
    /// Takes note of an event.
    pub fn apply(&mut self, event: &Event, at: Time) {
        if let Some(trouble) = event.trouble() {
            self.last_error = Some(LastError {
                text: trouble.text,
                what_to_do: trouble.what_to_do,
                at,
            });
        }
        match event {
            Event::NodeStarted { .. }
            | Event::NodeStopping { .. }
            | Event::NodeExited { .. }
            | Event::NodeRestarting { .. }
            | Event::NodeFound { .. }
            | Event::NodeChanged { .. }
            | Event::GenerationEnded { .. }
            | Event::CrashLoop { .. } => self.apply_to_node(event, at),
            Event::PlanSeen { .. }
            | Event::PlanWaiting { .. }
            | Event::PlanRefused { .. }
            | Event::PrefetchFinished { .. }
            | Event::PrefetchFailed { .. } => self.apply_to_plan(event),
            Event::UpgradeStarted { .. }
            | Event::UpgradeResumed { .. }
            | Event::UpgradeStep { .. }
            | Event::UpgradeFailed { .. }
            | Event::UpgradeStands { .. }
            | Event::UpgradeConfirmed { .. }
            | Event::RolledBack { .. } => self.apply_to_upgrade(event, at),
            Event::PrefetchProgress {
                name,
                bytes_done,
                bytes_total,
            } => {
                let progress = Some(Progress {
                    what: "fetch".to_owned(),
                    bytes_done: *bytes_done,
                    bytes_total: *bytes_total,
                    files_done: None,
                    files_total: None,
                });
                if let Some(upgrade) = &mut self.upgrade {
                    upgrade.progress = progress;
                } else if let Some(plan) = self.plan_called(name) {
                    plan.progress = progress;
                }
            }
            Event::BackupProgress {
                bytes_done,
                bytes_total,
                files_done,
                files_total,
            } => {
                if let Some(upgrade) = &mut self.upgrade {
                    upgrade.progress = Some(Progress {
                        what: "backup".to_owned(),
                        bytes_done: *bytes_done,
                        bytes_total: Some(*bytes_total),
                        files_done: Some(*files_done),
                        files_total: Some(*files_total),
                    });
                }
            }
            Event::BackupMade {
                path,
                mode,
                bytes,
                files,
                took,
            } => {
                self.backups.retain(|b| b.path != *path);
                if self.backups.len() >= MAX_BACKUPS {
                    self.backups.remove(0);
                }
                self.backups.push(Backup {
                    path: path.clone(),
                    mode: mode.clone(),
                    bytes: *bytes,
                    files: *files,
                    took: *took,
                    at,
                });
            }
            Event::BackupsPruned { paths } => self.backups.retain(|b| !paths.contains(&b.path)),
            Event::SupervisorStarted { .. }
            | Event::SupervisorStopped { .. }
            | Event::NodeKilled { .. }
            | Event::PlanMalformed { .. }
            | Event::PrefetchStarted { .. }
            | Event::BatchMissed { .. }
            | Event::SignalReceived { .. }
            | Event::HandingOver { .. }
            | Event::HandoverFailed { .. }
            | Event::HandoverRehearsed { .. }
            | Event::Warning { .. }
            | Event::Other(_) => {}
        }
    }

    /// Takes over what an earlier supervisor knew, where this one knows nothing newer.
    pub(super) fn inherit(&mut self, past: Self) {
        if self.last_upgrade.is_none() {
            self.last_upgrade = past.last_upgrade;
        }
        if self.last_error.is_none() {
            self.last_error = past.last_error;
        }
        if self.last_change.is_none() {
            self.last_change = past.last_change;
        }
        if let (Some(now), Some(then)) = (&mut self.upgrade, past.upgrade)
            && now.name == then.name
        {
            let mut steps = then.steps;
            steps.retain(|s| now.steps.iter().all(|n| n.step != s.step));
            steps.append(&mut now.steps);
            now.steps = steps;
        }
        let mut backups = past.backups;
        backups.retain(|b| self.backups.iter().all(|n| n.path != b.path));
        backups.append(&mut self.backups);
        backups.drain(..backups.len().saturating_sub(MAX_BACKUPS));
        self.backups = backups;
    }

    fn apply_to_node(&mut self, event: &Event, at: Time) {
        let node = &mut self.node;
        match event {
            Event::NodeStarted {
                pid,
                generation,
                release,
                binary,
            } => {
                node.state = NodeState::Running;
                node.pid = Some(*pid);
                node.generation = *generation;
                node.release = Some(release.clone());
                node.binary = Some(binary.clone());
                // Not shown yet by this one.
                node.hands_over = false;
            }
            Event::NodeFound {
                pid,
                generation,
                release,
                binary,
                ..
            } => {
                node.state = NodeState::Running;
                node.pid = Some(*pid);
                node.generation = *generation;
                node.release = Some(release.clone());
                node.binary = Some(binary.clone());
                node.hands_over = true;
                node.leaving.retain(|leaving| leaving != pid);
            }
            Event::NodeChanged { generation, change } => {
                node.state = NodeState::Running;
                node.pid = Some(change.to);
                node.generation = *generation;
                node.release = Some(change.release.clone());
                node.binary = Some(change.binary.clone());
                if change.how == How::HandedOver {
                    node.hands_over = true;
                    node.leaving.push(change.from);
                }
                self.last_change = Some(LastChange {
                    at,
                    change: (**change).clone(),
                });
            }
            Event::GenerationEnded { pid, .. } => {
                node.leaving.retain(|leaving| leaving != pid);
                return;
            }
            Event::NodeStopping { .. } => node.state = NodeState::Stopping,
            Event::NodeExited {
                code,
                signal,
                ran_for,
                ..
            } => {
                let asked = node.state == NodeState::Stopping;
                node.state = NodeState::Down;
                node.pid = None;
                node.hands_over = false;
                // What stands has nobody left to stand for it.
                self.standing = None;
                node.last_exit = Some(Exit {
                    code: *code,
                    signal: *signal,
                    at,
                    ran_for: *ran_for,
                    asked,
                });
                if !asked && *code != Some(0) {
                    self.last_error = Some(LastError {
                        text: format!("the node ended by itself: {event}"),
                        what_to_do: "read the end of the node's log".to_owned(),
                        at,
                    });
                }
            }
            Event::NodeRestarting { .. } => {
                node.state = NodeState::Restarting;
                node.restarts += 1;
            }
            _ => node.state = NodeState::Down,
        }
        self.node.since = Some(at);
    }

    fn apply_to_plan(&mut self, event: &Event) {
        match event {
            Event::PlanSeen {
                name,
                height,
                info,
                provenance,
            } => {
                let same = self
                    .plan
                    .take()
                    .filter(|p| p.name == *name && p.height == *height && p.info == *info);
                self.plan = Some(same.unwrap_or_else(|| PendingPlan {
                    name: name.clone(),
                    height: *height,
                    info: info.clone(),
                    provenance: *provenance,
                    waiting_for: None,
                    blocks_to_go: None,
                    estimated_seconds: None,
                    fetched: false,
                    verified: false,
                    progress: None,
                    disk: None,
                }));
                self.reckon_plan();
            }
            Event::PlanWaiting { name, why, .. } => {
                if let Some(plan) = self.plan_called(name) {
                    plan.waiting_for = Some(why.clone());
                }
            }
            Event::PrefetchFinished { name, verified, .. } => {
                if let Some(plan) = self.plan_called(name) {
                    plan.fetched = true;
                    plan.verified = *verified;
                    plan.progress = None;
                }
            }
            Event::PrefetchFailed { name, .. } => {
                if let Some(plan) = self.plan_called(name) {
                    plan.progress = None;
                }
            }
            Event::PlanRefused { name, .. } => self.drop_plan(name),
            _ => {}
        }
    }

    fn apply_to_upgrade(&mut self, event: &Event, at: Time) {
        match event {
            Event::UpgradeStarted { name, height } => {
                self.standing = None;
                self.upgrade = Some(begun(name, *height, "due", at));
            }
            Event::UpgradeResumed { name, height, step } => {
                self.standing = None;
                // The steps made before the interruption are known if the history was replayed.
                let so_far = self.upgrade.take().filter(|u| u.name == *name);
                let mut upgrade = so_far.unwrap_or_else(|| begun(name, *height, step, at));
                upgrade.step.clone_from(step);
                upgrade.since = at;
                self.upgrade = Some(upgrade);
            }
            Event::UpgradeStep { name, step, took } => {
                if let Some(upgrade) = self.upgrade.as_mut().filter(|u| u.name == *name) {
                    upgrade.steps.retain(|s| s.step != *step);
                    upgrade.steps.push(Step {
                        step: step.clone(),
                        took: *took,
                    });
                    upgrade.step.clone_from(step);
                    upgrade.since = at;
                    upgrade.progress = None;
                }
            }
            Event::UpgradeFailed { name, .. } => {
                self.end_upgrade(name, UpgradeResult::Failed, at);
            }
            Event::UpgradeStands {
                name,
                height,
                step,
                error,
                what_to_do,
            } => {
                self.end_upgrade(name, UpgradeResult::Failed, at);
                self.standing = Some(Standing {
                    name: name.clone(),
                    height: *height,
                    step: step.clone(),
                    error: error.clone(),
                    what_to_do: what_to_do.clone(),
                    since: at,
                });
            }
            Event::UpgradeConfirmed {
                name,
                height,
                pause,
                total,
            } => {
                self.end_upgrade(name, UpgradeResult::Confirmed, at);
                let ms = |t: &std::time::Duration| u64::try_from(t.as_millis()).ok();
                if let Some(last) = &mut self.last_upgrade {
                    last.height = Some(*height);
                    last.pause_ms = ms(pause);
                    last.total_ms = ms(total);
                }
                self.drop_plan(name);
            }
            Event::RolledBack { name, .. } => {
                self.end_upgrade(name, UpgradeResult::RolledBack, at);
            }
            _ => {}
        }
    }

    fn end_upgrade(&mut self, name: &str, result: UpgradeResult, at: Time) {
        let ended = self.upgrade.take().filter(|u| u.name == name);
        // One that was confirmed may still be rolled back: its steps are those of the upgrade.
        let before = self.last_upgrade.take().filter(|u| u.name == name);
        let (height, steps) = match (ended, before) {
            (Some(ended), _) => (Some(ended.height), ended.steps),
            (None, Some(before)) => (before.height, before.steps),
            (None, None) => (None, Vec::new()),
        };
        // What only one of the two ways has tells which was used.
        let made = |step| steps.iter().any(|made: &Step| made.step == step);
        let how = if made("hand-over") {
            Some(How::HandedOver)
        } else {
            let stopped = made("stop") || result == UpgradeResult::Confirmed;
            stopped.then_some(How::StoppedAndStarted)
        };
        self.last_upgrade = Some(LastUpgrade {
            name: name.to_owned(),
            height,
            result,
            at,
            how,
            steps,
            pause_ms: None,
            total_ms: None,
        });
    }

    fn plan_called(&mut self, name: &str) -> Option<&mut PendingPlan> {
        self.plan.as_mut().filter(|p| p.name == name)
    }

    fn drop_plan(&mut self, name: &str) {
        self.plan.take_if(|p| p.name == name);
    }
}

fn begun(name: &str, height: u64, step: &str, at: Time) -> Upgrade {
    Upgrade {
        name: name.to_owned(),
        height,
        step: step.to_owned(),
        since: at,
        steps: Vec::new(),
        progress: None,
    }
}

#[cfg(test)]
#[path = "status_apply_tests.rs"]
mod tests;
