//! Malachite's signer and verifier: ed25519 over the bytes that [`Domain`] lays out, behind the sign guard.

use std::sync::Arc;

use async_trait::async_trait;
use ed25519_dalek::VerifyingKey;
use malachite::engine::wal::{Msg as WalMsg, WalRef};
use malachite_core::{SignedMessage, ValidatorProof, VoteExtensionScope};
use malachite_signing::{Error, Signer, VerificationResult, Verifier};
use tokio::sync::watch;
use tracing::error;

use crate::context::{Announcement, Baton, Domain, Proposal, Signature, Vote};
use crate::guard::{Guard, Mark, Refusal};
use crate::key::NodeKey;
use crate::silence::Silence;
use crate::work::Work;

/// Checks signatures of one chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checker {
    pub(crate) domain: Domain,
}

impl Checker {
    /// Whether the proposer itself announced this block.
    pub(crate) fn is_announced_by(&self, said: &Announcement, key: &VerifyingKey) -> bool {
        said.signature.is_of(key, &self.domain.announcement(said))
    }
}

#[async_trait]
impl Verifier<Baton> for Checker {
    async fn verify_signed_vote(
        &self,
        vote: &Vote,
        signature: &Signature,
        key: &VerifyingKey,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::from_bool(
            signature.is_of(key, &self.domain.vote(vote)),
        ))
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &Proposal,
        signature: &Signature,
        key: &VerifyingKey,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::from_bool(
            signature.is_of(key, &self.domain.proposal(proposal)),
        ))
    }

    async fn verify_signed_vote_extension(
        &self,
        _scope: &VoteExtensionScope<Baton>,
        (): &(),
        _signature: &Signature,
        _key: &VerifyingKey,
    ) -> Result<VerificationResult, Error> {
        // our votes have none
        Ok(VerificationResult::Invalid)
    }

    async fn verify_validator_proof(
        &self,
        proof: &ValidatorProof<Baton>,
    ) -> Result<VerificationResult, Error> {
        let valid = proof
            .decoded_public_key()
            .is_ok_and(|key| proof.signature.is_of(&key, &proof.preimage()));
        Ok(VerificationResult::from_bool(valid))
    }
}

/// Signs with the node's key, through the guard.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    pub(crate) key: Arc<NodeKey>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) domain: Domain,
}

/// A [`Hand`] that signs for consensus.
///
/// Before it signs it has the write-ahead log flushed, so that whatever led to a signature that the guard remembers can
/// be replayed: a node that came back without it would want to sign something else, and be refused.
pub(crate) struct ConsensusHand {
    pub(crate) hand: Hand,
    pub(crate) wal: WalRef<Baton>,
    pub(crate) work: Work,
    /// What the guard refused, for whoever restarts consensus.
    pub(crate) refused: watch::Sender<Option<Silence>>,
}

impl Hand {
    /// Announces a block that this node proposes. Not a vote: announcing two blocks is a nuisance, not a fault, as only
    /// the signed proposal counts.
    pub(crate) fn announce(&self, mut said: Announcement) -> Announcement {
        said.signature = self.key.sign(&self.domain.announcement(&said));
        said
    }
}

impl ConsensusHand {
    async fn sign(&self, mark: Mark, message: Vec<u8>) -> Result<Signature, Error> {
        ractor::call!(self.wal, WalMsg::Flush)
            .map_err(|error| Error::from_source(error.to_string()))?
            .map_err(|error| Error::from_source(error.to_string()))?;
        let Hand { key, guard, .. } = self.hand.clone();
        let sign = move || guard.sign(&key, mark, &message);
        let signed = self.work.run("signing", sign).await;
        let signed = signed.map_err(Error::from_source)?;
        signed.map_err(|refusal| {
            error!(%refusal, "nothing was signed");
            let reason = refusal.to_string();
            let silence = match &refusal {
                Refusal::Conflict { .. } | Refusal::Past { .. } => Silence::Until {
                    height: mark.place.height,
                    reason,
                },
                Refusal::Floor { floor, .. } => Silence::Until {
                    height: *floor,
                    reason,
                },
                Refusal::Unwritten(_) => Silence::Waiting { reason },
                Refusal::Closed { .. } | Refusal::Guard(_) => Silence::Broken { reason },
            };
            self.refused.send_replace(Some(silence));
            Error::from_source(refusal)
        })
    }
}

#[async_trait]
impl Signer<Baton> for ConsensusHand {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedMessage<Baton, Vote>, Error> {
        let mark = Mark::of_vote(&vote).map_err(Error::from_source)?;
        let signature = self.sign(mark, self.hand.domain.vote(&vote)).await?;
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(
        &self,
        proposal: Proposal,
    ) -> Result<SignedMessage<Baton, Proposal>, Error> {
        let mark = Mark::of_proposal(&proposal).map_err(Error::from_source)?;
        let signature = self
            .sign(mark, self.hand.domain.proposal(&proposal))
            .await?;
        Ok(SignedMessage::new(proposal, signature))
    }

    async fn sign_vote_extension(
        &self,
        _scope: VoteExtensionScope<Baton>,
        (): (),
    ) -> Result<SignedMessage<Baton, ()>, Error> {
        Err(Error::from_source("votes of this chain carry nothing"))
    }

    async fn sign_validator_proof(
        &self,
        public_key: Vec<u8>,
        peer_id: Vec<u8>,
    ) -> Result<ValidatorProof<Baton>, Error> {
        let message = ValidatorProof::<Baton>::signing_bytes(&public_key, &peer_id);
        let signature = self.hand.key.sign(&message);
        Ok(ValidatorProof::new(public_key, peer_id, signature))
    }
}
