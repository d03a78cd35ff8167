//! How a successor is started, and how it finds the channel it was started with.
//!
//! The variable `BATON_HANDOVER` says `<descriptor>:<nonce>:<pid of the starter>:<spawn or held>`. It stays in the environment of
//! whatever the successor starts in turn; there the descriptor is not open any more, so it is no more than a word.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::error::HandoverError;
use crate::shared::Launch;
use crate::sys::{self, Expect};

/// The variable that a successor is started with.
pub(crate) const VARIABLE: &str = "BATON_HANDOVER";

/// The variable that tells a program that a supervisor holds it: the main process is the supervisor's.
pub(crate) const HELD: &str = "BATON_HELD";

/// Who started a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starter {
    /// Its predecessor.
    Predecessor,
    /// A supervisor that outlives both.
    Supervisor,
}

/// The channel that this process was started with.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) socket: OwnedFd,
    pub(crate) nonce: String,
    pub(crate) starter: Starter,
}

impl Launch {
    /// How this process was started. To be asked early: before the working directory is changed or the executable replaced.
    pub(crate) fn of_this_process(exec: Option<&Path>) -> Result<Self, HandoverError> {
        let directory = std::env::current_dir()
            .map_err(|source| HandoverError::system("find the working directory", source))?;
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        let program = match exec {
            Some(path) => directory.join(path),
            None => locate(&name, &directory)?,
        };
        Ok(Self {
            program,
            arguments: arguments.collect(),
            directory,
        })
    }
}

/// The path that this process was started by, links unresolved: what they lead to next time may be the next version.
fn locate(name: &OsString, directory: &Path) -> Result<PathBuf, HandoverError> {
    let path = Path::new(name);
    if path.components().count() > 1 {
        return Ok(directory.join(path));
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search)
        .map(|folder| folder.join(path))
        .find(|candidate| !name.is_empty() && candidate.is_file())
        .map_or_else(
            || {
                std::env::current_exe().map_err(|source| {
                    HandoverError::system("find this process's executable", source)
                })
            },
            Ok,
        )
}

/// 128 random bits in hexadecimal.
pub(crate) fn nonce() -> io::Result<String> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        filled +=
            rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Starts a successor that finds `socket` as its channel.
pub(crate) fn start(
    mut command: Command,
    socket: OwnedFd,
    nonce: &str,
    starter: Starter,
) -> io::Result<Child> {
    arrange(&mut command, socket, nonce, starter);
    command.spawn()
}

/// Makes a command's process find `socket` as its channel.
pub(crate) fn arrange(command: &mut Command, socket: OwnedFd, nonce: &str, starter: Starter) {
    // Before the channel is passed: nothing else of this process's is for the successor to have by inheritance.
    sys::keep_descriptors(command);
    let number = sys::pass(command, socket);
    let word = match starter {
        Starter::Predecessor => "spawn",
        Starter::Supervisor => "held",
    };
    command.env(
        VARIABLE,
        format!("{number}:{nonce}:{}:{word}", std::process::id()),
    );
    crate::activation::conceal(command);
}

/// Keeps from a process that is nobody's successor what is not for it.
pub(crate) fn arrange_alone(command: &mut Command) {
    sys::keep_descriptors(command);
    crate::activation::conceal(command);
}

/// The channel that this process was started with, if it was started for a handover.
pub(crate) fn inherited() -> Result<Option<Inherited>, HandoverError> {
    let Some(value) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let value = value.to_string_lossy().into_owned();
    let unusable = |why: String| HandoverError::Variable {
        variable: VARIABLE,
        value: value.clone(),
        why,
    };
    let parts: Vec<&str> = value.split(':').collect();
    let [number, nonce, starter_pid, word] = parts[..] else {
        return Err(unusable(
            "it has to be <descriptor>:<nonce>:<pid>:<spawn or held>".to_owned(),
        ));
    };
    let number = number
        .parse()
        .map_err(|_| unusable("the descriptor is no number".to_owned()))?;
    let starter = match word {
        "spawn" => Starter::Predecessor,
        "held" => Starter::Supervisor,
        _ => return Err(unusable("it ends with neither spawn nor held".to_owned())),
    };
    match sys::adopt(number, Expect::Socket) {
        Ok(socket) => Ok(Some(Inherited {
            socket,
            nonce: nonce.to_owned(),
            starter,
        })),
        // A child of a successor has the variable and not the descriptor.
        Err(error) if starter_pid.parse() != Ok(parent()) => {
            tracing::debug!(%error, value, "a variable that was meant for another process");
            Ok(None)
        }
        Err(error) => Err(unusable(error.to_string())),
    }
}

fn parent() -> i32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get())
}
