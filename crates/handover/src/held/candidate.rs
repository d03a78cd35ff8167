//! A successor for supervisors that start and reap their processes themselves.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::channel::Channel;
use crate::control::{self, ControlError, Introduction, Progress};
use crate::launch::{self, HELD, Starter};
use crate::report::Report;

/// A successor that a supervisor is about to start, with one end of its channel to the generation that serves.
///
/// What [`Holder`](crate::Holder) does for those that want no more than to hold a server. A supervisor with ways of its own to start, watch
/// and reap processes prepares the command with this, starts it as it starts any other, and introduces it:
///
/// ```no_run
/// use std::path::Path;
/// use std::process::Command;
/// use baton_handover::{Candidate, Introducing};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut command = Command::new("/usr/local/bin/web-2.0");
/// let candidate = Candidate::prepare(&mut command)?;
/// let child = command.spawn()?;
/// // The command holds a copy of the successor's end: whoever waits for the channel to close would wait for ever.
/// drop(command);
/// let report = candidate.introduce(Path::new("/run/web"), child.id(), Introducing::default(), |_| {}).await?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
///
/// Whatever comes of it, the process is the supervisor's: a candidate that does not take over ends by itself, as a rule, and is to be
/// ended if it does not.
#[derive(Debug)]
pub struct Candidate {
    predecessors: OwnedFd,
    nonce: String,
}

/// How a candidate is introduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Introducing {
    /// How long it may take until it is warm.
    pub timeout: Duration,
    /// Take everything back just before the commit.
    pub dry_run: bool,
}

impl Default for Introducing {
    fn default() -> Self {
        Self {
            timeout: super::TIMEOUT,
            dry_run: false,
        }
    }
}

impl Candidate {
    /// Makes the command's process one that finds its channel, and knows that it is held. The command may be started once.
    pub fn prepare(command: &mut Command) -> io::Result<Self> {
        let nonce = launch::nonce()?;
        let (predecessors, own) = Channel::pair().map_err(io::Error::other)?;
        command.env(HELD, "1");
        launch::arrange(command, own, &nonce, Starter::Supervisor);
        Ok(Self {
            predecessors,
            nonce,
        })
    }

    /// Introduces the process that was started to the generation that serves in the control directory, and waits for the end. A handover
    /// that failed is a report as well; see its outcome.
    pub async fn introduce(
        self,
        control_dir: &Path,
        pid: u32,
        terms: Introducing,
        progress: impl FnMut(Progress),
    ) -> Result<Report, ControlError> {
        let introduction = Introduction {
            pid,
            nonce: self.nonce,
            timeout: Some(terms.timeout),
            dry_run: terms.dry_run,
        };
        // Ours is closed at the end: a copy that stayed here would hide the predecessor's end from the successor.
        control::introduce(
            control_dir,
            introduction,
            self.predecessors.as_fd(),
            progress,
        )
        .await
    }
}
