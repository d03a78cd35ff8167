//! A node whose data is open: what it does at its start and with each block, as plain synchronous code.
//!
//! The servers look at a [`View`] of it and send it [`Command`]s.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use crate::chain::{AppState, Begin, Plan, Refusal, Unschedulable};
use crate::data::{Block, Data, DataError};
use crate::home::Home;
use crate::log;
use crate::plan_file;
use crate::settings::{Behaviour, HaltStyle, Style};
use crate::snapshot::{self, Snapshot};
use crate::version::Version;

/// Commands that may wait while the node is busy.
pub(crate) const MAX_COMMANDS: usize = 16;

/// What others may know about a running node.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The last block in the block store.
    pub(crate) tip: Block,
    /// The lowest block that is kept.
    pub(crate) base: u64,
    /// The application's state.
    pub(crate) app: AppState,
    /// Why consensus has stopped, if it has.
    pub(crate) halted: Option<String>,
}

/// A view that one thread renews and others look at.
pub(crate) type SharedView = Arc<Mutex<View>>;

/// The present view.
pub(crate) fn look(view: &SharedView) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a running node can be told.
pub(crate) enum Command {
    /// Put a plan on chain.
    Schedule(Plan, oneshot::Sender<Result<(), Unschedulable>>),
    /// Drop the next plan; the answer is the plan.
    Cancel(oneshot::Sender<Option<Plan>>),
    /// Give the block at this height.
    Block(u64, oneshot::Sender<Option<Block>>),
    /// Write a copy of the data to this directory, of one moment.
    Snapshot(PathBuf, oneshot::Sender<Result<Snapshot, String>>),
    /// End; flushing takes so long.
    Stop(Duration),
}

/// Where commands are sent to.
pub(crate) type Commands = SyncSender<Command>;

/// How a node ended by itself.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Its exit code.
    pub(crate) code: u8,
    /// What it says on stderr.
    pub(crate) message: String,
}

impl Ending {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<DataError> for Ending {
    fn from(error: DataError) -> Self {
        Self::new(1, format!("Error: {error}"))
    }
}

/// A node whose data is open.
pub(crate) struct Node {
    pub(crate) data: Data,
    pub(crate) home: Home,
    pub(crate) version: Version,
    pub(crate) behaviour: Behaviour,
}

impl Node {
    /// Does what a node does before it can be reached: puts the configured plans on chain, replays
    /// a block that was saved and not executed, and finds out whether it is the right binary.
    pub(crate) fn handshake(&mut self) -> Result<(), Ending> {
        self.check()?;
        self.replay()?;
        self.check_next()
    }

    /// Whether this binary can go on from here. Changes nothing that an older one could not read, so that a successor may do
    /// it while its predecessor may still take everything back.
    pub(crate) fn check(&mut self) -> Result<(), Ending> {
        self.prepare()?;
        let (saved, executed) = (self.data.height(), self.data.state.height);
        if executed >= saved {
            return self.check_next();
        }
        let failed = |what: String| {
            let message = format!("Error: error during handshake: error on replay: {what}");
            Err(Ending::new(1, message))
        };
        log::info("replaying block", &[("height", &saved)]);
        if self.halts_before(saved) {
            return failed(self.halt_refusal().to_string());
        }
        match self.begin(saved) {
            Begin::Refuse(refusal @ Refusal::Needed(_)) => {
                self.tell_plan(&refusal, saved)?;
                failed(refusal.to_string())
            }
            Begin::Refuse(refusal) => failed(refusal.to_string()),
            Begin::Apply(plan) => self.check_store_upgrades(&plan, saved),
            Begin::Execute | Begin::Skip(_) => Ok(()),
        }
    }

    /// The same for a node whose data was another's for a while: it may stand before a block that it cannot execute, but the
    /// data must be no newer than it is.
    pub(crate) fn check_again(&mut self) -> Result<(), Ending> {
        self.prepare()?;
        self.check_next()
    }

    fn prepare(&mut self) -> Result<(), Ending> {
        self.data.catch_up()?;
        for plan in self.behaviour.plans.clone() {
            // those that are in the past have had their turn
            let _ = self.data.state.schedule(plan);
        }
        Ok(())
    }

