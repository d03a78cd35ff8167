//! Another process takes over from the node, and the node that turns out to be another.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use baton_handover::control::{self, ControlError};
use baton_handover::report::{Outcome, Report};
use baton_handover::{Candidate, Introducing};
use fail::fail_point;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{error, info, warn};

#[cfg(feature = "failpoints")]
use super::crash;
use super::processes::{self, Who};
use super::{Chain, Driver, Finished, hint};
use crate::binary;
use crate::config::Relay;
use crate::facts::{LastLife, ProcessId};
use crate::life::{Ended, Event, Purpose};
use crate::node::lock::make_directory;
use crate::node::spawn::{self, Node, Program};
use crate::node::{contract, identity};
use crate::run::pace::Pace;
use crate::run::resume;
use crate::telling::change::{Change, How, Phase};
use crate::telling::{self, Answer, READY_WITHIN, Reload};
use crate::upgrade::steps;
use crate::upgrade::{Step, Way};

/// How long a generation may take to say that it serves: it has nothing else to do for that.
const WHO: Duration = Duration::from_secs(2);
/// How soon to look again whether a process serves. It gives no sign but in the control directory.
const LOOK: Duration = Duration::from_millis(20);
/// How long a handover may take to come to its end, beyond the start of the new process, if the old one cannot be asked any more.
const SETTLES: Duration = Duration::from_mins(1);

/// A handover that is under way.
pub(super) struct Replacing {
    purpose: Purpose,
    why: String,
    began: Instant,
    release: crate::layout::Release,
    binary: PathBuf,
    dry_run: bool,
    /// Whoever asked for it.
    answer: Option<oneshot::Sender<Answer>>,
    /// The process that was to take over has ended, perhaps just after it had.
    ended: Option<Lost>,
}

/// A process that has ended while it is being found out whether it was still, or already, the node.
pub(super) struct Lost {
    node: Node,
    ended: Ended,
}

/// A node that is stopped and started at the operator's wish.
pub(super) struct StopStart {
    pub(super) from: u32,
    pub(super) asked: Instant,
    pub(super) ended: Option<Instant>,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Which writing of the control directory's link was looked at.
pub(super) type Mark = (u64, i64, i64);

impl Driver {
    /// The directory in which the node may show that it can hand over; none if that is not wanted or cannot be.
    pub(super) fn control_dir(&self) -> Option<PathBuf> {
        if self.config.baton.relay == Relay::Off {
            return None;
        }
        let directory = self.layout.control_dir();
        let made = make_directory(&self.layout.baton()).and_then(|()| make_directory(&directory));
        made.is_ok().then_some(directory)
    }

    /// Looks whether the node shows that it can hand over, if there is anything new to see.
    pub(super) fn look_at_control_dir(&mut self) {
        if self.node.is_none() || self.config.baton.relay == Relay::Off {
            return;
        }
        let directory = self.layout.control_dir();
        let Ok(link) = std::fs::symlink_metadata(directory.join("current")) else {
            return;
        };
        let mark = Some((link.ino(), link.ctime(), link.ctime_nsec()));
        if mark == self.mark {
            return;
        }
        self.mark = mark;
        let generation = self.generation;
        self.tasks.spawn(async move {
            let pid = who_serves(&directory).await;
            Finished::Shown { generation, pid }
        });
    }

    /// A process shows itself in the control directory.
    pub(super) fn shown(&mut self, pid: Option<u32>) {
        let is_node =
            pid.is_some() && pid == self.node.as_ref().map(|node| node.pid().unsigned_abs());
        if is_node && !std::mem::replace(&mut self.hands_over, true) {
            info!(
                pid,
                "the node can hand over to the next process: it need not be stopped for that"
            );
            self.telling.update(|status| status.node.hands_over = true);
        }
    }

    /// Whether the node can hand over now.
    pub(super) async fn can_hand_over(&self) -> bool {
        let Some(node) = &self.node else { return false };
        if self.config.baton.relay == Relay::Off || self.mark.is_none() && !self.hands_over {
            return false;
        }
        who_serves(&self.layout.control_dir()).await == Some(node.pid().unsigned_abs())
    }

