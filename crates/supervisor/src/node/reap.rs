//! Reaping what others left: as PID 1 of a container, or as sub-reaper, the supervisor inherits
//! every orphan, and nobody else will collect them.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};

use super::identity;

/// How long a dead child may lie before it is taken for an inherited one. Our own children are
/// collected by whoever started them, at once; taking theirs away would lose their exit status.
const PATIENCE: Duration = Duration::from_secs(30);

/// Collects inherited zombies.
#[derive(Debug, Default)]
pub struct Reaper {
    seen: HashMap<(i32, u64), Instant>,
}

impl Reaper {
    /// Makes this process inherit the orphans of its children.
    pub fn adopt() -> Self {
        // Where the kernel refuses, orphans go to PID 1, as they always did.
        let _ = set_child_subreaper(Some(getpid()));
        Self::default()
    }

    /// Looks for zombies; collects those that nobody else did. True while some are being watched.
    pub fn look(&mut self, now: Instant) -> bool {
        self.look_at(children(), now)
    }

    fn look_at(&mut self, children: Vec<i32>, now: Instant) -> bool {
        let mut still = HashMap::new();
        for pid in children {
            let Some(stat) = identity::stat(pid).filter(|stat| stat.state == 'Z') else {
                continue;
            };
            let key = (pid, stat.start_ticks);
            let since = self.seen.get(&key).copied().unwrap_or(now);
            if now.saturating_duration_since(since) >= PATIENCE {
                let _ = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG);
            } else {
                still.insert(key, since);
            }
        }
        self.seen = still;
        !self.seen.is_empty()
    }
}

/// The processes whose parent we are.
fn children() -> Vec<i32> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "that is what it is about")]
    fn a_zombie_nobody_collects_is_collected_after_patience() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while identity::stat(pid).is_some_and(|stat| stat.state != 'Z') {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        let mut reaper = Reaper::default();
        let now = Instant::now();
        assert!(children().contains(&pid));
        assert!(reaper.look_at(vec![pid], now), "watched, not yet collected");
        assert!(identity::stat(pid).is_some());
        reaper.look_at(vec![pid], now + PATIENCE);
        assert!(identity::stat(pid).is_none());
    }
}
