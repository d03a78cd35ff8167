//! A reader with an allowance.
//!
//! Archive libraries read headers into memory before they can be asked how long those are. An
//! allowance on the bytes they may take makes that harmless, whatever the headers claim.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Sets and watches the allowances of a [`Metered`] reader.
#[derive(Clone)]
pub(super) struct Meter(Rc<State>);

struct State {
    /// Bytes that may still be read at all.
    total: Cell<u64>,
    /// Bytes that may still be read before the next [`Meter::allow`].
    step: Cell<u64>,
    exceeded: Cell<Option<Exceeded>>,
}

/// Which allowance was used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    Total,
    Step,
}

/// The reader.
pub(super) struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl Meter {
    pub(super) fn new(total: u64) -> Self {
        Self(Rc::new(State {
            total: Cell::new(total),
            step: Cell::new(u64::MAX),
            exceeded: Cell::new(None),
        }))
    }

    pub(super) fn reader<R>(&self, inner: R) -> Metered<R> {
        Metered {
            inner,
            meter: self.clone(),
        }
    }

    /// Allows `bytes` more from now on, within the total.
    pub(super) fn allow(&self, bytes: u64) {
        self.0.step.set(bytes);
    }

    /// The allowance that a failed read ran into, if that was why it failed.
    pub(super) fn exceeded(&self) -> Option<Exceeded> {
        self.0.exceeded.get()
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let state = &self.meter.0;
        let allowed = state.total.get().min(state.step.get());
        if allowed == 0 && !buffer.is_empty() {
            // At the very end of the file nothing was exceeded.
            if self.inner.read(&mut [0])? == 0 {
                return Ok(0);
            }
            let which = if state.total.get() == 0 {
                Exceeded::Total
            } else {
                Exceeded::Step
            };
            state.exceeded.set(Some(which));
            return Err(io::Error::other("allowance exceeded"));
        }
        let most = usize::try_from(allowed)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let n = self.inner.read(&mut buffer[..most])?;
        state.total.set(state.total.get() - n as u64);
        state.step.set(state.step.get() - n as u64);
        Ok(n)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_file_is_not_an_excess() {
        let meter = Meter::new(3);
        let mut out = Vec::new();
        meter.reader(&b"abc"[..]).read_to_end(&mut out).unwrap();
        assert_eq!(out, b"abc");
        assert_eq!(meter.exceeded(), None);
    }

    #[test]
    fn both_allowances_hold_and_are_told_apart() {
        let meter = Meter::new(4);
        let mut reader = meter.reader(&b"abcdefgh"[..]);
        meter.allow(2);
        reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(meter.exceeded(), Some(Exceeded::Step));
        meter.allow(100);
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap_err();
        assert_eq!(meter.exceeded(), Some(Exceeded::Total));
        assert!(out.len() <= 2, "{out:?}");
    }
}
