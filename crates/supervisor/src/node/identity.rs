//! Is that process still the one that was started? Numbers are given out again; a number, its
//! start and the machine's boot together are not.

use std::fs;

use crate::facts::ProcessId;

/// What `/proc` tells about a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcStat {
    /// One letter: `Z` is a zombie.
    pub state: char,
    /// The process group.
    pub group: i32,
    /// Clock ticks between the start of the machine and that of the process.
    pub start_ticks: u64,
}

/// Reads `/proc/<pid>/stat`; `None` if there is no such process.
pub fn stat(pid: i32) -> Option<ProcStat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The command's name may contain anything, so fields are counted from the last bracket.
fn parse(text: &str) -> Option<ProcStat> {
    let rest = text.rsplit_once(')')?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(ProcStat {
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

/// The identity of a running process.
pub fn of(pid: i32) -> Option<ProcessId> {
    Some(ProcessId {
        pid,
        start_ticks: stat(pid)?.start_ticks,
        boot_id: boot_id(),
    })
}

/// Whether that very process still runs (a zombie does not).
pub fn is_alive(process: &ProcessId) -> bool {
    process.boot_id == boot_id()
        && stat(process.pid)
            .is_some_and(|stat| stat.start_ticks == process.start_ticks && stat.state != 'Z')
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_named_to_confuse_is_read_right() {
        let stat = parse("7 (a) Z (b) S 1 42 42 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 9001 0 0").unwrap();
        assert_eq!(
            stat,
            ProcStat {
                state: 'S',
                group: 42,
                start_ticks: 9001
            }
        );
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_process_is_known_again_and_a_dead_one_is_not() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let id = of(pid).unwrap();
        assert!(is_alive(&id));
        let mut another_boot = id.clone();
        another_boot.boot_id = "x".to_owned();
        assert!(!is_alive(&another_boot));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(&id));
    }
}
