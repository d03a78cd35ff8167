//! Bytes from a place into a file, through broken connections and restarts of this process.
//!
//! A download that breaks off is continued by a range request, but only where the continuation can be
//! trusted: the server confirms that the file is the same (`If-Range`), or a checksum will tell
//! afterwards. Across restarts of the process only a checksum counts, because a power cut may have left
//! anything in the file.

use std::fs;
use std::hash::{BuildHasher, Hasher as _};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT_ENCODING, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::causes::causes;
use super::checksum::Checksum;
use super::disk::NoSpace;
use super::http::{self, Http, NoClient, TlsFault};
use super::local;
use super::partial::{Partial, Writing};
use super::retry::{self, Validators, Verdict, judge};
use super::run::{Interrupted, Progress, Run, Step};
use super::source::Location;
use super::work::Work;

/// Why bytes did not arrive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// An answer that is no file and will not become one.
    #[error("GET {url}: bad response code: {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// The connection did not come about or broke.
    #[error("GET {url}: {reason}")]
    Network {
        /// What was asked for.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The server's certificate is not trusted here.
    #[error(
        "GET {url}: {reason}; if the server belongs to a private authority, name its certificate \
         in SSL_CERT_FILE"
    )]
    Certificate {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// All attempts failed.
    #[error("{last} (attempt {attempts}, {failures} in a row without a new byte; giving up)")]
    GaveUp {
        /// How many times it was tried.
        attempts: u32,
        /// How many of those, at the end, brought nothing.
        failures: u32,
        /// How the last one ended.
        last: Box<TransferError>,
    },
    /// More bytes than allowed.
    #[error("\"{from}\" is {size} bytes or more; at most {limit} are fetched (limit)")]
    TooLarge {
        /// Where it is.
        from: String,
        /// Its size as far as known.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A limit on time was reached, or the observer asked to stop.
    #[error("GET {url}: {source}, after {bytes} bytes")]
    Interrupted {
        /// What was asked for.
        url: String,
        /// Bytes that had arrived.
        bytes: u64,
        /// Which limit.
        source: Interrupted,
    },
    /// A local file that cannot be had.
    #[error("source path error: {doing} {path}: {reason}", path = .path.display())]
    Local {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// The disk is full.
    #[error("downloading: {0}")]
    NoSpace(#[from] NoSpace),
    /// The file being written could not be.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// No client.
    #[error(transparent)]
    NoClient(#[from] NoClient),
}

/// What to get, and how.
pub(super) struct Job<'a> {
    pub(super) run: &'a Run,
    pub(super) http: &'a Http,
    pub(super) work: &'a Arc<Work>,
    /// The file in the work directory to write.
    pub(super) file: &'static str,
    pub(super) step: Step,
    /// The most bytes to take.
    pub(super) limit: u64,
    /// What it must hash to. Not verified here, but used to know what may be continued.
    pub(super) expected: Option<&'a Checksum>,
}

/// What arrived.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Its digest, if a checksum was expected.
    pub(super) digest: Option<Vec<u8>>,
    /// Whether it was put together from parts.
    pub(super) resumed: bool,
}

/// What a partial download was begun from, kept beside it for the next process.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    url: String,
    checksum: String,
    validators: Validators,
}

/// How an attempt failed.
enum Failure {
    Final(TransferError),
    Again {
        why: TransferError,
        after: Option<Duration>,
    },
}

impl<E: Into<TransferError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

/// Gets what is at a location.
pub(super) async fn get(job: &Job<'_>, from: &Location) -> Result<Got, TransferError> {
    match from {
        Location::Http(url) => Download::begin(job, url).await?.run().await,
        Location::File(path) => local::copy(job, path).await,
    }
}

/// The name of the file that says what a partial download was begun from.
pub(super) fn origin_file(file: &str) -> String {
    format!("{file}.json")
}

struct Download<'a> {
    job: &'a Job<'a>,
    url: &'a Url,
    /// The URL as messages show it.
    shown: String,
    /// `None` only while a thread writes to it.
    partial: Option<Partial>,
    validators: Validators,
    total: Option<u64>,
    attempt: u32,
    resumed: bool,
}