    /// Whether an upgrade can be made beside the node, which goes on answering.
    pub(super) async fn can_relay(&mut self) -> bool {
        self.look_at_control_dir();
        if !self.can_hand_over().await {
            return false;
        }
        if !self.config.restart_after_upgrade {
            info!(
                "DAEMON_RESTART_AFTER_UPGRADE is off: the node is stopped, though it could hand over"
            );
            return false;
        }
        if self.steps.backs_up() {
            let about = contract::about(&self.layout.control_dir()).await;
            if !about.is_ok_and(|about| about.snapshot) {
                info!(
                    "the node can hand over but offers no snapshot: it is stopped for its backup"
                );
                return false;
            }
        }
        true
    }

    /// Starts a process and introduces it to the node. An event if that comes to nothing at once.
    pub(super) async fn replace(&mut self, purpose: Purpose) -> Option<Event> {
        let (wanted, answer) = match (purpose, self.reload.take()) {
            (Purpose::Reload, Some((wanted, answer))) => (wanted, Some(answer)),
            _ => (Reload::default(), None),
        };
        let why = match purpose {
            Purpose::Reload => "reload".to_owned(),
            Purpose::Upgrade => format!("upgrade {}", self.upgrade_name()),
        };
        let mut replacing = Replacing {
            purpose,
            why,
            began: Instant::now(),
            release: crate::layout::Release::Genesis,
            binary: PathBuf::new(),
            dry_run: wanted.dry_run,
            answer,
            ended: None,
        };
        match self.start_candidate(&wanted, &mut replacing).await {
            Ok(()) => {
                self.replacing = Some(replacing);
                None
            }
            Err(error) => Some(self.not_replaced(replacing, error)),
        }
    }

    async fn start_candidate(
        &mut self,
        wanted: &Reload,
        replacing: &mut Replacing,
    ) -> Result<(), String> {
        let from = self.node.as_ref().map_or(0, Node::pid).unsigned_abs();
        replacing.release = self.layout.running().map_err(|e| e.to_string())?;
        let bin = match &wanted.exec {
            Some(exec) => exec.clone(),
            None => self.layout.bin(&replacing.release),
        };
        binary::ensure(&bin).map_err(|e| format!("the binary is invalid: {e}"))?;
        replacing.binary = spawn::real_path(&bin);
        let control_dir = self
            .control_dir()
            .ok_or_else(|| "the control directory cannot be made".to_owned())?;
        let root = self.layout.root();
        let program = Program {
            bin: &bin,
            args: &self.args,
            directory: &root,
            control_dir: Some(&control_dir),
        };
        let (node, candidate) = program.start_candidate().await.map_err(|e| {
            let text = spawn::refused(&replacing.binary, &resume::strings(&self.args), &e);
            format!("{text}{}", hint(&bin))
        })?;
        let pid = node.pid();
        let process = identity::of(pid);
        if let Some(record) = &mut self.record {
            record.candidate.clone_from(&process);
            let record = record.clone();
            self.leave_record(&record);
        }
        info!(
            why = replacing.why,
            pid,
            path = %replacing.binary.display(),
            dry_run = replacing.dry_run,
            "starting the process that takes over"
        );
        self.telling.tell(telling::Event::HandingOver {
            why: replacing.why.clone(),
            from,
            to: pid.unsigned_abs(),
            binary: replacing.binary.clone(),
            dry_run: replacing.dry_run,
        });
        self.others.candidate = Some(node);
        fail_point!("supervisor::introducing", |_| {
            crash::crash();
            Ok(())
        });
        let terms = Introducing {
            timeout: wanted
                .timeout_ms
                .map_or(READY_WITHIN, Duration::from_millis),
            dry_run: replacing.dry_run,
        };
        self.tasks.spawn(async move {
            Finished::Introduced(introduce(candidate, &control_dir, pid, process, terms).await)
        });
        Ok(())
    }

