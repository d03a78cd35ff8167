//! Sockets for programs that know nothing of this library.
//!
//! Most servers can take listening sockets from whoever starts them, in one of two ways ([`Convention`]). A supervisor that binds the
//! sockets, keeps them, and gives each process a copy can replace that process, or start it again after a crash, and the kernel goes
//! on queueing connections meanwhile: nobody is refused. Nothing else moves: what a program's process has accepted is its own, to be
//! finished before it ends.
//!
//! systemd's convention wants the process's own number in the environment (`LISTEN_PID`), which nobody knows before the fork, and the
//! sockets at numbers from 3 on, which the forked child of a busy process does not have free. So the process is started as the
//! supervisor's own executable first, which puts everything into place and then becomes the program ([`become_program`]):
//!
//! ```no_run
//! use baton_handover::foreign::{self, Convention, Socket};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut args = std::env::args_os();
//! if args.nth(1).is_some_and(|word| word == foreign::WORD) {
//!     return Err(foreign::become_program(args).into());
//! }
//! let http = Socket::tcp("http", "127.0.0.1:8080".parse()?)?;
//! let program = [std::ffi::OsString::from("/usr/local/bin/web")];
//! let mut server = foreign::command(Convention::Systemd, &[&http], &program)?.spawn()?;
//! server.wait()?;
//! # Ok(())
//! # }
//! ```

mod place;
mod socket;

use std::ffi::OsString;
use std::io;
use std::process::Command;

pub use self::place::{BecomeError, WORD, become_program};
pub use self::socket::{Socket, activated};
use crate::launch::{HELD, VARIABLE};
use crate::{activation, sys};

/// The executable of this process, even if another file has its name by now.
const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// How a program is told of the sockets that it was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// `LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`: systemd's socket activation (`sd_listen_fds(3)`), which most servers know.
    Systemd,
    /// `NGINX`, a list of descriptors: nginx's own, by which it finds those of its predecessor. It takes for granted that these
    /// do not block; a worker whose connection another one has taken would wait for the next, and forget those that it has.
    Nginx,
}

impl Convention {
    fn word(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Nginx => "nginx",
        }
    }

    fn called(word: &str) -> Option<Self> {
        [Self::Systemd, Self::Nginx]
            .into_iter()
            .find(|convention| convention.word() == word)
    }
}

/// A command that becomes `program` (its path or name, and its arguments) with copies of these sockets, at numbers from 3 on in this order.
///
/// To be dropped once the process runs. Nothing else of this process's goes to it but the standard streams.
///
/// # Errors
///
/// If no more descriptors can be opened, or there is no program.
pub fn command(
    convention: Convention,
    sockets: &[&Socket],
    program: &[OsString],
) -> io::Result<Command> {
    if program.is_empty() {
        return Err(io::Error::other("there is no program to start"));
    }
    let mut command = Command::new(OWN_EXECUTABLE);
    sys::keep_descriptors(&mut command);
    command
        .arg(WORD)
        .arg(convention.word())
        .arg(sockets.len().to_string());
    for socket in sockets {
        if convention == Convention::Nginx {
            socket.never_blocks()?;
        }
        let number = sys::pass(&mut command, socket.copy()?);
        command.arg(format!("{number}:{}", socket.name()));
    }
    command.args(program);
    activation::conceal(&mut command);
    for variable in [place::NGINX, VARIABLE, HELD] {
        command.env_remove(variable);
    }
    Ok(command)
}
