//! The application that consensus decides for, as Malachite's host actor.
//!
//! Everything that takes time is a task of its own, so that the actor always answers: a proposer that waits until its
//! block is due must not hold up a new round, nor a peer that fetches blocks. (Malachite's channel to an application
//! deals with one message after the other; hence an actor of ours.)
//!
//! A block's way: [`propose`] or [`receive`], then [`decide`].

mod app;
pub(crate) mod clock;
mod decide;
mod proposals;
mod propose;
mod receive;
mod streams;

pub(crate) use app::App;
pub(crate) use proposals::Proposals;
pub use proposals::ProposalsError;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use malachite::consensus::{MisbehaviorEvidence, ProposedValue, Role};
use malachite::engine::host::{HostMsg, HostRef, Next};
use malachite::engine::util::streaming::StreamMessage;
use malachite_core::{CommitCertificate, Round, Validity};
use malachite_sync::PeerId;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tracing::{debug, info, warn};

use crate::context::{Announcement, Baton, BlockId, Height, Part, Seats};
use decide::Outcome;
use streams::{Bounds, Streams};

/// How many heights ahead of the current one a proposed block may be: its proposer has committed a block that is on its
/// way to this node.
const AHEAD: u64 = 2;
/// Whole blocks for heights ahead that are kept until their turn.
const WAITING: usize = 4;
/// Bytes of blocks on their way, in blocks of the greatest length.
const STREAMED_BLOCKS: usize = 8;

/// The actor.
pub(crate) struct Host {
    app: Arc<App>,
}

/// What it knows of the current height.
pub(crate) struct Open {
    height: Height,
    round: u32,
    seats: Option<Seats>,
    /// Whether this node votes at this height.
    validator: bool,
    streams: Streams,
    waiting: Vec<Waiting>,
    drafting: Option<AbortHandle>,
    /// The block whose value came from a peer, at the current height.
    synced: Option<BlockId>,
    committing: Option<oneshot::Receiver<Outcome>>,
    tasks: JoinSet<()>,
}

/// A whole block for a height that has not begun.
struct Waiting {
    said: Announcement,
    bytes: Bytes,
    reply: RpcReplyPort<ProposedValue<Baton>>,
}

impl Host {
    /// Starts the actor.
    pub(crate) async fn spawn(app: Arc<App>) -> Result<(HostRef<Baton>, JoinHandle<()>), SpawnErr> {
        Actor::spawn(None, Self { app }, ()).await
    }

    fn started_round(
        &self,
        state: &mut Open,
        height: Height,
        round: Round,
        role: Role,
    ) -> Vec<ProposedValue<Baton>> {
        let app = &self.app;
        let round = round.as_u32().unwrap_or(0);
        if height != state.height {
            // the ledger's validators are those of the height that has just begun
            state.seats = Seats::new(&app.chain.validators()).ok();
            if let Some(seats) = &state.seats {
                app.board.voices.begin(seats, Instant::now());
                app.board.clocks.begin(seats);
            }
            state.synced = None;
            state.streams.forget_below(height);
        }
        (state.height, state.round) = (height, round);
        if let Some(drafting) = state.drafting.take() {
            drafting.abort();
        }
        let validator = role != Role::None;
        state.validator = validator;
        app.board.change(|status| {
            status.height = height.0;
            status.round = round;
            status.validator = validator;
            status.proposing = role == Role::Proposer;
            status.halted = None;
        });
        if round > 0 {
            info!(%height, round, "another round: the one before decided nothing");
            app.board.count(|figures| figures.extra_rounds += 1);
        }
        let waiting = std::mem::take(&mut state.waiting);
        for Waiting { said, bytes, reply } in waiting {
            if said.height == height {
                self.judge(state, said, bytes, reply);
            } else if said.height > height {
                state.waiting.push(Waiting { said, bytes, reply });
            }
        }
        let known = app.proposals.of_round(height, round);
        known
            .into_iter()
            .map(|(said, known)| ProposedValue {
                height,
                round: Round::new(said.round),
                valid_round: said.pol_round.map_or(Round::Nil, Round::new),
                proposer: said.proposer,
                value: said.block,
                validity: Validity::from_bool(known.valid),
            })
            .collect()
    }

    fn received(
        &self,
        state: &mut Open,
        from: PeerId,
        publisher: Option<PeerId>,
        part: StreamMessage<Part>,
        reply: RpcReplyPort<ProposedValue<Baton>>,
    ) {
        let Open {
            height,
            seats,
            streams,
            ..
        } = &mut *state;
        let checker = self.app.checker;
        let admits = |said: &Announcement| match seats {
            Some(seats) if said.height == *height => {
                let proposer = seats.proposer(said.height, Round::new(said.round));
                proposer.is(&said.proposer) && checker.is_announced_by(said, proposer.key())
            }
            // who proposes at later heights is known when they begin
            _ => said.height > *height && said.height.0 <= height.0 + AHEAD,
        };
        match streams.take(from, publisher, part, admits) {
            streams::Outcome::Dropped(fault) => {
                debug!(%from, %fault, "a proposed block on its way was dropped");
            }
            streams::Outcome::Whole(said, bytes) if said.height == *height => {
                self.judge(state, said, bytes, reply);
            }
            streams::Outcome::Whole(said, bytes) if said.height > *height => {
                self.app.board.heard_of(said.height.0);
                if state.waiting.len() == WAITING {
                    state.waiting.remove(0);
                }
                state.waiting.push(Waiting { said, bytes, reply });
            }
            streams::Outcome::Open | streams::Outcome::Whole(..) => {}
        }
    }

