//! Where the generations of one server find each other.
//!
//! The control directory belongs to one user and nobody else may enter it. In it:
//!
//! | name | what |
//! |---|---|
//! | `generation-N.sock` | the socket on which generation N is asked |
//! | `current` | a link to the socket of the generation that owns everything; replaced at the commit, in one step |
//! | `lock` | locked by a process that starts afresh, from before it looks for an owner until it is one |
//!
//! A socket appears under its name only once somebody listens on it, and never takes another's place. So a name that nobody answers
//! is what a dead process left, and can be removed. Numbers only go up while there is anything in the directory.
//!
//! The kernel drops both kinds of locks used here with the process that holds them. Addresses of sockets are limited to 107 bytes; the
//! directory is therefore addressed through its descriptor, whatever the length of its path.

mod socket;
mod start_lock;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

pub use self::start_lock::StartLock;

/// The link to the owner's socket.
const CURRENT: &str = "current";

/// The file that fresh starters lock.
const LOCK: &str = "lock";

/// The highest number of entries that are looked at; a control directory holds few.
const ENTRIES: usize = 4096;

/// How often a number is chosen anew because another process took it first.
const ATTEMPTS: usize = 64;

/// Why a control directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// There is no such directory.
    #[error("there is no control directory {}; is it the one that the server was given, and has the server run?", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Other users could enter it or write to it, and so take over listeners.
    #[error("the control directory {} has mode {mode:04o}, which lets others in; make it the server's own: chmod 700 {}, or RuntimeDirectoryMode=0700 in its systemd unit", path.display(), path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to another user.
    #[error("the control directory {} belongs to user {owner}, and this process runs as user {user}; give the server a directory of its own", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs this process.
        user: u32,
    },
    /// An operation on it failed.
    #[error("{doing} in the control directory {}: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What was being done, to what.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process starts afresh and takes its time.
    #[error("waited {} seconds for {} that starts in the control directory {}; see why it does not become ready, or end it", waited.as_secs(), holder(*pid), path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that starts, if it can be told.
        pid: Option<u32>,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// A generation listens but has no room for one more who asks.
    #[error("generation {generation} in the control directory {} has its queue of requests full; see why it does not take them", path.display())]
    Full {
        /// The directory.
        path: PathBuf,
        /// The generation.
        generation: u64,
    },
    /// No number could be had, or too much lies in the directory.
    #[error("the control directory {} holds {what}, over the limit of {limit}; remove what does not belong there", path.display())]
    Limit {
        /// The directory.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Nobody answers on any socket that could be the owner's.
    #[error("nobody serves in the control directory {}; start the server first", path.display())]
    Nobody {
        /// The directory.
        path: PathBuf,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

/// One generation's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is.
    pub generation: u64,
    /// Whether `current` leads to it.
    pub current: bool,
    /// Whether a process listens on it. If not, the generation died without clearing up.
    pub alive: bool,
}

/// A control directory, held open.
#[derive(Debug)]
pub struct ControlDirectory {
    path: PathBuf,
    directory: OwnedFd,
}

impl ControlDirectory {
    /// For a server: makes the directory with mode 0700 if it is missing (its parent must exist), and refuses one that others may enter or
    /// write to, or that belongs to another user.
    pub fn prepare(path: &Path) -> Result<Self, DirectoryError> {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => {
                return Err(DirectoryError::Io {
                    path: path.to_owned(),
                    doing: "making the directory".to_owned(),
                    source: errno.into(),
                });
            }
        }
        let this = Self::open(path)?;
        let stat = rustix::fs::fstat(&this.directory)
            .map_err(|errno| this.failed("looking at who may enter", errno))?;
        let user = rustix::process::geteuid().as_raw();
        if stat.st_uid != user {
            return Err(DirectoryError::Foreign {
                path: path.to_owned(),
                owner: stat.st_uid,
                user,
            });
        }
        let mode = stat.st_mode & 0o7777;
        if mode & 0o033 != 0 {
            return Err(DirectoryError::Open {
                path: path.to_owned(),
                mode,
            });
        }
        Ok(this)
    }

    /// For one who asks: the directory as it is.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(directory) => Ok(Self {
                path: path.to_owned(),
                directory,
            }),
            Err(Errno::NOENT) => Err(DirectoryError::Missing {
                path: path.to_owned(),
            }),
            Err(errno) => Err(DirectoryError::Io {
                path: path.to_owned(),
                doing: "opening it as a directory".to_owned(),
                source: errno.into(),
            }),
        }
    }

    /// Its path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a number that is higher than any here and listens on its socket (`SOCK_SEQPACKET`, non-blocking). Connections queue until they
    /// are accepted, but nobody is led here before [`make_current`](Self::make_current).
    pub fn listen(&self) -> Result<(u64, OwnedFd), DirectoryError> {
        for _ in 0..ATTEMPTS {
            let generation = self.highest()?.saturating_add(1);
            if let Some(listener) = self.listen_as(generation)? {
                return Ok((generation, listener));
            }
        }
        Err(DirectoryError::Limit {
            path: self.path.clone(),
            what: "numbers that others took first",
            limit: ATTEMPTS,
        })
    }

    /// Listens as this generation; `None` if the number is taken.
    pub fn listen_as(&self, generation: u64) -> Result<Option<OwnedFd>, DirectoryError> {
        let _guard = self.guard()?;
        let own = socket_name(generation);
        // Bound and listening under a name that nobody looks at, then shown under its own.
        let hidden = format!(".{own}.{}", std::process::id());
        let doing = || format!("listening on {own}");
        let cleared = rustix::fs::unlinkat(&self.directory, &hidden, AtFlags::empty());
        if !matches!(cleared, Ok(()) | Err(Errno::NOENT)) {
            cleared.map_err(|errno| self.failed(doing(), errno))?;
        }
        let listener = socket::listen(&self.directory, &hidden)
            .map_err(|errno| self.failed(doing(), errno))?;
        let shown = rustix::fs::renameat_with(
            &self.directory,
            &hidden,
            &self.directory,
            &own,
            RenameFlags::NOREPLACE,
        );
        match shown {
            Ok(()) => Ok(Some(listener)),
            Err(errno) => {
                let _ = rustix::fs::unlinkat(&self.directory, &hidden, AtFlags::empty());
                match errno {
                    Errno::EXIST => Ok(None),
                    errno => Err(self.failed(doing(), errno)),
                }
            }
        }
    }

    /// Leads those who ask to this generation from now on.
    pub fn make_current(&self, generation: u64) -> Result<(), DirectoryError> {
        let _guard = self.guard()?;
        let target = socket_name(generation);
        let hidden = format!(".{CURRENT}.{}", std::process::id());
        let switched = || -> rustix::io::Result<()> {
            match rustix::fs::unlinkat(&self.directory, &hidden, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            rustix::fs::symlinkat(&target, &self.directory, &hidden)?;
            rustix::fs::renameat(&self.directory, &hidden, &self.directory, CURRENT)
        };
        switched().map_err(|errno| self.failed(format!("switching {CURRENT} to {target}"), errno))
    }

    /// The generation that `current` names, whether it lives or not.
    pub fn current(&self) -> Result<Option<u64>, DirectoryError> {
        match rustix::fs::readlinkat(&self.directory, CURRENT, Vec::new()) {
            Ok(target) => Ok(target.to_str().ok().and_then(generation_of)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed(format!("reading {CURRENT}"), errno)),
        }
    }

    /// Connects to the owner (`SOCK_SEQPACKET`, non-blocking); `None` if nobody answers.
    ///
    /// An owner that was replaced while it was being looked up is asked for again.
    pub fn connect(&self) -> Result<Option<OwnedFd>, DirectoryError> {
        let mut last = None;
        loop {
            let Some(generation) = self.current()? else {
                return Ok(None);
            };
            if last == Some(generation) {
                return Ok(None);
            }
            if let Some(stream) = self.connect_to(generation)? {
                return Ok(Some(stream));
            }
            last = Some(generation);
        }
    }

    /// Connects to one generation; `None` if it does not listen.
    pub fn connect_to(&self, generation: u64) -> Result<Option<OwnedFd>, DirectoryError> {
        let name = socket_name(generation);
        socket::connect(&self.directory, &name).map_err(|errno| match errno {
            Errno::AGAIN => DirectoryError::Full {
                path: self.path.clone(),
                generation,
            },
            errno => self.failed(format!("connecting to {name}"), errno),
        })
    }

    /// The generations that have a socket here, by number. Changes nothing.
    pub fn list(&self) -> Result<Vec<Listed>, DirectoryError> {
        let current = self.current()?;
        let mut listed = Vec::new();
        for generation in self.generations()? {
            listed.push(Listed {
                generation,
                current: current == Some(generation),
                alive: self.is_alive(generation)?,
            });
        }
        Ok(listed)
    }

    /// Removes the sockets that dead generations left; tells which.
    pub fn sweep(&self) -> Result<Vec<u64>, DirectoryError> {
        let _guard = self.guard()?;
        let mut removed = Vec::new();
        for generation in self.generations()? {
            if !self.is_alive(generation)? {
                self.unlink(&socket_name(generation))?;
                removed.push(generation);
            }
        }
        Ok(removed)
    }

    /// Removes this generation's own socket when it ends, and `current` if that still leads to it.
    pub fn leave(&self, generation: u64) -> Result<(), DirectoryError> {
        let _guard = self.guard()?;
        if self.current()? == Some(generation) {
            self.unlink(CURRENT)?;
        }
        self.unlink(&socket_name(generation))
    }

    fn is_alive(&self, generation: u64) -> Result<bool, DirectoryError> {
        let name = socket_name(generation);
        socket::is_listening(&self.directory, &name)
            .map_err(|errno| self.failed(format!("asking whether {name} is alive"), errno))
    }

    fn highest(&self) -> Result<u64, DirectoryError> {
        let highest = self.generations()?.last().copied();
        Ok(highest.max(self.current()?).unwrap_or(0))
    }

    fn generations(&self) -> Result<Vec<u64>, DirectoryError> {
        let failed = |errno| self.failed("listing", errno);
        let mut numbers = Vec::new();
        let entries = rustix::fs::Dir::read_from(&self.directory).map_err(failed)?;
        for (count, entry) in entries.enumerate() {
            if count > ENTRIES {
                return Err(DirectoryError::Limit {
                    path: self.path.clone(),
                    what: "too many entries",
                    limit: ENTRIES,
                });
            }
            let entry = entry.map_err(failed)?;
            numbers.extend(entry.file_name().to_str().ok().and_then(generation_of));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn unlink(&self, name: &str) -> Result<(), DirectoryError> {
        match rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed(format!("removing {name}"), errno)),
        }
    }

    // Changes are made one at a time. A description of its own, since a lock belongs to the description; held for a few system
    // calls, so it is waited for without a deadline.
    fn guard(&self) -> Result<OwnedFd, DirectoryError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let locked = || -> rustix::io::Result<OwnedFd> {
            let own = rustix::fs::openat(&self.directory, ".", flags, Mode::empty())?;
            rustix::io::retry_on_intr(|| rustix::fs::flock(&own, FlockOperation::LockExclusive))?;
            Ok(own)
        };
        locked().map_err(|errno| self.failed("locking it for a change", errno))
    }

    fn failed(&self, doing: impl Into<String>, errno: Errno) -> DirectoryError {
        DirectoryError::Io {
            path: self.path.clone(),
            doing: doing.into(),
            source: errno.into(),
        }
    }
}

fn socket_name(generation: u64) -> String {
    format!("generation-{generation}.sock")
}

fn generation_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("generation-")?.strip_suffix(".sock")?;
    let generation = number.parse().ok()?;
    (socket_name(generation) == name).then_some(generation)
}

#[cfg(test)]
mod tests;
