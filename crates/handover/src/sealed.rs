//! State on its way to the next process: a memory file that nobody can change any more.
//!
//! A pipe holds 64 KiB and couples the two processes' speeds; a sealed memfd holds any size, is written once, and is read in
//! place. The seals are what makes it safe to read what another process wrote: not even the writer can change it now.

use std::fs::File;
use std::io::{self, BufWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};
use thiserror::Error;

use crate::sys::{self, Mapped, SEALS};

/// Serialisers write a few bytes at a time; this many go to the kernel at once.
const BUFFER: usize = 256 * 1024;

/// Bytes in a memory file that is sealed against every change.
#[derive(Debug)]
pub(crate) struct Sealed {
    memfd: OwnedFd,
    len: u64,
}

/// Why a descriptor is not the state that was announced.
#[derive(Debug, Error)]
pub enum SealedError {
    /// It has no seals at all: it is not a memory file.
    #[error("the descriptor is not a sealed memory file")]
    NotSealable {
        /// The kernel's answer.
        source: io::Error,
    },
    /// It can still be changed.
    #[error("the memory file can still be changed: it lacks the seals {missing}")]
    Unsealed {
        /// The seals that are missing.
        missing: String,
    },
    /// It has another size.
    #[error("the memory file holds {found} bytes, {expected} were announced")]
    Length {
        /// Bytes announced.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// It is larger than this process takes.
    #[error("the memory file holds {found} bytes, over the limit of {limit}")]
    TooLarge {
        /// Bytes there are.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The kernel refused to tell.
    #[error("cannot inspect the memory file")]
    Inspect {
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Sealed {
    /// A memory file with what `write` writes to it. `name` shows in `/proc/<pid>/fd` and has no other meaning.
    ///
    /// Writes are buffered; `write` need not do so.
    pub(crate) fn write<F>(name: &str, write: F) -> io::Result<Self>
    where
        F: FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    {
        let mut writer = BufWriter::with_capacity(BUFFER, File::from(create(name)?));
        write(&mut writer)?;
        let file = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        fcntl_add_seals(&file, SEALS | SealFlags::SEAL)?;
        let len = file.metadata()?.len();
        Ok(Self {
            memfd: file.into(),
            len,
        })
    }

    /// Takes a descriptor that came from another process, if it is sealed, of `expected` bytes, and not over `limit` bytes.
    pub(crate) fn check(memfd: OwnedFd, expected: u64, limit: u64) -> Result<Self, SealedError> {
        let seals = fcntl_get_seals(&memfd).map_err(|errno| SealedError::NotSealable {
            source: errno.into(),
        })?;
        let missing = SEALS.difference(seals);
        if !missing.is_empty() {
            return Err(SealedError::Unsealed {
                missing: format!("{missing:?}"),
            });
        }
        let stat = fstat(&memfd).map_err(|errno| SealedError::Inspect {
            source: errno.into(),
        })?;
        let found = u64::try_from(stat.st_size).expect("a file has no negative size");
        if found > limit {
            return Err(SealedError::TooLarge { found, limit });
        }
        if found != expected {
            return Err(SealedError::Length { expected, found });
        }
        Ok(Self { memfd, len: found })
    }

    /// The bytes, read in place.
    pub(crate) fn read(&self) -> io::Result<Mapped> {
        sys::map_sealed(self.memfd.as_fd())
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }
}

impl AsFd for Sealed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memfd.as_fd()
    }
}

impl From<Sealed> for OwnedFd {
    fn from(sealed: Sealed) -> Self {
        sealed.memfd
    }
}

fn create(name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 can be told to refuse memory files that might be executed; older ones do not know the flag.
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(rustix::io::Errno::INVAL) => memfd_create(name, flags),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pattern(len: usize) -> Vec<u8> {
        (0..=250).cycle().take(len).collect()
    }

    fn handed_over(sealed: &Sealed) -> OwnedFd {
        sealed.as_fd().try_clone_to_owned().expect("a duplicate")
    }

    #[test]
    fn any_size_comes_back_as_it_was_written() {
        for len in [0, 1, 4096, 64 * 1024 + 1, 100 * 1024 * 1024] {
            let bytes = pattern(len);
            let sealed = Sealed::write("state", |out| out.write_all(&bytes)).expect("written");
            assert_eq!(sealed.len(), len as u64);
            let taken =
                Sealed::check(handed_over(&sealed), len as u64, len as u64).expect("as announced");
            drop(sealed);
            assert!(
                *taken.read().expect("mapped") == *bytes,
                "{len} bytes differ"
            );
        }
    }

    #[test]
    fn nobody_can_change_it() {
        let sealed = Sealed::write("state", |out| out.write_all(b"abc")).expect("written");
        let file = File::from(handed_over(&sealed));
        assert!((&file).write_all(b"x").is_err());
        assert!(file.set_len(1).is_err());
        assert!(file.set_len(9).is_err());
        assert!(fcntl_add_seals(&file, SealFlags::FUTURE_WRITE).is_err());
    }

    #[test]
    fn what_is_not_as_announced_is_refused() {
        let check = |fd: OwnedFd, expected, limit| {
            Sealed::check(fd, expected, limit).expect_err("it must be refused")
        };
        let sealed = Sealed::write("state", |out| out.write_all(b"abc")).expect("written");
        assert!(matches!(
            check(handed_over(&sealed), 4, 9),
            SealedError::Length {
                expected: 4,
                found: 3
            }
        ));
        assert!(matches!(
            check(handed_over(&sealed), 3, 2),
            SealedError::TooLarge { found: 3, limit: 2 }
        ));

        let file = tempfile::tempfile().expect("a temporary file");
        assert!(matches!(
            check(file.into(), 0, 9),
            SealedError::NotSealable { .. } | SealedError::Unsealed { .. }
        ));

        let open = create("open").expect("a memory file");
        fcntl_add_seals(&open, SealFlags::SHRINK | SealFlags::GROW).expect("sealed in part");
        let error = check(open.try_clone().expect("a duplicate"), 0, 9);
        assert!(error.to_string().contains("WRITE"), "{error}");
        assert!(sys::map_sealed(open.as_fd()).is_err());
    }

    #[test]
    fn an_error_of_the_writer_is_passed_on() {
        let error = Sealed::write("state", |_| Err(io::Error::other("cannot encode")))
            .expect_err("the writer failed");
        assert_eq!(error.to_string(), "cannot encode");
    }
}
