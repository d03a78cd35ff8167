//! One fetch from beginning to end: info, checksum, artefact, release, check, place.

use std::fs::{self, Permissions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::archive::{self, Bounds};
use super::checksum::Checksum;
use super::error::FetchError;
use super::http::Http;
use super::info::{self, Binaries, Info};
use super::install::{self, Placed};
use super::record::{self, Record};
use super::run::{Progress, Run, Step};
use super::source::{self, Expected, Source};
use super::start::{self, Started};
use super::transfer::{self, Got, Job, origin_file};
use super::work::Work;
use super::{Fetched, Outcome, Request, blocking, executable, layout};

/// The file of the work directory that the artefact arrives in.
pub(super) const ARTEFACT: &str = "artefact";
/// The directory in it that becomes the release. It is one level deeper than releases are, so that those
/// who list `upgrades/*/bin/<name>` do not see it.
const STAGED: &str = "release";

/// One fetch at work.
pub(super) struct Fetch<'a> {
    request: &'a Request,
    run: &'a Run,
    work: &'a Arc<Work>,
    http: Http,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(request: &'a Request, run: &'a Run, work: &'a Arc<Work>) -> Self {
        Self {
            request,
            run,
            work,
            http: Http::new(&run.limits),
        }
    }

    /// Does all of it. The directory that the release goes to has no binary.
    pub(super) async fn bring(&self) -> Result<Fetched, FetchError> {
        let request = self.request;
        let binaries = self.read_info().await?;
        let (key, url) = binaries.choose(&request.os_arch)?;
        let source = info::source(key, url, request.must_have_checksum)?;
        let shown = source::redact(url);
        let checksum = self.checksum(&source).await?;
        tracing::info!(url = %shown, "fetching the release");
        let job = Job {
            run: self.run,
            http: &self.http,
            work: self.work,
            file: ARTEFACT,
            step: Step::Downloading,
            limit: self.run.limits.artefact_bytes,
            expected: checksum.as_ref(),
        };
        let got = verified(&job, &source).await?;
        fail::fail_point!("fetch::downloaded");
        let staged = self.stage(&source, &got, &shown).await?;
        fail::fail_point!("fetch::staged");
        let started = self.check(&staged, &shown).await?;
        fail::fail_point!("fetch::checked");

        let mut warnings: Vec<String> = started.warning.into_iter().collect();
        if checksum.is_none() {
            warnings.push(format!(
                "{shown} has no checksum: nothing proves that these are the right bytes"
            ));
        }
        let mut record = Record {
            info: request.info.clone(),
            url: url.to_owned(),
            checksum: checksum.as_ref().map(ToString::to_string),
            bytes: got.bytes,
            binary_sha256: String::new(),
            version: started.version,
            fetched_at: jiff::Timestamp::now().to_string(),
        };
        let (release, daemon) = (request.release(), request.daemon_name.clone());
        self.run.tell(&progress(Step::Installing, got.bytes))?;
        let (record, placed) = self
            .on_thread(move |_| {
                let describe = |record: &mut Record| {
                    record.binary_sha256 = record::sha256_of(&staged.join("bin").join(&daemon))?;
                    record.write(&staged)
                };
                let described = describe(&mut record);
                described.map_err(|e| install::failed("describe", &staged, e))?;
                let placed = install::place(&staged, &release, &daemon)?;
                Ok::<_, FetchError>((record, placed))
            })
            .await?;
        fail::fail_point!("fetch::placed");
        let outcome = match placed {
            Placed::Whole => Outcome::Installed,
            Placed::Into { kept } => {
                warnings.extend(kept.iter().map(|file| {
                    let file = request.release().join(file);
                    format!(
                        "{} was there with other content and was kept",
                        file.display()
                    )
                }));
                Outcome::Completed
            }
        };
        let binary = request.binary();
        tracing::info!(binary = %binary.display(), bytes = got.bytes, "release fetched");
        Ok(Fetched {
            binary,
            outcome,
            record: Some(record),
            warnings,
        })
    }

    /// The binaries that the plan names, from wherever its info is.
    async fn read_info(&self) -> Result<Binaries, FetchError> {
        let url = match Info::read(&self.request.info)? {
            Info::Here(binaries) => return Ok(binaries),
            Info::At(url) => url,
        };
        let shown = source::redact(&url);
        let source = Source::parse(&url, self.request.must_have_checksum).map_err(|source| {
            FetchError::InfoUrl {
                url: shown.clone(),
                source,
            }
        })?;
        let text =
            self.read_text(&source, "info")
                .await
                .map_err(|source| FetchError::InfoDownload {
                    url: shown.clone(),
                    source: Box::new(source),
                })?;
        let text = text.trim();
        if text.is_empty() {
            return Err(FetchError::NoContent(shown));
        }
        Ok(Binaries::parse(text)?)
    }

    /// The checksum that a source must have, looked up in its list if need be.
    async fn checksum(&self, source: &Source) -> Result<Option<Checksum>, FetchError> {
        let (list, names) = match &source.checksum {
            None => return Ok(None),
            Some(Expected::Is(checksum)) => return Ok(Some(checksum.clone())),
            Some(Expected::Listed { list, names }) => (list, names),
        };
        let text = self.read_text(list, "checksums").await;
        let text = text.map_err(|e| FetchError::List(Box::new(e)))?;
        match Checksum::find_in_list(&text, names) {
            Some(checksum) => Ok(Some(checksum)),
            None => Err(FetchError::NotListed {
                list: list.location.to_string(),
                name: names.first().cloned().unwrap_or_default(),
            }),
        }
    }

    /// A short text behind a URL: the info, or a list of checksums.
    async fn read_text(&self, source: &Source, file: &'static str) -> Result<String, FetchError> {
        let expected = match &source.checksum {
            Some(Expected::Is(checksum)) => Some(checksum.clone()),
            // Only the info itself can have its checksum in a list; the list of a list is refused.
            Some(Expected::Listed { .. }) => Box::pin(self.checksum(source)).await?,
            None => None,
        };
        let job = Job {
            run: self.run,
            http: &self.http,
            work: self.work,
            file,
            step: Step::Reading,
            limit: self.run.limits.text_bytes,
            expected: expected.as_ref(),
        };
        let got = verified(&job, source).await?;
        let mut path = got.path.clone();
        if source.archive.is_some() {
            let dir = self.work.path("text");
            let unpacked = self.unpack(source, &got, dir.clone(), PathBuf::from("text"));
            path = match unpacked.await?.as_slice() {
                [only] => dir.join(only),
                _ => return Err(FetchError::NoContent(source.location.to_string())),
            };
        }
        let read = fs::read(&path).map_err(|source| FetchError::Io {
            doing: "read",
            path,
            source,
        })?;
        Ok(String::from_utf8_lossy(&read).into_owned())
    }

    /// The release as it will be, in the work directory.
    async fn stage(&self, source: &Source, got: &Got, url: &str) -> Result<PathBuf, FetchError> {
        let staged = self.work.path(STAGED);
        let binary = Path::new("bin").join(&self.request.daemon_name);
        let files = if source.archive.is_some() {
            let unpacked = self.unpack(source, got, staged.clone(), binary.clone());
            unpacked.await?
        } else {
            let place = staged.join(&binary);
            fresh(&staged)
                .and_then(|()| fs::create_dir(staged.join("bin")))
                .and_then(|()| fs::rename(&got.path, &place))
                .and_then(|()| {
                    // It was private while it was a download.
                    fs::set_permissions(&place, Permissions::from_mode(0o755))
                })
                .map_err(|source| FetchError::Io {
                    doing: "prepare",
                    path: staged.clone(),
                    source,
                })?;
            vec![binary]
        };
        layout::arrange(&staged, &files, &self.request.daemon_name, url)?;
        Ok(staged)
    }

    async fn unpack(
        &self,
        source: &Source,
        got: &Got,
        into: PathBuf,
        single: PathBuf,
    ) -> Result<Vec<PathBuf>, FetchError> {
        let limits = &self.run.limits;
        let (kind, artefact) = (source.archive, got.path.clone());
        let kind = kind.expect("only called for archives");
        let bounds = Bounds {
            entries: limits.entries,
            bytes: match into.file_name() {
                Some(name) if name == STAGED => limits.unpacked_bytes,
                _ => limits.text_bytes,
            },
        };
        let (run, url) = (self.run.clone(), source.location.to_string());
        self.on_thread(move |stopped| {
            fresh(&into).map_err(|source| FetchError::Io {
                doing: "prepare",
                path: into.clone(),
                source,
            })?;
            let mut interrupted = None;
            let mut watch = |bytes| {
                if stopped.load(Ordering::Relaxed) {
                    return ControlFlow::Break(());
                }
                interrupted = run.tell(&progress(Step::Unpacking, bytes)).err();
                match interrupted {
                    None => ControlFlow::Continue(()),
                    Some(_) => ControlFlow::Break(()),
                }
            };
            let unpacked = archive::unpack(&artefact, kind, &into, &single, bounds, &mut watch);
            unpacked.map_err(|source| match interrupted {
                Some(interrupted) => interrupted.into(),
                None => FetchError::Archive { url, source },
            })
        })
        .await
    }

    /// Whether the staged binary is one for this machine, and starts.
    async fn check(&self, staged: &Path, url: &str) -> Result<Started, FetchError> {
        self.run.tell(&progress(Step::Checking, 0))?;
        let binary = staged.join("bin").join(&self.request.daemon_name);
        let program = executable::inspect(&binary).map_err(|source| FetchError::NotExecutable {
            url: url.to_owned(),
            source,
        })?;
        let limit = self.run.limits.start;
        let environment = self.request.environment.as_deref();
        let starting = start::starts(&binary, &program, self.work.dir(), environment, limit);
        // It keeps its limit itself; this lets the observer cancel meanwhile.
        let watched = self
            .run
            .watch(limit + start::SLACK, progress(Step::Checking, 0), starting);
        watched.await?.map_err(|source| FetchError::CannotStart {
            url: url.to_owned(),
            source,
        })
    }

    /// Runs something long on a thread of its own, which keeps the work directory ours until it ends
    /// and learns when nobody waits for it any more.
    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AtomicBool) -> Result<T, FetchError> + Send + 'static,
    ) -> Result<T, FetchError> {
        let held = Arc::clone(self.work);
        let stopped = StopOnDrop::default();
        let flag = Arc::clone(&stopped.0);
        let done = blocking(move || {
            let result = work(&flag);
            drop(held);
            result
        });
        let result = done.await;
        drop(stopped);
        result
    }
}

/// Sets its flag when it is dropped.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Gets an artefact and verifies its checksum. What was put together from parts and does not match is
/// fetched once more in one piece.
async fn verified(job: &Job<'_>, source: &Source) -> Result<Got, FetchError> {
    loop {
        let got = transfer::get(job, &source.location).await?;
        let (Some(expected), Some(digest)) = (job.expected, &got.digest) else {
            return Ok(got);
        };
        if *digest == expected.digest {
            return Ok(got);
        }
        for path in [got.path.clone(), job.work.path(&origin_file(job.file))] {
            let _ = fs::remove_file(path);
        }
        let mismatch = FetchError::Mismatch {
            url: source.location.to_string(),
            expected: hex::encode(&expected.digest),
            got: hex::encode(digest),
        };
        if !got.resumed {
            return Err(mismatch);
        }
        tracing::warn!(error = %mismatch, "a continued download does not match, fetching it again from the start");
    }
}

/// An empty directory, whatever was there before.
fn fresh(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::create_dir(dir)
}

fn progress(step: Step, bytes: u64) -> Progress {
    Progress {
        step,
        bytes,
        total: None,
        attempt: 1,
    }
}
