//! Where work is done that would hold up others: each kind of work has so many threads at most, so that keys that are opened (which takes
//! long on purpose) or writes that wait for the disk leave room for those who only read.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use axum::http::StatusCode;
use futures_util::FutureExt;
use tokio::{sync::Semaphore, time::timeout};

use crate::{fault::Fault, table::Lane};

/// Threads for each kind of work.
#[derive(Debug)]
pub(crate) struct Lanes {
    read: Arc<Semaphore>,
    write: Arc<Semaphore>,
    check: Arc<Semaphore>,
    keys: Arc<Semaphore>,
    limit: Duration,
}

impl Lanes {
    /// Lanes for a machine of so many cores; work that has no answer within the limit is told to be late.
    pub(crate) fn new(limit: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let lane = |width| Arc::new(Semaphore::new(width));
        Self {
            read: lane(cores * 4),
            write: lane(16),
            check: lane(cores * 2),
            // the keystore opens one at a time; the others wait here and not in threads
            keys: lane(4),
            limit,
        }
    }

    /// Does the work in its lane.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let lane = match lane {
            Lane::Here => return guarded(work),
            Lane::Read => &self.read,
            Lane::Write => &self.write,
            Lane::Check => &self.check,
            Lane::Keys => &self.keys,
        };
        let done = async {
            let room = Arc::clone(lane).acquire_owned().await;
            let room = room.expect("lanes are never closed");
            tokio::task::spawn_blocking(move || {
                let done = guarded(work);
                drop(room);
                done
            })
            .await
        };
        match timeout(self.limit, done).await {
            Ok(Ok(done)) => done,
            // the runtime is shutting down
            Ok(Err(_)) => Err(Fault::plain("the node is stopping")),
            Err(_) => Err(late()),
        }
    }
}

/// The answer takes too long.
fn late() -> Fault {
    Fault::transport(StatusCode::REQUEST_TIMEOUT, "BTM001", "")
}

/// Makes of a panic an answer: a fault of this program must not look like a fault of the network.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(own_fault)
}

/// The same for what is waited for, which has its limit of time too.
pub(crate) async fn awaited<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(done) => done.unwrap_or_else(own_fault),
        Err(_) => Err(late()),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "as it comes out of `catch_unwind`"
)]
fn own_fault<T>(panic: Box<dyn Any + Send>) -> Result<T, Fault> {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    tracing::error!(
        panic = said,
        "a request met a fault of this program: report it"
    );
    Err(Fault::transport(
        StatusCode::INTERNAL_SERVER_ERROR,
        "BTM000",
        "the node met a fault of its own with this request: see its log",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_lane_holds_up_nobody_else() {
        let lanes = Arc::new(Lanes::new(Duration::from_secs(30)));
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let mut busy = Vec::new();
        for _ in 0..6 {
            let (lanes, wait, started) = (lanes.clone(), wait.clone(), started.clone());
            busy.push(tokio::spawn(async move {
                let work = move || {
                    let _ = started.send(());
                    let _ = wait.lock().unwrap().recv();
                    Ok(())
                };
                lanes.run(Lane::Keys, work).await
            }));
        }
        for _ in 0..4 {
            starts.recv().await.unwrap();
        }
        assert!(starts.try_recv().is_err(), "four at a time");
        assert_eq!(lanes.run(Lane::Read, || Ok(5)).await, Ok(5));
        drop(release);
        for task in busy {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
    }

    #[tokio::test]
    async fn what_takes_too_long_is_told_so() {
        let lanes = Lanes::new(Duration::from_millis(20));
        let (_hold, wait) = std::sync::mpsc::channel::<()>();
        let slow = lanes.run(Lane::Read, move || {
            let _ = wait.recv_timeout(Duration::from_millis(500));
            Ok(())
        });
        let fault = slow.await.unwrap_err();
        assert_eq!(
            String::from_utf8(fault.body_bytes()).unwrap(),
            "{\"code\":\"BTM001\",\"msg\":\"Request timed out\",\"status\":\"fail\",\"temporary\":true}\n"
        );
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        for lane in [Lane::Here, Lane::Write] {
            let lanes = Lanes::new(Duration::from_secs(5));
            let fault = lanes
                .run(lane, || -> Result<(), Fault> { panic!("{}", "oh") })
                .await
                .unwrap_err();
            assert_eq!(fault.status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
        let waiting = async { panic!("{}", "oh") };
        let fault = awaited::<()>(Duration::from_secs(5), waiting)
            .await
            .unwrap_err();
        assert_eq!(fault.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
