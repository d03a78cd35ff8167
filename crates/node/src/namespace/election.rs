//! Who is about to be elected: told before it happens, since a validator that is elected and does not run can stop a chain.
//!
//! The rule is the ledger's ([`elect`]): whoever has enough votes when an epoch ends takes the place of all who validated
//! before, the federation included. Here it is only asked what that would be if the epoch ended now.

use std::collections::BTreeMap;

use baton_chain::{Chain, ChainError, Tip};
use baton_ledger::Params;
use baton_ledger::state::{Validator, elect};
use serde::Serialize;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::tasks::Ending;

/// How many new keys are named in the log.
const NAMED: usize = 5;

/// Validators that follow from the votes as they are, if they are others than now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coming {
    /// The first block that they decide.
    pub from_height: u64,
    /// All of them.
    pub validators: Vec<Elected>,
    /// What may go wrong.
    pub warning: Option<String>,
}

/// One that will be a validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Elected {
    /// Its extended public key.
    pub pub_key: String,
    /// Its votes.
    pub voting_power: u64,
    /// It is none now, so that nobody knows whether it runs.
    pub new: bool,
}

/// What the election at the end of the epoch changes, with these votes.
fn coming(
    now: &[Validator],
    votes: &BTreeMap<Vec<u8>, u64>,
    params: &Params,
    tip: u64,
) -> Option<Coming> {
    let then = elect(votes, params);
    let same = |one: &Validator| now.iter().any(|other| other.xpub == one.xpub);
    if then.len() == now.len() && then.iter().all(same) {
        return None;
    }
    let epoch = params.epoch_blocks.max(1);
    let validators: Vec<Elected> = then
        .iter()
        .map(|one| Elected {
            pub_key: hex::encode(one.xpub),
            voting_power: one.power,
            new: !same(one),
        })
        .collect();
    Some(Coming {
        from_height: (tip / epoch + 1) * epoch + 1,
        warning: warning(&validators),
        validators,
    })
}

/// What may go wrong: nobody has seen the new ones at work.
fn warning(then: &[Elected]) -> Option<String> {
    let all: u128 = then.iter().map(|one| u128::from(one.voting_power)).sum();
    let new: Vec<_> = then.iter().filter(|one| one.new).collect();
    let power: u128 = new.iter().map(|one| u128::from(one.voting_power)).sum();
    if power * 3 < all || new.is_empty() {
        return None;
    }
    let mut names: Vec<_> = new
        .iter()
        .take(NAMED)
        .map(|one| format!("{}…", &one.pub_key[..16]))
        .collect();
    if new.len() > NAMED {
        names.push("…".to_owned());
    }
    Some(format!(
        "{} of {} validators to come have not been any so far, and have {power} of {all} votes ({}); without them at work, started \
         with --mining, the chain will stand. Have them started, or vote for those that run",
        new.len(),
        then.len(),
        names.join(", ")
    ))
}

/// Tells of each change of what is to come, until it is time to end.
pub(super) async fn watch(
    chain: Chain,
    mut tips: watch::Receiver<Tip>,
    told: watch::Sender<Option<Coming>>,
    mut ending: Ending,
) {
    loop {
        tips.mark_unchanged();
        let looked = chain.clone();
        let found = tokio::task::spawn_blocking(move || look(&looked)).await;
        match found {
            Ok(Ok(coming)) => {
                let news = told.send_if_modified(|before| {
                    let news = *before != coming;
                    before.clone_from(&coming);
                    news
                });
                if news && let Some(coming) = &coming {
                    tell(coming);
                }
            }
            Ok(Err(error)) => info!(%error, "the votes could not be read"),
            Err(error) => info!(%error, "the votes were not read"),
        }
        tokio::select! {
            () = ending.begun() => return,
            changed = tips.changed() => if changed.is_err() {
                return ending.begun().await;
            },
        }
    }
}

fn look(chain: &Chain) -> Result<Option<Coming>, ChainError> {
    let reader = chain.read()?;
    let now = reader.validators()?;
    let votes = reader.votes_at(None)?;
    Ok(coming(&now, &votes, chain.params(), reader.tip().height))
}

fn tell(coming: &Coming) {
    let (from_height, validators) = (coming.from_height, coming.validators.len());
    if let Some(warning) = &coming.warning {
        warn!(
            from_height,
            validators, warning, "THE VALIDATORS ARE ABOUT TO CHANGE"
        );
    } else {
        info!(
            from_height,
            validators, "the validators are about to change"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_key::NodeKey;

    #[test]
    fn a_change_is_told_with_what_may_go_wrong() {
        let keys: Vec<_> = (0..5).map(|_| NodeKey::generate().xpub()).collect();
        let params = Params {
            epoch_blocks: 100,
            min_validator_vote_neu: 10,
            ..Params::solonet(keys[..4].to_vec())
        };
        let now = elect(&BTreeMap::new(), &params);
        let votes = |of: &[(usize, u64)]| {
            let votes = of.iter().map(|(key, votes)| (keys[*key].to_vec(), *votes));
            votes.collect::<BTreeMap<_, _>>()
        };
        let coming = |of: &[(usize, u64)], tip| coming(&now, &votes(of), &params, tip);
        assert_eq!(coming(&[], 250), None, "the federation stays");
        assert_eq!(coming(&[(4, 9)], 250), None, "too few votes");
        let alone = coming(&[(4, 10)], 250).unwrap();
        assert_eq!(alone.from_height, 301);
        assert_eq!(alone.validators.len(), 1);
        let warning = alone.warning.unwrap();
        let name = &hex::encode(keys[4])[..16];
        assert!(
            warning.starts_with("1 of 1 validators to come") && warning.contains(name),
            "{warning}"
        );
        // those that run keep more than two thirds
        let joined = coming(&[(0, 10), (1, 10), (2, 10), (3, 10), (4, 10)], 300).unwrap();
        assert_eq!((joined.from_height, joined.warning), (401, None));
        assert_eq!(joined.validators.iter().filter(|one| one.new).count(), 1);
        // fewer of the same
        let fewer = coming(&[(0, 10)], 99).unwrap();
        assert_eq!((fewer.from_height, fewer.warning), (101, None));
    }
}
