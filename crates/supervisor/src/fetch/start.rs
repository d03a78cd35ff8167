//! Does a binary start? It is asked for its version, and has ten seconds.
//!
//! Only what proves that it cannot run here is a failure: the kernel refuses it, its loader or
//! interpreter is missing, or it dies of an instruction or address that this machine does not have. A
//! `version` that fails, hangs, or misses a shared library is reported and no more: a wrapper script may
//! not know the command, and `LD_LIBRARY_PATH` may lead through `current`, which still points to the
//! release before.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::executable::Program;

/// Output kept of each stream; the rest is read and thrown away.
const MAX_OUTPUT: usize = 64 * 1024;
/// The longest line that is repeated to the operator.
const MAX_LINE: usize = 200;
/// How often it is looked whether the process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Time for a killed process to be gone and its output to be read.
const AFTER_KILL: Duration = Duration::from_secs(2);
/// How long a file may be busy because somebody was just forking while we wrote it.
const BUSY: Duration = Duration::from_secs(5);

/// The most that [`starts`] may take beyond its limit.
pub(super) const SLACK: Duration = Duration::from_secs(10);

/// A binary that starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// The first line that `version` printed.
    pub version: Option<String>,
    /// What was odd about it.
    pub warning: Option<String>,
}

/// A binary that cannot run on this machine.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// The kernel would not execute it.
    #[error("{path} version: {reason}", path = .path.display())]
    Refused {
        /// The binary.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It died at once of a fault.
    #[error("{path} version: killed by {signal}", path = .path.display())]
    Fault {
        /// The binary.
        path: PathBuf,
        /// The signal and what it tells.
        signal: &'static str,
    },
}

impl CannotStart {
    /// Why, for those who name the binary in another way.
    pub fn reason(&self) -> String {
        match self {
            Self::Refused { reason, .. } => reason.clone(),
            Self::Fault { signal, .. } => format!("killed by {signal}"),
        }
    }
}

/// Runs `<path> version` in the directory `cwd` with the environment given (this process's own if
/// none), for at most `limit`. Whatever it starts is killed with it.
pub async fn starts(
    path: &Path,
    program: &Program,
    cwd: &Path,
    environment: Option<&[(OsString, OsString)]>,
    limit: Duration,
) -> Result<Started, CannotStart> {
    let mut command = Command::new(path);
    command
        .arg("version")
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(variables) = environment {
        command
            .env_clear()
            .envs(variables.iter().map(|(k, v)| (k, v)));
    }
    let mut child = spawn(&mut command)
        .await
        .map_err(|e| CannotStart::Refused {
            path: path.to_owned(),
            reason: refusal(&e, program),
        })?;
    let mut group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reading = async { tokio::join!(read_some(stdout), read_some(stderr)) };
    tokio::pin!(reading);
    let mut output = None;
    let in_time = timeout(limit, async {
        let ended = group.leader_ended();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => break,
                read = &mut reading, if output.is_none() => output = Some(read),
            }
        }
    })
    .await
    .is_ok();
    // Before the leader is reaped, while its number cannot mean anybody else.
    group.kill();
    if output.is_none() {
        output = timeout(AFTER_KILL, &mut reading).await.ok();
    }
    let status = match timeout(AFTER_KILL, child.wait()).await {
        Ok(Ok(status)) => Some(status),
        _ => None,
    };
    let (stdout, stderr) = output.unwrap_or_default();
    let version = first_line(&stdout).or_else(|| first_line(&stderr));
    if !in_time {
        let warning = format!("`version` did not end within {limit:?} (limit) and was killed");
        return Ok(Started {
            version,
            warning: Some(warning),
        });
    }
    if let Some(signal) = status.and_then(fault) {
        return Err(CannotStart::Fault {
            path: path.to_owned(),
            signal,
        });
    }
    match status {
        Some(status) if status.success() => Ok(Started {
            version,
            warning: None,
        }),
        status => Ok(Started {
            version: None,
            warning: Some(complaint(status, &stdout, &stderr)),
        }),
    }
}

