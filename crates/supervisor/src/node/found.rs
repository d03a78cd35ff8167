//! A process that runs already: left by a supervisor that was killed, or started by the node itself.
//!
//! It is held by a pidfd, so that its number can be given to another process without harm. It may be our child all the same: orphans
//! become children of the supervisor; then it is collected here, and how it ended is known.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use baton_handover::Life;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, waitpid};

/// A process that is followed.
#[derive(Debug)]
pub(super) struct Found {
    pid: Option<Pid>,
    life: Life,
    end: End,
}

/// It can be collected once only.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It runs, or nobody has looked.
    NotSeen,
    /// How it ended, if it was our child.
    Seen(Option<ExitStatus>),
}

impl Found {
    /// Holds on to the process with this number.
    pub(super) fn follow(pid: i32) -> io::Result<Self> {
        Ok(Self {
            pid: Pid::from_raw(pid),
            life: Life::of(pid.unsigned_abs())?,
            end: End::NotSeen,
        })
    }

    /// Waits for its end; how it ended, if it was our child. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        if let End::Seen(how) = self.end {
            return how;
        }
        self.life.ended().await;
        let how = self.collected();
        self.end = End::Seen(how);
        how
    }

    /// Its number is not given to another before it is collected, and one that is not our child is refused.
    fn collected(&self) -> Option<ExitStatus> {
        loop {
            match waitpid(self.pid, WaitOptions::NOHANG) {
                Err(Errno::INTR) => {}
                Ok(Some((_, status))) => return Some(ExitStatus::from_raw(status.as_raw())),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Sends it a signal. A process that is already gone is not an error.
    pub(super) fn send(&self, signal: Signal) {
        let _ = self.life.signal(signal.as_raw());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(
        clippy::zombie_processes,
        reason = "that it is collected here is what it is about"
    )]
    async fn a_child_is_collected_and_its_end_is_known() {
        for (script, code, signal) in [("exit 7", Some(7), None), ("kill -9 $$", None, Some(9))] {
            let child = std::process::Command::new("sh")
                .args(["-c", script])
                .spawn()
                .unwrap();
            let mut found = Found::follow(child.id().cast_signed()).unwrap();
            let status = found.ended().await.expect("our child");
            assert_eq!((status.code(), status.signal()), (code, signal));
            assert_eq!(found.ended().await, Some(status), "asked again");
        }
    }

    #[tokio::test]
    async fn of_a_stranger_only_the_end_is_known() {
        let mut between = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = between.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        let mut found = Found::follow(line.trim().parse().unwrap()).unwrap();
        found.send(Signal::TERM);
        assert_eq!(found.ended().await, None);
        between.wait().unwrap();
    }
}
