//! How a namespace is: what its parts say, put together for those who watch it; and the halt before an upgrade.

use std::path::PathBuf;
use std::sync::Arc;

use baton_api::{Health, Phase};
use baton_chain::Tip;
use baton_chain::trace::Tracer;
use baton_consensus::Status;
use tokio::sync::watch;
use tracing::{error, warn};

use crate::follow::Following;
use crate::step::tell_status;
use crate::tasks::Ending;
use crate::upgrade;

/// What is wrong, by who says so. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Troubles(Arc<watch::Sender<Health>>);

impl Troubles {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Health {
            phase: Phase::Starting,
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

    /// What a part says: a trouble, or that it has none.
    fn told(&self, part: &str, trouble: Option<&str>) {
        let start = format!("{part}: ");
        self.change(|health| {
            health.troubles.retain(|other| !other.starts_with(&start));
            if let Some(trouble) = trouble {
                health.troubles.push(format!("{start}{trouble}"));
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

/// Watches consensus and the wallet; tells the supervisor when the chain waits for another program.
pub(super) async fn watch(
    troubles: Troubles,
    mut consensus: watch::Receiver<Status>,
    mut following: Option<watch::Receiver<Following>>,
    info_file: PathBuf,
    mut ending: Ending,
) {
    let mut told = None;
    loop {
        let status = consensus.borrow_and_update().clone();
        troubles.told("consensus", status.last_error.as_deref());
        troubles.halted(status.halted.as_ref().map(|plan| plan.height));
        if let Some(plan) = &status.halted
            && told != status.halted
        {
            match upgrade::halt(&info_file, plan) {
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
        if let Some(following) = &mut following {
            let following = following.borrow_and_update().clone();
            troubles.told("wallet", following.error.as_deref());
        }
        let wallet = async {
            // an error means that the follower has ended, of which others tell
            let changed = match &mut following {
                Some(following) => following.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = ending.begun() => return,
            changed = consensus.changed() => if changed.is_err() {
                return ending.begun().await;
            },
            () = wallet => {}
        }
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
        troubles.told("wallet", Some("two"));
        troubles.told("consensus", Some("three"));
        assert_eq!(
            health.borrow().troubles,
            ["wallet: two", "consensus: three"]
        );
        troubles.told("wallet", None);
        troubles.told("consensus", None);
        assert_eq!(*health.borrow(), Health::SERVING);
    }
}
