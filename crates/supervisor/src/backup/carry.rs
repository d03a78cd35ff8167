//! One file from one tree to another: linked, cloned or copied, and then the same in all that is
//! kept.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use blake3::Hash;
use rustix::fs::{OFlags, ioctl_ficlone};
use rustix::io::Errno;

use super::content::{self, Cut, Scratch};
use super::error::{BackupError, Change, Doing};
use super::flush::Flush;
use super::progress::Meter;
use super::tree::{Node, Seen};

/// How one file is carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum How {
    /// By a second name.
    Linked,
    /// By sharing its blocks until one is written to.
    Cloned,
    /// By writing it again.
    Copied,
}

/// One file to carry.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) node: &'a Node,
    pub(crate) how: How,
    /// Fail rather than copy what cannot be linked or cloned.
    pub(crate) strict: bool,
    /// What its content must hash to.
    pub(crate) expect: Option<Hash>,
}

/// A file carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) how: How,
    /// Of its content, if it was read.
    pub(crate) hash: Option<Hash>,
    /// Why it was not carried as ordered.
    pub(crate) instead: Option<String>,
}

/// What is the same for every file of a transfer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) from: &'a Path,
    pub(crate) to: &'a Path,
    /// Give files to their owners.
    pub(crate) owner: bool,
    pub(crate) flush: Flush,
}

