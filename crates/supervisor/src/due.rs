//! Is a plan due? The one question on which everything else hangs, as a pure function.
//!
//! The plan file alone does not answer it: it also lies there for a plan of the future (an
//! operator wrote it), for one long done (nodes never delete it), and for another machine's past
//! (it travels with snapshots). So the question is decided from facts:
//!
//! - **who wrote it**: a node writes it when it stands at the height and cannot go on; an operator
//!   writes it in advance;
//! - **when**: in the life of this child, of the previous one, or before. A file written in a
//!   child's own life is that child's word that it needs the upgrade;
//! - **where the chain is**: only heights read after the file was last written count, since an
//!   older one says nothing about it; such a height can also contradict the file;
//! - **what the child does**: it may halt and stay up, die, or die again at every start before its
//!   RPC is up.
//!
//! Where these facts leave a doubt, the answer is to wait: an upgrade a little late costs seconds,
//! one too early can cost the chain's state. A node that truly needs the upgrade says so again at
//! its next start, and that settles it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// How long a chain must stand one block below the plan, with the file written by the node
/// itself, before that counts as halted. Block times of real chains are well below it.
pub const STANDSTILL: Duration = Duration::from_secs(15);

/// A child that dies within this time without having answered is taken for one that cannot pass
/// the plan's height.
pub const SHORT_LIFE: Duration = Duration::from_mins(2);

/// Who wrote the plan file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Author {
    /// A node: written with the mode that nodes use, or in the life of a node.
    Node,
    /// `add-upgrade --upgrade-height` or the batch list.
    Operator,
    /// It cannot be told.
    Unknown,
}

/// When the plan file was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Since the child was started.
    ThisLife,
    /// In the life of the child before, under a supervisor that ended with it.
    LastLife,
    /// Before that, or no one knows.
    Earlier,
}

/// What the child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// No child yet: the supervisor has just started.
    NotStarted,
    /// It runs; `asked` tells whether its height was asked for since the file was written.
    Alive {
        /// Every source of heights was tried since, whatever came of it.
        asked: bool,
    },
    /// It ended by itself.
    Dead {
        /// With exit code 0.
        cleanly: bool,
        /// How long it lived.
        ran_for: Duration,
    },
}

/// Heights read since the plan file was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heights {
    /// The lowest.
    pub lowest: Option<u64>,
    /// The latest.
    pub latest: Option<u64>,
    /// For how long the latest has been the same.
    pub still_for: Duration,
}

/// The release that runs, and the plan that brought it if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The release is the one that the plan asks for.
    pub is_target: bool,
    /// Name and height from the release's own `upgrade-info.json`.
    pub plan: Option<(String, u64)>,
}

/// Everything that the decision depends on.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub struct Facts<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Who wrote it.
    pub author: Author,
    /// When.
    pub written: Written,
    /// What runs.
    pub running: &'a Running,
    /// Where the chain is.
    pub heights: Heights,
    /// What the child does.
    pub child: Child,
    /// The child says, since the file was last written, that it has halted for this very plan.
    pub halted: bool,
    /// The chain's stores were written well after the plan file: the chain went on without it.
    pub chain_went_on: bool,
    /// The last height that the validator signed, if it is one and the node is down. It may be ahead of
    /// the chain, after a restore.
    pub signed: Option<u64>,
    /// The operator told the node to skip this height.
    pub skipped: bool,
    /// This very plan was rolled back, and its binary is still the one that failed.
    pub rolled_back: bool,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Switch now.
    Switch(Because),
    /// Not yet, or not known yet.
    Wait(Until),
    /// Never, unless the file is written again.
    Never(Refusal),
}

/// Why a plan is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The chain is at the plan's height or beyond.
    HeightReached(u64),
    /// The node wrote the plan, and the chain stands just below its height.
    Halted(u64),
    /// The node says that it has halted for the plan.
    NodeHalted,
    /// The node wrote the plan in its own life and gives no height.
    NodeSaysSo,
    /// The node wrote the plan in its own life and died.
    NodeDied,
    /// A node wrote the plan, nothing has happened on the chain since.
    PendingAtStart,
    /// The node dies at every start before it gives a height, and the chain has not gone on.
    DiesAtStart,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The chain to reach the height; it is at this one.
    Height(u64),
    /// A height, which no source has given yet.
    AnyHeight,
}

