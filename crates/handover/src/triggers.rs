//! What asks for a handover from outside: signals and files.
//!
//! There is one place for what was asked and not taken yet. Whatever comes while it is occupied is folded into it and counted, so
//! nothing piles up, and a signal sent five times in a row means one handover. (The kernel and the runtime fold signals
//! too, before they can be counted: the count is the least that was asked.)
//!
//! A file asks when it appears, is replaced, written or touched; its removal asks for nothing. The kernel's notices make that quick, but
//! what decides is a comparison of the file with what it was, made now and then in any case, since on some file systems
//! there are no notices.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::inotify;
use tokio::io::Interest;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::Monotonic;
use crate::sys::Registered;

/// How often a file is looked at when no notice comes.
const LOOK: Duration = Duration::from_secs(2);

/// How long a file must have stayed as it is: whoever replaces it may need more than one step.
const SETTLED: Duration = Duration::from_millis(50);

/// How often a file is looked at again that does not settle, before it counts as changed anyway.
const UNSETTLED_LOOKS: usize = 40;

/// What may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A signal's number.
    Signal(i32),
    /// A file that is touched or replaced.
    File(PathBuf),
}

impl Source {
    /// SIGUSR2, which asks nginx and `HAProxy` for the same.
    pub(crate) fn usual() -> Self {
        Self::Signal(SignalKind::user_defined2().as_raw_value())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(number) => {
                let kinds = [
                    (SignalKind::user_defined1(), "SIGUSR1"),
                    (SignalKind::user_defined2(), "SIGUSR2"),
                    (SignalKind::hangup(), "SIGHUP"),
                    (SignalKind::quit(), "SIGQUIT"),
                ];
                match kinds
                    .iter()
                    .find(|(kind, _)| kind.as_raw_value() == *number)
                {
                    Some((_, name)) => f.write_str(name),
                    None => write!(f, "signal {number}"),
                }
            }
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

/// Somebody asks for a handover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trigger {
    /// Who asked first.
    pub(crate) source: Source,
    /// When that was.
    pub(crate) at: Monotonic,
    /// How many more times it was asked, by whatever source, before this was taken.
    pub(crate) more: u32,
}

/// Why a source cannot be listened to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TriggerError {
    #[error("catching signal {number} to hand over on it: {source}")]
    Signal { number: i32, source: io::Error },
    #[error("watching {} to hand over when it changes: it needs a directory and a file name", path.display())]
    File { path: PathBuf },
}

/// The sources that are listened to, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Triggers {
    slot: Arc<Slot>,
    // Ends the listeners when dropped.
    _listeners: JoinSet<()>,
}

impl Triggers {
    /// Listens to sources, within a tokio runtime. What has happened before asks for nothing.
    pub(crate) fn listen(sources: &[Source]) -> Result<Self, TriggerError> {
        let slot = Arc::new(Slot::default());
        let mut listeners = JoinSet::new();
        for source in sources {
            match source {
                Source::Signal(number) => {
                    let signals = signal(SignalKind::from_raw(*number)).map_err(|source| {
                        TriggerError::Signal {
                            number: *number,
                            source,
                        }
                    })?;
                    listeners.spawn(on_signals(signals, source.clone(), slot.clone()));
                }
                Source::File(path) => {
                    let file = Watched::new(path)?;
                    listeners.spawn(on_changes(file, source.clone(), slot.clone()));
                }
            }
        }
        Ok(Self {
            slot,
            _listeners: listeners,
        })
    }

    /// Waits until a handover is asked for. May be cancelled without loss.
    pub(crate) async fn next(&mut self) -> Trigger {
        loop {
            if let Some(trigger) = self.slot.take() {
                return trigger;
            }
            self.slot.filled.notified().await;
        }
    }
}

#[derive(Debug, Default)]
struct Slot {
    pending: Mutex<Option<Trigger>>,
    filled: Notify,
}

