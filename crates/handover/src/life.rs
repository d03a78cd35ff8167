//! Whether another process lives, from the kernel and not from a number that may be used again.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;

use crate::sys::{self, Registered};

/// A process that is watched through a pidfd: that very process, even if its number is given to another.
#[derive(Debug)]
pub struct Life {
    pidfd: Registered,
}

impl Life {
    /// Watches the process of this number, which must be known to live still (a child that was not waited for, a peer that has just spoken).
    pub fn of(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("no process has this number"))?;
        Self::new(pidfd_open(pid, PidfdFlags::empty())?)
    }

    /// Watches the process at the other end of a Unix socket.
    pub(crate) fn of_peer(socket: impl AsFd) -> io::Result<Self> {
        Self::new(sys::peer_pidfd(socket.as_fd())?)
    }

    fn new(pidfd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            pidfd: Registered::new(Arc::new(pidfd), Interest::READABLE)?,
        })
    }

    /// Waits until the process is gone. Cancel-safe.
    pub async fn ended(&self) {
        // A pidfd that cannot be waited for any more is no news of a death.
        if self.pidfd.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the process is gone.
    pub fn is_over(&self) -> bool {
        let mut poll = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(rustix::event::poll(&mut poll, Some(&now)), Ok(1..))
    }

    /// Ends the process at once; one that is gone already is no error.
    pub fn kill(&self) -> io::Result<()> {
        self.send(Signal::KILL)
    }

    /// Sends the process a signal, by its number; one that is gone already is no error.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        self.send(named(number)?)
    }

    fn send(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Sends a signal, by its number, to a process.
pub(crate) fn signal(pid: u32, number: i32) -> io::Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("no process has this number"))?;
    Ok(rustix::process::kill_process(pid, named(number)?)?)
}

fn named(number: i32) -> io::Result<Signal> {
    Signal::from_named_raw(number).ok_or_else(|| io::Error::other("no such signal"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_death_is_seen_and_brought_about() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let life = Life::of(child.id()).unwrap();
        let early = tokio::time::timeout(Duration::from_millis(1), life.ended()).await;
        assert!(early.is_err());
        assert!(!life.is_over());
        life.kill().unwrap();
        tokio::time::timeout(Duration::from_secs(10), life.ended())
            .await
            .unwrap();
        assert!(life.is_over());
        child.wait().unwrap();
        life.kill().unwrap();
    }
}
