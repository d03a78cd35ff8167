//! The node's own `status` command: the last resort, since it starts a process each time.
//!
//! Up to SDK 0.47 it prints on standard error, later on standard output; both are read. The
//! command runs in a process group of its own, and whatever happens that group is gone when this
//! returns, or is dropped, unless it ended by itself.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::status;

/// More output than this, in bytes on one stream, is no status.
const MAX_OUTPUT: u64 = 256 << 10;
/// So many characters of what a failing command said are repeated.
const MAX_SAID: usize = 200;

/// Why the command did not tell the height.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("starting {} status: {source}", bin.display())]
    Start {
        /// The executable.
        bin: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// It could not be listened to, or not be waited for.
    #[error("reading the output of {} status: {source}", bin.display())]
    Read {
        /// The executable.
        bin: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// It took too long.
    #[error("{} status did not end within {limit:?} and was killed", bin.display())]
    Deadline {
        /// The executable.
        bin: PathBuf,
        /// The time it had.
        limit: Duration,
    },
    /// It printed too much.
    #[error("{} status printed more than {MAX_OUTPUT} bytes and was killed", bin.display())]
    TooLong {
        /// The executable.
        bin: PathBuf,
    },
    /// It failed.
    #[error("{} status failed with {status}: {said}", bin.display())]
    Failed {
        /// The executable.
        bin: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The last line it said.
        said: String,
    },
    /// It succeeded, without telling the height.
    #[error("{} status printed no sync_info.latest_block_height", bin.display())]
    NoHeight {
        /// The executable.
        bin: PathBuf,
    },
}

/// The height that `<bin> status --home <home>` prints.
pub(super) async fn height(
    bin: &Path,
    home: &Path,
    deadline: Duration,
) -> Result<u64, CommandError> {
    let bin = || bin.to_owned();
    let mut child = Command::new(bin())
        .arg("status")
        .arg("--home")
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| CommandError::Start { bin: bin(), source })?;
    // declared after `child` so that it is dropped before it, that is, before it can be reaped
    let mut group = Group::of(&child);
    let talk = async {
        let out = child.stdout.take().expect("it was asked for");
        let err = child.stderr.take().expect("it was asked for");
        let (out, err) = tokio::try_join!(read(out), read(err))
            .map_err(|source| CommandError::Read { bin: bin(), source })?;
        let (Some(out), Some(err)) = (out, err) else {
            return Err(CommandError::TooLong { bin: bin() });
        };
        let status = child.wait().await;
        let status = status.map_err(|source| CommandError::Read { bin: bin(), source })?;
        Ok((status, out, err))
    };
    let limit = deadline;
    let (status, out, err) = match tokio::time::timeout(deadline, talk).await {
        Ok(talked) => talked?,
        Err(_) => return Err(CommandError::Deadline { bin: bin(), limit }),
    };
    group.ended();
    if !status.success() {
        let said = last_line(&err)
            .or_else(|| last_line(&out))
            .unwrap_or_else(|| "it said nothing".to_owned());
        return Err(CommandError::Failed {
            bin: bin(),
            status,
            said,
        });
    }
    status::height_in_output(&out)
        .or_else(|| status::height_in_output(&err))
        .ok_or_else(|| CommandError::NoHeight { bin: bin() })
}

/// All that `stream` says; `None` if that is too much.
async fn read(stream: impl AsyncRead + Unpin) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    stream.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).await?;
    let fits = bytes.len() as u64 <= MAX_OUTPUT;
    Ok(fits.then(|| String::from_utf8_lossy(&bytes).into_owned()))
}

fn last_line(output: &str) -> Option<String> {
    let line = output
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())?;
    Some(line.chars().take(MAX_SAID).collect())
}

/// A process group that is killed when this is dropped, while its leader has not been reaped and
/// its number can therefore not be another's.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Its leader has been reaped.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // it may have ended just now
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
