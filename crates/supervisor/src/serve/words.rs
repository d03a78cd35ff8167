//! What the machine is told, and what it asks for.

use std::time::Duration;

use serde::Serialize;

use crate::config::RestartPolicy;
use crate::life::{Ended, Signal};

/// A process in the line of those that serve: 1 is the first that was started.
pub type Generation = u64;

/// What the operator configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Settings {
    /// What asks a process to end.
    pub stop_signal: Signal,
    /// How long it has for that before it is killed.
    pub grace: Duration,
    /// How long a new process may take until it is ready.
    pub ready_within: Duration,
    /// When to start a server again that ended by itself.
    pub restart: RestartPolicy,
}

/// What the driver is asked to wake the machine for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The process has had its time to become ready.
    Ready(Generation),
    /// The process has had its time to end.
    Grace(Generation),
    /// The wait before a restart.
    BackOff,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The sockets are there.
    Begin,
    /// The process is ready to serve.
    Ready(Generation),
    /// The process could not be started.
    NotStarted(Generation, String),
    /// The process ended.
    Ended(Generation, Ended),
    /// An operator wants another process in its place.
    Reload,
    /// A signal came that is not for us alone.
    Signal(Signal),
    /// A timer ran out.
    Timer(Timer),
}

/// Why a process does not serve, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Why {
    /// The system did not start it.
    NotStarted(String),
    /// It ended by itself.
    Ended(Ended),
    /// It was not ready in time.
    Late,
    /// Baton was asked to end meanwhile.
    Stopped,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a process with the sockets, and watch for its being ready; answer `NotStarted` if that fails.
    Start(Generation),
    /// Send it a signal. It may have ended.
    Send(Generation, Signal),
    /// Wake the machine later.
    Arm(Timer, Duration),
    /// No longer.
    Disarm(Timer),
    /// From now on this one serves.
    Serves(Generation),
    /// The reload that was asked for is done.
    Reloaded(Generation),
    /// The reload that was asked for came to nothing.
    NotReloaded {
        /// The process that was to serve.
        generation: Generation,
        /// Why it does not.
        why: Why,
        /// Who serves on, if anybody does.
        serves: Option<Generation>,
    },
    /// There can be no reload now.
    Refused(&'static str),
    /// The server has gone.
    Lost {
        /// Which process it was.
        generation: Generation,
        /// Why.
        why: Why,
    },
    /// Another process is started after this time.
    Restarting {
        /// The wait.
        after: Duration,
        /// The how-manieth crash of late.
        crash: u32,
    },
    /// The supervisor ends. Nobody lives any more.
    Exit(Exit),
}

/// How serving ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Exit {
    /// The server ended, asked to or not, and is not to be started again.
    Server(Ended),
    /// It was stopped while nothing served.
    Stopped,
    /// The first process never became ready.
    NeverReady(Why),
    /// It ended too often.
    CrashLoop(Why),
}

impl Exit {
    /// The exit code to end with: the server's, as a shell tells it.
    pub fn code(&self) -> i32 {
        match self {
            Self::Stopped => 0,
            Self::Server(ended) | Self::NeverReady(Why::Ended(ended)) => ended.shell_code(),
            // That it ended is wrong, whatever it ended with.
            Self::CrashLoop(Why::Ended(ended)) => ended.shell_code().max(1),
            Self::NeverReady(_) | Self::CrashLoop(_) => 1,
        }
    }
}

/// How things stand, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A process was started, and nobody serves beside it.
    Starting,
    /// A process serves.
    Serving,
    /// A process serves, and the next one is being started.
    Reloading,
    /// Nobody serves until the wait is over.
    BackingOff,
    /// All are asked to end.
    Stopping,
    /// All have ended.
    Over,
}
