//! Processes, as `/proc` shows them.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(number(pid), signal).unwrap_or_else(|error| panic!("signal {pid}: {error}"));
}

/// Kills a process as nothing else does.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Whether the process runs; one that has ended and was not waited for does not.
pub fn living(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The name, in brackets, may have anything in it.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// Waits until the process has ended.
pub async fn gone(pid: u32) {
    super::until(&format!("the end of process {pid}"), || {
        (!living(pid)).then_some(())
    })
    .await;
}

/// What the open descriptors of a process lead to.
pub fn descriptors(pid: u32) -> Vec<String> {
    let folder = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.display().to_string())
        .collect()
}

/// Whether the process has this file open.
pub fn has_open(pid: u32, file: &Path) -> bool {
    let name = file.display().to_string();
    living(pid) && descriptors(pid).contains(&name)
}

/// The memory of a process that is in use, in KiB.
pub fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok())
        .expect("a living process has memory")
}

pub(super) fn number(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("a process number")).expect("not zero")
}
