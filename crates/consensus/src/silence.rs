//! Why and how long a validator signs nothing.
//!
//! * **It has just started.** Its data may be from a backup, and its sign guard with it: what the key signed since then it
//!   would sign again, and differently. It listens first, see [`listen`](mod@crate::listen).
//! * **Its key has signed elsewhere**, see [`elsewhere`](crate::elsewhere). The height under way may be one at which it has: the
//!   guard's floor is raised to it. After it the key is silent for [`QUIET`] blocks, and longer if it signs elsewhere again.
//! * **The sign guard refused**, and will for the rest of the height; or nothing is signed up to a height.
//! * **The sign guard's file is full and there is no room for a new one.** It is tried again.
//! * **The sign guard cannot be written.** Nothing is signed before the disk is mended and the node restarted.
//!
//! Who is the only validator can sign nothing that contradicts anybody, and does not listen first.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::listen::listen;
use crate::parts::Parts;
use crate::run::Role;
use crate::status::Abstention;
use crate::swarm::Swarm;

/// Until the sign guard is tried again for which there was no room.
const ROOM: Duration = Duration::from_secs(5);

/// What the only validator is told when it may not sign.
const ALONE: &str = "this is the only validator, so that nobody else decides: what it signed before is lost here. Bring back the \
                     chain's data and fastsync.redb from before. If this key has never been on another machine and never had \
                     company, or the chain is to begin anew, stop the node and move data/consensus away instead";

/// Blocks from the last that the key signed elsewhere until it signs here; another machine that signs with it shows within them.
const QUIET: u64 = 10;

/// What it means that the key was used elsewhere.
const ELSEWHERE: &str = "either this node's data is from a backup, which mends itself, or another machine signs with this key: then \
                         stop one of the two";

/// Why nothing is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Silence {
    Listening,
    Until { height: u64, reason: String },
    Elsewhere { height: u64, seen: u64 },
    Waiting { reason: String },
    Broken { reason: String },
}

impl Silence {
    /// Why a node that starts signs nothing, if it is a validator and does not.
    pub(crate) fn first<S: Swarm>(parts: &Parts<S>) -> Option<Self> {
        let hand = parts.hand.as_ref()?;
        if parts.alone || parts.settings.listen_first.is_zero() {
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
                if let Some(hand) = &parts.hand {
                    listen(parts, &hand.guard).await;
                }
            }
            Self::Until { height, .. } => parts.reaches(*height).await,
            Self::Elsewhere { height, .. } => return Self::quiet(parts, *height).await,
            Self::Waiting { .. } => tokio::time::sleep(ROOM).await,
            Self::Broken { .. } => std::future::pending().await,
        }
        Self::next(parts).await
    }

    /// Why a node that signs signs nothing from now on. Waits until there is a reason that consensus does not meet itself.
    pub(crate) async fn comes<S: Swarm>(parts: &Parts<S>) -> Option<Self> {
        parts.elsewhere.found().await;
        Self::next(parts).await
    }

    async fn next<S: Swarm>(parts: &Parts<S>) -> Option<Self> {
        let Some(guard) = parts.elsewhere.unanswered() else {
            return Self::floor(parts);
        };
        // what was decided is over: only the height under way is in doubt
        let height = parts.chain.tip().height + 1;
        let raise = move || guard.raise(height);
        let raised = match parts.work.run("writing the sign guard", raise).await {
            Ok(raised) => raised.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let seen = parts.elsewhere.seen();
        Some(match raised {
            Ok(()) => Self::Elsewhere { height, seen },
            // the guard tries again once there is room, and says itself if it cannot
            Err(reason) => Self::Waiting { reason },
        })
    }

    /// Waits until the key has not signed elsewhere for a while, and the height is over. A chain that stands then may wait for
    /// this node.
    async fn quiet<S: Swarm>(parts: &Parts<S>, mut height: u64) -> Option<Self> {
        loop {
            parts.reaches(height).await;
            match Self::next(parts).await {
                Some(Self::Elsewhere { height: next, seen }) => {
                    height = next;
                    let shown = Self::Elsewhere { height, seen }.shown(false);
                    parts.board.change(|status| status.abstains = Some(shown));
                    continue;
                }
                None => {}
                other => return other,
            }
            let tip = parts.chain.tip().height;
            if tip >= parts.elsewhere.seen() + QUIET || parts.stands_at(tip).await {
                return None;
            }
            height = tip + 1;
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
            Self::Elsewhere { height, seen } => (
                Some(*height),
                format!("its key has signed at height {seen}, and not here: {ELSEWHERE}"),
            ),
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
            Self::Elsewhere { .. } => error!(until, reason, "this node abstains"),
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