    /// What came of the introduction.
    pub(super) async fn introduced(&mut self, result: Result<Option<Box<Report>>, String>) {
        let Some(replacing) = self.replacing.take() else {
            return;
        };
        match result {
            Ok(report) if !replacing.dry_run => {
                fail_point!("supervisor::taken-over", |_| crash::crash());
                self.taken_over(replacing, report).await;
            }
            Ok(_) => {
                let took = replacing.began.elapsed();
                info!(
                    why = replacing.why,
                    ?took,
                    "the next process could have taken over"
                );
                self.telling.tell(telling::Event::HandoverRehearsed {
                    why: replacing.why.clone(),
                    took,
                });
                self.drop_candidate();
                let text = format!(
                    "{} could have taken over, tried in {}; the node serves as before",
                    replacing.binary.display(),
                    telling::words::short(took)
                );
                reply(replacing.answer, Answer::Accepted { text });
                self.feed(Event::Kept("rehearsed".to_owned())).await;
            }
            Err(error) => {
                let error = match &replacing.ended {
                    Some(lost) => format!("{error} ({})", lost.ended.text()),
                    None => error,
                };
                self.drop_candidate();
                let kept = self.not_replaced(replacing, error);
                self.feed(kept).await;
            }
        }
        if let Some(lost) = self.lost.take() {
            // Nobody has taken over from it.
            self.node = Some(lost.node);
            self.gone(lost.ended).await;
        }
    }

    fn drop_candidate(&mut self) {
        if let Some(node) = self.others.candidate.take() {
            self.tasks.spawn(async move {
                processes::dismiss(node).await;
                Finished::Other
            });
        }
        if let Some(record) = &mut self.record {
            record.candidate = None;
            let record = record.clone();
            self.leave_record(&record);
        }
    }

    fn not_replaced(&mut self, replacing: Replacing, error: String) -> Event {
        match replacing.purpose {
            Purpose::Reload => {
                warn!(why = replacing.why, %error, "no other process has taken over; the node serves as before");
                let what_to_do =
                    "read the end of the node's log for what the new process said, mend \
                                  that, and try again"
                        .to_owned();
                self.telling.tell(telling::Event::HandoverFailed {
                    why: replacing.why,
                    error: error.clone(),
                    what_to_do: what_to_do.clone(),
                });
                let why = format!("the node serves as before: {error}");
                reply(replacing.answer, Answer::Refused { why, what_to_do });
            }
            Purpose::Upgrade => self.stands(Step::HandOver, &error),
        }
        Event::Kept(error)
    }

    /// An upgrade has failed, and the old node goes on answering.
    pub(super) fn stands(&self, step: Step, text: &str) {
        error!(error = %text, step = step.name(), "the upgrade cannot go on; the old node stands at its height and answers");
        let Some(machine) = self.life.upgrade() else {
            return;
        };
        self.telling.tell(telling::Event::UpgradeStands {
            name: machine.journal.plan.name.clone(),
            height: machine.journal.plan.height,
            step: step.name().to_owned(),
            error: text.to_owned(),
            what_to_do: steps::what_to_do_beside(step),
        });
    }

