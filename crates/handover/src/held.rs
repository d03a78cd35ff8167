//! A supervisor that outlives the generations it starts.
//!
//! Where the main process must not change (process 1 of a container, the one child that an init system knows), it is better no generation
//! at all but a [`Holder`]: it starts each generation and introduces it to the one that serves. It has no listener and no connection,
//! only children: it reaps them, passes on signals, and ends with the last of them.
//!
//! The programs it starts need nothing for it but a control directory: they are told by the environment (`BATON_HELD=1`)
//! that the main process is another's, and find their channel as any successor does.

mod candidate;
mod family;

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};

pub use self::candidate::{Candidate, Introducing};
use self::family::Family;
use crate::control::{self, ControlError};
use crate::launch::{self, HELD, VARIABLE};
use crate::life;
use crate::report::{Outcome, Report};

/// How long a generation may take until it serves, unless the holder is told otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);

/// How long a process that is not needed may take to end by itself.
const DISMISSED: Duration = Duration::from_secs(2);

/// How soon to look again whether a generation serves. It gives no sign but in the control directory.
const LOOK: Duration = Duration::from_millis(10);

/// How long the generation that serves may take to say so when a signal waits to be passed on.
const WHOSE_TURN: Duration = Duration::from_secs(1);

/// How many signals may wait to be passed on; the kernel folds them as well.
const WAITING: usize = 16;

/// What a server is signalled on purpose.
const SIGNALS: [Signal; 7] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];

/// Those that tell every generation to end, the draining ones too.
const ENDING: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// Why a generation could not be started, or did not take over.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// One is being started already.
    #[error("a generation is being started already; wait until it serves or has failed")]
    Busy,
    /// The process could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its executable.
        program: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The process ended before it served.
    #[error("{program} (pid {pid}) ended before it served: {}; see its log", how(*status))]
    Ended {
        /// Its executable.
        program: String,
        /// Its process.
        pid: u32,
        /// How it ended, if it was not waited for elsewhere.
        status: Option<ExitStatus>,
    },
    /// The process did not serve in time, and was ended.
    #[error("{program} (pid {pid}) did not serve within {} s and was ended; see its log", limit.as_secs())]
    Late {
        /// Its executable.
        program: String,
        /// Its process.
        pid: u32,
        /// The holder's timeout.
        limit: Duration,
    },
    /// The handover failed; the generation before serves on, and the successor has ended.
    #[error("{}", .0.outcome)]
    Failed(Box<Report>),
    /// The generation that serves could not be asked, or would not; it serves on, and the successor has ended.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The successor serves, but its predecessor died before it could report.
    #[error("pid {pid} serves; but there is no report of the handover: {source}")]
    Unreported {
        /// The successor's process.
        pid: u32,
        /// How the predecessor was lost.
        source: ControlError,
    },
}

fn how(status: Option<ExitStatus>) -> String {
    status.map_or_else(
        || "nobody knows how".to_owned(),
        |status| status.to_string(),
    )
}

/// Starts generations, one after the other, and lives as long as they do. Cheap to clone.
///
/// As process 1 it reaps every orphan of its pid namespace; the program that uses it then must not wait for children of its own.
/// Dropping it ends nothing: who serves, serves on.
///
/// ```no_run
/// use std::process::Command;
/// use baton_handover::Holder;
///
/// # async fn hold() -> Result<(), Box<dyn std::error::Error>> {
/// let holder = Holder::new("/run/web")?;
/// holder.start(Command::new("/usr/local/bin/web")).await?;
/// let report = holder.replace(Command::new("/usr/local/bin/web-2.0")).await?;
/// println!("{report}");
/// let status = holder.ended().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Holder {
    directory: PathBuf,
    timeout: Duration,
    family: Arc<Family>,
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
}

