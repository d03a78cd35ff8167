//! The system calls that Rust cannot check.
//!
//! This is the only module of the workspace with `unsafe` in it. Each function takes away one thing the compiler cannot know
//! (who owns a descriptor number, who may write to a mapping, what runs between fork and exec), checks what can be checked at
//! run time, and gives back a safe type.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FileType, SealFlags, fcntl_get_seals, fstat};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use thiserror::Error;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::describe::Description;

/// The seals without which mapped bytes could change or vanish under a reader.
pub(crate) const SEALS: SealFlags = SealFlags::WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW);

/// The first descriptor number that is not a standard stream.
const FIRST_INHERITED: RawFd = 3;

/// What an inherited descriptor has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A socket of any kind.
    Socket,
    /// Anything that is open.
    Anything,
}

/// Why a descriptor number cannot be adopted.
#[derive(Debug, Error)]
pub enum AdoptError {
    /// The number is one of the standard streams, or negative.
    #[error("descriptor {number} cannot be inherited: numbers start at {FIRST_INHERITED}")]
    Standard {
        /// The number.
        number: RawFd,
    },
    /// Nothing is open under the number.
    #[error("descriptor {number} was to be inherited, but it is not open")]
    NotOpen {
        /// The number.
        number: RawFd,
    },
    /// The descriptor is marked close-on-exec, so it cannot have come through an exec: this process opened it, or adopted it before.
    #[error(
        "descriptor {number} was to be inherited, but this process opened it itself or has adopted it already (it is marked close-on-exec)"
    )]
    NotInherited {
        /// The number.
        number: RawFd,
    },
    /// The descriptor is something else.
    #[error("descriptor {number} was to be a socket, but it is not one")]
    NotASocket {
        /// The number.
        number: RawFd,
    },
    /// The kernel refused a question about the descriptor.
    #[error("cannot inspect the inherited descriptor {number}")]
    Inspect {
        /// The number.
        number: RawFd,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Takes ownership of a descriptor that this process inherited under a known number, and marks it close-on-exec at once.
///
/// Only a descriptor without close-on-exec can have come through an exec; one that has the mark was opened by this process
/// and belongs to someone, so it is refused. A number is therefore adopted at most once.
pub(crate) fn adopt(number: RawFd, expect: Expect) -> Result<OwnedFd, AdoptError> {
    static ADOPTING: Mutex<()> = Mutex::new(());

    if number < FIRST_INHERITED {
        return Err(AdoptError::Standard { number });
    }
    let inspect = |errno: rustix::io::Errno| AdoptError::Inspect {
        number,
        source: errno.into(),
    };
    // Two threads that adopt one number must not both see it without the mark.
    let _alone = ADOPTING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the number is not -1. It is only asked about here; if it is not open, or is closed meanwhile, the kernel answers
    // EBADF and nothing is touched.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = match fcntl_getfd(borrowed) {
        Ok(flags) => flags,
        Err(rustix::io::Errno::BADF) => return Err(AdoptError::NotOpen { number }),
        Err(errno) => return Err(inspect(errno)),
    };
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(AdoptError::NotInherited { number });
    }
    if expect == Expect::Socket {
        let stat = fstat(borrowed).map_err(inspect)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Err(AdoptError::NotASocket { number });
        }
    }
    fcntl_setfd(borrowed, FdFlags::CLOEXEC).map_err(inspect)?;
    // SAFETY: the descriptor is open. It had no close-on-exec mark, so it came through exec (std and every library this crate
    // uses open theirs with the mark) and no value of this process owns it; the mark set above, under the lock, keeps a second
    // call from adopting it again.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What listens under a number of this process; `None` if nothing does, or if the kernel does not tell.
