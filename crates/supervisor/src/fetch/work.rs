//! The directory a fetch works in, and the lock that makes it this fetch's own.
//!
//! `upgrades/.fetch-<release>` lies on the same file system as the release it becomes, so the last
//! step is a rename. Its lock file is locked as long as the fetch lives; the kernel lets go of the lock
//! when the process dies, however it dies, so an unlocked directory is a dead fetch's leftover. A new
//! fetch of the same release takes it over, with what was downloaded; those of other releases are
//! removed. Directories without our lock file are somebody else's and stay.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::FetchError;
use super::run::{Progress, Run, Step};

const PREFIX: &str = ".fetch-";
const LOCK: &str = "baton-fetch.lock";
/// A file name has at most 255 bytes; longer names are told apart by their hash.
const MAX_NAME: usize = 200;
/// How often a waiting fetch looks whether the other one has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A work directory that is ours.
#[derive(Debug)]
pub(super) struct Work {
    dir: PathBuf,
    _lock: File,
}

impl Work {
    /// Takes the work directory of a release, waiting for another fetch of it to end.
    pub(super) async fn claim(
        upgrades: &Path,
        release: &str,
        run: &Run,
    ) -> Result<Self, FetchError> {
        let dir = upgrades.join(directory_name(release));
        let waiting = Progress {
            step: Step::Waiting,
            bytes: 0,
            total: None,
            attempt: 1,
        };
        let mut told = false;
        loop {
            let claimed = Self::try_claim(&dir).map_err(|source| FetchError::Io {
                doing: "take the work directory",
                path: dir.clone(),
                source,
            })?;
            if let Some(work) = claimed {
                return Ok(work);
            }
            if !told {
                told = true;
                tracing::info!(dir = %dir.display(), "another fetch of this release is under way, waiting for it");
            }
            run.pause(LOOK_EVERY, waiting).await?;
        }
    }

