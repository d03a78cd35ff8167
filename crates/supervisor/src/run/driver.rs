//! The loop: actions become system calls here, and what the system does becomes events.
//!
//! Nothing is decided in this file. It gathers facts for [`crate::due`], feeds
//! [`crate::life::Life`], and performs what that asks for.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fail::fail_point;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tracing::{error, info, warn};

use super::pace::{ASK, ASK_IDLE, ASK_NEAR, Pace};
use super::{judge, prefetch, resume, settings};
use crate::batch_file::{BatchFile, Turned};
use crate::binary;
use crate::config::Config;
use crate::due::{Child, Refusal, Running, Until, Verdict};
use crate::facts::{Circumstances, Dossier, LastLife};
use crate::heights::{self, Heights, Reading, Unknown};
use crate::layout::Layout;
use crate::life::{
    Action, CRASH_LIMIT, CRASH_WINDOW, Ended, Event, Exit, Life, Now, Signal, Timer,
};
use crate::logging;
use crate::node::reap::Reaper;
use crate::node::signals::{self, Arrived};
use crate::node::spawn::{self, Node};
use crate::node::{group, identity};
use crate::plan::{self, Fingerprint, Plan, PlanError};
use crate::records::Records;
use crate::skip;
use crate::telling::event::MissedPlan;
use crate::telling::{self, Telling};
use crate::upgrade::steps::{self, Done, Steps};
use crate::upgrade::{Journal, Stage, Step};
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
        last: Option<LastLife>,
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
            dossier: Dossier::new(last.as_ref(), &running),
            batch: BatchFile::new(&layout.batch_file()),
            begun: now,
            node: None,
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
            }))),
            chain: Chain::Unasked,
            pace: Pace::default(),
            last_full: None,
            next_ask: now,
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
    pub async fn run(mut self, journal: Option<Box<Journal>>) -> Exit {
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
        self.feed(Event::Begin(journal)).await;
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
                ended = end_of(&mut self.node) => self.node_ended(ended).await,
                Some(Ok(finished)) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.finished(finished).await;
                }
                Some(()) = changes.recv() => self.look().await,
                Some(ask) = asked.recv() => self.answer(ask),
                () = sleep_until(timer.map_or_else(Instant::now, |(_, at)| at).into()), if timer.is_some() => {
                    if let Some((timer, _)) = timer {
                        self.timers.remove(&timer);
                        self.feed(Event::Timer(timer)).await;
                    }
                }
                _ = poll.tick() => {
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
            Action::Send(signal) => {
                if let Some(node) = &self.node {
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
                let leader = self.last_leader();
                self.tasks
                    .spawn(async move { Finished::Cleared(group::clear(leader, grace).await) });
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

    /// Answers what an operator asked over the control socket.
    fn answer(&self, ask: telling::Ask) {
        let answer = match ask.request {
            telling::Request::Backup if self.node.is_some() => telling::Answer::Refused {
                why: "the node is running, and a copy of data that is being written to may be torn"
                    .to_owned(),
                what_to_do: "stop the supervisor, then run `baton backup`".to_owned(),
            },
            _ => telling::Answer::Refused {
                why: "the supervisor is busy with the node's upgrade".to_owned(),
                what_to_do: "see `baton status`".to_owned(),
            },
        };
        // The one who asked may have gone.
        let _ = ask.answer.send(answer);
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

    async fn node_ended(&mut self, ended: Ended) {
        let ran_for = self.node_since.elapsed();
        let (code, signal) = match ended {
            Ended::Code(code) => (Some(code), None),
            Ended::Signal(signal) => (None, Some(signal)),
        };
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
                error!(error = %text, step = step.name(), "the upgrade cannot go on");
                self.telling.tell(telling::Event::UpgradeFailed {
                    name: self.upgrade_name(),
                    step: step.name().to_owned(),
                    error: text.clone(),
                    what_to_do: steps::what_to_do(step).to_owned(),
                });
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
        let journal = Journal::new(plan, from, self.now().wall_s);
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
            crash();
            Event::Spawned
        });
        let node = match spawn::start(&bin, &self.args, &self.layout.root()).await {
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
            binary: real,
        });
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

    // What is known.

    async fn look(&mut self) {
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

    fn look_at_plan(&mut self) {
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
    fn tell_trouble(&mut self) {
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

    fn verdict(&self, child: Child) -> Option<Verdict> {
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
    fn judge(&mut self, ended: Option<(Ended, Duration)>) -> Option<Plan> {
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
    async fn decide(&mut self) {
        let child = match self.last_end {
            _ if self.life.is_running() => Child::Alive { asked: false },
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

    /// Remembers for the next supervisor that the plan is one for later.
    fn note_too_early(&mut self, verdict: Verdict) {
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

    fn tell_verdict(&mut self, verdict: Verdict, node_died: bool) {
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
            fail_point!("supervisor::plan-seen", |_| crash());
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

    fn ask_if_needed(&mut self) {
        if !self.life.is_running() || Instant::now() < self.next_ask {
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
        self.next_ask = Instant::now() + pause;
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
    fn next_pause(&self) -> (Duration, bool) {
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

    async fn height_answered(&mut self, question: u64, result: Result<Reading, Unknown>) {
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
        if let Some(height) = height {
            self.feed(Event::Height(height)).await;
        }
        self.note_binary();
        self.look().await;
    }

    /// Shows in `status` whether the plan's binary is in place, however it came there.
    fn note_binary(&self) {
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

    fn batch_turn(&mut self) {
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
    fn running_height(&self) -> Option<u64> {
        let release = self.layout.running().ok()?;
        let file = plan::read_file(&self.layout.release_plan(&release)).ok()??;
        file.content.ok().map(|plan| plan.height)
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

async fn end_of(node: &mut Option<Node>) -> Ended {
    match node {
        Some(node) => node.ended().await,
        None => std::future::pending().await,
    }
}

/// What a start that the system refused is often due to.
fn hint(bin: &std::path::Path) -> String {
    crate::fetch::executable::inspect(bin)
        .err()
        .map(|why| format!(" ({why})"))
        .unwrap_or_default()
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

/// Dies as a power cut would, for the crash tests.
#[cfg(feature = "failpoints")]
fn crash() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

/// The fault points after each stage, recorded or with nothing to record: `supervisor::<stage>`.
fn crash_after(stage: crate::upgrade::Stage) {
    use crate::upgrade::Stage as S;
    match stage {
        S::Due => fail_point!("supervisor::due", |_| crash()),
        S::Stopped => fail_point!("supervisor::stopped", |_| crash()),
        S::BackedUp => fail_point!("supervisor::backed-up", |_| crash()),
        S::CustomDone => fail_point!("supervisor::custom-done", |_| crash()),
        S::Fetched => fail_point!("supervisor::fetched", |_| crash()),
        S::Switched => fail_point!("supervisor::switched", |_| crash()),
        S::Prepared => fail_point!("supervisor::prepared", |_| crash()),
        S::Started => fail_point!("supervisor::started", |_| crash()),
        S::Confirmed => fail_point!("supervisor::confirmed", |_| crash()),
        S::RollingBack => fail_point!("supervisor::rolling-back", |_| crash()),
        S::DataRestored => fail_point!("supervisor::data-restored", |_| crash()),
        S::RolledBack => fail_point!("supervisor::rolled-back", |_| crash()),
    }
}