pub(crate) fn describe_listener(number: RawFd) -> Option<Description> {
    if number < 0 {
        return None;
    }
    // SAFETY: the number is not -1, and the kernel is only asked questions about it. Its owner may close it meanwhile; then the
    // answers are EBADF, or about another descriptor, and nothing is changed either way.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    // One question for each of ten thousand connections, all of them for a few listeners.
    if !rustix::net::sockopt::socket_acceptconn(borrowed).ok()? {
        return None;
    }
    Description::of(borrowed).ok()
}

/// Keeps every descriptor but the standard streams from `command`'s child, also those that some library of this process opened
/// without close-on-exec; else each generation would inherit the last one's leaks, and hold its sockets open. To be called before
/// [`pass`], which makes exceptions.
///
/// Kernels before 5.11 cannot do it; there, descriptors without the mark go to the child.
pub(crate) fn keep_descriptors(command: &mut Command) {
    let mark_all = || {
        // SAFETY: close_range with CLOSE_RANGE_CLOEXEC touches no memory and closes nothing; it marks the descriptors of this
        // process, which is the forked child.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                FIRST_INHERITED,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes one system call and nothing else, which is async-signal-safe.
    unsafe { command.pre_exec(mark_all) };
}

/// Makes `command` pass `descriptor` to its child, under the number that is returned.
///
/// The mark close-on-exec is taken away in the child only, between fork and exec: no other thread of this process can start a
/// program that gets the descriptor by accident. The descriptor lives as long as the command; drop the command once the child
/// runs, so that the child's death can be seen at the other end.
pub(crate) fn pass(command: &mut Command, descriptor: OwnedFd) -> RawFd {
    let number = descriptor.as_raw_fd();
    let expose = move || fcntl_setfd(&descriptor, FdFlags::empty()).map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one fcntl system call on a descriptor it owns and builds an `io::Error`
    // from an errno, which does not allocate: nothing that is not async-signal-safe.
    unsafe { command.pre_exec(expose) };
    number
}

/// A descriptor that is registered with the runtime it was made in, and stays open and the same until it is dropped.
///
/// The registration belongs to the open file, not to the number: it ends here, by dropping or by [`Registered::into_inner`], and
/// has to end before the last copy in this process is closed.
#[derive(Debug)]
pub(crate) struct Registered(AsyncFd<Arc<OwnedFd>>);

impl Registered {
    /// Registers a descriptor. One descriptor is registered at most once at a time.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn new(descriptor: Arc<OwnedFd>, interest: Interest) -> io::Result<Self> {
        // SAFETY: the `Arc` keeps the `OwnedFd`, and with it the open descriptor, as long as the `AsyncFd` lives; it always
        // answers the same number, and cannot be exchanged because `Registered` gives out shared references only.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
        registered.map(Self).map_err(io::Error::from)
    }

    /// Ends the registration and gives the descriptor back.
    pub(crate) fn into_inner(self) -> Arc<OwnedFd> {
        self.0.into_inner()
    }
}

impl Deref for Registered {
    type Target = AsyncFd<Arc<OwnedFd>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl AsFd for Registered {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

/// The bytes of a sealed memfd, read in place.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// `None` for an empty one, which the kernel does not map.
    start: Option<NonNull<u8>>,
    len: usize,
}

// SAFETY: the mapping is read-only and its bytes can never change (see `map_sealed`), so it may be read and unmapped from any
// thread.
unsafe impl Send for Mapped {}
// SAFETY: as for `Send`; there is no interior mutability.
unsafe impl Sync for Mapped {}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.start {
            None => &[],
            // SAFETY: `start` is a live mapping of `len` readable bytes until drop, and the seals keep the file from being
            // written, cut or punched by anyone, so the slice is valid and immutable as long as `self` is borrowed.
            Some(start) => unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len) },
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if let Some(start) = self.start {
            // SAFETY: the address and the length are those that mmap gave, and no slice borrowed from `self` is left.
            let unmapped = unsafe { munmap(start.as_ptr().cast(), self.len) };
            debug_assert!(unmapped.is_ok(), "a mapping of ours unmaps");
        }
    }
}

