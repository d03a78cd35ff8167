//! The side that asks.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{self, WireError};
use super::{Busy, Envelope, Generation, Introduction, Progress, Reply, Request, UpgradeRequest};
use crate::channel::{Channel, ChannelError};
use crate::directory::{ControlDirectory, DirectoryError};
use crate::report::Report;

/// How long an answer that needs no work may take.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How soon to try again when a server's queue is full. The kernel gives no sign when it has room.
const AGAIN: Duration = Duration::from_millis(20);

/// How long a successor may take to become warm when the request does not say; the server's own default.
const WARM: Duration = Duration::from_mins(1);

/// How long, beyond the successor's start, the other phases and their roll-back may take before the server counts as lost.
const REST: Duration = Duration::from_secs(45);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The control directory cannot be used, or nobody serves in it.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The connection broke.
    #[error("asking the server in {}: {why}; see its log, and `baton generations {}`", directory.display(), directory.display())]
    Lost {
        /// The control directory.
        directory: PathBuf,
        /// What happened to the connection.
        why: String,
    },
    /// The server belongs to another user.
    #[error("the server in {} runs as user {uid}; ask as that user or as root", directory.display())]
    Foreign {
        /// The control directory.
        directory: PathBuf,
        /// Who runs the server.
        uid: u32,
    },
    /// A handover runs already.
    #[error("the server in {} is busy: {busy}; wait for its end, or see `baton generations {}`", directory.display(), directory.display())]
    Busy {
        /// The control directory.
        directory: PathBuf,
        /// What it is busy with.
        busy: Busy,
    },
    /// The server will not do it.
    #[error("the server in {} refuses: {reason}", directory.display())]
    Refused {
        /// The control directory.
        directory: PathBuf,
        /// Why.
        reason: String,
    },
    /// No answer came in time.
    #[error("no answer from the server in {} for {} s; it may still hand over: see `baton generations {}` and its log", directory.display(), waited.as_secs(), directory.display())]
    TimedOut {
        /// The control directory.
        directory: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
}

/// How the owner stands.
pub async fn status(directory: &Path) -> Result<Generation, ControlError> {
    let (channel, _) = owner(directory, &Request::Status, &[]).await?;
    status_of(directory, &channel).await
}

/// One generation's socket, and what is heard from it.
#[derive(Debug)]
pub struct Found {
    /// Its number.
    pub generation: u64,
    /// Whether those who ask are led to it.
    pub current: bool,
    /// How it stands; `None` if it died without clearing up.
    pub status: Option<Result<Generation, ControlError>>,
}

/// All generations that have a socket, the dead too, by number. Changes nothing.
pub async fn generations(directory: &Path) -> Result<Vec<Found>, ControlError> {
    let opened = ControlDirectory::open(directory)?;
    let mut found = Vec::new();
    for listed in opened.list()? {
        let status = match connected(|| opened.connect_to(listed.generation)).await {
            Ok(None) => None,
            Ok(Some(socket)) => Some(one(directory, socket).await),
            Err(error) => Some(Err(error.into())),
        };
        found.push(Found {
            generation: listed.generation,
            current: listed.current,
            status,
        });
    }
    Ok(found)
}

async fn one(directory: &Path, socket: OwnedFd) -> Result<Generation, ControlError> {
    let channel = ask(directory, socket, &Request::Status, &[]).await?;
    status_of(directory, &channel).await
}

/// Asks the owner to hand over, and waits for the end. A handover that failed is a report as well; see its outcome.
pub async fn upgrade(
    directory: &Path,
    request: UpgradeRequest,
    progress: impl FnMut(Progress),
) -> Result<Report, ControlError> {
    let patience = request.timeout.unwrap_or(WARM) + REST;
    let (channel, _) = owner(directory, &Request::Upgrade(request), &[]).await?;
    match end(directory, &channel, patience, progress).await? {
        Reply::Report(report) => Ok(*report),
        other => Err(odd(directory, &other)),
    }
}

/// Asks a generation that sleeps after a staged handover to serve again.
pub async fn roll_back(directory: &Path, generation: u64) -> Result<(), ControlError> {
    let opened = ControlDirectory::open(directory)?;
    let socket = connected(|| opened.connect_to(generation))
        .await?
        .ok_or_else(|| DirectoryError::Nobody {
            path: directory.to_owned(),
        })?;
    let channel = ask(directory, socket, &Request::RollBack, &[]).await?;
    match end(directory, &channel, REST, |_| {}).await? {
        Reply::Done | Reply::Report(_) => Ok(()),
        other => Err(odd(directory, &other)),
    }
}

