//! Any server's sockets, held for it: it may die, be restarted or be replaced, and nobody is refused.
//!
//! The supervisor binds the sockets (or has them from systemd), starts the program with copies of them, and accepts nothing itself. While
//! no process accepts the kernel queues. A reload starts the next process beside the old one and lets the old one go only when the next is
//! ready; if it never is, nothing has changed.
//!
//! [`machine`] decides, `driver` does. What a process is lies in `process`; when it is ready, in [`ready`].

mod control;
mod driver;
mod holder;
mod http;
mod listen;
pub mod machine;
mod notes;
pub mod place;
mod process;
pub mod ready;
pub mod status;
pub mod words;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use baton_handover::foreign::Convention;
use tokio::sync::mpsc;
use tracing::{info, warn};

pub use control::{Answer, Client, ClientError};
pub use listen::{Listen, SocketError};
pub use ready::{READY_SOCKET, Ready};
pub use status::Status;
pub use words::{Exit, Settings, Why};

use crate::facts::ProcessId;
use crate::node::group;
use crate::node::lock::{self, LockError};
use crate::telling::{ControlError, Notifier};

/// The processes that were started, for the next supervisor of this state directory.
const PROCESSES: &str = "processes.json";

/// What is served, and how.
#[derive(Debug)]
pub struct Options {
    /// What it is called.
    pub name: String,
    /// Where its state is.
    pub directory: PathBuf,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// The sockets.
    pub listen: Vec<Listen>,
    /// How the program is told of them.
    pub convention: Convention,
    /// When a process is ready.
    pub ready: Ready,
    /// Times, signals, the restart policy.
    pub settings: Settings,
}

/// How it ended, and why if there is more to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub exit: Exit,
    /// In words.
    pub why: String,
}

/// Why serving does not even begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The state directory cannot be made.
    #[error(
        "making the state directory {}: {source}; give another one with --state-dir",
        path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Its sockets' paths would be too long for the kernel.
    #[error(
        "the state directory {} has too long a path for Unix sockets (at most {limit} bytes); give a shorter one with --state-dir",
        path.display()
    )]
    TooLong {
        /// The directory.
        path: PathBuf,
        /// How many bytes it may have.
        limit: usize,
    },
    /// Another one serves under this name.
    #[error(
        "{name} is served already{}, with its state in {}; see `baton serve status --name {name}`, or take another --name",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), directory.display()
    )]
    Served {
        /// The name.
        name: String,
        /// The other one.
        pid: Option<u32>,
        /// The state directory.
        directory: PathBuf,
    },
    /// The lock file cannot be made.
    #[error("taking the lock {}: {source}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A process that a killed supervisor left behind cannot be ended.
    #[error("ending the server that was left running: {0}")]
    Orphan(String),
    /// A socket cannot be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The control socket cannot be had.
    #[error("the control socket: {0}")]
    Control(#[from] ControlError),
    /// Signals cannot be listened for.
    #[error("listening for signals: {0}")]
    Signals(#[source] io::Error),
}

/// Holds the sockets and keeps a process of the program on them, until it ends for good or the operator ends it.
pub async fn serve(options: Options) -> Result<Ending, ServeError> {
    let directory = options.directory.clone();
    place::make(&directory)?;
    let _lock = lock::take(&directory).map_err(|error| match error {
        LockError::Held { pid, .. } => ServeError::Served {
            name: options.name.clone(),
            pid,
            directory: directory.clone(),
        },
        LockError::Io { path, source } => ServeError::Lock { path, source },
    })?;
    end_leftovers(&options).await?;
    let sockets = listen::obtain(&options.listen)?;
    for socket in &sockets {
        let address = &socket.description().address;
        let from = if socket.is_activated() {
            "the service manager"
        } else {
            "here"
        };
        info!(name = socket.name(), %address, bound = from, "listening");
    }
    let (asks, asked) = mpsc::channel(16);
    let control = control::start(&directory, asks)?;
    let driver = driver::Driver::new(options, sockets, Notifier::from_env());
    let ending = driver.run(asked).await.map_err(ServeError::Signals);
    control.end().await;
    ending
}

/// A supervisor that was killed cannot end its server, which then holds the addresses.
async fn end_leftovers(options: &Options) -> Result<(), ServeError> {
    let file = options.directory.join(PROCESSES);
    let left: Vec<ProcessId> = std::fs::read(file)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    for process in left {
        if crate::node::identity::is_alive(&process) {
            warn!(
                pid = process.pid,
                "a server was left running by a supervisor that was killed; ending it first"
            );
        }
        group::end_orphan(&process, options.settings.grace)
            .await
            .map_err(ServeError::Orphan)?;
    }
    Ok(())
}

/// Remembers the processes for the next supervisor. Without it that one has to be helped by hand.
fn remember(directory: &std::path::Path, processes: &[ProcessId]) {
    let written = serde_json::to_vec(processes)
        .map_err(io::Error::other)
        .and_then(|text| crate::files::write_quickly(&directory.join(PROCESSES), &text, 0o600));
    if let Err(error) = written {
        warn!(%error, directory = %directory.display(), "cannot write down which processes run");
    }
}