impl Slot {
    fn ask(&self, source: &Source) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = pending.as_mut() {
            first.more = first.more.saturating_add(1);
            info!(by = %source, first = %first.source, more = first.more,
                "a handover is asked for again before the first request was taken; they count as one");
            return;
        }
        *pending = Some(Trigger {
            source: source.clone(),
            at: Monotonic::now(),
            more: 0,
        });
        self.filled.notify_one();
    }

    fn take(&self) -> Option<Trigger> {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

async fn on_signals(mut signals: Signal, source: Source, slot: Arc<Slot>) {
    while signals.recv().await.is_some() {
        slot.ask(&source);
    }
}

async fn on_changes(mut file: Watched, source: Source, slot: Arc<Slot>) {
    loop {
        file.changed().await;
        slot.ask(&source);
    }
}

/// What tells one state of a file from another. The time of change is in it, so a replacement by a file of the same
/// age and size is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Whether a file that was so and is now so asks for a handover.
fn asks(before: Option<Stamp>, now: Option<Stamp>) -> bool {
    now.is_some() && now != before
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    seen: Option<Stamp>,
    notices: Option<Registered>,
    look: Duration,
}

impl Watched {
    fn new(path: &Path) -> Result<Self, TriggerError> {
        let unusable = || TriggerError::File {
            path: path.to_owned(),
        };
        // The process may change its directory later.
        let path = std::path::absolute(path).map_err(|_| unusable())?;
        let parent = path.parent().filter(|parent| parent.is_dir());
        let (Some(parent), Some(_)) = (parent, path.file_name()) else {
            return Err(unusable());
        };
        let notices = notices(parent)
            .inspect_err(|error| {
                warn!(directory = %parent.display(), %error,
                    "no notices of changes to files; looking every {} seconds instead", LOOK.as_secs());
            })
            .ok();
        Ok(Self {
            seen: stamp(&path),
            path,
            notices,
            look: LOOK,
        })
    }

    async fn changed(&mut self) {
        loop {
            self.noticed().await;
            let before = self.seen;
            self.seen = self.settled().await;
            if asks(before, self.seen) {
                return;
            }
        }
    }

    // Waits for a notice, or until it is time to look anyway.
    async fn noticed(&self) {
        let Some(notices) = &self.notices else {
            return tokio::time::sleep(self.look).await;
        };
        if let Ok(Ok(mut ready)) = tokio::time::timeout(self.look, notices.readable()).await {
            let mut unread = [0; 4096];
            // What the notices say does not matter: the file is looked at.
            while rustix::io::read(notices, &mut unread).is_ok_and(|length| length > 0) {}
            ready.clear_ready();
        }
    }

    async fn settled(&self) -> Option<Stamp> {
        let mut last = stamp(&self.path);
        for _ in 0..UNSETTLED_LOOKS {
            if last == self.seen {
                break;
            }
            tokio::time::sleep(SETTLED).await;
            let now = stamp(&self.path);
            if now == last {
                break;
            }
            last = now;
        }
        last
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some(Stamp {
        inode: (file.dev(), file.ino()),
        size: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
}

fn notices(directory: &Path) -> io::Result<Registered> {
    use inotify::{CreateFlags, WatchFlags};
    let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let changes =
        WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB | WatchFlags::CREATE;
    inotify::add_watch(&watcher, directory, changes | WatchFlags::ONLYDIR)?;
    Registered::new(Arc::new(watcher), Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(10);

    async fn next(triggers: &mut Triggers) -> Trigger {
        timeout(SOON, triggers.next()).await.expect("it is asked")
    }

    #[tokio::test]
    async fn requests_are_folded_until_taken() {
        let slot = Slot::default();
        assert_eq!(slot.take(), None);
        let file = Source::File("/x".into());
        slot.ask(&Source::usual());
        slot.ask(&Source::usual());
        slot.ask(&file);
        let first = slot.take().unwrap();
        assert_eq!((first.source, first.more), (Source::usual(), 2));
        slot.ask(&file);
        let second = slot.take().unwrap();
        assert_eq!((second.source, second.more), (file, 0));
    }

    // One test for all that has to do with signals: they go to the whole process.
    #[tokio::test]
    async fn signals_ask_and_say_which() {
        let (first, second) = (Signal::USR2.as_raw(), Signal::URG.as_raw());
        let sources = [Source::Signal(first), Source::Signal(second)];
        let mut triggers = Triggers::listen(&sources).unwrap();
        for (signal, source) in [(Signal::USR2, &sources[0]), (Signal::URG, &sources[1])] {
            kill_process(getpid(), signal).unwrap();
            assert_eq!(&next(&mut triggers).await.source, source);
        }
        assert_eq!(sources[0], Source::usual());
        assert_eq!(sources[0].to_string(), "SIGUSR2");
        assert_eq!(sources[1].to_string(), format!("signal {second}"));
        let error = Triggers::listen(&[Source::Signal(9)]).unwrap_err();
        assert!(error.to_string().contains("signal 9"), "{error}");
    }

    #[tokio::test]
    async fn a_file_asks_when_it_appears_is_replaced_or_touched_and_not_when_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("restart");
        let source = Source::File(path.clone());
        let mut triggers = Triggers::listen(std::slice::from_ref(&source)).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(next(&mut triggers).await.source, source);
        let other = dir.path().join("other");
        fs::write(&other, "new").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(next(&mut triggers).await.source, source);
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        assert_eq!(next(&mut triggers).await.source, source);

        let gone = stamp(&path);
        fs::remove_file(&path).unwrap();
        assert!(!asks(gone, stamp(&path)));
        assert!(asks(None, gone));
        assert!(!asks(gone, gone));
    }

    #[tokio::test]
    async fn looking_alone_finds_it_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("restart");
        let mut file = Watched::new(&path).unwrap();
        (file.notices, file.look) = (None, Duration::from_millis(5));
        fs::write(&path, "").unwrap();
        timeout(SOON, file.changed()).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_without_a_directory_is_refused() {
        for bad in ["/no/such/directory/file", "/"] {
            let source = Source::File(bad.into());
            let error = Triggers::listen(&[source]).unwrap_err();
            assert!(error.to_string().contains("needs a directory"), "{error}");
        }
    }
}
