//! Whether this node's key has signed what its sign guard knows nothing of: on another machine, or here before the data was
//! put back from a backup.
//!
//! The votes that decided a block stay with it, and those for the height under way are heard. One of this key, at a height
//! that its guard has not reached, was made by somebody else or is forgotten; what else was signed then nobody here can know.
//! It is a help and no fence: of a key on two machines others need not have a vote for each height.

use std::sync::Arc;

use malachite_core::{CommitCertificate, NilOrVal, VoteType};
use tokio::sync::watch;

use crate::context::{Address, Baton, Domain, Signature, Vote};
use crate::guard::Guard;
use crate::key::NodeKey;
use crate::signing::{Checker, Hand};

/// The signatures of this node's key that others have.
pub(crate) struct Elsewhere {
    own: Option<Own>,
    domain: Domain,
    /// The highest height of one that the guard knows nothing of; 0 if there is none.
    seen: watch::Sender<u64>,
}

struct Own {
    address: Address,
    key: Arc<NodeKey>,
    guard: Arc<Guard>,
}

impl Elsewhere {
    pub(crate) fn new(hand: Option<&Hand>, checker: Checker) -> Self {
        Self {
            own: hand.map(|hand| Own {
                address: hand.key.address(),
                key: hand.key.clone(),
                guard: hand.guard.clone(),
            }),
            domain: checker.domain,
            seen: watch::Sender::new(0),
        }
    }

    /// Something was heard in the name of a validator; `message` is what is signed of it.
    pub(crate) fn heard(
        &self,
        by: &Address,
        height: u64,
        signature: &Signature,
        message: impl FnOnce(&Domain) -> Vec<u8>,
    ) {
        let Some(own) = self.own.as_ref().filter(|own| own.address == *by) else {
            return;
        };
        if height > own.guard.last_signed()
            && signature.is_of(own.key.public(), &message(&self.domain))
        {
            self.seen.send_if_modified(|seen| {
                let later = height > *seen;
                *seen = height.max(*seen);
                later
            });
        }
    }

    /// A block was decided by these votes.
    pub(crate) fn decided(&self, certificate: &CommitCertificate<Baton>) {
        for signed in &certificate.commit_signatures {
            let vote = |domain: &Domain| {
                domain.vote(&Vote {
                    kind: VoteType::Precommit,
                    height: certificate.height,
                    round: certificate.round,
                    value: NilOrVal::Val(certificate.value_id),
                    validator: signed.address,
                })
            };
            self.heard(
                &signed.address,
                certificate.height.0,
                &signed.signature,
                vote,
            );
        }
    }

    /// The highest height of such a signature; 0 if there is none.
    pub(crate) fn seen(&self) -> u64 {
        *self.seen.borrow()
    }

    /// The guard, if its floor is not above that height: then others may be at a height at which the key has signed.
    pub(crate) fn unanswered(&self) -> Option<Arc<Guard>> {
        let guard = &self.own.as_ref()?.guard;
        let seen = self.seen();
        (seen > 0 && seen >= guard.floor()).then(|| guard.clone())
    }

    /// Waits until there is one that is not answered for.
    pub(crate) async fn found(&self) {
        let mut seen = self.seen.subscribe();
        while self.unanswered().is_none() {
            if seen.changed().await.is_err() {
                // the sender is ours, and lives as long as we do
                std::future::pending::<()>().await;
            }
        }
    }
}
