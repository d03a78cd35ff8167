//! What the driver knows of the plan, the chain and the node, and what it makes of that.

use std::time::{Duration, Instant};

use fail::fail_point;
use tracing::{info, warn};

#[cfg(feature = "failpoints")]
use super::crash;
use super::{Chain, Driver, Finished, TROUBLE};
use crate::batch_file::Turned;
use crate::due::{Child, Refusal, Running, Until, Verdict};
use crate::facts::Circumstances;
use crate::heights::{Reading, Unknown};
use crate::life::{Ended, Event};
use crate::node::identity;
use crate::plan::{self, Fingerprint, Plan, PlanError};
use crate::run::pace::{ASK, ASK_IDLE, ASK_NEAR, ASK_WATCHED};
use crate::run::{judge, settings};
use crate::telling;
use crate::telling::event::MissedPlan;
use crate::upgrade::Way;

impl Driver {
    pub(super) async fn look(&mut self) {
        let changed = Fingerprint::of(&self.layout.plan_file()).ok() != self.dossier.fingerprint();
        if changed {
            self.look_at_plan();
        }
        self.tell_trouble();
        self.batch.read();
        self.batch_turn();
        self.decide().await;
        self.ask_if_needed();
    }

    pub(super) fn look_at_plan(&mut self) {
        match plan::read_file(&self.layout.plan_file()) {
            Ok(file) => {
                self.unreadable_told = false;
                let operator = file
                    .is_some()
                    .then(|| self.records.operator_plan())
                    .flatten();
                if !self.dossier.saw_file(file, operator) {
                    return;
                }
            }
            Err(e) => {
                if !std::mem::replace(&mut self.unreadable_told, true) {
                    warn!(error = %e, path = %self.layout.plan_file().display(), "the plan file cannot be read");
                }
                return;
            }
        }
        if self.dossier.fingerprint().is_none() {
            self.telling.update(|status| status.plan = None);
        }
        self.told = None;
        self.plan_told = false;
        self.next_ask = Instant::now();
    }

    /// A file that stays no plan is told once, and never stops the node.
    pub(super) fn tell_trouble(&mut self) {
        let (Some(fingerprint), Some(trouble)) =
            (self.dossier.fingerprint(), self.dossier.trouble())
        else {
            self.trouble = None;
            return;
        };
        match &mut self.trouble {
            Some((of, since, told)) if *of == fingerprint => {
                if !*told && since.elapsed() >= TROUBLE {
                    *told = true;
                    let path = self.layout.plan_file();
                    let text = match trouble {
                        PlanError::Incomplete(why) => format!("it stays incomplete: {why}"),
                        PlanError::Malformed(_) => trouble.to_string(),
                    };
                    warn!(path = %path.display(), error = %text, "the plan file is no plan; the node goes on");
                    self.telling
                        .tell(telling::Event::PlanMalformed { path, error: text });
                }
            }
            other => *other = Some((fingerprint, Instant::now(), false)),
        }
    }

    pub(super) fn verdict(&self, child: Child) -> Option<Verdict> {
        let plan = self.dossier.plan()?;
        let running = judge::running(&self.layout, plan).unwrap_or(Running {
            is_target: false,
            plan: None,
        });
        let circumstances = Circumstances {
            running: &running,
            child,
            // Of no account while the node runs, and looking costs.
            chain_went_on: !matches!(child, Child::Alive { .. })
                && self
                    .dossier
                    .written_at_ns()
                    .is_some_and(|at| judge::chain_went_on(self.layout.data(), at)),
            signed: judge::signed_height(self.layout.data()),
            skipped: self.skips.contains(&plan.height),
            rolled_back: judge::rolled_back(&self.layout, plan),
        };
        self.dossier.verdict(self.begun.elapsed(), &circumstances)
    }

    /// With the node down: the plan that is due, if one is.
    pub(super) fn judge(&mut self, ended: Option<(Ended, Duration)>) -> Option<Plan> {
        self.look_at_plan();
        let child = match ended {
            None => Child::NotStarted,
            Some((how, ran_for)) => Child::Dead {
                cleanly: how == Ended::Code(0),
                ran_for,
            },
        };
        let verdict = self.verdict(child)?;
        self.tell_verdict(verdict, ended.is_some());
        match verdict {
            Verdict::Switch(_) => self.dossier.plan().cloned(),
            _ => None,
        }
    }

