//! The loop: actions become system calls here, and what the system does becomes events.
//!
//! Nothing is decided here. It gathers facts for [`crate::due`], feeds
//! [`crate::life::Life`], and performs what that asks for.

mod asked;
mod crash;
mod handing;
mod knowing;
mod processes;

pub(super) use handing::who_serves;

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use baton_handover::report::Report;
use fail::fail_point;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tracing::{error, info, warn};

use self::crash::crash_after;
use self::handing::{Lost, Mark, Replacing, StopStart};
use self::processes::{Others, next_end};
use super::pace::Pace;
use super::{prefetch, resume, settings};
use crate::batch_file::BatchFile;
use crate::binary;
use crate::config::Config;
use crate::due::Verdict;
use crate::facts::{Dossier, LastLife};
use crate::heights::{self, Heights, Reading, Unknown};
use crate::layout::Layout;
use crate::life::{
    Action, CRASH_LIMIT, CRASH_WINDOW, Ended, Event, Exit, Life, Now, Signal, Timer,
};
use crate::logging;
use crate::node::identity;
use crate::node::reap::Reaper;
use crate::node::signals::{self, Arrived};
use crate::node::spawn::{self, Node, Program};
use crate::plan::{Fingerprint, Plan};
use crate::records::Records;
use crate::skip;
use crate::telling::{self, Telling};
use crate::upgrade::steps::{self, Done, Steps};
use crate::upgrade::{Journal, Stage, Step, Way};
use crate::watch;

/// How long a plan file may stay unreadable before that is told.
const TROUBLE: Duration = Duration::from_secs(3);
/// How long a broken-off step has to clean up.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// What the background finished.
enum Finished {
    Step {
        step: Step,
        took: Duration,
        result: Result<Done, String>,
    },
    Cleared(Result<(), String>),
    /// This process shows itself in the control directory.
    Shown {
        generation: u64,
        pid: Option<u32>,
    },
    /// A process was introduced to the node.
    Introduced(Result<Option<Box<Report>>, String>),
    Height {
        heights: Box<Heights>,
        question: u64,
        generation: u64,
        result: Result<Reading, Unknown>,
    },
    Other,
}

/// What came of asking where the chain is, in this life of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    Unasked,
    Unknown,
    At(u64),
}

impl Chain {
    fn height(self) -> Option<u64> {
        match self {
            Self::At(height) => Some(height),
            Self::Unasked | Self::Unknown => None,
        }
    }
}

/// What a supervisor begins with.
pub struct Beginning {
    /// What the last supervisor left about its node.
    pub last: Option<LastLife>,
    /// An upgrade that was interrupted.
    pub journal: Option<Box<Journal>>,
    /// A node that serves.
    pub found: Option<FoundNode>,
}

/// A node that was left running, and goes on.
pub struct FoundNode {
    /// The process that serves.
    pub node: Node,
    /// It is of the release that the interrupted upgrade leads to.
    pub is_new: bool,
    /// Processes that have handed over to it and have not ended.
    pub leaving: Vec<Node>,
}

/// The driver of one supervisor.
pub struct Driver {
    config: Arc<Config>,
    layout: Layout,
    args: Vec<OsString>,
    skips: Vec<u64>,
    records: Records,
    telling: Telling,
    steps: Arc<Steps>,
    life: Life,
    dossier: Dossier,
    batch: BatchFile,
    begun: Instant,
    node: Option<Node>,
    /// The other processes of the node.
    others: Others,
    /// The node shows that it can hand over.
    hands_over: bool,
    mark: Option<Mark>,
    replacing: Option<Replacing>,
    lost: Option<Lost>,
    /// What the operator wants the node reloaded with.
    reload: Option<(telling::Reload, oneshot::Sender<telling::Answer>)>,
    stop_start: Option<StopStart>,
    /// Which way the upgrade is made whose journal is about to be opened.
    way: Way,
    node_since: Instant,
    generation: u64,
    /// What the next supervisor would be left about the node that runs.
    record: Option<LastLife>,
    last_end: Option<(Ended, Duration)>,
    asked_to_stop: Option<Instant>,
    timers: HashMap<Timer, Instant>,
    tasks: JoinSet<Finished>,
    step_task: Option<AbortHandle>,
    cancel: Arc<AtomicBool>,
    heights: Option<Box<Heights>>,
    chain: Chain,
    pace: Pace,
    /// When every way to learn the height was last tried, if ever in this life.
    last_full: Option<Instant>,
    next_ask: Instant,
    /// When it was asked for last.
    last_ask: Instant,
    told: Option<Verdict>,
    /// That there is this plan was told, or need not be.
    plan_told: bool,
    upgrade_began: Option<Instant>,
    trouble: Option<(Fingerprint, Instant, bool)>,
    unreadable_told: bool,
    exit: Option<Exit>,
}