/// Maps a memfd whose content is sealed against writing, shrinking and growing; refuses any other file.
pub(crate) fn map_sealed(memfd: BorrowedFd<'_>) -> io::Result<Mapped> {
    // A file that is no memfd answers EINVAL here.
    let seals = fcntl_get_seals(memfd)?;
    if !seals.contains(SEALS) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the memory file lacks seals: it has {seals:?}, and needs {SEALS:?}"),
        ));
    }
    // The seals came first: from here on the size is fixed.
    let len = usize::try_from(fstat(memfd)?.st_size)
        .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    if len == 0 {
        return Ok(Mapped {
            start: None,
            len: 0,
        });
    }
    // SAFETY: the kernel picks the address, so no memory of ours is replaced; the result is checked. F_SEAL_WRITE can only be
    // set while no writable mapping exists and forbids new ones, F_SEAL_SHRINK forbids cutting the file (which would turn reads
    // into SIGBUS), and seals cannot be taken away: the bytes are immutable for as long as the mapping lives. MAP_PRIVATE
    // because kernels before 6.7 refuse MAP_SHARED of a write-sealed file even for reading.
    let start = unsafe {
        mmap(
            std::ptr::null_mut(),
            len,
            ProtFlags::READ,
            MapFlags::PRIVATE | MapFlags::POPULATE,
            memfd,
            0,
        )
    }?;
    Ok(Mapped {
        start: Some(NonNull::new(start.cast()).expect("mmap answers an address or an error")),
        len,
    })
}

/// A pidfd of the process at the other end of a connected Unix socket: that very process, even if its number is used again.
///
/// On kernels before 6.5, which cannot tell, the pidfd is opened by the number that `SO_PEERCRED` names. On a socket pair the
/// peer is whoever made the pair.
pub(crate) fn peer_pidfd(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    match peer_option::<RawFd>(socket, libc::SO_PEERPIDFD) {
        Ok(number) if number >= 0 => {
            // SAFETY: the kernel made this descriptor for us in the call above, close-on-exec, and nobody else knows it.
            Ok(unsafe { OwnedFd::from_raw_fd(number) })
        }
        Ok(_) => Err(io::Error::from(io::ErrorKind::NotConnected)),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            let pid = peer_credentials(socket)?.pid.ok_or_else(|| {
                io::Error::other("the peer lives in a pid namespace that this process does not see")
            })?;
            Ok(pidfd_open(pid, PidfdFlags::empty())?)
        }
        Err(error) => Err(error),
    }
}

/// Who connected a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The process; `None` if it lives in a pid namespace that this process does not see (another container).
    pub(crate) pid: Option<Pid>,
    /// The effective user at the time of `connect`, `listen` or `socketpair`.
    pub(crate) uid: u32,
}

/// The credentials of the process at the other end of a connected Unix socket (`SO_PEERCRED`).
///
/// Unlike rustix's, this one knows the pid 0 with which the kernel names a process of a foreign pid namespace.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let raw = peer_option::<libc::ucred>(socket, libc::SO_PEERCRED)?;
    Ok(Peer {
        pid: Pid::from_raw(raw.pid),
        uid: raw.uid,
    })
}

/// What the kernel may write into: plain numbers, for which every pattern of bits is a value.
trait Plain: Copy {
    const ZERO: Self;
}

impl Plain for RawFd {
    const ZERO: Self = 0;
}

impl Plain for libc::ucred {
    const ZERO: Self = Self {
        pid: 0,
        uid: 0,
        gid: 0,
    };
}

fn peer_option<T: Plain>(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<T> {
    let mut value = T::ZERO;
    let mut len = libc::socklen_t::try_from(size_of::<T>()).expect("a few bytes");
    // SAFETY: `value` is `len` writable bytes for the length of the call, and whatever the kernel writes there is a valid `T`
    // because `T` is plain numbers.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    if usize::try_from(len) != Ok(size_of::<T>()) {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
