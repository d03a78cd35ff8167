//! Scrypt, one at a time: its memory is taken once however many ask, and only so many may wait.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::{KeystoreError, lock};

/// Most operations that may wait for their turn. At standard strength the last waits half a minute.
pub const MAX_WAITING: usize = 64;

/// The turn to derive.
#[derive(Debug, Default)]
pub(super) struct Deriver {
    turn: Mutex<()>,
    /// Those who wait, and the one whose turn it is.
    present: AtomicUsize,
    derivations: AtomicU64,
}

/// Proof of having the turn.
pub(super) struct Turn<'deriver>(&'deriver Deriver);

impl Deriver {
    /// Waits for a turn and spends it on `work`. Refuses when too many wait already.
    pub(super) fn in_turn<T>(
        &self,
        work: impl FnOnce(&Turn<'_>) -> Result<T, KeystoreError>,
    ) -> Result<T, KeystoreError> {
        let present = Present::enter(&self.present).ok_or(KeystoreError::Busy)?;
        let turn = lock(&self.turn);
        let done = work(&Turn(self));
        drop(turn);
        drop(present);
        done
    }

    /// How many derivations there have been.
    pub(super) fn derivations(&self) -> u64 {
        self.derivations.load(Ordering::Relaxed)
    }
}

impl Turn<'_> {
    /// To be called with each derivation.
    pub(super) fn count(&self) {
        self.0.derivations.fetch_add(1, Ordering::Relaxed);
    }
}

/// One of those present, until dropped, also by a panic.
struct Present<'deriver>(&'deriver AtomicUsize);

impl<'deriver> Present<'deriver> {
    fn enter(present: &'deriver AtomicUsize) -> Option<Self> {
        let entered = Self(present);
        (present.fetch_add(1, Ordering::Relaxed) <= MAX_WAITING).then_some(entered)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn one_derives_while_a_bounded_number_waits() {
        let deriver = Deriver::default();
        let (release, released) = mpsc::channel::<()>();
        let (started, start) = mpsc::channel();
        std::thread::scope(|scope| {
            let deriver = &deriver;
            scope.spawn(move || {
                deriver.in_turn(|turn| {
                    turn.count();
                    started.send(()).unwrap();
                    released.recv().unwrap();
                    Ok(())
                })
            });
            start.recv().unwrap();
            let waiting: Vec<_> = (0..MAX_WAITING)
                .map(|_| Present::enter(&deriver.present).unwrap())
                .collect();
            let refused = deriver.in_turn(|_| Ok(()));
            assert!(matches!(refused, Err(KeystoreError::Busy)));
            drop(waiting);
            release.send(()).unwrap();
        });
        assert!(deriver.in_turn(|_| Ok(())).is_ok());
        assert_eq!(deriver.present.load(Ordering::Relaxed), 0);
        assert_eq!(deriver.derivations(), 1);
    }
}