/// Becomes the channel of a handover whose successor is this process; `None` if nobody serves.
pub(crate) async fn join(directory: &ControlDirectory) -> Result<Option<Channel>, ControlError> {
    let Some(socket) = connected(|| directory.connect()).await? else {
        return Ok(None);
    };
    ask(directory.path(), socket, &Request::Join, &[])
        .await
        .map(Some)
}

/// Introduces a successor that this process has started, and waits for the end. `end` is the predecessor's end of their channel.
pub async fn introduce(
    directory: &Path,
    introduction: Introduction,
    end_of_channel: BorrowedFd<'_>,
    progress: impl FnMut(Progress),
) -> Result<Report, ControlError> {
    let patience = introduction.timeout.unwrap_or(WARM) + REST;
    let request = Request::Introduce(introduction);
    let (channel, _) = owner(directory, &request, &[end_of_channel]).await?;
    match end(directory, &channel, patience, progress).await? {
        Reply::Report(report) => Ok(*report),
        other => Err(odd(directory, &other)),
    }
}

async fn owner(
    directory: &Path,
    request: &Request,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(Channel, ControlDirectory), ControlError> {
    let opened = ControlDirectory::open(directory)?;
    let socket = connected(|| opened.connect())
        .await?
        .ok_or_else(|| DirectoryError::Nobody {
            path: directory.to_owned(),
        })?;
    let channel = ask(directory, socket, request, descriptors).await?;
    Ok((channel, opened))
}

/// Connects, waiting a while if the server's queue is full.
async fn connected<T>(
    connect: impl Fn() -> Result<T, DirectoryError>,
) -> Result<T, DirectoryError> {
    let deadline = Instant::now() + AT_ONCE;
    loop {
        match connect() {
            Err(DirectoryError::Full { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(AGAIN).await;
            }
            other => return other,
        }
    }
}

async fn ask(
    directory: &Path,
    socket: OwnedFd,
    request: &Request,
    descriptors: &[BorrowedFd<'_>],
) -> Result<Channel, ControlError> {
    let lost = |error: ChannelError| lost(directory, &error);
    let channel = Channel::new(socket).map_err(lost)?;
    let peer = channel.peer().map_err(lost)?;
    let own = rustix::process::geteuid();
    if peer.uid != own.as_raw() && peer.uid != 0 && !own.is_root() {
        return Err(ControlError::Foreign {
            directory: directory.to_owned(),
            uid: peer.uid,
        });
    }
    let envelope = Envelope {
        version: super::VERSION,
        request: request.clone(),
    };
    let sent = channel.send(&envelope, &[], descriptors);
    timed(directory, AT_ONCE, sent).await?.map_err(lost)?;
    Ok(channel)
}

async fn status_of(directory: &Path, channel: &Channel) -> Result<Generation, ControlError> {
    match end(directory, channel, AT_ONCE, |_| {}).await? {
        Reply::Status(status) => Ok(*status),
        other => Err(odd(directory, &other)),
    }
}

/// Hears progress up to the last reply.
async fn end(
    directory: &Path,
    channel: &Channel,
    patience: Duration,
    mut progress: impl FnMut(Progress),
) -> Result<Reply, ControlError> {
    let deadline = Instant::now() + patience;
    loop {
        let heard = timeout_at(deadline, wire::receive::<Reply>(channel)).await;
        let heard = heard.map_err(|_| ControlError::TimedOut {
            directory: directory.to_owned(),
            waited: patience,
        })?;
        match heard.map_err(|error| match error {
            WireError::Channel(error) => lost(directory, &error),
            other => lost(directory, &other),
        })? {
            Reply::Progress(step) => progress(step),
            Reply::Busy(busy) => {
                return Err(ControlError::Busy {
                    directory: directory.to_owned(),
                    busy,
                });
            }
            Reply::Refused { reason } => {
                return Err(ControlError::Refused {
                    directory: directory.to_owned(),
                    // It may quote another program.
                    reason: reason.replace(char::is_control, " "),
                });
            }
            last => return Ok(last),
        }
    }
}

async fn timed<T>(
    directory: &Path,
    patience: Duration,
    what: impl Future<Output = T>,
) -> Result<T, ControlError> {
    timeout(patience, what)
        .await
        .map_err(|_| ControlError::TimedOut {
            directory: directory.to_owned(),
            waited: patience,
        })
}

fn lost(directory: &Path, error: &dyn std::fmt::Display) -> ControlError {
    ControlError::Lost {
        directory: directory.to_owned(),
        why: error.to_string(),
    }
}

fn odd(directory: &Path, reply: &Reply) -> ControlError {
    lost(
        directory,
        &format!("it gave an answer that does not belong here: {reply:?}"),
    )
}
