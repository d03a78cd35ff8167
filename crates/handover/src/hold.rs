//! Process 1 of a container stays around the generation that serves.
//!
//! When process 1 ends, the kernel kills everything else in its pid namespace. So a predecessor that is process 1 may hand over and
//! finish its connections, but not end: it becomes a shell that passes on the signals it gets, reaps whatever dies, and ends when nobody
//! serves any more, with the exit code of the last one that did. The generations may go on handing over to each other
//! meanwhile: whose turn it is stands in the control directory.

use std::io;
use std::path::Path;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::control;

/// What is passed on: everything that somebody may send to a server on purpose.
const PASSED_ON: [Signal; 7] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];

/// How many signals may wait to be passed on; the kernel folds them as well.
const WAITING: usize = 16;

/// Holds until nobody serves; then the exit code to end with. `successor` is a child of this process, which must have no other
/// children that anybody waits for: all are reaped here.
pub(crate) async fn hold(successor: u32, directory: Option<&Path>) -> io::Result<i32> {
    let (got, mut signals) = mpsc::channel(WAITING);
    let mut listeners = JoinSet::new();
    for number in PASSED_ON {
        let mut stream = signal(SignalKind::from_raw(number.as_raw()))?;
        let got = got.clone();
        listeners.spawn(async move {
            while stream.recv().await.is_some() {
                let _ = got.try_send(number);
            }
        });
    }
    let mut deaths = signal(SignalKind::child())?;
    let mut serves = successor;
    info!(
        pid = serves,
        "this process stays as long as its successor, since everything here would end with it"
    );
    loop {
        // Before the first wait too: a death may have come before anybody listened for it.
        if let Some(code) = reap(serves)? {
            match whose_turn(directory).await {
                Some(next) if next != serves => serves = next,
                _ => return Ok(code),
            }
            continue;
        }
        tokio::select! {
            Some(number) = signals.recv() => {
                serves = whose_turn(directory).await.unwrap_or(serves);
                pass_on(serves, number);
            }
            _ = deaths.recv() => {}
        }
    }
}

fn pass_on(to: u32, number: Signal) {
    let Some(pid) = i32::try_from(to).ok().and_then(Pid::from_raw) else {
        return;
    };
    match kill_process(pid, number) {
        Ok(()) => info!(pid = to, signal = number.as_raw(), "passed on"),
        Err(error) => {
            warn!(pid = to, signal = number.as_raw(), %error, "a signal could not be passed on");
        }
    }
}

/// The process that serves now, if it is another than this one.
async fn whose_turn(directory: Option<&Path>) -> Option<u32> {
    let status = control::status(directory?).await.ok()?;
    (status.pid != std::process::id()).then_some(status.pid)
}

/// Reaps all that is dead; the exit code of the one that is followed, if it is among them or was nobody's child any more.
fn reap(followed: u32) -> io::Result<Option<i32>> {
    let mut ended = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if pid.as_raw_pid().cast_unsigned() == followed {
                    ended = Some(code(status));
                }
            }
            Ok(None) => return Ok(ended),
            // Not one child is left, and so nobody to stay for.
            Err(rustix::io::Errno::CHILD) => return Ok(Some(ended.unwrap_or(0))),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// As a shell has it: 128 and the signal if it was killed.
fn code(status: WaitStatus) -> i32 {
    status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    /// Says in the test's own process what it is to be in a process of its own: a shell's script to hold.
    const SCRIPT: &str = "BATON_TEST_HOLD";

    // A process that holds reaps everything, which the others tests' children would not survive; so it is this program again, with
    // one test only, and process 1 of a pid namespace where that is allowed.
    fn holding(script: &str) -> Child {
        let own = std::env::current_exe().unwrap();
        let mut command = if may_unshare() {
            let mut command = Command::new("unshare");
            command.args(["--pid", "--fork", "--kill-child"]).arg(own);
            command
        } else {
            Command::new(own)
        };
        command
            .args(["--exact", "hold::tests::inner", "--ignored", "--nocapture"])
            .env(SCRIPT, script)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn may_unshare() -> bool {
        Command::new("unshare")
            .args(["--pid", "--fork", "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    #[tokio::test]
    #[ignore = "only within the other tests"]
    async fn inner() {
        let Ok(script) = std::env::var(SCRIPT) else {
            return;
        };
        let successor = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        let code = hold(successor.id(), None).await.unwrap();
        println!("held as {}: {code}", std::process::id() == 1);
        std::process::exit(code);
    }

    #[test]
    fn it_ends_with_its_successor_and_with_its_code() {
        for (script, code) in [("exit 7", 7), ("kill -9 $$", 137), ("true", 0)] {
            let mut child = holding(script);
            assert_eq!(child.wait().unwrap().code(), Some(code), "{script}");
        }
    }

    #[test]
    fn signals_go_to_the_successor_and_orphans_are_reaped() {
        // The grandchild outlives its parent and becomes a child of the one who holds; that it ends is no end of the successor.
        let script = "trap 'exit 9' USR1; trap 'exit 8' TERM; (true & ) ; echo ready $PPID; while :; do sleep 0.05; done";
        let mut child = holding(script);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("ready")));
        assert!(ready.is_some(), "the successor has set its traps");
        let holder = holder_of(child.id());
        kill_process(Pid::from_raw(holder.cast_signed()).unwrap(), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(8));
    }

    /// The holder as seen from here: `unshare`'s child, or the child itself.
    fn holder_of(child: u32) -> u32 {
        if !may_unshare() {
            return child;
        }
        let children = format!("/proc/{child}/task/{child}/children");
        let children = std::fs::read_to_string(children).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }
}
