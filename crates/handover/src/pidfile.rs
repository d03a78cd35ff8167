//! The file that names the process to signal.
//!
//! It is replaced in one step, so a reader finds a whole number, the old one or the new. Each generation touches only what it wrote
//! itself: the file's inode and its content must both be its own. The content alone would not do, since in two containers
//! both generations may be process 1.
//!
//! In staged mode the two names are nginx's: the predecessor's file becomes `<name>.oldbin` before the successor starts, and comes back
//! if the successor goes.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The longest pid file that is read, in bytes.
const LIMIT: u64 = 64;

/// Why a pid file could not be dealt with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PidFileError {
    #[error("the pid file {} has no file name", path.display())]
    Name { path: PathBuf },
    #[error("writing the pid file {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("renaming the pid file {} to {}: {source}", from.display(), to.display())]
    Rename {
        from: PathBuf,
        to: PathBuf,
        source: io::Error,
    },
    #[error("reading the pid file {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("removing the pid file {}: {source}", path.display())]
    Remove { path: PathBuf, source: io::Error },
}

/// A pid file that this process has written.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    pid: u32,
    // Held open, so that no other file can come by the inode's number.
    file: fs::File,
}

impl PidFile {
    /// Writes the file, in the place of whatever stood there.
    pub(crate) fn write(path: &Path, pid: u32) -> Result<Self, PidFileError> {
        let name = path.file_name().ok_or_else(|| PidFileError::Name {
            path: path.to_owned(),
        })?;
        let aside = aside(path, name, pid);
        let wrote = || -> io::Result<fs::File> {
            // A crash may have left one of the same name.
            let _ = fs::remove_file(&aside);
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o644)
                .open(&aside)?;
            writeln!(file, "{pid}")?;
            fs::rename(&aside, path)?;
            Ok(file)
        };
        match wrote() {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                pid,
                file,
            }),
            Err(source) => {
                let _ = fs::remove_file(&aside);
                Err(PidFileError::Write {
                    path: path.to_owned(),
                    source,
                })
            }
        }
    }

    /// The name the file has while its writer's successor runs in staged mode.
    pub(crate) fn oldbin(&self) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(".oldbin");
        path.into()
    }

    /// Gives the name free for the successor: `pid` becomes `pid.oldbin`. Without effect if the file is not ours.
    pub(crate) fn step_aside(&self) -> Result<(), PidFileError> {
        self.rename(&self.path, &self.oldbin())
    }

    /// Takes the name back from a successor that has ended: `pid.oldbin` becomes `pid`. If the file did not step aside it is written anew,
    /// since the successor put its own in its place.
    pub(crate) fn come_back(&mut self) -> Result<(), PidFileError> {
        if self.is_ours(&self.oldbin())? {
            self.rename(&self.oldbin(), &self.path)
        } else if self.is_ours(&self.path)? {
            Ok(())
        } else {
            *self = Self::write(&self.path, self.pid)?;
            Ok(())
        }
    }

    /// Removes what is ours of the two names, and nothing else.
    pub(crate) fn remove(self) -> Result<(), PidFileError> {
        for path in [&self.path, &self.oldbin()] {
            self.remove_at(path)?;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), PidFileError> {
        if !self.is_ours(from)? {
            return Ok(());
        }
        fs::rename(from, to).map_err(|source| PidFileError::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            source,
        })
    }

    // Between the look and the removal a successor may have put its own file there. So the file is first taken aside, looked at again,
    // and put back if it is not ours.
    fn remove_at(&self, path: &Path) -> Result<(), PidFileError> {
        if !self.is_ours(path)? {
            return Ok(());
        }
        let name = path.file_name().unwrap_or_default();
        let aside = aside(path, name, self.pid);
        let removed = || -> io::Result<()> {
            match fs::rename(path, &aside) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => other?,
            }
            if !self.is_this(&fs::metadata(&aside)?)? {
                match fs::hard_link(&aside, path) {
                    Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                    _ => {}
                }
            }
            fs::remove_file(&aside)
        };
        removed().map_err(|source| PidFileError::Remove {
            path: path.to_owned(),
            source,
        })
    }

    fn is_ours(&self, path: &Path) -> Result<bool, PidFileError> {
        let read = || -> io::Result<bool> {
            let file = fs::File::open(path)?;
            let mut text = String::new();
            let is_this = self.is_this(&file.metadata()?)?;
            file.take(LIMIT).read_to_string(&mut text)?;
            Ok(is_this && text.trim().parse() == Ok(self.pid))
        };
        match read() {
            Ok(ours) => Ok(ours),
            // No file, or something that is no pid file: not ours.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidData
                ) =>
            {
                Ok(false)
            }
            Err(source) => Err(PidFileError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn is_this(&self, other: &fs::Metadata) -> io::Result<bool> {
        let own = self.file.metadata()?;
        Ok((own.dev(), own.ino()) == (other.dev(), other.ino()))
    }
}

fn aside(path: &Path, name: &std::ffi::OsStr, pid: u32) -> PathBuf {
    let mut aside = OsString::from(".");
    aside.push(name);
    aside.push(format!(".{pid}"));
    path.with_file_name(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<(String, String)> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, text.trim().to_owned())
            })
            .collect();
        names.sort();
        names
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        pairs.collect()
    }

    #[test]
    fn staged_upgrade_and_both_ways_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let old = PidFile::write(&path, 10).unwrap();
        old.step_aside().unwrap();
        let new = PidFile::write(&path, 11).unwrap();
        assert_eq!(
            names(dir.path()),
            pairs(&[("pid", "11"), ("pid.oldbin", "10")])
        );
        old.remove().unwrap();
        assert_eq!(names(dir.path()), pairs(&[("pid", "11")]));
        new.remove().unwrap();
        assert_eq!(names(dir.path()), []);
    }

    #[test]
    fn rolled_back_the_old_name_returns_even_over_what_a_killed_successor_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let mut old = PidFile::write(&path, 10).unwrap();
        for successor_is_killed in [false, true] {
            old.step_aside().unwrap();
            let new = PidFile::write(&path, 11).unwrap();
            if !successor_is_killed {
                new.remove().unwrap();
            }
            old.come_back().unwrap();
            assert_eq!(names(dir.path()), pairs(&[("pid", "10")]));
        }
        old.come_back().unwrap();
        assert_eq!(names(dir.path()), pairs(&[("pid", "10")]));
    }

    #[test]
    fn the_name_returns_even_if_it_was_not_given_free() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let mut old = PidFile::write(&path, 10).unwrap();
        for successor_is_killed in [false, true] {
            let new = PidFile::write(&path, 11).unwrap();
            if !successor_is_killed {
                new.remove().unwrap();
            }
            old.come_back().unwrap();
            assert_eq!(names(dir.path()), pairs(&[("pid", "10")]));
        }
        old.remove().unwrap();
        assert_eq!(names(dir.path()), []);
    }

    #[test]
    fn what_another_wrote_stays_even_with_the_same_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let old = PidFile::write(&path, 1).unwrap();
        let new = PidFile::write(&path, 1).unwrap();
        old.step_aside().unwrap();
        old.remove().unwrap();
        assert_eq!(names(dir.path()), pairs(&[("pid", "1")]));
        fs::write(&path, "garbage").unwrap();
        new.remove().unwrap();
        assert_eq!(names(dir.path()), pairs(&[("pid", "garbage")]));
    }

    #[test]
    fn a_file_that_is_gone_is_no_error_and_a_directory_that_is_gone_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::write(&path, 10).unwrap();
        fs::remove_file(&path).unwrap();
        file.step_aside().unwrap();
        file.remove().unwrap();
        let error = PidFile::write(&dir.path().join("none/pid"), 1).unwrap_err();
        assert!(error.to_string().contains("none/pid"), "{error}");
        assert!(PidFile::write(Path::new("/"), 1).is_err());
    }

    #[test]
    fn a_reader_never_sees_half_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        drop(PidFile::write(&path, 1_234_567).unwrap());
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for _ in 0..500 {
                    drop(PidFile::write(&path, 1_234_567).unwrap());
                }
            });
            while !writer.is_finished() {
                assert_eq!(fs::read_to_string(&path).unwrap(), "1234567\n");
            }
        });
    }
}
