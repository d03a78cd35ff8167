//! How a namespace is: what its parts say, put together for those who watch it; and the halt before an upgrade.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_api::{Health, Phase, Progress};
use baton_chain::trace::Tracer;
use baton_chain::{Chain, Pool, Tip};
use baton_consensus::{Outlook, ProposerHandle, Status};
use baton_ledger::params::Xpub;
use baton_network::Network;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use super::progress::{self, Facts, Part, Verdict};
use crate::follow::Following;
use crate::step::tell_status;
use crate::tasks::Ending;
use crate::upgrade;

/// How often it is looked whether the chain goes on.
const GLANCE: Duration = Duration::from_secs(1);

/// What is wrong, by who says so. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Troubles(Arc<watch::Sender<Health>>);

impl Troubles {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Health {
            phase: Phase::Starting,
            chain: Progress::Moving,
            troubles: Vec::new(),
            halted_at: None,
        })))
    }

    pub(super) fn watch(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }

    pub(super) fn phase(&self, phase: Phase) {
        self.change(|health| health.phase = phase);
    }

    fn halted(&self, height: Option<u64>) {
        self.change(|health| health.halted_at = height);
    }

    fn progress(&self, progress: Progress) {
        self.change(|health| health.chain = progress);
    }

    /// What a part says: a trouble, or that it has none.
    fn told(&self, part: &str, trouble: Option<&str>) {
        let start = format!("{part}: ");
        self.change(|health| {
            let troubles = &mut health.troubles;
            let known = troubles.iter().position(|one| one.starts_with(&start));
            match (known, trouble) {
                (Some(place), Some(trouble)) => troubles[place] = format!("{start}{trouble}"),
                (Some(place), None) => drop(troubles.remove(place)),
                (None, Some(trouble)) => troubles.push(format!("{start}{trouble}")),
                (None, None) => {}
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Health)) {
        self.0.send_if_modified(|health| {
            let before = health.clone();
            change(health);
            *health != before
        });
    }
}

/// Where the watch looks.
pub(super) struct Watched {
    pub(super) chain: Chain,
    pub(super) pool: Pool,
    pub(super) network: Network,
    pub(super) consensus: watch::Receiver<Status>,
    pub(super) outlook: Outlook,
    pub(super) following: Option<watch::Receiver<Following>>,
    pub(super) proposer: ProposerHandle,
    /// This node's key.
    pub(super) xpub: Xpub,
    pub(super) vault: bool,
    pub(super) empty_blocks: bool,
    /// Where it is written what the chain halts for.
    pub(super) info_file: PathBuf,
}

impl Watched {
    /// What is known of the chain's progress, if no block is wanted since `since`.
    fn facts(&self, status: &Status, since: Instant) -> Facts {
        let tip = self.chain.tip();
        let params = self.chain.params();
        let validators = self.chain.validators();
        let now_ms = Timestamp::now().as_millisecond();
        let age_ms = u64::try_from(now_ms).map_or(0, |now| now.saturating_sub(tip.timestamp_ms));
        let mut missing = self.outlook.missing();
        if status.abstains.is_none() {
            missing.retain(|one| one.xpub != self.xpub);
        }
        Facts {
            height: tip.height,
            peer_height: status.peer_height,
            still: since.elapsed(),
            age: Duration::from_millis(age_ms),
            interval: Duration::from_millis(params.block_interval_ms),
            offline: self.vault,
            halted: status.halted.clone(),
            validators: validators.len(),
            power: validators.iter().map(|validator| validator.power).sum(),
            part: match validators.iter().any(|one| one.xpub == self.xpub) {
                false => Part::Follows,
                true if self.proposer.is_on() => Part::Proposes,
                true => Part::Votes,
            },
            abstains: status.abstains.clone(),
            failing: status.last_error.is_some(),
            peers: self.network.peer_count(),
            missing,
        }
    }

    /// Whether there is something for a block.
    fn wants_block(&self) -> bool {
        self.empty_blocks || !self.pool.is_empty()
    }
}

/// Watches consensus, the chain's progress and the wallet; tells the supervisor when the chain waits for another program.
pub(super) async fn watch(mut watched: Watched, troubles: Troubles, mut ending: Ending) {
    let mut told = None;
    let mut since = (watched.chain.tip().height, Instant::now());
    let mut progress = Progress::Moving;
    let mut glance = tokio::time::interval(GLANCE);
    glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let status = watched.consensus.borrow_and_update().clone();
        troubles.told("consensus", status.last_error.as_deref());
        troubles.halted(status.halted.as_ref().map(|plan| plan.height));
        let height = watched.chain.tip().height;
        if height != since.0 || !watched.wants_block() {
            since = (height, Instant::now());
        }
        let verdict = progress::judge(&watched.facts(&status, since.1));
        troubles.told("chain", verdict.chain.as_deref());
        troubles.told("validator", verdict.validator.as_deref());
        troubles.progress(verdict.progress);
        if verdict.progress != progress {
            tell(height, &verdict);
            progress = verdict.progress;
        }
        if let Some(plan) = &status.halted
            && told != status.halted
        {
            match upgrade::halt(&watched.info_file, plan) {
                Ok(()) => troubles.told("upgrade", None),
                Err(error) => {
                    error!(%error, "no supervisor will know of the upgrade");
                    troubles.told("upgrade", Some(&error.to_string()));
                }
            }
            tell_status(&format!(
                "waits at height {} for the upgrade {}",
                plan.height, plan.name
            ));
            told.clone_from(&status.halted);
        }
        if let Some(following) = &mut watched.following {
            let following = following.borrow_and_update().clone();
            troubles.told("wallet", following.error.as_deref());
        }
        let wallet = async {
            // an error means that the follower has ended, of which others tell
            let changed = match &mut watched.following {
                Some(following) => following.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = ending.begun() => return,
            changed = watched.consensus.changed() => if changed.is_err() {
                return ending.begun().await;
            },
            () = wallet => {}
            _ = glance.tick() => {}
        }
    }
}

/// Says that the chain stands, or goes on.
fn tell(height: u64, verdict: &Verdict) {
    let why = verdict.chain.as_deref().unwrap_or_default();
    match verdict.progress {
        Progress::Standing => error!(height, why, "the chain stands still"),
        Progress::CatchingUp => info!(height, why, "this node is behind"),
        Progress::Moving => info!(height, "the chain goes on"),
        // the halt is told by the line that supervisors look for
        Progress::Halted | Progress::Offline => {}
    }
}

/// Follows contract instances; what goes wrong is told and tried again with the next block.
pub(super) async fn trace(
    tracer: Tracer,
    mut tips: watch::Receiver<Tip>,
    troubles: Troubles,
    mut ending: Ending,
) {
    loop {
        tips.mark_unchanged();
        let follower = tracer.clone();
        let done = tokio::task::spawn_blocking(move || follower.follow()).await;
        let trouble = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(panic.to_string()),
        };
        if let Some(error) = &trouble {
            warn!(error, "contract instances are not followed");
        }
        troubles.told("contract instances", trouble.as_deref());
        tokio::select! {
            () = ending.begun() => return,
            changed = tips.changed() => if changed.is_err() {
                return ending.begun().await;
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_one_trouble_at_a_time() {
        let troubles = Troubles::new();
        let health = troubles.watch();
        troubles.phase(Phase::Serving);
        assert!(health.borrow().is_ready());
        troubles.told("wallet", Some("one"));
        troubles.told("consensus", Some("three"));
        troubles.told("wallet", Some("two"));
        assert_eq!(
            health.borrow().troubles,
            ["wallet: two", "consensus: three"]
        );
        troubles.told("wallet", None);
        troubles.told("consensus", None);
        assert_eq!(*health.borrow(), Health::SERVING);
    }
}
