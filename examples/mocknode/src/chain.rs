//! The rules of the chain: what the application does at the beginning of a block.
//!
//! Pure. These are the decisions of the Cosmos SDK's `x/upgrade` module (`PreBlocker`, formerly
//! `BeginBlocker`) and of its halt-height check, in the same order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::version::Version;

/// An upgrade to come. Written `NAME:HEIGHT[:INFO]` on a command line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Plan {
    /// Its name, which the binary that can execute it knows too.
    pub(crate) name: String,
    /// The first block that the next version executes.
    pub(crate) height: u64,
    /// Anything; by convention where to get the binaries.
    #[serde(default)]
    pub(crate) info: String,
}

/// An upgrade that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Done {
    /// The plan's name.
    pub(crate) name: String,
    /// The block it was executed in.
    pub(crate) height: u64,
}

/// What the application keeps on chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct AppState {
    /// The last committed block.
    pub(crate) height: u64,
    /// Plans to come, lowest height first.
    pub(crate) plans: Vec<Plan>,
    /// Upgrades executed so far, oldest first.
    pub(crate) done: Vec<Done>,
}

/// Why a plan cannot be scheduled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unschedulable {
    /// No name.
    #[error("name cannot be empty: invalid request")]
    NoName,
    /// At or below the last block.
    #[error(
        "upgrade {name} at height {height} cannot be scheduled in the past: the chain is at {now}"
    )]
    Past {
        /// The plan's name.
        name: String,
        /// The plan's height.
        height: u64,
        /// The chain's height.
        now: u64,
    },
    /// Executed already.
    #[error("upgrade with name {0} has already been completed")]
    Done(String),
}

/// What to do with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Nothing special: execute it.
    Execute,
    /// Run this upgrade's migration first.
    Apply(Plan),
    /// Drop this plan, as the operator asked.
    Skip(Plan),
    /// This binary cannot execute the block.
    Refuse(Refusal),
}

/// Why a binary cannot execute a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The next version is needed.
    Needed(Plan),
    /// This binary is already the next version.
    TooEarly(Plan),
    /// This binary is older than the data.
    TooOld {
        /// Number of upgrades the data went through.
        app_version: usize,
        /// The last of them.
        missing: String,
    },
    /// The operator set a halt height.
    HaltHeight(u64),
}

