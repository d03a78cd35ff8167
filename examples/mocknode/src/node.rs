//! The node's heart: it replays what a stop left half done, then makes a block now and then until
//! something ends it.
//!
//! Plain synchronous code on a thread of its own, so that waiting for a disk never delays an
//! answer; the servers look at a [`View`] of it and send it [`Command`]s.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::oneshot;

use crate::chain::{AppState, Begin, Plan, Refusal, Unschedulable};
use crate::data::{Block, Data, DataError};
use crate::home::Home;
use crate::log;
use crate::plan_file;
use crate::settings::{Behaviour, HaltStyle, Style};
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
        self.data.catch_up()?;
        for plan in self.behaviour.plans.clone() {
            // those that are in the past have had their turn
            let _ = self.data.state.schedule(plan);
        }
        let failed = |what: String| {
            let message = format!("Error: error during handshake: error on replay: {what}");
            Err(Ending::new(1, message))
        };
        let (saved, executed) = (self.data.height(), self.data.state.height);
        if executed < saved {
            log::info("replaying block", &[("height", &saved)]);
            if self.halts_before(saved) {
                return failed(self.halt_refusal().to_string());
            }
            match self.begin(saved) {
                Begin::Refuse(refusal @ Refusal::Needed(_)) => {
                    self.tell_plan(&refusal, saved)?;
                    return failed(refusal.to_string());
                }
                Begin::Refuse(refusal) => return failed(refusal.to_string()),
                begin => self.execute(saved, &begin)?,
            }
        }
        match self.begin(self.data.height() + 1) {
            Begin::Refuse(refusal @ (Refusal::TooEarly(_) | Refusal::TooOld { .. })) => {
                log::error(&refusal.to_string(), &[]);
                self.record_halt(&refusal, self.data.height() + 1);
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

    /// Makes blocks until it is stopped (`None`) or ends by itself.
    pub(crate) fn run(mut self, view: &SharedView, commands: &Receiver<Command>) -> Option<Ending> {
        let mut next = Instant::now() + self.behaviour.block_time;
        let mut halted = false;
        let ending = loop {
            let command = if halted {
                commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                commands.recv_timeout(next.saturating_duration_since(Instant::now()))
            };
            match command {
                Ok(Command::Stop(delay)) => {
                    thread::sleep(delay);
                    break None;
                }
                Err(RecvTimeoutError::Disconnected) => break None,
                Ok(command) => self.obey(command, view),
                Err(RecvTimeoutError::Timeout) => {
                    next = (next + self.behaviour.block_time).max(Instant::now());
                    match self.make_block(view) {
                        Ok(None) => {}
                        Ok(Some(why)) => {
                            log::error(
                                "CONSENSUS FAILURE!!!",
                                &[("err", &format!("failed to apply block; error {why}"))],
                            );
                            look(view).halted = Some(why);
                            halted = true;
                        }
                        Err(ending) => break Some(ending),
                    }
                }
            }
        };
        match (self.data.close(), ending) {
            (Err(error), None) => Some(error.into()),
            (_, ending) => ending,
        }
    }

    fn obey(&mut self, command: Command, view: &SharedView) {
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
            Command::Stop(_) => unreachable!("the loop ends on it"),
        }
    }

    /// Makes one block; the answer is why consensus stops here, if it does.
    fn make_block(&mut self, view: &SharedView) -> Result<Option<String>, Ending> {
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

    fn migrate(&mut self, plan: &Plan, height: u64) -> Result<(), Ending> {
        if self.behaviour.store_upgrades {
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
                Ok(Some((name, at))) if name == plan.name && at == height => {}
                Ok(Some((name, at))) => return refuse(format!("is for {name} at height {at}")),
                Ok(None) => return refuse("is missing".into()),
                Err(error) => return refuse(error.to_string()),
            }
        }
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
fn die() -> ! {
    let me = rustix::process::getpid();
    let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    loop {
        thread::park();
    }
}