    /// With the node up, or waiting to be started again.
    pub(super) async fn decide(&mut self) {
        let child = match self.last_end {
            _ if self.life.is_at_rest() && !self.is_standing() => Child::Alive { asked: false },
            Some((how, ran_for)) if self.life.state_name() == "backing-off" => Child::Dead {
                cleanly: how == Ended::Code(0),
                ran_for,
            },
            _ => return,
        };
        let Some(verdict) = self.verdict(child) else {
            return;
        };
        self.tell_verdict(verdict, false);
        if let (Verdict::Switch(_), Some(plan)) = (verdict, self.dossier.plan().cloned()) {
            if self.life.is_running() && self.way().await == Way::Relay {
                self.way = Way::Relay;
                return self.feed(Event::DueForRelay(plan)).await;
            }
            self.asked_to_stop = Some(Instant::now());
            let pid = self.last_leader();
            let alive = identity::stat(pid).is_some_and(|stat| stat.state != 'Z');
            if alive {
                info!("daemon shutting down in an attempt to restart");
            }
            self.feed(Event::Due(plan.clone())).await;
            if alive && !settings(&self.config).grace.is_zero() {
                info!("sent interrupt to app, waiting for exit");
            }
            if pid != 0 {
                self.telling.tell(telling::Event::NodeStopping {
                    pid: pid.unsigned_abs(),
                    why: format!("upgrade {}", plan.name),
                });
            }
        }
    }

    /// The plan's upgrade has failed beside the node and waits for the operator; it is not begun again by itself.
    fn is_standing(&self) -> bool {
        let standing = self.life.upgrade().filter(|machine| machine.is_standing());
        standing.is_some_and(|machine| {
            let plan = &machine.journal.plan;
            let same = |other: &Plan| other.name == plan.name && other.height == plan.height;
            self.dossier.plan().is_none_or(same)
        })
    }

    /// Remembers for the next supervisor that the plan is one for later.
    pub(super) fn note_too_early(&mut self, verdict: Verdict) {
        let (Verdict::Wait(Until::Height(at)), Some(plan)) = (verdict, self.dossier.plan()) else {
            return;
        };
        let early = (at + 1 < plan.height)
            .then(|| self.dossier.fingerprint())
            .flatten();
        let Some(record) = self.record.as_mut() else {
            return;
        };
        if early.is_some() && record.too_early != early {
            record.too_early = early;
            let record = record.clone();
            self.leave_record(&record);
        }
    }

    pub(super) fn tell_verdict(&mut self, verdict: Verdict, node_died: bool) {
        self.note_too_early(verdict);
        // The height in a wait changes with every block; the wait is told once.
        let waits_for_height = |verdict| matches!(verdict, Verdict::Wait(Until::Height(_)));
        if let Some(before) = self.told.replace(verdict)
            && (before == verdict || waits_for_height(before) && waits_for_height(verdict))
        {
            return;
        }
        let Some(plan) = self.dossier.plan() else {
            return;
        };
        let (name, height) = (plan.name.clone(), plan.height);
        if verdict == Verdict::Never(Refusal::IsRunning) {
            // It lies there for ever after its upgrade; there is nothing to tell.
            return;
        }
        if !std::mem::replace(&mut self.plan_told, true) {
            self.telling.tell(telling::Event::PlanSeen {
                name: name.clone(),
                height,
                info: plan.info.clone(),
                provenance: self.dossier.author(),
            });
            fail_point!("supervisor::plan-seen", |_| crash::crash());
            self.note_binary();
        }
        match verdict {
            Verdict::Switch(because) => {
                info!(name, height, because = because.text(), "the plan is due");
            }
            // The node's own word waits for nothing but one answer.
            Verdict::Wait(Until::AnyHeight) if self.dossier.is_nodes_word() => {}
            Verdict::Wait(until) => {
                let why = match until {
                    Until::Height(at) => format!("the chain is at height {at}"),
                    Until::AnyHeight => "the chain's height is not known yet".to_owned(),
                };
                info!(name, height, why, "the plan is not due yet");
                self.telling
                    .tell(telling::Event::PlanWaiting { name, height, why });
            }
            Verdict::Never(refusal) => {
                let (why, what_to_do) = refusal_text(refusal, &name, node_died);
                if !what_to_do.is_empty() {
                    warn!(name, height, why, what_to_do, "the plan is not followed");
                }
                self.telling.tell(telling::Event::PlanRefused {
                    name,
                    height,
                    why,
                    what_to_do,
                });
            }
        }
    }

    pub(super) fn ask_if_needed(&mut self) {
        // Somebody may have begun to look on after a long pause was chosen.
        let is_wanted = self.telling.is_watched() && self.last_ask.elapsed() >= ASK_WATCHED;
        if !self.life.is_running() || (Instant::now() < self.next_ask && !is_wanted) {
            return;
        }
        let (pause, matters) = self.next_pause();
        // The last resort starts a process of the node each time.
        let lately = self.last_full.is_some_and(|at| at.elapsed() < ASK);
        let network_only = !matters || lately && !self.dossier.is_nodes_word();
        if !network_only {
            self.last_full = Some(Instant::now());
        }
        let Some(mut heights) = self.heights.take() else {
            return;
        };
        self.last_ask = Instant::now();
        self.next_ask = self.last_ask + pause;
        let question = self.dossier.question();
        let generation = self.generation;
        let bin = self
            .layout
            .current()
            .join("bin")
            .join(self.layout.daemon_name());
        self.tasks.spawn(async move {
            let result = if network_only {
                heights.read_network().await
            } else {
                heights.read(&bin).await
            };
            Finished::Height {
                heights,
                question,
                generation,
                result,
            }
        });
    }

