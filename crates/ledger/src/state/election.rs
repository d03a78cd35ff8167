//! Who validates in the next epoch.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::record::{Validator, Validators};
use crate::params::Params;

/// The validators that `votes` (neu by extended public key) make.
///
/// Of the keys with [`Params::min_validator_vote_neu`] or more those with most votes, at most
/// [`Params::max_validators`]; of two with as many votes the one with the greater key comes first, as in bytomd. Their
/// power is their votes. If no key has enough, the federation validates with a power of 1 each.
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
    elected.sort_by_key(|validator| Reverse((validator.power, validator.xpub)));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        Params {
            max_validators: 3,
            min_validator_vote_neu: 10,
            ..Params::solonet(vec![[9; 64], [8; 64]])
        }
    }

    fn votes(of: &[(u8, u64)]) -> BTreeMap<Vec<u8>, u64> {
        of.iter()
            .map(|(key, votes)| (vec![*key; 64], *votes))
            .collect()
    }

    #[test]
    fn those_with_most_votes() {
        let elected = elect(
            &votes(&[(1, 10), (2, 30), (3, 9), (4, 20), (5, 10)]),
            &params(),
        );
        let found: Vec<(u8, u64)> = elected.iter().map(|v| (v.xpub[0], v.power)).collect();
        // of the two with 10 the greater key
        assert_eq!(found, [(2, 30), (4, 20), (5, 10)]);
    }

    #[test]
    fn else_the_federation() {
        for few in [&[][..], &[(1, 9)]] {
            let elected = elect(&votes(few), &params());
            let found: Vec<(u8, u64)> = elected.iter().map(|v| (v.xpub[0], v.power)).collect();
            assert_eq!(found, [(9, 1), (8, 1)]);
        }
        let free = Params {
            min_validator_vote_neu: 0,
            ..params()
        };
        assert_eq!(elect(&votes(&[(1, 0)]), &free).len(), 2);
    }
}
