//! The two programs that an upgrade runs: the operator's own script before the switch, and the
//! new binary's `pre-upgrade` after it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tracing::{error, info};

use crate::config::go_text::io_error;
use crate::life::Ended;
use crate::node::{group, spawn};
use crate::plan::Plan;

/// The longest that either program may run. Operators back up whole disks in theirs.
pub const LIMIT: Duration = Duration::from_hours(6);

/// How much of what a program prints is kept for the one line that tells its result.
const KEPT: usize = 16 * 1024;

/// Why a program did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be run as it is.
    #[error("COSMOVISOR_CUSTOM_PREUPGRADE: {0} is not a regular file")]
    NotAFile(String),
    /// It is not there.
    #[error("stat {}: {} (the file that COSMOVISOR_CUSTOM_PREUPGRADE names)", .path.display(), io_error(.source))]
    Missing {
        /// The script.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be made executable or started.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The operator's script failed.
    #[error("the custom pre-upgrade script {} failed: {}", .path.display(), .how.text())]
    Custom {
        /// The script.
        path: PathBuf,
        /// How it ended.
        how: Ended,
    },
    /// The new binary says that it must not be upgraded to.
    #[error("pre-upgrade command failed : {0}")]
    Refused(String),
    /// The new binary asked to be tried again, too often.
    #[error(
        "pre-upgrade command failed. reached max attempt of retries - {0} (DAEMON_PREUPGRADE_MAX_RETRIES)"
    )]
    Retries(i64),
    /// It ran longer than anything should.
    #[error("{} ran longer than {} s and was ended", .path.display(), LIMIT.as_secs())]
    TooLong {
        /// The program.
        path: PathBuf,
    },
}

/// Runs the operator's script, in the node's home, with the plan's name and height.
pub async fn custom(root: &Path, home: &Path, file: &str, plan: &Plan) -> Result<(), ScriptError> {
    let path = root.join(file);
    let io = |doing| {
        let path = path.clone();
        move |source| ScriptError::Io {
            doing,
            path,
            source,
        }
    };
    info!(file = %path.display(), "looking for COSMOVISOR_CUSTOM_PREUPGRADE file");
    let meta = fs::metadata(&path).map_err(|source| {
        error!(file = %path.display(), "COSMOVISOR_CUSTOM_PREUPGRADE file missing");
        ScriptError::Missing {
            path: path.clone(),
            source,
        }
    })?;
    if !meta.is_file() {
        return Err(ScriptError::NotAFile(file.to_owned()));
    }
    let mode = meta.permissions().mode();
    if mode & 0o100 == 0 {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o100))
            .map_err(io("making executable"))?;
    }
    let height = plan.height.to_string();
    let (ended, printed) = run(&path, &[&plan.name, &height], home, Helpers::Keep).await?;
    if ended != Ended::Code(0) {
        return Err(ScriptError::Custom { path, how: ended });
    }
    info!(
        command = %path.display(),
        argv1 = plan.name,
        argv2 = height,
        result = printed,
        "COSMOVISOR_CUSTOM_PREUPGRADE result"
    );
    Ok(())
}

/// Runs the new binary's `pre-upgrade`; true if it has that command.
///
/// Exit codes are the Cosmos SDK's: 0 done, 1 no such command, 30 must not be upgraded, 31 try
/// again. Any other is a failure.
pub async fn pre_upgrade(root: &Path, bin: &Path, max_retries: i64) -> Result<bool, ScriptError> {
    let mut failures: i64 = 0;
    // A negative limit allows no attempt at all, as upstream has it.
    while failures <= max_retries {
        let (ended, printed) = run(bin, &["pre-upgrade"], root, Helpers::End).await?;
        match ended {
            Ended::Code(0) => {
                info!(result = printed, "pre-upgrade result");
                info!("pre-upgrade successful. continuing the upgrade.");
                return Ok(true);
            }
            Ended::Code(1) => {
                info!("pre-upgrade command does not exist. continuing the upgrade.");
                return Ok(false);
            }
            Ended::Code(31) => {
                failures += 1;
                error!(
                    error = "exit status 31",
                    attempt = failures,
                    "pre-upgrade command failed. retrying"
                );
            }
            how => return Err(ScriptError::Refused(how.text())),
        }
    }
    Err(ScriptError::Retries(max_retries))
}

/// What becomes of processes that a program leaves running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Helpers {
    /// They are the operator's business.
    Keep,
    /// They could still write to the data that the new binary is about to open.
    End,
}

