//! Work of the same kind on all cores, in order.

use std::num::NonZero;
use std::thread;

/// How many pieces of work are worth the start of threads.
pub(crate) const WORTHWHILE: usize = 64;

/// The most threads that are started.
const MAX_THREADS: usize = 16;

/// Does `work` on each of `items`, on as many cores as there are if it is worthwhile.
pub(crate) fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(MAX_THREADS).min(items.len() * 2 / WORTHWHILE);
    if threads < 2 {
        return items.into_iter().map(work).collect();
    }
    let share = items.len().div_ceil(threads);
    let total = items.len();
    let mut shares = Vec::with_capacity(threads);
    let mut items = items.into_iter();
    loop {
        let part: Vec<T> = items.by_ref().take(share).collect();
        if part.is_empty() {
            break;
        }
        shares.push(part);
    }
    let work = &work;
    let first = shares.remove(0);
    thread::scope(|scope| {
        let others: Vec<_> = shares
            .into_iter()
            .map(|part| scope.spawn(move || part.into_iter().map(work).collect::<Vec<R>>()))
            .collect();
        let mut done: Vec<R> = Vec::with_capacity(total);
        done.extend(first.into_iter().map(work));
        for other in others {
            match other.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })
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
}
