//! Ending all processes of a node, not just the first: helpers and wrapped binaries that outlive
//! it would go on writing to the data that is about to be backed up.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid,
};

use super::{identity, spawn};
use crate::facts::ProcessId;
use crate::life;

/// How long a killed process may take to be gone. Longer means that it hangs in the kernel.
const KILLED: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// Ends what is left of a node's process group: asks, waits `grace`, kills, and waits until
/// nothing is left.
pub async fn clear(leader: i32, grace: Duration) -> Result<(), String> {
    clear_by(life::Signal::Term, leader, grace).await
}

/// The same, asking by another signal.
pub async fn clear_by(ask: life::Signal, leader: i32, grace: Duration) -> Result<(), String> {
    let Some(group) = Pid::from_raw(leader) else {
        return Ok(());
    };
    if is_gone(group) {
        return Ok(());
    }
    let asked = Instant::now();
    let _ = kill_process_group(group, spawn::system(ask));
    while asked.elapsed() < grace {
        if is_gone(group) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    let _ = kill_process_group(group, Signal::KILL);
    let killed = Instant::now();
    while killed.elapsed() < KILLED {
        if is_gone(group) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(format!(
        "processes of the node's group {leader} are still there {} s after SIGKILL; the data is not touched while they are. See `ps -o pid,stat,cmd -g {leader}`",
        KILLED.as_secs()
    ))
}

/// Ends a node that a killed supervisor left behind, with its group.
pub async fn end_orphan(process: &ProcessId, grace: Duration) -> Result<(), String> {
    let Some(pid) = Pid::from_raw(process.pid) else {
        return Ok(());
    };
    if identity::is_alive(process) {
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        let asked = Instant::now();
        while identity::is_alive(process) && asked.elapsed() < grace {
            tokio::time::sleep(POLL).await;
        }
    }
    let left = if identity::is_alive(process) {
        Duration::ZERO
    } else {
        grace
    };
    clear(process.pid, left).await
}

fn is_gone(group: Pid) -> bool {
    // As sub-reaper we inherit the group's orphans; unreaped they would count as there.
    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
    test_kill_process_group(group) == Err(Errno::SRCH)
}