/// Runs a program to its end, with what it prints in the log, line by line. Gives back how it ended
/// and what it printed on stdout, up to [`KEPT`] bytes. Dropped, it ends the program.
async fn run(
    path: &Path,
    args: &[impl AsRef<OsStr>],
    directory: &Path,
    helpers: Helpers,
) -> Result<(Ended, String), ScriptError> {
    let io = |doing| {
        move |source| ScriptError::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    };
    let mut child = Command::new(path)
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(io("starting"))?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let group = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .unwrap_or(0);
    let out = child.stdout.take();
    let err = child.stderr.take();
    // A helper left behind may hold the pipes open for ever: the program's end ends the reading.
    let printed = Arc::new(Mutex::new(Vec::new()));
    let reading = tokio::spawn({
        let (name, printed) = (name.clone(), printed.clone());
        let keep = move |line: &[u8]| {
            let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
            if printed.len() + line.len() < KEPT {
                printed.extend_from_slice(line);
                printed.push(b'\n');
            }
        };
        async move { tokio::join!(log_lines(&name, out, keep), log_lines(&name, err, |_| ())) }
    });
    let ended = tokio::time::timeout(LIMIT, child.wait()).await;
    if (helpers == Helpers::End || ended.is_err())
        && let Err(text) = group::clear(group, Duration::ZERO).await
    {
        error!(error = %text, "the program left processes behind");
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), reading).await;
    match ended {
        Ok(status) => {
            let how = spawn::how(status.map_err(io("waiting for"))?);
            let printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
            Ok((how, String::from_utf8_lossy(&printed).into_owned()))
        }
        Err(_) => Err(ScriptError::TooLong {
            path: path.to_owned(),
        }),
    }
}

async fn log_lines(program: &str, stream: Option<impl AsyncRead + Unpin>, keep: impl Fn(&[u8])) {
    const MAX_LINE: usize = 4096;
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Ok(Some(mut line)) = lines.next_segment().await {
        line.truncate(MAX_LINE);
        keep(&line);
        info!(program, "{}", String::from_utf8_lossy(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(dir: &Path, text: &str, mode: u32) -> PathBuf {
        let path = dir.join("script.sh");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn plan() -> Plan {
        Plan {
            name: "Chain2".to_owned(),
            height: 49,
            info: String::new(),
        }
    }

    #[tokio::test]
    async fn the_custom_script_gets_the_plan_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let home = tempfile::tempdir().unwrap();
        script(dir.path(), "touch upgrade_name_$1_height_$2", 0o644);
        custom(dir.path(), home.path(), "script.sh", &plan())
            .await
            .unwrap();
        assert!(home.path().join("upgrade_name_Chain2_height_49").exists());
    }

    #[tokio::test]
    async fn a_failing_missing_or_strange_custom_script_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let run = async |file| {
            custom(dir.path(), dir.path(), file, &plan())
                .await
                .unwrap_err()
                .to_string()
        };
        assert!(run("missing.sh").await.contains("missing.sh"));
        fs::create_dir(dir.path().join("dir")).unwrap();
        assert_eq!(
            run("dir").await,
            "COSMOVISOR_CUSTOM_PREUPGRADE: dir is not a regular file"
        );
        script(dir.path(), "exit 3", 0o755);
        assert!(run("script.sh").await.ends_with("failed: exit status 3"));
    }

    #[tokio::test]
    async fn every_exit_code_of_pre_upgrade_has_its_meaning() {
        let dir = tempfile::tempdir().unwrap();
        for (code, retries, want) in [
            (0, 0, Ok(true)),
            (1, 0, Ok(false)),
            (30, 5, Err("pre-upgrade command failed : exit status 30")),
            (2, 5, Err("pre-upgrade command failed : exit status 2")),
            (31, 2, Err("reached max attempt of retries - 2")),
            (0, -1, Err("reached max attempt of retries - -1")),
        ] {
            let bin = script(
                dir.path(),
                &format!("echo run >> runs; test \"$*\" = pre-upgrade || exit 9; exit {code}"),
                0o755,
            );
            let got = pre_upgrade(dir.path(), &bin, retries)
                .await
                .map_err(|e| e.to_string());
            match (got, want) {
                (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
                (got, want) => assert_eq!(got, want.map_err(str::to_owned)),
            }
            let runs = fs::read_to_string(dir.path().join("runs")).unwrap_or_default();
            let _ = fs::remove_file(dir.path().join("runs"));
            let want_runs = match (code, retries) {
                (_, -1) => 0,
                (31, n) => n + 1,
                _ => 1,
            };
            assert_eq!(i64::try_from(runs.lines().count()).unwrap(), want_runs);
        }
    }

    #[tokio::test]
    async fn what_a_script_leaves_running_does_not_hold_up_the_upgrade() {
        let dir = tempfile::tempdir().unwrap();
        let bin = script(dir.path(), "sleep 600 & echo $! > helper; exit 0", 0o755);
        tokio::time::timeout(Duration::from_secs(20), pre_upgrade(dir.path(), &bin, 0))
            .await
            .expect("not held up")
            .unwrap();
        let helper: i32 = fs::read_to_string(dir.path().join("helper"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(
            crate::node::identity::stat(helper).is_none_or(|stat| stat.state == 'Z'),
            "ended with the script"
        );
    }
}