/// Starts the process. Another thread that forks at the wrong moment holds our writing descriptor for
/// an instant, and the kernel then calls the file busy.
async fn spawn(command: &mut Command) -> io::Result<Child> {
    let deadline = Instant::now() + BUSY;
    loop {
        match command.spawn() {
            Err(e)
                if e.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < deadline =>
            {
                sleep(LOOK_EVERY).await;
            }
            other => return other,
        }
    }
}

/// A process group that dies with this value, unless it was killed before.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Waits for the leader's end without reaping it.
    async fn leader_ended(&self) {
        let Some(pid) = self.0 else { return };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while let Ok(None) = rustix::process::waitid(WaitId::Pid(pid), options) {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Kills it, once: afterwards the number may come to mean somebody else.
    fn kill(&mut self) {
        if let Some(pid) = self.0.take() {
            // Nobody left to kill is what we want.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads a stream to its end and keeps its beginning.
async fn read_some(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else {
        return kept;
    };
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 {
            break;
        }
        let room = MAX_OUTPUT - kept.len();
        kept.extend_from_slice(&buffer[..n.min(room)]);
    }
    kept
}

fn first_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().map(str::trim).find(|l| !l.is_empty())?;
    let clean = line.chars().filter(|c| !c.is_control()).take(MAX_LINE);
    Some(clean.collect())
}

fn refusal(error: &io::Error, program: &Program) -> String {
    match (error.kind(), program) {
        (io::ErrorKind::NotFound, Program::Elf { loader: Some(it) }) => {
            format!("its loader {it} is not on this machine (was it built for another C library?)")
        }
        (io::ErrorKind::NotFound, Program::Script { interpreter }) => {
            format!("its interpreter {interpreter} is not on this machine")
        }
        (io::ErrorKind::PermissionDenied, _) => {
            format!("{error}; is the file system mounted noexec?")
        }
        _ => error.to_string(),
    }
}

/// The signals that a program gets for what it is, not for what happens to it.
fn fault(status: ExitStatus) -> Option<&'static str> {
    let signal = status.signal()?;
    [
        (
            Signal::ILL,
            "SIGILL: it uses instructions that this processor does not have",
        ),
        (
            Signal::SEGV,
            "SIGSEGV: it is damaged or not for this system",
        ),
        (Signal::BUS, "SIGBUS: it is damaged or cut off"),
        (
            Signal::SYS,
            "SIGSYS: it uses system calls that are forbidden here",
        ),
    ]
    .into_iter()
    .find_map(|(known, text)| (known.as_raw() == signal).then_some(text))
}

fn complaint(status: Option<ExitStatus>, stdout: &[u8], stderr: &[u8]) -> String {
    let how = match status {
        Some(status) => status.to_string(),
        None => "an unknown status".to_owned(),
    };
    match first_line(stderr).or_else(|| first_line(stdout)) {
        Some(line) => format!("`version` ended with {how}: {line}"),
        None => format!("`version` ended with {how} and no output"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::executable::inspect;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn try_script(dir: &Path, text: &str, limit: Duration) -> Result<Started, CannotStart> {
        let path = dir.join("simd");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let program = inspect(&path).unwrap();
        starts(&path, &program, dir, None, limit).await
    }

    #[tokio::test]
    async fn the_version_is_the_first_line_of_either_stream() {
        let dir = tempfile::tempdir().unwrap();
        for (script, version) in [
            ("#!/bin/sh\necho; echo \"v2 $1\"; echo more\n", "v2 version"),
            ("#!/bin/sh\necho v0.42 >&2\n", "v0.42"),
            ("#!/bin/sh\nprintf 'v\\033[1m3'\n", "v[1m3"),
        ] {
            let started = try_script(dir.path(), script, LIMIT).await.unwrap();
            assert_eq!(started.version.as_deref(), Some(version), "{script}");
            assert_eq!(started.warning, None);
        }
    }

    #[tokio::test]
    async fn a_version_command_that_fails_is_only_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let script = "#!/bin/sh\necho unknown command >&2; exit 3\n";
        let started = try_script(dir.path(), script, LIMIT).await.unwrap();
        let warning = started.warning.unwrap();
        assert!(
            warning.contains("exit status: 3: unknown command"),
            "{warning}"
        );
        assert_eq!(started.version, None);
        let script = "#!/bin/sh\nkill -TERM $$\n";
        let started = try_script(dir.path(), script, LIMIT).await.unwrap();
        let warning = started.warning.unwrap();
        assert!(warning.contains("signal: 15"), "{warning}");
    }

    #[tokio::test]
    async fn what_hangs_is_killed_with_everything_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!(
            "#!/bin/sh\necho v2\nsleep 1000 &\necho $! $$ > {0}.tmp; mv {0}.tmp {0}\nsleep 1000\n",
            pids.display()
        );
        // Long enough for the script to get to its end, however busy the machine is.
        let limit = Duration::from_secs(3);
        let started = try_script(dir.path(), &script, limit).await.unwrap();
        assert_eq!(started.version.as_deref(), Some("v2"));
        let warning = started.warning.unwrap();
        assert!(warning.contains("within 3s (limit)"), "{warning}");
        wait_until_gone(&pids).await;
    }

    #[tokio::test]
    async fn a_check_that_is_dropped_leaves_no_process() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!(
            "#!/bin/sh\nsleep 1000 &\necho $! $$ > {0}.tmp; mv {0}.tmp {0}\nsleep 1000\n",
            pids.display()
        );
        let started = async {
            while !pids.exists() {
                sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            _ = try_script(dir.path(), &script, Duration::from_hours(1)) => panic!("it ended"),
            () = started => {}
        }
        wait_until_gone(&pids).await;
    }

    #[tokio::test]
    async fn what_a_finished_command_leaves_behind_is_killed_too() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!(
            "#!/bin/sh\nsleep 1000 &\necho $! > {}\necho v2\n",
            pids.display()
        );
        let started = try_script(dir.path(), &script, LIMIT).await.unwrap();
        assert_eq!(started.version.as_deref(), Some("v2"));
        wait_until_gone(&pids).await;
    }

    async fn wait_until_gone(pids: &Path) {
        for pid in fs::read_to_string(pids).unwrap().split_whitespace() {
            let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
            let gone = async {
                while rustix::process::test_kill_process(pid).is_ok() && !is_zombie(pid) {
                    sleep(LOOK_EVERY).await;
                }
            };
            timeout(LIMIT, gone).await.expect("it was killed");
        }
    }

    /// Orphans become zombies where process 1 does not reap, as in some containers.
    fn is_zombie(pid: Pid) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
            .is_ok_and(|stat| stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
    }

    #[tokio::test]
    async fn what_cannot_be_executed_is_an_error_that_says_why() {
        let dir = tempfile::tempdir().unwrap();
        for (script, part) in [
            (
                "#!/no/such/interpreter\n",
                "its interpreter /no/such/interpreter is not on this machine",
            ),
            ("#!/tmp\n", "ermission denied"),
            ("#!/bin/sh\nkill -SEGV $$\n", "SIGSEGV"),
            ("#!/bin/sh\nkill -ILL $$\n", "SIGILL: it uses instructions"),
        ] {
            let error = try_script(dir.path(), script, LIMIT).await.unwrap_err();
            assert!(error.to_string().contains(part), "{script}: {error}");
        }
        let mut head = vec![0; 64];
        head[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
        let path = dir.path().join("elf");
        fs::write(&path, &head).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let program = Program::Elf { loader: None };
        let error = starts(&path, &program, dir.path(), None, LIMIT).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("xec format error"), "{error}");
    }

    #[test]
    fn a_missing_loader_is_named() {
        let error = io::Error::from(io::ErrorKind::NotFound);
        let loader = Some("/lib/ld-musl-x86_64.so.1".to_owned());
        let text = refusal(&error, &Program::Elf { loader });
        assert!(text.contains("/lib/ld-musl-x86_64.so.1"), "{text}");
    }

    #[tokio::test]
    async fn output_is_bounded_and_the_environment_is_the_one_given() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("simd");
        let script = "#!/bin/sh\necho \"v2 $WHO $HOME\"\nyes | head -c 3000000\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let variables = [
            ("WHO".into(), "me".into()),
            ("PATH".into(), std::env::var_os("PATH").unwrap()),
        ];
        let program = inspect(&path).unwrap();
        let started = starts(&path, &program, dir.path(), Some(&variables), LIMIT).await;
        assert_eq!(started.unwrap().version.as_deref(), Some("v2 me"));
    }
}
