//! Who validates in the next epoch.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::VerifyingKey;

use super::record::{Validator, Validators};
use crate::params::{Params, Xpub};

/// The validators that `votes` (neu by extended public key) make.
///
/// Of the keys with [`Params::min_validator_vote_neu`] or more those with most votes, at most
/// [`Params::max_validators`]; of two with as many votes the one with the greater key comes first, as in bytomd. Their
/// power is their votes. If no key has enough, the federation validates with a power of 1 each.
///
/// Unlike in bytomd a key that nobody can sign with is passed over, and so is one that differs from an earlier one by
/// its chain code only: it would sign twice.
pub fn elect(votes: &BTreeMap<Vec<u8>, u64>, params: &Params) -> Validators {
    let mut elected: Validators = votes
        .iter()
        .filter(|(_, votes)| **votes >= params.min_validator_vote_neu.max(1))
        .filter_map(|(key, votes)| {
            let xpub = key.as_slice().try_into().ok()?;
            Some(Validator {
                xpub,
                power: *votes,
            })
        })
        .collect();
    elected.retain(|validator| signing_key(&validator.xpub).is_some());
    elected.sort_by_key(|validator| Reverse((validator.power, validator.xpub)));
    let mut seen = BTreeSet::new();
    elected.retain(|validator| seen.insert(signing_key(&validator.xpub)));
    elected.truncate(params.max_validators);
    if elected.is_empty() {
        let member = |xpub: &_| Validator {
            xpub: *xpub,
            power: 1,
        };
        elected = params.federation.iter().map(member).collect();
    }
    elected
}

/// The ed25519 key of an extended public key, if it is one that can sign.
pub(super) fn signing_key(xpub: &Xpub) -> Option<[u8; 32]> {
    let (key, _chain_code) = xpub.split_first_chunk().expect("an xpub has 64 bytes");
    let parsed = VerifyingKey::from_bytes(key).ok()?;
    (!parsed.is_weak()).then_some(*key)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    /// The key of a number, and a chain code that tells the number.
    fn xpub(number: u8) -> Xpub {
        let mut xpub = [number; 64];
        let key = SigningKey::from_bytes(&[number; 32]).verifying_key();
        xpub[..32].copy_from_slice(key.as_bytes());
        xpub
    }

    fn told(elected: &Validators) -> Vec<(u8, u64)> {
        let tell = |validator: &Validator| (validator.xpub[63], validator.power);
        elected.iter().map(tell).collect()
    }

    fn params() -> Params {
        Params {
            max_validators: 3,
            min_validator_vote_neu: 10,
            ..Params::solonet(vec![xpub(9), xpub(8)])
        }
    }

    fn votes(of: &[(u8, u64)]) -> BTreeMap<Vec<u8>, u64> {
        of.iter()
            .map(|(key, votes)| (xpub(*key).to_vec(), *votes))
            .collect()
    }

    #[test]
    fn those_with_most_votes() {
        let elected = elect(
            &votes(&[(1, 10), (2, 30), (3, 9), (4, 20), (5, 10)]),
            &params(),
        );
        // of the two with 10 the greater key
        let greater = if xpub(1) > xpub(5) { 1 } else { 5 };
        assert_eq!(told(&elected), [(2, 30), (4, 20), (greater, 10)]);
    }

    #[test]
    fn else_the_federation() {
        for few in [&[][..], &[(1, 9)]] {
            let elected = elect(&votes(few), &params());
            assert_eq!(told(&elected), [(9, 1), (8, 1)]);
        }
        let free = Params {
            min_validator_vote_neu: 0,
            ..params()
        };
        assert_eq!(elect(&votes(&[(1, 0)]), &free).len(), 2);
    }

    #[test]
    fn keys_that_cannot_sign_once_are_passed_over() {
        let mut of = votes(&[(1, 10)]);
        let mut twin = xpub(1);
        twin[63] = 77;
        of.insert(twin.to_vec(), 20);
        // a point of small order, and no point
        of.insert([0; 64].to_vec(), 30);
        of.insert([2; 64].to_vec(), 30);
        assert_eq!(signing_key(&[2; 64]), None);
        assert_eq!(told(&elect(&of, &params())), [(77, 20)]);
    }
}
