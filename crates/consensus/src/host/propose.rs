//! This node's turn: making a block, and sending it in parts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use malachite::consensus::LocallyProposedValue;
use malachite::engine::network::NetworkMsg;
use malachite_core::Round;
use tracing::{debug, error, warn};

use super::app::App;
use super::clock;
use super::proposals::ProposalsError;
use super::streams;
use crate::context::{Announcement, Baton, BlockId, Height, Signature};
use crate::signing::Hand;

/// How long to wait before another try when a block could not be made.
const AGAIN: Duration = Duration::from_secs(1);

/// A proposal of this node failed.
#[derive(Debug, thiserror::Error)]
enum ProposeError {
    #[error(transparent)]
    Chain(#[from] baton_chain::ChainError),
    #[error(transparent)]
    Proposals(#[from] ProposalsError),
    #[error(transparent)]
    Panicked(#[from] crate::work::Panicked),
}

impl App {
    /// The block to propose, once it is due and this node mines. Tries until it succeeds: whoever does not need it any
    /// more drops this.
    ///
    /// What was proposed for a round before a restart is proposed again: the sign guard would refuse anything else.
    pub(super) async fn propose(
        self: Arc<Self>,
        height: Height,
        round: u32,
    ) -> LocallyProposedValue<Baton> {
        let Some(hand) = self.hand.clone() else {
            return self.give_up("this node is to propose without a key").await;
        };
        let me = hand.key.address();
        let known = self.proposals.of_round(height, round);
        let mine = known.into_iter().find(|(said, _)| said.proposer == me);
        let (said, bytes) = match mine {
            Some((said, known)) => (said, known.bytes),
            None => self.make(&hand, height, round).await,
        };
        self.send(&said, &bytes);
        LocallyProposedValue::new(height, Round::new(round), said.block)
    }

    async fn make(
        self: &Arc<Self>,
        hand: &Hand,
        height: Height,
        round: u32,
    ) -> (Announcement, Bytes) {
        loop {
            clock::wait_until(self.due_ms(), self.usual_wait()).await;
            let program = self.proposer.ready().await;
            match self.draft(hand, height, round, program).await {
                Ok(made) => return made,
                Err(error) => {
                    error!(%height, round, %error, "no block could be made; trying again");
                    self.board.change(|status| {
                        status.last_error = Some(format!("no block could be made: {error}"));
                    });
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn draft(
        self: &Arc<Self>,
        hand: &Hand,
        height: Height,
        round: u32,
        program: Vec<u8>,
    ) -> Result<(Announcement, Bytes), ProposeError> {
        let (app, hand) = (self.clone(), hand.clone());
        let work = move || {
            let me = hand.key.address();
            // the same block in each round: whoever cheats is seen, and what is kept is bounded
            let before = app.proposals.last_of(height, me);
            let before = before.filter(|(_, bytes)| {
                let checked = app.chain.check(bytes, clock::now_ms(), &app.pool);
                checked.is_ok()
            });
            let (block, bytes) = match before {
                Some(before) => before,
                None => app.fresh(height, round, &program)?,
            };
            let said = hand.announce(Announcement {
                height,
                round,
                pol_round: None,
                proposer: me,
                block,
                size: bytes.len() as u64,
                signature: Signature([0; 64]),
            });
            app.proposals.keep(&said, &bytes)?;
            Ok((said, bytes))
        };
        self.work.run("drafting a block", work).await?
    }

    fn fresh(
        &self,
        height: Height,
        round: u32,
        program: &[u8],
    ) -> Result<(BlockId, Bytes), ProposeError> {
        let draft = self
            .chain
            .draft(&self.pool, program, &[], clock::now_ms())?;
        self.board.count(|figures| figures.drafted += 1);
        debug!(
            %height, round, hash = %draft.hash, transactions = draft.transactions,
            bytes = draft.bytes.len(), "block drafted"
        );
        Ok((BlockId::of(&draft.bytes), draft.bytes))
    }

    /// Sends a block that consensus wants others to have: one that this node proposes again because two thirds voted for
    /// it in an earlier round, or that of another proposer.
    pub(super) async fn send_again(
        self: Arc<Self>,
        height: Height,
        round: u32,
        pol_round: Option<u32>,
        proposer: crate::context::Address,
        block: BlockId,
    ) {
        let Some(known) = self.proposals.block(height, block) else {
            return warn!(%height, round, %block, "a block that is to be sent again is not known");
        };
        let announced = self.proposals.of_round(height, round);
        let found = announced
            .into_iter()
            .find(|(said, _)| said.proposer == proposer && said.block == block);
        let said = match (found, self.hand.clone()) {
            (Some((said, _)), _) => said,
            (None, Some(hand)) if hand.key.address() == proposer => {
                let said = hand.announce(Announcement {
                    height,
                    round,
                    pol_round,
                    proposer,
                    block,
                    size: known.bytes.len() as u64,
                    signature: Signature([0; 64]),
                });
                let (app, kept, bytes) = (self.clone(), said.clone(), known.bytes.clone());
                let keep = move || app.proposals.keep(&kept, &bytes);
                match self.work.run("keeping a proposal", keep).await {
                    Ok(Ok(())) => said,
                    Ok(Err(error)) => return error!(%error, "a proposal could not be kept"),
                    Err(error) => return error!(%error, "a proposal could not be kept"),
                }
            }
            (None, _) => return debug!(%height, round, %block, "only its proposer can announce it"),
        };
        self.send(&said, &known.bytes);
    }

    fn send(&self, said: &Announcement, bytes: &Bytes) {
        for part in streams::split(said, bytes) {
            // it fails only when the engine stops
            let _ = self.network.cast(NetworkMsg::PublishProposalPart(part));
        }
    }
}