/// Why a plan is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It brought the release that runs.
    IsRunning,
    /// The release that runs is from a later plan.
    Older,
    /// The operator skips its height.
    Skipped,
    /// It was rolled back.
    RolledBack,
    /// The chain is already past it (at this height, if known): a file from another time or
    /// machine.
    Past(Option<u64>),
}

/// Is the plan due?
pub fn due(facts: &Facts<'_>) -> Verdict {
    use {Because as B, Refusal as R, Verdict as V};

    let height = facts.plan.height;
    let own_word = facts.written != Written::Earlier && facts.author != Author::Operator;
    if facts.running.is_target {
        return V::Never(R::IsRunning);
    }
    if facts.skipped {
        return V::Never(R::Skipped);
    }
    if facts.rolled_back {
        return V::Never(R::RolledBack);
    }
    if let Some((_, running)) = &facts.running.plan
        && height <= *running
        && !own_word
    {
        return V::Never(R::Older);
    }
    if facts.halted && matches!(facts.child, Child::Alive { .. }) {
        return V::Switch(B::NodeHalted);
    }
    match facts.heights.latest {
        Some(at) if facts.author == Author::Operator => {
            if at >= height {
                V::Switch(B::HeightReached(at))
            } else {
                V::Wait(Until::Height(at))
            }
        }
        Some(at) if at >= height => {
            let crossed = facts.heights.lowest.is_some_and(|low| low <= height);
            if own_word || crossed {
                V::Switch(B::HeightReached(at))
            } else {
                V::Never(R::Past(Some(at)))
            }
        }
        // The block before: either the chain has yet to reach the height, or the node halts
        // without counting the block it could not execute.
        Some(at) if at + 1 == height => match facts.child {
            Child::Alive { .. } if facts.heights.still_for < STANDSTILL => {
                V::Wait(Until::Height(at))
            }
            Child::Alive { .. } if !own_word => V::Wait(Until::Height(at)),
            _ => V::Switch(B::Halted(at)),
        },
        Some(at) => V::Wait(Until::Height(at)),
        None => without_height(facts, own_word),
    }
}

/// The same when no height was read since the plan was written.
#[expect(clippy::match_same_arms, reason = "one arm for each row of the table")]
fn without_height(facts: &Facts<'_>, own_word: bool) -> Verdict {
    use {Because as B, Refusal as R, Verdict as V};

    if facts.author == Author::Operator {
        return V::Wait(Until::AnyHeight);
    }
    match facts.child {
        Child::Alive { asked: true } if own_word => V::Switch(B::NodeSaysSo),
        Child::Alive { .. } => V::Wait(Until::AnyHeight),
        Child::Dead { .. } | Child::NotStarted if own_word => V::Switch(B::NodeDied),
        // An old file: what the validator signed last tells where the chain was.
        Child::Dead { .. } | Child::NotStarted if facts.signed.is_some() => {
            match facts.signed.unwrap_or_default() {
                at if at > facts.plan.height => V::Never(R::Past(Some(at))),
                at if at + 1 < facts.plan.height => V::Wait(Until::Height(at)),
                _ if facts.chain_went_on => V::Wait(Until::AnyHeight),
                at => V::Switch(B::Halted(at)),
            }
        }
        Child::NotStarted if facts.author == Author::Node && !facts.chain_went_on => {
            V::Switch(B::PendingAtStart)
        }
        Child::NotStarted => V::Wait(Until::AnyHeight),
        Child::Dead { cleanly, ran_for } => {
            if cleanly || ran_for > SHORT_LIFE {
                V::Wait(Until::AnyHeight)
            } else if facts.chain_went_on {
                V::Never(R::Past(None))
            } else if facts.author == Author::Node {
                V::Switch(B::DiesAtStart)
            } else {
                // Written by hand, be it for the future, and the node fails for reasons of its own.
                V::Wait(Until::AnyHeight)
            }
        }
    }
}

impl Because {
    /// In the operator's words.
    pub fn text(self) -> String {
        match self {
            Self::HeightReached(at) => format!("the chain is at height {at}"),
            Self::Halted(at) => {
                format!("the node wrote the plan and the chain stands at height {at}")
            }
            Self::NodeHalted => "the node says that it has halted for the plan".to_owned(),
            Self::NodeSaysSo => "the node wrote the plan and gives no height".to_owned(),
            Self::NodeDied => "the node wrote the plan and ended".to_owned(),
            Self::PendingAtStart => {
                "a node wrote the plan and the chain has not gone on since".to_owned()
            }
            Self::DiesAtStart => {
                "the node ends at its start and the chain has not gone on since the plan".to_owned()
            }
        }
    }
}

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