    async fn taken_over(&mut self, mut replacing: Replacing, report: Option<Box<Report>>) {
        let (node, died) = match (self.others.candidate.take(), replacing.ended.take()) {
            (Some(node), _) => (node, None),
            // It was the node for an instant, and has ended as every node may.
            (None, Some(lost)) => (lost.node, Some(lost.ended)),
            (None, None) => {
                let kept = self.not_replaced(replacing, "it is gone".to_owned());
                return self.feed(kept).await;
            }
        };
        let took = replacing.began.elapsed();
        let (from, ended) = match (self.node.take(), self.lost.take()) {
            (Some(old), _) => {
                let pid = old.pid();
                self.others.leaving.push(old);
                (pid, None)
            }
            // It had nothing in hand, and was gone before we heard of the end of the handover.
            (None, Some(lost)) => (lost.node.pid(), Some(lost.ended)),
            (None, None) => (0, None),
        };
        let change = Change {
            why: replacing.why,
            how: How::HandedOver,
            from: from.unsigned_abs(),
            to: node.pid().unsigned_abs(),
            release: self.release_path(&replacing.release),
            binary: replacing.binary,
            took,
            pause: report.as_ref().and_then(|r| r.pause).unwrap_or_default(),
            longest_freeze_us: report.as_ref().and_then(|r| r.longest_freeze).map(micros),
            moved: report.as_ref().map(|r| r.moved.clone()).unwrap_or_default(),
            phases: phases(took, report.as_deref()),
        };
        info!("{}", change.sentence());
        self.look_at_plan();
        self.begin_following(&replacing.release.label(), node);
        self.dossier.begin_life();
        self.telling.tell(telling::Event::NodeChanged {
            generation: self.generation,
            change: Box::new(change.clone()),
        });
        if let Some(ended) = ended {
            self.tell_leaver(from, ended);
        }
        if replacing.purpose == Purpose::Upgrade {
            if let Some(journal) = self.life.journal_mut() {
                journal.pause_ms = Some(millis(change.pause));
            }
            self.telling.tell(telling::Event::UpgradeStep {
                name: self.upgrade_name(),
                step: Step::HandOver.name().to_owned(),
                took,
            });
        }
        reply(
            replacing.answer,
            Answer::Changed {
                change: Box::new(change),
            },
        );
        self.feed(Event::Replaced {
            took_ms: millis(took),
        })
        .await;
        if let Some(ended) = died {
            self.node_ended(ended).await;
        }
    }

    /// This process is the node from now on.
    fn begin_following(&mut self, release: &str, node: Node) {
        self.generation += 1;
        self.chain = Chain::Unasked;
        self.pace = Pace::default();
        self.last_full = None;
        self.next_ask = Instant::now();
        self.told = None;
        self.node_since = Instant::now();
        self.hands_over = true;
        let life = LastLife {
            release: release.to_owned(),
            plan_file: self.dossier.fingerprint(),
            process: identity::of(node.pid()),
            generation: self.generation,
            leaving: self.others.leaving_ids(),
            command: Some(resume::fingerprint(&self.args)),
            ..LastLife::default()
        };
        self.leave_record(&life);
        self.record = Some(life);
        self.node = Some(node);
    }

    /// A process of the node has ended.
    pub(super) async fn ended(&mut self, who: Who, ended: Ended) {
        match who {
            Who::Serving => self.node_ended(ended).await,
            Who::Candidate => {
                let node = self.others.candidate.take();
                if let (Some(replacing), Some(node)) = (&mut self.replacing, node) {
                    replacing.ended = Some(Lost { node, ended });
                }
            }
            Who::Leaving(place) => {
                let node = self.others.leaving.remove(place);
                self.tell_leaver(node.pid(), ended);
                let grace = crate::run::settings(&self.config).grace;
                // What it has started and left.
                if node.group() != self.last_group() {
                    self.tasks.spawn(async move {
                        let _ = processes::clear(vec![node.group()], grace).await;
                        Finished::Other
                    });
                }
                if let Some(record) = &mut self.record {
                    record.leaving = self.others.leaving_ids();
                    let record = record.clone();
                    self.leave_record(&record);
                }
            }
        }
    }

    fn tell_leaver(&self, pid: i32, ended: Ended) {
        let (code, signal) = super::parts(ended);
        info!(
            pid,
            how = ended.text(),
            "a process that had handed over has ended"
        );
        self.telling.tell(telling::Event::GenerationEnded {
            pid: pid.unsigned_abs(),
            code,
            signal,
        });
    }

    async fn node_ended(&mut self, ended: Ended) {
        if self.replacing.is_some() {
            if let Some(node) = self.node.take() {
                self.lost = Some(Lost { node, ended });
            }
            return;
        }
        if self.hands_over && self.life.is_at_rest() && self.follow_another(ended).await {
            return;
        }
        self.gone(ended).await;
    }

