//! Work of the same kind on all cores, in order, behind everything that somebody waits for.
//!
//! Signatures are checked by a crew of threads of its own, one for each core, with a low priority: a flood of transactions
//! takes what of the machine is idle, and leaves requests and blocks their share.

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread;

use rayon::ThreadPool;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rustix::process::{getpriority_process, setpriority_process};

/// How many pieces of work are worth another thread.
pub(crate) const WORTHWHILE: usize = 64;

/// The most threads.
const MAX_THREADS: usize = 16;
/// How far behind the other threads of the process they stand, as `nice` counts it: beside one that is busy they get a tenth of
/// a core.
const BEHIND: i32 = 10;
/// The lowest priority.
const LOWEST: i32 = 19;

/// The crew of this process; `None` if the system gives no threads.
static CREW: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let crew = rayon::ThreadPoolBuilder::new()
        .num_threads(cores.min(MAX_THREADS))
        .thread_name(|number| format!("checks-{number}"))
        .start_handler(|_| stand_back())
        .build();
    crew.inspect_err(|error| tracing::warn!(%error, "signatures are checked one after the other"))
        .ok()
});

/// Lowers the priority of this thread. On Linux it is a thread's, and nothing has to be allowed for that.
fn stand_back() {
    let lowered = getpriority_process(None)
        .and_then(|own| setpriority_process(None, (own + BEHIND).min(LOWEST)));
    if let Err(error) = lowered {
        tracing::debug!(%error, "the priority of a thread could not be lowered");
    }
}

/// Does `work` on each of `items`, by the crew if there are enough of them to be worth it.
pub(crate) fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    match &*CREW {
        Some(crew) if items.len() >= WORTHWHILE => crew.install(|| {
            items
                .into_par_iter()
                .with_min_len(WORTHWHILE / 2)
                .map(work)
                .collect()
        }),
        _ => items.into_iter().map(work).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept() {
        for len in [0, 1, 63, 64, 65, 1000, 1001] {
            let items: Vec<usize> = (0..len).collect();
            let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(map(items, |item| item * 2), doubled);
        }
    }

    #[test]
    fn much_work_stands_back_and_little_does_not() {
        let priority = || getpriority_process(None).unwrap();
        let own = priority();
        let of = |len| map(vec![(); len], |()| priority());
        assert_eq!(of(WORTHWHILE - 1), vec![own; WORTHWHILE - 1]);
        let behind = (own + BEHIND).min(LOWEST);
        assert_eq!(of(WORTHWHILE), vec![behind; WORTHWHILE]);
        assert_eq!(priority(), own);
    }
}
