//! The new process's part: descriptors to their numbers, the environment, and then the program in this process's place.
//!
//! The command line is `<executable> <WORD> <convention> <count> <number>:<name>… <program> <argument>…`. A failure is told as a shell
//! tells it, by the exit code, and in systemd's words (`ERRNO=`, `STATUS=`) to whoever listens at `NOTIFY_SOCKET`, so that a supervisor
//! learns the reason and not only the code.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use sd_notify::NotifyState;
use thiserror::Error;

use super::Convention;
use crate::activation::FIRST;
use crate::sys::{self, AdoptError, Expect};

/// The first argument by which an executable knows that it is to call [`become_program`].
pub const WORD: &str = "__listen-exec";

/// nginx's variable.
pub(super) const NGINX: &str = "NGINX";

/// Why the program does not run.
#[derive(Debug, Error)]
pub enum BecomeError {
    /// Called otherwise than by [`command`](super::command).
    #[error("{WORD} is for the supervisor's own use: {0}")]
    Arguments(&'static str),
    /// A socket did not come through.
    #[error("the socket {name} did not come through")]
    Adopt {
        /// Its name.
        name: String,
        /// Why.
        source: AdoptError,
    },
    /// A socket cannot get the number that the convention wants.
    #[error("the socket {name} cannot be put at descriptor {number}: {source}")]
    Place {
        /// Its name.
        name: String,
        /// The number.
        number: RawFd,
        /// Why.
        source: io::Error,
    },
    /// The system does not execute the program.
    #[error("cannot execute {}: {source}", program.display())]
    Execute {
        /// The program.
        program: OsString,
        /// The system's answer.
        source: io::Error,
    },
}

impl BecomeError {
    /// The exit code that a shell would end with.
    pub fn code(&self) -> u8 {
        match self {
            Self::Execute { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            _ => 126,
        }
    }

    fn errno(&self) -> Option<u32> {
        match self {
            Self::Execute { source, .. } | Self::Place { source, .. } => {
                source.raw_os_error()?.try_into().ok()
            }
            _ => None,
        }
    }
}

/// Becomes the program that these arguments, those after [`WORD`], say; returns only if that fails, and has then told the supervisor.
///
/// To be called first thing in `main`: no other thread may run, and nothing of value be open.
pub fn become_program(args: impl Iterator<Item = OsString>) -> BecomeError {
    let error = match attempt(args) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    let reason = error.to_string();
    let mut message = vec![NotifyState::Status(&reason)];
    if let Some(errno) = error.errno() {
        message.push(NotifyState::Errno(errno));
    }
    // Whoever does not listen sees the exit code.
    let _ = sd_notify::notify(&message);
    error
}

fn attempt(
    mut args: impl Iterator<Item = OsString>,
) -> Result<std::convert::Infallible, BecomeError> {
    let convention = args
        .next()
        .and_then(|word| Convention::called(word.to_str()?))
        .ok_or(BecomeError::Arguments("the convention is missing"))?;
    let count = args
        .next()
        .and_then(|count| count.to_str()?.parse::<usize>().ok())
        .ok_or(BecomeError::Arguments("the number of sockets is missing"))?;
    let mut sockets = Vec::new();
    for _ in 0..count {
        let socket = args.next().and_then(|word| parsed(&word));
        sockets.push(socket.ok_or(BecomeError::Arguments("a socket is missing"))?);
    }
    let program = args
        .next()
        .ok_or(BecomeError::Arguments("the program is missing"))?;

    let mut adopted = Vec::new();
    for (number, name) in sockets {
        match sys::adopt(number, Expect::Anything) {
            Ok(descriptor) => adopted.push((descriptor, name)),
            Err(source) => return Err(BecomeError::Adopt { name, source }),
        }
    }
    let names = place(adopted)?;
    let mut command = Command::new(&program);
    command.args(args).envs(variables(convention, &names));
    Err(BecomeError::Execute {
        program,
        source: command.exec(),
    })
}

fn parsed(word: &OsStr) -> Option<(RawFd, String)> {
    let (number, name) = word.to_str()?.split_once(':')?;
    Some((number.parse().ok()?, name.to_owned()))
}

/// Gives the descriptors the numbers from [`FIRST`] on, to be inherited; their names, in that order.
fn place(descriptors: Vec<(OwnedFd, String)>) -> Result<Vec<String>, BecomeError> {
    let beyond = FIRST + RawFd::try_from(descriptors.len()).expect("a few thousand");
    let failed = |name: &str, number| {
        let name = name.to_owned();
        move |source| BecomeError::Place {
            name,
            number,
            source,
        }
    };
    // Out of the way first: one of them may have the number that another is to get.
    let mut aside = Vec::new();
    for (descriptor, name) in descriptors {
        let copy = fcntl_dupfd_cloexec(&descriptor, beyond)
            .map_err(|errno| failed(&name, beyond)(errno.into()))?;
        aside.push((copy, name));
    }
    let mut names = Vec::new();
    for (number, (descriptor, name)) in (FIRST..).zip(aside) {
        // The lowest free number from there on, which is that very one unless somebody else has it.
        let placed = fcntl_dupfd_cloexec(&descriptor, number)
            .map_err(|errno| failed(&name, number)(errno.into()))?;
        if placed.as_raw_fd() != number {
            let taken = io::Error::other("something else is open there");
            return Err(failed(&name, number)(taken));
        }
        fcntl_setfd(&placed, FdFlags::empty())
            .map_err(|errno| failed(&name, number)(errno.into()))?;
        // It is the program's from now on.
        let _ = placed.into_raw_fd();
        names.push(name);
    }
    Ok(names)
}

fn variables(convention: Convention, names: &[String]) -> Vec<(&'static str, String)> {
    match convention {
        Convention::Systemd => vec![
            ("LISTEN_PID", std::process::id().to_string()),
            ("LISTEN_FDS", names.len().to_string()),
            ("LISTEN_FDNAMES", names.join(":")),
        ],
        Convention::Nginx => {
            let numbers = (FIRST..).take(names.len());
            let list: Vec<String> = numbers.map(|number| number.to_string()).collect();
            // The last one needs its semicolon, too.
            vec![(NGINX, list.join(";") + ";")]
        }
    }
}
