//! Is there a node to go on with? A supervisor that was killed leaves its node behind.
//!
//! One that can hand over is gone on with, where nothing speaks against it: it need not be stopped, and nobody notices that its
//! supervisor is another. Every other is ended, as no second one may touch its data.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use baton_handover::control;
use tracing::{info, warn};

use super::driver::{FoundNode, who_serves};
use super::resume;
use crate::config::{Config, Relay};
use crate::facts::{LastLife, ProcessId};
use crate::layout::Layout;
use crate::node::identity;
use crate::node::spawn::Node;
use crate::upgrade::{Journal, Stage, Way};

/// How long a handover may take to come to its end that a supervisor had begun which was killed: by then it has failed at one of its
/// own deadlines.
const SETTLES: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(50);

/// What is known of the processes that were left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left<'a> {
    /// The release of the process that was the node last.
    release: &'a str,
    /// The release that `current` leads to.
    current: &'a str,
    /// The release that the interrupted upgrade leads to.
    target: Option<&'a str>,
    /// The process that serves was the one that was to take over.
    was_candidate: bool,
}

/// The processes of the last supervisor that live: the node's first.
pub(super) fn left(last: &LastLife) -> Vec<ProcessId> {
    let all = last
        .process
        .iter()
        .chain(&last.candidate)
        .chain(&last.leaving);
    all.filter(|process| identity::is_alive(process))
        .cloned()
        .collect()
}

/// The node that was left running, if it is to be gone on with.
pub(super) async fn node(
    config: &Config,
    layout: &Layout,
    args: &[OsString],
    last: &LastLife,
    journal: Option<&Journal>,
) -> Option<FoundNode> {
    let left = left(last);
    if left.is_empty() || config.baton.relay == Relay::Off {
        return None;
    }
    if last.command.as_deref() != Some(&resume::fingerprint(args)) {
        info!("the node that was left running was started with other arguments");
        return None;
    }
    let directory = layout.control_dir();
    let pid = settled(&directory).await?.cast_signed();
    let serves = left.iter().find(|process| process.pid == pid)?;
    let current = layout.running().ok()?.label();
    let target = journal
        .and_then(|journal| layout.release_of(&journal.plan.name).ok())
        .map(|release| release.label());
    let is_new = fits(
        journal,
        Left {
            release: &last.release,
            current: &current,
            target: target.as_deref(),
            was_candidate: last.candidate.as_ref() == Some(serves),
        },
        config.restart_after_upgrade,
    )?;
    let node = Node::found(pid)
        .inspect_err(
            |error| warn!(pid, %error, "the node that was left running cannot be followed"),
        )
        .ok()?;
    let leaving = left
        .iter()
        .filter(|process| process.pid != pid)
        .filter_map(|process| Node::found(process.pid).ok())
        .collect();
    Some(FoundNode {
        node,
        is_new,
        leaving,
    })
}

/// Whether what serves fits to how far the upgrade has come; if so, whether it is of the new release.
fn fits(journal: Option<&Journal>, left: Left<'_>, restart: bool) -> Option<bool> {
    let Some(journal) = journal else {
        // Nothing is under way; the operator may have pointed `current` elsewhere.
        return (left.release == left.current).then_some(false);
    };
    let on_target = left.target == Some(left.release) || left.was_candidate;
    match (journal.way, journal.stage) {
        (_, Stage::Started) => (on_target && left.target == Some(left.current)).then_some(true),
        (Way::Relay, Stage::Prepared) if restart => Some(on_target),
        (
            Way::Relay,
            Stage::Due | Stage::BackedUp | Stage::CustomDone | Stage::Fetched | Stage::Switched,
        ) if restart => (!on_target).then_some(false),
        _ => None,
    }
}

/// The process that serves, once no handover is under way.
async fn settled(directory: &Path) -> Option<u32> {
    let until = Instant::now() + SETTLES;
    loop {
        // Whether there is anybody at all.
        who_serves(directory).await?;
        if let Ok(status) = control::status(directory).await {
            if status.phase == "serving" {
                return Some(status.pid);
            }
            info!(
                pid = status.pid,
                phase = status.phase,
                "a handover is under way; waiting for its end"
            );
        }
        if Instant::now() >= until {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn journal(way: Way, stage: Stage) -> Journal {
        let plan = Plan {
            name: "v2".to_owned(),
            height: 100,
            info: String::new(),
        };
        let mut journal = Journal::new(plan, "genesis".into(), 0);
        journal.way = way;
        journal.stage = stage;
        journal
    }

    fn left(release: &'static str, current: &'static str) -> Left<'static> {
        Left {
            release,
            current,
            target: Some("v2"),
            was_candidate: false,
        }
    }

    #[test]
    fn without_an_upgrade_only_the_release_must_be_the_current_one() {
        assert_eq!(fits(None, left("v1", "v1"), true), Some(false));
        assert_eq!(fits(None, left("v1", "v2"), true), None);
    }

    #[test]
    fn a_relay_is_gone_on_with_wherever_it_stood() {
        use Stage as S;
        for stage in [
            S::Due,
            S::BackedUp,
            S::CustomDone,
            S::Fetched,
            S::Switched,
            S::Prepared,
        ] {
            let journal = journal(Way::Relay, stage);
            assert_eq!(
                fits(Some(&journal), left("v1", "v1"), true),
                Some(false),
                "{stage:?}"
            );
            assert_eq!(
                fits(Some(&journal), left("v1", "v1"), false),
                None,
                "{stage:?}"
            );
        }
        // It had taken over, and the supervisor was killed before it could write that down.
        let taken = Left {
            was_candidate: true,
            ..left("v1", "v2")
        };
        let prepared = journal(Way::Relay, S::Prepared);
        assert_eq!(fits(Some(&prepared), taken, true), Some(true));
        // It must not serve yet.
        let fetched = journal(Way::Relay, S::Fetched);
        assert_eq!(fits(Some(&fetched), taken, true), None);
    }

    #[test]
    fn a_node_that_was_being_stopped_is_ended() {
        for stage in [Stage::Due, Stage::Stopped, Stage::Switched, Stage::Prepared] {
            let journal = journal(Way::StopAndStart, stage);
            assert_eq!(
                fits(Some(&journal), left("v1", "v1"), true),
                None,
                "{stage:?}"
            );
        }
        let started = journal(Way::StopAndStart, Stage::Started);
        assert_eq!(fits(Some(&started), left("v2", "v2"), true), Some(true));
        assert_eq!(fits(Some(&started), left("v1", "v2"), true), None);
    }
}
