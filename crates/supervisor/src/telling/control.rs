//! The control socket: `cosmovisor/.baton/control.sock`, for the node's own user only.
//!
//! It is bound under another name and then renamed, so there is never a moment at which it can be
//! reached with a wrong mode, and the leftover of a supervisor that was killed is replaced in one
//! step. A home may lie deeper than the 107 bytes that a socket's address has room for; then the
//! socket is reached through its directory, whatever the home's name.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use baton_handover::SocketPath;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

/// The socket's name.
pub const SOCKET: &str = "control.sock";

/// The name under which it is bound first.
const FRESH: &str = "control.sock.new";

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Something answers on it.
    #[error("another supervisor answers on {}", .0.display())]
    InUse(PathBuf),
    /// Something else has its name.
    #[error("{} is not a socket; move it away", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The bound socket's name. It goes when this is dropped, unless another has taken it.
#[derive(Debug)]
pub(crate) struct Name {
    path: PathBuf,
    identity: (u64, u64),
}

/// Binds the socket in `dir`, which is made if need be.
pub(crate) fn bind(dir: &Path) -> Result<(UnixListener, Name), ControlError> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| ControlError::Io {
            doing,
            path,
            source,
        }
    };
    private_dir(dir).map_err(io("make", dir))?;
    let path = dir.join(SOCKET);
    match fs::symlink_metadata(&path) {
        Ok(there) if !there.file_type().is_socket() => return Err(ControlError::NotASocket(path)),
        Ok(_) if answers(&path).map_err(io("connect to", &path))? => {
            return Err(ControlError::InUse(path));
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io("look at", &path)(e)),
        _ => {}
    }
    let fresh = dir.join(FRESH);
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io("remove", &fresh)(e)),
        _ => {}
    }
    let address = SocketPath::of(&fresh).map_err(io("open the directory of", &fresh))?;
    let listener = UnixListener::bind(address.path()).map_err(io("bind", &fresh))?;
    let identity = fs::symlink_metadata(&fresh)
        .map(|m| (m.dev(), m.ino()))
        .map_err(io("look at", &fresh))?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o600)).map_err(io("protect", &fresh))?;
    fs::rename(&fresh, &path).map_err(io("name", &path))?;
    Ok((listener, Name { path, identity }))
}

impl Drop for Name {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == self.identity);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes Baton's own directory, closed to others.
pub(super) fn private_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    if fs::metadata(dir)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Is there a process behind this socket? Never waits for it.
fn answers(path: &Path) -> io::Result<bool> {
    let address = SocketPath::of(path)?;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        None,
    )?;
    match rustix::net::connect(&socket, &SocketAddrUnix::new(address.path())?) {
        // So many wait for it already that there is no room for one more.
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