impl AppState {
    /// The plan that comes next.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.plans.first()
    }

    /// Adds a plan, replacing one with the same name.
    pub(crate) fn schedule(&mut self, plan: Plan) -> Result<(), Unschedulable> {
        if plan.name.is_empty() {
            return Err(Unschedulable::NoName);
        }
        if self.done.iter().any(|done| done.name == plan.name) {
            return Err(Unschedulable::Done(plan.name));
        }
        if plan.height <= self.height {
            return Err(Unschedulable::Past {
                name: plan.name,
                height: plan.height,
                now: self.height,
            });
        }
        self.plans.retain(|known| known.name != plan.name);
        self.plans.push(plan);
        self.plans.sort_by_key(|known| known.height);
        Ok(())
    }

    /// What `version` does at the beginning of block `height`.
    pub(crate) fn begin_block(
        &self,
        height: u64,
        version: &Version,
        skip_heights: &[u64],
    ) -> Begin {
        let due = self.plan().filter(|plan| plan.height <= height);
        let skipped = due.filter(|_| skip_heights.contains(&height));
        if (due.is_none() || skipped.is_some())
            && let Some(last) = self.done.last()
            && !version.has_handler(&last.name)
        {
            return Begin::Refuse(Refusal::TooOld {
                app_version: self.done.len(),
                missing: last.name.clone(),
            });
        }
        match (self.plan(), due, skipped) {
            (_, _, Some(plan)) => Begin::Skip(plan.clone()),
            (_, Some(plan), None) if version.has_handler(&plan.name) => Begin::Apply(plan.clone()),
            (_, Some(plan), None) => Begin::Refuse(Refusal::Needed(plan.clone())),
            (Some(plan), None, None) if version.has_handler(&plan.name) => {
                Begin::Refuse(Refusal::TooEarly(plan.clone()))
            }
            _ => Begin::Execute,
        }
    }

    /// The state after block `height`, begun as `begin` says.
    #[must_use]
    pub(crate) fn after(&self, height: u64, begin: &Begin) -> Self {
        let mut next = self.clone();
        next.height = height;
        match begin {
            Begin::Apply(plan) => {
                next.plans.retain(|known| known != plan);
                next.done.push(Done {
                    name: plan.name.clone(),
                    height,
                });
            }
            Begin::Skip(plan) => next.plans.retain(|known| known != plan),
            Begin::Execute | Begin::Refuse(_) => {}
        }
        next
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Needed(Plan { name, height, info }) => {
                write!(f, "UPGRADE \"{name}\" NEEDED at height: {height}: {info}")
            }
            Self::TooEarly(Plan { name, .. }) => write!(
                f,
                "BINARY UPDATED BEFORE TRIGGER! UPGRADE \"{name}\" - in binary but not executed \
                 on chain. Downgrade your binary"
            ),
            Self::TooOld {
                app_version,
                missing,
            } => write!(
                f,
                "wrong app version {app_version}, upgrade handler is missing for {missing} \
                 upgrade plan"
            ),
            Self::HaltHeight(height) => write!(f, "halt per configuration height {height} time 0"),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let (name, height) = (parts.next(), parts.next());
        match (name, height.map(str::parse)) {
            (Some(name), Some(Ok(height))) if !name.is_empty() && height > 0 => Ok(Self {
                name: name.to_owned(),
                height,
                info: parts.next().unwrap_or_default().to_owned(),
            }),
            _ => Err(format!(
                "{text:?} is not a plan: write NAME:HEIGHT or NAME:HEIGHT:INFO, e.g. v2:100"
            )),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.name, self.height, self.info)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(name: &str) -> Version {
        Version(name.into())
    }

    fn chain(plans: &[&str]) -> AppState {
        let mut state = AppState::default();
        for plan in plans {
            state.schedule(plan.parse().unwrap()).unwrap();
        }
        state
    }

    #[test]
    fn the_old_binary_stops_at_the_height_and_the_new_one_goes_on() {
        let state = chain(&["v2:10:info"]);
        let genesis = version("genesis");
        assert_eq!(state.begin_block(9, &genesis, &[]), Begin::Execute);
        let Begin::Refuse(refusal) = state.begin_block(10, &genesis, &[]) else {
            panic!("executed a block that needs v2");
        };
        assert_eq!(
            refusal.to_string(),
            "UPGRADE \"v2\" NEEDED at height: 10: info"
        );

        let v2 = version("v2");
        let begin = state.begin_block(10, &v2, &[]);
        assert_eq!(begin, Begin::Apply("v2:10:info".parse().unwrap()));
        let state = state.after(10, &begin);
        assert_eq!(state.plan(), None);
        assert_eq!(state.begin_block(11, &v2, &[]), Begin::Execute);
        let Begin::Refuse(refusal) = state.begin_block(11, &genesis, &[]) else {
            panic!("went back to genesis");
        };
        assert_eq!(
            refusal.to_string(),
            "wrong app version 1, upgrade handler is missing for v2 upgrade plan"
        );
    }

    #[test]
    fn the_new_binary_refuses_to_run_before_the_height() {
        let Begin::Refuse(refusal) = chain(&["v2:10"]).begin_block(9, &version("v2"), &[]) else {
            panic!("ran before its height");
        };
        assert!(
            refusal
                .to_string()
                .starts_with("BINARY UPDATED BEFORE TRIGGER! UPGRADE \"v2\"")
        );
    }

    #[test]
    fn a_skipped_plan_is_dropped() {
        let state = chain(&["v2:10", "v3:20"]);
        let genesis = version("genesis");
        let begin = state.begin_block(10, &genesis, &[10]);
        assert_eq!(begin, Begin::Skip("v2:10".parse().unwrap()));
        let state = state.after(10, &begin);
        assert_eq!(state.plan().unwrap().name, "v3");
        assert!(state.done.is_empty());
    }

    #[test]
    fn plans_are_kept_in_order_and_checked() {
        let mut state = chain(&["v3:20", "v2:10"]);
        assert_eq!(state.plan().unwrap().name, "v2");
        state.schedule("v2:30".parse().unwrap()).unwrap();
        assert_eq!(state.plan().unwrap().name, "v3");
        state.height = 20;
        state.done.push(Done {
            name: "v1".into(),
            height: 5,
        });
        let refused = |plan: &str| state.clone().schedule(plan.parse().unwrap()).unwrap_err();
        assert!(matches!(
            refused("v4:20"),
            Unschedulable::Past { now: 20, .. }
        ));
        assert_eq!(refused("v1:99"), Unschedulable::Done("v1".into()));
    }

    #[test]
    fn plans_as_text() {
        let plan: Plan = "v2:10:https://a.b/c?x=1:2".parse().unwrap();
        assert_eq!((plan.height, &*plan.info), (10, "https://a.b/c?x=1:2"));
        assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan);
        for text in ["", "v2", "v2:", "v2:x", ":5", "v2:0", "v2:-1"] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
    }

    proptest! {
        /// Whatever the binary, a due plan is never executed over: it is applied, skipped by
        /// name of its height, or it stops the node.
        #[test]
        fn no_binary_passes_a_due_plan(
            version in "genesis|v[1-5]", plan in 1u64..5, at in 1u64..20, past in 0u64..5, skip in any::<bool>(),
        ) {
            let state = chain(&[&format!("v{plan}:{at}")]);
            let height = at + past;
            let skips = if skip { vec![height] } else { vec![] };
            let begin = state.begin_block(height, &Version(version.clone()), &skips);
            match begin {
                Begin::Execute => prop_assert!(false, "passed the plan"),
                Begin::Skip(_) => prop_assert!(skip),
                Begin::Apply(p) => prop_assert!(!skip && Version(version).has_handler(&p.name)),
                Begin::Refuse(r) => prop_assert!(!skip && matches!(r, Refusal::Needed(_))),
            }
        }
    }
}
