//! The table of what real nodes, operators and snapshots do, and what must come of it.

use super::*;

const H: u64 = 100;

fn facts<'a>(plan: &'a Plan, running: &'a Running) -> Facts<'a> {
    Facts {
        plan,
        author: Author::Node,
        written: Written::ThisLife,
        running,
        heights: Heights::default(),
        child: Child::Alive { asked: true },
        halted: false,
        chain_went_on: false,
        signed: None,
        skipped: false,
        rolled_back: false,
    }
}

fn at(height: u64) -> Heights {
    Heights {
        lowest: Some(height),
        latest: Some(height),
        still_for: Duration::ZERO,
    }
}

fn plan() -> Plan {
    Plan {
        name: "v2".to_owned(),
        height: H,
        info: String::new(),
    }
}

fn genesis() -> Running {
    Running {
        is_target: false,
        plan: None,
    }
}

const CRASHED: Child = Child::Dead {
    cleanly: false,
    ran_for: Duration::from_secs(1),
};
const OLD_CRASH: Child = Child::Dead {
    cleanly: false,
    ran_for: Duration::from_hours(24),
};
const ENDED_WELL: Child = Child::Dead {
    cleanly: true,
    ran_for: Duration::from_secs(1),
};
const ALIVE: Child = Child::Alive { asked: true };
const UNASKED: Child = Child::Alive { asked: false };

