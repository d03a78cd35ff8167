//! One fresh start at a time.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use tokio::time::Instant;

use super::{ControlDirectory, DirectoryError, LOCK};

/// How often the lock is tried. There is no way to wait for one with a deadline but a thread.
const TRY: Duration = Duration::from_millis(20);

/// Held by a process from before it looks for an owner until it serves or has joined one. The kernel releases it with the process.
#[derive(Debug)]
pub struct StartLock {
    _file: File,
}

impl ControlDirectory {
    /// Takes the lock of fresh starters, waiting at most so long for another that holds it. With the lock, look for the owner: if
    /// another process had the lock, there is one now.
    pub async fn lock(&self, within: Duration) -> Result<StartLock, DirectoryError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.directory, LOCK, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| self.failed(format!("opening {LOCK}"), errno))?;
        let mut file = File::from(file);
        let deadline = Instant::now() + within;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(errno) => return Err(self.failed(format!("locking {LOCK}"), errno)),
            }
            if Instant::now() >= deadline {
                return Err(DirectoryError::Locked {
                    path: self.path.clone(),
                    pid: holder(&mut file),
                    waited: within,
                });
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + TRY)).await;
        }
        // Who holds it is told to those who wait; it is no part of the locking.
        let told = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        told.map_err(|source| DirectoryError::Io {
            path: self.path.clone(),
            doing: format!("writing {LOCK}"),
            source,
        })?;
        Ok(StartLock { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
