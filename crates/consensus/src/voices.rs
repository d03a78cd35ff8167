//! Who of the validators has been heard of lately: what an operator wants to know when no block comes.
//!
//! A validator at work says something at each height, and while a height does not end it repeats its vote every few
//! seconds; of what is repeated the network delivers some within [`QUIET`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use baton_ledger::params::Xpub;
use malachite_core::Validator as _;

use crate::context::{Address, Seat, Seats};

/// Who was not heard of for so long is silent, also if it has voted at this height.
const QUIET: Duration = Duration::from_secs(75);
/// Signatures of who was just heard of are not looked at again.
const AGAIN: Duration = Duration::from_secs(1);

/// A validator of the height under way that has not been heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its extended public key.
    pub xpub: Xpub,
    /// Its votes.
    pub power: u64,
}

/// When each validator was heard of last.
#[derive(Debug, Default)]
pub(crate) struct Voices(Mutex<Roll>);

#[derive(Debug, Default)]
struct Roll {
    /// When the height began.
    began: Option<Instant>,
    seats: BTreeMap<Address, (Seat, Option<Instant>)>,
}

impl Voices {
    /// A height has begun with these validators.
    pub(crate) fn begin(&self, seats: &Seats, now: Instant) {
        let mut roll = self.lock();
        let mut before = std::mem::take(&mut roll.seats);
        roll.began = Some(now);
        roll.seats = seats
            .as_slice()
            .iter()
            .map(|seat| {
                let heard = before.remove(seat.address()).and_then(|(_, heard)| heard);
                (*seat.address(), (seat.clone(), heard))
            })
            .collect();
    }

    /// Something came in the name of a validator; `genuine` tells whether it signed it.
    pub(crate) fn heard(&self, of: &Address, now: Instant, genuine: impl FnOnce(&Seat) -> bool) {
        let mut roll = self.lock();
        let Some((seat, heard)) = roll.seats.get_mut(of) else {
            return;
        };
        if heard.is_none_or(|heard| now.duration_since(heard) >= AGAIN) && genuine(seat) {
            *heard = Some(now);
        }
    }

    /// Who has said nothing at this height, or nothing for long. Of use once a height has lasted for some time.
    pub(crate) fn missing(&self, now: Instant) -> Vec<Missing> {
        let roll = self.lock();
        let Some(began) = roll.began else {
            return Vec::new();
        };
        let missing = roll.seats.values().filter(|(_, heard)| {
            heard.is_none_or(|heard| heard < began || now.duration_since(heard) >= QUIET)
        });
        missing
            .map(|(seat, _)| Missing {
                xpub: *seat.xpub(),
                power: seat.voting_power(),
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Roll> {
        // a map that is replaced as a whole: a panic leaves it usable
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use baton_ledger::state::Validator;

    use super::*;
    use crate::key::tests::key;

    #[test]
    fn who_says_nothing_is_missing_and_only_what_is_signed_counts() {
        let keys = [key(1), key(2), key(3)];
        let validators: Vec<_> = keys
            .iter()
            .map(|key| Validator {
                xpub: key.xpub(),
                power: 5,
            })
            .collect();
        let seats = Seats::new(&validators).unwrap();
        let voices = Voices::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(voices.missing(at(0)), []);
        voices.begin(&seats, at(0));
        assert_eq!(voices.missing(at(0)).len(), 3);
        voices.heard(&keys[0].address(), at(1), |_| true);
        voices.heard(&keys[1].address(), at(1), |_| false);
        voices.heard(&key(9).address(), at(1), |_| panic!("it is no validator"));
        // its signature is not looked at again at once
        voices.heard(&keys[0].address(), at(1), |_| panic!("just heard of"));
        let missing = |now| {
            let missing = voices.missing(now);
            missing
                .into_iter()
                .map(|one| one.xpub)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let of = |numbers: &[usize]| numbers.iter().map(|n| keys[*n].xpub()).collect();
        assert_eq!(missing(at(2)), of(&[1, 2]));
        assert_eq!(missing(at(80)), of(&[0, 1, 2]), "it fell silent");
        voices.heard(&keys[0].address(), at(81), |_| true);
        assert_eq!(missing(at(82)), of(&[1, 2]));
        voices.begin(&seats, at(90));
        assert_eq!(missing(at(91)), of(&[0, 1, 2]), "another height");
    }
}
