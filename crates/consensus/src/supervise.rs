//! Runs of consensus, one after the other, for as long as an engine lives.
//!
//! A run ends when the engine is stopped, when one of its actors has failed, or when this node is to be silent from now on,
//! or no more: Malachite knows no validator that keeps silent, so that a silent one runs as a node that follows. The guard
//! makes any restart safe: it knows what was signed, whatever else was lost.

use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{error, info};

use crate::parts::Parts;
use crate::run::Run;
use crate::silence::{Silence, role};
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
    /// What kept this node from signing is over, or something else does.
    Resume(Option<Silence>),
}

/// Supervises until it is told to stop; closes everything and gives back what it listened to.
pub(crate) async fn supervise<S: Swarm, E: Ear<S>>(
    parts: Parts<S>,
    first: (Run<S>, Option<Silence>),
    mut ear: E,
    mut stop: oneshot::Receiver<()>,
) -> E {
    let (first, mut silence) = first;
    let mut run = Some(first);
    let mut wait = RETRY;
    loop {
        let mut this = match run.take() {
            Some(run) => run,
            None => match Run::start(&parts, role(silence.as_ref())).await {
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
            next = over(&parts, silence.as_ref()) => End::Resume(next),
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
            End::Resume(next) => silence = keep(&parts, next),
            End::Failed => {
                if let Some(refused) = refused {
                    silence = keep(&parts, Some(refused));
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

/// Notes and tells why nothing is signed from now on, or that there is no reason any more.
fn keep<S: Swarm>(parts: &Parts<S>, silence: Option<Silence>) -> Option<Silence> {
    let shown = silence.as_ref().map(|silence| silence.shown(parts.alone));
    parts.board.change(|status| status.abstains = shown);
    if let Some(silence) = &silence {
        silence.tell(parts.alone);
    } else {
        info!(
            tip = parts.chain.tip().height,
            "this node signs from now on"
        );
    }
    silence
}

async fn over<S: Swarm>(parts: &Parts<S>, silence: Option<&Silence>) -> Option<Silence> {
    match silence {
        Some(silence) => silence.over(parts).await,
        None => Silence::comes(parts).await,
    }
}

/// Waits before another try. Says whether it was told to stop meanwhile.
async fn pause(stop: &mut oneshot::Receiver<()>, wait: &mut Duration) -> bool {
    let stopped = tokio::time::timeout(*wait, stop).await.is_ok();
    *wait = (*wait * 2).min(LONGEST_RETRY);
    stopped
}