impl Holder {
    /// A holder for the server that has this control directory. To be made within a tokio runtime.
    ///
    /// # Errors
    ///
    /// As process 1, if the deaths of children cannot be listened for.
    pub fn new(control_dir: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            directory: control_dir.into(),
            timeout: TIMEOUT,
            family: Family::new()?,
            one_at_a_time: Arc::default(),
        })
    }

    /// How long a generation may take until it serves, or is warm to take over; 60 s by default.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Starts a generation that has nobody to take over from, and answers its process once it serves. (Should a generation serve in the
    /// control directory that another holder left, it takes over from that one.)
    ///
    /// The command has to run the server itself, or to `exec` it: its process is the generation.
    pub async fn start(&self, mut command: Command) -> Result<u32, HolderError> {
        let _alone = self.alone()?;
        let program = name(&command);
        let late = Instant::now() + self.timeout;
        command.env_remove(VARIABLE).env(HELD, "1");
        launch::arrange_alone(&mut command);
        let pid = self.launch(command).await?;
        self.until_it_serves(pid, program, late).await?;
        info!(pid, "the first generation serves");
        Ok(pid)
    }

    /// Starts a successor and introduces it to the generation that serves. Answers when the successor serves, or has failed and ended.
    pub async fn replace(&self, mut command: Command) -> Result<Report, HolderError> {
        let _alone = self.alone()?;
        let program = name(&command);
        let late = Instant::now() + self.timeout;
        let candidate = Candidate::prepare(&mut command).map_err(|source| HolderError::Start {
            program: program.clone(),
            source,
        })?;
        let pid = self.launch(command).await?;
        let terms = Introducing {
            timeout: self.timeout,
            dry_run: false,
        };
        let reported = candidate
            .introduce(&self.directory, pid, terms, |_| {})
            .await;
        match reported {
            Ok(report) if report.outcome == Outcome::HandedOver => {
                self.family.serves(pid);
                Ok(report)
            }
            Ok(report) => {
                self.dismiss(pid).await;
                Err(HolderError::Failed(Box::new(report)))
            }
            // It died in the middle, so the successor may serve in its place; or did not answer, and may still hand over.
            Err(source @ (ControlError::Lost { .. } | ControlError::TimedOut { .. })) => {
                self.until_it_serves(pid, program, late).await?;
                Err(HolderError::Unreported { pid, source })
            }
            Err(source) => {
                self.dismiss(pid).await;
                Err(source.into())
            }
        }
    }

    /// The process that serves, as far as this holder knows.
    pub fn serving(&self) -> Option<u32> {
        self.family.serving()
    }

    /// Waits until no generation lives any more, and answers how the last one ended: `None` if there was none, or if it was not this
    /// process's child. A server that hands over by itself meanwhile, without the holder, is followed.
    pub async fn ended(&self) -> Option<ExitStatus> {
        loop {
            let last = self.family.all_ended().await;
            if self.follow().await.is_none() {
                return last;
            }
        }
    }

    /// Sends a signal, by its number, to the generation that serves.
    pub async fn signal(&self, number: i32) -> io::Result<()> {
        let serves = self.follow().await.or_else(|| self.serving());
        let pid = serves.ok_or_else(|| io::Error::other("nobody serves"))?;
        life::signal(pid, number)
    }

    /// Passes on what this process is signalled, TERM, INT and QUIT to all generations and HUP, USR1, USR2 and WINCH to the one that serves,
    /// leaving out those that the program takes itself. Goes on for as long as it is awaited.
    ///
    /// # Errors
    ///
    /// If a signal cannot be caught.
    pub async fn forward_signals(&self, except: &[i32]) -> io::Result<Infallible> {
        let (got, mut came) = mpsc::channel(WAITING);
        let mut listeners = JoinSet::new();
        for wanted in SIGNALS {
            if except.contains(&wanted.as_raw()) {
                continue;
            }
            let mut stream = signal(SignalKind::from_raw(wanted.as_raw()))?;
            let got = got.clone();
            listeners.spawn(async move {
                while stream.recv().await.is_some() {
                    let _ = got.try_send(wanted);
                }
            });
        }
        loop {
            let Some(signal) = came.recv().await else {
                // All were left out.
                std::future::pending::<()>().await;
                continue;
            };
            let number = signal.as_raw();
            let sent = if ENDING.contains(&signal) {
                self.follow().await;
                self.family.signal_all(number)
            } else {
                self.signal(number).await
            };
            match sent {
                Ok(()) => info!(signal = number, "passed on"),
                Err(error) => warn!(signal = number, %error, "a signal could not be passed on"),
            }
        }
    }

    fn alone(&self) -> Result<tokio::sync::OwnedMutexGuard<()>, HolderError> {
        Arc::clone(&self.one_at_a_time)
            .try_lock_owned()
            .map_err(|_| HolderError::Busy)
    }

    /// Starts a process and has the family watch it.
    async fn launch(&self, mut command: Command) -> Result<u32, HolderError> {
        let program = name(&command);
        self.family
            .start(move || command.spawn())
            .await
            .map_err(|source| HolderError::Start { program, source })
    }

    /// Waits until the control directory leads to this process.
    async fn until_it_serves(
        &self,
        pid: u32,
        program: String,
        late: Instant,
    ) -> Result<(), HolderError> {
        let begins = async {
            while self.whose_turn().await != Some(pid) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            biased;
            status = self.family.ended(pid) => Err(HolderError::Ended { program, pid, status }),
            served = timeout_at(late, begins) => {
                if served.is_ok() {
                    self.family.serves(pid);
                    return Ok(());
                }
                self.dismiss(pid).await;
                Err(HolderError::Late { program, pid, limit: self.timeout })
            }
        }
    }

    /// Waits for the end of a process that is not needed, and brings it about if need be.
    async fn dismiss(&self, pid: u32) {
        if timeout(DISMISSED, self.family.ended(pid)).await.is_err() {
            warn!(pid, "the successor does not end; killing it");
            if let Err(error) = life::signal(pid, Signal::KILL.as_raw()) {
                warn!(pid, %error, "cannot kill the successor");
            }
            self.family.ended(pid).await;
        }
    }

    /// The process that serves, which is known from now on whoever started it; `None` if nobody serves.
    async fn follow(&self) -> Option<u32> {
        let pid = self.whose_turn().await?;
        if !self.family.lives(pid) {
            self.family.adopt(pid).ok()?;
            info!(
                pid,
                "a generation that was not started here serves; following it"
            );
        }
        Some(pid)
    }

    /// The process that the control directory leads to.
    async fn whose_turn(&self) -> Option<u32> {
        whose_turn(&self.directory).await
    }
}

async fn whose_turn(directory: &Path) -> Option<u32> {
    let status = timeout(WHOSE_TURN, control::status(directory)).await;
    status.ok()?.ok().map(|status| status.pid)
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
