//! Blocks of others: proposed, or decided while this node was away.

use std::sync::Arc;

use baton_chain::Refused;
use baton_ledger::state::BlockRejection;
use bytes::Bytes;
use malachite::consensus::ProposedValue;
use malachite::engine::host::SyncedValueOutcome;
use malachite_core::{Round, Validity};
use malachite_sync::RawDecidedValue;
use tracing::{debug, error, warn};

use super::app::App;
use super::clock;
use super::proposals::Known;
use crate::codec::{decode_certificate, sync::extended};
use crate::context::{Address, Announcement, Baton, BlockId, Height};

/// A block was judged.
enum Verdict {
    Valid,
    Invalid(String),
    /// It is no block at all.
    Garbage,
    /// This node cannot tell.
    Unknown,
}

impl App {
    /// Judges a block that was proposed for the height after the tip. `None`: nothing can be said of it.
    ///
    /// If this node may vote for it (`votes`), it is on the disk when this returns.
    pub(super) async fn judge(
        self: Arc<Self>,
        said: Announcement,
        bytes: Bytes,
        votes: bool,
    ) -> Option<ProposedValue<Baton>> {
        if said.round == 0 {
            self.board.clocks.arrived(said.block, clock::now_ms());
        }
        let app = self.clone();
        let work = move || {
            let due = || said.height.0 == app.chain.tip().height + 1;
            if !due() {
                return None;
            }
            let known = app.proposals.block(said.height, said.block);
            let verdict = match known {
                Some(known) if known.valid => Verdict::Valid,
                _ => app.verdict(&bytes, clock::now_ms()),
            };
            let valid = match verdict {
                Verdict::Valid => true,
                // unless the height was decided meanwhile
                Verdict::Invalid(reason) if due() => {
                    warn!(height = %said.height, round = said.round, reason, "a proposed block was refused");
                    app.board.count(|figures| figures.refused_blocks += 1);
                    false
                }
                Verdict::Garbage if due() => {
                    warn!(height = %said.height, round = said.round, "what was proposed is no block");
                    app.board.count(|figures| figures.refused_blocks += 1);
                    false
                }
                Verdict::Invalid(_) | Verdict::Garbage | Verdict::Unknown => return None,
            };
            if valid && votes {
                if let Err(error) = app.proposals.keep(&said, &bytes) {
                    error!(height = %said.height, %error, "a proposed block could not be kept; not voting for it");
                    return None;
                }
            } else {
                let known = Known { bytes, valid };
                app.proposals
                    .remember(said.height, said.block, Some(&said), known);
            }
            Some(ProposedValue {
                height: said.height,
                round: Round::new(said.round),
                valid_round: said.pol_round.map_or(Round::Nil, Round::new),
                proposer: said.proposer,
                value: said.block,
                validity: Validity::from_bool(valid),
            })
        };
        let judged = self.work.run("judging a block", work).await;
        judged.unwrap_or_else(|error| {
            error!(%error, "a proposed block was not judged");
            None
        })
    }

    fn verdict(&self, bytes: &Bytes, now_ms: u64) -> Verdict {
        match self.chain.check(bytes, now_ms, &self.pool) {
            Ok(_) => Verdict::Valid,
            Err(Refused::Rejected(rejection))
                if matches!(
                    *rejection,
                    BlockRejection::Decode(_) | BlockRejection::NotCanonical
                ) =>
            {
                Verdict::Garbage
            }
            Err(refused @ (Refused::Rejected(_) | Refused::Size { .. })) => {
                Verdict::Invalid(refused.to_string())
            }
            Err(refused @ (Refused::UpgradeNeeded(_) | Refused::Failed(_))) => {
                error!(%refused, "a block could not be judged");
                Verdict::Unknown
            }
        }
    }

    /// Judges a block for which a peer has shown a certificate that is good.
    pub(super) async fn judge_synced(
        self: Arc<Self>,
        height: Height,
        round: Round,
        proposer: Address,
        bytes: Bytes,
    ) -> SyncedValueOutcome<Baton> {
        let app = self.clone();
        let work = move || {
            let block = BlockId::of(&bytes);
            // two thirds found its time good when it was proposed
            let valid = match app.verdict(&bytes, u64::MAX) {
                Verdict::Valid => true,
                Verdict::Invalid(reason) => {
                    let why = format!(
                        "a peer's block {height}, which may be what others decided, is not valid here: {reason}"
                    );
                    error!(%height, reason, "a peer sent a block that is not valid here");
                    app.board.change(|status| status.last_error = Some(why));
                    false
                }
                Verdict::Garbage => return SyncedValueOutcome::PeerFault,
                Verdict::Unknown => return SyncedValueOutcome::LocalTransientError,
            };
            let known = Known { bytes, valid };
            app.proposals.remember(height, block, None, known);
            SyncedValueOutcome::Verdict(ProposedValue {
                height,
                round,
                valid_round: Round::Nil,
                proposer,
                value: block,
                validity: Validity::from_bool(valid),
            })
        };
        let judged = self.work.run("judging a block from a peer", work).await;
        judged.unwrap_or_else(|error| {
            error!(%error, "a block from a peer was not judged");
            SyncedValueOutcome::LocalTransientError
        })
    }

    /// Decided blocks, for a peer that is behind.
    pub(super) async fn decided(
        self: Arc<Self>,
        first: Height,
        last: Height,
    ) -> Vec<RawDecidedValue<Baton>> {
        let app = self.clone();
        let work = move || -> Result<Vec<_>, baton_chain::ChainError> {
            let reader = app.chain.read()?;
            let last = last.0.min(reader.tip().height);
            let blocks = reader.decided_range(first.0..=last, app.response_bytes)?;
            let mut values = Vec::with_capacity(blocks.len());
            for block in blocks {
                match decode_certificate(&block.certificate) {
                    Ok(certificate) => {
                        let certificate = extended(certificate);
                        values.push(RawDecidedValue::new(block.bytes, certificate));
                    }
                    Err(error) => {
                        error!(height = block.height, %error, "a stored certificate is damaged; peers cannot fetch this block from here");
                        break;
                    }
                }
            }
            Ok(values)
        };
        match self.work.run("reading blocks for a peer", work).await {
            Ok(Ok(values)) => values,
            Ok(Err(error)) => {
                error!(%error, "blocks could not be read for a peer");
                Vec::new()
            }
            Err(error) => {
                error!(%error, "blocks could not be read for a peer");
                Vec::new()
            }
        }
    }

    /// The first block that peers can have from here.
    pub(super) async fn oldest(self: Arc<Self>) -> Height {
        let chain = self.chain.clone();
        let work = move || chain.read().map(|reader| reader.history_min_height());
        match self.work.run("reading the first height", work).await {
            // the genesis block was not decided
            Ok(Ok(oldest)) => Height(oldest.max(1)),
            Ok(Err(error)) => {
                debug!(%error, "the first height could not be read");
                Height(self.chain.tip().height)
            }
            Err(_) => Height(self.chain.tip().height),
        }
    }
}