impl Driver {
    /// A driver for this home, with what the last supervisor left.
    pub fn new(
        config: Arc<Config>,
        layout: Layout,
        args: Vec<OsString>,
        records: Records,
        last: Option<&LastLife>,
        telling: Telling,
    ) -> Self {
        let cancel = Arc::new(AtomicBool::new(false));
        let running = layout
            .running()
            .map(|release| release.label())
            .unwrap_or_default();
        let now = Instant::now();
        let skips = skip::heights(&resume::strings(&args));
        Self {
            skips,
            steps: Arc::new(Steps::new(
                config.clone(),
                layout.clone(),
                telling.clone(),
                cancel.clone(),
            )),
            life: Life::new(settings(&config)),
            dossier: Dossier::new(last, &running),
            batch: BatchFile::new(&layout.batch_file()),
            begun: now,
            node: None,
            others: Others::default(),
            hands_over: false,
            mark: None,
            replacing: None,
            lost: None,
            reload: None,
            stop_start: None,
            way: Way::default(),
            node_since: now,
            generation: last.map_or(0, |last| last.generation),
            record: None,
            last_end: None,
            asked_to_stop: None,
            timers: HashMap::new(),
            tasks: JoinSet::new(),
            step_task: None,
            cancel,
            heights: Some(Box::new(Heights::new(heights::Settings {
                home: config.home.clone(),
                rpc_address: config.baton.rpc_address.clone(),
                grpc_address: config.grpc_address.clone(),
                node_args: resume::strings(&args),
                control_dir: Some(layout.control_dir()),
            }))),
            chain: Chain::Unasked,
            pace: Pace::default(),
            last_full: None,
            next_ask: now,
            last_ask: now,
            told: None,
            plan_told: true,
            upgrade_began: None,
            trouble: None,
            unreadable_told: false,
            exit: None,
            config,
            layout,
            args,
            records,
            telling,
        }
    }

