//! Whether a chain goes on, and if it does not, why: decided from facts alone.

use std::time::Duration;

use baton_api::Progress;
use baton_consensus::{Abstention, Missing};
use baton_ledger::upgrade::Plan;

/// A chain stands when no block came for so many intervals, and for [`AT_LEAST`].
const INTERVALS: u32 = 10;
const AT_LEAST: Duration = Duration::from_secs(15);
/// Who lacks more blocks than this is behind.
const BEHIND: u64 = 5;
/// How many validators are named.
const NAMED: usize = 10;

/// What is known.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) height: u64,
    /// The highest block of which a peer tells.
    pub(super) peer_height: u64,
    /// For how long a block is wanted and none has come.
    pub(super) still: Duration,
    /// How old the last block is, by its own time.
    pub(super) age: Duration,
    pub(super) interval: Duration,
    /// Whether the node has no peers on purpose.
    pub(super) offline: bool,
    pub(super) halted: Option<Plan>,
    pub(super) validators: usize,
    /// The votes of all validators.
    pub(super) power: u64,
    pub(super) part: Part,
    pub(super) abstains: Option<Abstention>,
    /// Whether consensus itself has a trouble, which is told.
    pub(super) failing: bool,
    pub(super) peers: usize,
    /// Validators of which nothing is heard, without this node.
    pub(super) missing: Vec<Missing>,
}

/// What this node does at the height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It is no validator.
    Follows,
    /// It votes, and does not propose.
    Votes,
    /// It votes and proposes.
    Proposes,
}

/// What the chain does, and what is wrong by part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) progress: Progress,
    pub(super) chain: Option<String>,
    pub(super) validator: Option<String>,
}

/// How long a block may be late before the chain is said to stand.
pub(super) fn patience(interval: Duration) -> Duration {
    interval.saturating_mul(INTERVALS).max(AT_LEAST)
}

/// Decides.
pub(super) fn judge(facts: &Facts) -> Verdict {
    if facts.offline {
        return Verdict {
            progress: Progress::Offline,
            chain: None,
            validator: None,
        };
    }
    if let Some(plan) = &facts.halted {
        return Verdict {
            progress: Progress::Halted,
            chain: Some(format!(
                "halted before block {} until a program runs that knows the upgrade {:?}; questions are answered",
                plan.height, plan.name
            )),
            validator: None,
        };
    }
    let patience = patience(facts.interval);
    let (height, highest) = (facts.height, facts.peer_height);
    // the time of the last block, not only what a peer says: one that lies must not make this node look bad
    let behind = facts.age > patience && highest > height.saturating_add(BEHIND);
    let (progress, chain) = if behind && facts.still > patience {
        let text = format!(
            "at block {height} of {highest}, and the peers that say to have more do not deliver"
        );
        (Progress::CatchingUp, Some(text))
    } else if behind {
        let text = format!("at block {height} of {highest}, catching up");
        (Progress::CatchingUp, Some(text))
    } else if facts.still > patience {
        let text = format!("no block after {height}: {}", reason(facts));
        (Progress::Standing, Some(text))
    } else {
        (Progress::Moving, None)
    };
    Verdict {
        progress,
        chain,
        validator: silent(facts).map(|abstains| match abstains.until {
            Some(until) => format!("abstains until block {until}: {}", abstains.reason),
            None => format!("abstains: {}", abstains.reason),
        }),
    }
}

/// Why this validator does not vote, if that is not how each start begins.
fn silent(facts: &Facts) -> Option<&Abstention> {
    facts
        .abstains
        .as_ref()
        .filter(|abstains| facts.part != Part::Follows && !abstains.listens)
}

fn reason(facts: &Facts) -> String {
    if facts.failing {
        return "consensus has a trouble of its own".to_owned();
    }
    if facts.part != Part::Follows && facts.validators == 1 {
        return if facts.part == Part::Votes {
            "this node is the only validator and does not propose; start it with --mining"
                .to_owned()
        } else if facts.abstains.is_some() {
            "this node is the only validator and abstains".to_owned()
        } else {
            "this node is the only validator, and its log tells why it makes none".to_owned()
        };
    }
    let unconnected = "no peer is connected; look at p2p.keep_dial, p2p.seeds and the firewall";
    if facts.missing.is_empty() && facts.peers == 0 {
        return unconnected.to_owned();
    }
    if facts.missing.is_empty() {
        return "all validators are heard of and do not agree; look at their clocks and logs"
            .to_owned();
    }
    let power: u64 = facts.missing.iter().map(|one| one.power).sum();
    let first = facts.missing.iter().take(NAMED);
    let mut names: Vec<_> = first.map(|one| short(&one.xpub)).collect();
    if facts.missing.len() > NAMED {
        names.push("…".to_owned());
    }
    let missing = format!(
        "nothing is heard of {} of {} validators, with {power} of {} votes ({})",
        facts.missing.len(),
        facts.validators,
        facts.power,
        names.join(", ")
    );
    if facts.peers == 0 {
        format!("{missing}, for {unconnected}")
    } else if u128::from(power) * 3 >= u128::from(facts.power) {
        format!("{missing}; more than two thirds of the votes must be at work")
    } else {
        format!("{missing}, and the others do not agree; look at their clocks and logs")
    }
}