impl<'a> Download<'a> {
    async fn begin(job: &'a Job<'a>, url: &'a Url) -> Result<Self, TransferError> {
        let origin = read_origin(job, url);
        let algorithm = job.expected.map(|c| c.algorithm);
        let (work, file, resume) = (Arc::clone(job.work), job.file, origin.is_some());
        let open = move || Partial::open(&work, file, algorithm, resume);
        // What an earlier process left is hashed again, which may be gigabytes.
        let opened = tokio::task::spawn_blocking(open).await;
        let partial = opened.expect("opening does not panic");
        let partial = partial.map_err(|source| TransferError::Write {
            path: job.work.path(job.file),
            source,
        })?;
        Ok(Self {
            job,
            url,
            shown: super::source::redact(url.as_str()),
            resumed: partial.len > 0,
            partial: Some(partial),
            validators: origin.map(|o| o.validators).unwrap_or_default(),
            total: None,
            attempt: 0,
        })
    }

    async fn run(mut self) -> Result<Got, TransferError> {
        if let Some(expected) = self.job.expected
            && self.resumed
            && self.partial().is(&expected.digest)
        {
            tracing::info!(url = %self.shown, "already downloaded by an earlier fetch");
            return Ok(self.finish());
        }
        let (mut failures, mut most) = (0, self.len());
        loop {
            self.attempt += 1;
            let (why, after) = match self.attempt().await {
                Ok(()) => return Ok(self.finish()),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again { why, after }) => (why, after),
            };
            if self.len() > most {
                (failures, most) = (0, self.len());
            }
            failures += 1;
            let limits = &self.job.run.limits;
            if failures >= limits.attempts {
                return Err(TransferError::GaveUp {
                    attempts: self.attempt,
                    failures,
                    last: Box::new(why),
                });
            }
            let wait = retry::wait(limits, failures, after, random());
            tracing::warn!(
                url = %self.shown, error = %why, attempt = self.attempt, have = self.len(),
                ?wait, "download interrupted, trying again"
            );
            let paused = self.job.run.pause(wait, self.progress()).await;
            paused.map_err(|e| self.interrupted(e, self.len()))?;
        }
    }

    /// Asks for what is missing and takes what comes.
    async fn attempt(&mut self) -> Result<(), Failure> {
        let have = self.continuable();
        let limits = &self.job.run.limits;
        let mut request = self
            .job
            .http
            .client(self.url)?
            .get(self.url.clone())
            // The checksum is that of the file, not of the file compressed on the way.
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(value) = self.validators.if_range() {
                request = request.header(IF_RANGE, value);
            }
        }
        let patience = limits.connect + limits.stall;
        let watch = self
            .job
            .run
            .watch(patience, self.progress(), request.send());
        let answer = watch.await;
        let answer = answer.map_err(|e| self.pause_or_end(e, self.len()))?;
        let response = answer.map_err(|e| self.network(e))?;

        let (status, headers) = (response.status(), response.headers());
        let bad_status = TransferError::Status {
            url: self.shown.clone(),
            status,
        };
        match judge(status, headers, have, &self.validators, Timestamp::now()) {
            Verdict::Whole => {
                self.validators = Validators::of(headers);
                self.total = response.content_length();
                self.restart()?;
                self.resumed = false;
                self.write_origin()?;
            }
            Verdict::Rest { total } => {
                self.total = total.or_else(|| Some(have + response.content_length()?));
                self.resumed = true;
            }
            Verdict::Complete => return Ok(()),
            Verdict::StartOver => {
                self.validators = Validators::default();
                self.restart()?;
                return Err(Failure::Again {
                    why: bad_status,
                    after: Some(Duration::ZERO),
                });
            }
            Verdict::Later { after } => {
                return Err(Failure::Again {
                    why: bad_status,
                    after,
                });
            }
            Verdict::Refused => return Err(bad_status.into()),
        }
        if let Some(total) = self.total {
            self.check_size(total)?;
            NoSpace::check(self.job.work.dir(), total.saturating_sub(self.len()))?;
        }
        self.take_body(response).await
    }

    async fn take_body(&mut self, mut response: Response) -> Result<(), Failure> {
        let mut len = self.len();
        let partial = self.partial.take().expect("nobody writes between attempts");
        let Writing { pieces, done } = partial.write();
        let received = loop {
            let progress = self.progress_at(len);
            if let Err(cancelled) = self.job.run.tell(&progress) {
                break Err(self.pause_or_end(cancelled, len));
            }
            let stall = self.job.run.limits.stall;
            let next = self.job.run.watch(stall, progress, response.chunk());
            let piece = match next.await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => break Ok(()),
                Ok(Err(error)) => break Err(self.network(error)),
                Err(interrupted) => break Err(self.pause_or_end(interrupted, len)),
            };
            len += piece.len() as u64;
            if let Err(too_large) = self.check_size(len) {
                break Err(too_large.into());
            }
            if pieces.send(piece).await.is_err() {
                break Ok(());
            }
            fail::fail_point!("fetch::piece");
        };
        drop(pieces);
        let (partial, written) = done.await.expect("the writer does not panic");
        let path = partial.path.clone();
        self.partial = Some(partial);
        written.map_err(
            |source| match NoSpace::from_error(&source, self.job.work.dir()) {
                Some(mut full) => {
                    full.needed = self.total.map(|t| t.saturating_sub(self.len()));
                    full.into()
                }
                None => TransferError::Write { path, source },
            },
        )?;
        received
    }

    /// How many of the bytes we have may be kept for the next request.
    fn continuable(&mut self) -> u64 {
        let trusted = self.job.expected.is_some() || self.validators.if_range().is_some();
        if trusted { self.len() } else { 0 }
    }

    fn partial(&self) -> &Partial {
        self.partial
            .as_ref()
            .expect("nobody writes between attempts")
    }

    fn len(&self) -> u64 {
        self.partial.as_ref().map_or(0, |p| p.len)
    }

    fn progress(&self) -> Progress {
        self.progress_at(self.len())
    }

    fn progress_at(&self, bytes: u64) -> Progress {
        Progress {
            step: self.job.step,
            bytes,
            total: self.total,
            attempt: self.attempt,
        }
    }

    fn restart(&mut self) -> Result<(), TransferError> {
        let partial = self
            .partial
            .as_mut()
            .expect("nobody writes between attempts");
        partial.restart().map_err(|source| TransferError::Write {
            path: partial.path.clone(),
            source,
        })
    }

    fn check_size(&self, size: u64) -> Result<(), TransferError> {
        let limit = self.job.limit;
        if size <= limit {
            return Ok(());
        }
        Err(TransferError::TooLarge {
            from: self.shown.clone(),
            size,
            limit,
        })
    }

    fn finish(mut self) -> Got {
        let partial = self
            .partial
            .take()
            .expect("nobody writes after the last attempt");
        let (path, bytes, digest) = partial.finish();
        Got {
            path,
            bytes,
            digest,
            resumed: self.resumed,
        }
    }

    fn network(&self, error: reqwest::Error) -> Failure {
        let url = self.shown.clone();
        let fault = http::tls_fault(&error);
        let hopeless = fault.is_some() || error.is_builder() || error.is_redirect();
        let reason = causes(&error.without_url());
        if fault == Some(TlsFault::Certificate) {
            return Failure::Final(TransferError::Certificate { url, reason });
        }
        let why = TransferError::Network { url, reason };
        if hopeless {
            return Failure::Final(why);
        }
        Failure::Again { why, after: None }
    }

    fn interrupted(&self, source: Interrupted, bytes: u64) -> TransferError {
        TransferError::Interrupted {
            url: self.shown.clone(),
            bytes,
            source,
        }
    }

    /// A stalled connection is tried again, a cancelled or overdue fetch is over.
    fn pause_or_end(&self, source: Interrupted, bytes: u64) -> Failure {
        let why = self.interrupted(source, bytes);
        match source {
            Interrupted::Stalled(_) => Failure::Again { why, after: None },
            Interrupted::Cancelled | Interrupted::Deadline(_) => Failure::Final(why),
        }
    }

    /// Notes what this download is of, so that the next process may continue it.
    fn write_origin(&self) -> Result<(), TransferError> {
        let Some(expected) = self.job.expected else {
            return Ok(());
        };
        let origin = Origin {
            url: self.url.to_string(),
            checksum: expected.to_string(),
            validators: self.validators.clone(),
        };
        let path = self.job.work.path(&origin_file(self.job.file));
        let text = serde_json::to_vec(&origin).expect("strings always serialize");
        fs::write(&path, text).map_err(|source| TransferError::Write { path, source })
    }
}

/// What an earlier process left, if it is of the same artefact. Anything unreadable is as good as
/// nothing: the download starts at zero.
fn read_origin(job: &Job<'_>, url: &Url) -> Option<Origin> {
    let expected = job.expected?.to_string();
    let text = fs::read(job.work.path(&origin_file(job.file))).ok()?;
    let origin: Origin = serde_json::from_slice(&text).ok()?;
    (origin.url == url.as_str() && origin.checksum == expected).then_some(origin)
}

/// A number in 0..1, from the seed that the standard library draws for its hash maps.
fn random() -> f64 {
    let seed = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    #[expect(clippy::cast_precision_loss, reason = "it need not be an exact number")]
    let fraction = seed as f64 / u64::MAX as f64;
    fraction
}
