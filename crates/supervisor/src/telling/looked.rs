//! Does somebody look on? Then heights are worth asking for that nothing else needs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long somebody who asked how things stand counts as looking on.
const GLANCE: Duration = Duration::from_secs(3);

/// Who looks on.
#[derive(Debug, Clone, Default)]
pub(super) struct Looked(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: Mutex<Option<Instant>>,
    /// Pages that are told of every change.
    pages: AtomicUsize,
}

/// Somebody looks on for as long as this is kept.
#[derive(Debug)]
pub(super) struct Looking(Looked);

impl Looked {
    /// Somebody asked how things stand.
    pub(super) fn glance(&self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Somebody is told of every change.
    pub(super) fn stay(&self) -> Looking {
        self.0.pages.fetch_add(1, Ordering::Relaxed);
        Looking(self.clone())
    }

    pub(super) fn is_watched(&self) -> bool {
        let last = *self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.pages.load(Ordering::Relaxed) > 0 || last.is_some_and(|at| at.elapsed() < GLANCE)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.0.pages.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_or_stays_looks_on() {
        let looked = Looked::default();
        assert!(!looked.is_watched());
        let staying = looked.stay();
        assert!(looked.is_watched());
        drop(staying);
        assert!(!looked.is_watched());
        looked.glance();
        assert!(looked.is_watched());
    }
}