    /// Executes the block that was saved and not executed, if there is one.
    pub(crate) fn replay(&mut self) -> Result<(), Ending> {
        let saved = self.data.height();
        if self.data.state.height >= saved {
            return Ok(());
        }
        let begin = self.begin(saved);
        self.execute(saved, &begin)
    }

    fn check_next(&self) -> Result<(), Ending> {
        let next = self.data.height() + 1;
        match self.begin(next) {
            Begin::Refuse(refusal @ (Refusal::TooEarly(_) | Refusal::TooOld { .. })) => {
                log::error(&refusal.to_string(), &[]);
                self.record_halt(&refusal, next);
                Err(Ending::new(1, format!("Error: {refusal}")))
            }
            _ => Ok(()),
        }
    }

    /// What the outside may know.
    pub(crate) fn view(&self) -> View {
        View {
            tip: self.data.tip.clone().unwrap_or_default(),
            base: self.data.base(),
            app: self.data.state.clone(),
            halted: None,
        }
    }

    pub(crate) fn obey(&mut self, command: Command, view: &SharedView) {
        // an asker that has gone away is no concern of ours
        match command {
            Command::Schedule(plan, answer) => {
                let done = self.data.state.schedule(plan);
                look(view).app = self.data.state.clone();
                let _ = answer.send(done);
            }
            Command::Cancel(answer) => {
                let plan = self.data.state.plan().cloned();
                self.data
                    .state
                    .plans
                    .retain(|known| Some(known) != plan.as_ref());
                look(view).app = self.data.state.clone();
                let _ = answer.send(plan);
            }
            Command::Block(height, answer) => {
                let block = self.data.block(height).unwrap_or_else(|error| {
                    log::error("cannot read block", &[("height", &height), ("err", &error)]);
                    None
                });
                let _ = answer.send(block);
            }
            Command::Snapshot(target, answer) => {
                let height = self.data.height();
                let _ = answer.send(snapshot::write(self.data.dir(), &target, height));
            }
            Command::Stop(_) => unreachable!("the loop ends on it"),
        }
    }

    /// Makes one block; the answer is why consensus stops here, if it does.
    pub(crate) fn make_block(&mut self, view: &SharedView) -> Result<Option<String>, Ending> {
        let height = self.data.height() + 1;
        if self.behaviour.fail_at == Some(height) {
            self.home.count_failure();
            let message = format!("panic: mock failure at height {height}");
            return Err(Ending::new(self.behaviour.fail_code, message));
        }
        let now = jiff::Timestamp::now().to_string();
        let block = self.data.save_block(&now, self.behaviour.block_size)?;
        {
            let mut view = look(view);
            view.tip = block;
            view.base = self.data.base();
        }
        if self.halts_before(height) {
            let refusal = self.halt_refusal();
            self.record_halt(&refusal, height);
            return Ok(Some(refusal.to_string()));
        }
        match self.begin(height) {
            Begin::Refuse(refusal @ Refusal::Needed(_)) => {
                if self.behaviour.halt_style == HaltStyle::Handshake {
                    die();
                }
                self.tell_plan(&refusal, height)?;
                match self.behaviour.halt_style {
                    HaltStyle::BlockSync => Err(Ending::new(
                        2,
                        format!(
                            "panic: Failed to process committed block ({height}:{}): {refusal}\n\n\
                             goroutine 1 [running]:",
                            look(view).tip.hash()
                        ),
                    )),
                    _ => Ok(Some(refusal.to_string())),
                }
            }
            Begin::Refuse(refusal) => {
                log::error(&refusal.to_string(), &[]);
                self.record_halt(&refusal, height);
                Err(Ending::new(1, format!("Error: {refusal}")))
            }
            begin => {
                self.execute(height, &begin)?;
                look(view).app = self.data.state.clone();
                self.halt_after(height);
                Ok(None)
            }
        }
    }

    fn begin(&self, height: u64) -> Begin {
        let skips = &self.behaviour.skip_heights;
        self.data.state.begin_block(height, &self.version, skips)
    }