    /// How long to wait after the next question for the height, and whether anything depends on
    /// the answer.
    pub(super) fn next_pause(&self) -> (Duration, bool) {
        let batch = !self.batch.is_empty() && self.chain == Chain::Unasked;
        // A node takes a while until its RPC is up.
        let soon = self.node_since.elapsed() < Duration::from_mins(1);
        match (self.told, self.life.upgrade()) {
            (Some(Verdict::Wait(Until::Height(_))), _) => {
                let target = self.dossier.plan().map_or(0, |plan| plan.height);
                (self.pace.pause(target), true)
            }
            (Some(Verdict::Wait(Until::AnyHeight)), _) if soon => (ASK_NEAR * 4, true),
            (Some(Verdict::Wait(Until::AnyHeight)), _) => (ASK, true),
            (_, Some(machine)) => {
                let target = machine.journal.plan.height;
                let halted = self.chain.height().is_none_or(|at| at <= target);
                let pause = if soon && halted { ASK_NEAR * 2 } else { ASK };
                (pause, true)
            }
            _ if batch => (ASK, true),
            _ => (ASK_IDLE, false),
        }
    }

    pub(super) async fn height_answered(
        &mut self,
        question: u64,
        result: Result<Reading, Unknown>,
    ) {
        let height = match &result {
            Ok(reading) => {
                self.telling
                    .see_height(reading.height, &reading.source.to_string());
                Some(reading.height)
            }
            Err(_) => None,
        };
        self.chain = height.map_or(Chain::Unknown, Chain::At);
        if let Some(height) = height {
            self.pace.saw(height, self.begun.elapsed());
        }
        self.dossier
            .saw_height(question, height, self.begun.elapsed());
        if let Ok(reading) = result {
            self.dossier.saw_halt(question, reading.halted);
        }
        if let Some(height) = height {
            self.feed(Event::Height(height)).await;
        }
        self.note_binary();
        self.look().await;
    }

    /// Shows in `status` whether the plan's binary is in place, however it came there.
    pub(super) fn note_binary(&self) {
        let Some(plan) = self.dossier.plan() else {
            return;
        };
        let there = judge::binary_of(&self.layout, plan).is_some();
        self.telling.update(|status| {
            if let Some(shown) = status.plan.as_mut().filter(|p| p.name == plan.name) {
                shown.fetched = there;
            }
        });
    }

    pub(super) fn batch_turn(&mut self) {
        if self.batch.is_empty() || !self.life.is_running() || self.life.upgrade().is_some() {
            return;
        }
        if self.chain == Chain::Unasked {
            return;
        }
        let height = self.chain.height();
        let pending = matches!(self.told, Some(Verdict::Wait(_) | Verdict::Switch(_)));
        match self.batch.turn(
            &self.layout,
            &self.records,
            pending,
            self.running_height(),
            height,
        ) {
            Ok(Turned::Nothing) => {}
            Ok(Turned::Wrote(_)) => self.look_at_plan(),
            Ok(Turned::Missed(plans, aside)) => {
                warn!(aside = %aside.display(), plans = plans.len(), "plans of the batch list were missed and set aside");
                self.telling.tell(telling::Event::BatchMissed {
                    entries: plans
                        .into_iter()
                        .map(|plan| MissedPlan {
                            name: plan.name,
                            height: plan.height,
                        })
                        .collect(),
                });
            }
            Err(e) => warn!(error = %e, "the batch list cannot be worked on"),
        }
    }

    /// The height of the plan that brought the running release.
    pub(super) fn running_height(&self) -> Option<u64> {
        let release = self.layout.running().ok()?;
        let file = plan::read_file(&self.layout.release_plan(&release)).ok()??;
        file.content.ok().map(|plan| plan.height)
    }
}

fn refusal_text(refusal: Refusal, name: &str, node_died: bool) -> (String, String) {
    let newer_release = || {
        format!(
            "the data needs release {name} or a later one: point `current` to it, for instance with `ln -sfn upgrades/{name} current`"
        )
    };
    match refusal {
        Refusal::IsRunning => ("its release runs already".to_owned(), String::new()),
        Refusal::Older => (
            "the release that runs is from a later plan".to_owned(),
            String::new(),
        ),
        Refusal::Skipped => (
            "--unsafe-skip-upgrades names its height".to_owned(),
            String::new(),
        ),
        Refusal::RolledBack => (
            "it was rolled back, and its binary is still the one that failed".to_owned(),
            format!("put a working binary in place with `add-upgrade {name} <binary> --force`"),
        ),
        Refusal::Past(Some(at)) => (
            format!("the chain is past it, at height {at}: the file is from another time or machine"),
            if node_died { newer_release() } else { String::new() },
        ),
        Refusal::Past(None) => (
            "the data was written after it: the file came with a snapshot, and the node that runs may be too old for the data".to_owned(),
            newer_release(),
        ),
    }
}