    /// Judges a whole block of the current height; those that had to wait are looked at for their proposer only now.
    fn judge(
        &self,
        state: &mut Open,
        said: Announcement,
        bytes: Bytes,
        reply: RpcReplyPort<ProposedValue<Baton>>,
    ) {
        let proposer = state
            .seats
            .as_ref()
            .map(|seats| seats.proposer(said.height, Round::new(said.round)));
        let honest = proposer.is_some_and(|proposer| {
            proposer.is(&said.proposer) && self.app.checker.is_announced_by(&said, proposer.key())
        });
        if !honest {
            return debug!(height = %said.height, "a block that was announced by another than its proposer was dropped");
        }
        let judging = self.app.clone().judge(said, bytes, state.validator);
        state.tasks.spawn(async move {
            if let Some(proposed) = judging.await {
                let _ = reply.send(proposed);
            }
        });
    }

    fn decided(
        &self,
        state: &mut Open,
        certificate: CommitCertificate<Baton>,
        reply: RpcReplyPort<()>,
    ) {
        if let Some(drafting) = state.drafting.take() {
            drafting.abort();
        }
        let synced = state.synced == Some(certificate.value_id);
        let seats = state
            .seats
            .clone()
            .filter(|_| certificate.height == state.height);
        let commit = self.app.clone().commit(certificate, seats, synced);
        let (tell, committing) = oneshot::channel();
        state.committing = Some(committing);
        state.tasks.spawn(async move {
            let outcome = commit.await;
            if outcome == Outcome::Committed {
                let _ = reply.send(());
            }
            let _ = tell.send(outcome);
        });
    }

    fn finalized(
        &self,
        state: &mut Open,
        certificate: &CommitCertificate<Baton>,
        evidence: &MisbehaviorEvidence<Baton>,
        reply: RpcReplyPort<Next<Baton>>,
    ) {
        let height = certificate.height;
        self.app.expose(height, evidence);
        let Some(committing) = state.committing.take() else {
            return warn!(%height, "a height is over that was not decided");
        };
        let app = self.app.clone();
        state.tasks.spawn(async move {
            let Ok(outcome) = committing.await else {
                let why = format!("committing block {height} has panicked");
                return app.give_up(&why).await;
            };
            let next = app.next(outcome, height).await;
            let _ = reply.send(next);
        });
    }

    /// Answers when `work` is done.
    fn answer<T: Send + 'static>(
        state: &mut Open,
        reply: RpcReplyPort<T>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortHandle {
        state.tasks.spawn(async move {
            let answer = work.await;
            let _ = reply.send(answer);
        })
    }
}

#[async_trait]
impl Actor for Host {
    type Msg = HostMsg<Baton>;
    type State = Open;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (): (),
    ) -> Result<Open, ActorProcessingErr> {
        let block_bytes = self.app.chain.options().max_block_bytes;
        Ok(Open {
            height: Height(0),
            round: 0,
            seats: None,
            validator: false,
            streams: Streams::new(Bounds {
                block_bytes,
                total_bytes: block_bytes.saturating_mul(STREAMED_BLOCKS),
            }),
            waiting: Vec::new(),
            drafting: None,
            synced: None,
            committing: None,
            tasks: JoinSet::new(),
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Open,
    ) -> Result<(), ActorProcessingErr> {
        while state.tasks.try_join_next().is_some() {}
        let app = self.app.clone();
        match message {
            HostMsg::ConsensusReady { reply_to } => {
                Self::answer(state, reply_to, async move { app.begin().await });
            }
            HostMsg::StartedRound {
                height,
                round,
                proposer: _,
                role,
                reply_to,
            } => {
                let known = self.started_round(state, height, round, role);
                let _ = reply_to.send(known);
            }
            HostMsg::GetValue {
                height,
                round,
                timeout: _,
                reply_to,
            } => {
                let round = round.as_u32().unwrap_or(0);
                let drafting = Self::answer(state, reply_to, app.propose(height, round));
                state.drafting = Some(drafting);
            }
            HostMsg::RestreamValue {
                height,
                round,
                valid_round,
                address,
                value_id,
            } => {
                let round = round.as_u32().unwrap_or(0);
                let pol_round = valid_round.as_u32();
                state
                    .tasks
                    .spawn(app.send_again(height, round, pol_round, address, value_id));
            }
            HostMsg::ReceivedProposalPart {
                from,
                published_by,
                part,
                reply_to,
            } => self.received(state, from, published_by, part, reply_to),
            HostMsg::ProcessSyncedValue {
                height,
                round,
                proposer,
                value_bytes,
                reply_to,
            } => {
                state.synced = Some(BlockId::of(&value_bytes));
                let judging = app.judge_synced(height, round, proposer, value_bytes);
                Self::answer(state, reply_to, judging);
            }
            HostMsg::Decided {
                certificate,
                extensions: _,
                reply_to,
            } => self.decided(state, certificate, reply_to),
            HostMsg::Finalized {
                certificate,
                extensions: _,
                evidence,
                reply_to,
            } => self.finalized(state, &certificate, &evidence, reply_to),
            HostMsg::GetDecidedValues { range, reply_to } => {
                let (first, last) = range.into_inner();
                Self::answer(state, reply_to, app.decided(first, last));
            }
            HostMsg::GetHistoryMinHeight { reply_to } => {
                Self::answer(state, reply_to, app.oldest());
            }
            HostMsg::ExtendVote { reply_to, .. } => {
                let _ = reply_to.send(None);
            }
            HostMsg::VerifyVoteExtensions { reply_to, .. } => {
                // votes of this chain carry none, and are refused if they do
                let _ = reply_to.send(Vec::new());
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut Open,
    ) -> Result<(), ActorProcessingErr> {
        state.tasks.shutdown().await;
        Ok(())
    }
}
