//! Small files that are replaced as a whole, off the event loop: only the newest content counts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::NetworkError;

/// Replaces a file so that a crash leaves the old content or the new.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// The content of a file that Baton wrote; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, NetworkError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // not UTF-8: as broken as any other content that makes no sense
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(String::new())),
        Err(source) => Err(NetworkError::File {
            action: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

/// Puts a file that makes no sense aside, so that it can be looked at and the next one written.
pub(crate) fn put_aside(path: &Path, why: &str) -> Result<(), NetworkError> {
    let aside = path.with_extension("broken");
    tracing::warn!(path = %path.display(), kept_as = %aside.display(), why, "a file of the network makes no sense; starting without it");
    fs::rename(path, &aside).map_err(|source| NetworkError::File {
        action: "put aside",
        path: path.to_owned(),
        source,
    })
}

/// Writes a file's newest content whenever it changes.
#[derive(Debug)]
pub(crate) struct Keeper {
    content: watch::Sender<Vec<u8>>,
    task: JoinHandle<()>,
}

impl Keeper {
    pub(crate) fn start(path: PathBuf) -> Self {
        let (content, mut changes) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            // an error means that the sender is gone and its last content has been seen
            while changes.changed().await.is_ok() {
                let (content, to) = (changes.borrow_and_update().clone(), path.clone());
                let written = tokio::task::spawn_blocking(move || replace(&to, &content)).await;
                if let Ok(Err(error)) = written {
                    tracing::warn!(path = %path.display(), %error, "cannot write a file of the network; a restart will not know its content");
                }
            }
        });
        Self { content, task }
    }

    /// The file is to have this content.
    pub(crate) fn set(&self, content: Vec<u8>) {
        self.content.send_replace(content);
    }

    /// Waits until the newest content is on disk.
    pub(crate) async fn finish(self) {
        drop(self.content);
        // a panic of the task has been reported by the runtime; there is nothing left to write
        let _ = self.task.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_content_is_on_disk_when_it_finishes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers.json");
        let keeper = Keeper::start(path.clone());
        for content in 0..100_u8 {
            keeper.set(vec![content]);
        }
        keeper.finish().await;
        assert_eq!(fs::read(&path).unwrap(), [99]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
