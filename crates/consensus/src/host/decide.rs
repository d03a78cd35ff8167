//! Decisions: committing them, and what comes after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_chain::{ChainError, Decision};
use fail::fail_point;
use malachite::consensus::MisbehaviorEvidence;
use malachite::engine::host::Next;
use malachite_core::{CommitCertificate, Validator as _};
use tracing::{error, info, warn};

use super::app::App;
use crate::clocks::News;
use crate::codec::encode_certificate;
use crate::context::{Address, Baton, BlockId, Height, Seats};

/// Waits between tries to commit while the disk is full.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    /// The block's bytes are not here: the height must be decided again, or fetched.
    Missing,
}

impl App {
    /// Commits what was decided. Tries until it succeeds; does not return if it never can.
    pub(super) async fn commit(
        self: Arc<Self>,
        certificate: CommitCertificate<Baton>,
        seats: Option<Seats>,
        synced: bool,
    ) -> Outcome {
        let height = certificate.height;
        let Some(known) = self.proposals.block(height, certificate.value_id) else {
            warn!(
                %height, block = %certificate.value_id,
                "a decided block is not here; the height begins anew, and peers have it"
            );
            return Outcome::Missing;
        };
        let (Some(seats), Ok(encoded), Some(round)) = (
            seats,
            encode_certificate(&certificate),
            certificate.round.as_u32(),
        ) else {
            return self
                .give_up("a decision without a round, or for a height that has not begun")
                .await;
        };
        let seat = seats.proposer(height, certificate.round);
        let decision = Decision {
            bytes: known.bytes,
            certificate: encoded,
            round,
            proposer: *seat.xpub(),
        };
        let (block, proposer) = (certificate.value_id, *seat.address());
        let signatures = certificate.commit_signatures.len();
        let mut wait = RETRY;
        loop {
            let (app, decision) = (self.clone(), decision.clone());
            let work = move || {
                let block_ms = app.write(decision, signatures, synced)?;
                app.compare_clocks(block, proposer, block_ms);
                Ok::<_, ChainError>(())
            };
            let trouble = match self.work.run("committing a block", work).await {
                Ok(Ok(())) => {
                    self.elsewhere.decided(&certificate);
                    return Outcome::Committed;
                }
                Ok(Err(error)) if error.is_disk_full() => error.to_string(),
                Ok(Err(error)) => {
                    let why = format!(
                        "block {height} was decided and cannot be committed: {error}; once that is mended, restart the node: \
                         nothing is lost"
                    );
                    return self.give_up(&why).await;
                }
                Err(error) => return self.give_up(&error.to_string()).await,
            };
            error!(%height, %trouble, again_in = ?wait, "a decided block could not be written: make room on the disk");
            let why =
                format!("block {height} could not be written: {trouble}; make room on the disk");
            self.board.change(|status| status.last_error = Some(why));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_RETRY);
        }
    }

    /// Commits; the time of the block.
    fn write(
        &self,
        decision: Decision,
        signatures: usize,
        synced: bool,
    ) -> Result<u64, ChainError> {
        let began = Instant::now();
        let round = decision.round;
        fail_point!("consensus::before_commit");
        let committed = self.chain.commit(decision)?;
        fail_point!("consensus::after_commit");
        self.pool.block_committed(&committed);
        let took = began.elapsed();
        if let Err(error) = self.proposals.forget_through(committed.height()) {
            // they are forgotten with the next block, or at the next start
            warn!(%error, "old proposals could not be forgotten");
        }
        self.board.count(|figures| {
            figures.committed += 1;
            figures.synced += u64::from(synced);
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            figures.commit_micros = figures.commit_micros.saturating_add(micros);
        });
        self.board.change(|status| status.last_error = None);
        info!(
            height = committed.height(), hash = %committed.hash(), round, signatures, synced,
            transactions = committed.transactions().len(), ?took, "block committed"
        );
        Ok(committed.timestamp_ms())
    }

    /// Says whether this machine's clock is wrong, if the block's time changes what is known of that.
    fn compare_clocks(&self, block: BlockId, proposer: Address, block_ms: u64) {
        match self.board.clocks.decided(block, proposer, block_ms) {
            Some(News::Wrong(ahead_ms)) => warn!(
                ahead_ms,
                "this machine's clock is not that of the other validators, by the times of their blocks: set it right (chronyc \
                 tracking). A validator whose clock is ahead slows the chain, one whose clock is behind refuses good blocks"
            ),
            Some(News::Right) => {
                info!("this machine's clock is that of the other validators again");
            }
            None => {}
        }
    }

    /// What consensus is to do after a height.
    pub(super) async fn next(self: Arc<Self>, outcome: Outcome, height: Height) -> Next<Baton> {
        match outcome {
            Outcome::Committed => {
                let (height, params) = self.begin().await;
                Next::Start(height, params)
            }
            Outcome::Missing => {
                let (at, params) = self.begin().await;
                debug_assert_eq!(at, height, "the tip has not moved");
                // the write-ahead log is reset; what was signed at this height is known to the sign guard
                Next::Restart(at, params)
            }
        }
    }

    /// Tells of validators that signed twice.
    pub(super) fn expose(&self, height: Height, evidence: &MisbehaviorEvidence<Baton>) {
        let mut caught = 0;
        for (validator, votes) in evidence.votes.iter() {
            for (one, other) in votes {
                caught += 1;
                error!(
                    %validator, height = %one.height, round = %one.round, kind = ?one.kind,
                    one = ?one.value, other = ?other.value,
                    "EQUIVOCATION: a validator voted twice; if it is yours, it runs on two machines"
                );
            }
        }
        for (validator, proposals) in evidence.proposals.iter() {
            for (one, other) in proposals {
                caught += 1;
                error!(
                    %validator, height = %one.height, round = %one.round, one = %one.value, other = %other.value,
                    "EQUIVOCATION: a validator proposed twice; if it is yours, it runs on two machines"
                );
            }
        }
        if caught > 0 {
            warn!(%height, caught, "validators were caught signing twice");
            self.board.count(|figures| figures.equivocations += caught);
        }
    }
}