impl Order<'_> {
    /// Bytes that will be read or written.
    pub(crate) fn bytes(&self) -> u64 {
        if self.how == How::Copied || self.expect.is_some() {
            self.node.seen.size.min(self.node.seen.allocated)
        } else {
            0
        }
    }

    /// Carries the file.
    pub(crate) fn carry(
        &self,
        way: Way<'_>,
        scratch: &mut Scratch,
        meter: &Meter,
    ) -> Result<Carried, BackupError> {
        let from = way.from.join(&self.node.rel);
        let to = way.to.join(&self.node.rel);
        let tried = match self.how {
            How::Linked => self.link(&from, &to, scratch, meter)?,
            How::Cloned => self.clone_file(&from, &to, way, scratch, meter)?,
            How::Copied => Err(None),
        };
        match tried {
            Ok(hash) => Ok(Carried {
                how: self.how,
                hash,
                instead: None,
            }),
            Err(instead) => {
                let hash = self.copy(&from, &to, way, scratch, meter)?;
                Ok(Carried {
                    how: How::Copied,
                    hash: Some(hash),
                    instead,
                })
            }
        }
    }

    fn link(
        &self,
        from: &Path,
        to: &Path,
        scratch: &mut Scratch,
        meter: &Meter,
    ) -> Result<Tried, BackupError> {
        if let Err(error) = link(from, to) {
            return self.instead(from, "linking", error);
        }
        // The name may have been given to another file since the scan.
        let linked = fs::symlink_metadata(to).doing("looking at", to)?;
        self.unchanged(from, Some(&Seen::of(&linked)))?;
        match self.expect {
            Some(_) => {
                let file = self.open(from)?;
                let hash = self.read(&file, from, scratch, meter)?;
                Ok(Ok(Some(hash)))
            }
            None => Ok(Ok(None)),
        }
    }

    fn clone_file(
        &self,
        from: &Path,
        to: &Path,
        way: Way<'_>,
        scratch: &mut Scratch,
        meter: &Meter,
    ) -> Result<Tried, BackupError> {
        let source = self.open(from)?;
        let target = create(to)?;
        if self.node.seen.size > 0
            && let Err(error) = ioctl_ficlone(&target, &source)
        {
            drop(target);
            fs::remove_file(to).doing("removing", to)?;
            return self.instead(from, "cloning", error);
        }
        let hash = match self.expect {
            Some(_) => Some(self.read(&source, from, scratch, meter)?),
            None => None,
        };
        self.unchanged_file(from, &source)?;
        self.finish(&target, to, way)?;
        Ok(Ok(hash))
    }

    fn copy(
        &self,
        from: &Path,
        to: &Path,
        way: Way<'_>,
        scratch: &mut Scratch,
        meter: &Meter,
    ) -> Result<Hash, BackupError> {
        let source = self.open(from)?;
        let target = create(to)?;
        let seen = self.node.seen;
        fault!("backup::copy", to);
        let hash = content::copy(
            &source,
            &target,
            seen.size,
            seen.is_sparse(),
            scratch,
            meter,
        );
        let hash = self.checked(hash, from, to)?;
        self.unchanged_file(from, &source)?;
        self.finish(&target, to, way)?;
        Ok(hash)
    }

    /// Gives a file that was written all that is kept.
    fn finish(&self, target: &File, to: &Path, way: Way<'_>) -> Result<(), BackupError> {
        self.node
            .attrs
            .give(target, way.owner)
            .doing("setting owner, mode and times of", to)?;
        way.flush
            .file(target, self.node.seen.size)
            .doing("flushing", to)
    }

    /// Reads a file that is shared, to see whether it is what it must be.
    fn read(
        &self,
        file: &File,
        from: &Path,
        scratch: &mut Scratch,
        meter: &Meter,
    ) -> Result<Hash, BackupError> {
        let seen = self.node.seen;
        let hash = content::hash(file, seen.size, seen.is_sparse(), scratch, meter);
        self.checked(hash, from, from)
    }

    /// Opens the file and sees that it is the one of the scan.
    fn open(&self, from: &Path) -> Result<File, BackupError> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        let file = match OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags).expect("open flags fit an i32"))
            .open(from)
        {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(changed(from, Change::Vanished));
            }
            Err(e) => return Err(BackupError::at("opening", from, e)),
        };
        self.unchanged_file(from, &file)?;
        Ok(file)
    }

    fn unchanged_file(&self, from: &Path, file: &File) -> Result<(), BackupError> {
        let now = Seen::of(&file.metadata().doing("looking at", from)?);
        self.unchanged(from, Some(&now))
    }

    fn unchanged(&self, from: &Path, now: Option<&Seen>) -> Result<(), BackupError> {
        match self.node.seen.change(now) {
            None => Ok(()),
            Some(change) => Err(changed(from, change)),
        }
    }

    fn checked(
        &self,
        hash: Result<Hash, Cut>,
        from: &Path,
        to: &Path,
    ) -> Result<Hash, BackupError> {
        match hash {
            Ok(hash) => match self.expect {
                Some(expect) if expect != hash => Err(BackupError::Damaged {
                    path: from.to_owned(),
                    why: format!("its content hashes to {hash}, not to {expect}"),
                }),
                _ => Ok(hash),
            },
            Err(Cut::Read(e)) => Err(BackupError::at("reading", from, e)),
            Err(Cut::Write(e)) => Err(BackupError::at("writing", to, e)),
            Err(Cut::Short(to)) => {
                let from_size = self.node.seen.size;
                Err(changed(
                    from,
                    Change::Shrank {
                        from: from_size,
                        to,
                    },
                ))
            }
            Err(Cut::Stopped) => Err(BackupError::Cancelled),
        }
    }

    /// Whether to copy a file that could not be shared.
    fn instead(
        &self,
        from: &Path,
        doing: &'static str,
        error: Errno,
    ) -> Result<Tried, BackupError> {
        if error == Errno::NOENT {
            return Err(changed(from, Change::Vanished));
        }
        if self.strict || !means_cannot(error) {
            return Err(BackupError::at(doing, from, error.into()));
        }
        Ok(Err(Some(io::Error::from(error).to_string())))
    }
}

fn changed(path: &Path, change: Change) -> BackupError {
    let path = path.to_owned();
    BackupError::Changed { path, change }
}

/// The hash if the file was read, or why it could not be shared.
type Tried = Result<Option<Hash>, Option<String>>;

/// Gives a file a second name; a symlink is not followed.
pub(crate) fn link(from: &Path, to: &Path) -> rustix::io::Result<()> {
    rustix::fs::link(from, to)
}

/// Errors that say "not between these two" rather than "something is wrong": other file systems,
/// no such ability, `fs.protected_hardlinks`, too many links of one file, swap files.
pub(crate) fn means_cannot(error: Errno) -> bool {
    matches!(
        error,
        Errno::XDEV
            | Errno::OPNOTSUPP
            | Errno::NOTTY
            | Errno::NOSYS
            | Errno::INVAL
            | Errno::PERM
            | Errno::MLINK
            | Errno::TXTBSY
    )
}

/// A new file that nobody else can read until it has its mode.
pub(crate) fn create(to: &Path) -> Result<File, BackupError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .doing("creating", to)
}
