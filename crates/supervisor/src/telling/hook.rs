//! `BATON_HOOK`: an executable that is run at each event, with the record's JSON on its standard
//! input and the kind as its only argument.
//!
//! One at a time and in order, beside the supervisor's work and never in its way: a hook that
//! hangs is killed with all that it started, one that floods is cut off, one that fails is logged.
//! What it leaves running on purpose, once it has ended itself, is left alone.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::event_text;
use super::metrics::Metrics;
use super::outlet::{Line, Streak};

/// How much of each output stream goes into the log.
const LOGGED_BYTES: usize = 4 << 10;

/// How much of each output stream is taken before the hook finds it closed.
const TAKEN_BYTES: u64 = 1 << 20;

/// How long what the hook left running may keep its output open before it is left alone, and how
/// long a killed hook may take to be gone.
const LINGER: Duration = Duration::from_secs(1);

/// What is run, and how long it has.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) path: PathBuf,
    /// Where it is run.
    pub(super) dir: PathBuf,
    pub(super) limit: Duration,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum HookError {
    #[error("cannot run BATON_HOOK {}: {source}; {}", .path.display(), cure(.source))]
    Start { path: PathBuf, source: io::Error },
    #[error("BATON_HOOK {} {}", .path.display(), event_text::ending(.status.code(), .status.signal()))]
    Failed { path: PathBuf, status: ExitStatus },
    #[error("BATON_HOOK {} was not done within {limit:?} and was killed", .path.display())]
    TooSlow { path: PathBuf, limit: Duration },
}

fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "make it executable with chmod +x",
        io::ErrorKind::NotFound => {
            "is the path right, and that of the interpreter in its first line?"
        }
        _ => "try to run it by hand",
    }
}

impl HookError {
    fn result(&self) -> &'static str {
        match self {
            Self::TooSlow { .. } => "timed-out",
            Self::Start { .. } | Self::Failed { .. } => "failed",
        }
    }
}

/// Runs the hook for each line, until there are no more to come.
pub(super) async fn run(hook: Hook, mut lines: mpsc::Receiver<Arc<Line>>, metrics: Metrics) {
    let mut streak = Streak::default();
    while let Some(line) = lines.recv().await {
        let (outcome, output) = hook.run_once(&line).await;
        let (seq, kind) = (line.seq, &line.kind);
        for (stream, said) in [("stdout", &output.out), ("stderr", &output.err)] {
            if let Some(text) = said.text() {
                tracing::info!(kind, seq, stream, more_bytes = said.more, "hook: {text}");
            }
        }
        match outcome {
            Ok(()) => {
                metrics.hook_ran("ok");
                if let Some(failed) = streak.passed() {
                    tracing::warn!(failed, "BATON_HOOK works again");
                }
            }
            Err(error) => {
                metrics.hook_ran(error.result());
                if streak.failed() {
                    tracing::warn!(
                        kind,
                        seq,
                        "{error}; further failures are only counted, in baton_hook_runs_total"
                    );
                } else {
                    tracing::debug!(kind, seq, "{error}");
                }
            }
        }
    }
}

impl Hook {
    pub(super) async fn run_once(&self, line: &Arc<Line>) -> (Result<(), HookError>, Output) {
        let mut output = Output::default();
        let outcome = self.attempt(line, &mut output).await;
        (outcome, output)
    }

    async fn attempt(&self, line: &Arc<Line>, output: &mut Output) -> Result<(), HookError> {
        let mut running = self.start(line).await.map_err(|source| HookError::Start {
            path: self.path.clone(),
            source,
        })?;
        let child = &mut running.child;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let ended = {
            let talk = async {
                tokio::join!(
                    feed(stdin, &line.json),
                    take(stdout, &mut output.out),
                    take(stderr, &mut output.err),
                );
            };
            tokio::pin!(talk);
            let mut is_over = false;
            let ending = async {
                loop {
                    tokio::select! {
                        ended = child.wait() => return ended,
                        () = &mut talk, if !is_over => is_over = true,
                    }
                }
            };
            let ended = timeout(self.limit, ending).await;
            if ended.is_ok() && !is_over {
                let _ = timeout(LINGER, &mut talk).await;
            }
            ended
        };
        let Ok(ended) = ended else {
            running.kill();
            running.has_ended = matches!(timeout(LINGER, running.child.wait()).await, Ok(Ok(_)));
            return Err(HookError::TooSlow {
                path: self.path.clone(),
                limit: self.limit,
            });
        };
        running.has_ended = true;
        match ended {
            Ok(status) if !status.success() => Err(HookError::Failed {
                path: self.path.clone(),
                status,
            }),
            // An error means that someone else reaped it, as an init does with orphans.
            _ => Ok(()),
        }
    }

    /// Off the supervisor's thread: exec waits for the file system that the hook lies on.
    async fn start(&self, line: &Arc<Line>) -> io::Result<Running> {
        let mut command = Command::new(&self.path);
        command
            .arg(&line.kind)
            .current_dir(&self.dir)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let starting = tokio::task::spawn_blocking(move || {
            command.spawn().map(|child| Running {
                group: child.id().and_then(|id| Pid::from_raw(id.cast_signed())),
                child,
                has_ended: false,
            })
        });
        starting.await.map_err(io::Error::other)?
    }
}

/// A hook's process. It does not outlive its supervisor's interest in it.
#[derive(Debug)]
struct Running {
    child: Child,
    group: Option<Pid>,
    has_ended: bool,
}

impl Running {
    fn kill(&self) {
        if let Some(group) = self.group {
            // Fails only if all of it is gone.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.kill();
        }
    }
}

/// What a hook said.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) out: Said,
    pub(super) err: Said,
}

/// The beginning of what was said on one stream.
#[derive(Debug, Default)]
pub(super) struct Said {
    head: Vec<u8>,
    /// Bytes after that.
    more: u64,
}

impl Said {
    /// On one line; nothing if there is nothing to see.
    fn text(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.head);
        let text = text.trim();
        (!text.is_empty()).then(|| super::words::one_line(text))
    }
}

/// A hook need not read what it is given.
async fn feed(stdin: Option<ChildStdin>, json: &str) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(json.as_bytes()).await;
        let _ = stdin.write_all(b"\n").await;
    }
}

async fn take(stream: Option<impl AsyncRead + Unpin>, said: &mut Said) {
    let Some(mut stream) = stream else { return };
    let mut buffer = [0; 4096];
    while said.head.len() as u64 + said.more < TAKEN_BYTES {
        let Ok(n @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        let kept = n.min(LOGGED_BYTES - said.head.len());
        said.head.extend_from_slice(&buffer[..kept]);
        said.more += (n - kept) as u64;
    }
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
