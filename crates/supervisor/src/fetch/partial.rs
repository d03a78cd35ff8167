//! A file that grows as bytes arrive, and its hash with it.
//!
//! Writing happens on a blocking thread behind a short queue: a slow disk slows the download down,
//! and nothing else in the process.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::checksum::{Algorithm, Hasher};
use super::work::Work;

/// Pieces waiting to be written.
const QUEUE: usize = 8;

/// The file so far.
pub(super) struct Partial {
    pub(super) path: PathBuf,
    file: File,
    /// How many bytes are written and hashed.
    pub(super) len: u64,
    hasher: Option<Hasher>,
    /// Nobody else may use the directory while a thread still writes here.
    _work: Arc<Work>,
}

/// A writer at work: where to send pieces, and how to get the file back.
pub(super) struct Writing<B> {
    pub(super) pieces: Sender<B>,
    pub(super) done: JoinHandle<(Partial, io::Result<()>)>,
}

impl Partial {
    /// Opens the file, hashing what is there if it is to be continued and emptying it otherwise.
    pub(super) fn open(
        work: &Arc<Work>,
        name: &str,
        algorithm: Option<Algorithm>,
        resume: bool,
    ) -> io::Result<Self> {
        let path = work.path(name);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(!resume)
            .mode(0o600)
            .open(&path)?;
        let mut hasher = algorithm.map(Hasher::new);
        let mut len = 0;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            len += n as u64;
            if let Some(hasher) = &mut hasher {
                hasher.update(&buffer[..n]);
            }
        }
        Ok(Self {
            path,
            file,
            len,
            hasher,
            _work: Arc::clone(work),
        })
    }

    /// Empties the file.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.len = 0;
        if let Some(hasher) = &mut self.hasher {
            hasher.reset();
        }
        Ok(())
    }

    /// Starts writing pieces behind what is there. Ends when the sender is dropped, or at the first
    /// error, which is then waiting in `done`.
    pub(super) fn write<B: AsRef<[u8]> + Send + 'static>(mut self) -> Writing<B> {
        let (pieces, queue) = channel(QUEUE);
        let done = tokio::task::spawn_blocking(move || {
            let result = self.drain(queue);
            (self, result)
        });
        Writing { pieces, done }
    }

    fn drain<B: AsRef<[u8]>>(&mut self, mut queue: Receiver<B>) -> io::Result<()> {
        // A failed write may have left a part of its piece behind.
        self.file.set_len(self.len)?;
        self.file.seek(SeekFrom::Start(self.len))?;
        while let Some(piece) = queue.blocking_recv() {
            let piece = piece.as_ref();
            fail::fail_point!("fetch::write", |_| Err(io::Error::from(
                io::ErrorKind::StorageFull
            )));
            self.file.write_all(piece)?;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(piece);
            }
            self.len += piece.len() as u64;
        }
        Ok(())
    }

    /// Whether what is there hashes to `digest`.
    pub(super) fn is(&self, digest: &[u8]) -> bool {
        self.hasher.as_ref().is_some_and(|h| h.so_far() == digest)
    }

    /// The hash of the whole.
    pub(super) fn finish(self) -> (PathBuf, u64, Option<Vec<u8>>) {
        (self.path, self.len, self.hasher.map(Hasher::finish))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::super::run::{Limits, Run, Unobserved};
    use super::*;

    #[tokio::test]
    async fn the_hash_follows_writing_resuming_and_restarting() {
        let upgrades = tempfile::tempdir().unwrap();
        let run = Run::new(Limits::default(), Arc::new(Unobserved));
        let work = Arc::new(Work::claim(upgrades.path(), "v2", &run).await.unwrap());
        let sha256 = Some(Algorithm::Sha256);
        let hash = |bytes: &[u8]| Hasher::of(Algorithm::Sha256, &mut &*bytes).unwrap();
        let append = async |partial: Partial, text: &'static str| {
            let Writing { pieces, done } = partial.write();
            for piece in text.as_bytes().chunks(2) {
                pieces.send(piece).await.unwrap();
            }
            drop(pieces);
            let (partial, result) = done.await.unwrap();
            result.unwrap();
            partial
        };
        let partial = Partial::open(&work, "artefact", sha256, false).unwrap();
        let partial = append(partial, "hello").await;
        assert_eq!(partial.len, 5);
        drop(partial);

        let partial = Partial::open(&work, "artefact", sha256, true).unwrap();
        assert_eq!(partial.len, 5);
        let mut partial = append(partial, " world").await;
        partial.restart().unwrap();
        let partial = append(partial, "again").await;
        let (path, len, digest) = partial.finish();
        assert_eq!((len, digest), (5, Some(hash(b"again"))));
        assert_eq!(fs::read(&path).unwrap(), b"again");

        let partial = Partial::open(&work, "artefact", sha256, true).unwrap();
        assert!(partial.is(&hash(b"again")) && !partial.is(&hash(b"hello")));
        assert_eq!(partial.finish().2, Some(hash(b"again")));
        let partial = Partial::open(&work, "artefact", sha256, false).unwrap();
        assert_eq!(partial.len, 0);
    }
}
