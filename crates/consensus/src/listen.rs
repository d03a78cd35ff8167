//! Listening before the first signature: until this node has what the others have, and what its key may have signed and does
//! not know any more lies behind.
//!
//! The data of a node that starts may be from a backup, and its sign guard with it. The key has then signed at heights that
//! are decided by now, and perhaps at the one that is under way. So a validator follows until nobody is ahead of it, and, if
//! its guard knows nothing of the last block, until one more height is decided without it. A node that was only away for some
//! blocks does the same; it costs it one height.
//!
//! What peers say to have is not proven: it delays a validator that is at the chain's head by [`PATIENCE`], and no more.

use std::time::Duration;

use malachite_core::{Validator as _, ValidatorSet as _};
use tracing::{info, warn};

use crate::context::Seats;
use crate::guard::Guard;
use crate::parts::Parts;
use crate::status::Figures;
use crate::swarm::Swarm;

/// How long peers that say to be ahead may deliver less than is decided here.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the key may sign, as far as that can be heard.
pub(crate) async fn listen<S: Swarm>(parts: &Parts<S>, guard: &Guard) {
    let listen = parts.settings.listen_first;
    // whoever is there says what it has meanwhile
    tokio::time::sleep(listen).await;
    if parts.board.peers().is_empty() {
        info!("no peer is connected; nothing is signed before one is");
    }
    tokio::select! {
        () = parts.board.hears_a_claim() => {}
        () = tokio::time::sleep(listen), if decides_alone(parts) => {
            return info!("no peer is there, and none is needed to decide; signing");
        }
    }
    follow(parts).await;
    let tip = parts.chain.tip().height;
    if guard.last_signed() >= tip {
        return info!(tip, "no peer is ahead; signing");
    }
    info!(
        tip,
        last_signed = guard.last_signed(),
        "the sign guard knows nothing of the last block: letting one height pass before signing"
    );
    if parts.stands_at(tip).await {
        return warn!(tip, "the chain stands and may wait for this node; signing");
    }
    follow(parts).await;
    info!(tip = parts.chain.tip().height, "no peer is ahead; signing");
}

/// Waits until no peer says to have more than this node has, or those that do have shown that it is not so.
async fn follow<S: Swarm>(parts: &Parts<S>) {
    let mut status = parts.board.watch();
    let mut before = parts.board.figures();
    loop {
        let caught_up = status.wait_for(|status| status.peer_height <= parts.chain.tip().height);
        if tokio::time::timeout(PATIENCE, caught_up).await.is_ok() {
            return;
        }
        let now = parts.board.figures();
        if !delivers(&before, &now) {
            return warn!(
                tip = parts.chain.tip().height, told = status.borrow().peer_height, waited = ?PATIENCE,
                "peers say to be ahead and do not deliver; going on without them"
            );
        }
        before = now;
    }
}

/// Whether what was committed between the two came from peers that are ahead, more than it was decided here.
fn delivers(before: &Figures, now: &Figures) -> bool {
    let committed = now.committed - before.committed;
    let fetched = now.synced - before.synced;
    fetched > committed / 2
}

/// Whether this node has so many votes that it decides without anybody else.
fn decides_alone<S: Swarm>(parts: &Parts<S>) -> bool {
    let (Some(hand), Ok(seats)) = (&parts.hand, Seats::new(&parts.chain.validators())) else {
        return false;
    };
    let own = seats.seat(&hand.key.address());
    own.is_some_and(|own| own.voting_power() * 3 > seats.total_voting_power() * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_fetched_from_is_ahead_and_who_only_says_so_is_not() {
        let figures = |committed, synced| Figures {
            committed,
            synced,
            ..Figures::default()
        };
        let before = figures(100, 40);
        assert!(delivers(&before, &figures(700, 640)));
        assert!(delivers(&before, &figures(101, 41)));
        assert!(!delivers(&before, &before), "nothing came");
        // at the head a block is fetched now and then that was about to be decided
        assert!(!delivers(&before, &figures(110, 43)));
    }
}
