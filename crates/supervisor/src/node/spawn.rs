//! Starting a node.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use baton_handover::Candidate;
use rustix::process::{Pid, kill_process};
use tokio::process::{Child, Command};

use super::found::Found;
use super::identity;
use crate::config::go_text::io_error;
use crate::life::{Ended, Signal};

/// How long a binary may be "busy", which it is while another process still writes it.
const TEXT_BUSY: Duration = Duration::from_secs(2);

/// A process of the node: one that was started here, or one that was found running.
#[derive(Debug)]
pub struct Node {
    process: Process,
    pid: i32,
    group: i32,
    /// It was asked to end.
    asked: bool,
}

#[derive(Debug)]
enum Process {
    Child(Box<Child>),
    Found(Found),
}

/// What is run, and with what beside the supervisor's own environment.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// The binary.
    pub bin: &'a Path,
    /// Its arguments.
    pub args: &'a [OsString],
    /// Its working directory.
    pub directory: &'a Path,
    /// Where it may show that it can hand over to the next process.
    pub control_dir: Option<&'a Path>,
}

/// Tells a process where it may show that it can hand over to the next one.
pub const CONTROL_DIR: &str = "BATON_CONTROL_DIR";
/// Tells it that the main process is another's.
const HELD: &str = "BATON_HELD";

impl Program<'_> {
    /// In a process group of its own, with our standard streams.
    fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(self.bin);
        command
            .args(self.args)
            .current_dir(self.directory)
            .process_group(0);
        if let Some(directory) = self.control_dir {
            command.env(CONTROL_DIR, directory).env(HELD, "1");
        }
        command
    }

    /// Starts it.
    pub async fn start(&self) -> io::Result<Node> {
        started(|| Ok((spawned(self.command())?, ())))
            .await
            .map(|(node, ())| node)
    }

    /// Starts it as one that is to take over from the node that runs.
    pub async fn start_candidate(&self) -> io::Result<(Node, Candidate)> {
        started(|| {
            let mut command = self.command();
            let candidate = Candidate::prepare(&mut command)?;
            Ok((spawned(command)?, candidate))
        })
        .await
    }
}

fn spawned(command: std::process::Command) -> io::Result<Node> {
    let mut command = Command::from(command);
    command.kill_on_drop(false);
    let child = command.spawn()?;
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .ok_or_else(|| io::Error::other("the child has no process number"))?;
    Ok(Node {
        process: Process::Child(Box::new(child)),
        pid,
        group: pid,
        asked: false,
    })
}

/// Tries again for a while if the binary is "busy".
async fn started<T>(start: impl Fn() -> io::Result<(Node, T)>) -> io::Result<(Node, T)> {
    let begun = Instant::now();
    loop {
        match start() {
            Err(e)
                if e.kind() == io::ErrorKind::ExecutableFileBusy && begun.elapsed() < TEXT_BUSY =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

impl Node {
    /// Follows a process that runs already and is not known to be our child.
    pub fn found(pid: i32) -> io::Result<Self> {
        let found = Found::follow(pid)?;
        // Asked after the process is held, so that it is that process's group.
        let group = identity::stat(pid).map_or(pid, |stat| stat.group);
        Ok(Self {
            process: Process::Found(found),
            pid,
            group,
            asked: false,
        })
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The process group that it is in.
    pub fn group(&self) -> i32 {
        self.group
    }

    /// Waits for its end. May be dropped and called again.
    pub async fn ended(&mut self) -> Ended {
        let status = match &mut self.process {
            Process::Child(child) => child.wait().await.ok(),
            Process::Found(found) => found.ended().await,
        };
        match status {
            Some(status) => how(status),
            // Not our child, or somebody else collected it: that it is gone is certain, how it ended is not. One that
            // was asked to end is taken to have done as it was asked.
            None if self.asked => Ended::Code(0),
            None => Ended::Code(1),
        }
    }

    /// Sends it a signal. A node that is already gone is not an error.
    pub fn send(&mut self, signal: Signal) {
        self.asked |= signal.stops();
        match &self.process {
            Process::Child(_) => send(self.pid, signal),
            Process::Found(found) => found.send(system(signal)),
        }
    }
}

/// Sends a signal to a process. One that is already gone is not an error.
pub fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, system(signal));
    }
}

/// How a process ended.
pub fn how(status: ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Code(1),
    }
}

/// The signal's number on this system.
pub fn number(signal: Signal) -> i32 {
    system(signal).as_raw()
}

pub(crate) fn system(signal: Signal) -> rustix::process::Signal {
    use rustix::process::Signal as S;
    match signal {
        Signal::Term => S::TERM,
        Signal::Int => S::INT,
        Signal::Quit => S::QUIT,
        Signal::Hup => S::HUP,
        Signal::Usr1 => S::USR1,
        Signal::Usr2 => S::USR2,
        Signal::Winch => S::WINCH,
        Signal::Kill => S::KILL,
    }
}

/// Where a release's binary lies, with the links to the release followed but not the binary itself,
/// as upstream shows it; as it was given if that cannot be told.
pub fn real_path(bin: &Path) -> PathBuf {
    let mut below = bin.components().rev();
    let (name, dir) = (below.next(), below.next());
    let release = bin.ancestors().nth(2).map(std::fs::canonicalize);
    match (release, dir, name) {
        (Some(Ok(release)), Some(dir), Some(name)) => release.join(dir).join(name),
        _ => bin.to_owned(),
    }
}

/// What is said of a binary that the system does not start, as upstream says it.
pub fn refused(bin: &Path, args: &[String], error: &io::Error) -> String {
    let (bin, error) = (bin.display(), io_error(error));
    format!(
        "launching process {bin} {} failed: fork/exec {bin}: {error}",
        args.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_to_a_release_are_followed_and_a_linked_binary_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("genesis/bin")).unwrap();
        symlink("genesis", root.join("current")).unwrap();
        symlink("/bin/sh", root.join("genesis/bin/noded")).unwrap();
        assert_eq!(
            real_path(&root.join("current/bin/noded")),
            root.join("genesis/bin/noded")
        );
        let nowhere = root.join("gone/bin/noded");
        assert_eq!(real_path(&nowhere), nowhere);
    }
}
