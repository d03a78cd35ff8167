//! What an earlier supervisor left: should its upgrade be finished?
//!
//! The journal says where it stood; the world says what an operator has done since. A journal
//! that no longer fits the world is not followed.

use std::ffi::OsString;

use tracing::{info, warn};

use crate::config::Config;
use crate::layout::{Layout, Release};
use crate::plan::{self, Plan};
use crate::skip;
use crate::upgrade::{Journal, JournalError, Stage};

/// What the world looks like, as far as a journal must fit it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct World {
    /// The plan in the plan file.
    plan: Option<Plan>,
    /// `current` points to the journal's release.
    at_target: bool,
    /// The operator skips the height.
    skipped: bool,
}

/// What becomes of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Finish,
    Over,
    Overtaken(&'static str),
}

/// The upgrade to finish, if one was interrupted.
pub fn pending(
    config: &Config,
    layout: &Layout,
    args: &[OsString],
) -> Result<Option<Box<Journal>>, JournalError> {
    let Some(journal) = Journal::load(&layout.baton())? else {
        return Ok(None);
    };
    let target = layout.release_of(&journal.plan.name).ok();
    let world = World {
        plan: plan::read_file(&layout.plan_file())
            .ok()
            .flatten()
            .and_then(|file| file.content.ok()),
        at_target: target.is_some() && target == running(layout),
        skipped: skip::heights(&strings(args)).contains(&journal.plan.height),
    };
    match fate(&journal, &world) {
        Fate::Finish => {
            let left_down = journal.stage == Stage::Prepared && !config.restart_after_upgrade;
            info!(
                name = journal.plan.name,
                height = journal.plan.height,
                stage = ?journal.stage,
                restart_after_upgrade = config.restart_after_upgrade,
                "{}; going on with it",
                if left_down {
                    "an upgrade was left to be started by hand"
                } else {
                    "an upgrade was interrupted"
                }
            );
            Ok(Some(Box::new(journal)))
        }
        Fate::Over => Ok(None),
        Fate::Overtaken(why) => {
            warn!(
                name = journal.plan.name,
                height = journal.plan.height,
                why,
                "an interrupted upgrade is not gone on with"
            );
            Ok(None)
        }
    }
}

fn fate(journal: &Journal, world: &World) -> Fate {
    let same_plan = world
        .plan
        .as_ref()
        .is_some_and(|plan| plan.name == journal.plan.name && plan.height == journal.plan.height);
    match journal.stage {
        Stage::Confirmed | Stage::RolledBack => Fate::Over,
        // Half a restore must not be left, whatever else changed.
        Stage::RollingBack | Stage::DataRestored => Fate::Finish,
        Stage::Due | Stage::Stopped | Stage::BackedUp | Stage::CustomDone | Stage::Fetched => {
            if world.skipped {
                Fate::Overtaken("the operator skips its height")
            } else if !same_plan {
                Fate::Overtaken("the plan file says something else now")
            } else {
                Fate::Finish
            }
        }
        Stage::Switched | Stage::Prepared | Stage::Started => {
            if world.at_target {
                Fate::Finish
            } else {
                Fate::Overtaken("`current` was pointed elsewhere since")
            }
        }
    }
}

fn running(layout: &Layout) -> Option<Release> {
    layout.running().ok()
}

/// The arguments as text, for the flags that we look for in them.
pub fn strings(args: &[OsString]) -> Vec<String> {
    args.iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect()
}

/// What tells one command line from another: the node found running must have been started with this one.
pub fn fingerprint(args: &[OsString]) -> String {
    let mut hasher = blake3::Hasher::new();
    for arg in args {
        hasher.update(arg.as_encoded_bytes());
        hasher.update(&[0]);
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn journal(stage: Stage) -> Journal {
        let mut journal = Journal::new(plan("v2", 100), PathBuf::from("genesis"), 0);
        journal.stage = stage;
        journal
    }

    fn plan(name: &str, height: u64) -> Plan {
        Plan {
            name: name.to_owned(),
            height,
            info: String::new(),
        }
    }

    fn world() -> World {
        World {
            plan: Some(plan("v2", 100)),
            at_target: false,
            skipped: false,
        }
    }

    const BEFORE: [Stage; 5] = [
        Stage::Due,
        Stage::Stopped,
        Stage::BackedUp,
        Stage::CustomDone,
        Stage::Fetched,
    ];
    const AFTER: [Stage; 3] = [Stage::Switched, Stage::Prepared, Stage::Started];

    #[test]
    fn before_the_switch_the_plan_must_still_be_there() {
        for stage in BEFORE {
            assert_eq!(fate(&journal(stage), &world()), Fate::Finish);
            for changed in [None, Some(plan("v3", 100)), Some(plan("v2", 101))] {
                let world = World {
                    plan: changed,
                    ..world()
                };
                assert!(matches!(fate(&journal(stage), &world), Fate::Overtaken(_)));
            }
            let skipped = World {
                skipped: true,
                ..world()
            };
            assert!(matches!(
                fate(&journal(stage), &skipped),
                Fate::Overtaken(_)
            ));
        }
    }

    #[test]
    fn after_the_switch_the_link_must_still_be_there() {
        for stage in AFTER {
            assert!(matches!(
                fate(&journal(stage), &world()),
                Fate::Overtaken(_)
            ));
            let at_target = World {
                at_target: true,
                plan: None,
                ..world()
            };
            assert_eq!(fate(&journal(stage), &at_target), Fate::Finish);
        }
    }

    #[test]
    fn an_upgrade_that_is_over_is_left_and_half_a_rollback_is_not() {
        assert_eq!(fate(&journal(Stage::Confirmed), &world()), Fate::Over);
        assert_eq!(fate(&journal(Stage::RolledBack), &world()), Fate::Over);
        for stage in [Stage::RollingBack, Stage::DataRestored] {
            assert_eq!(fate(&journal(stage), &world()), Fate::Finish);
        }
    }
}