/// The beginning of a key, as people tell keys apart.
fn short(xpub: &[u8]) -> String {
    format!("{}…", hex::encode(&xpub[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Facts {
        Facts {
            height: 100,
            peer_height: 100,
            still: Duration::from_secs(1),
            age: Duration::from_secs(1),
            interval: Duration::from_secs(1),
            offline: false,
            halted: None,
            validators: 4,
            power: 4,
            part: Part::Proposes,
            abstains: None,
            failing: false,
            peers: 3,
            missing: Vec::new(),
        }
    }

    fn missing(count: u8) -> Vec<Missing> {
        let one = |number| Missing {
            xpub: [number; 64],
            power: 1,
        };
        (1..=count).map(one).collect()
    }

    const LONG: Duration = Duration::from_secs(16);

    #[test]
    fn a_chain_that_goes_on_is_no_trouble_whatever_a_peer_says() {
        let facts = Facts {
            peer_height: u64::MAX,
            missing: missing(1),
            ..well()
        };
        let verdict = judge(&facts);
        assert_eq!(verdict.progress, Progress::Moving);
        assert_eq!((verdict.chain, verdict.validator), (None, None));
    }

    #[test]
    fn a_chain_stands_after_ten_intervals_and_it_is_told_who_is_missing() {
        let standing = |facts: Facts| {
            let verdict = judge(&facts);
            assert_eq!(verdict.progress, Progress::Standing, "{facts:?}");
            verdict.chain.unwrap()
        };
        let slow = Facts {
            still: Duration::from_secs(59),
            interval: Duration::from_secs(6),
            ..well()
        };
        assert_eq!(judge(&slow).progress, Progress::Moving);
        let still = Facts {
            still: LONG,
            age: LONG,
            ..well()
        };
        let told = standing(Facts {
            missing: missing(2),
            ..still.clone()
        });
        assert_eq!(
            told,
            "no block after 100: nothing is heard of 2 of 4 validators, with 2 of 4 votes (0101010101010101…, \
             0202020202020202…); more than two thirds of the votes must be at work"
        );
        let told = standing(Facts {
            missing: missing(1),
            ..still.clone()
        });
        assert!(told.contains("the others do not agree"), "{told}");
        let told = standing(Facts {
            peers: 0,
            missing: missing(3),
            ..still.clone()
        });
        assert!(
            told.contains("3 of 4 validators") && told.contains("p2p.keep_dial"),
            "{told}"
        );
        assert!(standing(still.clone()).contains("clocks"));
        let alone = Facts {
            validators: 1,
            peers: 0,
            ..still
        };
        assert!(standing(alone.clone()).contains("its log"));
        let idle = Facts {
            part: Part::Votes,
            ..alone.clone()
        };
        assert!(standing(idle).contains("--mining"));
        let failing = Facts {
            failing: true,
            ..alone
        };
        assert!(standing(failing).contains("of its own"));
    }

    #[test]
    fn who_is_behind_catches_up() {
        let behind = Facts {
            peer_height: 320,
            age: Duration::from_hours(1),
            ..well()
        };
        let verdict = judge(&behind);
        assert_eq!(verdict.progress, Progress::CatchingUp);
        assert_eq!(verdict.chain.unwrap(), "at block 100 of 320, catching up");
        let starved = Facts {
            still: LONG,
            ..behind
        };
        assert!(judge(&starved).chain.unwrap().contains("do not deliver"));
    }

    #[test]
    fn a_validator_that_abstains_says_why_but_not_while_it_listens_first() {
        let abstains = |listens| {
            let facts = Facts {
                abstains: Some(Abstention {
                    until: Some(101),
                    reason: "100 was signed".to_owned(),
                    listens,
                }),
                ..well()
            };
            judge(&facts).validator
        };
        assert_eq!(
            abstains(false).unwrap(),
            "abstains until block 101: 100 was signed"
        );
        assert_eq!(abstains(true), None);
    }

    #[test]
    fn what_waits_for_another_program_or_has_no_peers_has_words_of_its_own() {
        let halted = Facts {
            still: LONG,
            halted: Some(Plan {
                name: "v2".to_owned(),
                height: 101,
                info: String::new(),
            }),
            ..well()
        };
        let verdict = judge(&halted);
        assert_eq!(verdict.progress, Progress::Halted);
        let told = verdict.chain.unwrap();
        assert!(told.contains("block 101") && told.contains("v2"), "{told}");
        let offline = Facts {
            still: LONG,
            offline: true,
            ..well()
        };
        let verdict = judge(&offline);
        assert_eq!((verdict.progress, verdict.chain), (Progress::Offline, None));
    }
}
