//! Why and how long a validator signs nothing.
//!
//! * **It has just started.** Its data may be from a backup, and its sign guard with it: what the key signed since then it
//!   would sign again, and differently. It therefore follows until it has what its peers have. If none says to have more
//!   it signs at once; one that says so and does not deliver delays it by [`PATIENCE`] only.
//! * **The sign guard refused**, and will for the rest of the height; or nothing is signed up to a height.
//! * **The sign guard's file is full and there is no room for a new one.** It is tried again.
//! * **The sign guard cannot be written.** Nothing is signed before the disk is mended and the node restarted.
//!
//! Who is the only validator can sign nothing that contradicts anybody, and does not listen first.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::parts::Parts;
use crate::run::Role;
use crate::status::Abstention;
use crate::swarm::Swarm;

/// How long peers that say to be ahead may take from one block to the next.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until the sign guard is tried again for which there was no room.
const ROOM: Duration = Duration::from_secs(5);

/// What the only validator is told when it may not sign.
const ALONE: &str = "this is the only validator, so that nobody else decides: what it signed before is lost here. Bring back the \
                     chain's data and fastsync.redb from before. If this key has never been on another machine and never had \
                     company, or the chain is to begin anew, stop the node and move data/consensus away instead";

/// Why nothing is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Silence {
    Listening,
    Until { height: u64, reason: String },
    Waiting { reason: String },
    Broken { reason: String },
}

impl Silence {
    /// Why a node that starts signs nothing, if it is a validator and does not.
    pub(crate) fn first<S: Swarm>(parts: &Parts<S>) -> Option<Self> {
        let hand = parts.hand.as_ref()?;
        if parts.alone {
            return Self::floor(parts);
        }
        info!(
            tip = parts.chain.tip().height,
            signed = hand.guard.highest(),
            "listening for peers that are ahead before signing anything"
        );
        Some(Self::Listening)
    }

    /// Why nothing is signed at the next height whoever asks, if so.
    fn floor<S: Swarm>(parts: &Parts<S>) -> Option<Self> {
        let height = parts.hand.as_ref()?.guard.floor();
        let reason = format!("nothing is signed up to height {height}");
        (height > parts.chain.tip().height).then_some(Self::Until { height, reason })
    }

    /// Waits until this reason is over. Gives another if there is one.
    pub(crate) async fn over<S: Swarm>(&self, parts: &Parts<S>) -> Option<Self> {
        match self {
            Self::Listening => {
                caught_up(parts).await;
                Self::floor(parts)
            }
            Self::Until { height, .. } => {
                let mut tips = parts.chain.watch();
                if tips.wait_for(|tip| tip.height >= *height).await.is_err() {
                    // the chain was closed under us
                    std::future::pending::<()>().await;
                }
                None
            }
            Self::Waiting { .. } => {
                tokio::time::sleep(ROOM).await;
                Self::floor(parts)
            }
            Self::Broken { .. } => std::future::pending().await,
        }
    }

    /// As it is shown, with what to do about it; `alone` is the only validator.
    pub(crate) fn shown(&self, alone: bool) -> Abstention {
        let (until, reason) = match self {
            Self::Listening => (
                None,
                "it has just started, and listens for peers that are ahead".to_owned(),
            ),
            Self::Until { height, reason } if alone => {
                (Some(*height), format!("{reason}; {ALONE}"))
            }
            Self::Until { height, reason } => (Some(*height), reason.clone()),
            Self::Waiting { reason } => (
                None,
                format!("{reason}; make room on the disk, it is tried again"),
            ),
            Self::Broken { reason } => (
                None,
                format!("{reason}; mend the disk and restart the node"),
            ),
        };
        Abstention {
            until,
            reason,
            listens: *self == Self::Listening,
        }
    }

    /// Says it where operators look.
    pub(crate) fn tell(&self, alone: bool) {
        let Abstention { until, reason, .. } = self.shown(alone);
        match self {
            Self::Listening => {}
            Self::Until { .. } if alone => {
                error!(
                    until,
                    reason, "this node abstains, and the chain stands still"
                );
            }
            Self::Until { .. } => {
                warn!(until, reason, "this node abstains until the height is over");
            }
            Self::Waiting { .. } => error!(reason, "this node abstains for want of room"),
            Self::Broken { .. } => error!(
                reason,
                "this node does not sign any more: its sign guard cannot be written"
            ),
        }
    }
}

/// Who a node is that is silent, and one that is not.
pub(crate) fn role(silence: Option<&Silence>) -> Role {
    match silence {
        None => Role::Signing,
        Some(_) => Role::Following,
    }
}

/// Waits until no peer says to have more than this node has.
async fn caught_up<S: Swarm>(parts: &Parts<S>) {
    let listen = parts.settings.listen_first;
    if tokio::time::timeout(listen, parts.board.hears_a_claim())
        .await
        .is_err()
    {
        info!(waited = ?listen, "no peer has said anything; signing");
        return;
    }
    let mut status = parts.board.watch();
    loop {
        let tip = parts.chain.tip().height;
        let told = status.borrow_and_update().peer_height;
        if told <= tip {
            info!(tip, "no peer is ahead; signing");
            return;
        }
        let mut tips = parts.chain.watch();
        let progress = async {
            tokio::select! {
                _ = tips.wait_for(|now| now.height > tip) => {}
                _ = status.wait_for(|status| status.peer_height <= tip) => {}
            }
        };
        if tokio::time::timeout(PATIENCE, progress).await.is_err() {
            warn!(
                tip, told, waited = ?PATIENCE,
                "peers say to be ahead and do not deliver; signing without them"
            );
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_is_told_how_the_chain_goes_on() {
        let silence = Silence::Until {
            height: 1,
            reason: "320 was signed".to_owned(),
        };
        let among_others = silence.shown(false);
        assert_eq!(
            (among_others.until, among_others.reason.as_str()),
            (Some(1), "320 was signed")
        );
        let alone = silence.shown(true).reason;
        assert!(alone.starts_with("320 was signed; this is the only validator"));
        assert!(alone.contains("data/consensus"), "{alone}");
    }
}