    /// Takes a work directory unless somebody else has it.
    fn try_claim(dir: &Path) -> io::Result<Option<Self>> {
        // Ends when nobody removes the directory in the middle, which happens once per fetch.
        for _ in 0..100 {
            match DirBuilder::new().mode(0o700).create(dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            let path = dir.join(LOCK);
            let lock = match OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
            {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(e),
            }
            // Whoever had it before may have removed it: then ours is the lock of nothing.
            if is_same_file(&lock, &path)? {
                return Ok(Some(Self {
                    dir: dir.to_owned(),
                    _lock: lock,
                }));
            }
        }
        Err(io::Error::other("it is removed again and again"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes all but the lock and the files named in `keep`.
    pub(super) fn clear(&self, keep: &[&str]) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == LOCK || keep.iter().any(|k| name == *k) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes the directory. The lock goes last: until then nobody else may use it.
    pub(super) fn remove(&self) -> io::Result<()> {
        use io::ErrorKind::{DirectoryNotEmpty, NotFound};
        self.clear(&[])?;
        fs::remove_file(self.dir.join(LOCK))?;
        match fs::remove_dir(&self.dir) {
            // The next one has it already, or has even done with it.
            Err(e) if matches!(e.kind(), DirectoryNotEmpty | NotFound) => Ok(()),
            other => other,
        }
    }
}

/// Removes what dead fetches left in an `upgrades` directory, except that of the release `keep`.
/// Returns what was removed. Trouble with one leftover is logged and does not keep the others. Blocks.
pub fn sweep(upgrades: &Path, keep: Option<&str>) -> Vec<PathBuf> {
    let keep = keep.map(directory_name);
    let Ok(entries) = fs::read_dir(upgrades) else {
        return Vec::new();
    };
    let leftovers = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|n| n.starts_with(PREFIX));
        ours && keep.as_ref().is_none_or(|k| name != k.as_str())
    });
    leftovers
        .filter_map(|entry| {
            let dir = entry.path();
            match sweep_one(&dir) {
                Ok(removed) => removed.then_some(dir),
                Err(error) => {
                    tracing::warn!(dir = %dir.display(), %error, "cannot remove the leftover of an earlier fetch");
                    None
                }
            }
        })
        .collect()
}

fn sweep_one(dir: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(dir)?.is_dir() {
        return Ok(false);
    }
    if !dir.join(LOCK).exists() {
        // Killed before it made its lock, or not ours at all: then it is not empty.
        return Ok(fs::remove_dir(dir).is_ok());
    }
    match Work::try_claim(dir)? {
        Some(work) => work.remove().map(|()| true),
        None => Ok(false),
    }
}

fn is_same_file(open: &File, path: &Path) -> io::Result<bool> {
    let open = open.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn directory_name(release: &str) -> String {
    if release.len() <= MAX_NAME {
        return format!("{PREFIX}{release}");
    }
    let hash = blake3::hash(release.as_bytes()).to_hex();
    format!("{PREFIX}long-{}", &hash[..32])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::run::{Limits, Unobserved};
    use super::*;

    fn run() -> Run {
        Run::new(Limits::default(), Arc::new(Unobserved))
    }

    #[tokio::test]
    async fn a_second_fetch_waits_until_the_first_has_removed_its_directory() {
        let upgrades = tempfile::tempdir().unwrap();
        let first = Work::claim(upgrades.path(), "v2", &run()).await.unwrap();
        let path = upgrades.path().to_owned();
        let second = tokio::spawn(async move { Work::claim(&path, "v2", &run()).await.unwrap() });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        first.remove().unwrap();
        drop(first);
        let second = second.await.unwrap();
        assert!(second.path(LOCK).exists());
    }

    #[test]
    fn a_directory_belongs_to_one_at_a_time_however_fast_it_comes_and_goes() {
        let upgrades = tempfile::tempdir().unwrap();
        let dir = upgrades.path().join(".fetch-v2");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut claims = 0;
                    while claims < 50 {
                        let Some(work) = Work::try_claim(&dir).unwrap() else {
                            std::thread::yield_now();
                            continue;
                        };
                        claims += 1;
                        File::create_new(work.path("owner")).expect("we are alone");
                        work.remove().unwrap();
                    }
                });
            }
        });
        assert!(!dir.exists());
    }

    #[tokio::test]
    async fn leftovers_are_swept_and_what_is_alive_or_not_ours_stays() {
        let upgrades = tempfile::tempdir().unwrap();
        let dir = |name: &str| upgrades.path().join(name);
        let dead = Work::claim(upgrades.path(), "dead", &run()).await.unwrap();
        fs::create_dir_all(dead.path("release/bin")).unwrap();
        drop(dead);
        let _alive = Work::claim(upgrades.path(), "alive", &run()).await.unwrap();
        drop(Work::claim(upgrades.path(), "kept", &run()).await.unwrap());
        fs::create_dir(dir(".fetch-newborn")).unwrap();
        fs::create_dir(dir(".fetch-operators")).unwrap();
        fs::write(dir(".fetch-operators/notes"), "mine").unwrap();
        fs::write(dir(".fetch-file"), "mine").unwrap();
        fs::create_dir_all(dir("v1/bin")).unwrap();

        let mut removed = sweep(upgrades.path(), Some("kept"));
        removed.sort();
        assert_eq!(removed, [dir(".fetch-dead"), dir(".fetch-newborn")]);
        for name in [
            ".fetch-alive",
            ".fetch-kept",
            ".fetch-operators",
            ".fetch-file",
            "v1",
        ] {
            assert!(dir(name).exists(), "{name}");
        }
        assert!(sweep(&dir("absent"), None).is_empty());
    }

    #[tokio::test]
    async fn clearing_keeps_what_is_named() {
        let upgrades = tempfile::tempdir().unwrap();
        let work = Work::claim(upgrades.path(), "v2", &run()).await.unwrap();
        fs::write(work.path("artefact"), "x").unwrap();
        fs::write(work.path("info"), "x").unwrap();
        fs::create_dir_all(work.path("release/bin")).unwrap();
        work.clear(&["artefact"]).unwrap();
        assert!(work.path("artefact").exists());
        assert!(!work.path("info").exists() && !work.path("release").exists());
        work.remove().unwrap();
        assert!(!work.dir().exists());
    }

    #[test]
    fn names_too_long_for_a_file_system_are_hashed() {
        assert_eq!(directory_name("v2"), ".fetch-v2");
        let (a, b) = ("a".repeat(240), "a".repeat(241));
        assert!(directory_name(&a).len() < 255);
        assert_ne!(directory_name(&a), directory_name(&b));
    }
}