    /// The node has ended; another process may have taken over without us, or taken back. False if none has.
    async fn follow_another(&mut self, ended: Ended) -> bool {
        let gone = self.last_leader();
        let Some(pid) = self.who_serves_instead_of(gone).await else {
            return false;
        };
        let before = self
            .others
            .leaving
            .iter()
            .position(|node| node.pid() == pid);
        // The old binary must not take back what the new one may have migrated.
        if before.is_some() && self.life.upgrade().is_some() {
            return false;
        }
        let (node, why) = match before {
            Some(place) => (
                Ok(self.others.leaving.remove(place)),
                "its successor has ended, and it has taken back",
            ),
            None => (Node::found(pid), "the node has handed over to it by itself"),
        };
        let Ok(node) = node else { return false };
        warn!(
            pid,
            gone,
            how = ended.text(),
            why,
            "another process is the node now"
        );
        self.tell_leaver(gone, ended);
        let binary = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let release = self.record.as_ref().map(|record| record.release.clone());
        self.begin_following(&release.unwrap_or_default(), node);
        self.dossier.begin_life();
        let release = self.layout.running();
        self.telling.tell(telling::Event::NodeFound {
            pid: pid.unsigned_abs(),
            generation: self.generation,
            release: release.map(|r| self.release_path(&r)).unwrap_or_default(),
            binary,
            why: why.to_owned(),
        });
        true
    }

    /// The process that serves now that this one is gone. One that had handed over to it may need a moment to take back.
    async fn who_serves_instead_of(&self, gone: i32) -> Option<i32> {
        let until = Instant::now() + WHO;
        let may_take_back = !self.others.leaving.is_empty() && self.life.upgrade().is_none();
        loop {
            let pid = who_serves(&self.layout.control_dir()).await;
            match pid.map(u32::cast_signed) {
                Some(pid) if pid != gone => return Some(pid),
                _ if !may_take_back || Instant::now() > until => return None,
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Which way an upgrade is made that is due now.
    pub(super) async fn way(&mut self) -> Way {
        if self.can_relay().await {
            Way::Relay
        } else {
            Way::StopAndStart
        }
    }
}

/// The process that serves in a control directory, if one does.
pub(crate) async fn who_serves(directory: &Path) -> Option<u32> {
    let status = timeout(WHO, control::status(directory)).await;
    status.ok()?.ok().map(|status| status.pid)
}

/// Introduces a process, and finds out what came of it if that cannot be told. A report, none if the process serves all the same.
async fn introduce(
    candidate: Candidate,
    directory: &Path,
    pid: i32,
    process: Option<ProcessId>,
    terms: Introducing,
) -> Result<Option<Box<Report>>, String> {
    let until = Instant::now() + terms.timeout + SETTLES;
    let introduced = candidate.introduce(directory, pid.unsigned_abs(), terms, |_| {});
    match introduced.await {
        Ok(report) => match report.outcome {
            Outcome::HandedOver | Outcome::Rehearsed => Ok(Some(Box::new(report))),
            ref outcome => Err(outcome.to_string()),
        },
        // The old process died in the middle, so the new one may serve in its place; or it did not answer, and may still hand over.
        Err(lost @ (ControlError::Lost { .. } | ControlError::TimedOut { .. })) => {
            while Instant::now() < until {
                if who_serves(directory).await == Some(pid.unsigned_abs()) {
                    return Ok(None);
                }
                if process
                    .as_ref()
                    .is_none_or(|process| !identity::is_alive(process))
                {
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
            Err(lost.to_string())
        }
        Err(other) => Err(other.to_string()),
    }
}

/// The phases of the handover, after the start of the process.
fn phases(took: Duration, report: Option<&Report>) -> Vec<Phase> {
    let Some(report) = report else {
        return Vec::new();
    };
    let start = Phase {
        phase: "start".to_owned(),
        took: took.saturating_sub(report.took()),
    };
    let rest = report.phases.iter().map(|phase| Phase {
        phase: phase.phase.clone(),
        took: phase.took,
    });
    std::iter::once(start).chain(rest).collect()
}

fn reply(to: Option<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(to) = to {
        // The one who asked may have gone.
        let _ = to.send(answer);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
