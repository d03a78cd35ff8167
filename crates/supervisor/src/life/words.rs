//! What a life is told, and what it asks for.

use std::time::Duration;

use crate::config::RestartPolicy;
use crate::plan::Plan;
use crate::upgrade::{self, Journal, Step, Way};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A signal that concerns the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Ask it to end.
    Term,
    /// Ask it to end, from a terminal.
    Int,
    /// Ask it to end, with a dump.
    Quit,
    /// Whatever the node does with it.
    Hup,
    /// Whatever the node does with it.
    Usr1,
    /// Whatever the node does with it.
    Usr2,
    /// The terminal has another size.
    Winch,
    /// End it.
    Kill,
}

/// What the driver is asked to wake the machine for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The node has had its time to end.
    Grace,
    /// `DAEMON_RESTART_DELAY` between the end of the node and the upgrade.
    Delay,
    /// The wait before a restart.
    BackOff,
    /// [`OUTLIVED`](super::OUTLIVED).
    Outlived,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The supervisor has begun; an interrupted upgrade is in the journal.
    Begin(Option<Box<Journal>>),
    /// The journal asked for is open and on disk.
    Opened(Box<Journal>),
    /// The journal cannot be written.
    NotRecorded(String),
    /// With the node down, a plan was found due or not.
    Judged(Option<Plan>),
    /// With the node up, a plan was found due.
    Due(Plan),
    /// The same, and the node can hand over to the next process.
    DueForRelay(Plan),
    /// The supervisor has begun and found a node that serves; an interrupted upgrade is in the journal.
    Found {
        /// The upgrade.
        journal: Option<Box<Journal>>,
        /// The node is of the release that the upgrade leads to.
        is_new: bool,
    },
    /// The operator wants another process, now.
    Reload(Way),
    /// The operator wants an upgrade to be tried again that failed while the node goes on answering.
    Retry(Way),
    /// Another process has taken over and serves.
    Replaced {
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// Another process was to take over; the one that serves goes on.
    Kept(String),
    /// The node was started.
    Spawned,
    /// The node could not be started.
    SpawnFailed(String),
    /// The node ended.
    Ended(Ended),
    /// No process of the node is left.
    GroupGone,
    /// A process of the node cannot be ended.
    GroupStuck(String),
    /// The supervisor got a signal.
    Signal(Signal),
    /// A timer ran out.
    Timer(Timer),
    /// The upgrade's step is done.
    StepDone {
        /// How long it took, in milliseconds.
        took_ms: u64,
        /// Whether there was anything to do.
        changed: bool,
    },
    /// The upgrade's step failed.
    StepFailed(String),
    /// The chain was seen at this height.
    Height(u64),
}

/// The moment of an event, by two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the supervisor began; never goes back.
    pub mono: Duration,
    /// Seconds since 1970; may jump.
    pub wall_s: i64,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Decide whether a plan is due with the node down; answer [`Event::Judged`].
    Judge {
        /// How the node ended, and how long it lived; `None` before the first start.
        ended: Option<(Ended, Duration)>,
    },
    /// Start the current release.
    Spawn,
    /// Start a process that takes over from the one that serves; answer with `Replaced` or `Kept`.
    Replace(Purpose),
    /// Send a signal to the node.
    Send(Signal),
    /// End what is left of the node's processes; answer [`Event::GroupGone`].
    ClearGroup {
        /// How long they have before they are killed.
        grace: Duration,
    },
    /// Wake the machine later.
    Arm(Timer, Duration),
    /// No longer.
    Disarm(Timer),
    /// Begin the journal of an upgrade to this plan; answer [`Event::Opened`].
    OpenJournal(Plan),
    /// Write this journal, durably, before anything that follows.
    Record(Box<Journal>),
    /// Perform a step of the upgrade; answer with `StepDone` or `StepFailed`.
    Perform(Step),
    /// Break off the step under way.
    Cancel,
    /// Tell that the upgrade is confirmed.
    Confirmed(Box<Journal>),
    /// Tell that the upgrade was rolled back.
    RolledBack(Box<Journal>),
    /// Tell that the node is started again later.
    Restarting {
        /// After this time.
        after: Duration,
        /// The how-manieth time in a row.
        attempt: u32,
    },
    /// The supervisor ends.
    Exit(Exit),
}

/// What another process takes over for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The operator asked for it.
    Reload,
    /// An upgrade.
    Upgrade,
}

/// How the supervisor ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The node ended, and the supervisor with it.
    Node(Ended),
    /// The operator stopped the supervisor while no node ran.
    Stopped,
    /// The upgrade is made, and the operator starts the node himself.
    LeftDown,
    /// A step of an upgrade failed.
    UpgradeFailed {
        /// Which.
        step: Step,
        /// Why.
        error: String,
    },
    /// The journal of an upgrade cannot be written.
    NotRecorded(String),
    /// The node could not be started.
    CannotStart(String),
    /// The node crashed too often.
    CrashLoop(Ended),
    /// Processes of the node cannot be ended.
    Stuck(String),
}

/// What the operator configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long the node has to end.
    pub grace: Duration,
    /// How long to wait between the end of the node and the upgrade.
    pub delay: Duration,
    /// When to start an ended node again.
    pub restart: RestartPolicy,
    /// How upgrades are made.
    pub upgrade: upgrade::Policy,
}

impl Signal {
    /// The operator wants the node to end.
    pub fn stops(self) -> bool {
        matches!(self, Self::Term | Self::Int | Self::Quit)
    }

    /// Its name, as `kill -l` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Hup => "SIGHUP",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Winch => "SIGWINCH",
            Self::Kill => "SIGKILL",
        }
    }
}

impl Ended {
    /// As Go's `ExitError` says it, which is what upstream prints.
    pub fn text(self) -> String {
        match self {
            Self::Code(code) => format!("exit status {code}"),
            Self::Signal(signal) => format!("signal: {}", signal_name(signal)),
        }
    }

    /// As a shell tells it: the code, or 128 and the signal.
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// A signal in the words of Go's `syscall.Signal.String` on Linux.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
