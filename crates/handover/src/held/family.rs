//! The processes that a holder has started: who lives, who serves, how the last one ended.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait, waitpid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::life::{self, Life};

/// How many ends are remembered for those who still ask.
const REMEMBERED: usize = 64;

#[derive(Debug, Default)]
struct Members {
    /// In the order of their start.
    living: Vec<u32>,
    /// The latest ends, the oldest first.
    ended: Vec<(u32, Option<ExitStatus>)>,
    serves: Option<u32>,
}

impl Members {
    fn bury(&mut self, pid: u32, status: Option<ExitStatus>) {
        let before = self.living.len();
        self.living.retain(|living| *living != pid);
        if self.living.len() == before {
            return;
        }
        if self.ended.len() == REMEMBERED {
            self.ended.remove(0);
        }
        self.ended.push((pid, status));
        if self.serves == Some(pid) {
            // An older one that still drains takes back; otherwise the next has begun to serve.
            self.serves = self.living.last().copied();
        }
    }
}

#[derive(Debug)]
pub(super) struct Family {
    members: watch::Sender<Members>,
    /// Held while a process is started: it must be known before it can be reaped, and std waits for one whose exec fails.
    starting: Arc<tokio::sync::Mutex<()>>,
    /// As process 1: reaps orphans.
    reaper: Mutex<Option<AbortHandle>>,
}

impl Drop for Family {
    fn drop(&mut self) {
        let reaper = self
            .reaper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(reaper) = reaper {
            reaper.abort();
        }
    }
}

impl Family {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let this = Arc::new(Self {
            members: watch::Sender::default(),
            starting: Arc::default(),
            reaper: Mutex::default(),
        });
        if std::process::id() == 1 {
            let deaths = signal(SignalKind::child())?;
            let reaper = tokio::spawn(reap_all(deaths, Arc::downgrade(&this)));
            let mut place = this.reaper.lock().unwrap_or_else(PoisonError::into_inner);
            *place = Some(reaper.abort_handle());
            drop(place);
        }
        Ok(this)
    }

    /// Starts a process on a thread that may block, and watches it from then on.
    pub(super) async fn start(
        self: &Arc<Self>,
        start: impl FnOnce() -> io::Result<Child> + Send + 'static,
    ) -> io::Result<u32> {
        let alone = Arc::clone(&self.starting).lock_owned().await;
        let started = tokio::task::spawn_blocking(start).await;
        let child = started.map_err(|_| io::Error::other("the attempt panicked"))??;
        let pid = child.id();
        let life = Life::of(pid)?;
        self.watch(pid, life);
        drop(alone);
        Ok(pid)
    }

    /// Watches a process that is no child, or was started by a child.
    pub(super) fn adopt(self: &Arc<Self>, pid: u32) -> io::Result<()> {
        let life = Life::of(pid)?;
        if life.is_over() || pid == std::process::id() {
            return Err(io::Error::other("it has ended"));
        }
        self.watch(pid, life);
        self.serves(pid);
        Ok(())
    }

    fn watch(self: &Arc<Self>, pid: u32, life: Life) {
        self.members.send_modify(|members| members.living.push(pid));
        let this = Arc::clone(self);
        tokio::spawn(async move {
            life.ended().await;
            let alone = this.starting.lock().await;
            // Reaped already, as process 1, it is not among the living any more.
            if this.lives(pid) {
                this.bury(pid, reap(pid));
            }
            drop(alone);
        });
    }

    fn bury(&self, pid: u32, status: Option<ExitStatus>) {
        debug!(pid, ?status, "a generation has ended");
        self.members
            .send_modify(|members| members.bury(pid, status));
    }

    pub(super) fn lives(&self, pid: u32) -> bool {
        self.members.borrow().living.contains(&pid)
    }

    pub(super) fn serves(&self, pid: u32) {
        self.members
            .send_modify(|members| members.serves = Some(pid));
    }

    pub(super) fn serving(&self) -> Option<u32> {
        self.members.borrow().serves
    }

    /// Waits for the end of one.
    pub(super) async fn ended(&self, pid: u32) -> Option<ExitStatus> {
        let mut members = self.members.subscribe();
        let members = members
            .wait_for(|members| !members.living.contains(&pid))
            .await
            .expect("the sender is this one's");
        let ended = members.ended.iter().rev().find(|(ended, _)| *ended == pid);
        ended.and_then(|(_, status)| *status)
    }

    /// Waits until nobody lives; how the last one ended.
    pub(super) async fn all_ended(&self) -> Option<ExitStatus> {
        let mut members = self.members.subscribe();
        let members = members
            .wait_for(|members| members.living.is_empty())
            .await
            .expect("the sender is this one's");
        members.ended.last().and_then(|(_, status)| *status)
    }

    /// Signals everybody; an error is the last one's.
    pub(super) fn signal_all(&self, number: i32) -> io::Result<()> {
        let living = self.members.borrow().living.clone();
        let mut sent = Ok(());
        for pid in living {
            sent = life::signal(pid, number).and(sent);
        }
        sent
    }
}

/// How a child that is dead ended; `None` if it is no child, or somebody else has waited for it.
fn reap(pid: u32) -> Option<ExitStatus> {
    let child = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    loop {
        match waitpid(Some(child), WaitOptions::NOHANG) {
            Ok(waited) => return waited.map(|(_, status)| known(status)),
            Err(Errno::INTR) => {}
            Err(error) => {
                debug!(pid, %error, "not this process's to wait for");
                return None;
            }
        }
    }
}

/// Reaps whatever dies: process 1 is every orphan's parent.
async fn reap_all(mut deaths: Signal, family: std::sync::Weak<Family>) {
    loop {
        if deaths.recv().await.is_none() {
            return;
        }
        let Some(family) = family.upgrade() else {
            return;
        };
        let alone = family.starting.lock().await;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    family.bury(pid.as_raw_pid().cast_unsigned(), Some(known(status)));
                }
                Ok(None) | Err(Errno::CHILD) => break,
                Err(Errno::INTR) => {}
                Err(error) => {
                    warn!(%error, "cannot reap");
                    break;
                }
            }
        }
        drop(alone);
    }
}

fn known(status: WaitStatus) -> ExitStatus {
    ExitStatus::from_raw(status.as_raw())
}
