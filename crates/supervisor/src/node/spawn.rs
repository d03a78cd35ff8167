//! Starting a node.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};
use tokio::process::{Child, Command};

use crate::config::go_text::io_error;
use crate::life::{Ended, Signal};

/// How long a binary may be "busy", which it is while another process still writes it.
const TEXT_BUSY: Duration = Duration::from_secs(2);

/// A started node.
#[derive(Debug)]
pub struct Node {
    child: Child,
    pid: i32,
}

/// Starts the binary in a process group of its own, with our standard streams.
pub async fn start(bin: &Path, args: &[OsString], directory: &Path) -> io::Result<Node> {
    let begun = Instant::now();
    loop {
        let mut command = Command::new(bin);
        command
            .args(args)
            .current_dir(directory)
            .process_group(0)
            .kill_on_drop(false);
        match command.spawn() {
            Ok(child) => {
                let pid = child
                    .id()
                    .and_then(|pid| i32::try_from(pid).ok())
                    .ok_or_else(|| io::Error::other("the child has no process number"))?;
                return Ok(Node { child, pid });
            }
            Err(e)
                if e.kind() == io::ErrorKind::ExecutableFileBusy && begun.elapsed() < TEXT_BUSY =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(e) => return Err(e),
        }
    }
}

impl Node {
    /// Its process, which also names its group.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for its end. May be dropped and called again.
    pub async fn ended(&mut self) -> Ended {
        match self.child.wait().await {
            Ok(status) => how(status),
            // Somebody else collected it; that it is gone is certain, how it ended is not.
            Err(_) => Ended::Code(1),
        }
    }

    /// Sends it a signal. A node that is already gone is not an error.
    pub fn send(&self, signal: Signal) {
        send(self.pid, signal);
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

fn system(signal: Signal) -> rustix::process::Signal {
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