    /// Runs until the supervisor is to end.
    pub async fn run(mut self, beginning: Beginning) -> Exit {
        let Beginning {
            last,
            journal,
            found,
        } = beginning;
        let mut signals = match signals::listen() {
            Ok(signals) => signals,
            Err(e) => return Exit::CannotStart(format!("listening for signals: {e}")),
        };
        let mut reaper = Reaper::adopt();
        let mut zombies = true;
        let (_watch, mut changes) = match watch::watch(
            self.layout.data(),
            &["upgrade-info.json", "upgrade-info.json.batch"],
        ) {
            Ok((watch, changes)) => (Some(watch), changes),
            Err(e) => {
                warn!(error = %e, "no file-system events here; plans are found by polling only");
                (None, mpsc::channel(1).1)
            }
        };
        let (requests, mut asked) = mpsc::channel(8);
        self.telling.serve(&requests);
        let mut poll = interval(self.config.poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Skip);

        self.look_at_plan();
        if let Some(journal) = &journal {
            self.telling.tell(telling::Event::UpgradeResumed {
                name: journal.plan.name.clone(),
                height: journal.plan.height,
                step: journal.stage.name().to_owned(),
            });
        }
        match (found, last) {
            (Some(found), Some(last)) => self.go_on_with(found, last, journal).await,
            _ => self.feed(Event::Begin(journal)).await,
        }
        self.spawn_prefetch();

        while self.exit.is_none() {
            let timer = self
                .timers
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(t, at)| (*t, *at));
            tokio::select! {
                Some(arrived) = signals.recv() => match arrived {
                    Arrived::ForNode(signal) => self.signalled(signal).await,
                    Arrived::Child => zombies = true,
                },
                (who, ended) = next_end(&mut self.node, &mut self.others) => self.ended(who, ended).await,
                Some(Ok(finished)) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.finished(finished).await;
                }
                Some(()) = changes.recv() => self.look().await,
                Some(ask) = asked.recv() => self.asked(ask).await,
                () = sleep_until(timer.map_or_else(Instant::now, |(_, at)| at).into()), if timer.is_some() => {
                    if let Some((timer, _)) = timer {
                        self.timers.remove(&timer);
                        self.feed(Event::Timer(timer)).await;
                    }
                }
                _ = poll.tick() => {
                    self.look_at_control_dir();
                    self.look().await;
                    if zombies {
                        zombies = reaper.look(Instant::now());
                    }
                }
            }
        }
        self.wind_up().await
    }

    async fn wind_up(mut self) -> Exit {
        // A broken-off step cleans up after itself, within bounds.
        if self.cancel.load(Ordering::Relaxed)
            && let Some(step) = self.step_task.take()
        {
            let deadline = Instant::now() + CLEAN_UP;
            while !step.is_finished() && Instant::now() < deadline {
                let wait = Duration::from_millis(50);
                let _ = tokio::time::timeout(wait, self.tasks.join_next()).await;
            }
        }
        self.tasks.abort_all();
        self.exit.unwrap_or(Exit::Stopped)
    }

    fn now(&self) -> Now {
        Now {
            mono: self.begun.elapsed(),
            wall_s: jiff::Timestamp::now().as_second(),
        }
    }

    /// Feeds an event, performs what comes of it, and what comes of that.
    async fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let actions = self.life.step(event, self.now());
            for action in actions {
                if !self.perform(action, &mut events).await {
                    break;
                }
            }
        }
    }

    /// Performs an action; false if what follows it must not be done.
    async fn perform(&mut self, action: Action, events: &mut VecDeque<Event>) -> bool {
        match action {
            Action::Judge { ended } => {
                let plan = self.judge(ended);
                events.push_back(Event::Judged(plan));
            }
            Action::Spawn => events.push_back(self.spawn().await),
            Action::Replace(purpose) => events.extend(self.replace(purpose).await),
            Action::Send(signal) => {
                if signal.stops() || signal == Signal::Kill {
                    self.others.send(signal);
                }
                if let Some(node) = &mut self.node {
                    if signal == Signal::Kill {
                        info!("DAEMON_SHUTDOWN_GRACE exceeded, killing app");
                        self.telling.tell(telling::Event::NodeKilled {
                            pid: node.pid().unsigned_abs(),
                            grace: settings(&self.config).grace,
                        });
                    }
                    node.send(signal);
                }
            }
            Action::ClearGroup { grace } => {
                let mut groups = vec![self.last_group()];
                groups.extend(self.others.groups());
                self.tasks
                    .spawn(async move { Finished::Cleared(processes::clear(groups, grace).await) });
            }
            Action::Arm(timer, after) => {
                self.timers.insert(timer, Instant::now() + after);
            }
            Action::Disarm(timer) => {
                self.timers.remove(&timer);
            }
            Action::OpenJournal(plan) => match self.open_journal(plan) {
                Ok(journal) => events.push_back(Event::Opened(Box::new(journal))),
                Err(error) => events.push_back(Event::NotRecorded(error)),
            },
            Action::Record(journal) => {
                if let Err(e) = journal.save(&self.layout.baton()) {
                    error!(error = %e, "the upgrade cannot be recorded");
                    events.push_back(Event::NotRecorded(e.to_string()));
                    return false;
                }
                crash_after(journal.stage);
            }
            Action::Perform(step) => self.begin_step(step, events),
            Action::Cancel => self.cancel.store(true, Ordering::Relaxed),
            Action::Confirmed(journal) => self.confirmed(&journal),
            Action::RolledBack(journal) => self.telling.tell(telling::Event::RolledBack {
                name: journal.plan.name.clone(),
                from: self.layout.cased(&journal.plan.name),
                to: journal.from.display().to_string(),
                backup: journal.backup.clone(),
                why: format!("the new binary failed {} times", journal.deaths.len()),
            }),
            Action::Restarting { after, attempt } => {
                info!(after = ?after, attempt, "starting the node again");
                self.telling.tell(telling::Event::NodeRestarting {
                    delay: after,
                    attempt,
                });
            }
            Action::Exit(exit) => {
                if exit == Exit::LeftDown {
                    info!(
                        "upgrade detected, DAEMON_RESTART_AFTER_UPGRADE is off. Verify new upgrade and start cosmovisor again."
                    );
                }
                self.tell_exit(&exit);
                self.exit = Some(exit);
            }
        }
        true
    }

    /// What an end of the supervisor means to the operator, where nothing else has told it.
    fn tell_exit(&self, exit: &Exit) {
        match exit {
            Exit::CrashLoop(_) => self.telling.tell(telling::Event::CrashLoop {
                exits: u32::try_from(CRASH_LIMIT).unwrap_or(u32::MAX),
                within: CRASH_WINDOW,
                what_to_do: "read the end of the node's log; the supervisor starts it again when \
                             it is started itself"
                    .to_owned(),
            }),
            Exit::NotRecorded(error) => self.telling.tell(telling::Event::UpgradeFailed {
                name: self.upgrade_name(),
                step: "record".to_owned(),
                error: error.clone(),
                what_to_do: format!(
                    "make {} writable for the supervisor and see that its disk has room, then \
                     start again; nothing was changed",
                    self.layout.baton().display()
                ),
            }),
            Exit::CannotStart(error) | Exit::Stuck(error) => {
                self.telling.tell(telling::Event::Warning {
                    text: error.clone(),
                    what_to_do: "mend the cause, then start the supervisor again".to_owned(),
                });
            }
            _ => {}
        }
    }

    async fn signalled(&mut self, signal: Signal) {
        info!(signal = signal.name(), "signal received");
        self.telling.tell(telling::Event::SignalReceived {
            signal: spawn::number(signal),
        });
        if signal.stops()
            && let Some(node) = &self.node
        {
            self.telling.tell(telling::Event::NodeStopping {
                pid: node.pid().unsigned_abs(),
                why: format!("{} received", signal.name()),
            });
            self.telling
                .notifier()
                .stopping(settings(&self.config).grace);
        }
        self.feed(Event::Signal(signal)).await;
    }

    /// The node has ended, and no other process serves in its place.
    async fn gone(&mut self, ended: Ended) {
        let ran_for = self.node_since.elapsed();
        let (code, signal) = parts(ended);
        if let Some(reload) = &mut self.stop_start {
            reload.ended = Some(Instant::now());
        }
        info!(how = ended.text(), "the node ended");
        if self.asked_to_stop.is_some() && ended != Ended::Signal(spawn::number(Signal::Kill)) {
            info!("app exited normally");
        }
        self.telling.tell(telling::Event::NodeExited {
            pid: self.last_leader().unsigned_abs(),
            code,
            signal,
            ran_for,
        });
        if self.life.is_running()
            && let Some(machine) = self.life.upgrade()
            && machine.journal.stage == Stage::Started
        {
            self.telling.tell(telling::Event::Warning {
                text: format!(
                    "the binary of upgrade {} ended ({}) before the chain went on: the upgrade is not confirmed",
                    machine.journal.plan.name,
                    ended.text()
                ),
                what_to_do: "read the end of the node's log; start the supervisor again to go on, \
                             or take the upgrade back with `baton rollback`"
                    .to_owned(),
            });
        }
        self.last_end = Some((ended, ran_for));
        if let Some(mut life) = self.record.take() {
            life.ended = true;
            life.plan_file_at_end = Fingerprint::of(&self.layout.plan_file()).ok();
            self.leave_record(&life);
        }
        self.feed(Event::Ended(ended)).await;
        self.node = None;
        self.hands_over = false;
    }

    async fn finished(&mut self, finished: Finished) {
        match finished {
            Finished::Step { step, took, result } => self.step_finished(step, took, result).await,
            Finished::Cleared(Ok(())) => self.feed(Event::GroupGone).await,
            Finished::Cleared(Err(text)) => self.feed(Event::GroupStuck(text)).await,
            Finished::Height {
                heights,
                question,
                generation,
                result,
            } => {
                self.heights = Some(heights);
                if generation == self.generation && self.node.is_some() {
                    self.height_answered(question, result).await;
                }
            }
            Finished::Shown { generation, pid } => {
                if generation == self.generation {
                    self.shown(pid);
                }
            }
            Finished::Introduced(result) => self.introduced(result).await,
            Finished::Other => {}
        }
    }

    async fn step_finished(&mut self, step: Step, took: Duration, result: Result<Done, String>) {
        match result {
            Ok(done) => {
                if let Some(journal) = self.life.journal_mut() {
                    done.note_in(journal);
                }
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                if done.changed {
                    self.telling.tell(telling::Event::UpgradeStep {
                        name: self.upgrade_name(),
                        step: step.name().to_owned(),
                        took,
                    });
                }
                self.feed(Event::StepDone {
                    took_ms,
                    changed: done.changed,
                })
                .await;
                if let (false, Some(stage)) = (done.changed, step.leads_to()) {
                    crash_after(stage);
                }
            }
            Err(text) => {
                if self.cancel.load(Ordering::Relaxed) {
                    return;
                }
                if self.life.is_running() {
                    self.stands(step, &text);
                } else {
                    error!(error = %text, step = step.name(), "the upgrade cannot go on");
                    self.telling.tell(telling::Event::UpgradeFailed {
                        name: self.upgrade_name(),
                        step: step.name().to_owned(),
                        error: text.clone(),
                        what_to_do: steps::what_to_do(step).to_owned(),
                    });
                }
                self.feed(Event::StepFailed(text)).await;
            }
        }
    }

    fn upgrade_name(&self) -> String {
        self.life
            .upgrade()
            .map(|machine| machine.journal.plan.name.clone())
            .unwrap_or_default()
    }

    fn begin_step(&mut self, step: Step, events: &mut VecDeque<Event>) {
        if step == Step::Stop {
            // The node is gone: the machine of its life saw to that.
            let took = self.asked_to_stop.map(|at| at.elapsed());
            if let Some(took) = took {
                self.telling.tell(telling::Event::UpgradeStep {
                    name: self.upgrade_name(),
                    step: step.name().to_owned(),
                    took,
                });
            }
            let took_ms = took.map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or(0));
            events.push_back(Event::StepDone {
                took_ms,
                changed: true,
            });
            return;
        }
        let Some(machine) = self.life.upgrade() else {
            return;
        };
        let journal = machine.journal.clone();
        let steps = self.steps.clone();
        self.step_task = Some(self.tasks.spawn(async move {
            let begun = Instant::now();
            let result = steps.perform(step, &journal).await;
            Finished::Step {
                step,
                took: begun.elapsed(),
                result: result.map_err(|e| e.to_string()),
            }
        }));
    }

    fn open_journal(&mut self, plan: Plan) -> Result<Journal, String> {
        let from = std::fs::read_link(self.layout.current())
            .map_err(|e| format!("reading {}: {e}", self.layout.current().display()))?;
        self.upgrade_began = Some(Instant::now());
        self.telling.tell(telling::Event::UpgradeStarted {
            name: plan.name.clone(),
            height: plan.height,
        });
        let mut journal = Journal::new(plan, from, self.now().wall_s);
        journal.way = std::mem::take(&mut self.way);
        journal
            .save(&self.layout.baton())
            .map_err(|e| e.to_string())?;
        crash_after(journal.stage);
        Ok(journal)
    }

    async fn spawn(&mut self) -> Event {
        let release = match self.layout.running() {
            Ok(release) => release,
            Err(e) => return Event::SpawnFailed(format!("error creating symlink to genesis: {e}")),
        };
        let bin = self.layout.bin(&release);
        if let Err(e) = binary::ensure(&bin) {
            return Event::SpawnFailed(format!("current binary is invalid: {e}"));
        }
        self.look_at_plan();
        self.dossier.begin_life();
        self.chain = Chain::Unasked;
        self.pace = Pace::default();
        self.last_full = None;
        self.next_ask = Instant::now();
        self.told = None;
        self.generation += 1;
        let mut life = LastLife {
            release: release.label(),
            plan_file: self.dossier.fingerprint(),
            process: None,
            ended: false,
            plan_file_at_end: None,
            too_early: None,
            generation: self.generation,
            command: Some(resume::fingerprint(&self.args)),
            ..LastLife::default()
        };
        self.leave_record(&life);
        let real = spawn::real_path(&bin);
        let shown = logging::list(resume::strings(&self.args));
        if self.config.restart_after_upgrade
            && self
                .life
                .upgrade()
                .is_some_and(|machine| machine.journal.stage == Stage::Prepared)
        {
            info!(
                app = self.layout.daemon_name(),
                "upgrade detected, relaunching"
            );
        }
        info!(args = %shown, path = %real.display(), "running app");
        fail_point!("supervisor::spawn", |_| {
            crash::crash();
            Event::Spawned
        });
        self.hands_over = false;
        let control_dir = self.control_dir();
        let root = self.layout.root();
        let program = Program {
            bin: &bin,
            args: &self.args,
            directory: &root,
            control_dir: control_dir.as_deref(),
        };
        let node = match program.start().await {
            Ok(node) => node,
            Err(e) => {
                let text = spawn::refused(&real, &resume::strings(&self.args), &e);
                return Event::SpawnFailed(format!("{text}{}", hint(&bin)));
            }
        };
        if let Some(asked) = self.asked_to_stop.take()
            && let Some(journal) = self.life.journal_mut()
        {
            journal.pause_ms = u64::try_from(asked.elapsed().as_millis()).ok();
        }
        life.process = identity::of(node.pid());
        self.leave_record(&life);
        self.record = Some(life);
        self.node_since = Instant::now();
        self.telling.tell(telling::Event::NodeStarted {
            pid: node.pid().unsigned_abs(),
            generation: self.generation,
            release: self.release_path(&release),
            binary: real.clone(),
        });
        self.started_again(&self.release_path(&release), &real, node.pid());
        self.node = Some(node);
        self.telling.notifier().ready();
        Event::Spawned
    }

    fn release_path(&self, release: &crate::layout::Release) -> String {
        let dir = self.layout.dir(release);
        dir.strip_prefix(self.layout.root())
            .unwrap_or(&dir)
            .display()
            .to_string()
    }

    fn leave_record(&self, life: &LastLife) {
        if let Err(e) = self.records.save_last_life(life) {
            warn!(error = %e, "the node's process cannot be recorded");
        }
    }

    fn last_leader(&self) -> i32 {
        self.node.as_ref().map_or(0, Node::pid)
    }

    fn last_group(&self) -> i32 {
        self.node.as_ref().map_or(0, Node::group)
    }

    /// A node was left running and is gone on with.
    async fn go_on_with(
        &mut self,
        found: FoundNode,
        last: LastLife,
        journal: Option<Box<Journal>>,
    ) {
        let FoundNode {
            node,
            is_new,
            leaving,
        } = found;
        let pid = node.pid();
        info!(
            pid,
            leaving = leaving.len(),
            "a node was left running that can hand over; going on with it"
        );
        self.hands_over = true;
        let release = self.layout.running();
        self.generation = last.generation.max(1);
        self.dossier.go_on_with_life(last.plan_file);
        let mut record = LastLife {
            process: identity::of(pid),
            candidate: None,
            ended: false,
            plan_file_at_end: None,
            ..last
        };
        if let (Ok(release), true) = (&release, is_new) {
            record.release = release.label();
        }
        self.telling.tell(telling::Event::NodeFound {
            pid: pid.unsigned_abs(),
            generation: self.generation,
            release: release.map(|r| self.release_path(&r)).unwrap_or_default(),
            binary: std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default(),
            why: "left running by a supervisor that was killed".to_owned(),
        });
        self.node = Some(node);
        self.others.leaving = leaving;
        record.leaving = self.others.leaving_ids();
        self.leave_record(&record);
        self.record = Some(record);
        self.telling.notifier().ready();
        self.feed(Event::Found { journal, is_new }).await;
    }

    fn confirmed(&mut self, journal: &Journal) {
        // Over a restart of the supervisor only whole seconds are known.
        let since_begun = self.now().wall_s.saturating_sub(journal.begun_s);
        let total = self.upgrade_began.take().map_or_else(
            || Duration::from_secs(u64::try_from(since_begun).unwrap_or(0)),
            |began| began.elapsed(),
        );
        info!(
            name = journal.plan.name,
            height = journal.plan.height,
            "upgrade confirmed: the chain goes on"
        );
        self.telling.tell(telling::Event::UpgradeConfirmed {
            name: journal.plan.name.clone(),
            height: journal.plan.height,
            pause: Duration::from_millis(journal.pause_ms.unwrap_or(0)),
            total,
        });
        let steps = self.steps.clone();
        self.tasks.spawn(async move {
            steps.prune().await;
            Finished::Other
        });
    }

    fn spawn_prefetch(&mut self) {
        if !prefetch::wanted(&self.config) {
            return;
        }
        let steps = self.steps.clone();
        self.tasks.spawn(async move {
            prefetch::keep_fetching(steps).await;
            Finished::Other
        });
    }
}

/// An exit code, or a signal's number.
fn parts(ended: Ended) -> (Option<i32>, Option<i32>) {
    match ended {
        Ended::Code(code) => (Some(code), None),
        Ended::Signal(signal) => (None, Some(signal)),
    }
}

/// What a start that the system refused is often due to.
fn hint(bin: &std::path::Path) -> String {
    crate::fetch::executable::inspect(bin)
        .err()
        .map(|why| format!(" ({why})"))
        .unwrap_or_default()
}
