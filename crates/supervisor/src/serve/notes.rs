//! What a process says of itself, in systemd's words (`sd_notify(3)`).
//!
//! Each process is given a socket of its own, so there is no doubt who says it: to know the sender of a datagram otherwise one has to ask
//! the kernel for its number, which helpers of a server do not share with it.

use std::io;
use std::path::PathBuf;

use tokio::net::UnixDatagram;
use tokio::sync::watch;

/// The longest message that is read; systemd takes as much.
const MAX_MESSAGE: usize = 4096;

/// The longest status that is kept.
const MAX_STATUS: usize = 400;

/// What was said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// `READY=1`.
    pub(super) ready: bool,
    /// The last `STATUS=`.
    pub(super) status: Option<String>,
    /// `ERRNO=` was said: the status is the reason of a failure.
    pub(super) failed: bool,
}

impl Said {
    fn hear(&mut self, message: &str) {
        for line in message.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => self.ready = true,
                Some(("ERRNO", _)) => self.failed = true,
                Some(("STATUS", text)) => {
                    self.status = Some(text.chars().take(MAX_STATUS).collect());
                }
                // What concerns the main process is ours to say: MAINPID, STOPPING, WATCHDOG, FDSTORE.
                _ => {}
            }
        }
    }
}

/// The socket of one process.
#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
    socket: UnixDatagram,
    said: watch::Sender<Said>,
}

impl Notes {
    /// Binds it; what a killed supervisor left at the path is replaced.
    pub(super) fn bind(path: PathBuf) -> io::Result<Self> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self {
            socket: UnixDatagram::bind(&path)?,
            path,
            said: watch::Sender::default(),
        })
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Takes in all that has come, without waiting for more; then what was said so far.
    pub(super) fn said(&self) -> Said {
        let mut message = [0; MAX_MESSAGE];
        while let Ok(length) = self.socket.try_recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..length]);
            self.said.send_modify(|said| said.hear(&text));
        }
        self.said.borrow().clone()
    }

    /// Takes in what comes, for as long as it is polled.
    pub(super) async fn listen(&self) {
        while self.socket.readable().await.is_ok() {
            self.said();
        }
    }

    /// Waits until the process has said that it is ready.
    pub(super) async fn ready(&self) {
        let mut said = self.said.subscribe();
        let _ = said.wait_for(|said| said.ready).await;
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_heard_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify-1.sock");
        std::fs::write(&path, "left over").unwrap();
        let notes = Notes::bind(path.clone()).unwrap();
        assert_eq!(notes.said(), Said::default());
        let process = std::os::unix::net::UnixDatagram::unbound().unwrap();
        let say = |text: &str| process.send_to(text.as_bytes(), &path).unwrap();
        say("STATUS=warming\nMAINPID=1\nSTOPPING=1");
        say("READY=1\nSTATUS=serves");
        notes.socket.readable().await.unwrap();
        let said = notes.said();
        assert!(said.ready && !said.failed);
        assert_eq!(said.status.as_deref(), Some("serves"));
        notes.ready().await;
        drop(notes);
        assert!(!path.exists());
    }
}
