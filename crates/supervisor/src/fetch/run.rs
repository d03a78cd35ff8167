//! What every step of one fetch shares: its limits, its deadline, and who watches it.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// How often a watcher is asked whether to go on while nothing happens.
const TICK: Duration = Duration::from_millis(500);

/// The limits of a fetch. The defaults suit a validator; tests make them small.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of an artefact as it is transferred.
    pub artefact_bytes: u64,
    /// Bytes of all files that come out of an archive.
    pub unpacked_bytes: u64,
    /// Entries of an archive.
    pub entries: u64,
    /// Bytes of a plan's info, or a list of checksums, behind a URL.
    pub text_bytes: u64,
    /// Time for a connection to come about.
    pub connect: Duration,
    /// Time in which at least one byte must arrive.
    pub stall: Duration,
    /// Time for the whole fetch, waits and retries included.
    pub total: Duration,
    /// Attempts one after another that bring no new byte.
    pub attempts: u32,
    /// The wait before the first retry; it doubles each time.
    pub backoff: Duration,
    /// The longest wait between retries that we choose.
    pub backoff_max: Duration,
    /// The longest wait that a server may ask for (`Retry-After`).
    pub retry_after_max: Duration,
    /// Redirects followed for one request.
    pub redirects: usize,
    /// Time for `<binary> version`.
    pub start: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            artefact_bytes: 4 << 30,
            unpacked_bytes: 8 << 30,
            entries: 10_000,
            text_bytes: 1 << 20,
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            total: Duration::from_hours(2),
            attempts: 8,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_mins(1),
            retry_after_max: Duration::from_mins(5),
            redirects: 10,
            start: Duration::from_secs(10),
        }
    }
}

/// What a fetch is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Waiting for another fetch of the same release to end.
    Waiting,
    /// Getting the info, or a list of checksums, that the plan points to.
    Reading,
    /// Getting the artefact.
    Downloading,
    /// Unpacking it.
    Unpacking,
    /// Finding out whether it runs here.
    Checking,
    /// Putting it into place.
    Installing,
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub step: Step,
    /// Bytes that this step has dealt with.
    pub bytes: u64,
    /// Bytes it will have dealt with at the end, if known.
    pub total: Option<u64>,
    /// Which attempt of this step it is, from 1.
    pub attempt: u32,
}

/// Watches a fetch, and may stop it.
///
/// Called for every piece that arrives and at least twice a second while none does, so it must be
/// quick. A closure will do.
pub trait Observer: Send + Sync + 'static {
    /// Takes note; `Break` cancels the fetch, leaving what was downloaded for the next one.
    fn progress(&self, progress: &Progress) -> ControlFlow<()>;
}

impl<F: Fn(&Progress) -> ControlFlow<()> + Send + Sync + 'static> Observer for F {
    fn progress(&self, progress: &Progress) -> ControlFlow<()> {
        self(progress)
    }
}

/// An observer that lets everything pass.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn progress(&self, _: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Why a wait ended without what it was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// The observer asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The whole fetch took too long.
    #[error("the fetch took longer than {0:?} (limit)")]
    Deadline(Duration),
    /// Nothing came.
    #[error("nothing came for {0:?} (limit)")]
    Stalled(Duration),
}

/// One fetch under way.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) limits: Limits,
    pub(super) deadline: Instant,
    observer: Arc<dyn Observer>,
}

impl Run {
    pub(super) fn new(limits: Limits, observer: Arc<dyn Observer>) -> Self {
        let deadline = Instant::now() + limits.total;
        Self {
            limits,
            deadline,
            observer,
        }
    }

    /// Tells the observer, unless it is too late for anything.
    pub(super) fn tell(&self, progress: &Progress) -> Result<(), Interrupted> {
        if Instant::now() > self.deadline {
            return Err(Interrupted::Deadline(self.limits.total));
        }
        match self.observer.progress(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Interrupted::Cancelled),
        }
    }

    /// Waits for `what`, for no longer than `limit`, with the observer awake.
    pub(super) async fn watch<T>(
        &self,
        limit: Duration,
        progress: Progress,
        what: impl Future<Output = T>,
    ) -> Result<T, Interrupted> {
        let mut what = pin!(what);
        let mut stalled = pin!(sleep(limit));
        loop {
            tokio::select! {
                biased;
                done = &mut what => return Ok(done),
                () = sleep_until(self.deadline) => {
                    return Err(Interrupted::Deadline(self.limits.total));
                }
                () = &mut stalled => return Err(Interrupted::Stalled(limit)),
                () = sleep(TICK) => self.tell(&progress)?,
            }
        }
    }

    /// Does nothing for a while, with the observer awake.
    pub(super) async fn pause(
        &self,
        length: Duration,
        progress: Progress,
    ) -> Result<(), Interrupted> {
        let wait = self.watch(length, progress, std::future::pending::<()>());
        match wait.await {
            Ok(()) | Err(Interrupted::Stalled(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const WAITING: Progress = Progress {
        step: Step::Waiting,
        bytes: 0,
        total: None,
        attempt: 1,
    };

    #[tokio::test]
    async fn a_wait_ends_by_its_limit_the_deadline_or_the_observer() {
        let (long, short) = (Duration::from_hours(1), Duration::from_millis(1));
        let never = std::future::pending::<()>;
        let run = Run::new(Limits::default(), Arc::new(Unobserved));
        let stalled = run.watch(short, WAITING, never()).await;
        assert_eq!(stalled, Err(Interrupted::Stalled(short)));
        run.pause(short, WAITING).await.unwrap();
        let done = run.watch(long, WAITING, async { 7 }).await;
        assert_eq!(done, Ok(7));

        let limits = Limits {
            total: short,
            ..Limits::default()
        };
        let run = Run::new(limits, Arc::new(Unobserved));
        let late = run.watch(long, WAITING, never()).await;
        assert_eq!(late, Err(Interrupted::Deadline(short)));
        assert_eq!(
            run.pause(long, WAITING).await,
            Err(Interrupted::Deadline(short))
        );

        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let stop = move |_: &Progress| {
            counted.fetch_add(1, Ordering::Relaxed);
            ControlFlow::Break(())
        };
        let run = Run::new(Limits::default(), Arc::new(stop));
        let cancelled = run.pause(long, WAITING).await;
        assert_eq!(cancelled, Err(Interrupted::Cancelled));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}
