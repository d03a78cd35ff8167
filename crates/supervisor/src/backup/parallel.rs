//! Many files at once on a few threads, one of which (the caller's) only watches.
//!
//! Copying waits for the disk more than for the processor, so there are more workers than
//! processors; the caller's thread reports progress and carries cancellations, so an
//! [`Observer`] needs to know nothing of threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::content::Scratch;
use super::error::BackupError;
use super::progress::{Meter, Observer, Progress, Stage};

/// How often an observer is told, and asked.
const TICK: Duration = Duration::from_millis(100);

/// Results that wait for the caller's thread.
const QUEUE: usize = 1024;

/// Does `work` for each item, the ones with most bytes first, and gives the results in the order of
/// the items. The first error stops all.
pub(crate) fn run<T: Sync, R: Send>(
    stage: Stage,
    items: &[T],
    bytes_of: impl Fn(&T) -> u64,
    observer: &dyn Observer,
    work: impl Fn(&T, &mut Scratch, &Meter) -> Result<R, BackupError> + Sync,
) -> Result<Vec<R>, BackupError> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(bytes_of(&items[i])));
    let mut progress = Progress {
        stage,
        files_done: 0,
        files_total: items.len() as u64,
        bytes_done: 0,
        bytes_total: items.iter().map(&bytes_of).sum(),
    };
    if observer.cancelled() {
        return Err(BackupError::Cancelled);
    }
    observer.progress(progress);
    let (next, meter) = (AtomicUsize::new(0), Meter::default());
    let (sender, receiver) = sync_channel(QUEUE);
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let mut failure = None;
    thread::scope(|scope| {
        for _ in 0..workers().min(items.len()) {
            let sender = sender.clone();
            let (order, next, meter, work) = (&order, &next, &meter, &work);
            scope.spawn(move || {
                let mut scratch = Scratch::new();
                while !meter.stopped() {
                    let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let result = work(&items[index], &mut scratch, meter);
                    if sender.send((index, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut told = Instant::now();
        loop {
            match receiver.recv_timeout(TICK) {
                Ok((index, Ok(result))) => {
                    results[index] = Some(result);
                    progress.files_done += 1;
                }
                Ok((_, Err(error))) => {
                    // What follows the first error is only the other workers being stopped.
                    failure.get_or_insert(error);
                    meter.stop();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if told.elapsed() >= TICK && failure.is_none() {
                told = Instant::now();
                progress.bytes_done = meter.bytes().min(progress.bytes_total);
                observer.progress(progress);
                if observer.cancelled() {
                    failure = Some(BackupError::Cancelled);
                    meter.stop();
                }
            }
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    progress.bytes_done = progress.bytes_total;
    observer.progress(progress);
    Ok(results
        .into_iter()
        .map(|r| r.expect("every item was worked on, as nothing failed"))
        .collect())
}

/// Twice the processors: half of the workers wait for the disk. More than 8 gain nothing on one
/// disk.
fn workers() -> usize {
    thread::available_parallelism()
        .map_or(4, NonZero::get)
        .saturating_mul(2)
        .clamp(4, 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    #[derive(Default)]
    struct Watch {
        seen: RefCell<Vec<Progress>>,
        cancel: Cell<bool>,
    }

    impl Observer for Watch {
        fn progress(&self, progress: Progress) {
            self.seen.borrow_mut().push(progress);
        }

        fn cancelled(&self) -> bool {
            self.cancel.get()
        }
    }

    #[test]
    fn results_come_in_the_order_of_the_items_and_progress_begins_and_ends() {
        let items: Vec<u64> = (0..5000).collect();
        let watch = Watch::default();
        let doubled = run(
            Stage::Copying,
            &items,
            |&i| i,
            &watch,
            |&i, _, meter| {
                meter.add(i);
                Ok(i * 2)
            },
        )
        .unwrap();
        assert!(doubled.iter().zip(&items).all(|(&d, &i)| d == i * 2));
        let seen = watch.seen.borrow();
        let total = items.iter().sum::<u64>();
        let first = seen.first().unwrap();
        assert_eq!((first.files_done, first.bytes_total), (0, total));
        let last = seen.last().unwrap();
        assert_eq!((last.files_done, last.bytes_done), (5000, total));
    }

    #[test]
    fn the_first_error_stops_the_rest() {
        let items: Vec<u64> = (0..100_000).collect();
        let begun = AtomicUsize::new(0);
        let error = run(
            Stage::Copying,
            &items,
            |_| 0,
            &(),
            |&i, _, _| {
                begun.fetch_add(1, Ordering::Relaxed);
                if i == 10 {
                    return Err(BackupError::NotADirectory("ten".into()));
                }
                Ok(())
            },
        )
        .unwrap_err();
        assert!(matches!(error, BackupError::NotADirectory(_)));
        assert!(begun.load(Ordering::Relaxed) < items.len());
    }

    #[test]
    fn an_observer_can_stop_work_that_is_under_way() {
        struct StopsAtTheSecondLook(Cell<u32>);
        impl Observer for StopsAtTheSecondLook {
            fn cancelled(&self) -> bool {
                self.0.set(self.0.get() + 1);
                self.0.get() > 1
            }
        }
        // Work that ends only when it is told to.
        let wait = |_: &u8, _: &mut Scratch, meter: &Meter| {
            while !meter.stopped() {
                thread::yield_now();
            }
            Err::<(), _>(BackupError::Cancelled)
        };
        let observer = StopsAtTheSecondLook(Cell::new(0));
        let error = run(Stage::Copying, &[0_u8; 20], |_| 0, &observer, wait).unwrap_err();
        assert!(matches!(error, BackupError::Cancelled));
        let watch = Watch::default();
        watch.cancel.set(true);
        let error = run(Stage::Copying, &[0_u8], |_| 0, &watch, |_, _, _| Ok(())).unwrap_err();
        assert!(matches!(error, BackupError::Cancelled));
    }
}