type Change = fn(&mut Facts<'_>);

#[test]
fn what_must_switch() {
    let cases: &[(&str, Change, Because)] = &[
        (
            "consensus halted, the process stays up and says H",
            |f| f.heights = at(H),
            Because::HeightReached(H),
        ),
        (
            "consensus halted, the process stays up and says H-1 for long",
            |f| {
                f.heights = at(H - 1);
                f.heights.still_for = STANDSTILL;
            },
            Because::Halted(H - 1),
        ),
        (
            "it says itself that it has halted, one block below, at this moment",
            |f| {
                f.heights = at(H - 1);
                f.halted = true;
            },
            Because::NodeHalted,
        ),
        (
            "halted with its RPC closed to us",
            |_| {},
            Because::NodeSaysSo,
        ),
        (
            "died in block sync, far beyond any height read",
            |f| f.child = CRASHED,
            Because::NodeDied,
        ),
        (
            "died after days, the plan written in its last moment",
            |f| f.child = OLD_CRASH,
            Because::NodeDied,
        ),
        (
            "ended with code 0 after writing the plan",
            |f| f.child = ENDED_WELL,
            Because::NodeDied,
        ),
        (
            "died having said H-1",
            |f| {
                f.child = CRASHED;
                f.heights = at(H - 1);
            },
            Because::Halted(H - 1),
        ),
        (
            "dies again at every start, RPC never up, file rewritten each time",
            |f| f.child = CRASHED,
            Because::NodeDied,
        ),
        (
            "dies again at every start without rewriting the file",
            |f| {
                f.child = CRASHED;
                f.written = Written::Earlier;
            },
            Because::DiesAtStart,
        ),
        (
            "an old file written by nobody knows whom, the validator signed H last",
            |f| {
                f.child = Child::NotStarted;
                f.written = Written::Earlier;
                f.author = Author::Unknown;
                f.signed = Some(H);
            },
            Because::Halted(H),
        ),
        (
            "the same, it signed H-1 last and the node dies at its start",
            |f| {
                f.child = CRASHED;
                f.written = Written::Earlier;
                f.author = Author::Unknown;
                f.signed = Some(H - 1);
            },
            Because::Halted(H - 1),
        ),
        (
            "the supervisor was killed between the plan and the switch",
            |f| {
                f.child = Child::NotStarted;
                f.written = Written::LastLife;
                f.author = Author::Unknown;
            },
            Because::NodeDied,
        ),
        (
            "another supervisor ran before, the plan is the last thing the chain did",
            |f| {
                f.child = Child::NotStarted;
                f.written = Written::Earlier;
            },
            Because::PendingAtStart,
        ),
        (
            "planned by the operator, height reached",
            |f| {
                f.author = Author::Operator;
                f.written = Written::Earlier;
                f.heights = at(H);
            },
            Because::HeightReached(H),
        ),
        (
            "planned by the operator for a height already passed",
            |f| {
                f.author = Author::Operator;
                f.heights = at(H + 50);
            },
            Because::HeightReached(H + 50),
        ),
        (
            "written by hand before, the chain crosses the height between two readings",
            |f| {
                f.author = Author::Unknown;
                f.written = Written::Earlier;
                f.heights = Heights {
                    lowest: Some(H - 3),
                    latest: Some(H + 2),
                    still_for: Duration::ZERO,
                };
            },
            Because::HeightReached(H + 2),
        ),
        (
            "restarted in the window: the file is old, the node stands at H",
            |f| {
                f.written = Written::Earlier;
                f.heights = at(H);
            },
            Because::HeightReached(H),
        ),
        (
            "the chain was reset: the node asks for a plan older than the running one",
            |f| f.heights = at(H),
            Because::HeightReached(H),
        ),
    ];
    let plan = plan();
    let newer = Running {
        is_target: false,
        plan: Some(("v9".to_owned(), 900)),
    };
    let old = genesis();
    for (case, change, because) in cases {
        let running = if case.contains("reset") { &newer } else { &old };
        let mut facts = facts(&plan, running);
        change(&mut facts);
        assert_eq!(due(&facts), Verdict::Switch(*because), "{case}");
    }
}

#[test]
fn what_must_not_switch() {
    use {Refusal as R, Until as U, Verdict as V};
    let cases: &[(&str, Change, Verdict)] = &[
        (
            "future height, planned by the operator",
            |f| {
                f.author = Author::Operator;
                f.heights = at(H - 1);
            },
            V::Wait(U::Height(H - 1)),
        ),
        (
            "future height, no height known, planned by the operator",
            |f| f.author = Author::Operator,
            V::Wait(U::AnyHeight),
        ),
        (
            "future height, planned by the operator, the node crashes",
            |f| {
                f.author = Author::Operator;
                f.child = CRASHED;
            },
            V::Wait(U::AnyHeight),
        ),
        (
            "future height, planned by the operator, standing still just below",
            |f| {
                f.author = Author::Operator;
                f.heights = at(H - 1);
                f.heights.still_for = STANDSTILL * 9;
            },
            V::Wait(U::Height(H - 1)),
        ),
        (
            "future height, written by hand while the node runs",
            |f| {
                f.author = Author::Unknown;
                f.heights = at(10);
            },
            V::Wait(U::Height(10)),
        ),
        (
            "future height, written by hand while the node runs, then it crashes",
            |f| {
                f.author = Author::Unknown;
                f.heights = at(10);
                f.child = CRASHED;
            },
            V::Wait(U::Height(10)),
        ),
        (
            "future height, written by hand before the start",
            |f| {
                f.author = Author::Unknown;
                f.written = Written::Earlier;
                f.child = Child::NotStarted;
            },
            V::Wait(U::AnyHeight),
        ),
        (
            "written by hand before, standing still just below the height",
            |f| {
                f.author = Author::Unknown;
                f.written = Written::Earlier;
                f.heights = at(H - 1);
                f.heights.still_for = STANDSTILL * 9;
            },
            V::Wait(U::Height(H - 1)),
        ),
        (
            "future height, written by hand before the start, the node fails for its own reasons",
            |f| {
                f.author = Author::Unknown;
                f.written = Written::Earlier;
                f.child = CRASHED;
            },
            V::Wait(U::AnyHeight),
        ),
        (
            "future height, an old file of whomever, by what the validator signed last",
            |f| {
                f.written = Written::Earlier;
                f.child = CRASHED;
                f.signed = Some(H - 2);
            },
            V::Wait(U::Height(H - 2)),
        ),
        (
            "stale file of a snapshot, by what the validator signed last",
            |f| {
                f.written = Written::Earlier;
                f.child = Child::NotStarted;
                f.signed = Some(H + 9);
            },
            V::Never(R::Past(Some(H + 9))),
        ),
        (
            "just written, the height not yet asked for",
            |f| f.child = UNASKED,
            V::Wait(U::AnyHeight),
        ),
        (
            "just written by the node at H-1: it may still be moving",
            |f| f.heights = at(H - 1),
            V::Wait(U::Height(H - 1)),
        ),
        (
            "stale file of a snapshot, the chain is past it",
            |f| {
                f.written = Written::Earlier;
                f.heights = at(H + 500);
            },
            V::Never(R::Past(Some(H + 500))),
        ),
        (
            "stale file of a snapshot, the wrong binary dies at its start",
            |f| {
                f.written = Written::Earlier;
                f.child = CRASHED;
                f.chain_went_on = true;
            },
            V::Never(R::Past(None)),
        ),
        (
            "stale file of a snapshot, at the start",
            |f| {
                f.written = Written::Earlier;
                f.child = Child::NotStarted;
                f.chain_went_on = true;
            },
            V::Wait(U::AnyHeight),
        ),
        (
            "an old file, the node ends well",
            |f| {
                f.written = Written::Earlier;
                f.child = ENDED_WELL;
            },
            V::Wait(U::AnyHeight),
        ),
        (
            "an old file, the node crashes after a day",
            |f| {
                f.written = Written::Earlier;
                f.child = OLD_CRASH;
            },
            V::Wait(U::AnyHeight),
        ),
        (
            "an old file, the node runs and gives no height",
            |f| f.written = Written::Earlier,
            V::Wait(U::AnyHeight),
        ),
        (
            "skipped by the operator",
            |f| {
                f.heights = at(H);
                f.skipped = true;
            },
            V::Never(R::Skipped),
        ),
        (
            "rolled back",
            |f| {
                f.heights = at(H);
                f.rolled_back = true;
            },
            V::Never(R::RolledBack),
        ),
    ];
    let plan = plan();
    let running = genesis();
    for (case, change, verdict) in cases {
        let mut facts = facts(&plan, &running);
        change(&mut facts);
        assert_eq!(due(&facts), *verdict, "{case}");
    }
}

#[test]
fn the_plan_of_the_running_release_never_switches() {
    let plan = plan();
    let running = Running {
        is_target: true,
        plan: Some(("v2".to_owned(), H)),
    };
    for written in [Written::ThisLife, Written::LastLife, Written::Earlier] {
        for child in [
            ALIVE,
            UNASKED,
            CRASHED,
            OLD_CRASH,
            ENDED_WELL,
            Child::NotStarted,
        ] {
            for heights in [Heights::default(), at(H - 1), at(H), at(H + 1)] {
                for author in [Author::Node, Author::Operator, Author::Unknown] {
                    let mut facts = facts(&plan, &running);
                    (facts.written, facts.child) = (written, child);
                    (facts.heights, facts.author) = (heights, author);
                    assert_eq!(due(&facts), Verdict::Never(Refusal::IsRunning));
                }
            }
        }
    }
}

#[test]
fn an_older_plan_than_the_running_one_is_refused() {
    let plan = plan();
    for running_height in [H, H + 1] {
        let running = Running {
            is_target: false,
            plan: Some(("v3".to_owned(), running_height)),
        };
        let mut facts = facts(&plan, &running);
        facts.written = Written::Earlier;
        facts.heights = at(H);
        assert_eq!(due(&facts), Verdict::Never(Refusal::Older));
        facts.author = Author::Operator;
        facts.written = Written::ThisLife;
        assert_eq!(due(&facts), Verdict::Never(Refusal::Older));
    }
}

/// Over every combination of facts: a height below H-1 that was read after the file was written
/// is never overruled, and an operator's plan never goes before its height.
#[test]
fn no_combination_switches_too_early() {
    let plan = plan();
    let running = genesis();
    let bools = [false, true];
    let mut checked = 0;
    for author in [Author::Node, Author::Operator, Author::Unknown] {
        for written in [Written::ThisLife, Written::LastLife, Written::Earlier] {
            for child in [
                ALIVE,
                UNASKED,
                CRASHED,
                OLD_CRASH,
                ENDED_WELL,
                Child::NotStarted,
            ] {
                for latest in [None, Some(1), Some(H - 2), Some(H - 1)] {
                    for still_for in [Duration::ZERO, STANDSTILL] {
                        for chain_went_on in bools {
                            let mut facts = facts(&plan, &running);
                            (facts.author, facts.written) = (author, written);
                            (facts.child, facts.chain_went_on) = (child, chain_went_on);
                            facts.heights = Heights {
                                lowest: latest,
                                latest,
                                still_for,
                            };
                            let switches = matches!(due(&facts), Verdict::Switch(_));
                            if author == Author::Operator || latest.is_some_and(|h| h + 1 < H) {
                                assert!(!switches, "{facts:?}");
                            }
                            checked += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(checked, 3 * 3 * 6 * 4 * 2 * 2);
}
