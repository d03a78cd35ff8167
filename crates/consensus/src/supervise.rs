//! Runs of consensus, one after the other, for as long as an engine lives.
//!
//! A run ends when the engine is stopped, when one of its actors has failed, or when the sign guard has refused: Malachite
//! knows no validator that keeps silent, so that this node goes on as one that follows until the height at which it was
//! refused is over. The guard makes any restart safe: it knows what was signed, whatever else was lost.

use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::parts::Parts;
use crate::run::{Role, Run};
use crate::status::Abstention;
use crate::swarm::{Ear, Swarm};

/// Waits between a failure and the next run.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Why a run ended.
enum End {
    Stopped,
    /// The network was shut down.
    Deaf,
    Failed,
    /// The height is over at which this node had to abstain.
    Resume,
}

/// Supervises until it is told to stop; closes everything and gives back what it listened to.
pub(crate) async fn supervise<S: Swarm, E: Ear<S>>(
    parts: Parts<S>,
    first: Run<S>,
    mut ear: E,
    mut stop: oneshot::Receiver<()>,
) -> E {
    let mut run = Some(first);
    let mut abstains = parts.abstention();
    let mut wait = RETRY;
    loop {
        let mut this = match run.take() {
            Some(run) => run,
            None => match Run::start(&parts, role(abstains.as_ref())).await {
                Ok(run) => run,
                Err(error) => {
                    error!(%error, again_in = ?wait, "consensus could not be restarted");
                    parts
                        .board
                        .change(|status| status.last_error = Some(error.to_string()));
                    if pause(&mut stop, &mut wait).await {
                        break;
                    }
                    continue;
                }
            },
        };
        let before = parts.chain.tip().height;
        let (pump, consensus, failed) = this.watch();
        let end = tokio::select! {
            // a sender that is gone is an engine that was dropped
            _ = &mut stop => End::Stopped,
            () = pump.run(&mut ear, consensus) => End::Deaf,
            () = resumes(&parts, abstains.as_ref()) => End::Resume,
            () = failed => End::Failed,
        };
        let refused = this.refused.borrow().clone();
        this.stop().await;
        parts.work.idle().await;
        match end {
            End::Stopped => break,
            End::Deaf => {
                info!("the network is shut down; consensus waits to be stopped");
                let _ = (&mut stop).await;
                break;
            }
            End::Resume => {
                info!("the height is over at which this node abstained; it votes again");
                abstains = None;
                parts.board.change(|status| status.abstains = None);
            }
            End::Failed => {
                if let Some(refused) = refused {
                    abstains = Some(abstain(&parts, refused));
                    continue;
                }
                error!(again_in = ?wait, "a part of consensus has failed; restarting it. The log above tells why");
                parts.board.change(|status| {
                    status.last_error =
                        Some("a part of consensus has failed, see the log".to_owned());
                });
                if parts.chain.tip().height > before {
                    wait = RETRY;
                }
                if pause(&mut stop, &mut wait).await {
                    break;
                }
            }
        }
    }
    parts.close().await;
    ear
}

/// Who this node is while it abstains, and while it does not.
pub(crate) fn role(abstains: Option<&Abstention>) -> Role {
    match abstains {
        None => Role::Signing,
        Some(_) => Role::Following,
    }
}

/// Notes that this node signs nothing for a while.
fn abstain<S: Swarm>(parts: &Parts<S>, abstention: Abstention) -> Abstention {
    let reason = &abstention.reason;
    if let Some(until) = abstention.until {
        warn!(until, reason, "this node abstains until the height is over");
    } else {
        error!(
            reason,
            "this node does not sign any more: its sign guard cannot be written. Mend the disk and restart the node"
        );
    }
    parts
        .board
        .change(|status| status.abstains = Some(abstention.clone()));
    abstention
}

/// Waits until the height is over at which this node abstains.
async fn resumes<S: Swarm>(parts: &Parts<S>, abstains: Option<&Abstention>) {
    let Some(until) = abstains.and_then(|abstains| abstains.until) else {
        return std::future::pending().await;
    };
    let mut tips = parts.chain.watch();
    if tips.wait_for(|tip| tip.height >= until).await.is_err() {
        // the chain was closed under us
        std::future::pending::<()>().await;
    }
}

/// Waits before another try. Says whether it was told to stop meanwhile.
async fn pause(stop: &mut oneshot::Receiver<()>, wait: &mut Duration) -> bool {
    let stopped = tokio::time::timeout(*wait, stop).await.is_ok();
    *wait = (*wait * 2).min(LONGEST_RETRY);
    stopped
}