    /// Executes and commits the block at `height`.
    fn execute(&mut self, height: u64, begin: &Begin) -> Result<(), Ending> {
        match begin {
            Begin::Apply(plan) => self.migrate(plan, height)?,
            Begin::Skip(Plan { name, info, .. }) => {
                log::info(
                    &format!("UPGRADE \"{name}\" SKIPPED at {height}: {info}"),
                    &[],
                );
                self.home.record(
                    &self.version,
                    "skipped",
                    json!({"plan": name, "height": height}),
                );
            }
            Begin::Execute | Begin::Refuse(_) => {}
        }
        self.data.commit(self.data.state.after(height, begin))?;
        log::info(
            "committed state",
            &[("height", &height), ("module", &"state")],
        );
        Ok(())
    }

    /// Some applications add new stores only if upgrade-info.json tells them of the upgrade.
    fn check_store_upgrades(&self, plan: &Plan, height: u64) -> Result<(), Ending> {
        if !self.behaviour.store_upgrades {
            return Ok(());
        }
        let path = plan_file::path(self.data.dir());
        let refuse = |what: String| {
            Err(Ending::new(
                1,
                format!(
                    "Error: failed to load latest version: store version mismatch: new stores \
                     of upgrade {} cannot be added: {} {what}",
                    plan.name,
                    path.display()
                ),
            ))
        };
        match plan_file::read(self.data.dir()) {
            Ok(Some((name, at))) if name == plan.name && at == height => Ok(()),
            Ok(Some((name, at))) => refuse(format!("is for {name} at height {at}")),
            Ok(None) => refuse("is missing".into()),
            Err(error) => refuse(error.to_string()),
        }
    }

    fn migrate(&mut self, plan: &Plan, height: u64) -> Result<(), Ending> {
        self.check_store_upgrades(plan, height)?;
        let Plan { name, .. } = plan;
        log::info(
            &format!("applying upgrade \"{name}\" at height: {height}"),
            &[],
        );
        thread::sleep(self.behaviour.upgrade_time);
        self.home.record(
            &self.version,
            "applied",
            json!({"plan": name, "height": height}),
        );
        Ok(())
    }

    /// Writes upgrade-info.json, then says that the upgrade is needed, in this order.
    fn tell_plan(&self, refusal: &Refusal, height: u64) -> Result<(), Ending> {
        if let Refusal::Needed(plan) = refusal {
            let (shape, pause) = (self.behaviour.plan_shape, self.behaviour.plan_pause);
            plan_file::write(self.data.dir(), plan, height, shape, pause).map_err(|error| {
                let path = plan_file::path(self.data.dir());
                let what = "unable to write upgrade info to filesystem";
                Ending::new(1, format!("Error: {what}: {}: {error}", path.display()))
            })?;
        }
        log::error(&refusal.to_string(), &[]);
        self.record_halt(refusal, height);
        Ok(())
    }

    fn record_halt(&self, refusal: &Refusal, height: u64) {
        let details = json!({"height": height, "why": refusal.to_string()});
        self.home.record(&self.version, "halt", details);
    }

    /// SDK 0.50 and later stop before executing the halt height.
    fn halts_before(&self, height: u64) -> bool {
        let Behaviour {
            halt_height,
            halt_height_style,
            ..
        } = &self.behaviour;
        *halt_height_style == Style::New && halt_height.is_some_and(|halt| height >= halt)
    }

    fn halt_refusal(&self) -> Refusal {
        Refusal::HaltHeight(self.behaviour.halt_height.unwrap_or(0))
    }

    /// SDK 0.47 and earlier send themselves INT and TERM after committing the halt height.
    fn halt_after(&self, height: u64) {
        let Behaviour {
            halt_height,
            halt_height_style,
            ..
        } = &self.behaviour;
        if *halt_height_style == Style::Old && halt_height.is_some_and(|halt| height >= halt) {
            log::info(
                "halting node per configuration",
                &[("height", &height), ("time", &0)],
            );
            let me = rustix::process::getpid();
            for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
                // signalling oneself cannot fail
                let _ = rustix::process::kill_process(me, signal);
            }
        }
    }
}

/// Ends as by a power cut: nothing is flushed, nothing is said.
pub(crate) fn die() -> ! {
    let me = rustix::process::getpid();
    let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    loop {
        thread::park();
    }
}
